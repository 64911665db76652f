(ns poz.cli.json-test
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli.json :as cli-json]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(deftest values-as-json-has-them
  (are [x plain] (= plain (cli-json/plain x))
    (bytes/hex-> "00ff") "00ff"
    :valid "valid"
    :format/size "format/size"
    {:a-b 1 :c/d [:x] 7 nil} {"a-b" 1, "c/d" ["x"], "7" nil}
    #{:x} ["x"]
    '(1 "two" true nil) [1 "two" true nil]
    (range 3) [0 1 2]
    (sorted-map 0 1) {"0" 1}
    (bytes/secret (bytes/hex-> "c0ffee")) "redacted"
    'symbol "symbol"
    1/2 1/2))

(deftest a-line-has-a-version-first
  (is (= "{\"version\":1,\"file\":\"a/b.poz\"}" (cli-json/line {:file "a/b.poz"})))
  (is (= "{\"version\":1}" (cli-json/line {})))
  (testing "however many keys there are"
    (let [m (into {} (map (fn [i] [(str "k" i) i])) (range 40)) line (cli-json/line m)]
      (is (str/starts-with? line "{\"version\":1,"))
      (is (= (assoc m "version" 1) (json/read-str line)))))
  (is (= cli-json/version (get (json/read-str (cli-json/line {})) "version"))))

(deftest a-line-is-one-line-whatever-is-in-it
  (let [hostile "a\nb\r\u2028\u2029\u001b[31m\u0000\"\\"
        line (cli-json/line {:file hostile})]
    (is (not (re-find #"[\u0000-\u001f\u2028\u2029]" line)))
    (is (= hostile (get (json/read-str line) "file")))))

(deftest a-whole-verdict
  (let [line (cli-json/line (v/verdict (v/record-named "all-zones") [(v/record-named "provider-2")]))
        parsed (json/read-str line)]
    (is (= "valid" (get parsed "outcome")))
    (is (= "superseded" (get-in parsed ["zones" "identity" "entries" 0 "status"])))
    (is (= 64 (count (get-in parsed ["zones" "identity" "zone-hash"]))))
    (is (not (str/includes? line "\n")))))
