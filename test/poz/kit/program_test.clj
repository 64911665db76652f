(ns poz.kit.program-test
  "Programs that behave badly, as shell commands."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.kit.program :as program]))

(set! *warn-on-reflection* true)

(def ^:private question {:target :record :now 5 :file (bytes/hex-> "504f5a00")})

(defn- asked
  "What the program answers to as many questions as are given."
  ([command] (first (asked command {} [question])))
  ([command options questions]
   (let [{:keys [ask stop]} (program/start command (merge {:timeout 20000 :startup 0} options))]
     (try (mapv ask questions) (finally (stop))))))

(deftest lines
  (are [command answer] (= answer (asked command))
    "while read q; do echo valid; done" {:status :valid}
    "while read q; do echo '{\"status\":\"invalid\",\"problems\":[\"a/b\"]}'; done" {:status :invalid :problems ["a/b"]}
    "while read q; do echo unsupported; done" {:status :unsupported}
    "while read q; do echo '{\"status\":\"unsupported\"}'; done" {:status :unsupported}
    "while read q; do echo \"$q\" | grep -q '^record 5 504f5a00$' && echo valid || echo invalid; done" {:status :valid})
  (testing "one process for many questions"
    (is (= [:valid :invalid :valid] (map :status (asked "while read a; do echo valid; read b; echo invalid; done" {} (repeat 3 question)))))))

(deftest crashes
  (is (= {:kind :crash :got "it ended with 7 and without an answer"} (asked "read q; exit 7")))
  (is (= :crash (:kind (asked "no-such-program-anywhere"))))
  (testing "it is started again"
    (is (= [:valid :crash :valid :crash] (map #(or (:kind %) (:status %)) (asked "read q; echo valid; read q; exit 1" {} (repeat 4 question)))))))

(deftest garbage
  (is (= {:kind :garbage :got "hello"} (asked "while read q; do echo hello; done")))
  (is (= :garbage (:kind (asked "while read q; do echo '{\"status\":\"fine\"}'; done"))))
  (testing "without end"
    (let [{:keys [kind got]} (asked "read q; yes x | tr -d '\\n'")]
      (is (= :garbage kind))
      (is (= 201 (count got))))))

(deftest hangs
  (is (= {:kind :hang :got "no answer within 200 ms"} (first (asked "read q; sleep 60" {:timeout 200} [question]))))
  (testing "a program that reads nothing is waited for no longer"
    (is (= :hang (:kind (first (asked "sleep 60" {:timeout 300} [(assoc question :file (bytes/zeros 1000000))]))))))
  (testing "it is started again"
    (is (= [:hang :hang] (map :kind (asked "read q; sleep 60" {:timeout 200} [question question]))))))

(deftest the-first-answer-may-take-longer
  (let [slow "sleep 3; while read q; do echo valid; done"]
    (is (= [:valid :valid] (map :status (asked slow {:timeout 2000 :startup 60000} [question question]))))
    (is (= [:hang] (map :kind (asked slow {:timeout 500} [question]))))))

(deftest a-process-for-each-file
  (are [protocol command answer] (= answer (first (asked command {:protocol protocol} [question])))
    :stdin "exit 0" {:status :valid}
    :stdin "exit 1" {:status :invalid}
    :stdin "exit 3" {:status :malformed}
    :stdin "exit 4" {:status :unknown}
    :stdin "exit 9" {:kind :crash :got "it ended with 9"}
    :stdin "kill -9 $$" {:kind :crash :got "it ended with 137"}
    :stdin "test $(wc -c) = 4" {:status :valid}
    :stdin "test $POZ_NOW = 5" {:status :valid}
    :stdin "echo '{\"status\":\"invalid\",\"problems\":[\"a/b\"]}'; exit 1" {:status :invalid :problems ["a/b"]}
    :file "test $(wc -c < {}) = 4" {:status :valid}
    :file "test -f" {:status :valid})
  (is (= :hang (:kind (first (asked "sleep 60" {:protocol :stdin :timeout 200} [question])))))
  (is (= {:status :unsupported} (first (asked "exit 0" {:protocol :file} [{:target :fork :now 5 :file (bytes/hex-> "00")}])))))

(deftest stopping-twice
  (let [{:keys [ask stop]} (program/start "while read q; do echo valid; done" {})]
    (is (= {:status :valid} (ask question)))
    (is (nil? (stop)))
    (is (nil? (stop)))))
