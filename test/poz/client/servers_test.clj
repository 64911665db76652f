(ns poz.client.servers-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.client-world :as w]
   [poz.client.servers :as servers]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(def ^:private plain {:host "a.example" :encryption :none})
(def ^:private noise {:host "a.example" :encryption :noise-nk :public-key (bytes/zeros 32)})

(deftest servers-as-people-write-them
  (are [server s] (= server (servers/parse s))
    {:host "poz.example"} "poz.example"
    {:host "poz.example" :port 7074} "poz.example:7074"
    {:host "192.0.2.1" :port 1} "192.0.2.1:1"
    {:host "::1" :port 65535} "[::1]:65535"
    {:host "::1"} "[::1]"
    nil "", nil ":1", nil "a:0", nil "a:65536", nil "a:b", nil "::1", nil "a b", nil "http://a", nil "a@b", nil "[a"))

(deftest what-a-request-travels-by
  (are [contract port server type] (= [contract port] ((juxt :contract :port) (servers/prepare server type)))
    :plain 7074 plain :record
    :query 7075 noise :record
    :query 7075 noise :serial
    :submit 7076 noise :submit
    :submit 7076 noise :request-status
    :submit 7076 (assoc noise :contract :submit) :serial
    :submit 9 (assoc noise :contract :submit :port 9) :status
    :plain 9 (assoc plain :port 9) :challenge)
  (is (= (assoc plain :port 7074 :contract :plain :priority 0 :weight 0) (servers/prepare plain :record))))

(deftest what-is-no-server
  (are [sentence server type] (thrown-with-msg? IllegalArgumentException sentence (servers/prepare server type))
    #"has no :hostname" (assoc plain :hostname "b") :record
    #":host is a string" (dissoc plain :host) :record
    #":port is a number" (assoc plain :port 0) :record
    #":port is a number" (assoc plain :port 65536) :record
    #":encryption is" (assoc plain :encryption :tls) :record
    #":encryption is" (dissoc plain :encryption) :record
    #"has a :public-key" (dissoc noise :public-key) :record
    #"has a :public-key" (assoc noise :public-key (bytes/zeros 31)) :record
    #"do not go to a server with :none" plain :submit
    #"do not go to a server with :none on :query" (assoc plain :contract :query) :record
    #"do not go to a server with :noise-nk on :submit" (assoc noise :contract :submit) :record
    #"do not go to a server with :noise-nk on :nope" (assoc noise :contract :nope) :record))

(deftest order-and-names
  (let [servers (map #(servers/prepare % :record) [(assoc plain :priority 2) (assoc plain :port 1) (assoc plain :port 2 :weight 9)])]
    (is (= [1 2 7074] (map :port (servers/order servers (constantly 0.0)))))
    (is (= [2 1 7074] (map :port (servers/order servers (constantly 0.99)))))
    (is (= [] (servers/order [] (constantly 0.5)))))
  (is (= "a.example:7074" (servers/label (servers/prepare plain :record)))))

(deftest that-a-record-names
  (let [{:keys [record]} (w/with-services w/social {:plain 1 :query 2 :submit 3})
        local {:host "127.0.0.1" :priority 0 :weight 0}
        private #(assoc local :port % :encryption :noise-nk :public-key (:public-key w/static))]
    (is (= [(assoc local :port 1 :encryption :none) (private 2)] (servers/of-service record :poz-query)))
    (is (= [(private 3)] (servers/of-service record :poz-submit)))
    (is (= [] (servers/of-service (v/record-named "genesis-minimal") :poz-query)))
    (testing "they can be asked"
      (is (= :submit (:contract (servers/prepare (private 3) :submit)))))
    (testing "what cannot be asked is left out"
      (let [with-host #(assoc-in record [:service-zone :grant :body 0 :hosts] [%])
            host (w/host 9 :noise-nk)]
        (are [n host] (= n (count (servers/of-service (with-host host) :poz-query)))
          1 host, 0 (assoc host :encryption :tls), 0 (assoc host :transport :udp), 0 (dissoc host :public-key))))))

(deftest that-mirrors-are
  (is (= [{:host "m.example" :port 7 :encryption :none :priority 0 :weight 0}]
         (servers/of-mirrors [{:hostname "m.example" :port 7 :encryption :none}
                              {:hostname "t.example" :port 7 :encryption :tls}]))))
