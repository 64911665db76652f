(ns poz.kit.vectors-test
  "Every rule and every error has a vector, and each says what we say."
  (:require
   [clojure.set :as set]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.error :as error]
   [poz.kit.answer :as answer]
   [poz.kit.scope :as scope]
   [poz.kit.vectors :as vectors]
   [poz.record :as record]
   [poz.rulebook :as rulebook]
   [poz.verify :as verify]))

(set! *warn-on-reflection* true)

(def ^:private built (delay (mapv vectors/built vectors/rows)))

(deftest each-is-answered-as-it-expects
  (doseq [{:keys [id question expect]} @built :let [ours (answer/answer question)]]
    (testing id
      (is (nil? (vectors/difference expect ours)) (pr-str expect ours))
      (is (set/subset? (set (:warnings expect)) (set (:warnings ours)))))))

(deftest each-that-does-not-hold-breaks-one-rule
  (doseq [{:keys [id error expect] :as v} @built :when (not= :valid (:status expect))]
    (testing id
      (is (<= 1 (count (:problems expect)) 2))
      (is (= error (keyword (first (filter #{(error/code error)} (:problems expect))))))
      (is (or (= 1 (count (:problems expect))) (= "zones/authority-history" id)))
      (is (:section v)))))

(defn- broken-rules
  "The rules of the steps that do not hold in our judgement of the vector."
  [{:keys [question]}]
  (let [verdict (verify/verify (record/parse (:file question)) {:now (:now question) :providers (mapv record/parse (:with question))})]
    (into #{} (comp (remove #(true? (:holds %))) (map :rule)) (verify/steps verdict))))

(deftest each-is-about-the-rule-that-it-names
  (doseq [{:keys [id rule chapter question] :as v} @built :when (and rule (= :record (:target question)) (not= "Warnings" chapter)
                                                                  (not= :identity/superseded rule))]
    (is (contains? (broken-rules v) rule) id))
  (doseq [{:keys [id rule chapter question]} @built :when (and rule (#{:login :handle} (:target question)))]
    (is (= rule (:rule (answer/answer question))) [id chapter])))

(deftest every-rule-has-a-vector
  (let [named (into #{} (map (juxt :chapter :rule)) vectors/rows)]
    (doseq [{:keys [title rules]} rulebook/chapters {:keys [id]} rules]
      (is (contains? named [title id])))))

(deftest every-error-has-a-vector-or-a-reason
  (is (= #{} (set/difference scope/errors (into #{} (keep :error) vectors/rows))))
  (is (< 80 (count scope/errors))))

(deftest ids
  (is (apply distinct? (map :id vectors/rows)))
  (is (every? #(re-matches #"[a-z]+/[a-z0-9-]+" (:id %)) vectors/rows))
  (is (every? #(and (string? (:section %)) (re-find #"^(format|protocol)\.md" (:section %))) vectors/rows))
  (is (not-any? #(str/blank? (:what %)) vectors/rows)))

(deftest what-is-asked-is-known-unbuilt
  (doseq [v @built]
    (is (= (:target (:question v)) (vectors/asked v)) (:id v))))

(deftest sections-of-the-specification
  (are [path section] (= section (vectors/section-of path))
    [:public-key-map 0] "format.md §3"
    [:master-zone :serial] "format.md §4"
    [:feed-authority :keys] "format.md §5"
    [:feed-zone :grant :serial] "format.md §6"
    [:feed-zone :grant :body 0] "format.md §7"
    [:zone-history 0] "format.md §9"))

(deftest differences
  (are [expect answer found] (= found (vectors/difference expect answer))
    {:status :valid :problems []} {:status :valid} nil
    {:status :valid :problems []} {:status :invalid} :status
    {:status :invalid :problems ["a/b"]} {:status :invalid :problems ["a/b"]} nil
    {:status :invalid :problems ["a/b"]} {:status :invalid :problems ["a/c"]} :problems
    {:status :invalid :problems ["a/b"] :problems-vary true} {:status :invalid :problems ["a/c"]} nil
    {:status :valid :problems [] :entries [:current]} {:status :valid :entries [{:status :current} {:status :unknown}]} nil
    {:status :valid :problems [] :entries [:current]} {:status :valid :entries [{:status :revoked}]} :entries
    {:status :valid :problems [] :entries [:current]} {:status :valid} nil))
