(ns poz.codec.value
  "Values, asked for their class.

  Whether an object implements an interface is a question that takes the JVM long where it
  is a different interface each time, and longest where the answer is no. What these give
  is what `get`, `contains?`, `count`, `to-array`, `map?`, `vector?` and `=` give; they just ask first whether it is the
  class that it nearly always is."
  (:require
   [poz.bytes])
  (:import
   (clojure.lang APersistentMap APersistentVector PersistentArrayMap PersistentVector)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(defn of
  "The value of the key `k` in the map `m`, or nil."
  [m k]
  (if (instance? PersistentArrayMap m)
    (.valAt ^PersistentArrayMap m k)
    (get m k)))

(defn has?
  "True if the map `m` has the key `k`."
  [m k]
  (if (instance? PersistentArrayMap m)
    (.containsKey ^PersistentArrayMap m k)
    (contains? m k)))

(defn size
  "How many there are in the byte string, map or vector `v`."
  ^long [v]
  (cond (instance? Bytes v) (.-length ^Bytes v)
        (instance? APersistentVector v) (.size ^APersistentVector v)
        (instance? APersistentMap v) (.size ^APersistentMap v)
        :else (count v)))

(def ^:private ^:const one-array
  "How many items a vector holds in a single array."
  32)

(defn items
  "An array that begins with the items of the vector `v`. It may be the vector's own: nobody may write
  to it."
  ^objects [v]
  (cond (instance? PersistentVector v)
        (let [n (.count ^PersistentVector v)]
          (if (and (pos? n) (<= n one-array)) (.arrayFor ^PersistentVector v 0) (.toArray ^PersistentVector v)))
        (instance? APersistentVector v) (.toArray ^APersistentVector v)
        :else (to-array v)))

(defn a-map?
  "True if `v` is a map."
  [v]
  (or (instance? APersistentMap v) (map? v)))

(defn a-vector?
  "True if `v` is a vector."
  [v]
  (or (instance? APersistentVector v) (vector? v)))

(defn equal?
  "True if `a` equals `b`."
  [a b]
  (cond (identical? a b) true
        (instance? Bytes a) (.equals ^Bytes a b)
        (instance? String a) (.equals ^String a b)
        :else (= a b)))
