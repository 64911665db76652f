(ns poz.kit.export-test
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.kit.answer :as answer]
   [poz.kit.export :as export]
   [poz.kit.vectors :as vectors]))

(set! *warn-on-reflection* true)

(def ^:private files (delay (export/files)))

(defn- text [name] (String. ^bytes (bytes/->array (@files name)) "UTF-8"))

(deftest always-the-same-bytes
  (is (= @files (export/files))))

(deftest what-there-is
  (let [exported (json/read-str (text "vectors.json") :key-fn keyword)]
    (is (= (map :id vectors/rows) (map :id exported)))
    (doseq [{:keys [id what section target question expect file held with]} exported]
      (testing id
        (is (every? string? [what section question]))
        (is (answer/targets (keyword target)))
        (is (contains? #{"valid" "invalid" "unknown" "malformed"} (:status expect)))
        (is (every? @files (cond-> (conj with file) held (conj held))))
        (is (str/includes? question (bytes/->hex (@files file))))))
    (testing "no file that no vector names"
      (is (= (set (remove #{"README.md" "vectors.json"} (keys @files)))
             (into #{} (mapcat #(cond-> (conj (:with %) (:file %)) (:held %) (conj (:held %)))) exported))))))

(deftest read-back
  (let [again (export/read-vectors (text "vectors.json"))]
    (is (= (count vectors/rows) (count again)))
    (is (every? (fn [{:keys [question expect]}] (nil? (vectors/difference expect (answer/answer question)))) again)))
  (are [text] (nil? (export/read-vectors text))
    "" "{" "{}" "[]" "[1]" "[{\"id\":\"a\"}]" "[{\"id\":\"a\",\"question\":\"nope\",\"expect\":{}}]" "[{\"id\":\"a\",\"question\":1,\"expect\":{}}]"))

(deftest the-readme
  (let [readme (text "README.md")]
    (doseq [target (keys answer/targets)]
      (is (str/includes? readme (str "| `" (name target) "` | "))))
    (is (str/includes? readme "`net/timeout`"))
    (testing "its example is true"
      (let [[_ line said] (re-find #"\$ echo '([^']+)' \| poz conformance answer\n *(\{.*\})" readme)]
        (is (= said (answer/answer->json (answer/answer (answer/line->question line)))))))))
