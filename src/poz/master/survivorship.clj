(ns poz.master.survivorship
  "Who may change a master zone (format.md §4): in some *one* group of a master key list
  the values of the signers sum to 100 or more. Groups never combine.

  A *list* here is a `:master-keys` vector of `{:group :key :value}`, `signers` a set of
  key indexes. Sums and sets only: nothing here sees a signature."
  (:require
   [clojure.string :as str]
   [poz.format :as format]))

(set! *warn-on-reflection* true)

(def threshold
  "What the values of the signers in one group must reach."
  (:threshold format/limits))

(defn sums
  "Group → the sum of the values that `signers` have in it; every group is there."
  [master-keys signers]
  (reduce (fn [sums share]
            (let [sum (long (get sums (:group share) 0))]
              (assoc sums (:group share) (if (contains? signers (:key share)) (+ sum (long (:value share))) sum))))
    (sorted-map) master-keys))

(defn reached?
  "True if one of `sums` is the threshold or more."
  [sums]
  (reduce-kv (fn [_ _ sum] (if (<= (long threshold) (long sum)) (reduced true) false)) false sums))

(defn satisfied?
  "True if `signers` reach the threshold in some one group of the list."
  [master-keys signers]
  (reached? (sums master-keys signers)))

(defn authorised?
  "True if `signers` satisfy every one of `lists`: the former revision's and its own."
  [lists signers]
  (every? #(satisfied? % signers) lists))

(defn- reached-without?
  "True if the signers of the list whose `sums` these are would satisfy it without `key`."
  [master-keys sums key]
  (reached? (reduce (fn [left share]
                      (if (= key (:key share))
                        (assoc left (:group share) (- (long (get left (:group share))) (long (:value share))))
                        left))
              sums master-keys)))

(defn spare
  "The signers, ascending, without any one of whom `lists` would still be satisfied."
  [lists signers]
  (let [with-sums (mapv (fn [list] [list (sums list signers)]) lists)]
    (if (every? (comp reached? peek) with-sums)
      (into [] (filter (fn [key] (every? (fn [[list sums]] (reached-without? list sums key)) with-sums)))
        (sort signers))
      [])))

(defn without-spare
  "The signers that are left when spare ones are dropped, highest index first."
  [lists signers]
  (reduce (fn [kept key]
            (if (authorised? lists (disj kept key)) (disj kept key) kept))
    signers (sort > signers)))

(defn- addends [master-keys group signers]
  (for [{:keys [key value] g :group} master-keys :when (and (= g group) (contains? signers key))]
    value))

(defn group-line
  "A group's sum as a person adds it up: \"group 2: 40 + 40 = 80 of 100\"."
  [master-keys group signers]
  (let [values (addends master-keys group signers)
        sum (reduce + 0 values)]
    (str "group " group ": "
      (when (next values) (str (str/join " + " values) " = "))
      sum " of " threshold)))

(defn explain
  "All groups' sums in one line."
  [master-keys signers]
  (str/join "; " (map #(group-line master-keys % signers) (keys (sums master-keys signers)))))

(defn missing
  "What is still needed in the group that is nearest to the threshold (of several the one
  with the fewest keys left): `{:group :needed :from [key …]}`, or nil where the list is
  satisfied."
  [master-keys signers]
  (when-not (satisfied? master-keys signers)
    (first
      (sort-by (juxt :needed (comp count :from))
        (for [[group sum] (sums master-keys signers)]
          {:group group
           :needed (- (long threshold) (long sum))
           :from (into [] (comp (filter #(= group (:group %))) (map :key) (remove signers)) master-keys)})))))
