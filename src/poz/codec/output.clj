(ns poz.codec.output
  "What a value is written to: bytes that grow, and the path in the value to the part that is
  being written, so that a fault can name it. The counterpart of `poz.codec.input`.

  A `Writer` has methods, which cost less than functions where there is one per field."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.path :as path]
   [poz.error :as error])
  (:import
   (java.util Arrays)
   (poz.bytes Bytes)
   (poz.codec.path Path)))

(set! *warn-on-reflection* true)

(definterface Out
  (^bytes room [^long n] "the array with all bytes, and with room for n more")
  (^long position [] "the offset of the next byte from the first")
  (^void seek [^long offset] "goes to the offset: behind the last byte, to leave room, or back to bytes to be written over")
  (^void integer [^long width ^long v] "writes v in width bytes, big-endian")
  (^void content [^poz.bytes.Bytes b] "writes b as it is"))

(deftype Writer [^:unsynchronized-mutable ^bytes array ^:unsynchronized-mutable ^long at ^Path path algorithms]
  Out
  (room [_ n]
    (let [size (alength ^bytes array)]
      (when (< (- size at) n)
        (set! array (Arrays/copyOf ^bytes array (int (max (+ at n) (* 2 size))))))
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
        (loop [i (dec end) v v]
          (when (<= at i)
            (aset to (unchecked-int i) (unchecked-byte v))
            (recur (dec i) (unsigned-bit-shift-right v 8)))))
      (set! at end)))
  (content [this b]
    (let [n (.-length b)]
      (System/arraycopy (.-array b) (.-offset b) (.room this n) (unchecked-int at) n)
      (set! at (+ at n)))))

(defn writer
  "An empty writer, with room for `size` bytes, and for more when they come. `algorithms`, a
  vector or nil, are those of the record's keys."
  (^Writer [algorithms] (writer algorithms 256))
  (^Writer [algorithms size]
   (Writer. (byte-array (int size)) 0 (path/path) algorithms)))

(defn result
  "The byte string of all that was written before the present position."
  ^Bytes [^Writer w]
  (bytes/wrap (Arrays/copyOf (.room w 0) (unchecked-int (.position w)))))

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
