(ns poz.codec.value-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.codec.value :as value]))

(set! *warn-on-reflection* true)

(defrecord Row [a b])

(def ^:private maps
  "The map `{:a 1 :b nil}` in classes that a caller may bring."
  [{:a 1 :b nil} (hash-map :a 1 :b nil) (sorted-map :a 1 :b nil) (->Row 1 nil)])

(deftest any-map-is-asked-as-clojure-asks-it
  (doseq [m maps]
    (is (= [1 nil nil] (map #(value/of m %) [:a :b :c])) (class m))
    (is (= [true true false] (map #(value/has? m %) [:a :b :c])) (class m))
    (is (= 2 (value/size m)) (class m)))
  (is (nil? (value/of nil :a)))
  (is (nil? (value/of 5 :a)) "what is no map has no keys"))

(deftest sizes
  (are [v n] (= n (value/size v))
    bytes/empty 0
    (bytes/hex-> "0aff") 2
    [7 8 9] 3
    (subvec [7 8 9] 1) 2
    nil 0))

(deftest items-of-any-vector
  (doseq [v [[] [1 2] (vec (range 32)) (vec (range 33)) (vec (range 2000)) (subvec (vec (range 40)) 3 7)
             (pop (vec (range 33))) (conj (vec (range 31)) :x) (first {:a 1}) (vector-of :long 4 5)]]
    (is (= v (take (count v) (value/items v))))))

(deftest maps-and-vectors-of-any-class
  (is (every? value/a-map? maps))
  (is (every? value/a-vector? [[] (subvec [1 2] 1) (vector-of :long 4)]))
  (is (not-any? #(or (value/a-map? %) (value/a-vector? %)) [nil 1 "a" '(1) #{1} bytes/empty])))

(deftest equal-is-what-clojure-calls-so
  (are [a b] (= (= a b) (value/equal? a b) (value/equal? b a))
    (bytes/hex-> "0aff") (bytes/slice (bytes/hex-> "000aff") 1)
    (bytes/hex-> "0aff") (bytes/hex-> "0afe")
    (bytes/hex-> "0aff") "0aff"
    "a" (str \a)
    "a" "b"
    1 (int 1)
    1 nil
    nil nil
    [1 "a"] [(int 1) "a"]
    :a :a))
