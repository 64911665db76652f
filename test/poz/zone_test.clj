(ns poz.zone-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.master.chain :as chain]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private labels ["z root" "z phone" "z laptop" "z spare" [:x25519 "z mail"]])

(def ^:private shares
  [[:service 1 50 100] [:service 2 50 100] [:auth 1 100 0] [:auth 2 0 100]])

(defn- genesis [] (v/genesis labels [[1 0 100]] shares [0]))

(def ^:private body [(v/service "a") (v/service "b")])

(defn- granted [signers] (v/grant (genesis) labels :service body signers))

(defn- judged [record z]
  (zone/judge-zone record z {:key-map (:public-key-map record) :now (v/now) :chain (chain/revisions record)
                             :hashes (signing/key-hashes (:public-key-map record))}))

(defn- found
  "Per statement of the zone its outcome, or its problems."
  [record z]
  (let [{:keys [outcome] :as j} (judged record z)]
    (into {:outcome outcome}
      (for [part [:authority :grant :deny] :let [p (rules/problems (part j))]]
        [part (if (seq p) p (:outcome (part j)))]))))

;; Golden hashes

(deftest hashes-of-the-vectors
  (let [record (v/record-named "all-zones")]
    (doseq [{z :zone :keys [grant_hash zone_hash entries]} (:entries (vectors/json "primitives.json"))
            :let [z (keyword z) {:keys [zone] :as parts} (zone/sections record z)
                  grant (zone/grant-statement record z parts (signing/key-hashes (:public-key-map record)))]]
      (testing z
        (is (= grant_hash (bytes/->hex (:hash grant))))
        (is (= zone_hash (bytes/->hex (:whole-hash grant))))
        (is (= entries (map #(bytes/->hex (zone/entry-hash z %)) (zone/entries z zone)))))))
  (doseq [{:keys [file hashes]} (v/records)
          :let [record (v/file-record file)]
          [z h] (:zones hashes)]
    (is (= h (bytes/->hex (:zone-hash (judged record z)))) [file z])))

(deftest zones-and-sections
  (is (= [:identity :feed :email :auth :service] zone/names (zone/zones (v/record-named "all-zones"))))
  (is (= [] (zone/zones (genesis))))
  (is (= [:service] (zone/zones (granted [1 2]))))
  (is (nil? (zone/sections (genesis) :service)))
  (is (= #{:authority :zone} (set (keys (zone/sections (granted [1 2]) :service))))))

;; Authority

(deftest delegations-of-one-zone
  (let [{:keys [master-zone]} (genesis)]
    (is (= [{:key 1 :grant 50 :deny 100} {:key 2 :grant 50 :deny 100}] (zone/delegation master-zone :service)))
    (is (= [] (zone/delegation master-zone :feed)))))

(defn- revised
  "A record with a Service Zone granted under revision 1 and then `delegations`, one list a
  revision, where nil leaves them as they are."
  [& delegations]
  (reduce (fn [r d] (v/revise r labels (if d {:delegations (v/shares d)} {}) [0]))
    (granted [1 2]) delegations))

(deftest authorities-against-the-chain
  (are [record authority] (= authority (:authority (found record :service)))
    (revised) :valid
    (revised nil nil) :valid
    (revised (conj shares [:feed 1 1 1])) :valid
    (revised [[:service 1 50 100]]) [:authority/not-current]
    (revised []) [:authority/not-current]
    (revised [[:service 1 50 100] [:service 2 50 99]]) [:authority/not-current]
    (revised [] shares) [:authority/interrupted]
    (revised [] shares nil) [:authority/interrupted]
    (assoc-in (revised) [:service-authority :keys 0 :grant] 51) [:authority/not-as-authorised]
    (update-in (revised) [:service-authority :keys] pop) [:authority/not-as-authorised]
    (update-in (revised) [:service-authority :keys] conj {:key 3 :grant 0 :deny 1}) [:authority/not-as-authorised]
    (assoc-in (revised) [:service-authority :master-zone-hash] (bytes/zeros 32)) [:authority/unknown-revision]
    (dissoc (revised nil) :zone-history) [:authority/history-missing]
    (dissoc (revised []) :zone-history) [:authority/not-current])
  (testing "the revision that it cites"
    (is (= 1 (get-in (judged (revised nil) :service) [:authority :revision])))
    (is (nil? (get-in (judged (dissoc (revised nil) :zone-history) :service) [:authority :revision])))))

;; Grant and deny

(deftest grants-need-100-of-grant
  (are [signers grant sum] (= [grant sum] [(:grant (found (granted signers) :service))
                                           (get-in (judged (granted signers) :service) [:grant :sum])])
    [1 2] :valid 100
    [1] [:zone/grant-below-threshold] 50
    [] [:zone/grant-below-threshold] 0
    [0] [:signature/stray] 0
    [1 2 3] [:signature/stray] 100)
  (testing "what is still needed"
    (is (= {:needed 50 :from [2]} (:needs (peek (:steps (:grant (judged (granted [1]) :service))))))))
  (testing "every part of it is signed"
    (are [path value] (= [:signature/bad] (:grant (found (assoc-in (granted [1 2]) path value) :service)))
      [:service-zone :grant :serial] 7
      [:service-zone :grant :timestamp] (inc (long v/start))
      [:service-zone :grant :previous-zone-hash] (bytes/hex-> (apply str (repeat 64 "1")))
      [:service-zone :grant :body 0 :hosts 0 :port] 80
      [:service-zone :grant :revoked] [{:target (bytes/zeros 32) :timestamp 0 :reason :abuse}]
      [:service-zone :grant :signatures 0 :signature] (bytes/zeros 64)
      [:master-zone :original-master-hash] (bytes/zeros 32))))

(deftest denies-need-100-of-deny
  (let [target (zone/entry-hash :service (v/service "a"))
        denied (fn [signers] (v/deny (granted [1 2]) labels :service [target] signers))]
    (are [signers deny sum] (= [deny sum] [(:deny (found (denied signers) :service))
                                           (get-in (judged (denied signers) :service) [:deny :sum])])
      [1] :valid 100
      [2] :valid 100
      [1 2] :valid 200
      [] [:zone/deny-below-threshold] 0
      [0] [:signature/stray] 0)
    (is (= :valid (:outcome (judged (denied [1]) :service))))
    (is (= {"a" false "b" true} (zipmap (map :name body) (map :live (:entries (judged (denied [1]) :service))))))
    (is (= {:outcome :invalid :authority :valid :grant :valid :deny [:zone/deny-timestamp]}
           (found (assoc-in (denied [1]) [:service-zone :deny :timestamp] 1) :service)))
    (testing "every part of it is signed, and the grant with it"
      (are [path value] (= [:signature/bad] (:deny (found (assoc-in (denied [1]) path value) :service)))
        [:service-zone :deny :serial] 2
        [:service-zone :deny :timestamp] (v/now)
        [:service-zone :deny :denied 0 :target] (bytes/zeros 32)
        [:service-zone :deny :denied 0 :reason] :abuse
        [:service-zone :grant :body 0 :hosts 0 :port] 80))))

(deftest grant-and-deny-are-separate-powers
  (let [group [{:id 1 :keys [1 2]}]
        r (v/grant (genesis) labels :auth {:groups group} [1])
        target (zone/entry-hash :auth (first group))]
    (is (= :valid (:outcome (judged r :auth))))
    (is (= [:zone/grant-below-threshold] (:grant (found (v/grant (genesis) labels :auth {:groups group} [2]) :auth))))
    (is (= :valid (:deny (found (v/deny r labels :auth [target] [2]) :auth))))
    (is (= [:zone/deny-below-threshold] (:deny (found (v/deny r labels :auth [target] [1]) :auth))))))

(defspec sums-are-of-the-signers-named 300
  (prop/for-all [rows (gen/vector (gen/tuple (gen/choose 0 100) (gen/choose 0 100)) 0 6)
                 signers (gen/fmap set (gen/vector (gen/choose 0 8) 0 8))]
    (let [authority {:keys (vec (map-indexed (fn [i [g d]] {:key i :grant g :deny d}) rows))}]
      (and (= (zone/sum authority :grant signers) (reduce + (map first (vals (select-keys (vec rows) signers)))))
        (= (zone/sum authority :deny signers) (reduce + (map second (vals (select-keys (vec rows) signers)))))))))

;; What lives

(deftest denied-is-both-lists
  (is (= #{1 2 3} (zone/denied {:grant {:revoked [{:target 1} {:target 2}]} :deny {:denied [{:target 2} {:target 3}]}})))
  (let [target (zone/entry-hash :service (v/service "b"))
        r (v/grant (genesis) labels :service body [1 2] {:revoked [{:target target :timestamp v/start :reason :retired}]})]
    (is (= [true false] (map :live (:entries (judged r :service)))) "revoked in the grant itself")
    (is (= :valid (:outcome (judged r :service))))))

(deftest a-target-that-names-nothing-is-inert
  (let [r (v/deny (granted [1 2]) labels :service [(bytes/zeros 32)] [1])]
    (is (= [:valid [true true]] ((juxt :outcome #(map :live (:entries %))) (judged r :service))))))

(deftest a-group-with-a-revoked-key
  (let [r (v/grant (genesis) labels :auth {:groups [{:id 1 :keys [0 1]} {:id 2 :keys [2 3]}]} [1])
        denied (v/deny r labels :auth [(signing/key-hash (v/key-of "z phone"))] [2])]
    (is (= [[true [1]] [true nil]] (map (juxt :live :revoked-keys) (:entries (judged denied :auth)))))
    (is (= [nil nil] (map :revoked-keys (:entries (judged r :auth)))))
    (testing "in no other zone is a key hash a target"
      (let [r (v/deny (granted [1 2]) labels :service [(signing/key-hash (v/key-of "z phone"))] [1])]
        (is (= [[true nil] [true nil]] (map (juxt :live :revoked-keys) (:entries (judged r :service)))))))))

(deftest the-zone-hash-has-no-signatures-in-it
  (let [hash (fn [r] (:zone-hash (judged r :service)))
        r (granted [1 2])]
    (is (= (hash r) (hash (granted [1])) (hash (assoc-in r [:service-zone :grant :signatures] []))))
    (is (not= (hash r) (hash (v/deny r labels :service [(bytes/zeros 32)] [1]))))
    (is (= (hash (v/deny r labels :service [(bytes/zeros 32)] [1])) (hash (v/deny r labels :service [(bytes/zeros 32)] [2]))))
    (is (not= (hash r) (hash (update r :public-key-map assoc 1 (v/key-of "z other")))) "the keys it cites are in it")))
