(ns poz.cli.network-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli.network :as network]
   [poz.client-world :as w]
   [poz.error :as error]
   [poz.net :as net]))

(set! *warn-on-reflection* true)

(def ^:private key-1 (bytes/hex-> (apply str (repeat 32 "01"))))

(deftest hashes-as-people-write-them
  (is (= key-1 (network/parse-hash (bytes/->hex key-1))))
  (are [s] (nil? (network/parse-hash s)) "" "01" (apply str (repeat 64 "g")) (apply str (repeat 65 "0"))))

(deftest servers-and-their-keys
  (are [expected options] (= expected (network/servers "query" options))
    [{:host "a" :priority 0 :encryption :none} {:host "b" :port 7 :priority 1 :encryption :none}]
    {:server [{:host "a"} {:host "b" :port 7}]}
    [{:host "a" :priority 0 :encryption :noise-nk :public-key key-1}]
    {:server [{:host "a"}] :key [key-1]})
  (are [sentence options] (re-find sentence (:message (network/servers "query" options)))
    #"poz query: --server is required" {}
    #"a --key for each --server" {:server [{:host "a"} {:host "b"}] :key [key-1]}
    #"--server is required" {:key [key-1]}))

(deftest what-the-client-is-told
  (let [env {:now (constantly 5) :random identity :exchange vector}]
    (is (= {:servers [] :now 5 :random identity :exchange vector} (network/client-options [] {} env)))
    (is (= {:servers [] :now 7 :random identity :exchange vector :deadline-ms 3000} (network/client-options [] {:at 7 :deadline 3} env)))))

(deftest keys-are-learnt-from-a-verified-record
  (let [env {:now (constantly w/now) :random w/zeros :exchange net/exchange-async}]
    (w/with-authority {}
      (fn [{:keys [servers ports provider]}]
        (let [learnt #(network/learnt-servers (:plain servers) %1 %2 {} env)]
          (is (= [(:query ports)] (map :port (learnt (w/hash-of provider) :poz-query))))
          (is (= [(:submit ports)] (map :port (learnt (w/hash-of provider) :poz-submit))))
          (is (= :wire/not-found (:poz/error (learnt (bytes/zeros 32) :poz-query)))))))
    (testing "not from one that lies, or that names none"
      (are [error record] (= error (w/with-server (w/responds (w/file record))
                                     (fn [port]
                                       (let [found (network/learnt-servers [(w/server :none port)] (w/hash-of w/social) :poz-query {} env)]
                                         (when (error/anomaly? found) (:poz/error found))))))
        :answer/other-record (:record w/alice)
        :client/no-server (dissoc (:record w/social) :identity-zone :identity-authority)))))
