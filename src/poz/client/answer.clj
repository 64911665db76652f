(ns poz.client.answer
  "What a server answered to a question, verified before anybody sees it (protocol.md §1).

  A *question* is `{:type :subject}`, with `:from` for CHAIN and `:zones` for ZONES; a subject is
  `{:domain}`, `{:hash}` or `{:handle {:handle :domain :path}}`. A record that is answered must
  verify, and must be tied to the question: by its original hash, or by a live entry with that
  address that a verified provider issued. An *answer* is

      {:type :record :subject …
       :payload bytes       ; as it came, decoded by its type
       :record {…}          ; of a file: the record in it
       :verdict {…}         ; of a file: why it holds
       :entry {…}           ; of a handle: the judgement of its entry
       :fallen #{:service}  ; of ZONES: zones that do not stand since a revision
       :memory {…}          ; what to remember from now on: of what is proven only
       :proven true}        ; false: the rest is the server's word, `:because` says why

  Nothing here connects to anything; what the clock says and who the providers are is given."
  (:require
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.master.chain :as chain]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; ## What the file is

(def ^:private base [:public-key-map :master-zone :zone-history])

(defn- zone-parts [zones]
  (mapcat (juxt zone/authority-key zone/zone-key) zones))

(defn- sections-of [zones]
  (into (set base) (zone-parts zones)))

(def ^:private sections-by-type
  "Type of a question, but for ZONES → the sections that the answer's file may have."
  (update-vals {:master [] :chain [] :identity [:identity] :record zone/names} sections-of))

(defn- expected-sections
  "The sections that the answer's file may have, a set."
  [{:keys [type zones]}]
  (or (sections-by-type type) (sections-of zones)))

(defn- public-type? [code] (< (long code) 0x8000))

(defn- identity-expected?
  "True if the answer's file has the Identity Zone, where there is one."
  [question]
  (contains? (expected-sections question) :identity-zone))

(defn- sections-fault [question record]
  (let [known (remove (expected-sections question) (keys (dissoc record :unknown-sections)))
        unknown (remove (if (= :record (:type question)) public-type? (constantly false))
                  (keys (:unknown-sections record)))]
    (when-let [surplus (first (concat known unknown))]
      (error/anomaly :answer/other-sections {:found (if (keyword? surplus) (name surplus) (str "section " surplus))}))))

(defn- hash-fault
  "Where the record must have a certain original hash: the anomaly of another."
  [{{:keys [hash]} :subject} {:keys [expected-hash held]} record]
  (let [found (record/original-hash record)]
    (when-let [wanted (first (remove #(or (nil? %) (= found %)) [hash expected-hash (some-> held record/original-hash)]))]
      (error/anomaly :answer/other-record {:expected (bytes/->hex wanted) :found (bytes/->hex found)}))))

;; ## Whether it verifies

(def ^:private falls
  "What is wrong with the authority of a zone that fell: a later revision delegates otherwise."
  #{:authority/not-current :authority/interrupted})

(defn- break [path judgement]
  (when-let [step (rules/first-break judgement)]
    (error/anomaly (rules/problem step) {:path path :rule (:because step)})))

(defn- chain-fault [{:keys [chain]}]
  (some #(break [:master-zone (:serial %)] %) (:revisions chain)))

(defn- zones-fault [{:keys [zones]} fallen]
  (some (fn [[z judged]]
          (some #(break [(zone/zone-key z) %] (judged %))
            (if (fallen z) [:grant :deny] [:authority :grant :deny])))
    zones))

(defn- fallen? [[_ {:keys [authority]}]]
  (falls (rules/problem (rules/first-break authority))))

(defn- fallen-zones
  "The zones that ZONES may answer though a later revision delegates otherwise, since their
  successors need them."
  [{:keys [type]} {:keys [zones]}]
  (if (= :zones type) (into #{} (map key) (filter fallen? zones)) #{}))

(defn longer-key-map
  "The key map of `record`, which may have been cut, or that of `held` as far as it is used. Throws
  the anomaly `:update/key-map` where they differ."
  [held record]
  (let [used (record/used-part held) ours (:public-key-map record)
        both (min (count used) (count ours))]
    (cond
      (not= (subvec used 0 both) (subvec ours 0 both)) (error/fail! :update/key-map {:path [:public-key-map]})
      (< (count ours) (count used)) used
      :else ours)))

(defn- joined
  "The record of CHAIN's answer with what `held` has of the chain before it."
  [{:keys [type]} {:keys [held]} record]
  (if (and held (= :chain type))
    (let [tail (chain/revisions record)
          before (filterv #(< (long (:serial %)) (long (:serial (first tail)))) (chain/revisions held))]
      (cond-> (assoc record :public-key-map (longer-key-map held record))
        (seq before) (assoc :zone-history (into before (pop tail)))))
    record))

;; ## Whose handle it is

(defn- at-address? [{:keys [handle domain path]} {:keys [authority-domain user-handle] entry-path :path}]
  (= [handle domain (vec path)] [user-handle authority-domain entry-path]))

(defn- entries-of
  "The judgements of the live entries of `record` with the address that was asked for, each
  with its `:entry` and the `:index` of that."
  [{{:keys [handle]} :subject} {:keys [identity-zone]} verdict]
  (filterv #(and (:live %) (at-address? handle (:entry %)))
    (map #(assoc %1 :entry %2 :index %3)
      (get-in verdict [:zones :identity :entries]) (zone/entries :identity identity-zone) (range))))

(defn- status-fault [{:keys [status error] :as judged}]
  (if (= :superseded status)
    (error/anomaly :answer/superseded)
    (error/anomaly error {:path [:identity-zone] :rule (:because (rules/first-break judged))})))

(defn- entry-finding
  "Of `entries` the one that ties the record to the handle; or an anomaly."
  [entries {:keys [provider-hash statuses]}]
  (let [authority #(get-in % [:entry :authority-hash])
        issued (filter #(contains? #{nil (authority %)} provider-hash) entries)]
    (cond
      (empty? entries) (error/anomaly :answer/no-entry)
      (empty? issued) (error/anomaly :answer/other-provider
                        {:expected (bytes/->hex provider-hash) :found (bytes/->hex (authority (first entries)))})
      :else (or (first (filter (comp statuses :status) issued)) (status-fault (first issued))))))

(defn- verdict-on
  "The verdict on `record`, its entries judged by those of `providers` that are records."
  [record {:keys [now]} providers]
  (verify/verify record {:now now :providers (remove #(or (nil? %) (error/anomaly? %)) providers)}))

(defn- with-provider
  "`verdict`, or a new one with the providers of `entries` where a function gives them."
  [verdict record {:keys [providers] :as options} entries]
  (if (and (fn? providers) (seq entries))
    (verdict-on record options (map providers (distinct (map #(get-in % [:entry :authority-hash]) entries))))
    verdict))

;; ## The whole

(def ^:private untied
  {:domain "nothing says yet that this is the record of that domain: discovery gives its hash"
   :handle "nothing in this answer ties the record to the handle: IDENTITY does"
   :provider "nothing says yet that this provider is that of the domain: discovery gives its hash"
   :word "this is what the server says, and nothing proves it"})

(defn- open-question
  "The key in `untied` of what is not proven of a verified record, or nil."
  [{{:keys [domain handle]} :subject} {:keys [expected-hash provider-hash]} entry]
  (cond
    (and domain (not expected-hash)) :domain
    (and handle (not entry) (not expected-hash)) :handle
    (and handle entry (not provider-hash)) :provider))

(defn- with-proof [answer open]
  (cond-> (assoc answer :proven (nil? open))
    open (assoc :because (untied open))))

(defn- other-past
  "The anomaly of a chain in which the revision that is remembered is another one, or nil."
  [{:keys [serial current-master-hash]} record]
  (when-let [{found :current-master-hash} (first (filter #(= serial (:serial %)) (chain/revisions record)))]
    (when (not= current-master-hash found)
      (error/anomaly :memory/fork {:path [:master serial] :expected (bytes/->hex current-master-hash) :found (bytes/->hex found)}))))

(defn- remembered
  "The memory after seeing `record`, or the anomaly of a rollback or a fork, with the record."
  [{:keys [remembered held]} record verdict]
  (let [before (or remembered (some-> held memory/of))
        memory (or (other-past before record) (memory/remember before (memory/of record verdict)))]
    (cond-> memory (error/anomaly? memory) (assoc :record record))))

(defn- domain-proven
  "`verdict` without the warning that the domain of the entry is unproven, where discovery
  has told whose it is."
  [verdict {:keys [provider-hash]} {:keys [index]}]
  (let [proven? #(and provider-hash (= [:identity/domain-unproven index] ((juxt :warning :entry) %)))]
    (update verdict :warnings #(into [] (remove proven?) %))))

(defn- with-memory
  "`answer` with what to remember: `memory` if it is proven whose record that is, else what was
  remembered before."
  [{:keys [proven] :as answer} {:keys [remembered]} memory]
  (let [memory (if proven memory remembered)]
    (cond-> answer memory (assoc :memory memory))))

(defn- record-answer [question options {:keys [record verdict fallen payload]} entry]
  (let [memory (remembered options record verdict)]
    (if (error/anomaly? memory)
      memory
      (-> (select-keys question [:type :subject])
        (merge {:payload payload :record record :verdict verdict})
        (cond-> entry (assoc :entry entry) (seq fallen) (assoc :fallen fallen))
        (with-proof (open-question question options entry))
        (with-memory options memory)))))

(defn- tied
  "The answer about a record that verifies, if it is whose handle was asked for."
  [{{:keys [handle]} :subject :as question} options {:keys [record verdict fallen] :as facts}]
  (if (and handle (identity-expected? question) (not (fallen :identity)))
    (let [verdict (with-provider verdict record options (entries-of question record verdict))
          entry (entry-finding (entries-of question record verdict) options)]
      (if (error/anomaly? entry)
        entry
        (record-answer question options (assoc facts :verdict (domain-proven verdict options entry)) entry)))
    (record-answer question options facts nil)))

(defn- verified [question {:keys [providers] :as options} payload record]
  (let [verdict (verdict-on record options (if (fn? providers) [] providers))
        fallen (fallen-zones question verdict)]
    (or (chain-fault verdict)
      (zones-fault verdict fallen)
      (tied question options {:record record :verdict verdict :fallen fallen :payload payload}))))

(defn- file-answer [question options payload]
  (let [found (record/decode payload)]
    (or (when (error/anomaly? found) found)
      (sections-fault question found)
      (hash-fault question options found)
      (error/attempt #(verified question options payload (joined question options found))))))

(defn- word
  "What a server says that nothing proves. It can speak against what is remembered; it is not
  remembered itself."
  [{:keys [type] :as question} {:keys [remembered]} payload]
  (let [memory (if (and remembered (= :serial type)) (memory/remember remembered payload) remembered)]
    (if (error/anomaly? memory)
      memory
      (-> (assoc (select-keys question [:type :subject]) :payload payload)
        (with-proof :word)
        (with-memory {:remembered remembered} nil)))))

(defn check
  "The answer that `payload` is to `question`; or the anomaly of what is wrong with it.

  `options`: `:now`, required; `:providers`, records or a function of an original hash that
  gives one; `:statuses` of an entry to accept, a set; `:expected-hash` that the record must
  have; `:provider-hash` that the provider of a handle must have; `:held`, the record at hand,
  which CHAIN continues; `:remembered`, see `poz.memory`, else what `:held` tells."
  [{:keys [type] :as question} options payload]
  (if (#{:master :identity :chain :record :zones} type)
    (file-answer question options payload)
    (word question options payload)))
