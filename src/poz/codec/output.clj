(ns poz.codec.output
  "What a value is written to: bytes that grow, and the path in the value to the part that is
  being written, so that a fault can name it. The counterpart of `poz.codec.input`.

  A `Writer` has methods, which cost less than functions where there is one per field."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.path :as path]
   [poz.error :as error])
  (:import
   (java.nio ByteBuffer)
   (java.util Arrays)
   (poz.bytes Bytes)
   (poz.codec.path Path)))

(set! *warn-on-reflection* true)

(definterface Out
  (^bytes room [^long n] "the array with all bytes, and with room for n more")
  (^long position [] "the offset of the next byte from the first")
  (^void seek [^long offset] "goes to the offset: behind the last byte, to leave room, or back to bytes to be written over")
  (^void integer [^long width ^long v] "writes v in width bytes, 0, 1, 2, 4 or 8, big-endian")
  (^void content [^poz.bytes.Bytes b] "writes b as it is"))

;; `buffer` is over `array`.
(deftype Writer [^:unsynchronized-mutable ^bytes array ^:unsynchronized-mutable ^ByteBuffer buffer
                 ^:unsynchronized-mutable ^long at ^Path path algorithms]
  Out
  (room [_ n]
    (let [size (alength ^bytes array)]
      (when (< (- size at) n)
        (set! array (Arrays/copyOf ^bytes array (int (max (+ at n) (* 2 size)))))
        (set! buffer (ByteBuffer/wrap ^bytes array)))
      array))
  (position [_] at)
  (seek [this offset]
    (.room this (- offset at))
    (set! at offset))
  (integer [this width v]
    (let [to (.room this width) end (+ at width)]
      (case width
        1 (aset to (unchecked-int at) (unchecked-byte v))
        2 (do (aset to (unchecked-int at) (unchecked-byte (unsigned-bit-shift-right v 8)))
            (aset to (unchecked-int (inc at)) (unchecked-byte v)))
        4 (.putInt ^ByteBuffer buffer (unchecked-int at) (unchecked-int v))
        8 (.putLong ^ByteBuffer buffer (unchecked-int at) v)
        0 nil)
      (set! at end)))
  (content [this b]
    (let [n (.-length b)]
      (System/arraycopy (.-array b) (.-offset b) (.room this n) (unchecked-int at) n)
      (set! at (+ at n)))))

(defn- writer-in
  "An empty writer into `array`."
  ^Writer [^bytes array algorithms]
  (Writer. array (ByteBuffer/wrap array) 0 (path/path) algorithms))

(defn writer
  "An empty writer, with room for `size` bytes, and for more when they come. `algorithms`, a
  vector or nil, are those of the record's keys."
  (^Writer [algorithms] (writer algorithms 256))
  (^Writer [algorithms size] (writer-in (byte-array (int size)) algorithms)))

(defn result
  "The byte string of all that was written before the present position."
  ^Bytes [^Writer w]
  (bytes/wrap (Arrays/copyOf (.room w 0) (unchecked-int (.position w)))))

;; What is written often, and is no secret, is written into one array again and again: a new one costs
;; a tenth of encoding a record, since it comes from memory that no cache holds.

(def ^:private ^ThreadLocal spare
  "An array that nobody writes to, or nil."
  (ThreadLocal.))

(def ^:private ^:const spare-size 65536)

(defn lent-writer
  "As `writer`, into an array that this thread has spare, for what is no secret. `lent-result` gives it back."
  ^Writer [algorithms]
  (let [array (.get ^ThreadLocal spare)]
    (.set ^ThreadLocal spare nil)
    (writer-in (or array (byte-array 4096)) algorithms)))

(defn- kept
  "The byte string of all that was written, in the writer's own array: of which an eighth at most is not used."
  ^Bytes [^Writer w]
  (let [array (.room w 0) n (.position w)]
    (if (<= (- (alength array) n) (quot n 8)) (bytes/wrap array 0 n) (result w))))

(defn lent-result
  "As `result`, of a `lent-writer`, which is not to be used any more."
  ^Bytes [^Writer w]
  (let [array (.room w 0)]
    (if (<= (alength array) spare-size)
      (let [file (result w)]
        (.set ^ThreadLocal spare array)
        file)
      (kept w))))

(defn set-path!
  "Sets what stands at `depth` of the path, for writers compiled for below it."
  [^Writer w ^long depth key]
  (path/key! (.-path w) depth key))

(defn fault!
  "Throws the anomaly for `code` at `depth` of the present path."
  [^Writer w depth code facts]
  (error/fail! code (assoc facts :path (path/elements (.-path w) depth))))

(defn type-fault!
  "Throws the anomaly of `v` where there should be what `expected` says."
  [w depth expected v]
  (fault! w depth :format/type {:expected expected
                                :found (if (bytes/secret? v) "a secret" (pr-str v))}))
