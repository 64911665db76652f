(ns poz.client.work-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.client.work :as work]
   [poz.pow :as pow]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent CompletableFuture ExecutionException Executor TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private secret (bytes/secret (bytes/zeros 32)))
(def ^:private address (bytes/utf8 "192.0.2.1"))
(def ^:private now 1000000)
(def ^:private request {:type :serial :id 1 :payload {:domain "example.org"}})

(defn- here
  "Runs at once, in the thread that asks."
  ^Executor [tasks]
  (reify Executor (execute [_ task] (swap! tasks inc) (.run task))))

(defn- zeros [n] (bytes/zeros n))

(defn- value [^CompletableFuture f] (.get f 20 TimeUnit/SECONDS))

(deftest work-that-passes
  (doseq [difficulty [0 1 8 11]]
    (let [tasks (atom 0)
          found (value (work/work-async request (pow/challenge secret address now difficulty) (here tasks) zeros))]
      (is (nil? (pow/check {:secret secret :address address :now now :difficulty difficulty :spent (pow/spent)}
                  :serial (wire/payload-bytes request) found))))))

(deftest the-same-question-twice-is-not-the-same-work
  (let [challenge (pow/challenge secret address now 4)
        found #(value (work/work-async request challenge (here (atom 0)) (constantly (bytes/hex-> %))))]
    (is (= 3 (count (into #{} (map (comp :nonce found)) ["00000000000000" "00000000100000" "ffffffffffffff"]))))))

(deftest a-clock-that-is-off-does-not-matter
  (let [{:keys [valid-until] :as challenge} (pow/challenge secret address now 1)]
    (is (= (dec (long valid-until)) (:timestamp (value (work/work-async request challenge (here (atom 0)) zeros)))))
    (is (= 0 (:timestamp (value (work/work-async request (assoc challenge :valid-until 0) (here (atom 0)) zeros)))))))

(deftest it-shares-and-stops
  (testing "piece by piece, each a task of its own; cancelled, it does one more look and no more"
    (let [tasks (atom []) executor (reify Executor (execute [_ task] (swap! tasks conj task)))
          future (work/work-async request (pow/challenge secret address now 255) executor zeros)
          run-next! (fn [] (let [task (peek @tasks)] (swap! tasks pop) (.run ^Runnable task)))]
      (dotimes [_ 3] (run-next!) (is (= 1 (count @tasks))))
      (.cancel future true)
      (run-next!)
      (is (= [] @tasks)))))

(deftest what-is-thrown-comes-out
  (is (thrown-with-msg? ExecutionException #"year|time|range"
        (value (work/work-async request (assoc (pow/challenge secret address now 1) :valid-until Long/MAX_VALUE) (here (atom 0)) zeros)))))
