(ns poz.damage.seal-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.damage.seal :as seal]
   [poz.damage.tree :as tree]
   [poz.gen :as gen]
   [poz.kit.bases :as bases]
   [poz.record :as record]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.verify :as verify]))

(set! *warn-on-reflection* true)

(deftest sealing-what-is-whole-changes-nothing
  (doseq [{:keys [name file] :as row} (v/records) :let [b (vectors/file-bytes file)]]
    (testing name
      (is (= b (tree/file (seal/seal (tree/tree b) {:secrets (v/seeds row)})))))))

(defn- verdict [name & edits]
  (verify/verify-bytes (bases/damaged name edits) {:now gen/now :providers (:providers (bases/base name))}))

(deftest a-change-anywhere-is-signed-anew
  (are [path n] (= [:valid #{}] ((juxt :outcome :problems) (verdict :house [:add path n])))
    [:zone-history 0 :content :master-keys 0 :value] 1
    [:zone-history 1 :content :timestamp] 1
    [:master-zone :master-keys 1 :value] 7
    [:feed-zone :grant :timestamp] 1
    [:service-zone :deny :timestamp] 1
    [:public-key-map 5 :algorithm] 1)
  (testing "entries too: their provider signs again"
    (is (= [:current :current]
           (map :status (get-in (verdict :house [:utf8 [:identity-zone :grant :body 1 :user-handle] "another"]) [:zones :identity :entries])))))
  (testing "a new genesis is a new record, and everything follows"
    (let [before (bases/file :house) after (bases/damaged :house [[:add [:zone-history 0 :content :master-keys 0 :value] 1]])]
      (is (not= (record/original-hash (record/decode before)) (record/original-hash (record/decode after)))))))

(deftest what-is-pinned-stays
  (are [problem edit] (= #{problem} (:problems (verdict :house edit)))
    :chain/current-hash [:flip [:master-zone :current-master-hash] 0]
    :signature/bad [:flip [:master-zone :signatures 0 :signature :content] 0]
    :chain/previous-hash [:flip [:master-zone :previous-master-hash] 0]
    :authority/unknown-revision [:flip [:email-authority :master-zone-hash] 0]))

(deftest who-has-no-secret-does-not-sign
  (is (= :signature/bad (first (:problems (verdict :house [:add [:public-key-map 0 :key :content] 1]))))))
