(ns poz.codec.read-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.input :as input]
   [poz.error :as error]
   [poz.samples :as samples]
   [poz.vectors :as vectors])
  (:import
   (java.nio ByteBuffer)))

(set! *warn-on-reflection* true)

(defn- decode [form hex]
  (codec/decode (codec/codec samples/registry form) (bytes/hex-> hex)))

(defn- fault [form hex & [facts]]
  (select-keys (decode form hex) (into [:poz/error :at :path] facts)))

(def ^:private pairs
  [:struct {}
   [:head {} :u8]
   [:rows {} [:list {:sort [:id] :max 3} [:struct {} [:id {} :u8] [:name {} [:text {:min 1 :max 3}]]]]]])

(deftest values
  (are [form hex value] (= value (decode form hex))
    :u8 "ff" 255
    :u16 "ffff" 65535
    :u32 "ffffffff" 4294967295
    :u64 "7fffffffffffffff" Long/MAX_VALUE
    [:bytes {:size 2}] "0aff" (bytes/hex-> "0aff")
    [:bytes {:prefix :u32}] "0000000107" (bytes/hex-> "07")
    :string "0002c3a9" "é"
    [:enum {:as :u16 :codes [[16 :identity {}]]}] "0010" :identity
    :algorithm "c8" 200
    [:list {} :u8] "0002090a" [9 10]
    [:optional {} :u8] "0105" 5
    [:sized {:prefix :u16} :u8] "000105" 5
    [:struct {} [:a {} :u8] [:b {} [:optional {} :u8]]] "0500" {:a 5}
    [:struct {} [:m {} [:literal {:hex "504f"}]] [:a {} :u8]] "504f07" {:a 7}
    pairs "010002010001610200016d" {:head 1 :rows [{:id 1 :name "a"} {:id 2 :name "m"}]}))

(deftest a-fault-has-its-offset-and-its-path
  (are [form hex error at path] (= {:poz/error error :at at :path path} (fault form hex))
    ;; what ends too soon
    pairs "" :format/truncated 0 [:head]
    pairs "0100" :format/truncated 1 [:rows]
    pairs "01000201000161" :format/truncated 3 [:rows]
    pairs "0100020100016102000362" :format/truncated 10 [:rows 1 :name]
    [:sized {:prefix :u16} :u32] "0002000000000000" :format/truncated 2 []
    [:struct {} [:s {} [:sized {:prefix :u16} :u8]]] "00020505" :format/trailing 3 [:s]
    ;; what is out of range
    [:u8 {:min 1}] "00" :format/range 0 []
    [:struct {} [:a {} :u8] [:b {} :time]] "05ffffffffffffffff" :format/range 1 [:b]
    :denials "000100000000000000000000000000000000000000000000000000000000000000000000000000000000ff"
    :format/range 42 [0 :reason]
    [:list {} [:bytes {:prefix :u16 :min 1}]] "000200010a0000" :format/length 5 [1]
    ;; what is no code
    :identity-body (apply str "0001" "02" (repeat 50 "000000")) :format/code 2 [0 :identity-type]
    [:struct {} [:o {} [:optional {} :u8]]] "0201" :format/optional 0 [:o]
    :header "504f5b0000000008" :format/magic 0 [:magic]
    :header "504f5a0100000008" :format/version 3 [:version]
    ;; lists
    pairs "010004" :format/count 1 [:rows]
    pairs "010002020001610100016d" :format/unsorted 7 [:rows 1]
    pairs "010002010001610100016d" :format/duplicate 7 [:rows 1]
    [:list {:sort :encoding} :string] "0002000261610001ff" :format/utf8 8 [1]
    [:list {:sort :encoding} :string] "000200026161000162" :format/unsorted 6 [1]
    [:list {:counts [2 4]} :u8] "0003010203" :format/count 0 []
    [:list {:distinct true} :u8] "0003010201" :format/duplicate 4 [2]
    ;; texts: the offset of the byte
    [:struct {} [:a {} :string] [:b {} :handle]] "000161000361c340" :format/utf8 6 [:b]
    [:struct {} [:a {} :string] [:b {} :handle]] "0001610003c3a940" :format/handle 7 [:b]
    pairs "01000101000461626364" :format/length 6 [:rows 0 :name]))

(deftest a-fault-tells-what-was-expected-and-found
  (are [form hex facts] (= facts (select-keys (decode form hex) (keys facts)))
    [:u8 {:min 1 :max 100}] "c8" {:rule "1 to 100" :found 200}
    :time "ffffffffffffffff" {:rule "0 to 253402300799999" :found "18446744073709551615"}
    :u32 "0001" {:expected "4 bytes" :found 2}
    [:list {:min 1 :max 3} :u8] "0000" {:rule "1 to 3 items" :found 0}
    [:enum {:as :u8 :codes [[1 :a {}] [3 :b {}]]}] "02" {:expected "[1 3]" :found 2}
    [:list {:sort :item} :u8] "00020501" {:rule "items ascend" :found "item 1 below item 0"}
    [:text {}] "0002610a" {:rule "no U+0000–001F, no U+007F–009F" :found "U+000A"}
    [:optional {} :u8] "07" {:expected "0 or 1" :found 7}
    [:bytes {:prefix :u16 :max 1}] "00020000" {:rule "0 to 1 bytes" :found 2}))

(deftest a-message-is-a-sentence-with-the-facts
  (is (= "a number is outside its range in rows 0 at offset 2: 0 to 100, found 200"
         (:message (decode [:struct {} [:rows {} [:list {} :share]]] "0001c8")))))

(deftest a-rule-between-fields-points-at-its-field
  (let [form [:struct {:rules [{:code :format/consistency :field :b :rule "b is a" :check [:= :a :b]}]}
              [:a {} :u16] [:name {} :string] [:b {} :u16]]]
    (is (= {:a 1 :name "x" :b 1} (decode form "00010001780001")))
    (is (= {:poz/error :format/consistency :at 5 :path [:b] :rule "b is a" :found "2"}
           (fault form "00010001780002" [:rule :found])))
    (is (= {:poz/error :format/consistency :at 7 :path [0 :b]}
           (fault [:list {} form] "000100010001780002")))))

(deftest a-list-lies-about-its-count-no-further-than-the-bytes-go
  (is (= {:poz/error :format/truncated :at 2 :path [] :expected "131070 bytes" :found 1}
         (fault [:list {} :u16] "ffff00" [:expected :found]))))

(deftest bytes-are-slices-of-what-is-read
  (let [b (bytes/hex-> "00020a0b")]
    (is (identical? (.-array ^poz.bytes.Bytes b)
                    (.-array ^poz.bytes.Bytes (codec/decode (codec/codec {} [:bytes {:prefix :u16}]) b))))))

(deftest the-times-of-the-vectors
  (doseq [{:keys [ms hex accept]} (:times (vectors/json "primitives.json"))]
    (if accept
      (is (= ms (decode :time hex)))
      (is (= :format/range (:poz/error (decode :time hex)))))))

(defn- private-key-map
  "The bytes of a Private Key Map with these costs."
  [{:keys [memory_kib passes lanes]}]
  (let [b (ByteBuffer/allocate (+ 1 4 4 1 16 1 12 4 16))]
    (doto b
      (.put (byte 1)) (.putInt (unchecked-int memory_kib)) (.putInt (unchecked-int passes))
      (.put (unchecked-byte lanes)) (.put (byte-array 16)) (.put (byte 1)) (.put (byte-array 12))
      (.putInt 16))
    (bytes/wrap (.array b))))

(deftest the-argon2id-limits-of-the-vectors
  (doseq [{:keys [accept] :as costs} (:argon2id_limits (vectors/json "primitives.json"))
          :let [{:keys [codec]} (samples/types :private-key-map)
                b (private-key-map costs)
                found (codec/decode codec b)]]
    (if accept
      (is (= b (codec/encode codec found)) (pr-str costs))
      (is (= :format/range (:poz/error found)) (pr-str costs)))))

(deftest a-reader-goes-where-it-is-sent
  (let [r (input/reader (bytes/hex-> "0001020304"))
        {read-u8 :read} (codec/codec {} :u8)]
    (input/seek! r 2 4)
    (is (= 2 (input/position r)))
    (is (= [2 3] [(read-u8 r) (read-u8 r)]))
    (is (= :format/truncated (:poz/error (error/attempt #(read-u8 r)))))
    (input/seek! r 1 5)
    (is (= :format/trailing (:poz/error (error/attempt #(input/finish! r 0)))))
    (is (= "01020304" (bytes/->hex (input/rest! r))))
    (is (nil? (input/finish! r 0)))))
