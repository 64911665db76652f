(ns poz.memory-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format :as format]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(def ^:private zone-by-code
  (into {} (map (juxt :section :zone)) format/zones))

(defn- remembered [{:keys [serial current_master_hash zones]}]
  {:serial serial
   :current-master-hash (bytes/hex-> current_master_hash)
   :zones (mapv (fn [{:keys [zone grant deny zone_hash]}]
                  {:zone (zone-by-code zone) :grant grant :deny deny :zone-hash (bytes/hex-> zone_hash)})
            zones)})

(defn- place [where]
  (if-let [[_ code] (re-matches #"zone (\d+)" where)] (zone-by-code (parse-long code)) (keyword where)))

(deftest what-a-client-remembers
  (let [cases (:memory (vectors/json "primitives.json"))]
    (is (= 11 (count cases)))
    (doseq [{:keys [what answer result] before :remembered} cases]
      (testing what
        (let [before (remembered before) answer (remembered answer)
              events (memory/events before answer)
              after (memory/remember before answer)]
          (is (= (map (juxt :code (comp place :where)) result) (map (juxt (comp error/code :error) :where) events)))
          (if (seq result)
            (do (is (= :conflict (:poz/anomaly after)))
                (is (= (:code (first result)) (error/code (:poz/error after))))
                (is (= events (:events after))))
            (do (is (= [] (memory/events after answer)))
                (is (= [] (memory/events before after)))
                (is (= (set (map :zone (concat (:zones before) (:zones answer)))) (set (map :zone (:zones after)))) "no zone is forgotten"))))))))

(deftest all-events-are-kept
  (let [before (memory/of (v/record-named "devices-deny"))
        other (bytes/zeros 32)
        answer (-> before (assoc :current-master-hash other) (assoc-in [:zones 0 :grant] 0))
        {:keys [events path]} (memory/remember before answer)]
    (is (= [[:memory/fork :master] [:memory/rollback :service]] (map (juxt :error :where) events)))
    (is (= [:master] path))))

(deftest of-a-record
  (is (= {:serial 1 :zones []} (dissoc (memory/of (v/record-named "genesis-minimal")) :current-master-hash)))
  (let [record (v/record-named "devices-deny") verdict (v/verdict record)]
    (is (= [{:zone :service :grant 1 :deny 1 :zone-hash (get-in verdict [:zones :service :zone-hash])}]
           (:zones (memory/of record))))
    (is (= (memory/of record) (memory/of record verdict)))
    (is (= (memory/of record) (memory/remember nil (memory/of record))))
    (is (= (memory/of record) (memory/of (record/public-view record))))))

(deftest the-vectors-in-their-order
  (doseq [[older newer] [["recovery-1" "recovery-2"] ["recovery-2" "recovery-3"] ["devices-grant" "devices-deny"]
                         ["devices-deny" "devices-deny-2"] ["devices-deny-2" "devices-grant-2"] ["provider-1" "provider-2"]]]
    (let [a (memory/of (v/record-named older)) b (memory/of (v/record-named newer))]
      (is (= b (memory/remember a b)))
      (is (= :memory/rollback (:poz/error (memory/remember b a)))))))
