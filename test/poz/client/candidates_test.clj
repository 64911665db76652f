(ns poz.client.candidates-test
  "Whom to ask of the servers that discovery names."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.client-world :as w]
   [poz.client.candidates :as candidates]))

(set! *warn-on-reflection* true)

(def ^:private a-key (bytes/zeros 32))
(defn- server [source host port & more] (merge {:host host :port port :priority 0 :weight 0 :source source} (apply hash-map more)))
(defn- noise [host port & more] (apply server :well-known host port :encryption :noise-nk :public-key a-key more))

(deftest servers-with-keys
  (are [expected servers] (= expected (map (juxt :host :port :priority :weight) (candidates/keyed {:servers servers})))
    [] []
    [] [(server :srv "a" 7075) (server :fallback "a" 7075 :encryption :noise-nk)]
    [["a" 7075 0 0]] [(noise "a" 7075) (server :well-known "a" 7074 :encryption :none)])
  (testing "SRV tells the order"
    (is (= [["a" 7075 3 4] ["b" 7075 65536 0]]
          (map (juxt :host :port :priority :weight)
            (candidates/keyed {:servers [(noise "a" 7075) (noise "b" 7075) (server :srv "a" 7075 :priority 3 :weight 4)]})))))
  (is (not-any? :source (candidates/keyed {:servers [(noise "a" 7075)]}))))

(deftest servers-in-the-open
  (are [expected servers] (= expected (map (juxt :host :port :encryption :priority) (candidates/open {:servers servers})))
    [] []
    [["a" 7074 :none 0]] [(server :well-known "a" 7074 :encryption :none)]
    [["a" 7074 :none 65536]] [(server :srv "a" 7075)]
    [["a" 7074 :none 0]] [(server :srv "a" 7074)]
    [["a" 9 :none 2] ["a" 7074 :none 65538]] [(server :srv "a" 9 :priority 2)]
    [["a" 7074 :none 65536]] [(noise "a" 443) (noise "a" 444)]))

(deftest servers-that-a-record-names
  (let [{:keys [record]} (w/with-services w/social {:plain 1 :query 2 :submit 3})]
    (testing "with their keys; those that were named come first, whatever the record calls them"
      (are [expected type named] (= expected (map (juxt :host :port :priority) (candidates/private-of record type named)))
        [["127.0.0.1" 2 65536]] :poz-query []
        [["127.0.0.1" 2 0]] :poz-query [{:host "127.0.0.1"}]
        [["other.example" 2 0] ["127.0.0.1" 2 65536]] :poz-query [{:host "other.example" :port 9}]
        [["127.0.0.1" 3 65536]] :poz-submit []))
    (is (= :client/no-server (:poz/error (candidates/private-of (:record w/alice) :poz-query []))))
    (is (re-find #"for POZ-QUERY" (:message (candidates/private-of (:record w/alice) :poz-query []))))))
