(ns poz.system.dns-test
  (:require
   [clojure.test :refer [deftest is]]
   [poz.bytes :as bytes]
   [poz.system.dns :as dns]))

(set! *warn-on-reflection* true)

(def ^:private zeros (apply str (repeat 64 "0")))

(deftest what-belongs-into-dns
  (is (= ["_poz._tcp.example.com. IN SRV 0 0 7075 poz.example.com."
          "_poz-submit._tcp.example.com. IN SRV 0 0 7076 poz.example.com."
          (str "_poz.example.com. IN TXT \"v=poz1 h=" zeros "\"")]
        (dns/lines "example.com" "poz.example.com" {:plain 7074 :query 7075 :submit 7076} (bytes/zeros 32))))
  (is (= ["_poz._tcp.example.com. IN SRV 0 0 7074 example.com." (str "_poz.example.com. IN TXT \"v=poz1 h=" zeros "\"")]
        (dns/lines "example.com" "example.com" {:plain 7074} (bytes/zeros 32)))))

(deftest with-a-time-and-several-servers
  (is (= ["_poz._tcp.example.com. 60 IN SRV 1 5 7075 a.example.com."
          "_poz._tcp.example.com. 60 IN SRV 2 0 7175 b.example.com."
          (str "_poz.example.com. 60 IN TXT \"v=poz1 h=" zeros "\"")]
        (dns/zone-lines "example.com"
          {:query [{:host "a.example.com" :port 7075 :priority 1 :weight 5} {:host "b.example.com" :port 7175 :priority 2 :weight 0}]}
          (bytes/zeros 32) 60))))
