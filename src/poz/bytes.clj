(ns poz.bytes
  "Immutable byte strings, the only form in which poz keeps bytes.

  A byte string compares by content (`=`, `hash`, `compare` as unsigned
  lexicographic order), knows its `count`, gives unsigned bytes with `nth`, can be
  sliced without a copy, and prints as `#poz/hex \"0aff\"`, which reads back.

  `wrap` and `slice` share the array they are given; nothing here ever writes to
  it, and neither may its owner afterwards. `copy-of` and `->array` copy.

  Nothing here knows what bytes mean."
  (:refer-clojure :exclude [bytes? concat empty])
  (:import
   (clojure.lang Counted IHashEq Indexed Murmur3)
   (java.io Writer)
   (java.nio ByteBuffer)
   (java.nio.charset StandardCharsets)
   (java.util Arrays Base64 HexFormat)))

(set! *warn-on-reflection* true)

(deftype Bytes [^bytes array ^int offset ^int length]
  Counted
  (count [_] length)
  Indexed
  (nth [_ i]
    (if (and (<= 0 i) (< i length))
      (bit-and 0xff (aget array (+ offset i)))
      (throw (IndexOutOfBoundsException. (str "byte " i " of " length)))))
  (nth [_ i not-found]
    (if (and (<= 0 i) (< i length))
      (bit-and 0xff (aget array (+ offset i)))
      not-found))
  IHashEq
  (hasheq [this] (Murmur3/mixCollHash (.hashCode this) length))
  Comparable
  (compareTo [_ other]
    (let [^Bytes o other]
      (Arrays/compareUnsigned array offset (unchecked-add-int offset length)
                              ^bytes (.-array o) (.-offset o)
                              (unchecked-add-int (.-offset o) (.-length o)))))
  Object
  (equals [_ other]
    (and (instance? Bytes other)
         (let [^Bytes o other]
           (Arrays/equals array offset (unchecked-add-int offset length)
                          ^bytes (.-array o) (.-offset o)
                          (unchecked-add-int (.-offset o) (.-length o))))))
  (hashCode [_] (.hashCode (ByteBuffer/wrap array offset length)))
  (toString [_] (.formatHex (HexFormat/of) array offset (+ offset length))))

(defn bytes?
  "True if `x` is a byte string (not a Java array)."
  [x]
  (instance? Bytes x))

(defn wrap
  "The byte string over `array`, or over `length` bytes of it from `offset`. Shares
  the array: do not write to it afterwards."
  (^Bytes [^bytes array] (Bytes. array 0 (alength array)))
  (^Bytes [^bytes array offset length]
   (let [offset (long offset) length (long length)]
     (when-not (and (<= 0 offset) (<= 0 length) (<= (+ offset length) (alength array)))
       (throw (IndexOutOfBoundsException.
                (str "bytes " offset " to " (+ offset length) " of " (alength array)))))
     (Bytes. array (int offset) (int length)))))

(defn copy-of
  "The byte string with a copy of `array`'s content."
  ^Bytes [^bytes array]
  (wrap (aclone array)))

(def empty
  "The byte string of no bytes."
  (wrap (byte-array 0)))

(defn zeros
  "The byte string of `n` zero bytes."
  ^Bytes [n]
  (wrap (byte-array n)))

(defn ->array
  "A new Java array with the bytes of `b`."
  ^bytes [^Bytes b]
  (Arrays/copyOfRange ^bytes (.-array b) (.-offset b)
                      (unchecked-add-int (.-offset b) (.-length b))))

(defn slice
  "The bytes of `b` from `start` (to `end`, or to its end), without a copy."
  (^Bytes [^Bytes b start] (slice b start (.-length b)))
  (^Bytes [^Bytes b start end]
   (let [start (long start) end (long end)]
     (when-not (and (<= 0 start) (<= start end) (<= end (.-length b)))
       (throw (IndexOutOfBoundsException. (str "bytes " start " to " end " of " (.-length b)))))
     (Bytes. (.-array b) (int (+ (.-offset b) start)) (int (- end start))))))

(defn buffer
  "A read-only, big-endian `ByteBuffer` over the bytes of `b`, position 0."
  ^ByteBuffer [^Bytes b]
  (.slice (.asReadOnlyBuffer (ByteBuffer/wrap ^bytes (.-array b) (.-offset b) (.-length b)))))

(defn join
  "One byte string with the bytes of all `parts`, a collection, in order."
  ^Bytes [parts]
  (let [out (byte-array (reduce (fn [n ^Bytes p] (+ (long n) (.-length p))) 0 parts))]
    (reduce (fn [at ^Bytes p]
              (System/arraycopy (.-array p) (.-offset p) out (int at) (.-length p))
              (+ (long at) (.-length p)))
      0 parts)
    (wrap out)))

(defn concat
  "As `join`, of the arguments."
  (^Bytes [] empty)
  (^Bytes [a] a)
  (^Bytes [^Bytes a ^Bytes b]
   (let [n (.-length a) out (byte-array (+ n (.-length b)))]
     (System/arraycopy (.-array a) (.-offset a) out 0 n)
     (System/arraycopy (.-array b) (.-offset b) out n (.-length b))
     (wrap out)))
  (^Bytes [a b & more]
   (join (list* a b more))))

(defn uint
  "The number, 0 or more, that the bytes of `b` write, big-endian; of at most 7 bytes."
  [b]
  (reduce #(+ (* 256 (long %1)) (long (nth b %2))) 0 (range (count b))))

(defn ->hex
  "The lower-case hex digits of `b`."
  ^String [^Bytes b]
  (.toString b))

(defn hex->
  "The byte string that the hex digits `s` write (either case, nothing between).
  Throws IllegalArgumentException where `s` is not hex."
  ^Bytes [^String s]
  (wrap (.parseHex (HexFormat/of) s)))

(defn utf8
  "The UTF-8 bytes of the string `s`."
  ^Bytes [^String s]
  (wrap (.getBytes s StandardCharsets/UTF_8)))

(defn ->base64
  "`b` in base64 with padding, in one line (RFC 4648 §4)."
  ^String [^Bytes b]
  (.encodeToString (Base64/getEncoder) (->array b)))

(defn zero-bytes?
  "True if every byte of `b` is zero. Takes the same time whatever they are."
  [^Bytes b]
  (let [^bytes a (.-array b) end (+ (.-offset b) (.-length b))]
    (loop [i (.-offset b) acc 0]
      (if (< i end)
        (recur (inc i) (bit-or acc (long (aget a i))))
        (zero? acc)))))

(defn same?
  "True if `a` and `b` have the same bytes; the time taken depends on their lengths
  only. For secrets: everything else can use `=`."
  [^Bytes a ^Bytes b]
  (and (= (.-length a) (.-length b))
       (let [^bytes aa (.-array a) ^bytes ba (.-array b) ao (.-offset a) bo (.-offset b)]
         (loop [i 0 acc 0]
           (if (< i (.-length a))
             (recur (inc i)
                    (bit-or acc (bit-xor (long (aget aa (+ ao i))) (long (aget ba (+ bo i))))))
             (zero? acc))))))

(defmethod print-method Bytes [^Bytes b ^Writer w]
  (.write w "#poz/hex \"")
  (.write w (->hex b))
  (.write w "\""))

;; The compiler embeds a literal `#poz/hex` field by field, so it must know how to
;; write the array inside.
(defmethod print-dup Bytes [b w]
  (print-method b w))

(defmethod print-dup byte/1 [^bytes array ^Writer w]
  (.write w "#=(poz.bytes/->array #=(poz.bytes/hex-> \"")
  (.write w (->hex (wrap array)))
  (.write w "\"))"))

;; A secret is a byte string that no printer shows.

(deftype Secret [^Bytes content]
  Object
  (equals [_ other] (and (instance? Secret other) (same? content (.-content ^Secret other))))
  (hashCode [_] 0)
  (toString [_] "#poz/secret \"redacted\""))

(defn secret
  "Wraps the byte string `b` so that it never prints. `reveal` gives it back."
  ^Secret [b]
  (when-not (bytes? b)
    (throw (IllegalArgumentException. "A secret wraps a byte string.")))
  (Secret. b))

(defn secret?
  "True if `x` is a wrapped secret."
  [x]
  (instance? Secret x))

(defn reveal
  "The byte string inside the secret `s`. The only way to it, so easy to search for."
  ^Bytes [^Secret s]
  (.-content s))

(defmethod print-method Secret [^Secret s ^Writer w]
  (.write w (.toString s)))

(defmethod print-dup Secret [_ _]
  (throw (UnsupportedOperationException. "A secret is not written out.")))
