(ns poz.codec.input
  "What readers read from: a `Reader` is a cursor over bytes that knows where it may read to
  and, for the sake of faults, in which part of the value it is.

  - `reader` `position` `remaining` `seek!`: the cursor
  - `need!` `get-int` `take-slice` `rest!` `finish!`: the bytes at it
  - `set-path!` `fault!`: the anomaly that names offset and path
  - `set-algorithms!`: what earlier bytes decide for later ones

  It knows no node: see `poz.codec.read`."
  (:require
   [poz.bytes]
   [poz.codec.path :as path]
   [poz.error :as error])
  (:import
   (java.nio ByteBuffer)
   (poz.bytes Bytes)
   (poz.codec.path Path)))

(set! *warn-on-reflection* true)

;; `context` holds what earlier parts of the file decide for later ones: the algorithms of its
;; keys.
(deftype Reader [^ByteBuffer buffer ^bytes array ^long base ^Path path ^objects context])

(defn reader
  "A cursor at the first byte of the byte string `b`."
  ^Reader [^Bytes b]
  (let [array ^bytes (.-array b)]
    (Reader. (-> (ByteBuffer/wrap array) (.position (.-offset b))
               (.limit (unchecked-add-int (.-offset b) (.-length b))))
      array (.-offset b) (path/path) (object-array 1))))

(defn position
  "The offset of the cursor from the first byte."
  ^long [^Reader r]
  (- (.position ^ByteBuffer (.-buffer r)) (.-base r)))

(defn remaining
  "How many bytes are left before the end of what may be read."
  ^long [^Reader r]
  (.remaining ^ByteBuffer (.-buffer r)))

(defn seek!
  "Moves the cursor to `offset`, with `end` as the end of what may be read."
  [^Reader r ^long offset ^long end]
  (let [^ByteBuffer b (.-buffer r)]
    (.limit b (int (+ (.-base r) end)))
    (.position b (int (+ (.-base r) offset)))))

(defn set-algorithms!
  "Tells the reader the algorithms of the record's keys, a vector: from here on an
  index must lead to one of them, and to one that can do what it is cited for."
  [^Reader r algorithms]
  (aset ^objects (.-context r) 0 algorithms))

(defn set-path!
  "Sets what stands at `depth` of the path, for readers compiled for below it."
  [^Reader r ^long depth key]
  (path/key! (.-path r) depth key))

(defn fault!
  "Throws the anomaly for `code` at the offset `at` and `depth` of the present path."
  [^Reader r depth code at facts]
  (error/fail! code (assoc facts
                      :at at
                      :path (path/elements (.-path r) depth))))

(defn need!
  "Faults unless `n` more bytes are there."
  [^Reader r depth ^long n]
  (let [^ByteBuffer b (.-buffer r)]
    (when (< (.remaining b) n)
      (fault! r depth :format/truncated (position r)
        {:expected (str n (if (= n 1) " byte" " bytes")) :found (.remaining b)}))))

(defn get-int
  "The integer of `width` bytes at the cursor of the buffer `b`, which it moves; of 8 bytes a
  signed one."
  ^long [^ByteBuffer b ^long width]
  (case width
    1 (bit-and 0xff (.get b))
    2 (bit-and 0xffff (.getShort b))
    4 (bit-and 0xffffffff (.getInt b))
    8 (.getLong b)))

(defn take-slice
  "The `n` bytes at the cursor, which are there, as a byte string that shares them."
  ^Bytes [^Reader r ^long n]
  (let [^ByteBuffer b (.-buffer r) at (.position b)]
    (.position b (unchecked-int (+ at n)))
    (Bytes. (.-array r) at (unchecked-int n))))

(defn finish!
  "Faults where bytes are left before the end of what may be read."
  [^Reader r depth]
  (let [^ByteBuffer b (.-buffer r)]
    (when (.hasRemaining b)
      (fault! r depth :format/trailing (position r) {:found (str (.remaining b) " more bytes")}))))

(defn rest!
  "All that is left before the end of what may be read, as a byte string."
  [^Reader r]
  (take-slice r (.remaining ^ByteBuffer (.-buffer r))))
