(ns poz.rules-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.rules :as rules]))

(set! *warn-on-reflection* true)

(deftest outcomes-have-an-order
  (are [outcomes worst] (= worst (rules/worst outcomes))
    [] :valid
    [:valid :valid] :valid
    [:valid :unknown] :unknown
    [:unknown :invalid :valid] :invalid
    [:valid :malformed :invalid] :malformed))

(defn- rule [id finding & [more]]
  (merge {:id id :doc "" :check (fn [facts] (when finding (assoc finding :facts facts)))} more))

(defn- ids [judgement] (mapv :rule (:steps judgement)))

(deftest rules-are-asked-in-order-and-every-step-is-kept
  (let [j (rules/judge [(rule :a (rules/holds "yes" {:n 1})) (rule :b nil) (rule :c (rules/holds "too"))] {:f 1})]
    (is (= {:outcome :valid
            :steps [{:rule :a :holds true :because "yes" :numbers {:n 1} :facts {:f 1}}
                    {:rule :c :holds true :because "too" :facts {:f 1}}]}
           j))
    (is (= [] (rules/problems j)))))

(deftest sentences-are-put-in-words-when-steps-are-read
  (let [asked (atom 0)
        said #(do (swap! asked inc) "so it is")
        j (rules/judge [(rule :a (rules/holds said)) (rule :b (rules/holds "yes"))] {})]
    (is (nil? (rules/first-break j)))
    (is (= [:valid 0] [(:outcome j) @asked]))
    (is (= ["so it is" "yes"] (map :because (:steps j)) (map :because (:steps j))))
    (is (= 1 @asked) "once")
    (is (= "no" (:because (peek (:steps (rules/judge [(rule :a (rules/breaks (constantly "no")))] {}))))))))

(deftest the-first-break-ends-it
  (let [j (rules/judge [(rule :a (rules/unknown "?")) (rule :b (rules/breaks "no" {:error :x/y :needs 1}))
                        {:id :c :check (fn [_] (throw (IllegalStateException. "asked")))}] {})]
    (is (= :invalid (:outcome j)))
    (is (= [:a :b] (ids j)))
    (is (= [:a :x/y] (rules/problems j)) "the rule's id where there is no other error")
    (is (= :a (:rule (rules/first-break j))) "what is unknown too")
    (is (= 1 (:needs (peek (:steps j)))))))

(deftest what-is-unknown-goes-on-unless-it-ends
  (let [after (rule :b (rules/holds "yes"))]
    (is (= {:outcome :unknown :ids [:a :b]}
           (let [j (rules/judge [(rule :a (rules/unknown "?" {:needs "x"})) after] {})] {:outcome (:outcome j) :ids (ids j)})))
    (is (= {:outcome :unknown :ids [:a]}
           (let [j (rules/judge [(rule :a (rules/unknown "?") {:ends true}) after] {})] {:outcome (:outcome j) :ids (ids j)})))
    (testing "a rule that ends only where it cannot tell"
      (is (= [:a :b] (ids (rules/judge [(rule :a (rules/holds "yes") {:ends true}) after] {})))))))

(deftest no-rules-no-objection
  (is (= {:outcome :valid :steps []} (rules/judge [] {}))))

(def ^:private findings
  (gen/elements [nil (rules/holds "") (rules/breaks "") (rules/unknown "")]))

(defspec the-outcome-is-that-of-the-steps 500
  (prop/for-all [findings (gen/vector findings 0 8)]
    (let [{:keys [outcome steps] :as j} (rules/judge (map-indexed #(rule (keyword (str "r" %1)) %2) findings) {})
          holds (mapv :holds steps)]
      (and (= outcome (cond (some false? holds) :invalid (some #{:unknown} holds) :unknown :else :valid))
        (not-any? false? (butlast holds))
        (= (boolean (seq (rules/problems j))) (not= :valid outcome))
        (= (map :holds steps)
           (let [all (map :holds (remove nil? findings)) [before [break]] (split-with (complement false?) all)]
             (if (some? break) (concat before [break]) before)))))))
