(ns poz.codec.value
  "Values, asked for their class.

  Whether an object implements an interface is a question that takes the JVM long where it
  is a different interface each time, and longest where the answer is no. What these give
  is what `get`, `contains?`, `count` and `=` give; they just ask first whether it is the
  class that it nearly always is."
  (:require
   [poz.bytes])
  (:import
   (clojure.lang APersistentMap APersistentVector PersistentArrayMap)
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

(defn equal?
  "True if `a` equals `b`."
  [a b]
  (cond (identical? a b) true
        (instance? Bytes a) (.equals ^Bytes a b)
        (instance? String a) (.equals ^String a b)
        :else (= a b)))
