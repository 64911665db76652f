(ns poz.simulate
  "Who can do what with a record or a draft, before anything is signed: `simulate`.

  A *power* is a pair: `[:master :change]` is to make the next revision (its list is free
  to choose, so the present one decides), `[zone :grant]` to add, `[zone :deny]` to revoke
  in a delegated zone. A draft counts as what it would become, and has two powers more:
  `[:draft :apply]`, by the former revision's list and its own, both, and
  `[:former :change]`, to make another revision instead.

  A key that can never verify does not count. One of unknown algorithm does, and is called
  *alien*: nobody here can check its signatures. A set of signers has 64 members at most."
  (:require
   [clojure.set :as set]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.master.chain :as chain]
   [poz.signing :as signing]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private ^:const threshold (long (:threshold format/limits)))
(def ^:private ^:const most-signers (long (:max-signatures format/limits)))
(def ^:private most-classes 64)
(def ^:private commanding #{[:master :change] [:former :change]})

(def option-rows
  "The options of `simulate`: `:doc`, `:default`, `:check`, `:rule`."
  {:limit {:doc "how many minimal sets to list of each power" :default 1000
           :check #(and (int? %) (<= 1 (long %) 100000)) :rule "an integer of 1 to 100000"}
   :without {:doc "keys that are lost" :default #{} :check set? :rule "a set of the record's key indexes"}
   :stolen {:doc "keys that a thief has, too" :default #{} :check set? :rule "a set of the record's key indexes"}})

(defn- counts? [key-map index]
  (let [{:keys [algorithm key] :as entry} (get key-map index)]
    (boolean (and entry (not= :x25519 algorithm)
               (or (not (signing/known-algorithm? algorithm)) (crypto/key-usable? algorithm key))))))

(defn- group [id values]
  {:group id :values values :members (vec (sort-by (fn [[k v]] [(- (long v)) k]) values))})

(defn- values [counted weight entries]
  (into {} (comp (filter #(and (pos? (long (weight %))) (counted (:key %)))) (map (juxt :key weight)))
    entries))

(defn- master-list [counted master-keys]
  (vec (for [[id entries] (into (sorted-map) (group-by :group master-keys))]
         (group id (values counted :value entries)))))

(defn- former [{:keys [zone-history master-zone]}]
  (when (chain/draft? master-zone) (peek (vec zone-history))))

(defn- master-powers [counted {:keys [master-zone] :as record}]
  (let [own (master-list counted (:master-keys master-zone))
        before (some->> (former record) :master-keys (master-list counted))]
    (cond-> []
      before (conj {:power [:former :change] :lists [before]})
      (or before (and (chain/draft? master-zone) (chain/genesis? master-zone)))
      (conj {:power [:draft :apply] :lists (vec (distinct (keep identity [before own])))})
      true (conj {:power [:master :change] :lists [own]}))))

(defn powers
  "The powers that `record` or draft speaks of, `[{:power :lists}]`: one set of signers
  must satisfy every list, in some one of its groups, `{:group :values :members}`."
  [{:keys [public-key-map master-zone] :as record}]
  (let [counted (memoize #(counts? public-key-map %))]
    (into (master-powers counted record)
      (for [z zone/names :let [delegation (zone/delegation master-zone z)] :when (seq delegation)
            kind [:grant :deny]]
        {:power [z kind] :lists [[(group nil (values counted kind delegation))]]}))))

(defn- fewest
  "How many of those members of a group that are `held` it takes to reach 100, or nil."
  [held {:keys [members values]}]
  (loop [vs (seq (if (< (* 8 (count held)) (count members))
                   (sort > (keep values held))
                   (keep (fn [[k v]] (when (contains? held k) v)) members)))
         n 0 sum 0]
    (cond
      (<= threshold sum) n
      (or (nil? vs) (= n most-signers)) nil
      :else (recur (next vs) (inc n) (+ sum (long (first vs)))))))

(defn- add-key
  "One key more, of the values `va` and `vb`, for `best`, where `best[n][a]` is the greatest
  sum in the second group (or -1) of `n` signers with the sum `a` in the first."
  ^longs [^longs best [va vb]]
  (let [row (inc threshold) va (long va) vb (long vb) out (aclone best)]
    (dotimes [i (* most-signers row)]
      (let [b (aget best i)]
        (when (<= 0 b)
          (let [to (+ (* row (inc (quot i row))) (min threshold (+ va (rem i row))))]
            (aset out to (max (aget out to) (min threshold (+ b vb))))))))
    out))

(defn- both-fit?
  "True if 64 signers or fewer, whose values in two groups are `pairs`, reach 100 in both."
  [pairs]
  (let [row (inc threshold)
        start (into-array Long/TYPE (cons 0 (repeat (dec (* (inc most-signers) row)) -1)))
        ^longs best (reduce add-key start pairs)]
    (boolean (some #(<= threshold (aget best (int %))) (range threshold (alength best) row)))))

(defn- jointly? [held a b]
  (let [na (fewest held a) nb (when na (fewest held b))]
    (and nb
      (or (<= (+ (long na) (long nb)) most-signers)
        (let [[a b] (map #(select-keys (:values %) held) [a b])]
          (both-fit? (for [k (keys (merge a b))] [(a k 0) (b k 0)])))))))

(defn can?
  "True if the holder of the keys `held`, a set of indexes, has the `power`: exact, however
  many keys there are."
  [{[as bs] :lists} held]
  (boolean
    (if bs
      (some (fn [a] (some #(jointly? held a %) bs)) as)
      (some #(fewest held %) as))))

(defn- having [powers held]
  (mapv :power (filter #(can? % held) powers)))

;; ## Minimal sets

(defn- restrict
  "`power` with the keys `held` only, and without groups that these cannot satisfy."
  [power held]
  (let [cut (fn [g] (when (fewest held g) (group (:group g) (select-keys (:values g) held))))]
    (update power :lists (fn [lists] (mapv #(into [] (keep cut) %) lists)))))

(defn- group-sets
  "The minimal sets of one group, up to one above `limit`. Where values fall, a set is
  minimal if its last key takes the sum over the threshold. Dead branches are not taken."
  [members limit]
  (let [n (count members) limit (long limit)
        sums (vec (reductions + 0 (map second members)))
        reach (fn [i left] (- (long (sums (min n (+ (long i) (long left))))) (long (sums i))))]
    ((fn walk [out chosen sum from]
       (loop [i (long from) out out]
         (if (or (= i n) (< limit (count out))
               (< (+ (long sum) (long (reach i (- most-signers (count chosen))))) threshold))
           out
           (let [[k v] (members i) chosen (conj chosen k) sum (+ (long sum) (long v))]
             (recur (inc i) (if (<= threshold sum) (conj out chosen) (walk out chosen sum (inc i))))))))
     [] #{} 0 0)))

(defn- shrunk
  "`keys`, which have the `power`, without those that can be missed."
  [power keys]
  (let [power (restrict power keys)]
    (reduce (fn [kept k] (let [fewer (disj kept k)] (if (can? power fewer) fewer kept)))
      keys (sort > keys))))

(defn- collect
  "The minimal sets within the `candidates`, into the `:sets` of `found`, to one above `limit`."
  [power limit found candidates]
  (reduce (fn [{:keys [sets] :as found} keys]
            (cond
              (< (long limit) (count sets)) (reduced (assoc found :complete false))
              (can? power keys) (update found :sets conj (shrunk power keys))
              :else found))
    found candidates))

(defn- list-sets [list limit]
  (reduce (fn [found {:keys [members]}]
            (let [candidates (group-sets members limit)]
              (cond-> (collect {:lists [list]} limit found candidates)
                (< (long limit) (count candidates)) (assoc :complete false))))
    {:sets #{} :complete true} list))

(defn- union-sets [{[as bs] :lists :as power} limit]
  (let [a (list-sets as limit) b (list-sets bs limit) most (* 4 (long limit))
        unions (for [x (:sets a) y (:sets b)] (into x y))]
    (collect power limit {:sets #{} :complete (and (:complete a) (:complete b) (empty? (drop most unions)))}
      (take most unions))))

(defn- entries
  "`[[key place value] …]`: each value in `powers`, with whose and which it is."
  [powers]
  (for [{:keys [lists power]} powers [j list] (map-indexed vector lists) {:keys [group members]} list
        [k v] members]
    [k [power j group] v]))

(defn minimal-sets
  "The sets of `held` keys that have the `power` and of which none can be missed, smallest
  first: `{:sets [[key …] …] :complete}`, not complete where there are more than `limit`."
  [power held limit]
  (let [power (restrict power held)
        alone (into #{} (comp (map first) (filter #(can? power #{%}))) (entries [power]))
        {:keys [lists] :as others} (restrict power (set/difference held alone))
        {:keys [sets complete]} (if (next lists) (union-sets others limit) (list-sets (first lists) limit))
        all (sort-by (juxt count identity) (map (comp vec sort) (into sets (map hash-set) alone)))]
    {:sets (vec (take limit all))
     :complete (and (or complete (not (can? others held))) (<= (count all) (long limit)))}))

;; ## Losses and thefts

(defn- classes
  "The `keys` in classes of those with the same values everywhere, heaviest first."
  [powers keys]
  (let [roles (update-vals (group-by first (entries powers)) #(set (map (comp vec rest) %)))]
    (mapv val (sort-by (fn [[role [k]]] [(- (long (transduce (map second) + role))) k])
                (group-by roles (sort keys))))))

(defn- picks
  "All ways to pick one or two keys, as far as they differ: vectors of `{:any n :of keys}`."
  [classes size]
  (if (= 1 size)
    (for [c classes] [{:any 1 :of c}])
    (for [[i a] (map-indexed vector classes) b (subvec classes i) :when (or (not= a b) (next a))]
      (if (= a b) [{:any 2 :of a}] [{:any 1 :of a} {:any 1 :of b}]))))

(defn- merged
  "The `picks` with one for those that differ in their last part only."
  [picks]
  (let [{singles 1 doubles 2} (group-by (comp :any peek) picks)
        join (fn [[init ps]] (conj init {:any 1 :of (vec (sort (mapcat (comp :of peek) ps)))}))]
    (sort-by #(mapv (comp first :of) %) (into (vec doubles) (map join) (group-by pop singles)))))

(defn- answers [picks answer]
  (let [chosen (fn [pick] (into #{} (mapcat #(take (:any %) (:of %))) pick))]
    (vec (sort-by #(mapv (comp first :of) (first (:picks %)))
           (for [[a ps] (group-by (comp answer chosen) picks)]
             (assoc a :picks (vec (merged ps))))))))

(defn- one-and-two [powers keys answer]
  (let [classes (classes powers keys) heaviest (vec (take most-classes classes))]
    {:one {:answers (answers (picks classes 1) answer) :complete true}
     :two {:answers (answers (picks heaviest 2) answer) :complete (= classes heaviest)}}))

(defn- losses [powers held]
  (let [now (having powers held)]
    (one-and-two powers held
      (fn [keys]
        (let [left (having powers (set/difference held keys)) lost (vec (remove (set left) now))]
          {:lost lost :left left :locked (boolean (some #{[:master :change]} lost))})))))

(defn- theft [powers keys]
  (let [can (having powers keys)]
    {:can can :controls-all (boolean (some commanding can))}))

;; ## Findings, as rows of severity, name, keys, message

(defn- row [severity finding keys & words]
  (when (seq keys)
    [severity finding keys (apply str (when (next keys) "any one of ") (signing/key-list (sort keys)) words)]))

(defn- master-rows [{:keys [powers held draft master]}]
  (let [possible (filter #(can? % held) powers)
        alone (set (filter #(can? master #{%}) held))
        all (set (filter (fn [k] (every? #(can? % #{k}) possible)) alone))
        needed (when (can? master held) (remove #(can? master (disj held %)) held))
        then (if draft " once this draft is applied" "")]
    [(when-not (can? master held)
       [:danger :master/locked [] (str "nobody can change the master zone: the record is locked for ever" then)])
     (row :danger :master/loss-locks needed ": losing it locks the record for ever" then)
     (row :warning :key/does-everything all " alone can do everything" then ": stealing it is stealing the record")
     (row :warning :key/changes-master (set/difference alone all)
       " alone can change the master zone" then ", and so take over the record")]))

(defn- group-rows [{:keys [master held]}]
  (for [{:keys [group values] :as g} (first (:lists master)) :when (not (fewest held g))]
    [:warning :group/dead (keys values) (str "no set of keys can ever satisfy master group " group)]))

(defn- draft-rows [{:keys [draft by-name master held]}]
  (let [[former apply] (map by-name [[:former :change] [:draft :apply]])
        [before after] (for [{[list] :lists} [former master]] (first (sort (keep #(fewest held %) list))))]
    [(when (and draft (not apply))
       [:danger :draft/history-missing [] "the former revision is not at hand: nobody can tell who may sign"])
     (when (and apply (not (can? apply held)))
       [:danger :draft/cannot-apply []
        (cond (not after) "nobody can apply this draft: its own master keys cannot be satisfied"
              (not before) "nobody can apply this draft: the former master keys cannot be satisfied"
              :else (str "nobody can apply this draft: it would take more than " most-signers " signatures"))])
     (when (and before after (< (long after) (long before)))
       [:warning :draft/easier-theft [] (str "a thief needs " after " of the new master keys, and before " before)])]))

(defn- zone-rows [{:keys [powers held]}]
  (for [{[z kind] :power :as p} powers :when (and (#{:grant :deny} kind) (not (can? p held)))]
    [:warning (case kind :grant :zone/nobody-grants :deny :zone/nobody-denies) []
     (str "nobody can " (name kind) " in the " (name z) " zone")]))

(defn- theft-rows [{:keys [powers stolen master held]}]
  (let [{:keys [can controls-all]} (theft powers stolen)]
    [(when controls-all
       [:danger :stolen/takes-over stolen "the thief can change the master zone, and so take over the record"])
     (when (and (seq stolen) (not controls-all) (can? master held))
       [(if (seq can) :danger :note) :stolen/replace stolen
        "the thief cannot change the master zone: replace the stolen keys"])]))

(defn- key-rows [{:keys [never alien]}]
  [(row :warning :key/never-verifies never " can never verify, and counts for nothing")
   (row :note :key/alien alien " cannot be checked here: its algorithm is unknown")])

(defn- findings [facts]
  (->> (mapcat #(% facts) [master-rows draft-rows zone-rows group-rows theft-rows key-rows])
    (keep (fn [[severity finding keys message]]
            (when finding {:finding finding :severity severity :keys (vec (sort keys)) :message message})))
    (sort-by (comp {:danger 0 :warning 1 :note 2} :severity)) vec))

(defn- checked [{:keys [public-key-map]} options]
  (verify/check-options! options (set (keys option-rows)))
  (doseq [[k v] options :let [{:keys [check rule]} (option-rows k)]]
    (when-not (and (check v) (or (int? v) (every? #(and (nat-int? %) (contains? public-key-map %)) v)))
      (throw (IllegalArgumentException. (str "Option " k " is " rule ", not " (pr-str v) ".")))))
  (into (update-vals option-rows :default) options))

(defn- facts [{:keys [public-key-map master-zone] :as record} {:keys [without stolen]}]
  (let [powers (powers record) players (into #{} (map first) (entries powers))
        by-name (into {} (map (juxt :power identity)) powers)
        named (concat (mapcat :master-keys [master-zone (former record)]) (:delegations master-zone))]
    {:draft (chain/draft? master-zone) :powers powers :players players :by-name by-name
     :master (by-name [:master :change])
     :never (into #{} (comp (map :key) (remove players)) named)
     :alien (into #{} (remove #(signing/known-algorithm? (:algorithm (get public-key-map %)))) players)
     :held (set/difference players without) :stolen (set/intersection players stolen)}))

(defn simulate
  "What the keys of `record`, a decoded record or draft, can do; an anomaly comes back.

      {:draft false :keys {:players :held :stolen :never :alien}   ; sets of indexes
       :powers   [{:power :possible :checkable :controls-all :sets :complete} …]
       :losses   {:one {:answers [{:lost :left :locked :picks} …] :complete} :two …}
       :thief    {:can [power …] :controls-all}           ; with the stolen keys
       :thefts   {:one {:answers [{:can :controls-all :picks} …] :complete} :two …}
       :findings [{:finding :severity :keys :message} …]} ; :danger, :warning, :note

  `:sets` are the minimal sets (`minimal-sets`), `:checkable` tells if keys of known
  algorithm suffice. Losses are of one or two keys beside those `:without`, thefts beside
  those `:stolen`; who can change the master zone controls all. A *pick*, `[{:any 1 :of keys}
  …]`, is every such choice; of more than 64 kinds of keys the heaviest only are paired, and
  `:complete` is false. Options: see `option-rows`."
  ([record] (simulate record {}))
  ([record options]
   (if (error/anomaly? record) record
     (let [{:keys [limit] :as options} (checked record options)
           {:keys [powers held stolen alien] :as facts} (facts record options)
           known (set/difference held alien)]
       {:draft (:draft facts)
        :keys (update-vals (select-keys facts [:players :held :stolen :never :alien]) #(into (sorted-set) %))
        :powers (vec (for [{:keys [power] :as p} powers]
                       (into {:power power :possible (can? p held) :checkable (can? p known)
                              :controls-all (contains? commanding power)}
                         (minimal-sets p held limit))))
        :losses (losses powers held)
        :thief (theft powers stolen)
        :thefts (one-and-two powers (set/difference held stolen) #(theft powers (into stolen %)))
        :findings (findings facts)}))))
