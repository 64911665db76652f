(ns bench.net.server
  "The server that is measured, a process of its own: `clojure.main -m bench.net.server`.

  An authority over a store in memory that holds a hundred records, on the contracts 7074 and
  7075, at ports that are free. It prints one line, a map: `:ports` by contract, `:key` of Noise
  in hex, `:requests` and `:responses` in hex, what to ask and what comes back, with the id 0. It
  ends when its standard input does.

  What it has answered once it keeps, a bounded map from a request without its id to the
  response, and gives from there."
  (:require
   [bench.records :as records]
   [poz.authority :as authority]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.net :as net]
   [poz.record :as record]
   [poz.store :as store]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent ConcurrentHashMap)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(def ^:private record-count 100)
(def ^:private most-kept 10000)

(defn- filled
  "A store with the `records`."
  [records]
  (let [s (store/memory)]
    (run! #(when-not (true? (authority/install! s % records/now))
             (throw (IllegalStateException. "The store does not take a record.")))
      records)
    s))

(defn- answerer [store]
  (fn [{:keys [bytes]}]
    (let [request (wire/decode-request bytes)]
      (if (error/anomaly? request)
        (wire/encode-response (wire/failure request) nil)
        (wire/encode-response (authority/answer! store {:domains {}} request {:now records/now}) (:type request))))))

;; What is kept

(def ^:private id-at 2)

(defn- with-id
  "A copy of the message `b` with the id of the message `other`."
  [b ^Bytes other]
  (let [a (bytes/->array b)]
    (System/arraycopy (.-array other) (+ (.-offset other) (long id-at)) a id-at 2)
    (bytes/wrap a)))

(def ^:private no-id (bytes/zeros 4))

(defn- keeping
  "The options :handler and :ready of a server that gives what `answer` does."
  [answer]
  (let [kept (ConcurrentHashMap.)]
    {:handler (fn [{:keys [bytes] :as request}]
                (let [response (answer request)]
                  (when (< (.size kept) (long most-kept))
                    (.put kept (with-id bytes no-id) response))
                  response))
     :ready (fn [{:keys [bytes]}]
              (when-let [response (.get kept (with-id bytes no-id))]
                (with-id response bytes)))}))

;; The whole

(defn- request-of [record]
  (wire/encode-request {:type :master :id 0 :payload {:hash (record/original-hash record)}}))

(defn -main
  "See above. Takes the name of a transport, by default the best."
  [& [transport]]
  (let [records (records/several record-count)
        answer (answerer (filled records))
        static (crypto/generate :x25519 crypto/random-bytes)
        requests (map request-of records)
        options (merge (keeping answer)
                  {:port 0 :static static :limits {:connections-per-address 1000}}
                  (when transport {:transport (keyword transport)}))
        ports (into {} (for [contract [7074 7075]]
                         [contract (:port (net/start (assoc options :contract contract)))]))]
    (prn {:ports ports :key (bytes/->hex (:public-key static))
          :requests (mapv bytes/->hex requests)
          :responses (mapv #(bytes/->hex (answer {:bytes %})) requests)})
    (flush)
    (while (not= -1 (.read System/in)))
    (System/exit 0)))
