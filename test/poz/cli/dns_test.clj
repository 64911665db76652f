(ns poz.cli.dns-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.client-world :as w]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(def ^:private social (w/with-services w/social {:plain 7074 :query 7175 :submit 7176}))
(def ^:private social-hash (bytes/->hex (w/hash-of social)))

(deftest of-a-record
  (cli/with-folder
    (fn [at]
      (let [file (cli/write! (at "social.poz") (record/encode (:record social)))
            lines ["_poz._tcp.social.example. 3600 IN SRV 0 0 7175 127.0.0.1."
                   "_poz-submit._tcp.social.example. 3600 IN SRV 0 0 7176 127.0.0.1."
                   (str "_poz.social.example. 3600 IN TXT \"v=poz1 h=" social-hash "\"")]]
        (is (= lines (:out (cli/run ["dns-records" "social.example" "--record" file "--ttl" "3600"] {:now w/now}))))
        (is (= [{:version 1 :domains ["social.example"] :original-hash social-hash :dns lines}]
              (:json (cli/run ["dns-records" "social.example" "--record" file "--ttl" "3600" "--json"] {:now w/now}))))
        (testing "of one that names no server"
          (is (= [(str "_poz.a.example. IN TXT \"v=poz1 h=" (bytes/->hex (w/hash-of w/alice)) "\"")]
                (:out (cli/run ["dns-records" "a.example" "--record" "-"] {:now w/now :in (record/encode (:record w/alice))})))))
        (testing "which has to hold"
          (let [[grant :as signatures] (get-in (:record social) [:service-zone :grant :signatures])
                broken (assoc-in (:record social) [:service-zone :grant :signatures]
                         (assoc signatures 0 (update grant :signature #(bytes/concat (bytes/slice % 1) (bytes/slice % 0 1)))))]
            (is (= 1 (:exit (cli/run ["dns-records" "social.example" "--record" "-"] {:now w/now :in (record/encode broken)}))))))))))

(deftest of-a-server
  (cli/with-folder
    (fn [at]
      (let [serve ["serve" "a.example" "b.example" "--data" (at "data") "--plain-port" "0" "--query-port" "0" "--submit-port" "off"]
            hash (volatile! nil)]
        (cli/run serve {:getenv {"POZ_PASSPHRASE" "x"}
                        :until-told (fn [lines] (vreset! hash (second (re-find #"hash=([0-9a-f]{64})" (last lines)))))})
        (is (= ["_poz._tcp.a.example. IN SRV 0 0 7075 poz.a.example."
                (str "_poz.a.example. IN TXT \"v=poz1 h=" @hash "\"")
                "_poz._tcp.b.example. IN SRV 0 0 7075 poz.a.example."
                (str "_poz.b.example. IN TXT \"v=poz1 h=" @hash "\"")]
              (:out (cli/run ["dns-records" "a.example" "b.example" "--data" (at "data") "--hostname" "poz.a.example" "--submit-port" "off"]))))))))

(deftest what-makes-no-sense
  (cli/with-folder
    (fn [at]
      (are [words exit sentence]
        (let [found (cli/run (into ["dns-records"] words))] (and (= exit (:exit found)) (re-find sentence (str/join "\n" (:err found)))))
        [] 2 #"DOMAIN"
        ["Example.com"] 2 #":domains"
        ["example.com" "--data" (at "none")] 4 #"server.poz: there is no such file"
        ["example.com" "--query-port" "0"] 2 #"any that is free"
        ["example.com" "--ttl" "-1"] 2 #"ttl"
        ["example.com" "--record" (at "none.poz")] 4 #"none.poz"))))
