(ns poz.codec.write-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.output :as output]
   [poz.error :as error]
   [poz.samples :as samples]))

(set! *warn-on-reflection* true)

(defn- encode [form value]
  (error/attempt #(codec/encode (codec/codec samples/registry form) value)))

(deftest bytes-of-values
  (are [form value hex] (= hex (bytes/->hex (encode form value)))
    :u8 255 "ff"
    :u16 258 "0102"
    :u32 4294967295 "ffffffff"
    :u64 Long/MAX_VALUE "7fffffffffffffff"
    [:bytes {:prefix :u16}] (bytes/hex-> "0a") "00010a"
    [:bytes {:prefix :u32}] bytes/empty "00000000"
    :string "é" "0002c3a9"
    :algorithm :x25519 "02"
    :algorithm 200 "c8"
    [:list {} :u8] [1 2] "00020102"
    [:optional {} :u8] 5 "0105"
    [:sized {:prefix :u32} :string] "a" "00000003000161"
    [:struct {} [:a {} [:optional {} :u8]] [:b {} :u8]] {:b 7} "0007"
    [:struct {} [:m {} [:literal {:hex "504f"}]] [:a {} :u8]] {:a 7} "504f07"))

(def ^:private row
  [:struct {} [:id {} :u8] [:name {} [:optional {} :name]]])

(deftest what-no-bytes-decode-to-is-refused-with-its-path
  (are [form value error path] (= [error path] ((juxt :poz/error :path) (encode form value)))
    :u8 256 :format/range []
    :u16 70000 :format/range []
    :u8 -1 :format/range []
    :u8 1.0 :format/type []
    :u8 nil :format/type []
    :hash (bytes/zeros 31) :format/length []
    :hash "00" :format/type []
    :string :a :format/type []
    :string "\ud800" :format/utf8 []
    :string "a\nb" :format/control-char []
    :name (apply str (repeat 128 "é")) :format/length []
    :domain "A.example" :format/domain []
    :algorithm 1 :format/code []
    :algorithm 256 :format/code []
    [:enum {:as :u8 :codes [[1 :tcp {}]]}] 1 :format/code []
    [:list {} :u8] '(1) :format/type []
    [:list {:max 2} :u8] [1 2 3] :format/count []
    [:list {:sort :item} :u8] [2 1] :format/unsorted [1]
    [:list {:distinct true} :u8] [2 2] :format/duplicate [1]
    [:list {:sort :encoding} :string] ["aa" "b"] :format/unsorted [1]
    [:list {} row] [{:id 1} {:id 2 :name ""}] :format/length [1 :name]
    [:list {} row] [{:id 1} {}] :format/type [1 :id]
    row {:id 1 :name nil} :format/type [:name]
    row {:id 1 :nmae "x"} :format/type []
    row [1] :format/type []
    [:struct {} [:m {} [:literal {:hex "50"}]] [:a {} :u8]] {:m 1 :a 1} :format/type []))

(deftest a-rule-between-fields-is-kept
  (is (= {:poz/error :format/consistency :path [:timestamp] :rule "timestamp is 0 when serial is 0"}
         (select-keys (encode [:struct {:rules [{:code :format/consistency :field :timestamp
                                                 :rule "timestamp is 0 when serial is 0"
                                                 :check [:implies [:= :serial 0] [:= :timestamp 0]]}]}
                               [:serial {} :u32] [:timestamp {} :time]]
                        {:serial 0 :timestamp 5})
           [:poz/error :path :rule]))))

(deftest no-message-shows-a-secret
  (let [found (encode [:bytes {:size 3}] (bytes/secret (bytes/hex-> "c0ffee")))]
    (is (= :format/type (:poz/error found)))
    (is (not (re-find #"c0ffee" (pr-str found))))))

(deftest a-long-value-grows-the-writer
  (let [b (bytes/wrap (byte-array (range -100 100)))
        big (apply bytes/concat (repeat 40 b))]
    (is (= big (bytes/slice (encode [:bytes {:prefix :u16}] big) 2)))))

(defn- written
  "`[size capacity]` of a writer that has written a list of byte strings of these `sizes`."
  [sizes]
  (let [w (output/writer nil) {:keys [write]} (codec/codec {} [:list {} [:bytes {:prefix :u16}]])]
    (write w (mapv bytes/zeros sizes))
    [(.position w) (alength (.room w 0))]))

(deftest a-long-list-gets-its-room-in-a-few-steps
  (let [[size capacity] (written (repeat 10000 100))]
    (is (= 1020002 size))
    (is (<= size capacity (* 9/8 size)) "once, and little more than it takes"))
  (let [[size capacity] (written (concat (repeat 8 60000) (repeat 5000 0)))]
    (is (= 490018 size))
    (is (<= capacity (* 18 size)) "big ones at the head are not taken for all"))
  (is (= [2 256] (written [])) "an empty one takes none"))
