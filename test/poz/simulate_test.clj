(ns poz.simulate-test
  "Who can do what: against brute force over all subsets of few keys, for patterns and
  golden records, and within bounds for the greatest records."
  (:require
   [clojure.set :as set]
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.master.chain :as chain]
   [poz.pattern :as pattern]
   [poz.record :as record]
   [poz.simulate :as simulate]
   [poz.vectors :as vectors]))

(set! *warn-on-reflection* true)

;; ## Records to ask about: no signature matters, so there is none

(def ^:private good-keys
  (vec (for [i (range 8)]
         {:algorithm :ed25519
          :key (crypto/public-key :ed25519 (bytes/secret (bytes/wrap (byte-array 32 (byte i)))))})))

(def ^:private bad-key
  "Of small order: it can never verify."
  {:algorithm :ed25519 :key (bytes/zeros 32)})

(defn- alien [i]
  {:algorithm 200 :key (bytes/wrap (byte-array 2 (byte i)))})

(defn- revision [serial master-keys delegations draft]
  {:serial serial :timestamp serial
   :current-master-hash (if draft chain/zero (bytes/wrap (byte-array 32 (byte 7))))
   :master-keys (vec master-keys) :delegations (vec delegations) :signatures []})

(defn- record-of [key-map master-keys delegations]
  {:public-key-map (vec key-map) :master-zone (revision 1 master-keys delegations false)})

(defn- draft-of [key-map former own]
  {:public-key-map (vec key-map) :master-zone (revision 2 own [] true)
   :zone-history [(revision 1 former [] false)]})

(def ^:private value-gen
  (gen/frequency [[3 (gen/elements [100 50 40 34 33 25 20])] [1 (gen/choose 1 100)]]))

(def ^:private share-gen
  (gen/frequency [[3 (gen/elements [100 50 34 33])] [1 (gen/choose 0 100)] [1 (gen/return 0)]]))

(defn- master-keys-gen [n]
  (gen/fmap (fn [m] (vec (for [[[g k] v] (sort m)] {:group g :key k :value v})))
    (gen/map (gen/tuple (gen/choose 0 2) (gen/choose 0 (dec n))) value-gen {:min-elements 1 :max-elements 12})))

(defn- delegations-gen [n]
  (gen/fmap (fn [m] (vec (for [[[z k] [g d]] (sort m) :when (pos? (+ g d))] {:authority z :key k :grant g :deny d})))
    (gen/map (gen/tuple (gen/elements [:feed :service]) (gen/choose 0 (dec n))) (gen/tuple share-gen share-gen)
      {:max-elements 8})))

(defn- key-gen [i]
  (gen/frequency [[7 (gen/return (good-keys i))] [1 (gen/return (alien i))] [1 (gen/return bad-key)]]))

(def ^:private record-gen
  (gen/let [n (gen/frequency [[5 (gen/choose 1 5)] [1 (gen/choose 6 8)]])
            key-map (apply gen/tuple (map key-gen (range n)))
            own (master-keys-gen n)
            former (gen/one-of [(gen/return nil) (master-keys-gen n)])
            delegations (delegations-gen n)
            draft gen/boolean]
    (cond-> {:public-key-map key-map :master-zone (revision (if former 2 1) own delegations draft)}
      former (assoc :zone-history [(revision 1 former [] false)]))))

(def case-gen
  "A generator of a record and what is lost and stolen of it: `[record {:without :stolen}]`."
  (gen/let [record record-gen
            without (gen/frequency [[3 (gen/return [])] [1 (gen/vector (gen/choose 0 7) 0 2)]])
            stolen (gen/frequency [[3 (gen/return [])] [1 (gen/vector (gen/choose 0 7) 0 2)]])]
    (let [there (fn [ks] (set (filter #(< % (count (:public-key-map record))) ks)))]
      [record {:without (there without) :stolen (there stolen)}])))

;; ## Brute force: nothing but the rules of the format, over every subset

(defn- dead-keys [{:keys [public-key-map]}]
  (set (keep-indexed (fn [i k] (when (= bad-key k) i)) public-key-map)))

(defn- list-holds? [master-keys signers]
  (some (fn [g] (<= 100 (apply + (for [{:keys [group key value]} master-keys
                                       :when (and (= g group) (signers key))] value))))
    (distinct (map :group master-keys))))

(defn- delegation-holds? [delegations zone kind signers]
  (<= 100 (apply + (for [d delegations :when (and (= zone (:authority d)) (signers (:key d)))] (kind d)))))

(defn- rules-of
  "Power → a predicate on signers, as the format has it."
  [{:keys [master-zone zone-history] :as record}]
  (let [{:keys [master-keys delegations serial]} master-zone
        former (:master-keys (last zone-history))
        draft (= chain/zero (:current-master-hash master-zone))
        dead (dead-keys record)
        able (fn [pred] (fn [signers] (boolean (pred (set/difference signers dead)))))]
    (update-vals
      (cond-> {[:master :change] #(list-holds? master-keys %)}
        (and draft former) (assoc [:former :change] #(list-holds? former %)
                             [:draft :apply] #(and (list-holds? former %) (list-holds? master-keys %)))
        (and draft (= 1 serial)) (assoc [:draft :apply] #(list-holds? master-keys %))
        true (into (for [z (distinct (map :authority delegations)) kind [:grant :deny]]
                     [[z kind] #(delegation-holds? delegations z kind %)])))
      able)))

(defn- subsets [xs]
  (reduce (fn [acc x] (into acc (map #(conj % x)) acc)) [#{}] xs))

(defn- brute-minimal [rule keys]
  (let [able (filter rule (subsets keys))]
    (set (remove (fn [s] (some #(and (not= % s) (set/subset? % s)) able)) able))))

(defn- holders [rules held]
  (set (keep (fn [[power rule]] (when (rule held) power)) rules)))

(defn- expanded
  "Set of keys → the answer of `analysis` for it."
  [{:keys [answers]}]
  (into {} (for [{:keys [picks] :as answer} answers, pick picks
                 s (reduce (fn [acc {:keys [any of]}]
                             (for [s acc, t (filter #(= any (count %)) (subsets of))
                                   :when (empty? (set/intersection s t))]
                               (into s t)))
                     [#{}] pick)]
             [s answer])))

(defn- of-size [n xs]
  (set (filter #(= n (count %)) (subsets xs))))

(defn- sets-agree? [rules held {:keys [powers]}]
  (and (= (set (keys rules)) (set (map :power powers)))
    (every? (fn [{:keys [power sets possible complete]}]
              (and complete
                (= (brute-minimal (rules power) held) (set (map set sets)))
                (= (count sets) (count (set sets)))
                (= possible ((rules power) held))))
      powers)))

(defn- losses-agree? [rules held analysis n]
  (let [found (expanded analysis) now (holders rules held)]
    (and (= (of-size n held) (set (keys found)))
      (every? (fn [[s {:keys [lost left locked]}]]
                (let [then (holders rules (set/difference held s))]
                  (and (= then (set left)) (= (set/difference now then) (set lost))
                    (= locked (contains? (set lost) [:master :change])))))
        found))))

(defn- thefts-agree? [rules candidates stolen analysis n]
  (let [found (expanded analysis)]
    (and (= (of-size n candidates) (set (keys found)))
      (every? (fn [[s {:keys [can controls-all]}]]
                (and (= (holders rules (into stolen s)) (set can))
                  (= controls-all (boolean (some #{[:master :change] [:former :change]} can)))))
        found))))

(defspec answers-equal-brute-force 1000
  (prop/for-all [[record {:keys [without stolen] :as options}] case-gen]
    (let [rules (rules-of record)
          {:keys [losses thefts thief] {:keys [players held]} :keys :as result} (simulate/simulate record options)]
      (and (empty? (set/intersection held without))
        (= held (set/difference players without))
        (sets-agree? rules (set held) result)
        (losses-agree? rules (set held) (:one losses) 1)
        (losses-agree? rules (set held) (:two losses) 2)
        (= (holders rules stolen) (set (:can thief)))
        (thefts-agree? rules (set/difference held stolen) stolen (:one thefts) 1)
        (thefts-agree? rules (set/difference held stolen) stolen (:two thefts) 2)))))

(defspec yes-and-no-equal-brute-force 1000
  (prop/for-all [record record-gen, held (gen/fmap set (gen/vector (gen/choose 0 7) 0 8))]
    (let [rules (rules-of record)]
      (every? (fn [{:keys [power] :as p}] (= ((rules power) held) (simulate/can? p held)))
        (simulate/powers record)))))

(defspec few-sets-are-right-sets 300
  (prop/for-all [record record-gen, limit (gen/choose 1 4)]
    (let [rules (rules-of record) held (set (range (count (:public-key-map record))))]
      (every? (fn [p]
                (let [all (brute-minimal (rules (:power p)) held)
                      {:keys [sets complete]} (simulate/minimal-sets p held limit)]
                  (and (<= (count sets) limit)
                    (set/subset? (set (map set sets)) all)
                    (if complete (= (count all) (count sets)) (pos? (count sets))))))
        (simulate/powers record)))))

;; ## Findings and patterns

(defn- findings [record & [options]]
  (set (map :finding (:findings (simulate/simulate record (or options {}))))))

(defn- sets [record power]
  (:sets (first (filter #(= power (:power %)) (:powers (simulate/simulate record))))))

(deftest patterns
  (doseq [[name master grant deny found]
          [["sole" [[0]] [[0]] [[0]] #{:master/loss-locks :key/does-everything}]
           ["two-devices" [[2] [0 1]] [[0 1]] [[0] [1]] #{:key/changes-master}]
           ["solo-family" [[0] [1 2 3]] [[0]] [[0]] #{:key/does-everything}]
           ["solo-agency" [[0] [1 2]] [[0]] [[0]] #{:key/does-everything}]
           ["multi-sig" [[3] [0 1 2]] [[0 1 2]] [[0] [1] [2]] #{:key/changes-master}]
           ["hybrid" [[0 1] [2 3]] [[0 1]] [[0] [1]] #{}]]]
    (testing name
      (let [p (pattern/pattern name)
            keys (map (fn [{:keys [algorithm]} {:keys [key]}] (if (= :ed25519 algorithm) key (bytes/zeros 1952)))
                   (:keys p) good-keys)
            draft (pattern/draft p keys 1)]
        (is (= master (sets draft [:master :change]) (sets draft [:draft :apply])))
        (is (= grant (sets draft [:service :grant])))
        (is (= deny (sets draft [:service :deny])))
        (is (= found (findings draft))))))
  (is (= 6 (count pattern/patterns))))

(defn- master [& triples]
  (for [[g k v] triples] {:group g :key k :value v}))

(deftest lock-outs-have-names
  (doseq [[finding record options]
          [[:master/locked (record-of good-keys (master [1 0 50] [2 1 50]) [])]
           [:master/locked (record-of good-keys (master [1 0 100]) []) {:without #{0}}]
           [:master/loss-locks (record-of good-keys (master [1 0 100]) [])]
           [:group/dead (record-of good-keys (master [1 0 100] [2 1 50] [2 2 49]) [])]
           [:zone/nobody-grants (record-of good-keys (master [1 0 100]) [{:authority :feed :key 1 :grant 50 :deny 100}])]
           [:zone/nobody-denies (record-of good-keys (master [1 0 100]) [{:authority :feed :key 1 :grant 100 :deny 50}])]
           [:key/never-verifies (record-of [bad-key (good-keys 1)] (master [1 0 100] [1 1 100]) [])]
           [:key/alien (record-of [(alien 1)] (master [1 0 100]) [])]
           [:stolen/takes-over (record-of good-keys (master [1 0 100]) []) {:stolen #{0}}]
           [:stolen/replace (record-of good-keys (master [1 0 50] [1 1 50] [2 2 100]) []) {:stolen #{0}}]
           [:draft/cannot-apply (draft-of good-keys (master [1 0 100]) (master [1 1 99]))]
           [:draft/cannot-apply (draft-of good-keys (master [1 0 99]) (master [1 1 100]))]
           [:draft/easier-theft (draft-of good-keys (master [1 0 50] [1 1 50]) (master [1 0 50] [1 1 50] [2 2 100]))]
           [:draft/history-missing (dissoc (draft-of good-keys (master [1 0 100]) (master [1 0 100])) :zone-history)]]]
    (testing [finding options]
      (is (contains? (findings record options) finding))))
  (testing "a theft tells how grave it is, the gravest first"
    (let [record (record-of good-keys (master [1 0 100] [2 1 50] [2 2 50]) [{:authority :feed :key 1 :grant 100 :deny 0}])
          result (simulate/simulate record {:stolen #{1}})]
      (is (= [:danger :stolen/replace [1]] ((juxt :severity :finding :keys) (first (:findings result)))))
      (is (= {:can [[:feed :grant]] :controls-all false} (:thief result))))))

(deftest sixty-four-signatures
  (testing "two lists that overlap in n keys of 50 each, all of which both need"
    (doseq [n [30 35 36 37 50]]
      (let [keys (map alien (range 100))
            part (fn [from] (for [k (range from (+ from 50))] {:group 1 :key k :value 2}))
            draft (draft-of keys (part 0) (part (- 50 n)))
            apply (second (simulate/powers draft))]
        (is (= [:draft :apply] (:power apply)))
        (is (= (<= (- 100 n) 64) (simulate/can? apply (set (range 100)))) n)
        (is (not (simulate/can? apply (set (range 1 100)))) n)
        (is (= (< n 36) (contains? (findings draft) :draft/cannot-apply)))))))

;; ## Golden records, great ones, options

(defn- golden [name]
  (record/decode (vectors/file-bytes (str "records/" name ".poz"))))

(defn- answer [record n kind keys]
  (get (expanded (get-in (simulate/simulate record) [kind n])) keys))

(deftest golden-sets
  (doseq [[name power expected]
          [["recovery-1" [:master :change] [[0] [1 2 3]]]
           ["recovery-3" [:master :change] [[4] [1 2 3]]]
           ["recovery-3" [:service :grant] [[4]]]
           ["draft" [:draft :apply] [[0] [1 2 3]]]
           ["draft" [:former :change] [[0] [1 2 3]]]
           ["devices-grant" [:master :change] [[0] [1 2]]]
           ["devices-grant" [:service :grant] [[1 2]]]
           ["devices-deny" [:service :deny] [[1] [2]]]
           ["devices-auth-revoked" [:auth :grant] [[1 2]]]
           ["hybrid" [:master :change] [[0 1]]]
           ["hybrid" [:service :deny] [[0] [1]]]
           ["group-of-65" [:master :change] [[0]]]
           ["edge-sizes" [:master :change] [[0]]]
           ["edge-sizes" [:identity :deny] []]]]
    (is (= expected (sets (golden name) power)) [name power])))

(deftest golden-losses-and-thefts
  (let [devices (golden "devices-grant") recovery (golden "recovery-1")]
    (is (= [[:identity :grant] [:auth :grant] [:service :grant]] (:lost (answer devices :one :losses #{1}))))
    (is (:locked (answer devices :two :losses #{0 1})))
    (is (not (:locked (answer devices :two :losses #{1 2}))))
    (is (= [[:identity :deny] [:auth :deny] [:service :deny]] (:can (answer devices :one :thefts #{2}))))
    (is (= {:can [] :controls-all false} (dissoc (answer recovery :two :thefts #{1 3}) :picks)))
    (is (:controls-all (answer recovery :one :thefts #{0})))
    (is (:locked (answer (golden "hybrid") :one :losses #{1})))))

(deftest groups-of-65
  (let [enough (golden "group-of-65-enough") short (golden "group-of-65")
        group (set (range 1 66))
        can (fn [record held] (simulate/can? (first (simulate/powers record)) held))]
    (is (can enough group))
    (is (not (can enough (disj group 1))) "35 of 2 and 29 of 1 are 99, and 64")
    (is (not (can short group)))
    (is (= #{:key/does-everything} (findings enough)))
    (is (= #{:key/does-everything :master/loss-locks :group/dead} (findings short)))
    (is (= 30 (count (sets enough [:master :change]))))
    (is (every? #(<= (count %) 64) (sets enough [:master :change])))))

(defn- great-record [value]
  (record-of (map #(hash-map :algorithm 200 :key (bytes/wrap (byte-array [(quot % 128) (rem % 128)]))) (range 1024))
    (for [g [1 2] k (range 1024)] {:group g :key k :value (value k)})
    (for [z [:feed :service] k (range 1024)] {:authority z :key k :grant (inc (mod k 100)) :deny (inc (mod k 7))})))

(deftest a-thousand-keys
  (doseq [value [(constantly 2) #(inc (mod % 99))]]
    (let [{:keys [powers losses thefts findings]} (simulate/simulate (great-record value) {:limit 50})]
      (is (every? #(and (:possible %) (not (:complete %)) (= 50 (count (:sets %)))) powers))
      (is (:complete (:one losses)))
      (is (not (:complete (:two thefts))))
      (is (every? empty? (map :lost (:answers (:two losses)))))
      (is (not-any? #{:danger} (map :severity findings))))))

(deftest a-thousand-keys-in-a-draft
  (let [record (great-record #(inc (mod % 5)))
        former (map #(assoc % :value (inc (mod (* 3 (:key %)) 5))) (:master-keys (:master-zone record)))
        draft (draft-of (:public-key-map record) former (:master-keys (:master-zone record)))
        {:keys [possible complete sets]} (second (:powers (simulate/simulate draft {:limit 20})))]
    (is possible)
    (is (not complete))
    (is (every? #(<= (count %) 64) sets))))

(deftest options-are-checked
  (let [record (golden "recovery-1")]
    (doseq [[sentence options] [[#"Unknown option :stole" {:stole #{1}}]
                                [#"Option :limit is an integer" {:limit 0}]
                                [#"Option :without is a set of the record's key indexes, not \[0\]" {:without [0]}]
                                [#"Option :stolen is a set" {:stolen #{4}}]
                                [#"Option :stolen is a set" {:stolen #{-1}}]]]
      (is (thrown-with-msg? IllegalArgumentException sentence (simulate/simulate record options))))
    (is (= (simulate/simulate record) (simulate/simulate record {}) (read-string (pr-str (simulate/simulate record)))))
    (let [anomaly (error/anomaly :format/magic)]
      (is (= anomaly (simulate/simulate anomaly))))))
