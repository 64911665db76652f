(ns poz.codec.validate-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.codec.validate :as validate]))

(set! *warn-on-reflection* true)

(def ^:private small [:int {:min 1 :max 9 :error/message "a digit"}])
(def ^:private form
  [:and
   [:map {:closed true}
    [:a small]
    [:b {:optional true} [:vector {:min 1 :max 2 :error/message "one or two"} small]]]
   [:fn {:error/message "a is odd" :error/path [:a]} (comp odd? :a)]])

(deftest all-problems-are-found-with-their-paths
  (are [value found] (= found (mapv (juxt :path :message :value) (validate/explain form value)))
    {:a 1} []
    {:a 1 :b [2 3]} []
    {:a 0 :b [0 10]} [[[:a] "a digit" 0] [[:b 0] "a digit" 0] [[:b 1] "a digit" 10]]
    {:b []} [[[:a] "a value is needed here" nil] [[:b] "one or two" []]]
    {:a 1 :c 2} [[[:c] "no such key, only :a :b" 2]]
    {:a 2} [[[:a] "a is odd" 2]]
    {:a 1 :b nil} [[[:b] "one or two" nil]]
    {:a 1 :b '(1)} [[[:b] "one or two" '(1)]]
    [] [[[] "a map" []]]
    nil [[[] "a map" nil]]))

(deftest a-valid-value-has-nothing-to-explain
  (is (nil? (validate/explain form {:a 1})))
  (is (true? (validate/validate form {:a 1})))
  (is (false? (validate/validate form {:a 2}))))

(deftest every-kind-of-schema-that-we-emit
  (are [form value valid] (= valid (validate/validate form value))
    [:enum {:error/message "m"} :x :y] :y true
    [:enum {:error/message "m"} :x :y] :z false
    [:maybe small] nil true
    [:maybe small] 10 false
    :nil nil true
    :nil false false
    small 5 true
    small 5.0 false
    small 5N false
    small "5" false
    [:map-of {:min 1 :error/message "m"} small small] {1 2} true
    [:map-of {:min 1 :error/message "m"} small small] {} false
    [:map-of {:min 1 :error/message "m"} small small] {0 1} false
    [:map-of {:min 1 :error/message "m"} small small] [[1 2]] false))

(deftest a-predicate-can-tell-all-that-is-wrong
  (let [evens (fn [v] (for [i (range (count v)) :when (odd? (v i))] {:path [i] :message (str "item " i " is odd")}))
        form [:and [:vector {:min 0 :max 9 :error/message "a vector"} small]
              [:fn {:error/message "all are even" :poz/problems evens} (comp empty? evens)]]]
    (is (= [{:path [0] :message "item 0 is odd" :value 1} {:path [2] :message "item 2 is odd" :value 3}]
           (validate/explain form [1 2 3])))
    (is (nil? (validate/explain form [2 4])))))

(deftest a-later-schema-may-rely-on-the-shape-that-an-earlier-one-asks-for
  (is (= [[[] "a digit"]]
         (mapv (juxt :path :message)
           (validate/explain [:and small [:fn {:error/message "odd"} odd?]] "no number")))))

(deftest other-schemas-are-refused
  (is (thrown-with-msg? IllegalArgumentException #"No schema of this kind here: :tuple"
        (validate/validate [:tuple small small] [1 2]))))
