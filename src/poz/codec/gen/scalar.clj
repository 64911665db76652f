(ns poz.codec.gen.scalar
  "Generators of the values that have no parts: numbers, bytes, texts, codes.

  They favour the ends of ranges, all-zero bytes, odd text: combining and invisible
  marks, four-byte characters, names filled to the last byte, xn-- domains."
  (:require
   [clojure.string :as str]
   [clojure.test.check.generators :as gen]
   [poz.bytes :as bytes]
   [poz.codec.node :as node])
  (:import
   (java.util SplittableRandom)))

(set! *warn-on-reflection* true)

(defn- leaf
  "A generator of what `f` makes with a source of randomness; shrinks to `simplest`.
  One draw of test.check's makes a whole leaf: some hundred of them make a record."
  [simplest f]
  (gen/fmap (fn [seed] (if (zero? (long seed)) simplest (f (SplittableRandom. seed))))
    (gen/choose 0 Integer/MAX_VALUE)))

(defn- below
  "A random integer from 0 to `n` - 1."
  ^long [^SplittableRandom r ^long n]
  (.nextLong r n))

(defn- within ^long [^SplittableRandom r ^long low ^long high]
  (if (= high Long/MAX_VALUE)
    (max low (bit-and high (.nextLong r)))
    (.nextLong r low (inc high))))

(defn- pick [r choices]
  (nth choices (below r (count choices))))

(defn int-gen
  "Integers of an integer node."
  [{:keys [low high]} _]
  (let [low (long low) high (long high)]
    (leaf low (fn [r] (case (below r 8)
                        0 low
                        1 high
                        (2 3 4) (within r low (min high (+ low 20)))
                        (within r low high))))))

(defn unsigned-gen
  "Integers of 8 bytes, half of them beyond the longs."
  [_ _]
  (leaf 0 (fn [^SplittableRandom r]
            (let [v (long (pick r [(below r 20) Long/MAX_VALUE Long/MIN_VALUE -1 (.nextLong r) (.nextLong r)]))]
              (if (neg? v) (+ 18446744073709551616N v) v)))))

(defn- random-bytes [^SplittableRandom r n]
  (let [a (byte-array n)]
    (when (pos? (below r 16))
      (.nextBytes r a))
    (bytes/wrap a)))

(defn byte-strings
  "A generator of byte strings of `low` to `high` bytes, one in 16 all zero."
  [low high]
  (leaf (bytes/zeros low) (fn [r] (random-bytes r (within r low high)))))

(defn bytes-gen
  "Byte strings of a node, mostly short ones."
  [{:keys [props]} _]
  (let [{:keys [size prefix] least :min most :max} props
        low (long (or size least 0)) high (long (or size most (node/int-max prefix)))
        few (min high (+ low 80)) many (min high (+ few 256))]
    (leaf (bytes/zeros low)
      (fn [r] (random-bytes r (case (below r 24)
                                0 low
                                1 (within r few many)
                                (within r low few)))))))

;; ## Text

(def ^:private plain-marks
  "What a handle may hold: one to four bytes each, combining, invisible, the last of all."
  ["a" "b" "Z" "0" "9" "-" "_" "." "~" "é" "ß" "Ж" "ÿ" "字" "が" "한" "\u0301" "\u200d" "\ufeff"
   "\ufffd" "\uffff" "😀" "\udbff\udfff"])

(def ^:private all-marks
  (into plain-marks [" " "@" "/" ":" "\u00a0" "\u2028" "\u3000"]))

(defn- size-of ^long [s]
  (count (bytes/utf8 s)))

(defn- fill
  "As many of `mark` as fit in `size` bytes of UTF-8, and then of a."
  [mark size]
  (let [s (str/join (repeat (quot (long size) (size-of mark)) mark))]
    (str s (str/join (repeat (- (long size) (size-of s)) "a")))))

(defn- random-text [r marks low high]
  (let [n (within r low (min 12 (long high)))
        s (str/join (repeatedly n #(pick r marks)))]
    (if (<= (size-of s) (long high)) s (fill (pick r marks) high))))

(defn- marks-gen [marks low high]
  (leaf (fill "a" low)
    (fn [r] (if (zero? (below r 10))
              (fill (pick r marks) (min 300 (long high)))
              (random-text r marks low high)))))

(def ^:private labels
  ["example" "org" "com" "a" "0" "x-y" "a--b" "xn--bcher-kva" "xn--p1ai" (fill "l" 63)])

(defn- random-label [r]
  (if (zero? (below r 2))
    (pick r labels)
    (str/join (repeatedly (within r 1 10) #(pick r "abcdefghijklmnopqrstuvwxyz0123456789")))))

(defn- domain-gen [high]
  (let [longest (subs (str/join "." (repeat 5 (fill "d" 63))) 0 high)]
    (leaf "a"
      (fn [r] (let [s (str/join "." (repeatedly (within r 1 4) #(random-label r)))]
                (if (or (< (long high) (count s)) (zero? (below r 16))) longest s))))))

(defn text-gen
  "Strings of a node, mostly of up to 12 characters."
  [{:keys [props]} _]
  (let [{:keys [min max form] :or {min 0 max 65535}} props]
    (case form
      :domain (domain-gen max)
      :handle (marks-gen plain-marks min max)
      (marks-gen all-marks min max))))

(defn enum-gen
  "Keywords of an enumeration; of an open one now and then an unknown code."
  [{:keys [props]} _]
  (let [{:keys [as codes open]} props
        named (mapv second codes)
        unknown (when open (into [] (remove (into #{} (map first) codes)) (range (inc (node/int-max as)))))]
    (leaf (first named)
      (fn [r] (pick r (if (and open (zero? (below r 6))) unknown named))))))
