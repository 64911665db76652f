(ns poz.crypto.memo
  "`bounded` is `memoize` for functions of one byte string, with a bound: the results for
  those used last are kept. It is for parsed public keys. Never for secrets. `once` is `delay`
  for what loads a namespace."
  (:require
   [poz.bytes :as bytes])
  (:import
   (java.util LinkedHashMap)))

(set! *warn-on-reflection* true)

(defn- put! [^LinkedHashMap results limit k v]
  (locking results
    (.put results k v)
    (when (< (long limit) (.size results))
      (let [least-recent (.iterator (.keySet results))]
        (.next least-recent)
        (.remove least-recent)))))

(defn bounded
  "A function of one byte string that gives what `f` gives, nil included, and keeps the
  results for the `limit` byte strings used last. For any number of threads: two that
  ask for the same new one at once may both compute it. What `f` throws is not kept."
  [limit f]
  (let [results (LinkedHashMap. 16 0.75 true)]
    (fn [b]
      (let [kept (locking results (.getOrDefault results b ::absent))]
        (if (identical? ::absent kept)
          ;; The key kept is a copy: `b` may be a slice that holds a whole file.
          (let [own (bytes/wrap (bytes/->array b)) v (f b)]
            (put! results limit own v)
            v)
          kept)))))

(defn once
  "A function that gives what `(f)`, never nil or false, gave at first. Several threads may call `f` at
  once, as none waits for another: one that loads a namespace keeps all others from loading any, and
  would wait for ever for one that had begun with `f` and came to load what that needs."
  [f]
  (let [kept (volatile! nil)]
    #(or @kept (vreset! kept (f)))))
