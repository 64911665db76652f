(ns poz.codec.source
  "The bytes that a decoded struct came from, kept beside it, so that what is to be hashed is
  what arrived and need not be encoded again.

  Readers attach a *source* to the maps of structs that say `:source` in the format table; it
  is in the map's metadata. `of` gives it only for the very map that was decoded: one that was
  changed since, or put together otherwise, has none.

  `between` gives the bytes of fields that follow one another."
  (:require
   [poz.bytes])
  (:import
   (clojure.lang PersistentArrayMap)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(definterface Attached
  (value [] "the map that was decoded")
  (attach [m] "says that it is `m`"))

;; `places` has where in `array` the first field starts, and where each ends.
(deftype Source [^bytes array ^objects keys ^ints places ^:unsynchronized-mutable decoded]
  Attached
  (value [_] decoded)
  (attach [_ m] (set! decoded m)))

(defn attach
  "The map of the array `kvs`, keys and values, with its source: in `array` the fields `keys` at
  `places`."
  [kvs array keys places]
  (let [source (Source. array keys places nil)
        m (PersistentArrayMap. (PersistentArrayMap. (object-array [::source source])) ^objects kvs)]
    (.attach source m)
    m))

(defn of
  "The source of the map `m`, or nil."
  ^Source [m]
  (when-let [^Source source (::source (meta m))]
    (when (identical? m (.value source)) source)))

(defn- position ^long [^objects keys key]
  (loop [i 0]
    (if (identical? key (aget keys i)) i (recur (inc i)))))

(defn between
  "The bytes of the fields from `first` to `last` in `source`, without a copy."
  ^Bytes [^Source source first last]
  (let [keys (.-keys source)
        ^ints places (.-places source)
        start (aget places (position keys first))]
    (Bytes. (.-array source) start (unchecked-subtract-int (aget places (inc (position keys last))) start))))
