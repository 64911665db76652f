(ns poz.codec.repair-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.codec.node :as node]
   [poz.codec.repair :as repair]))

(set! *warn-on-reflection* true)

(defn- repaired [check m & {:keys [field]}]
  (let [fields (for [k (keys m)] [k {} [:u8 {:max 100}]])]
    ((repair/repairer (node/parse {} (into [:struct {:rules [{:code :format/consistency :field field :check check}]}]
                                       fields)))
     m)))

(deftest the-left-side-follows-the-right-one
  (are [check m result] (= result (repaired check m))
    [:= :a :b] {:a 1 :b 2} {:a 2 :b 2}
    [:iff [:= :a 1] [:zero :h]] {:a 9 :h (bytes/zeros 2)} {:a 1 :h (bytes/zeros 2)}
    [:iff [:= :a 1] [:zero :h]] {:a 1 :h (bytes/hex-> "0001")} {:a 2 :h (bytes/hex-> "0001")}
    [:iff [:zero :h] [:= :a 1]] {:a 1 :h (bytes/hex-> "0001")} {:a 1 :h (bytes/zeros 2)}
    [:iff [:zero :h] [:= :a 1]] {:a 3 :h (bytes/zeros 2)} {:a 3 :h (bytes/hex-> "0101")}
    [:implies [:= :a 0] [:= [:count :l] 0]] {:a 0 :l [1 2]} {:a 0 :l []}
    [:implies [:= :a 0] [:= [:count :l] 0]] {:a 5 :l [1 2]} {:a 5 :l [1 2]}))

(deftest bytes-take-the-size-that-a-rule-looks-up
  (let [rule [:= [:count :key] [:lookup {:long 5 :short 1} :algorithm [:count :key]]]
        key (bytes/hex-> "0a0b0c")]
    (are [algorithm hex] (= hex (bytes/->hex (:key (repaired rule {:algorithm algorithm :key key}))))
      :long "0a0b0c0a0b"
      :short "0a"
      :other "0a0b0c")))

(deftest an-inequality-raises-its-own-field-first
  (is (= {:a 100 :b 0} (repaired [:< 0 [:+ :a :b]] {:a 0 :b 0} :field :a)))
  (is (= {:a 100 :b 100} (repaired [:<= 200 [:+ :a :b]] {:a 0 :b 0} :field :b))))

(deftest what-holds-stays-as-it-is
  (is (= {:a 3 :b 3} (repaired [:= :a :b] {:a 3 :b 3}))))
