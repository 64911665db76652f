(ns poz.past-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.histories :as h]
   [poz.master.chain :as chain]
   [poz.past :as past]
   [poz.verdicts :as v]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private life
  "Genesis, a grant, a deny, a revision that leaves the zone alone, another grant."
  (h/play [{:change :add :zone :service :n 0 :version 0}
           {:change :deny :zone :service :n 0 :version 0}
           {:change :revise :master 1 :share 0 :zone nil}
           {:change :add :zone :service :n 1 :version 0}]))

(def ^:private public (mapv h/public life))

(defn- time-of [i] (+ (long v/start) (* 1000 (long i))))

(defn- without-keys [record] (dissoc record :public-key-map))

(deftest at-a-time
  (let [before-last (public 3)]
    (doseq [i (range 4)]
      (is (= (without-keys (public i)) (without-keys (past/at-time before-last (time-of i)))) i)
      (is (= (without-keys (public i)) (without-keys (past/at-time before-last (+ 999 (long (time-of i)))))) i)))
  (testing "of a zone that was granted anew since nothing is left"
    (is (nil? (zone/sections (past/at-time (public 4) (time-of 3)) :service)))
    (is (some? (zone/sections (past/at-time (public 4) (time-of 4)) :service))))
  (is (= [:unknown :past/before] ((juxt :poz/anomaly :poz/error) (past/at-time (public 4) (dec (long v/start)))))))

(deftest at-a-revision
  (is (= (without-keys (public 2)) (without-keys (past/at-revision (public 3) 1))) "until the next one was made")
  (is (= (without-keys (public 4)) (without-keys (past/at-revision (public 4) 2))))
  (doseq [serial [0 3 99]]
    (is (= :past/before (:poz/error (past/at-revision (public 4) serial))) serial))
  (let [tail (v/record-named "recovery-3-tail")]
    (is (= :past/before (:poz/error (past/at-revision tail 1))))
    (is (= 2 (get-in (past/at-revision tail 2) [:master-zone :serial])))))

(deftest private-sections-stay-behind
  (let [record (assoc (public 3) :key-names [{:key 0 :name "mine"}] :unknown-sections {5 :x})]
    (is (= #{:public-key-map :master-zone :service-authority :service-zone} (set (keys (past/at-revision record 1)))))))

(defspec the-past-of-what-held-holds 200
  (prop/for-all [changes (h/changes 1 5) t (gen/choose 0 6)]
    (let [record (h/public (peek (h/play changes)))
          past (past/at-time record (time-of t))
          {:keys [chain zones]} (verify/verify past {:now (time-of t)})]
      (and (= :valid (:outcome chain))
        (every? (fn [[z {:keys [outcome]}]] (= outcome (if (h/fallen? past z) :invalid :valid))) zones)
        (<= (count (chain/revisions past)) (count (chain/revisions record)))
        (every? #(<= (long (:timestamp %)) (long (time-of t))) (chain/revisions past))))))
