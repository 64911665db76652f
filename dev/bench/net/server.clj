(ns bench.net.server
  "The server that is measured, a process of its own: `clojure.main -m bench.net.server [TRANSPORT] [patient]`.

  An authority (`poz.authority.server`) over a store in memory that holds a hundred records, on
  7074 and 7075, at ports that are free. It prints one line, a map: `:ports` by contract, `:key`
  of Noise in hex, `:requests` and `:responses` in hex, what to ask and what comes back, with the
  id 0. It ends when its standard input does. A patient one has room for 20,000 connections and
  leaves them open for ten minutes."
  (:require
   [bench.records :as records]
   [poz.authority :as authority]
   [poz.authority.answers :as answers]
   [poz.authority.server :as server]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.net :as net]
   [poz.record :as record]
   [poz.store :as store]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(def ^:private record-count 100)
(def ^:private cache-bytes 10000000)

(defn- filled
  "A store with the `records`."
  [records]
  (let [s (store/memory)]
    (run! #(when-not (true? (authority/install! s % records/now))
             (throw (IllegalStateException. "The store does not take a record.")))
      records)
    s))

(defn- report! [^Throwable t]
  (.printStackTrace t))

(defn- server-of [records]
  (server/server {:store (filled records) :config {:domains {}}
                  :answers (answers/answers {:bytes cache-bytes})
                  :secret (bytes/secret (crypto/random-bytes 32)) :load (constantly 0)
                  :now (constantly records/now) :random crypto/random-bytes :on-error report!}))

(defn- request-of [record]
  (wire/encode-request {:type :master :id 0 :payload {:hash (record/original-hash record)}}))

(def ^:private patient
  {:connections 20000 :connections-per-address 20000 :idle-ms 600000 :exchange-ms 600000})

(defn -main
  "See above. Takes the name of a transport, or `best`."
  [& [transport patience]]
  (let [records (records/several record-count)
        server (server-of records)
        static (crypto/generate :x25519 crypto/random-bytes)
        requests (map request-of records)
        options (cond-> {:port 0 :static static
                         :limits (if (= "patient" patience) patient {:connections-per-address 1000})
                         :handler #(server/handle server %) :ready #(server/ready server %)}
                  (not= "best" (or transport "best")) (assoc :transport (keyword transport)))
        ports (into {} (for [[port contract] {7074 :plain 7075 :query}]
                         [port (:port (net/start (assoc options :contract contract)))]))]
    (prn {:ports ports :key (bytes/->hex (:public-key static))
          :requests (mapv bytes/->hex requests)
          :responses (mapv #(bytes/->hex (server/handle server {:bytes % :contract :plain :address "127.0.0.1"})) requests)})
    (flush)
    (while (not= -1 (.read System/in)))
    (System/exit 0)))
