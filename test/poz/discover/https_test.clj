(ns poz.discover.https-test
  "Which addresses are asked, and what is refused before anything is. The rest needs a web server with a
  certificate: poz.integration.discover-test."
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.discover.https :as https])
  (:import
   (java.net InetAddress)
   (java.util.concurrent ForkJoinPool)))

(set! *warn-on-reflection* true)

(deftest addresses-of-the-public-network
  (are [address] (not (https/private? (InetAddress/getByName address)))
    "1.1.1.1" "8.8.8.8" "100.63.0.1" "100.128.0.1" "172.15.0.1" "172.32.0.1" "192.167.0.1" "198.17.0.1" "223.255.255.254"
    "2606:4700::1111" "2a00:1450:4001:80b::200e" "2001:4860:4860::8888" "2002:0808:0808::1" "64:ff9b::808:808"))

(deftest addresses-of-others
  (are [address] (https/private? (InetAddress/getByName address))
    "0.0.0.0" "10.1.2.3" "100.64.0.1" "127.0.0.1" "127.255.0.1" "169.254.169.254" "172.16.0.1" "172.31.255.255" "192.0.0.1" "192.0.2.1"
    "192.168.1.1" "198.18.0.1" "198.51.100.1" "203.0.113.1" "224.0.0.1" "240.0.0.1" "255.255.255.255"
    "::" "::1" "fe80::1" "fc00::1" "fd12::1" "ff02::1" "2001:db8::1" "2001::1" "::ffff:10.0.0.1" "::7f00:1"
    "64:ff9b::7f00:1" "2002:7f00:1::1"))

(defn- ask [uri options]
  (let [executor (ForkJoinPool/commonPool)]
    (.join (https/ask-async (https/client nil executor) uri 2000 options executor))))

(deftest before-anybody-is-asked
  (is (= [:discover/address "127.0.0.1"] ((juxt :poz/error :found) (ask "https://127.0.0.1:1/" {}))))
  (is (= :discover/https (:poz/error (ask "https://127.0.0.1:1/" {:allow-private true}))))
  (is (= {:absent "no address for nobody.invalid"} (ask "https://nobody.invalid/" {})))
  (is (thrown? IllegalArgumentException (https/client (bytes/utf8 "no certificate") (ForkJoinPool/commonPool)))))
