(ns aleph-server
  "POZ on somebody else's Netty: Aleph's TCP server with `poz.net/pipeline-transform`.

  `clojure -M:aleph`, which needs Clojars, starts one for each contract of queries, asks it
  for a record and prints what came of it. `start` is the part to copy; a handler of
  Aleph's own streams is never called, since the transform puts POZ in its place."
  (:require
   [aleph.netty :as netty]
   [aleph.tcp :as tcp]
   [bench.records :as records]
   [poz.authority :as authority]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.net :as net]
   [poz.record :as record]
   [poz.store :as store]
   [poz.verify :as verify]
   [poz.wire :as wire])
  (:import
   (java.net InetSocketAddress)))

(set! *warn-on-reflection* true)

(def ^:private static
  (delay (crypto/generate :x25519 crypto/random-bytes)))

(defn start
  "An Aleph server on loopback, on any port that is free, whose connections carry requests of
  `contract` to `handler`, a function as `poz.net/start` takes it. `.close` stops it."
  ^java.io.Closeable [contract handler]
  (tcp/start-server (fn [_stream _info])
    {:socket-address (InetSocketAddress. "127.0.0.1" 0)
     :shutdown-timeout 0
     :pipeline-transform (net/pipeline-transform {:contract contract :static @static :handler handler})}))

(defn- answering
  "A handler that answers as an authority out of `store`."
  [store]
  (fn [{:keys [bytes contract]}]
    (let [{:keys [type] :as request} (wire/decode-request bytes {:contract contract})]
      (wire/encode-response
        (if (error/anomaly? request)
          (wire/failure request)
          (authority/answer! store {} request {:now records/now}))
        type))))

(defn- ask
  "Asks a server for the record `hash` under `contract`: how it answers and what that is worth."
  [contract hash handler]
  (with-open [server (start contract handler)]
    (let [response (net/exchange {:host "127.0.0.1" :port (netty/port server) :contract contract
                                  :server-key (:public-key @static)}
                     (wire/encode-request {:type :master :id 1 :payload {:hash hash}}))
          {:keys [status payload]} (wire/decode-response response :master)
          verdict (verify/verify (record/decode payload) {:now records/now})]
      {:contract contract :status status :bytes (count payload) :outcome (:outcome verdict)})))

(defn -main
  "Prints an answer of each contract."
  [& _]
  (let [store (store/memory) record (records/typical)]
    (authority/install! store record records/now)
    (doseq [contract [:plain :query]]
      (prn (ask contract (record/original-hash record) (answering store)))))
  (shutdown-agents))
