(ns poz.bytes-test
  (:refer-clojure :exclude [bytes])
  (:require
   [clojure.data.json :as json]
   [clojure.pprint :as pprint]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes])
  (:import
   (java.nio ReadOnlyBufferException)
   (java.util Arrays)))

(set! *warn-on-reflection* true)

(def ^:private arrays
  (gen/fmap byte-array (gen/vector gen/byte 0 40)))

(defn- inside
  "The bytes of `array` as a slice of a longer array."
  [^"[B" array before after]
  (let [long-array (byte-array (concat (repeat before 7) array (repeat after 9)))]
    (bytes/wrap long-array before (alength array))))

;; Equality, hash, order

(defspec equal-by-content-wherever-they-lie 500
  (prop/for-all [array arrays before (gen/choose 0 5) after (gen/choose 0 5)]
    (let [a (bytes/copy-of array) b (inside array before after)]
      (and (= a b) (= b a) (= (hash a) (hash b)) (= (.hashCode ^Object a) (.hashCode ^Object b))
        (zero? (compare a b)) (contains? #{a} b) (= :found (get {a :found} b))
        (bytes/same? a b)))))

(defspec order-is-unsigned-and-lexicographic 500
  (prop/for-all [x arrays y arrays]
    (let [sign #(Long/signum (long %))
          expected (compare (mapv #(bit-and 0xff (long %)) x) (mapv #(bit-and 0xff (long %)) y))
          n (min (alength ^"[B" x) (alength ^"[B" y))
          head (compare (mapv #(bit-and 0xff (long %)) (take n x)) (mapv #(bit-and 0xff (long %)) (take n y)))
          expected (if (zero? (long head)) (compare (count x) (count y)) (if (= n (count x) (count y)) expected head))]
      (= (sign expected) (sign (compare (bytes/wrap x) (bytes/wrap y)))))))

(deftest order-by-example
  (is (= (map bytes/hex-> ["" "00" "0001" "01" "7f" "80" "ff" "ff00"])
         (sort (map bytes/hex-> ["ff" "80" "" "ff00" "0001" "7f" "01" "00"])))))

(deftest unlike-anything-else
  (let [b (bytes/hex-> "00ff")]
    (are [x] (not= b x) [0 255] "00ff" nil (bytes/hex-> "00fe") (bytes/hex-> "00ff00") (bytes/->array b)
      (bytes/secret b))
    (is (bytes/bytes? b))
    (is (not (bytes/bytes? (bytes/->array b))))
    (is (not (bytes/bytes? (bytes/secret b))))))

(defspec same-agrees-with-equality 300
  (prop/for-all [x arrays y arrays]
    (= (= (bytes/wrap x) (bytes/wrap y)) (bytes/same? (bytes/wrap x) (bytes/wrap y)))))

;; Parts

(deftest counts-and-positions
  (let [b (bytes/slice (bytes/hex-> "aa00ff80bb") 1 4)]
    (is (= 3 (count b)))
    (is (= [0 255 128] (map #(nth b %) (range 3))))
    (is (= :none (nth b 3 :none) (nth b -1 :none)))
    (are [i] (thrown-with-msg? IndexOutOfBoundsException #"byte -?\d+ of 3" (nth b i)) 3 -1)))

(deftest numbers
  (are [n hex] (= n (bytes/uint (bytes/hex-> hex)))
    0 "", 0 "00", 255 "ff", 256 "0100", 72057594037927935 "ffffffffffffff"))

(deftest slices-within-bounds-only
  (let [b (bytes/hex-> "00010203")]
    (is (= (bytes/hex-> "0102") (bytes/slice b 1 3)))
    (is (= (bytes/hex-> "0203") (bytes/slice b 2)))
    (is (= bytes/empty (bytes/slice b 4) (bytes/slice b 0 0)))
    (is (= (bytes/hex-> "02") (bytes/slice (bytes/slice b 1 4) 1 2)) "of a slice")
    (are [start end] (thrown? IndexOutOfBoundsException (bytes/slice b start end))
      -1 2, 0 5, 3 2, 5 5)
    (is (thrown? IndexOutOfBoundsException (bytes/slice (bytes/slice b 1 2) 0 2)) "not beyond the slice")
    (are [offset length] (thrown? IndexOutOfBoundsException (bytes/wrap (byte-array 4) offset length))
      -1 1, 0 5, 4 1, 1 -1)))

(deftest copies-and-views
  (let [array (byte-array [1 2 3]) shared (bytes/wrap array) own (bytes/copy-of array)
        out (bytes/->array own)]
    (aset-byte array 0 9)
    (aset-byte out 1 9)
    (is (= (bytes/hex-> "090203") shared) "wrap shares")
    (is (= (bytes/hex-> "010203") own) "copy-of and ->array do not"))
  (testing "a buffer can be read only, and sees the slice only"
    (let [buffer (bytes/buffer (bytes/slice (bytes/hex-> "0000000102") 1 5))]
      (is (= [0 4] [(.position buffer) (.remaining buffer)]))
      (is (= 0x00000102 (.getInt buffer)))
      (is (thrown? ReadOnlyBufferException (.put buffer 0 (byte 1)))))))

(deftest conversions
  (is (= (bytes/hex-> "0aff") (bytes/hex-> "0AFF")))
  (is (= "0aff" (bytes/->hex (bytes/hex-> "0AFF")) (str (bytes/hex-> "0aff"))))
  (are [s] (thrown? IllegalArgumentException (bytes/hex-> s)) "0" "zz" "0 0a" "0x00")
  (is (= (bytes/hex-> "c3a9") (bytes/utf8 "é")))
  (is (= "AP8=" (bytes/->base64 (bytes/hex-> "00ff"))))
  (is (= (bytes/hex-> "010203") (bytes/concat (bytes/hex-> "01") bytes/empty (bytes/hex-> "0203"))))
  (is (= bytes/empty (bytes/concat) (bytes/concat bytes/empty bytes/empty) (bytes/join []) (bytes/zeros 0)))
  (is (= (bytes/hex-> "0102") (bytes/concat (bytes/hex-> "0102"))
        (bytes/concat (bytes/slice (bytes/hex-> "ff01ff") 1 2) (bytes/slice (bytes/hex-> "ffff02") 2))))
  (is (= (bytes/hex-> "010203") (bytes/join [(bytes/slice (bytes/hex-> "000102ff") 1 3) (bytes/hex-> "03")])))
  (are [hex zero] (= zero (bytes/zero-bytes? (bytes/hex-> hex)))
    "" true, "0000" true, "0001" false, "8000" false))

(defspec hex-and-arrays-come-back 300
  (prop/for-all [array arrays]
    (let [b (bytes/wrap array)]
      (and (= b (bytes/hex-> (bytes/->hex b)))
        (Arrays/equals ^"[B" array ^"[B" (bytes/->array b))))))

;; Printing

(defspec what-is-printed-reads-back 300
  (prop/for-all [array arrays]
    (let [v {:a [(bytes/wrap array)] (bytes/wrap array) #{(bytes/wrap array)}}]
      (= v (read-string (pr-str v)) (binding [*print-dup* true] (read-string (pr-str v)))))))

(deftest printed-as-hex
  (let [b (bytes/slice (bytes/hex-> "000aff00") 1 3)]
    (is (= "#poz/hex \"0aff\"" (pr-str b) (print-str b) (binding [*print-dup* true] (pr-str b))))
    (is (= "{:k #poz/hex \"0aff\"}\n" (with-out-str (pprint/pprint {:k b}))))))

(deftest a-literal-in-code
  (is (= (bytes/hex-> "00ff") #poz/hex "00ff"))
  (is (= [{:k (bytes/hex-> "00ff")}] (eval '[{:k #poz/hex "00ff"}])) "compiled inside a constant")
  (is (= (bytes/hex-> "01") ((eval '(fn [] #poz/hex "01"))))))

;; Secrets

(def ^:private content (bytes/hex-> "c0ffee00c0ffee00"))

(defn- hidden? [s]
  (not (re-find #"(?i)c0ff|192|-64" s)))

(deftest secrets-never-print
  (let [s (bytes/secret content)
        inside {:key s [s] #{s} :list (list s)}
        e (ex-info (str "about " s) inside (ex-info "cause" {:s s}))]
    (are [text] (hidden? text)
      (pr-str s)
      (str s)
      (print-str s)
      (format "%s" s)
      (prn-str inside)
      (str inside)
      (with-out-str (pprint/pprint inside))
      (pr-str e)
      (str e)
      (pr-str (Throwable->map e))
      (with-out-str (binding [*err* *out*] (.printStackTrace ^Throwable e (java.io.PrintWriter. *out*))))
      (pr-str (bean s))
      (str (hash s)))
    (is (= "#poz/secret \"redacted\"" (pr-str s) (str s)))
    (is (every? str/blank? (re-seq #"c0ffee" (pr-str inside))))))

(deftest secrets-are-not-written-out
  (let [s (bytes/secret content)]
    (is (thrown-with-msg? UnsupportedOperationException #"not written out"
          (binding [*print-dup* true] (pr-str {:k [s]}))))
    (is (thrown? Exception (read-string (pr-str s))) "nor does what is printed read back as one")
    (is (not (instance? java.io.Serializable s)))
    (is (hidden? (try (json/write-str {:k s}) (catch Exception e (str e)))))))

(deftest secrets-compare-and-open
  (let [s (bytes/secret content)]
    (is (= s (bytes/secret (bytes/copy-of (bytes/->array content)))))
    (are [x] (not= s x) (bytes/secret bytes/empty) content nil)
    (is (= (hash s) (hash (bytes/secret bytes/empty))) "a hash would tell something")
    (is (= content (bytes/reveal s)))
    (is (bytes/secret? s))
    (is (not (bytes/secret? content)))
    (are [x] (thrown? IllegalArgumentException (bytes/secret x)) nil "text" (byte-array 3) s)))
