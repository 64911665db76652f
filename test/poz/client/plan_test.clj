(ns poz.client.plan-test
  "Whom to ask next, with a clock that the tests move."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.client.plan :as plan]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

(defn- server [name] {:host name :port 7074})

(def ^:private timeout (error/anomaly :net/timeout))
(defn- busy [ms] (error/anomaly :wire/busy {:status :busy :wait-ms ms}))

(defn- asked [plan elapsed]
  (let [[step x ms] (plan/step plan elapsed)]
    (if (= :ask step) [(:host (:server x)) ms] [step (if (error/anomaly? x) (:poz/error x) x)])))

(defn- failing
  "`plan` after the server to be asked at `at` failed with `anomaly` at `end`."
  [plan at anomaly end]
  (let [[_ candidate] (plan/step plan at)]
    (plan/note plan candidate anomaly end)))

(deftest equal-shares-of-what-is-left
  (let [p (plan/plan (map server ["a" "b" "c"]) 9000)]
    (is (= ["a" 3000] (asked p 0)))
    (testing "one that hangs leaves the rest to the others, one that is quick leaves more"
      (is (= ["b" 3000] (asked (failing p 0 timeout 3000) 3000)))
      (is (= ["b" 4450] (asked (failing p 0 timeout 100) 100)))
      (is (= ["c" 8000] (asked (-> p (failing 0 timeout 500) (failing 500 timeout 1000)) 1000))))
    (testing "at least a millisecond, and none when time is up"
      (is (= ["a" 1] (asked p 8999)))
      (is (= [:give-up :client/no-server] (asked p 9000))))))

(deftest nobody-to-ask
  (is (= [:give-up :client/no-server] (asked (plan/plan [] 1000) 0))))

(deftest busy-servers-are-asked-again
  (let [p (plan/plan (map server ["a" "b"]) 10000)
        one (failing p 0 (busy 500) 10)]
    (is (= ["b" 4995] (asked one 10)) "the other one first")
    (let [both (failing one 10 (busy 300) 20)]
      (is (= [:wait 300] (asked both 20)) "for the one that is free sooner")
      (is (= ["b" 4840] (asked both 320)))
      (is (= ["a" 4745] (asked both 510))))
    (testing "not sooner than that, and later each time"
      (let [again (fn [plan at] (failing plan at (busy 0) at))
            single (plan/plan [(server "a")] 10000)]
        (is (= [:wait 100] (asked (again single 0) 0)))
        (is (= [:wait 200] (asked (-> single (again 0) (again 100)) 100)))
        (is (= [:wait 400] (asked (-> single (again 0) (again 100) (again 300)) 300)))))
    (testing "not when it would be too late"
      (is (= [:give-up :wire/busy] (asked (failing (plan/plan [(server "a")] 1000) 0 (busy 1000) 0) 0))))))

(deftest what-ends-it-all
  (are [final anomaly] (= final (plan/final? anomaly))
    true (error/anomaly :wire/not-found {:status :not-found})
    true (error/anomaly :wire/rejected {:status :rejected})
    true (error/anomaly :wire/conflict {:status :conflict})
    true (error/anomaly :request/taken {:status :conflict})
    true (error/anomaly :wire/unreadable {:status :malformed})
    true (error/anomaly :wire/too-large {:status :too-large})
    true (error/anomaly :memory/fork {:record {}})
    false (error/anomaly :memory/fork)
    false (error/anomaly :memory/rollback {:record {}})
    false (error/anomaly :wire/too-large)
    false (error/anomaly :wire/unsupported {:status :unsupported})
    false (error/anomaly :wire/failed {:status :failed})
    false (error/anomaly :wire/work-required {:status :pow-required})
    false (busy 1)
    false timeout
    false (error/anomaly :signature/bad)))

(deftest the-most-telling-failure-with-all-of-them
  (let [failures [timeout (error/anomaly :memory/rollback) (error/anomaly :wire/failed {:problem {:code "internal" :message ""}})]
        p (reduce (fn [p a] (failing p 0 a 0)) (plan/plan (map server ["a" "b" "c"]) 1000) failures)
        {:keys [server message] :poz/keys [error] found :failures} (second (plan/step p 0))]
    (is (= [:memory/rollback "b"] [error (:host server)]))
    (is (= [["a" :net/timeout] ["b" :memory/rollback] ["c" :wire/failed]] (map (juxt (comp :host :server) :poz/error) found)))
    (is (= {:code "internal" :message ""} (:problem (last found))))
    (is (= "a:7074: no answer in time; b:7074: an older serial than was seen before; c:7074: the server has a defect" message)))
  (testing "what ends it comes first, whatever was said before"
    (let [p (failing (plan/plan (map server ["a" "b"]) 1000) 0 (error/anomaly :memory/rollback) 0)
          found (plan/end p (server "b") (error/anomaly :wire/not-found {:status :not-found}))]
      (is (= :wire/not-found (:poz/error found)))
      (is (= [:memory/rollback :wire/not-found] (map :poz/error (:failures found)))))))

(def ^:private failure
  (gen/one-of [(gen/return timeout) (gen/fmap busy (gen/choose 0 3000))]))

(defspec it-ends-in-time-whatever-they-say 200
  (prop/for-all [n (gen/choose 0 5), total (gen/choose 1 20000), failures (gen/vector failure 100), takes (gen/vector (gen/choose 0 500) 100)]
    (loop [p (plan/plan (map #(server (str %)) (range n)) total) elapsed 0 failures failures takes takes steps 0]
      (let [[step x ms] (plan/step p elapsed)]
        (case step
          :give-up (<= elapsed total)
          :wait (and (< (+ elapsed (long x)) total) (recur p (+ elapsed (long x)) failures takes steps))
          :ask (let [end (+ elapsed (min (long ms) (long (first takes))))]
                 (and (<= (+ elapsed (long ms)) total)
                   (< steps 60)
                   (recur (plan/note p x (first failures) end) end (rest failures) (rest takes) (inc steps)))))))))
