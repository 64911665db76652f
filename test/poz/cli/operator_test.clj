(ns poz.cli.operator-test
  "The operator's commands against the store of a server, while it runs and while it does not."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.handles :as h]
   [poz.net :as net]
   [poz.record :as record]
   [poz.system :as system]
   [poz.verify :as verify]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(def ^:private env {"POZ_PASSPHRASE" "correct horse"})
(def ^:private now cli/now)

(defn- with-server
  "Calls `f` with a running server, and a function that runs an operator's command on its data."
  [f]
  (cli/with-folder
    (fn [at]
      (let [s (system/start {:domains ["social.example"] :data (at "data") :passphrase "correct horse"
                             :sealing {:memory-kib 8192 :passes 1 :lanes 1} :threads 2 :cache-ms 1
                             :plain-port 0 :query-port 0 :submit-port 0 :now (constantly now)})]
        (try (f s (fn [& words] (cli/run (into (vec words) ["--data" (at "data")]) {:getenv env})))
             (finally (system/stop s)))))))

(defn- ask [{:keys [ports noise-key]} contract {:keys [type] :as request}]
  (wire/decode-response
    (net/exchange {:host "127.0.0.1" :port (ports contract) :contract contract :server-key noise-key :deadline-ms 30000}
      (wire/encode-request (assoc request :id 1)))
    type))

(defn- address [handle] {:handle handle :domain "social.example" :path []})

(defn- hold!
  "The ticket of a request that waits, in hex."
  [s person handle]
  (let [{:keys [status payload]} (ask s :submit {:type :submit-request :payload (h/request person (:hash s) (address handle) now)})]
    (is (= :pending status))
    (bytes/->hex payload)))

(defn- request-status [s ticket]
  (ask s :submit {:type :request-status :payload (bytes/hex-> ticket)}))

(def ^:private alice (h/person "alice"))

(deftest pending-approve-and-revoke
  (with-server
    (fn [s poz]
      (is (= {:exit 0 :out [] :err ["no request is waiting"]} (select-keys (poz "authority" "pending") [:exit :out :err])))
      (let [ticket (hold! s alice "alice")
            hash (bytes/->hex (h/hash-of (:record alice)))]
        (is (str/includes? (first (:out (poz "authority" "pending"))) (str ticket "  alice@social.example  2026-11-01T00:00:00Z  " hash)))
        (is (= [{:version 1 :ticket ticket :address "alice@social.example" :record hash :time now :proof ""}]
              (:json (poz "authority" "pending" "--json"))))
        (is (= 0 (:exit (poz "authority" "approve" ticket))))
        (is (= [] (:out (poz "authority" "pending"))))
        (let [{:keys [status payload]} (request-status s ticket)]
          (is (= :ok status))
          (is (= :accepted (:status (ask s :submit {:type :submit-signed :payload (h/update-of (h/accepting alice payload now))})))))
        (testing "revoked, while it runs"
          (let [{:keys [exit json]} (poz "authority" "revoke" "alice@social.example" "--reason" "abuse" "--json")
                provider (record/decode (:payload (ask s :query {:type :record :payload {:hash (:hash s)}})))
                denied (first (get-in provider [:identity-zone :deny :denied]))]
            (is (= 0 exit))
            (is (= [(:issue-hash (first json)) :abuse] [(bytes/->hex (:target denied)) (:reason denied)]))
            (is (= :valid (:outcome (verify/verify provider {:now now}))))))))))

(deftest reject
  (with-server
    (fn [s poz]
      (let [ticket (hold! s alice "alice")]
        (is (= ["rejected: alice@social.example"] (:out (poz "authority" "reject" ticket "--reason" "not a member"))))
        (let [{:keys [status payload]} (request-status s ticket)]
          (is (= :rejected status))
          (is (str/includes? (:message payload) "not a member")))
        (is (= 4 (:exit (poz "authority" "reject" ticket))) "it is decided")))))

(deftest what-is-refused
  (with-server
    (fn [s poz]
      (are [words exit] (= exit (:exit (apply poz "authority" words)))
        ["approve" (apply str (repeat 32 "0"))] 4
        ["approve" "nope"] 2
        ["reject" "nope"] 2
        ["revoke" "nobody@social.example"] 4
        ["revoke" "nobody"] 2
        ["revoke" "a@social.example" "--reason" "whim"] 2
        ["pending" "--store" "memory"] 2)
      (is (= 1 (:exit (cli/run ["authority" "revoke" "a@social.example" "--data" (:data (:config s))]
                        {:getenv {"POZ_PASSPHRASE" "wrong"}}))))
      (is (= 4 (:exit (cli/run ["authority" "pending" "--data" "/nope"] {:getenv env})))))))
