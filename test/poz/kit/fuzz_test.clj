(ns poz.kit.fuzz-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.rose-tree :as rose]
   [poz.bytes :as bytes]
   [poz.kit.answer :as answer]
   [poz.kit.fuzz :as fuzz]
   [poz.kit.targets :as targets]
   [poz.kit.vectors :as vectors]
   [poz.record :as record]
   [poz.redefined :as redefined]))

(set! *warn-on-reflection* true)

(defn- after [state ask n]
  (nth (iterate #(fuzz/step % ask) state) n))

(defn- begun [target] (fuzz/begin target {:seed 3 :drawn true}))

(deftest ours-agrees-with-itself
  (doseq [target (keys targets/targets)]
    (testing target
      (let [{:keys [findings next covered]} (after (begun target) nil 40)]
        (is (= {} findings))
        (is (= 40 next))
        (is (seq covered))))))

(deftest the-vectors-come-first
  (is (= {:vector "good/solo"} (rose/root (fuzz/case-tree :verify 1 0 {}))))
  (is (:plan (rose/root (fuzz/case-tree :verify 1 0 {:drawn true}))))
  (is (= #{:request :response} (set (map #(:target (fuzz/question (rose/root (fuzz/case-tree :wire 1 % {})))) (range 21))))))

(deftest a-case-is-the-same-for-ever
  (doseq [target (keys targets/targets) n [0 7 300]]
    (is (= (fuzz/question (rose/root (fuzz/case-tree target 9 n {:drawn true})))
           (fuzz/question (rose/root (fuzz/case-tree target 9 n {:drawn true}))))))
  (is (not= (rose/root (fuzz/case-tree :verify 1 7 {:drawn true})) (rose/root (fuzz/case-tree :verify 2 7 {:drawn true})))))

;; Somebody else, with a mistake

(defn- mistaken
  "Answers as we do, but finds that what has this problem holds."
  [problem]
  (fn [question]
    (let [ours (answer/answer question)]
      (if (some #{problem} (:problems ours)) {:status :valid} ours))))

(deftest a-mistake-is-found-and-made-small
  (let [{:keys [findings]} (after (begun :verify) (mistaken "format/duplicate") 150)
        [{:keys [question trouble case number]} :as found] (vals findings)]
    (is (seq found))
    (is (every? #(= "format/duplicate" (first (:problems (:expected (:trouble %))))) found))
    (is (= [:disagrees :valid] [(:kind trouble) (:status (:got trouble))]))
    (testing "the smaller case asks what is reported, and is no larger than the one drawn"
      (is (= question (fuzz/question case)))
      (is (<= (count (:file question))
              (count (:file (fuzz/question (rose/root (fuzz/case-tree :verify 3 number {:drawn true}))))))))
    (testing "its rule and section"
      (is (= "format/duplicate" (:rule (fuzz/rule-words (first found)))))
      (is (re-find #"^format\.md" (:section (fuzz/rule-words (first found))))))))

(deftest the-same-mistake-is-one-finding
  (let [{:keys [findings]} (after (fuzz/begin :verify {:seed 1}) (mistaken "chain/serial") 130)]
    (is (= 1 (count findings)))
    (is (= 2 (:times (first (vals findings)))) "two vectors")))

(deftest codes-count-only-when-asked
  (let [liar (fn [question] (let [ours (answer/answer question)] (cond-> ours (seq (:problems ours)) (assoc :problems ["a/b"]))))]
    (is (empty? (:findings (after (fuzz/begin :verify {:seed 1}) liar 30))))
    (is (seq (:findings (after (fuzz/begin :verify {:seed 1 :codes true}) liar 30))))))

(deftest decode-asks-only-whether-it-is-malformed
  (let [lax (fn [question] (if (= :malformed (:status (answer/answer question))) {:status :malformed} {:status :valid}))]
    (is (empty? (:findings (after (begun :decode) lax 25))))
    (is (seq (:findings (after (fuzz/begin :verify {:seed 1}) lax 98))) "the first revision that is invalid")))

(deftest troubles-of-a-program
  (let [question {:target :record :now 1 :file bytes/empty}]
    (is (= [:hang :malformed] ((juxt :kind (comp :status :expected))
                               (first (fuzz/check question (constantly {:kind :hang :got "no answer"}) {:target :verify})))))
    (is (nil? (first (fuzz/check question (constantly {:status :unsupported}) {:target :verify}))))
    (is (nil? (first (fuzz/check question nil {:target :verify}))))))

(deftest a-defect-of-ours-is-a-finding
  (is (= :fault (redefined/call-with #'record/parse (fn [_] (throw (IllegalStateException. "a defect")))
                  #(:kind (first (fuzz/check {:target :record :now 1 :file bytes/empty} nil {:target :verify}))))))
  (testing "and so is a good record that does not hold"
    (is (= :invariant (:kind (first (fuzz/check {:target :record :now 1 :file bytes/empty :holds :valid} nil {:target :verify}))))))
  (testing "and two readers that disagree"
    (let [b (:file (:question (vectors/built (first vectors/rows)))) parse record/parse]
      (is (= "the two readers disagree"
            (redefined/call-with #'record/parse (fn [& args] (assoc (apply parse args) :key-names []))
              #(:why (first (fuzz/check {:target :record :now 1 :file b} nil {:target :verify})))))))))

(deftest what-can-be-come-upon
  (is (contains? (fuzz/reachable :verify) "chain/serial"))
  (is (every? #(re-find #"^format/" %) (fuzz/reachable :decode)))
  (is (contains? (fuzz/reachable :update) "update/fork"))
  (is (contains? (fuzz/reachable :wire) "wire/unsupported"))
  (is (= [1 (count (fuzz/reachable :verify))] (fuzz/coverage (assoc (begun :verify) :covered #{"chain/serial" "no/such"})))))
