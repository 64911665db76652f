(ns poz.kit.bases-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.gen :as gen]
   [poz.kit.bases :as bases]
   [poz.record :as record]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(deftest every-base-holds-but-the-draft
  (doseq [name (keys bases/plans)]
    (testing name
      (is (= (if (= :draft name) :invalid :valid)
             (:outcome (verify/verify (:record (bases/base name)) {:now gen/now})))))))

(deftest the-house-has-everything
  (let [{:keys [record stages]} (bases/base :house)]
    (is (= zone/names (zone/zones record)))
    (is (= 3 (get-in record [:master-zone :serial])))
    (is (= 11 (count stages)))))

(deftest the-same-bytes-everywhere
  (is (= "413edc3661ace567722bbb9c7f0a18bf1df60824c6be4ba19eea3daefab80a30"
         (bytes/->hex (crypto/sha3-256 (bytes/join (map bases/file (sort (keys bases/plans)))))))
      "another plan, another file: then the exported vectors are others too"))

(deftest stages
  (is (= (record/encode (last (:stages (bases/base :moving)))) (bases/file :moving)))
  (is (= 1 (get-in (record/decode (bases/file [:moving 0])) [:master-zone :serial]))))

(deftest damaged-files
  (is (= (bases/file :house) (bases/damaged :house [])))
  (is (= :format/range (:poz/error (record/decode (bases/damaged :solo [[:int [:master-zone :serial] 0]]))))))

(defn- statuses [file & providers]
  (map :status (get-in (verify/verify-bytes file {:now gen/now :providers (mapv record/decode providers)}) [:zones :identity :entries])))

(deftest providers
  (let [house (bases/file :house)]
    (is (= [:current :current] (statuses house (bases/provider :provider))))
    (is (= [:superseded :superseded] (statuses house (bases/provider :moved-on))))
    (is (= [:revoked :current] (statuses house (bases/provider :denies-issue))))
    (is (= [:revoked :revoked] (statuses house (bases/provider :denies-key))))
    (is (= [:unknown :unknown] (statuses house (bases/provider :provider [[:drop [:identity-zone]] [:drop [:identity-authority]]])))))
  (testing "one that has a key of unknown algorithm"
    (let [[file provider] (bases/under-alien)]
      (is (not (error/anomaly? (record/decode file))))
      (is (= [:unknown :current] (statuses file provider))))))
