(ns poz.codec.path-test
  (:require
   [clojure.test :refer [deftest is]]
   [poz.codec.path :as path]))

(set! *warn-on-reflection* true)

(deftest a-path-of-nothing-is-empty
  (is (= [] (path/elements (path/path) 0))))

(deftest keys-fields-and-positions-to-a-depth
  (let [p (path/path)]
    (path/key! p 0 :zone)
    (path/parts! p 1 (object-array [:serial :body]))
    (path/part! p 1 1)
    (path/parts! p 2 nil)
    (path/part! p 2 7)
    (path/key! p 3 5)
    (is (= [:zone :body 7 5] (path/elements p 4)))
    (is (= [:zone :body] (path/elements p 2)))
    (path/part! p 1 0)
    (is (= [:zone :serial] (path/elements p 2)) "the next part takes the place of the last")
    (path/key! p 1 :other)
    (is (= [:zone :other 7] (path/elements p 3)) "and so does a key")))
