(ns poz.master.survivorship-test
  (:require
   [clojure.set :as set]
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.master.survivorship :as survivorship]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(deftest golden-sums
  (doseq [{:keys [master_keys signers satisfied spare applied sums] :as case} (:survivorship (vectors/json "primitives.json"))
          :let [signers (set signers)]]
    (testing case
      (is (= satisfied (survivorship/satisfied? master_keys signers)))
      (is (= sums (update-keys (survivorship/sums master_keys signers) (comp keyword str))))
      (is (= spare (survivorship/spare [master_keys] signers)))
      (when applied
        (is (= applied (sort (survivorship/without-spare [master_keys] signers))))))))

;; The same, computed otherwise

(def ^:private key-list
  "Master key lists of few keys, whose values add up to 100 often."
  (gen/fmap (fn [rows] (vec (sort-by (juxt :group :key) (vals (into {} (map (juxt (juxt :group :key) identity)) rows)))))
    (gen/vector (gen/hash-map :group (gen/elements [0 1 2 255])
                  :key (gen/choose 0 5)
                  :value (gen/frequency [[4 (gen/elements [20 25 33 34 40 50 60 75])] [1 (gen/choose 1 100)] [1 (gen/return 100)]]))
      1 9)))

(def ^:private some-signers
  (gen/fmap set (gen/vector (gen/choose 0 6) 0 7)))

(defn- subsets [s]
  (reduce (fn [acc x] (into acc (map #(conj % x)) acc)) [#{}] s))

(defn- reaches?
  "Whether in one group there are some signers, each counted once, with 100 between them."
  [rows signers]
  (boolean
    (some (fn [group]
            (let [worth (into {} (keep (fn [r] (when (= group (r :group)) [(r :key) (r :value)]))) rows)]
              (some #(<= 100 (apply + (vals (select-keys worth %)))) (subsets signers))))
      [0 1 2 255])))

(defspec satisfied-as-brute-force-says 1500
  (prop/for-all [rows key-list signers some-signers]
    (= (reaches? rows signers) (survivorship/satisfied? rows signers))))

(defspec more-signers-never-harm 500
  (prop/for-all [rows key-list signers some-signers more some-signers]
    (or (not (survivorship/satisfied? rows signers))
      (survivorship/satisfied? rows (set/union signers more)))))

(defspec groups-never-add-up 500
  (prop/for-all [rows key-list signers some-signers]
    (= (survivorship/satisfied? rows signers)
       (boolean (some (fn [[_ group]] (survivorship/satisfied? (vec group) signers)) (group-by :group rows))))))

(defspec spare-is-who-may-be-left-out 1000
  (prop/for-all [lists (gen/vector key-list 1 2) signers some-signers]
    (let [authorised? (fn [signers] (every? #(reaches? % signers) lists))]
      (= (if (authorised? signers) (filterv #(authorised? (disj signers %)) (sort signers)) [])
         (survivorship/spare lists signers)))))

(defspec without-spare-nobody-is-spare 1000
  (prop/for-all [lists (gen/vector key-list 1 2) signers some-signers]
    (let [left (survivorship/without-spare lists signers)]
      (and (set/subset? left signers)
        (= (survivorship/authorised? lists signers) (survivorship/authorised? lists left))
        (if (survivorship/authorised? lists signers)
          (empty? (survivorship/spare lists left))
          (= left signers))))))

(defspec what-is-missing-would-do 500
  (prop/for-all [rows key-list signers some-signers]
    (let [{:keys [group needed from] :as missing} (survivorship/missing rows signers)
          sums (survivorship/sums rows signers)]
      (if (survivorship/satisfied? rows signers)
        (nil? missing)
        (and (= needed (- 100 (sums group)))
          (= (sums group) (apply max (vals sums)))
          (not-any? signers from)
          (= (set from) (set/difference (into #{} (comp (filter #(= group (:group %))) (map :key)) rows) signers)))))))

;; In words

(deftest sums-as-a-person-adds-them-up
  (let [rows (v/values [[1 0 100] [2 1 40] [2 2 40] [2 3 40]])]
    (are [signers line] (= line (survivorship/explain rows signers))
      #{} "group 1: 0 of 100; group 2: 0 of 100"
      #{1} "group 1: 0 of 100; group 2: 40 of 100"
      #{1 3} "group 1: 0 of 100; group 2: 40 + 40 = 80 of 100"
      #{0 1 2 3} "group 1: 100 of 100; group 2: 40 + 40 + 40 = 120 of 100")
    (is (= "group 2: 40 + 40 = 80 of 100" (survivorship/group-line rows 2 #{1 3})))))

(deftest sums-name-every-group
  (is (= {0 0, 1 0, 255 7} (survivorship/sums (v/values [[0 0 1] [1 0 100] [255 2 7]]) #{2}))))
