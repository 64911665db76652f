(ns poz.lint
  "Warnings (format.md §10): what is allowed and yet somebody should know, such as a record
  that one lost key locks for ever. A warning never changes an outcome.

  `table` has a row for each, `warnings` gives those of a record as
  `[{:warning keyword :message sentence …}]`, sorted by keyword."
  (:refer-clojure :exclude [future])
  (:require
   [clojure.string :as str]
   [poz.address :as address]
   [poz.codec :as codec]
   [poz.codec.gather :as gather]
   [poz.crypto :as crypto]
   [poz.format :as format]
   [poz.master.chain :as chain]
   [poz.master.survivorship :as survivorship]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.time :as time]
   [poz.zone :as zone])
  (:import
   (java.text Normalizer Normalizer$Form)))

(set! *warn-on-reflection* true)

;; ## Master keys

(defn- usable? [{:keys [algorithm key]}]
  (or (not (signing/known-algorithm? algorithm))
    (crypto/key-usable? algorithm key)))

(defn- usable-keys
  "The indexes of keys of the record that can verify something."
  [{:keys [public-key-map]}]
  (into #{} (keep-indexed (fn [i k] (when (usable? k) i))) public-key-map))

(defn reachable
  "The greatest sum that signers can reach with these values: a statement has at most 64
  signatures, so the 64 highest values count."
  [values]
  (let [most (long (:max-signatures format/limits))]
    (reduce + 0 (if (<= (count values) most) values (take most (sort > values))))))

(defn- short? [values]
  (< (long (reachable values)) (long survivorship/threshold)))

(defn- single-key [{:keys [master]}]
  (let [keys (into #{} (map :key) (:master-keys master))]
    (when (= 1 (count keys))
      [{:message (str "key " (first keys) " is the only master key and there is no recovery group: "
                   "losing it locks the record for ever")
        :loud true}])))

(defn- group-unreachable [{:keys [groups usable]}]
  (for [[group members] (sort-by key groups)
        :let [values (into [] (comp (filter (comp usable :key)) (map :value)) members)]
        :when (short? values)]
    {:message (str "master group " group " can never reach " survivorship/threshold
                ": " (reachable values) " at most") :group group}))

(defn- keys-of-every-group [{:keys [groups]} pred]
  (let [sets (map (fn [members] (into #{} (comp (filter pred) (map :key)) members)) (vals groups))]
    (sort (reduce (fn [a b] (into #{} (filter b) a)) sets))))

(defn- key-in-every-group [facts]
  (when (< 1 (count (:groups facts)))
    (for [key (keys-of-every-group facts any?)]
      {:message (str "key " key " is in every master group: each recovery depends on it") :key key})))

(defn- key-rules-every-group [{:keys [usable] :as facts}]
  (for [key (keys-of-every-group facts #(and (usable (:key %))
                                          (<= (long survivorship/threshold) (long (:value %)))))]
    {:message (str "key " key " alone can change the master zone through every group") :key key}))

;; ## Delegations

(defn- delegations
  "`[[zone keys]]` of the zones for which the revision `master` delegates anything."
  [{:keys [delegations]}]
  (let [by-zone (group-by :authority delegations)]
    (into [] (keep #(find by-zone %)) zone/names)))

(defn- no-delegation [{:keys [delegations]}]
  (for [z [:identity :service] :when (not-any? #(= z (first %)) delegations)]
    {:message (str "no key is delegated for the " (str/capitalize (name z)) " Zone") :zone z}))

(defn- unreachable [kind {:keys [delegations usable]}]
  (for [[z d] delegations
        :let [values (into [] (comp (filter (comp usable :key)) (map kind)) d)]
        :when (short? values)]
    {:message (str "the " (name kind) " values delegated for " (name z) " can never reach "
                survivorship/threshold ": " (reachable values) " at most") :zone z}))

(defn- deny-below-grant [{:keys [delegations]}]
  (for [[z d] delegations {:keys [key grant deny]} d :when (< (long deny) (long grant))]
    {:message (str "key " key " can grant " grant " and deny only " deny " in " (name z)
                ": revoking is harder than adding") :zone z :key key}))

;; ## Contents

(defn- fold-sections
  "Folds `f` of acc, node, value and path over every known section of the record."
  [f acc record]
  (reduce (fn [acc {:keys [key]}]
            (if-let [v (get record key)]
              (codec/fold f acc (:node (:codec (record/section-by-key key))) v [key])
              acc))
    acc format/sections))

(defn- gatherers
  "`[key gather]` (`poz.codec.gather`) of each section that may hold parts whose nodes
  meet `pred`."
  [pred]
  (into [] (keep (fn [{:keys [key codec]}]
                   (when-let [gather (gather/gatherer pred (:node codec))] [key gather])))
    (map (comp record/section-by-key :key) format/sections)))

(defn- any-part?
  "True if `pred` holds for any of the parts of `record` that `gatherers` visit."
  [pred gatherers record]
  (reduce (fn [_ [key gather]]
            (let [v (get record key)]
              (if (and (some? v) (gather (fn [found part] (or found (pred part))) false v))
                (reduced true)
                false)))
    false gatherers))

(defn- place [path]
  (str/join " " (map #(if (keyword? %) (name %) %) path)))

(defn- names-service? [{:keys [props]}]
  (= :service (:names props)))

(def ^:private service-gatherers (gatherers names-service?))

(defn- service-hashes
  "The hashes of all services of `record`, from its `verdict` where that has them."
  [{:keys [record verdict]}]
  (if-let [judged (get-in verdict [:zones :service :entries])]
    (into #{} (map :hash) judged)
    (into #{} (map #(zone/entry-hash :service %)) (some->> (:service-zone record) (zone/entries :service)))))

(defn- dangling [{:keys [record] :as facts}]
  (let [known (delay (service-hashes facts))]
    (when (any-part? #(not (contains? @known %)) service-gatherers record)
      (fold-sections
        (fn [acc node v path]
          (if (and (names-service? node) (not (contains? @known v)))
            (conj acc {:message (str (place path) " cites a service that no entry of the Service Zone has") :path path})
            acc))
        [] record))))

(defn text-warnings
  "What is odd about the string `s`: a set of `:text/not-nfc`, `:text/format-character`."
  [^String s]
  (cond-> #{}
    (not (Normalizer/isNormalized s Normalizer$Form/NFC)) (conj :text/not-nfc)
    (some #(= Character/FORMAT (Character/getType (int %))) (iterator-seq (.iterator (.codePoints s))))
    (conj :text/format-character)))

(defn- text? [{:keys [kind]}]
  (= :text kind))

(def ^:private text-gatherers (gatherers text?))

(defn- beyond-ascii?
  "True if `s` has a char that is not ASCII. Nothing is odd about any other string."
  [^String s]
  (let [end (.length s)]
    (loop [i 0]
      (cond (= i end) false
            (< 0x7f (int (.charAt s i))) true
            :else (recur (inc i))))))

(defn- texts [warning sentence {:keys [record]}]
  (when (any-part? beyond-ascii? text-gatherers record)
    (fold-sections
      (fn [acc node v path]
        (if (and (text? node) (contains? (text-warnings v) warning))
          (conj acc {:message (str (place path) " " sentence) :path path})
          acc))
      [] record)))

(defn- zone-times [record zone]
  (let [{:keys [grant deny]} (:zone (zone/sections record zone))
        denials (concat (:revoked grant) (:denied deny))]
    (into [[[(name zone) " grant"] (:timestamp grant)]
           [[(name zone) " deny"] (:timestamp deny)]]
      (map (fn [{:keys [timestamp]}] [["a denial in " (name zone)] timestamp]))
      denials)))

(defn- statement-times
  "`[words time]` of all that is dated in `record`."
  [{:keys [record]}]
  (concat
    (map (fn [{:keys [serial timestamp]}] [["master revision " serial] timestamp]) (chain/revisions record))
    (mapcat #(zone-times record %) (zone/zones record))))

(defn- future [{:keys [now] :as facts}]
  (for [[what timestamp] (statement-times facts) :when (time/ahead? timestamp now)]
    {:message (str (str/join what) " is dated " (time/iso timestamp) ", ahead of the clock, " (time/iso now))}))

(defn- never-verifies [{:keys [record usable]}]
  (for [i (range (count (:public-key-map record))) :when (not (usable i))]
    {:message (str "key " i " can never verify anything") :key i}))

(defn- unknown-algorithms [{:keys [record]}]
  (keep-indexed (fn [i {:keys [algorithm]}]
                  (when-not (signing/known-algorithm? algorithm)
                    {:message (str "key " i " is of algorithm " algorithm ", which is not known here") :key i}))
    (:public-key-map record)))

(defn- unknown-sections [{:keys [record]}]
  (for [[code b] (:unknown-sections record)]
    {:message (clojure.core/format "section 0x%04x of %d bytes is not known here" code (count b)) :section code}))

;; ## Identity entries

(defn- identity-entries [{:keys [record]}]
  (map-indexed vector (some->> (:identity-zone record) (zone/entries :identity))))

(defn- superseded [{:keys [verdict] :as facts}]
  (for [[[i entry] judged] (map vector (identity-entries facts) (get-in verdict [:zones :identity :entries]))
        :when (= :superseded (:status judged))]
    {:message (str (address/of-entry entry) " was signed by keys that its provider has since replaced") :entry i}))

(defn- unproven [facts]
  (for [[i {:keys [authority-domain] :as entry}] (identity-entries facts)]
    {:message (str (address/of-entry entry) ": nothing here proves that " authority-domain " belongs to the provider") :entry i}))

(def table
  "Every warning: `:id`, `:doc`, and `:find`, a function of the facts that gives a map with
  a `:message` for each place."
  [{:id :master/single-key :doc "One master key and no recovery group." :find single-key}
   {:id :master/group-unreachable :doc "A master group that can never reach 100." :find group-unreachable}
   {:id :master/key-in-every-group :doc "The same key in every master group." :find key-in-every-group}
   {:id :master/key-rules-every-group :doc "One key reaches 100 alone in every master group." :find key-rules-every-group}
   {:id :delegation/none :doc "No Identity or no Service delegation." :find no-delegation}
   {:id :delegation/grant-unreachable :doc "A delegation whose grant values can never reach 100." :find #(unreachable :grant %)}
   {:id :delegation/deny-unreachable :doc "A delegation whose deny values can never reach 100." :find #(unreachable :deny %)}
   {:id :delegation/deny-below-grant :doc "A key with a deny value below its grant value." :find deny-below-grant}
   {:id :service/dangling :doc "A cited service hash that no entry has." :find dangling}
   {:id :time/future :doc "A timestamp ahead of the clock." :find future}
   {:id :identity/superseded :doc "An entry signed by keys that the provider has since replaced." :find superseded}
   {:id :identity/domain-unproven :doc "An entry whose domain discovery has not tied to its provider." :find unproven}
   {:id :text/not-nfc :doc "A string that is not in NFC." :find #(texts :text/not-nfc "is not in Unicode normal form C" %)}
   {:id :text/format-character :doc "A string with invisible format characters." :find #(texts :text/format-character "holds an invisible format character" %)}
   {:id :key/never-verifies :doc "A key that can never verify anything." :find never-verifies}
   {:id :key/unknown-algorithm :doc "A key of an algorithm that is not known here." :find unknown-algorithms}
   {:id :section/unknown :doc "A section that is not known here." :find unknown-sections}])

(def ^:private sorted-table (sort-by :id table))

(defn warnings
  "The warnings of `record`, whose `verdict` tells the status of its identity entries, at
  the time `now`."
  [record verdict now]
  (let [master (:master-zone record)
        facts {:record record :master master :verdict verdict :now now
               :groups (group-by :group (:master-keys master))
               :delegations (delegations master)
               :usable (usable-keys record)}]
    (reduce (fn [found {:keys [id find]}]
              (reduce #(conj %1 (assoc %2 :warning id)) found (find facts)))
      [] sorted-table)))
