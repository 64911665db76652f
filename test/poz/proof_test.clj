(ns poz.proof-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.proof :as proof]
   [poz.record :as record]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(deftest a-proof-is-of-one-value
  (let [record (v/record-named "devices-deny")
        proven (proof/with-proof record {:service {:zone-hash 1}})]
    (is (= record proven) "it is no part of the record")
    (is (= {:service {:zone-hash 1}} (:hashes (proof/of proven))))
    (are [changed] (nil? (proof/of changed))
      record
      nil
      (dissoc proven :service-zone)
      (assoc proven :unknown-sections {})
      (assoc-in proven [:master-zone :serial] 2)
      (assoc-in proven [:service-zone :grant :signatures] [])
      (record/decode (record/encode proven)))
    (is (some? (proof/of (-> proven (dissoc :service-zone) (assoc :service-zone (:service-zone record))))))))

(deftest a-new-proof-takes-the-place-of-the-old
  (let [record (v/record-named "devices-deny")
        twice (proof/with-proof (proof/with-proof record {:auth 1}) {:auth 2})]
    (is (= {:auth 2} (:hashes (proof/of twice))))
    (is (nil? (meta (:of (proof/of twice)))) "and keeps nothing of it")))
