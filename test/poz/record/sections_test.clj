(ns poz.record.sections-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.record.sections :as sections]))

(set! *warn-on-reflection* true)

(deftest bits-tell-the-known-sections-of-a-record
  (let [bits (sections/known-bits {:public-key-map [] :key-names nil :unknown-sections {}})]
    (is (= [0 0x8004] (vec (sections/codes-of-bits bits))))
    (is (= bits (bit-or (sections/section-bit 0) (sections/section-bit 0x8004)))))
  (is (zero? (sections/section-bit 0x60)))
  (is (neg? (sections/section-index 0x60))))

(deftest what-lacks
  (are [codes error] (= error (first (sections/lack (reduce bit-or 0 (map sections/section-bit codes)))))
    [0 1] nil
    [1] :format/section-missing
    [0 1 0x10] :format/section-pair
    [0 1 0x10 0x11] nil))
