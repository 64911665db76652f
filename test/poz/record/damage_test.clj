(ns poz.record.damage-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.record :as record]
   [poz.record.damage :as damage]
   [poz.samples :as samples]
   [poz.vectors :as vectors]))

(set! *warn-on-reflection* true)

(deftest an-edit-is-a-function-of-its-numbers
  (let [b (bytes/hex-> "00010203") other (bytes/hex-> "aabbccdd")]
    (are [e hex] (= hex (bytes/->hex (damage/edit b other e)))
      [:flip 1 7 0] "00810203"
      [:set 2 0 255] "0001ff03"
      [:step 0 1 0] "ff010203"
      [:delete 1 1 0] "0003"
      [:insert 1 0 9] "0009010203"
      [:cut 2 0 0] "0001"
      [:swap 0 0 0] "01000203"
      [:splice 1 2 0] "00ccdd"
      [:count 0 5 0] "ffff0203")))

(deftest an-edit-of-nearly-nothing-changes-nothing
  (doseq [what [:flip :set :step :delete :insert :cut :swap :count :toc :splice]
          b [bytes/empty (bytes/zeros 1)]]
    (is (= b (damage/edit b b [what 5 6 7])))))

(deftest damage-reaches-all-layers
  (let [b (vectors/file-bytes "records/all-zones.poz")
        damaged (samples/sample (damage/damage-generator b (vectors/file-bytes "records/hybrid.poz")) 400)
        errors (into #{} (comp (map record/decode) (filter error/anomaly?) (map :poz/error)) damaged)]
    (is (every? errors [:format/size :format/truncated :format/trailing :format/unsorted :format/range]))
    (is (< 8 (count errors)))
    (is (some #(and (not= b %) (not (error/anomaly? (record/decode %)))) damaged)
      "some damage leaves a well-formed file")))
