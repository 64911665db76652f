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
  (reduce + 0 (take (:max-signatures format/limits) (sort > values))))

(defn- short? [values]
  (< (long (reachable values)) (long survivorship/threshold)))

(defn- single-key [{:keys [master]}]
  (let [keys (into #{} (map :key) (:master-keys master))]
    (when (= 1 (count keys))
      [{:message (str "key " (first keys) " is the only master key and there is no recovery group: "
                   "losing it locks the record for ever")
        :loud true}])))

(defn- groups [{:keys [master]}]
  (group-by :group (:master-keys master)))

(defn- group-unreachable [{:keys [usable] :as facts}]
  (for [[group members] (sort-by key (groups facts))
        :let [values (map :value (filter (comp usable :key) members))]
        :when (short? values)]
    {:message (str "master group " group " can never reach " survivorship/threshold
                ": " (reachable values) " at most") :group group}))

(defn- keys-of-every-group [facts pred]
  (let [sets (map (fn [members] (into #{} (comp (filter pred) (map :key)) members)) (vals (groups facts)))]
    (sort (reduce (fn [a b] (into #{} (filter b) a)) sets))))

(defn- key-in-every-group [facts]
  (when (< 1 (count (groups facts)))
    (for [key (keys-of-every-group facts any?)]
      {:message (str "key " key " is in every master group: each recovery depends on it") :key key})))

(defn- key-rules-every-group [{:keys [usable] :as facts}]
  (for [key (keys-of-every-group facts #(and (usable (:key %))
                                          (<= (long survivorship/threshold) (long (:value %)))))]
    {:message (str "key " key " alone can change the master zone through every group") :key key}))

;; ## Delegations

(defn- delegations [{:keys [master]}]
  (for [z zone/names :let [d (zone/delegation master z)] :when (seq d)] [z d]))

(defn- no-delegation [{:keys [master]}]
  (for [z [:identity :service] :when (empty? (zone/delegation master z))]
    {:message (str "no key is delegated for the " (str/capitalize (name z)) " Zone") :zone z}))

(defn- unreachable [kind {:keys [usable] :as facts}]
  (for [[z d] (delegations facts)
        :let [values (map kind (filter (comp usable :key) d))]
        :when (short? values)]
    {:message (str "the " (name kind) " values delegated for " (name z) " can never reach "
                survivorship/threshold ": " (reachable values) " at most") :zone z}))

(defn- deny-below-grant [facts]
  (for [[z d] (delegations facts) {:keys [key grant deny]} d :when (< (long deny) (long grant))]
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

(defn- place [path]
  (str/join " " (map #(if (keyword? %) (name %) %) path)))

(defn- dangling [{:keys [record]}]
  (let [known (into #{} (map #(zone/entry-hash :service %)) (some->> (:service-zone record) (zone/entries :service)))]
    (fold-sections
      (fn [acc {:keys [props]} v path]
        (if (and (= :service (:names props)) (not (known v)))
          (conj acc {:message (str (place path) " cites a service that no entry of the Service Zone has") :path path})
          acc))
      [] record)))

(defn text-warnings
  "What is odd about the string `s`: a set of `:text/not-nfc`, `:text/format-character`."
  [^String s]
  (cond-> #{}
    (not (Normalizer/isNormalized s Normalizer$Form/NFC)) (conj :text/not-nfc)
    (some #(= Character/FORMAT (Character/getType (int %))) (iterator-seq (.iterator (.codePoints s))))
    (conj :text/format-character)))

(defn- texts [warning sentence {:keys [record]}]
  (fold-sections
    (fn [acc {:keys [kind]} v path]
      (if (and (= :text kind) (contains? (text-warnings v) warning))
        (conj acc {:message (str (place path) " " sentence) :path path})
        acc))
    [] record))

(defn- statement-times [{:keys [record]}]
  (concat
    (for [r (chain/revisions record)] [(str "master revision " (:serial r)) (:timestamp r)])
    (for [z (zone/zones record)
          :let [{:keys [grant deny]} (:zone (zone/sections record z))]
          dated (concat [[(str (name z) " grant") (:timestamp grant)]
                         [(str (name z) " deny") (:timestamp deny)]]
                  (for [{:keys [timestamp]} (concat (:revoked grant) (:denied deny))]
                    [(str "a denial in " (name z)) timestamp]))]
      dated)))

(defn- future [{:keys [now] :as facts}]
  (for [[what timestamp] (statement-times facts) :when (time/ahead? timestamp now)]
    {:message (str what " is dated " (time/iso timestamp) ", ahead of the clock, " (time/iso now))}))

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
  (for [[i entry] (identity-entries facts)
        :when (= :superseded (get-in verdict [:zones :identity :entries i :status]))]
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

(defn warnings
  "The warnings of `record`, whose `verdict` tells the status of its identity entries, at
  the time `now`."
  [record verdict now]
  (let [facts {:record record :master (:master-zone record) :verdict verdict :now now
               :usable (usable-keys record)}]
    (into [] (mapcat (fn [{:keys [id find]}] (map #(assoc % :warning id) (find facts))))
      (sort-by :id table))))
