(ns poz.verify
  "One verdict for a record: what holds, what does not, by which rule and which numbers
  (format.md §10). Never a bare boolean.

  `verify` gives

      {:outcome  :valid                 ; worst of the chain's and the zones'
       :problems #{}                    ; every error keyword in the tree
       :warnings ({:warning … :message …})
       :chain    {:outcome :complete :revisions [judgement …]}
       :zones    {:service {:outcome :authority :grant :deny :zone-hash :entries}}}

  and for bytes that are no record `{:outcome :malformed :error anomaly}`. Identity entries
  carry a `:status` of their own, which never changes the outcome. Judgements keep every
  step (`poz.rules`), so a verdict explains itself: `steps` lists them all. What is only for
  people, sentences and warnings, is put together when it is first read (and `poz.lint` loaded).

  Nothing here reads a clock or fetches anything: `:now` and `:providers` are arguments."
  (:require
   [poz.error :as error]
   [poz.identity :as identity]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn assess
  "Chain and zones of a record judged at the time `now`, without the status of identity
  entries: `{:record :chain :zones}`, what `poz.identity` asks of a provider. Options: `:keep` as
  that of `verify`; `:proven`, how many revisions are known to hold, the first of the chain; `:grants`, zone → its
  grant as a statement, where it is at hand."
  ([record now] (assess record now {:keep :all}))
  ([record now options]
   (let [key-map (:public-key-map record)
         context (assoc options
                   :key-map key-map :hashes (signing/key-hashes key-map) :now now
                   :chain (chain/revisions record))]
     {:record record
      :chain (chain/judge-chain context)
      :zones (into {} (map (fn [z] [z (zone/judge-zone record z context)])) (zone/zones record))})))

(defn- better
  "Of two assessed records of one provider the one to ask: valid first, then newest, by its
  chain and then by its Identity Zone. The order in which they are given decides nothing."
  [a b]
  (let [valid #(if (= :valid (:outcome %)) 1 0)
        rank (fn [{:keys [chain] {:keys [master-zone]} :record {:keys [identity]} :zones}]
               [(valid chain) (:serial master-zone) (:current-master-hash master-zone)
                (valid identity) (:serial (:grant identity) 0) (:serial (:deny identity) 0)])]
    (if (neg? (compare (rank a) (rank b))) b a)))

(defn- assessed-providers [providers now]
  (update-vals
    (reduce (fn [acc p]
              (update acc (record/original-hash p) #(if % (better % (assess p now)) (assess p now))))
      {} providers)
    identity/prepared))

(defn- judge-entries [zones record providers]
  (if (:identity zones)
    (let [hash (record/original-hash record)
          judged (mapv #(identity/judge-entry % hash (get providers (:authority-hash %)))
                   (zone/entries :identity (:identity-zone record)))]
      (update-in zones [:identity :entries] #(map conj judged %)))
    zones))

(defn- parts [{:keys [chain zones]}]
  (concat (:revisions chain)
    (mapcat (juxt :authority :grant :deny) (vals zones))))

(defn- problems [outcome assessed]
  (if (= :valid outcome)
    (sorted-set)
    (into (sorted-set) (mapcat rules/problems) (parts assessed))))

(def ^:private option-keys #{:now :providers :keep})

(defn check-options!
  "Throws IllegalArgumentException where `options` has a key that is not in `known`."
  [options known]
  (when-let [k (first (remove known (keys options)))]
    (throw (IllegalArgumentException. (str "Unknown option " k "; known are " (sort known))))))

(defn- check-values! [{:keys [now keep]}]
  (when-not (int? now)
    (throw (IllegalArgumentException. "verify needs :now, the clock in milliseconds.")))
  (when-not (contains? #{nil :all :faults} keep)
    (throw (IllegalArgumentException. (str "The option :keep is :all or :faults, not " (pr-str keep))))))

(defn verify
  "The verdict on `record`, a decoded record or the anomaly that decoding gave.

  Options: `:now`, the clock in milliseconds (required); `:providers`, decoded records
  against which identity entries are checked, verified like any other; `:keep`, which
  judgements of revisions the verdict keeps: `:all`, or `:faults`, those that do not hold,
  so that a verdict takes no more memory for a chain that is longer."
  [record {:keys [now providers keep] :or {keep :all} :as options}]
  (check-options! options option-keys)
  (check-values! options)
  (if (error/anomaly? record)
    {:outcome :malformed :error record :problems #{(:poz/error record)} :warnings []}
    (let [{:keys [chain zones] :as assessed} (assess record now {:keep keep})
          outcome (rules/worst (cons (:outcome chain) (map :outcome (vals zones))))
          verdict {:outcome outcome
                   :problems (problems outcome assessed)
                   :chain chain
                   :zones (judge-entries zones record (assessed-providers providers now))}]
      (assoc verdict :warnings (lazy-seq ((requiring-resolve 'poz.lint/warnings) record verdict now))))))

(defn verify-bytes
  "The verdict on the file in the byte string `b`, binary or text. Options as for
  `verify`, and `:max-size` as for `poz.record/decode`."
  [b {:keys [max-size] :as options}]
  (verify (record/parse b (if max-size {:max-size max-size} {})) (dissoc options :max-size)))

(defn steps
  "Every step of the verdict in order, each with `:part`, the path of what it judges:
  `[:chain 2]`, `[:service :grant]`, `[:identity :entry 0]`."
  [{:keys [chain zones]}]
  (let [of (fn [part judgement] (map #(assoc % :part part) (:steps judgement)))]
    (concat
      (mapcat (fn [r] (of [:chain (:serial r)] r)) (:revisions chain))
      (mapcat (fn [z]
                (let [judged (zones z)]
                  (concat
                    (mapcat (fn [part] (of [z part] (judged part))) [:authority :grant :deny])
                    (mapcat (fn [i e] (of [z :entry i] e)) (range) (:entries judged)))))
        (filter #(get zones %) zone/names)))))
