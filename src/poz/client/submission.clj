(ns poz.client.submission
  "What a server answered to a submission, checked, and the smallest update to submit.

  A *submission* is `{:type :submit :record …}`, the same with `:submit-signed`,
  `{:type :submit-request :request …}` (`poz.identity.issue`), or `{:type :request-status :ticket
  :asked}` where `asked` is the entry that was asked for. All of them may be sent again, and
  to another server of the provider: the same update twice is OK twice, and the same
  request asks for what is reserved for the same record (protocol.md §1, §2).

  What it gives is `{:type :status :payload}`, with `:entry` or `:ticket`, and `:proven`: an entry
  is, by the provider's record; that a record is stored is the server's word."
  (:require
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.identity :as identity]
   [poz.identity.issue :as issue]
   [poz.master.chain :as chain]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; ## The smallest update

(defn- history-fault
  "Why `record` does not continue what the server holds: an anomaly, or nil."
  [record {:keys [serial current-master-hash]}]
  (let [ours (:master-zone record)
        same (first (filter #(= serial (:serial %)) (chain/revisions record)))]
    (cond
      (< (long (:serial ours)) (long serial))
      (error/anomaly :update/rollback {:path [:master-zone :serial] :expected (str serial " or more") :found (:serial ours)})
      (nil? same) (error/anomaly :chain/history-missing {:path [:zone-history] :expected (str "revision " serial)})
      (not= current-master-hash (:current-master-hash same))
      (error/anomaly :update/fork {:path [:master-zone] :found (str "another revision " serial)}))))

(defn- with-tail [record from]
  (let [tail (filterv #(<= (long from) (long (:serial %))) (:zone-history record))]
    (cond-> (dissoc record :zone-history)
      (seq tail) (assoc :zone-history tail))))

(defn smallest-update
  "The update that brings a server from what it holds, its answer `serials` to SERIAL, to
  `record`: the revisions from the server's on, and the zones that differ. Or the anomaly of a
  record that does not continue it. The key map is not cut further: the server may cite any of it."
  [record {:keys [serial] :as serials}]
  (let [held (into {} (map (juxt :zone identity)) (:zones serials))
        same (filter #(= % (held (:zone %))) (:zones (memory/of record)))]
    (or (history-fault record serials)
      (with-tail (apply dissoc (record/public-view record)
                   (mapcat (juxt (comp zone/authority-key :zone) (comp zone/zone-key :zone)) same))
        serial))))

;; ## What was asked for

(defn- asked-entry
  "The entry that the submission asks for, without who issues it."
  [{:keys [request asked]}]
  (if request
    (dissoc (issue/entry request (record/original-hash (record/decode (:record request))) nil) :authority-hash)
    asked))

(def ^:private entry-keys [:authority-domain :path :user-handle :user-poz-hash])

(defn- provider-fault [entry {:keys [provider statuses now]}]
  (let [{:keys [status error]} (identity/judge-entry entry (:user-poz-hash entry) (verify/assess provider now))]
    (cond
      (not= (record/original-hash provider) (:authority-hash entry))
      (error/anomaly :answer/other-provider {:expected (bytes/->hex (record/original-hash provider))
                                             :found (bytes/->hex (:authority-hash entry))})
      (statuses status) nil
      (= :superseded status) (error/anomaly :answer/superseded)
      :else (error/anomaly error))))

(defn- entry-answer [submission {:keys [provider] :as options} entry]
  (let [asked (select-keys (asked-entry submission) entry-keys)]
    (or (when (not= asked (select-keys entry entry-keys))
          (error/anomaly :answer/other-entry {:expected (pr-str asked) :found (pr-str (select-keys entry entry-keys))}))
      (when provider (provider-fault entry options))
      {:entry entry :proven (some? provider)})))

(defn- stored-answer
  "The server's word that it holds what was submitted, whose parts must be in its answer."
  [{:keys [record]} serials]
  (let [ours (memory/of record) theirs (set (:zones serials))
        other (first (remove theirs (:zones ours)))]
    (if (or other (not= (dissoc ours :zones) (dissoc serials :zones)))
      (error/anomaly :answer/other-serials {:path [(:zone other :master)] :expected (pr-str (or other (dissoc ours :zones)))})
      {:proven false})))

(defn- finding [{:keys [type] :as submission} options status payload]
  (cond
    (= :pending status) {:ticket payload :proven false}
    (#{:submit :submit-signed} type) (stored-answer submission payload)
    :else (entry-answer submission options payload)))

(defn check
  "What the server's `status` and `payload` say to `submission`; or the anomaly of what is wrong
  with that. `options`: `:now`, required; `:provider`, the record of the provider, by which
  an entry is verified; `:statuses` of an entry to accept."
  [submission options status payload]
  (let [found (finding submission options status payload)]
    (if (error/anomaly? found)
      found
      (merge {:type (:type submission) :status status :payload payload} found))))
