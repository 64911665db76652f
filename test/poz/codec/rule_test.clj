(ns poz.codec.rule-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.codec.rule :as rule]))

(set! *warn-on-reflection* true)

(deftest expressions-of-the-fields-of-a-map
  (let [m {:a 1 :b 2 :hash (bytes/zeros 4) :list [7 8] :algorithm :ed25519}]
    (are [e value] (= value ((rule/compile-expression e) m))
      :a 1
      5 5
      :none nil
      [:= :a 1] true
      [:= :a :b] false
      [:< :a :b] true
      [:< :b :b] false
      [:<= :b :b] true
      [:+ :a :b] 3
      [:* :b 8] 16
      [:count :list] 2
      [:count :hash] 4
      [:zero :hash] true
      [:iff [:= :a 1] [:zero :hash]] true
      [:iff [:= :a 2] [:zero :hash]] false
      [:iff [:= :a 2] [:= :b 1]] true
      [:implies [:= :a 1] [:= :b 1]] false
      [:implies [:= :a 2] [:= :b 1]] true
      [:lookup {:ed25519 32} :algorithm 0] 32
      [:lookup {:ml-dsa-65 1952} :algorithm [:count :list]] 2)))

(deftest an-unknown-operation-is-refused-when-compiled
  (is (thrown-with-msg? Exception #"Format table: no such operation: :or"
        (rule/compile-expression [:or :a :b]))))

(deftest a-rule-gets-its-predicate
  (let [{:keys [holds? rule]} (rule/compile-rule {:rule "a is b" :check [:= :a :b]})]
    (is (= "a is b" rule))
    (is (holds? {:a 1 :b 1}))
    (is (not (holds? {:a 1 :b 2})))))
