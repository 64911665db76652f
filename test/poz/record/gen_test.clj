(ns poz.record.gen-test
  (:require
   [clojure.test :refer [deftest is]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.format :as format]
   [poz.record :as record]
   [poz.samples :as samples]))

(set! *warn-on-reflection* true)

(defspec the-encoder-takes-every-record 1000
  (prop/for-all [record samples/records]
    (bytes/bytes? (record/encode record))))

(deftest all-that-a-record-can-have-comes-up
  (let [records (samples/sample samples/records 200)
        algorithms (mapcat (comp record/algorithms :public-key-map) records)]
    (is (= (conj (set (map :key format/sections)) :unknown-sections)
           (into #{} (mapcat keys) records)))
    (is (every? (set algorithms) [:ed25519 :x25519 :ml-dsa-65]))
    (is (some int? algorithms))
    (is (= (set (range 1 9)) (into #{} (map (comp count :public-key-map)) records)))
    (is (< (count (record/encode (nth (sort-by (comp count record/encode) records) 100))) 4096)
      "half of the records are small")))
