(ns poz.kit.report-test
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.kit.answer :as answer]
   [poz.kit.fuzz :as fuzz]
   [poz.kit.report :as report]))

(set! *warn-on-reflection* true)

(def ^:private finding
  {:target :verify :seed 4 :number 17 :case {:vector "chain/serial-skips"} :times 3
   :question {:target :record :now 5 :file (bytes/hex-> "00")}
   :trouble {:kind :disagrees :expected {:status :invalid :problems ["chain/serial"]} :got {:status :valid}}})

(deftest a-finding-as-json
  (let [{:keys [kind rule section expected got again file question times]} (report/finding-json finding "finding-17.poz")]
    (is (= ["disagrees" "chain/serial" "format.md §4" "invalid, chain/serial" "valid" 3] [kind rule section expected got times]))
    (is (= "poz fuzz verify --seed 4 --from 17 --cases 1" again))
    (is (= "finding-17.poz" file))
    (is (= (:question finding) (answer/line->question question)))))

(deftest a-finding-for-a-person
  (is (= ["disagrees, case 17 and 2 more"
          "  expected  invalid, chain/serial"
          "  got       valid"
          "  rule      chain/serial, format.md §4"
          "  again     poz fuzz verify --seed 4 --from 17 --cases 1"]
         (report/finding-lines finding))))

(deftest words
  (are [x s] (= s (report/words x))
    {:status :valid :problems []} "valid"
    {:status :malformed :problems ["format/size"]} "malformed, format/size"
    {:status :valid :problems [] :entries [{:status :current}]} "valid, current"
    "no answer" "no answer"
    :valid "valid"
    (bytes/zeros 3) "3 bytes"
    (error/anomaly :format/size {:at 4}) "format/size at 4"
    {:public-key-map []} "a value of 20 characters"))

(deftest the-state-comes-back
  (let [state (assoc (fuzz/begin :update {:seed 4 :drawn true}) :next 12 :covered #{"chain/serial"}
                :findings {(fuzz/signature (:trouble finding)) finding})
        text (report/json-text (report/state-json state))
        again (report/json->state text)]
    (is (= (dissoc state :findings) (dissoc again :findings :known)))
    (is (= {} (:findings again)))
    (is (= {(pr-str (fuzz/signature (:trouble finding))) 3} (:known again)))
    (is (= "update" (get (json/read-str text) "target"))))
  (are [text] (nil? (report/json->state text))
    "" "{" "[]" "{}" "{\"version\":2}" "{\"version\":1,\"target\":\"nope\",\"seed\":1,\"next\":0}"
    "{\"version\":1,\"target\":\"verify\",\"seed\":\"x\",\"next\":0}" "{\"version\":1,\"target\":\"verify\",\"seed\":1,\"next\":-1}"))

(deftest progress
  (let [state (assoc (fuzz/begin :verify {:seed 4}) :next 12 :covered #{"chain/serial"})]
    (is (str/starts-with? (report/progress state 0.5 40) "[############------------] 12 cases, 40/s, 1 of "))
    (is (str/starts-with? (report/progress state 7 40) "[########################] "))
    (is (str/starts-with? (report/progress state nil 40) "12 cases, "))))
