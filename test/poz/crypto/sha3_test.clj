(ns poz.crypto.sha3-test
  "Both implementations of SHA3-256 against each other."
  (:require
   [clojure.test :refer [deftest is]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.crypto.sha3 :as sha3]))

(set! *warn-on-reflection* true)

(defspec both-implementations-agree 100
  (prop/for-all [parts (gen/vector (gen/fmap bytes/copy-of gen/bytes))]
    (= (sha3/by-jdk parts) (sha3/by-bouncy-castle parts) (sha3/sha3-256 parts)
       (sha3/by-jdk [(apply bytes/concat parts)]))))

(defspec a-part-and-the-whole-are-hashed-in-one-go 100
  (prop/for-all [parts (gen/vector (gen/fmap bytes/copy-of gen/bytes))
                 tail (gen/fmap bytes/copy-of gen/bytes)]
    (= [(sha3/sha3-256 parts) (sha3/sha3-256 (conj parts tail))]
      (sha3/twice parts tail)
      (sha3/twice-by-jdk parts tail)
      (sha3/twice-by-bouncy-castle parts tail))))

(deftest hashes-slices
  (let [whole (bytes/utf8 "xabcx")]
    (doseq [f [sha3/by-jdk sha3/by-bouncy-castle]]
      (is (= "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
             (bytes/->hex (f [(bytes/slice whole 1 4)])))))))
