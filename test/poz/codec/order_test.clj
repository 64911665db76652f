(ns poz.codec.order-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.codec.node :as node]
   [poz.codec.order :as order]
   [poz.samples :as samples]))

(set! *warn-on-reflection* true)

(defn- sign [n]
  (compare n 0))

(defn- compared [form a b]
  (sign ((order/item-comparator (node/parse samples/registry form)) a b)))

(deftest items-compare-as-their-bytes-do
  (are [form a b c] (= c (compared form a b))
    [:list {:sort :item} :u16] 2 10 -1
    [:list {:sort :item} :u16] 10 10 0
    [:list {:sort :item} [:bytes {:size 2}]] (bytes/hex-> "00ff") (bytes/hex-> "8000") -1
    :signatures {:key 1 :signature 9} {:key 2 :signature 1} -1
    :signatures {:key 1 :signature 9} {:key 1 :signature 1} 0))

(deftest keywords-compare-by-their-codes
  (let [delegations [:list {:sort [:authority :key]}
                     [:struct {} [:authority {} [:enum {:as :u16 :codes [[16 :identity {}] [32 :feed {}]]}]]
                      [:key {} :index]]]]
    (are [a b c] (= c (compared delegations {:authority (a 0) :key (a 1)} {:authority (b 0) :key (b 1)}))
      [:identity 5] [:feed 1] -1
      [:feed 1] [:feed 2] -1
      [:feed 2] [:identity 2] 1)
    (is (= -1 (compared [:list {:sort :item} :algorithm] :x25519 200)) "an unknown code is itself")))

(deftest no-comparator-where-values-cannot-tell
  (is (nil? (order/item-comparator (node/parse samples/registry [:list {} :u8]))))
  (is (nil? (order/item-comparator (node/parse samples/registry [:list {:sort :encoding} :u8])))))

(deftest what-no-two-items-share
  (let [id (fn [form] (order/id-fn (node/parse samples/registry form)))]
    (is (= "main" ((id :feed-body) {:name "main" :chains []})))
    (is (= [:mail "x"] ((id :service-body) {:name "x" :type :mail})))
    (is (= {:a 1} ((id [:list {:distinct true} :u8]) {:a 1})))
    (is (nil? (id [:list {} :u8])))))

(deftest counts-have-a-rule
  (are [form n fault] (= fault (order/count-fault (node/parse {} form) n))
    [:list {:min 1 :max 3} :u8] 0 {:rule "1 to 3 items" :found 0}
    [:list {:min 1 :max 3} :u8] 3 nil
    [:list {:min 1 :max 3} :u8] 4 {:rule "1 to 3 items" :found 4}
    [:list {:counts [2 4]} :u8] 3 {:rule "one of [2 4] items" :found 3}
    [:list {:counts [2 4]} :u8] 4 nil))

(deftest a-pair-descends-repeats-or-ascends
  (is (= :format/unsorted (first (order/pair-fault 1 3))))
  (is (= [:format/duplicate {:rule "items ascend strictly" :found "item 3 equal to item 2"}]
         (order/pair-fault 0 3)))
  (is (nil? (order/pair-fault -1 3))))

(deftest a-key-serves-for-what-its-algorithm-does
  (let [algorithms [:ed25519 :x25519 200 :ml-dsa-65]]
    (are [use i error] (= error (first (order/key-use-fault algorithms use i)))
      :sign 0 nil
      :sign 1 :format/key-use
      :sign 2 nil
      :sign 3 nil
      :agree 0 :format/key-use
      :agree 1 nil
      :agree 2 :format/key-use
      nil 1 nil
      nil 4 :format/index
      :sign 4 :format/index)
    (is (= {:rule "an x25519 key" :found "key 2, of the unknown algorithm 200"}
           (second (order/key-use-fault algorithms :agree 2))))))
