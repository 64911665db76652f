(ns poz.codec.text
  "What a string may hold (format.md §1): well-formed UTF-8, no control characters, a
  length in bytes, and for handles and domains a choice of characters.

  A check gives nil or a fault, `{:error … :rule …}` with `:index`, the byte or
  character where the first offence stands. Order as the spec has it: UTF-8, controls,
  length, other characters. Nothing here knows any version of Unicode."
  (:import
   (clojure.lang IFn$LO)
   (java.nio ByteBuffer CharBuffer)
   (java.nio.charset CharacterCodingException CodingErrorAction StandardCharsets)))

(set! *warn-on-reflection* true)

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

(defn ascii?
  "True if the bytes are all below 0x80: then they are UTF-8 whatever they are."
  [^bytes array ^long offset ^long length]
  (let [end (+ offset length)]
    (loop [i offset]
      (cond (= i end) true
            (neg? (aget array i)) false
            :else (recur (inc i))))))

(defn read-utf8
  "As `decode-utf8`, faster where all bytes are ASCII."
  [^bytes array ^long offset ^long length]
  (if (ascii? array offset length)
    (String. array (int offset) (int length) StandardCharsets/ISO_8859_1)
    (decode-utf8 array offset length)))

(defn- encode-utf8
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

(defn- find-char
  "The index of the first char of `s`, from `start` on and before `end`, for which `pred`,
  a function of a primitive long, holds, or -1."
  (^long [pred ^String s] (find-char pred s 0 (.length s)))
  (^long [^IFn$LO pred ^String s ^long start ^long end]
   (loop [i start]
     (cond (= i end) -1
           (.invokePrim pred (int (.charAt s i))) i
           :else (recur (inc i))))))

(defn- beyond-ascii? [^long c]
  (< 0x7f c))

(defn write-utf8
  "The UTF-8 bytes of `s`, or nil where it holds half of a surrogate pair."
  ^bytes [^String s]
  (if (neg? (find-char beyond-ascii? s))
    (.getBytes s StandardCharsets/ISO_8859_1)
    (encode-utf8 s)))

;; Ranges are two comparisons each: a comparison of three numbers is no primitive one.

(defn- control? [^long c]
  (or (<= c 0x1f) (and (<= 0x7f c) (<= c 0x9f))))

(defn- white? [^long c]
  (or (= c 0x20) (= c 0xa0) (= c 0x1680) (and (<= 0x2000 c) (<= c 0x200a))
    (= c 0x2028) (= c 0x2029) (= c 0x202f) (= c 0x205f) (= c 0x3000)))

(defn- no-handle-char? [^long c]
  (or (= c 0x40) (= c 0x2f) (= c 0x3a) (white? c)))

(defn- no-label-char? [^long c]
  (not (or (and (<= 0x61 c) (<= c 0x7a)) (and (<= 0x30 c) (<= c 0x39)) (= c 0x2d))))

(defn- hex-char [^String s ^long i]
  (format "U+%04X" (int (.charAt s i))))

(defn- control-fault [^String s]
  (let [i (find-char control? s)]
    (when-not (neg? i)
      {:error :format/control-char :index i :found (hex-char s i)
       :rule "no U+0000–001F, no U+007F–009F"})))

(defn- handle-fault [^String s]
  (let [i (find-char no-handle-char? s)]
    (when-not (neg? i)
      {:error :format/handle :index i :found (hex-char s i)
       :rule "none of @ / : and no white space"})))

(defn- label-fault
  "What is wrong with the label in `s` from `start` to `end`."
  [^String s ^long start ^long end]
  (cond
    (or (= start end) (< 63 (- end start))) "labels of 1 to 63 characters"
    (<= 0 (find-char no-label-char? s start end)) "labels of a–z, 0–9 and -"
    (or (= \- (.charAt s start)) (= \- (.charAt s (dec end)))) "no hyphen first or last in a label"))

(defn- labels-fault
  "What is wrong with the first bad label of `s`, or nil."
  [^String s]
  (loop [start 0]
    (let [dot (.indexOf s "." (int start))]
      (if (neg? dot)
        (label-fault s start (.length s))
        (or (label-fault s start dot)
          (recur (inc dot)))))))

(defn- domain-fault [^String s ^long size {:keys [min max]}]
  (when-let [rule (if (and (<= (long min) size) (<= size (long max)))
                    (labels-fault s)
                    (str min " to " max " bytes"))]
    {:error :format/domain :index 0 :rule rule :found (pr-str s)}))

(defn- length-fault [^long size {:keys [min max]}]
  (let [low (long (or min 0)) high (long (or max 65535))]
    (when-not (and (<= low size) (<= size high))
      {:error :format/length :index 0 :rule (str low " to " high " bytes") :found size})))

(defn fault
  "Why the string `s`, `size` bytes long in UTF-8, does not meet the properties of its
  type (`:min :max :form`), or nil."
  [^String s size {:keys [form] :as props}]
  (or (control-fault s)
    (case form
      :domain (domain-fault s size props)
      :handle (or (length-fault size props) (handle-fault s))
      (length-fault size props))))
