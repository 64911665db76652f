(ns poz.master
  "Making master revisions: draft → sign → merge → status → apply (format.md §4).

  A *draft* is a record whose master zone has a zero current_master_hash. It is a plain
  map and a file like any other, so it can travel: each holder signs on a machine of
  their own, in any order, and drafts signed apart are merged. Nobody's signature counts
  before `finish` finds both thresholds reached and computes the hash.

  - `genesis`, `draft` begin; `sign`, `add-signature` collect; `merge-drafts` joins
  - `status` says who has signed, what sums that makes, who is still needed
  - `finish` applies the draft: a record, or the anomaly of what is missing

  Functions of values only: the time and the secrets are arguments."
  (:require
   [poz.error :as error]
   [poz.format :as format]
   [poz.master.chain :as chain]
   [poz.master.survivorship :as survivorship]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.signing :as signing]))

(set! *warn-on-reflection* true)

;; ## Beginning

(defn- sorted [fields items]
  (vec (sort-by (apply juxt fields) items)))

(def ^:private authority-order
  (into {} (map (juxt :zone :authority)) format/zones))

(defn- sorted-delegations [delegations]
  (vec (sort-by (juxt (comp authority-order :authority) :key) delegations)))

(defn genesis
  "The draft of a new record. `:public-key-map`, `:master-keys` and `:delegations` as in
  the format, in any order; `:timestamp` in milliseconds."
  [{:keys [public-key-map master-keys delegations timestamp]}]
  {:public-key-map (vec public-key-map)
   :master-zone {:original-master-hash chain/zero
                 :original-timestamp timestamp
                 :current-master-hash chain/zero
                 :previous-master-hash chain/zero
                 :serial 1
                 :timestamp timestamp
                 :master-keys (sorted [:group :key] master-keys)
                 :delegations (sorted-delegations delegations)
                 :signatures []}})

(def ^:private draft-options #{:timestamp :master-keys :delegations :add-keys})

(defn draft
  "The draft of the revision after `record`'s current one, with the history up to that one,
  and without zones or private sections: what travels.

  Options: `:timestamp` (required, later than the current revision's), `:master-keys` and
  `:delegations`, the new lists (as they were); `:add-keys`, keys to append to the map."
  [record {:keys [timestamp master-keys delegations add-keys] :as options}]
  (when-let [k (first (remove draft-options (keys options)))]
    (throw (IllegalArgumentException. (str "Unknown option " k))))
  (let [former (:master-zone record)]
    {:public-key-map (into (:public-key-map record) add-keys)
     :zone-history (chain/revisions record)
     :master-zone {:original-master-hash (:original-master-hash former)
                   :original-timestamp (:original-timestamp former)
                   :current-master-hash chain/zero
                   :previous-master-hash (:current-master-hash former)
                   :serial (inc (long (:serial former)))
                   :timestamp timestamp
                   :master-keys (if master-keys (sorted [:group :key] master-keys) (:master-keys former))
                   :delegations (if delegations (sorted-delegations delegations) (:delegations former))
                   :signatures []}}))

;; ## Facts of a draft

(defn- former [draft]
  (peek (vec (:zone-history draft))))

(defn- lists [draft]
  (chain/lists (:master-zone draft) (former draft)))

(defn- signers [draft]
  (chain/signers (:master-zone draft)))

(defn statement
  "What the signers of `draft` sign (`poz.signing/statement`)."
  [{:keys [public-key-map master-zone]}]
  (chain/statement master-zone (signing/key-hashes public-key-map)))

(defn named
  "The indexes of the keys that may sign `draft`, ascending."
  [draft]
  (into (sorted-set) (comp cat (map :key)) (lists draft)))

(defn request
  "What an external signer needs to sign `draft` with key `index` (`poz.signing/request`)."
  [draft index]
  (signing/request (statement draft) (:public-key-map draft) index))

;; ## Collecting signatures

(defn- refusal [draft index]
  (cond
    (not (chain/draft? (:master-zone draft)))
    (error/anomaly :draft/applied {:path [:master-zone]})
    (not (contains? (named draft) index))
    (error/anomaly :signature/stray
      {:path [:master-zone :signatures] :expected (signing/key-list (named draft)) :found (str "key " index)})))

(defn sign
  "`draft` with the signature of key `index`, whose secret is `secret`; or an anomaly.
  Options: `:random`, see `poz.signing/sign`."
  ([draft index secret] (sign draft index secret {}))
  ([draft index secret options]
   (or (refusal draft index)
     (update-in draft [:master-zone :signatures] signing/sign
       (:public-key-map draft) (:message (statement draft)) index secret options))))

(defn add-signature
  "`draft` with a signature `{:key :signature}` that was made elsewhere, verified first; or
  an anomaly."
  [draft {:keys [key] :as signature}]
  (or (refusal draft key)
    (let [signatures (signing/add-signature (get-in draft [:master-zone :signatures])
                       (:public-key-map draft) (:message (statement draft)) signature)]
      (if (error/anomaly? signatures)
        signatures
        (assoc-in draft [:master-zone :signatures] signatures)))))

(defn- unsigned [draft]
  (assoc-in (select-keys draft [:public-key-map :zone-history :master-zone])
    [:master-zone :signatures] []))

(defn differences
  "The paths at which two drafts differ otherwise than in signatures, with both values:
  `[{:path :a :b}]`, shallow enough to be read."
  [a b]
  (let [a (unsigned a) b (unsigned b)]
    (vec (for [path (concat [[:public-key-map] [:zone-history]]
                      (map #(vector :master-zone %) (keys (:master-zone a))))
               :when (not= (get-in a path) (get-in b path))]
           {:path path :a (get-in a path) :b (get-in b path)}))))

(defn merge-drafts
  "One draft with the signatures of all `drafts`, which must have the same content; each
  signature is verified. Else the anomaly `:draft/different` with `:differences`."
  [& [first-draft & more]]
  (reduce (fn [merged draft]
            (let [different (differences merged draft)]
              (if (seq different)
                (reduced (error/anomaly :draft/different
                           {:path (:path (first different)) :differences different}))
                (let [joined (reduce (fn [d s]
                                       (let [d (add-signature d s)]
                                         (if (error/anomaly? d) (reduced d) d)))
                               merged (get-in draft [:master-zone :signatures]))]
                  (if (error/anomaly? joined) (reduced joined) joined)))))
    first-draft more))

;; ## Status and end

(defn- list-status [whose master-keys signers]
  {:list whose
   :satisfied (survivorship/satisfied? master-keys signers)
   :sums (survivorship/sums master-keys signers)
   :line (survivorship/explain master-keys signers)
   :missing (survivorship/missing master-keys signers)})

(defn status
  "Who has signed `draft` and who is still needed: `{:serial :signers :complete :lists}`,
  a list for the former revision's master keys (`:former`, unless this is genesis) and one
  for its own (`:own`), each with `:satisfied :sums :line :missing`."
  [draft]
  (let [signed (signers draft)
        before (former draft)
        lists (cond-> []
                before (conj (list-status :former (:master-keys before) signed))
                true (conj (list-status :own (:master-keys (:master-zone draft)) signed)))]
    {:serial (get-in draft [:master-zone :serial])
     :signers (vec (sort signed))
     :complete (every? :satisfied lists)
     :lists lists}))

(defn- drop-spare [draft]
  (let [kept (survivorship/without-spare (lists draft) (signers draft))]
    (update-in draft [:master-zone :signatures] #(filterv (comp kept :key) %))))

(defn- with-hash [{:keys [master-zone] :as draft}]
  (let [hash (chain/current-hash master-zone (statement draft))]
    (cond-> (assoc-in draft [:master-zone :current-master-hash] hash)
      (chain/genesis? master-zone) (assoc-in [:master-zone :original-master-hash] hash))))

(defn- judged [{:keys [public-key-map master-zone] :as record} before]
  (chain/judge-revision master-zone before
    {:key-map public-key-map :hashes (signing/key-hashes public-key-map)
     :now (:timestamp master-zone)}))

(defn finish
  "The record that `draft` becomes: spare signatures dropped, highest index first, then the
  hash computed, then everything checked. Where something is missing or wrong, the anomaly
  of the rule that stopped it, with `:status`."
  [draft]
  (if-not (chain/draft? (:master-zone draft))
    (error/anomaly :draft/applied {:path [:master-zone]})
    (let [record (with-hash (drop-spare draft))
          {:keys [outcome] :as judgement} (judged record (former draft))]
      (if (= :valid outcome)
        record
        (let [{:keys [rule error because needs]} (rules/first-break judgement)]
          (error/anomaly (or error rule)
            (cond-> {:path [:master-zone] :rule because :status (status draft)}
              needs (assoc :needs needs))))))))

(defn joined-keys
  "The longer of two key maps where it goes on from the other, or nil: they contradict."
  [a b]
  (let [[short long] (sort-by count [a b])]
    (when (= short (take (count short) long)) long)))

(defn adopt
  "`record`, a holder's file, with the revision and history of `applied`, what `finish` made
  of a draft of it, and the keys of both (where unused ones contradict, those of `applied`);
  or the anomaly of what does not fit."
  [record applied]
  (let [used (record/used-part record) keys (:public-key-map applied)]
    (cond
      (not= (former applied) (:master-zone record))
      (error/anomaly :chain/previous-hash {:path [:master-zone]})
      (not= used (take (count used) keys))
      (error/anomaly :update/key-map {:path [:public-key-map]})
      :else (assoc (merge record (select-keys applied [:master-zone :zone-history]))
              :public-key-map (or (joined-keys (:public-key-map record) keys) keys)))))
