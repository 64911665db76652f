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

(def ^:private checkpoints
  [:list {:sort [:serial :type]}
   [:struct {} [:type {} :u8] [:serial {} :u16] [:name {} :string]]])

(defn- compared-encodings
  "How the list node of `form` compares the neighbours `a` and `b`, in hex."
  [form a b]
  (let [array (bytes/->array (bytes/hex-> (str "ff" a b)))
        middle (inc (quot (count a) 2))]
    (sign (.invokePrim (order/encoding-comparator (node/parse samples/registry form))
            array 1 middle (alength array)))))

(deftest encodings-compare-by-the-places-of-their-fields
  (are [form a b c] (= c (compared-encodings form a b))
    [:list {:sort :item} :u16] "0002" "000a" -1
    [:list {:sort :item} :u16] "000a" "000a" 0
    [:list {:sort :item} :u8] "80" "7f" 1
    [:list {:sort :encoding} :string] "000161" "00026161" -1
    [:list {:sort :encoding} :string] "00026161" "000162" 1
    [:list {:sort :encoding} :string] "000161" "000161" 0
    :signatures "00010001ff" "0002000100" -1
    :signatures "00010001ff" "00010001fe" 0
    checkpoints "0200010000" "0100020000" -1
    checkpoints "0200010000" "0100010000" 1
    checkpoints "0100010000" "01000100016d" 0))

(deftest a-list-is-sorted-by-fields-of-fixed-places
  (is (nil? (order/encoding-comparator (node/parse {} [:list {} :u8]))))
  (is (thrown-with-msg? Exception #"sorted by what has no fixed place: :b"
        (order/encoding-comparator
          (node/parse {} [:list {:sort [:b]} [:struct {} [:a {} [:text {}]] [:b {} :u8]]])))))

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
