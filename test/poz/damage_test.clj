(ns poz.damage-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.damage :as damage]
   [poz.damage.tree :as tree]
   [poz.gen :as made]
   [poz.kit.bases :as bases]
   [poz.record :as record]
   [poz.samples :as samples]
   [poz.verify :as verify]))

(set! *warn-on-reflection* true)

(def ^:private house (delay (bases/base :house)))
(def ^:private file (delay (bases/file :house)))

(defn- damaged [damage] (damage/damaged @file @house damage))

(defn- problems [b]
  (:problems (verify/verify-bytes b {:now made/now :providers (:providers @house)})))

(deftest no-damage
  (is (= @file (damaged {})))
  (is (= @file (record/dearmor (damaged {:text true})))))

(deftest a-blow-is-an-edit
  (let [t (tree/tree @file)]
    (is (every? (fn [blow] (vector? (damage/edit-of t blow)))
          (for [at (range 0 2000 97) how (range 0 72 5)] {:at at :how how :with (* at how)})))
    (is (= (damage/edit-of t {:at 3 :how 5 :with 9}) (damage/edit-of t {:at 3 :how 5 :with 9}))))
  (testing "where there is nothing"
    (is (nil? (damage/edit-of {:key :file :kind :file :children []} {:at 3 :how 5 :with 9})))))

(deftest damage-reaches-every-layer
  (let [found (into #{} (mapcat (comp problems damaged)) (samples/sample (damage/damages []) 200))]
    (is (every? found [:format/range :format/truncated :format/unsorted :format/duplicate :format/code
                       :signature/bad :survivorship/below-threshold]))
    (is (< 20 (count found)))))

(deftest borrowed-edits-are-made
  (let [edits [[:add [:master-zone :serial] 1]]
        all (samples/sample (damage/damages [edits]) 60)]
    (is (some #(= edits (:edits %)) all))
    (is (= #{:chain/serial} (problems (damaged {:edits edits :seal true}))))))

(deftest signed-anew-only-the-damage-is-wrong
  (let [edits [[:int [:service-zone :grant :body 0 :hosts 0 :port] 80]]]
    (is (= #{:signature/bad} (problems (damaged {:edits edits :seal false}))))
    (is (= #{} (problems (damaged {:edits edits :seal true}))))))

(defspec nothing-throws 60
  (prop/for-all [plan made/plans, damage (damage/damages [])]
    (let [{:keys [record] :as world} (made/world plan)
          b (damage/damaged (record/encode record) world damage)]
      (and (bytes/bytes? b) (map? (record/parse b))))))
