(ns poz.integration.noise-peer
  "poz.net against a Noise library that others wrote, over TCP and on either side, the same for
  every library: `check-client`, `check-server`, `check-lookup`.

  Each takes a *peer*, the words of a command that understands, all in hex,

    ask PORT CONTRACT SERVER_KEY   sends standard input, prints the response
    serve CONTRACT SECRET          prints its port, answers one request, which it prints, with
                                   the bytes on standard input

  and exits with 3 where the other side closes without an answer."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [is testing]]
   [poz.authority :as authority]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.net :as net]
   [poz.record :as record]
   [poz.served :as served]
   [poz.service :as service]
   [poz.store :as store]
   [poz.verdicts :as v]
   [poz.wire :as wire])
  (:import
   (java.io BufferedReader Writer)
   (java.util List Map)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

;; Processes

(defn start
  "The process of `command`, a list of words, with more variables `env`."
  (^Process [command] (start command {}))
  (^Process [command env]
   (let [builder (doto (ProcessBuilder. ^List (mapv str command))
                   (.redirectErrorStream true))]
     (.putAll ^Map (.environment builder) env)
     (.start builder))))

(defn ended
  "The exit code of `process`, which is killed after a minute."
  [^Process process]
  (when-not (.waitFor process 60 TimeUnit/SECONDS)
    (.destroyForcibly process))
  (.waitFor process))

(defn- with-peer
  "Runs the peer with `args` and the byte string `input`: what `(f lines)` gives of the lines
  that it prints, and its exit code."
  [peer input args f]
  (let [process (start (into peer args))]
    (with-open [^Writer in (io/writer (.getOutputStream process))]
      (.write in (bytes/->hex input)))
    (with-open [^BufferedReader out (io/reader (.getInputStream process))]
      [(f (line-seq out)) (ended process)])))

(defn- ask
  "What the peer says to `request`, and its exit code."
  [peer {:keys [port server-key]} contract request]
  (with-peer peer request ["ask" port contract (bytes/->hex server-key)] str/join))

(def ^:private static (crypto/generate :x25519 crypto/random-bytes))

(defn- serve
  "What our client says to a peer that answers `request` with `response`, what the peer says
  was asked, and its exit code."
  [peer contract request response]
  (with-peer peer response ["serve" contract (bytes/->hex (bytes/reveal (:secret static)))]
    (fn [lines]
      [(net/exchange {:host "127.0.0.1" :port (parse-long (first lines)) :contract contract
                      :server-key (:public-key static)} request)
       (second lines)])))

;; Messages of any size

(def ^:private request (bytes/concat (bytes/hex-> "00050007004e20") (bytes/zeros 20000)))

(defn- answer [size]
  (wire/encode-response {:status :ok :id 7 :payload (bytes/zeros size)} :record))

(defn check-client
  "Their client of our server."
  [peer]
  (doseq [contract [7075 7076] size [10 1048576]
          :let [seen (atom nil)]]
    (served/with-servers [contract] {:handler (fn [{:keys [bytes]}] (reset! seen bytes) (answer size))}
      (fn [{client contract}]
        (testing [contract size]
          (is (= [(bytes/->hex (answer size)) 0] (ask peer client contract request)))
          (is (= request @seen)))
        (testing "the other contract"
          (is (= ["" 3] (ask peer client (if (= 7075 contract) 7076 7075) request))))))))

(defn check-server
  "Our client of their server."
  [peer]
  (doseq [contract [7075 7076] size [10 1048576]]
    (is (= [[(answer size) (bytes/->hex request)] 0] (serve peer contract request (answer size)))
        [contract size])))

;; A lookup

(def ^:private labels ["peer one" "peer two"])

(defn- provider
  "A record of three revisions whose Service Zone names a query server with the key
  `server-key`."
  [server-key]
  (-> (v/genesis labels [[1 0 100] [2 1 100]] [[:service 1 100 100]] [0])
    (v/revise labels {} [1])
    (v/revise labels {} [0])
    (v/grant labels :service
      [{:name "" :type :poz-query
        :hosts [{:hostname "poz.example.org" :port 7075 :transport :tcp :encryption :noise-nk
                 :public-key server-key :priority 0 :weight 0}]}] [1])))

(defn- lookup [type subject]
  (wire/encode-request {:type type :id 11 :payload subject}))

(defn- verified
  "The record in the response `b` to a request of `type`, if it holds."
  [b type]
  (let [{:keys [status id payload]} (wire/decode-response b type)
        record (record/decode payload)]
    (is (= [:ok 11 :valid] [status id (:outcome (v/verdict record))]))
    record))

(defn- check-master [held b]
  (is (= (select-keys held [:public-key-map :master-zone :zone-history])
         (verified b :master))))

(defn- check-exchanges
  "See `check-lookup`; `held` is the record that the servers hold."
  [peer held {:keys [plain query]}]
  (let [master (lookup :master {:hash (record/original-hash held)})
        found (verified (net/exchange plain (lookup :record {:domain "example.org"})) :record)
        key (-> (service/of-type found :poz-query) first :hosts first :public-key)
        [answer code] (ask peer (assoc query :server-key key) 7075 master)]
    (is (= 0 code))
    (check-master held (bytes/hex-> answer))
    (let [[[answer asked] code] (serve peer 7075 master (bytes/hex-> answer))]
      (is (= [(bytes/->hex master) 0] [asked code]))
      (check-master held answer))))

(defn check-lookup
  "Somebody asks our server on 7074 for the record of a domain, verifies it and takes from it
  the key by which their client asks on 7075 for MASTER; our client asks them for the same."
  [peer]
  (let [held (provider (:public-key static))
        config {:domains {"example.org" (record/original-hash held)}}
        store (store/memory)]
    (is (true? (authority/install! store held (v/now))))
    (served/with-servers [:plain :query]
      {:static static :handler (served/handler store config (constantly {:now (v/now)}))}
      #(check-exchanges peer held %))))
