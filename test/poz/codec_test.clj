(ns poz.codec-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.error :as error]
   [poz.samples :as samples])
  (:import
   (com.sun.management ThreadMXBean)
   (java.lang.management ManagementFactory)))

(set! *warn-on-reflection* true)

(defn- codec-of [form]
  (codec/codec samples/registry form))

;; ## Values

(defspec a-value-comes-back-from-its-bytes 2000
  (prop/for-all [[type value] samples/any-value]
    (let [{:keys [codec]} (samples/types type)]
      (= value (codec/decode codec (codec/encode codec value))))))

(defspec an-encoding-lies-within-the-bounds-of-its-type 1000
  (prop/for-all [[type value] samples/any-value]
    (let [{:keys [codec]} (samples/types type)
          [least greatest] (codec/bounds codec)]
      (<= least (count (codec/encode codec value)) greatest))))

(deftest bounds-of-some-types
  (are [form bounds] (= bounds (codec/bounds (codec-of form)))
    :hash [32 32]
    :domain [3 255]
    :string [2 65537]
    [:list {:max 64} :hash] [2 2050]
    [:list {:counts [2 4 8]} :u16] [6 18]
    [:optional {} :hash] [1 33]
    [:sized {:prefix :u32} :u64] [12 12]
    [:list {} :hash] [2 (+ 2 (* 32 65535))]
    :header [8 8]))

;; ## Bytes

(defn- random-edit [b [at v how]]
  (let [at (mod at (inc (count b))) rest-at (min (count b) (inc (long at)))
        one (bytes/wrap (byte-array 1 (unchecked-byte v)))]
    (case how
      :set (bytes/concat (bytes/slice b 0 at) one (bytes/slice b rest-at))
      :insert (bytes/concat (bytes/slice b 0 at) one (bytes/slice b at))
      :delete (bytes/concat (bytes/slice b 0 at) (bytes/slice b rest-at))
      :cut (bytes/slice b 0 at))))

(def ^:private edits
  (gen/vector (gen/tuple (gen/choose 0 100000) (gen/elements [0 1 2 3 127 128 255 64 45 46])
                (gen/elements [:set :set :insert :delete :cut]))
    1 2))

(defspec damaged-bytes-are-malformed-or-come-back 3000
  (prop/for-all [[type value] samples/any-value
                 edits edits]
    (let [{:keys [codec]} (samples/types type)
          damaged (reduce random-edit (codec/encode codec value) edits)
          found (codec/decode codec damaged)]
      (if (error/anomaly? found)
        (and (= :malformed (:poz/anomaly found))
             (= "format" (namespace (:poz/error found)))
             (<= 0 (:at found) (count damaged)))
        (= damaged (codec/encode codec found))))))

(defspec random-bytes-are-malformed-or-come-back 3000
  (prop/for-all [type (gen/elements (sort (keys samples/types)))
                 b (gen/fmap #(bytes/wrap (byte-array %)) (gen/vector (gen/choose -2 3) 0 60))]
    (let [{:keys [codec]} (samples/types type)
          found (codec/decode codec b)]
      (if (error/anomaly? found)
        (= :malformed (:poz/anomaly found))
        (= b (codec/encode codec found))))))

;; ## What is allocated

(def ^:private ^ThreadMXBean threads
  (ManagementFactory/getThreadMXBean))

(defn- allocated
  "The bytes that this thread allocates for the thunk `f`."
  ^long [f]
  (let [before (.getCurrentThreadAllocatedBytes threads)]
    (f)
    (- (.getCurrentThreadAllocatedBytes threads) before)))

(deftest counts-and-lengths-that-lie-allocate-little
  (doseq [[type {:keys [codec]}] samples/types
          hex ["ffff" "ffffffff" "ffffffffffffffffffffffff" "0000ffffffffffffffffffff" "00000000ffff000000000000"]
          :let [b (bytes/hex-> hex)]]
    (codec/decode codec b)
    (is (< (allocated #(codec/decode codec b)) 65536) (str type " " hex))))

(deftest the-densest-lists-allocate-a-small-multiple-of-their-bytes
  (are [form hex] (let [n 65535
                        item (bytes/hex-> hex)
                        b (apply bytes/concat (bytes/hex-> "ffff") (repeat n item))
                        c (codec-of form)]
                    (codec/decode c b)
                    (< (allocated #(codec/decode c b)) (+ 65536 (* 200 (count b)))))
    [:list {} :u8] "ff"
    [:list {} :string] "0000"
    [:list {} [:bytes {:prefix :u16}]] "0000"
    [:list {} [:optional {} :u8]] "00"
    [:list {} [:list {} :u8]] "0000"
    [:list {} [:struct {} [:key {} :u16] [:signature {} [:bytes {:prefix :u16}]]]] "ffff0000"
    [:list {} [:struct {} [:group {} :u8] [:key {} :index] [:value {} :u8]]] "ffffffff"
    [:list {} [:struct {} [:a {} :u8]]] "ff"
    [:list {} :name] "00016f"
    [:list {} :domain] "0003612e61"))

;; ## The rest

(deftest all-of-the-bytes-are-the-value
  (is (= {:poz/error :format/trailing :at 2 :path []}
         (select-keys (codec/decode (codec-of :u16) (bytes/hex-> "000102")) [:poz/error :at :path])))
  (is (= {:poz/error :format/truncated :at 0}
         (select-keys (codec/decode (codec-of :u16) (bytes/hex-> "00")) [:poz/error :at]))))

(deftest a-slice-is-read-from-its-own-first-byte
  (let [b (bytes/slice (bytes/hex-> "ffff00056869ffff") 2 6)]
    (is (= {:poz/error :format/truncated :at 2 :found 2}
           (select-keys (codec/decode (codec-of :string) b) [:poz/error :at :found])))))

(deftest algorithms-check-each-index
  (let [c (codec-of [:list {} [:index {:use :sign}]])
        options {:algorithms [:ed25519 :x25519 99]}]
    (is (= [0 2 7] (codec/decode c (bytes/hex-> "0003000000020007"))) "without them none is checked")
    (is (= [0 2] (codec/decode c (bytes/hex-> "000200000002") options)))
    (are [hex error at path] (= [error at path]
                               ((juxt :poz/error :at :path) (codec/decode c (bytes/hex-> hex) options)))
      "000200000003" :format/index 4 [1]
      "000200000001" :format/key-use 4 [1])
    (is (= :format/key-use (:poz/error (error/attempt #(codec/encode c [1] options)))))))

(deftest fold-visits-all-parts-in-the-order-of-their-bytes
  (let [{:keys [node]} (codec-of :auth-body)
        value {:groups [{:id 1 :keys [3 4]}] :revocation-service (bytes/zeros 32)}
        visits (codec/fold (fn [acc {:keys [kind]} _ path] (conj acc [kind path])) [] node value)]
    (is (= [[:struct []] [:list [:groups]] [:struct [:groups 0]] [:u8 [:groups 0 :id]]
            [:list [:groups 0 :keys]] [:index [:groups 0 :keys 0]] [:index [:groups 0 :keys 1]]
            [:optional [:revocation-service]] [:bytes [:revocation-service]]]
           visits))
    (testing "and passes over what is not there"
      (is (= [[:groups]] (codec/fold (fn [acc {:keys [kind]} _ path] (if (= :list kind) (conj acc path) acc))
                           [] node {:groups []}))))))
