(ns poz.service-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.service :as service]
   [poz.verdicts :as v]
   [poz.zone :as zone])
  (:import
   (java.util Random)))

(set! *warn-on-reflection* true)

(def ^:private record (v/record-named "all-zones"))

(defn- hash-of [entry] (zone/entry-hash :service entry))

(deftest live-entries
  (doseq [{:keys [file]} (v/records)
          :let [record (v/file-record file) zones (:zones (v/verdict record))]
          z (zone/zones record)]
    (is (= (map :hash (filter :live (get-in zones [z :entries])))
           (map #(zone/entry-hash z %) (service/live record z))) [file z]))
  (is (nil? (service/live (v/record-named "genesis-minimal") :service))))

(deftest services-by-hash-and-type
  (doseq [entry (service/live record :service)]
    (is (= entry (service/resolve-hash record (hash-of entry))))
    (is (some #{entry} (service/of-type record (:type entry)))))
  (is (nil? (service/resolve-hash record (bytes/zeros 32))))
  (is (= [] (service/of-type (v/record-named "genesis-minimal") :https)))
  (testing "a denied one is found no more"
    (let [grant (v/record-named "devices-grant") deny (v/record-named "devices-deny")
          gone (remove (set (service/live deny :service)) (service/live grant :service))]
      (is (= 1 (count gone)))
      (is (some? (service/resolve-hash grant (hash-of (first gone)))))
      (is (nil? (service/resolve-hash deny (hash-of (first gone))))))))

;; RFC 2782

(defn- host [name priority weight] {:hostname name :port 1 :priority priority :weight weight})

(defn- names [hosts] (map :hostname hosts))

(deftest lower-priority-first
  (let [hosts [(host "c" 20 0) (host "a" 0 0) (host "b" 10 65535)]]
    (is (= ["a" "b" "c"] (names (service/order-hosts {:hosts hosts} (constantly 0.5)))))
    (is (= [] (service/order-hosts {:hosts []} (constantly 0.5))))))

(deftest weights-decide-within-one-priority
  (let [hosts [(host "heavy" 1 3) (host "light" 1 1)]
        first-of #(first (names (service/order-hosts {:hosts hosts} (constantly %))))]
    (testing "running sums 1 and 4, a number from 0 to 4: the first sum not below it"
      (is (= ["light" "light" "heavy" "heavy" "heavy"] (map first-of [0.0 0.39 0.41 0.6 0.999]))))
    (testing "a host of weight 0 has a small chance: when the number is 0"
      (let [hosts [(host "w" 1 9) (host "zero" 1 0)]]
        (is (= ["zero" "w"] (names (service/order-hosts {:hosts hosts} (constantly 0.0)))))
        (is (= ["w" "zero"] (names (service/order-hosts {:hosts hosts} (constantly 0.11)))))))))

(deftest the-load-is-shared
  (let [random (Random. 7)
        hosts [(host "half" 0 50) (host "third" 0 30) (host "fifth" 0 20)]
        picks (frequencies (repeatedly 20000 #(:hostname (first (service/order-hosts {:hosts hosts} (fn [] (.nextDouble random)))))))]
    (doseq [[name share] {"half" 0.5 "third" 0.3 "fifth" 0.2}]
      (is (< (abs (- (double share) (/ (double (picks name)) 20000))) 0.02) name))))

(def ^:private hosts
  (gen/vector (gen/fmap (fn [[n p w]] (host (str "h" n) p w)) (gen/tuple (gen/choose 0 5) (gen/choose 0 3) (gen/choose 0 100))) 0 8))

(defspec every-host-is-tried-once-and-in-order 300
  (prop/for-all [hosts hosts seed gen/nat]
    (let [random (Random. seed)
          ordered (service/order-hosts {:hosts hosts} #(.nextDouble random))]
      (and (= (frequencies hosts) (frequencies ordered))
        (or (empty? ordered) (apply <= (map :priority ordered)))))))

;; What cites a service

(defn- dangling [record z]
  (assoc-in record [(zone/zone-key z) :grant :body 0 :service] (bytes/zeros 32)))

(deftest an-inbox
  (let [{:keys [guid name key]} (first (service/live record :email))
        inbox (service/inbox record guid)]
    (is (= name (:name inbox)))
    (is (= (get-in record [:public-key-map key :key]) (:public-key inbox)))
    (is (= :x25519 (get-in record [:public-key-map key :algorithm])))
    (is (= :mail (:type (:service inbox))))
    (is (nil? (service/inbox record (bytes/zeros 16))))
    (testing "with a citation of nothing there is a key and no host"
      (is (= (assoc inbox :service nil) (service/inbox (dangling record :email) guid))))))

(deftest a-feed
  (let [{:keys [service chains]} (service/feed record "main")]
    (is (= :feed (:type service)))
    (is (= [0 7] (map :chain chains)))
    (is (= [(get-in record [:public-key-map 1]) (get-in record [:public-key-map 2])] (:posting-keys (first chains))))
    (is (= [:resume 9] ((juxt :type :serial) (:newest (first chains)))))
    (is (nil? (:newest (second chains))))
    (is (nil? (service/feed record "no such feed")))
    (is (nil? (:service (service/feed (dangling record :feed) "main"))))))
