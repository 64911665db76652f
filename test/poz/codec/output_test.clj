(ns poz.codec.output-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.codec.output :as output]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

(deftest integers-of-each-width
  (are [width v hex] (= hex (let [w (output/writer nil)]
                              (.integer w width v)
                              (bytes/->hex (output/result w))))
    0 5 ""
    1 255 "ff"
    2 258 "0102"
    4 4294967294 "fffffffe"
    8 -2 "fffffffffffffffe"))

(deftest room-is-left-and-filled-and-the-writer-grows
  (let [w (output/writer nil 1) b (bytes/wrap (byte-array (range 100)))]
    (.seek w 2)
    (.content w (bytes/slice b 1))
    (.seek w 0)
    (.integer w 2 99)
    (.seek w 101)
    (is (= (bytes/concat (bytes/hex-> "0063") (bytes/slice b 1)) (output/result w)))))

(defn- written
  "What `n` zeros and the number 7 are, written by a lent writer."
  [n]
  (let [w (output/lent-writer nil)]
    (.content w (bytes/zeros n))
    (.integer w 4 7)
    (output/lent-result w)))

(deftest an-array-is-lent-to-one-writer-at-a-time
  (let [before (written 3) big (written 100000) w (output/lent-writer nil)]
    (.integer w 8 -1)
    (is (= (bytes/hex-> "0000000007") (written 1)) "while another is lent")
    (is (= (bytes/hex-> "ffffffffffffffff") (output/lent-result w)))
    (is (= (bytes/hex-> "00000000000007") before (written 3)) "what was given is not written over")
    (is (= 100004 (count big)))))

(deftest a-fault-names-its-place-and-no-secret
  (let [w (output/writer nil)
        found (do (output/set-path! w 0 :key)
                (error/attempt #(output/type-fault! w 1 "a string" (bytes/secret (bytes/hex-> "c0ffee")))))]
    (is (= {:poz/error :format/type :path [:key] :expected "a string" :found "a secret"}
           (select-keys found [:poz/error :path :expected :found])))))
