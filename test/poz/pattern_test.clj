(ns poz.pattern-test
  (:require
   [clojure.set :as set]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.master :as master]
   [poz.master.survivorship :as survivorship]
   [poz.pattern :as pattern]
   [poz.record :as record]
   [poz.verdicts :as v]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- label [{:keys [name]}] (str "pattern " name))

(defn- draft [{:keys [keys] :as p}]
  (pattern/draft p (map #(crypto/public-key (:algorithm %) (v/secret (label %))) keys) v/start))

(defn- sign [p d i]
  (master/sign d i (v/secret (label (nth (:keys p) i)))))

(defn- made
  "A finished record of the pattern, signed in the order of its keys until it is complete."
  [p]
  (master/finish (reduce (fn [d i] (if (:complete (master/status d)) d (sign p d i)))
                   (draft p) (range (count (:keys p))))))

(def ^:private expected-warnings
  "What is odd about each pattern; all delegate every zone."
  {"sole" ["master/key-rules-every-group" "master/single-key"]
   "two-devices" []
   "solo-family" []
   "solo-agency" []
   "multi-sig" []
   "hybrid" []})

(deftest every-pattern-can-be-drafted-signed-and-finished
  (is (= (set (keys expected-warnings)) (set (map :name pattern/patterns))))
  (doseq [{:keys [name] :as p} pattern/patterns]
    (testing name
      (let [r (made p) verdict (v/verdict r)]
        (is (not (error/anomaly? r)))
        (is (= :valid (:outcome verdict)))
        (is (= (expected-warnings name) (v/codes (map :warning (:warnings verdict)))))
        (is (= r (record/decode (record/encode r))))))))

(deftest every-pattern-delegates-what-it-says
  (doseq [{:keys [name] :as p} pattern/patterns :let [r (made p)]]
    (testing name
      (doseq [z zone/names :let [d (zone/delegation (:master-zone r) z)]]
        (is (<= 100 (reduce + (map :grant d))) z)
        (is (every? #(<= (:grant %) (:deny %)) d) "revoking is never harder than adding")))))

(deftest only-sole-cannot-be-recovered
  (doseq [{:keys [name] :as p} pattern/patterns]
    (is (= (not= "sole" name) (pattern/recoverable? p)) name)
    (testing "and what it says is so"
      (let [first-holder (first (pattern/holders p))
            others (into #{} (keep-indexed (fn [i k] (when (not= first-holder (:holder k)) i))) (:keys p))]
        (is (= (pattern/recoverable? p)
               (survivorship/satisfied? (get-in (draft p) [:master-zone :master-keys]) others))
            name)))))

(defn- quorums
  "The least sets of holders that can change the master zone."
  [{:keys [keys] :as p}]
  (let [master-keys (get-in (draft p) [:master-zone :master-keys])
        able? (fn [holders] (survivorship/satisfied? master-keys
                              (into #{} (keep-indexed (fn [i k] (when (holders (:holder k)) i))) keys)))
        sets (reduce (fn [acc h] (into acc (map #(conj % h)) acc)) [#{}] (pattern/holders p))
        able (filter able? sets)]
    (set (remove (fn [s] (some #(and (not= s %) (set/subset? % s)) able)) able))))

(deftest who-can-change-the-record
  (are [name sets] (= sets (quorums (pattern/pattern name)))
    "sole" #{#{"me"}}
    "two-devices" #{#{"phone" "laptop"} #{"recovery"}}
    "solo-family" #{#{"me"} #{"family-1" "family-2" "family-3"}}
    "solo-agency" #{#{"me"} #{"agency" "backup"}}
    "multi-sig" #{#{"first" "second" "third"} #{"recovery"}}
    "hybrid" #{#{"me"} #{"recovery"}}))

(deftest neither-half-of-a-hybrid-suffices
  (let [p (pattern/pattern "hybrid")]
    (is (= [:ed25519 :ml-dsa-65 :ed25519 :ml-dsa-65] (map :algorithm (:keys p))))
    (doseq [i (range 4)]
      (is (= :survivorship/below-threshold (:poz/error (master/finish (sign p (draft p) i))))))))

(deftest names-and-holders
  (is (nil? (pattern/pattern "nope")))
  (is (= (map :name pattern/patterns) (distinct (map :name pattern/patterns))))
  (doseq [{:keys [name doc keys]} pattern/patterns]
    (is (not (str/blank? doc)) name)
    (is (apply distinct? (map :name keys)) name))
  (is (= ["me" "recovery"] (pattern/holders (pattern/pattern "hybrid")))))

(deftest draft-by-its-public-keys
  (let [d (draft (pattern/pattern "solo-agency"))]
    (is (= 1 (get-in d [:master-zone :serial])))
    (is (= v/start (get-in d [:master-zone :timestamp]) (get-in d [:master-zone :original-timestamp])))
    (is (= [[1 0 100] [2 1 50] [2 2 50]] (map (juxt :group :key :value) (get-in d [:master-zone :master-keys]))))
    (is (= (for [z zone/names] [z 0 100 100])
           (map (juxt :authority :key :grant :deny) (get-in d [:master-zone :delegations]))))
    (is (every? bytes/bytes? (map :key (:public-key-map d))))))
