(ns poz.rulebook-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.error :as error]
   [poz.master.chain :as chain]
   [poz.rulebook :as rulebook]
   [poz.rules :as rules]
   [poz.verdicts :as v]
   [poz.verify :as verify]))

(set! *warn-on-reflection* true)

(deftest every-rule-has-a-name-and-a-sentence
  (is (= 10 (count rulebook/chapters)))
  (is (apply distinct? (map :title rulebook/chapters)))
  (doseq [{:keys [title rules]} rulebook/chapters]
    (testing title
      (is (seq rules))
      (is (apply distinct? (map :id rules)))
      (doseq [{:keys [id doc check find]} rules]
        (is (qualified-keyword? id))
        (is (str/ends-with? doc ".") id)
        (is (ifn? (or check find)) id)))))

(defn- broken-steps [verdict]
  (remove #(true? (:holds %)) (verify/steps verdict)))

(deftest what-breaks-is-in-the-table-of-errors
  (testing "of every step that does not hold in the vectors"
    (doseq [{:keys [file]} (v/records)
            step (broken-steps (v/verdict (v/file-record file) [(v/record-named "provider-denies")]))]
      (is (contains? error/table (rules/problem step)) [file (:rule step)])))
  (testing "of every rule that can break by its own name"
    (let [own #{:update/grant-serial :update/previous-zone-hash :update/grant-timestamp :update/deny-not-empty
                :update/removal-below-deny :update/revoked-dropped :update/revoked-added
                :update/deny-serial :update/deny-timestamp :update/deny-not-superset
                :chain/draft :chain/history-missing :chain/serial :chain/previous-hash :chain/original-hash
                :chain/original-timestamp :chain/timestamp :chain/current-hash :signature/spare :signature/stray
                :time/far-future :request/timestamp}
          ids (into #{} (comp (mapcat :rules) (map :id)) rulebook/chapters)]
      (is (every? error/table own))
      (is (every? ids own)))))

(defn- error-keywords
  "The keywords after `:error` in the source of the namespace."
  [file]
  (map #(keyword (subs (second %) 1)) (re-seq #":error (:[a-z0-9-]+/[a-z0-9-]+)" (slurp file))))

(deftest errors-that-rules-name-exist
  (let [named (mapcat error-keywords ["src/poz/master/chain.clj" "src/poz/zone.clj" "src/poz/identity.clj" "src/poz/signing.clj"
                                      "src/poz/update.clj" "src/poz/auth.clj" "src/poz/identity/issue.clj" "src/poz/time.clj"])]
    (is (< 20 (count named)))
    (is (= [] (remove error/table named)))))

(deftest as-markdown
  (let [text (rulebook/markdown)]
    (is (str/includes? text "**A login**\n\n| rule | |\n|---|---|\n"))
    (doseq [{:keys [rules]} rulebook/chapters {:keys [id doc]} rules]
      (is (str/includes? text (str "| `" (error/code id) "` | " doc " |\n")))))
  (is (= chain/revision-rules (:rules (first rulebook/chapters)))))
