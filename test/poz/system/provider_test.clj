(ns poz.system.provider-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.record :as record]
   [poz.service :as service]
   [poz.system.provider :as provider]
   [poz.verify :as verify]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def ^:private t0 (long h/t0))

(defn- seeded
  "A function of n that gives n bytes, other ones each time."
  []
  (let [calls (atom 0)]
    (fn [n] (bytes/wrap (byte-array n (unchecked-byte (swap! calls inc)))))))

(def ^:private made (provider/genesis (seeded) t0))
(def ^:private ring {2 (get-in made [:secrets "server"])})
(def ^:private noise-key (bytes/wrap (byte-array 32 (byte 7))))
(defn- wanted [ports] (provider/services "poz.example.com" ports noise-key))
(def ^:private all {:plain 1 :query 2 :submit 3})

(deftest the-servers-key-can-issue-and-nothing-else
  (let [{:keys [record secrets]} made
        {:keys [outcome warnings]} (verify/verify record {:now t0})]
    (is (= :valid outcome))
    (is (= [] (map :warning warnings)))
    (is (= #{"owner" "recovery" "server"} (set (keys secrets))))
    (is (= #{0 1} (into #{} (map :key) (get-in record [:master-zone :master-keys]))))
    (is (= #{2} (into #{} (map :key) (get-in record [:master-zone :delegations]))))))

(deftest a-fresh-record-gets-its-zones
  (let [r (provider/current (:record made) (wanted all) ring (+ t0 10))]
    (is (= :valid (:outcome (verify/verify r {:now (+ t0 20)}))))
    (is (= [] (zone/entries :identity (:identity-zone r))))
    (is (= [["poz.example.com" 2 :noise-nk noise-key] ["poz.example.com" 1 :none nil]]
          (map (juxt :hostname :port :encryption :public-key) (:hosts (first (service/of-type r :poz-query))))))
    (is (= [["poz.example.com" 3 :noise-nk noise-key]]
          (map (juxt :hostname :port :encryption :public-key) (:hosts (first (service/of-type r :poz-submit))))))
    (testing "and then stays as it is"
      (is (identical? r (provider/current r (wanted all) ring (+ t0 30)))))))

(deftest what-changes-is-granted-again
  (let [r (provider/current (:record made) (wanted all) ring (+ t0 10))
        ports (fn [r] (for [t [:poz-query :poz-submit], {:keys [hosts]} (service/of-type r t), {:keys [port]} hosts] port))
        after #(provider/current r (wanted %) ring (+ t0 20))]
    (is (= [2 1 4] (ports (after (assoc all :submit 4)))))
    (is (= [2 1] (ports (after (dissoc all :submit)))))
    (is (= [1] (ports (after {:plain 1}))))
    (is (= [2] (map #(get-in % [:service-zone :grant :serial]) [(after {:plain 1})])))
    (testing "what the operator put beside it stays"
      (let [web {:name "" :type :https
                 :hosts [{:hostname "example.com" :port 443 :transport :tcp :encryption :tls :priority 0 :weight 0}]}
            r (-> (change/grant r :service {:timestamp (+ t0 15) :add [web]}) (change/sign :service :grant 2 (ring 2)))
            after (provider/current r (wanted {:query 5}) ring (+ t0 20))]
        (is (= [web] (service/of-type after :https)))
        (is (= [5] (ports after)))))
    (testing "by a clock that is behind"
      (is (= :valid (:outcome (verify/verify (provider/current r (wanted {:query 5}) ring t0) {:now (+ t0 20)})))))))

(deftest a-key-that-is-not-enough
  (is (error/anomaly? (provider/current (:record made) (wanted all) {} (+ t0 10))))
  (is (error/anomaly? (provider/current (:record made) (wanted all) {0 (get-in made [:secrets "owner"])} (+ t0 10)))))

(deftest no-ports-no-services
  (is (= [] (provider/services "poz.example.com" {} noise-key)))
  (is (record/public? (provider/current (:record made) [] ring (+ t0 10)))))
