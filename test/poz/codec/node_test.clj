(ns poz.codec.node-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.codec.node :as node]
   [poz.format :as format]))

(set! *warn-on-reflection* true)

(deftest integer-kinds-know-their-width-and-greatest-value
  (are [kind width greatest] (= [width greatest] [(node/width kind) (node/int-max kind)])
    :u8 1 255
    :u16 2 65535
    :u32 4 4294967295
    :u64 8 Long/MAX_VALUE))

(deftest a-form-becomes-a-node
  (are [form facts] (= facts (select-keys (node/parse {} form) (keys facts)))
    :u8 {:kind :u8 :min 1 :max 1 :low 0 :high 255}
    [:u16 {:min 1}] {:kind :u16 :low 1 :high 65535}
    [:bytes {:size 16}] {:min 16 :max 16}
    [:bytes {:prefix :u32 :min 16}] {:min 20 :max 4294967299}
    [:text {:min 1 :max 9}] {:min 3 :max 11}
    [:literal {:hex "504f5a"}] {:min 3 :max 3}
    [:list {:min 1 :max 3} :u16] {:min 4 :max 8 :least 1 :most 3 :item-floor 2}
    [:list {:counts [2 4]} :u8] {:least 2 :most 4}
    [:list :u8] {:least 0 :most 65535}
    [:optional {} :u32] {:min 1 :max 5}
    [:sized {:prefix :u16} :u32] {:min 6 :max 6}
    [:struct {} [:a {} :u8] [:b {} :u32]] {:min 5 :max 5}
    [:enum {:as :u16 :codes []}] {:min 2 :max 2}
    :index {:min 2 :max 2}))

(deftest a-name-is-looked-up-and-kept
  (let [registry {:share [:u8 {:max 100}]}]
    (is (= {:name :share :kind :u8 :high 100}
           (select-keys (node/parse registry :share) [:name :kind :high])))
    (is (= :share (get-in (node/parse registry [:list {} :share]) [:item :name])))))

(deftest select-takes-fields-of-a-struct-in-the-order-asked-for
  (let [registry {:s [:struct {} [:a {} :u8] [:b {} :u16] [:c {} :u32]] :l [:list {} :s]}]
    (is (= [:c :a] (mapv :key (:fields (node/parse registry [:select :s [:c :a]])))))
    (is (= [:b] (mapv :key (:fields (node/parse registry [:select [:item :l] [:b]])))))
    (is (thrown-with-msg? Exception #"no such field :d" (node/parse registry [:select :s [:d]])))))

(deftest a-table-that-makes-no-sense-is-refused-in-a-sentence
  (are [form message] (thrown-with-msg? Exception message (node/parse {} form))
    :u24 #"Format table: no such kind: "
    "u8" #"a type is a keyword or a vector"
    [:bytes {}] #"bytes need :size or :prefix"
    [:struct {} [:a :u8]] #"a field is \[key \{…\} type\]"
    [:list {} [:struct {}]] #"an item of a list has at least one byte"
    [:struct {:rules [{:check [:xor :a :b]}]}] #"no such operation: :xor"))

(deftest every-type-of-the-format-is-bounded
  (doseq [type (keys (:types format/format))
          :let [{lo :min hi :max} (node/parse (:types format/format) type)]]
    (is (<= 1 lo hi) (str type))))
