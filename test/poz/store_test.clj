(ns poz.store-test
  "The store in memory does what every store does."
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.store :as store]
   [poz.store.compliance :as compliance]))

(set! *warn-on-reflection* true)

(deftest it-is-a-store
  (compliance/check store/memory))

(deftest a-store-of-its-own
  (let [key [:a bytes/empty] one (store/memory) two (store/memory)]
    (is (true? (store/commit! one {} {key bytes/empty})))
    (is (= {} (store/fetch two [key])))))

(deftest closing-does-nothing
  (let [key [:a bytes/empty] s (store/memory)]
    (store/commit! s {} {key bytes/empty})
    (is (nil? (store/close! s)))
    (is (nil? (store/close! s)))))

(deftest keys-of-a-store
  (are [x] (store/key? x) [:a bytes/empty] [:a/b (bytes/zeros 32)])
  (are [x] (not (store/key? x))
    nil :a bytes/empty [:a] ["a" bytes/empty] [:a "a"] [:a (byte-array 1)] [:a bytes/empty 1] (list :a bytes/empty)))
