(ns poz.gen-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [clojure.test.check.rose-tree :as rose]
   [poz.crypto :as crypto]
   [poz.gen :as made]
   [poz.record :as record]
   [poz.samples :as samples]
   [poz.update :as update]
   [poz.verify :as verify]
   [poz.wire :as wire]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- verdict [{:keys [record providers now]}]
  (verify/verify record {:now now :providers providers}))

(defn- as-planned? [{:keys [shape] :as plan}]
  (let [{:keys [outcome problems]} (verdict (made/world plan))]
    (if (= :draft shape) (= [:invalid #{:chain/draft}] [outcome problems]) (= :valid outcome))))

(defspec every-plan-holds 60
  (prop/for-all [plan made/plans]
    (as-planned? plan)))

(defspec every-smaller-plan-holds 15
  (prop/for-all [seed gen/nat]
    (every? (comp as-planned? rose/root) (take 4 (rose/children (made/drawn made/plans seed 30))))))

(deftest all-shapes-come-up
  (let [plans (samples/sample made/plans 150)
        worlds (map made/world plans)
        records (map :record worlds)]
    (is (= #{:public :unknown :names :draft} (set (map :shape plans))))
    (is (= (set zone/names) (into #{} (mapcat zone/zones) records)))
    (is (some #(< 2 (count (:zone-history %))) records) "chains")
    (is (some #(some #{:ml-dsa-65} (record/algorithms (:public-key-map %))) records) "hybrid keys")
    (is (some #(some pos? (map (comp :serial :deny) (keep (fn [z] (:zone (zone/sections % z))) zone/names))) records) "denials")
    (is (some #(= [:current] (distinct (map :status (get-in % [:zones :identity :entries])))) (map verdict (filter #(:identity-zone (:record %)) worlds)))
        "handles of the provider")))

(defspec stages-follow-each-other 25
  (prop/for-all [plan made/plans]
    (let [stages (:stages (made/build plan))]
      (every? (fn [[held next]] (#{:accepted :unchanged} (:outcome (update/apply-update held next {:now made/now}))))
        (partition 2 1 (cons nil stages))))))

(deftest the-same-numbers-give-the-same-bytes
  (let [files (fn [seed] (mapv #(record/encode (:record (made/build (made/value (made/drawn made/plans seed %))))) (range 12)))]
    (is (= (files 5) (files 5)))
    (is (not= (files 5) (files 6)))
    (is (< 10 (count (distinct (files 5)))))))

(defspec messages-can-be-written-and-read 200
  (prop/for-all [request made/requests [type response] made/responses]
    (and (= request (wire/decode-request (wire/encode-request request)))
      (= response (wire/decode-response (wire/encode-response response type) type)))))

(deftest the-shortest-plan
  (testing "a plan of next to nothing is a record"
    (is (= :valid (:outcome (verdict (made/world {:label 0 :algorithms [:x25519] :master 0 :steps []})))))
    (is (= [{:algorithm :ed25519 :key (crypto/public-key :ed25519 (made/secret "poz.gen 0 0"))}]
           (:public-key-map (:record (made/build {:label 0 :algorithms [:ed25519] :master 4})))))))
