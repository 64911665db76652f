(ns poz.codec.text
  "What a string may hold (format.md §1): well-formed UTF-8, no control characters, a
  length in bytes, and for handles and domains a choice of characters.

  A check gives nil or a fault, `{:error … :rule …}` with `:index`, the byte or
  character where the first offence stands. Order as the spec has it: UTF-8, controls,
  length, other characters. Nothing here knows any version of Unicode."
  (:import
   (java.nio ByteBuffer CharBuffer)
   (java.nio.charset CharacterCodingException CodingErrorAction StandardCharsets)))

(set! *warn-on-reflection* true)

;; ## Characters
;;
;; What a char may be unfit for is a bit each, so that a string is looked at once. Ranges
;; are two comparisons each, since one of three numbers is not primitive.

(def ^:private ^:const control 1)
(def ^:private ^:const no-handle 2)
(def ^:private ^:const no-domain 4)
(def ^:private ^:const no-ascii 8)

(defn- control? [^long c]
  (or (<= c 0x1f) (and (<= 0x7f c) (<= c 0x9f))))

(defn- white? [^long c]
  (or (= c 0x20) (= c 0xa0) (= c 0x1680) (and (<= 0x2000 c) (<= c 0x200a))
    (= c 0x2028) (= c 0x2029) (= c 0x202f) (= c 0x205f) (= c 0x3000)))

(defn- domain-char? [^long c]
  (or (and (<= 0x61 c) (<= c 0x7a)) (and (<= 0x30 c) (<= c 0x39)) (= c 0x2d) (= c 0x2e)))

(defn- unfitness ^long [^long c]
  (bit-or (if (control? c) control 0)
    (if (or (= c 0x40) (= c 0x2f) (= c 0x3a) (white? c)) no-handle 0)
    (if (domain-char? c) 0 no-domain)))

(def ^:private byte-unfitness
  "By the value of a byte, from -128 on: what an ASCII character is unfit for, and that any
  other byte is none."
  (byte-array (concat (repeat 0x80 no-ascii) (map unfitness (range 0x80)))))

(defn- unfit-char ^long [^bytes table ^long c]
  (if (< c 0x80) (aget table (+ 0x80 c)) (bit-or no-ascii (unfitness c))))

(defn- unfit-at ^long [^bytes table ^String s ^long i]
  (unfit-char table (int (.charAt s i))))

(defn unfit
  "All that some char of `s` is unfit for, as bits."
  ^long [^String s]
  (let [table ^bytes byte-unfitness n (.length s)]
    (loop [i 0 found 0]
      (if (< i n)
        (recur (inc i) (bit-or found (unfit-at table s i)))
        found))))

(defn write-ascii
  "Writes the chars of `s` into `array` from `at` on, each in a byte; right where all of them are
  ASCII. Gives what `unfit` gives."
  ^long [^String s ^bytes array ^long at]
  (let [table ^bytes byte-unfitness n (.length s)]
    (loop [i 0 found 0]
      (if (< i n)
        (let [c (int (.charAt s (unchecked-int i)))]
          (aset array (unchecked-int (+ at i)) (unchecked-byte c))
          (recur (inc i) (bit-or found (unfit-char table c))))
        found))))

(defn unfit-bytes
  "As `unfit`, for the `length` bytes of `array` from `offset`; only where all of them are
  ASCII does it tell more than that they are not."
  ^long [^bytes array ^long offset ^long length]
  (let [table ^bytes byte-unfitness end (+ offset length)]
    (loop [i offset found 0]
      (if (< i end)
        (recur (inc i) (bit-or found (long (aget table (+ 0x80 (aget array i))))))
        found))))

(defn ascii?
  "True if `unfit`, as from the functions of this name, is that of ASCII only."
  [^long unfit]
  (zero? (bit-and no-ascii unfit)))

(defn- find-unfit
  "The index of the first char of `s`, from `start` on and before `end`, that is unfit for
  `what`, or -1."
  ^long [^String s ^long what ^long start ^long end]
  (loop [i start]
    (cond (= i end) -1
          (zero? (bit-and what (unfit-at byte-unfitness s i))) (recur (inc i))
          :else i)))

(defn- char-fault [^String s what facts]
  (let [i (find-unfit s what 0 (.length s))]
    (assoc facts :index i :found (format "U+%04X" (int (.charAt s i))))))

;; ## UTF-8

(defn decode-utf8
  "The string that the `length` bytes of `array` from `offset` write in well-formed
  UTF-8; where they do not, the index of the first byte that is wrong."
  [^bytes array ^long offset ^long length]
  (let [decoder (-> (.newDecoder StandardCharsets/UTF_8)
                  (.onMalformedInput CodingErrorAction/REPORT)
                  (.onUnmappableCharacter CodingErrorAction/REPORT))
        in (ByteBuffer/wrap array (int offset) (int length))
        out (CharBuffer/allocate (int length))
        result (.decode decoder in out true)]
    (if (.isError result)
      (- (.position in) offset)
      (str (.flip out)))))

(defn read-utf8
  "As `decode-utf8`, faster where all bytes are ASCII, as `unfit` of them tells."
  ([array offset length] (read-utf8 array offset length (unfit-bytes array offset length)))
  ([^bytes array ^long offset ^long length ^long unfit]
   (if (ascii? unfit)
     (String. array (unchecked-int offset) (unchecked-int length) StandardCharsets/ISO_8859_1)
     (decode-utf8 array offset length))))

(defn encode-utf8
  "The UTF-8 bytes of `s`, or nil where it holds half of a surrogate pair."
  ^bytes [^String s]
  (try
    (let [buffer (.encode (-> (.newEncoder StandardCharsets/UTF_8)
                            (.onMalformedInput CodingErrorAction/REPORT))
                   (CharBuffer/wrap s))
          out (byte-array (.remaining buffer))]
      (.get buffer out)
      out)
    (catch CharacterCodingException _ nil)))

;; ## Faults

(defn- label-fault
  "What is wrong with the label in `s` from `start` to `end`."
  [^String s ^long unfit ^long start ^long end]
  (cond
    (or (= start end) (< 63 (- end start))) "labels of 1 to 63 characters"
    (and (pos? (bit-and no-domain unfit)) (<= 0 (find-unfit s no-domain start end))) "labels of a–z, 0–9 and -"
    (or (= \- (.charAt s start)) (= \- (.charAt s (dec end)))) "no hyphen first or last in a label"))

(defn- labels-fault
  "What is wrong with the first bad label of `s`, whose chars are `unfit`, or nil."
  [^String s ^long unfit]
  (loop [start 0]
    (let [dot (.indexOf s (int \.) (int start))]
      (if (neg? dot)
        (label-fault s unfit start (.length s))
        (or (label-fault s unfit start dot)
          (recur (inc dot)))))))

(defn- domain-fault [^String s ^long unfit bad-length]
  (when-let [rule (or (:rule bad-length) (labels-fault s unfit))]
    {:error :format/domain :index 0 :rule rule :found (pr-str s)}))

(defn- length-fault [^long size ^long low ^long high]
  (when-not (and (<= low size) (<= size high))
    {:error :format/length :index 0 :rule (str low " to " high " bytes") :found size}))

(defn check
  "For the properties of a text type (`:min :max :form`): the function of a string, its
  size in UTF-8 and what it is `unfit` for that gives why it does not meet them, or nil."
  [{:keys [form min max]}]
  (let [low (long (or min 0)) high (long (or max 65535))
        domain? (= :domain form) handle? (= :handle form)]
    (fn [^String s ^long size ^long unfit]
      (let [bad-length (length-fault size low high)]
        (cond
          (pos? (bit-and control unfit))
          (char-fault s control {:error :format/control-char :rule "no U+0000–001F, no U+007F–009F"})
          domain? (domain-fault s unfit bad-length)
          bad-length bad-length
          (and handle? (pos? (bit-and no-handle unfit)))
          (char-fault s no-handle {:error :format/handle :rule "none of @ / : and no white space"}))))))

(defn fault
  "Why the string `s`, `size` bytes long in UTF-8, does not meet the properties of its
  type (`:min :max :form`), or nil."
  [s size props]
  ((check props) s size (unfit s)))
