(ns poz.system.config-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store :as store]
   [poz.system.config :as config]))

(set! *warn-on-reflection* true)

(defn- config
  ([given] (config {} {} given))
  ([env file given] (config/config env file given)))

(defn- faults [& args]
  (let [found (apply config args)]
    (is (= :system/config (:poz/error found)))
    (:faults found)))

(deftest defaults
  (is (= {:data "poz-data" :store :sqlite :host "127.0.0.1" :plain-port 7074 :query-port 7075 :submit-port 7076
          :policy :manual :mirrors [] :reservation-ms 86400000}
        (select-keys (config {}) [:data :store :host :plain-port :query-port :submit-port :policy :mirrors :reservation-ms
                                  :domains :passphrase :now])))
  (testing "every row has words and a check that its default passes"
    (doseq [[k {:keys [doc check rule default] :as row}] config/options]
      (is (and (string? doc) (string? rule)) k)
      (is (or (not (contains? row :default)) (check default)) k))))

(deftest which-goes-before-which
  (let [env {"POZ_QUERY_PORT" "2" "POZ_SUBMIT_PORT" "2"}]
    (is (= [1 2 3] ((juxt :plain-port :submit-port :query-port)
                    (config env {:plain-port 1 :query-port 1 :submit-port 1} {:query-port 3}))))))

(deftest the-environment
  (are [name text k v] (= v (k (config {name text} {} {})))
    "POZ_DOMAINS" "a.example, b.example" :domains ["a.example" "b.example"]
    "POZ_DOMAINS" " a.example" :domains ["a.example"]
    "POZ_STORE" "memory" :store :memory
    "POZ_STORE" "jdbc:postgresql://h/d" :store "jdbc:postgresql://h/d"
    "POZ_STORE" "cassandra://h,i:9043/poz?dc=dc1" :store "cassandra://h,i:9043/poz?dc=dc1"
    "POZ_PLAIN_PORT" "off" :plain-port :off
    "POZ_POLICY" ":approve" :policy :approve
    "POZ_POLICY" "{:approve [\"*@a.example\"]}" :policy {:approve ["*@a.example"]}
    "POZ_CACHE_BYTES" "0" :cache-bytes 0
    "POZ_HOST" "" :host "127.0.0.1"
    "POZ_UPSTREAM" "poz.a.example" :upstream {:host "poz.a.example"}
    "POZ_UPSTREAM" "[::1]:7075" :upstream {:host "::1" :port 7075})
  (are [name text] (= 1 (count (faults {name text} {} {})))
    "POZ_STORE" "mysql://h"
    "POZ_PLAIN_PORT" "http"
    "POZ_PLAIN_PORT" "65536"
    "POZ_POLICY" "{:approve"
    "POZ_QUEUE" "-1"
    "POZ_UPSTREAM" "a b"
    "POZ_UPSTREAM" "a.example:99999"
    "POZ_UPSTREAM_HASH" "abc"
    "POZ_ROLE" "copy"
    "POZ_DOMAINS" "-a.example"))

(deftest all-faults-at-once
  (is (= #{"there is no option :port" "POZ_QUEUE is a whole number of 1 to 1000000"
           ":query-port is a port of 0 to 65535, 0 for any that is free, or :off, not \"x\""
           ":policy is a policy: no policy is called :never"}
        (set (faults {"POZ_QUEUE" "many"} {:port 1} {:query-port "x" :policy :never}))))
  (is (re-find #"^A configuration file holds one map in EDN\.$" (:message (config {} [] {}))))
  (is (re-find #"(?s)There is no option :a\. There is no option :b\." (:message (config {:a 1 :b 2})))))

(deftest options-that-do-not-go-together
  (is (re-find #":data is nil" (first (faults {:data nil}))))
  (is (re-find #":data is nil" (first (faults {:data nil :store "jdbc:postgresql://h/d"}))))
  (is (not (error/anomaly? (config {:data nil :store :memory}))))
  (is (not (error/anomaly? (config {:data nil :store (store/memory)}))))
  (is (re-find #"at least one port" (first (faults {:plain-port :off :query-port :off :submit-port :off})))))

(deftest roles
  (let [hash (apply str (repeat 64 "0"))
        given (fn [role & {:as more}] (merge {:role role :upstream {:host "h"} :upstream-hash hash} more))]
    (is (= [:off :off 7076] (map #(:submit-port (config (given %))) [:cache :mirror :authoritative])))
    (is (= :off (:submit-port (config {"POZ_ROLE" "cache" "POZ_UPSTREAM" "h"} {} {}))))
    (are [options sentence] (re-find sentence (first (faults options)))
      (given :mirror :submit-port 0) #"a mirror never opens a port for submissions"
      (given :cache :submit-port 7076) #"a cache never opens a port for submissions"
      {:role :cache} #"a cache needs an :upstream"
      {:role :mirror :upstream {:host "h"}} #"a mirror needs the :upstream-hash"
      (given :mirror :upstream {:host "h" :nope 1}) #":upstream is HOST"
      (given :mirror :upstream {:host "h" :key "12"}) #":upstream is HOST")
    (is (not (error/anomaly? (config {:role :cache :upstream {:host "h"}}))) "a cache may go without")))

(deftest secrets-are-wrapped-and-never-shown
  (let [found (config {"POZ_PASSPHRASE" "correct horse"} {:store-password "battery"} {})]
    (is (every? bytes/secret? ((juxt :passphrase :store-password) found)))
    (is (= (bytes/utf8 "correct horse") (bytes/reveal (:passphrase found))))
    (is (not (re-find #"horse|battery" (pr-str found)))))
  (is (not (re-find #"1234567" (pr-str (config {:passphrase 1234567})))))
  (is (not (re-find #"1234567" (pr-str (config {:store-password [1234567]}))))))

(deftest variables
  (is (= "POZ_CONNECTIONS_PER_ADDRESS" (config/variable :connections-per-address))))
