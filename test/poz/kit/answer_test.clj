(ns poz.kit.answer-test
  (:require
   [clojure.data.json :as json]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.kit.answer :as answer]
   [poz.kit.vectors :as vectors]
   [poz.vectors :as golden]))

(set! *warn-on-reflection* true)

(def ^:private now (:now (golden/json "records.json")))

(defn- record-answer [b] (answer/answer {:target :record :now now :file b}))

(deftest the-golden-records
  (doseq [{:keys [file checks]} (:records (golden/json "records.json"))
          :let [alone (first (filter #(empty? (:with %)) checks))] :when alone]
    (testing file
      (is (= (:status (:expect alone)) (name (:status (record-answer (golden/file-bytes file)))))))))

(deftest the-golden-malformed-and-invalid
  (doseq [{:keys [name file expect]} (concat (:cases (golden/json "malformed.json")) (:cases (golden/json "invalid.json")))
          :when (and file (:status expect))]
    (testing name
      (is (= (:status expect) (clojure.core/name (:status (record-answer (bytes/hex-> file)))))))))

(deftest the-golden-updates
  (doseq [{:keys [name held update expect]} (:updates (golden/json "invalid.json"))]
    (testing name
      (let [{:keys [status]} (answer/answer {:target :update :now now :held (some-> held bytes/hex->) :file (bytes/hex-> update)})]
        (is (= (= "accepted" (:status expect)) (= :valid status)))))))

(deftest a-defect-is-an-answer
  (is (= :fault (:status (answer/answer {:target :record :now "no clock" :file (golden/file-bytes "records/all-zones.poz")}))))
  (is (= :fault (:status (answer/answer {:target :nope})))))

(deftest lines-of-questions
  (testing "every vector's question is read back"
    (doseq [row vectors/rows :let [{:keys [question id]} (vectors/built row)]]
      (is (= (answer/answer question) (answer/answer (answer/line->question (answer/question->line question)))) id)))
  (is (= {:target :record :now 5 :file (bytes/hex-> "00ff") :with [(bytes/hex-> "01")]} (answer/line->question "record 5 00ff 01")))
  (is (= {:target :update :now 5 :held bytes/empty :file (bytes/hex-> "00")} (answer/line->question "update 5 - 00")))
  (are [line] (= :cli/usage (:poz/error (answer/line->question line)))
    "" "nope 1 00" "record" "record 1" "record one 00" "record 1 0" "record 1 zz" "record 1 00 zz" "update 1 00 00 00"
    "request nowhere 00" "response nothing 00"))

(deftest answers-as-json
  (is (= {"status" "invalid" "problems" ["chain/serial"]}
         (json/read-str (answer/answer->json {:status :invalid :problems ["chain/serial"] :rule :chain/serial}))))
  (are [line found] (= found (answer/json->answer line))
    "valid" {:status :valid}
    " malformed \r" {:status :malformed}
    "{\"status\":\"unknown\"}" {:status :unknown}
    "{\"status\":\"invalid\",\"problems\":[\"a/b\"],\"more\":1}" {:status :invalid :problems ["a/b"]}
    "{\"status\":\"valid\",\"entries\":[{\"status\":\"current\"},\"unknown\"]}" {:status :valid :entries [{:status :current} {:status :unknown}]}
    "" nil, "ok" nil, "{" nil, "[]" nil, "7" nil, "{\"status\":\"fine\"}" nil, "{\"status\":1}" nil
    "{\"status\":\"valid\",\"problems\":\"none\"}" nil, "{\"status\":\"valid\",\"problems\":[1]}" nil))

(deftest what-is-told-of-entries-and-warnings
  (let [{:keys [status entries warnings]} (record-answer (golden/file-bytes "records/all-zones.poz"))]
    (is (= :valid status))
    (is (= [:unknown] (distinct (map :status entries))))
    (is (= ["identity/domain-unproven"] warnings)))
  (is (not (error/anomaly? (record-answer bytes/empty)))))
