(ns poz.noise.fixtures
  "Two sides of a Noise channel for tests: fixed keys, whole handshakes, many messages."
  (:require
   [clojure.test :refer [testing]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.noise :as noise]))

(set! *warn-on-reflection* true)

(defn each-provider
  "Calls `f` with every provider."
  [f]
  (doseq [provider (crypto/providers)]
    (testing provider (crypto/with-provider provider f))))

(defn seed
  "32 times the byte `n`."
  [n]
  (bytes/wrap (byte-array 32 (byte n))))

(def server
  "The server's static key pair."
  (crypto/generate :x25519 (seed 3)))

(defn initiator
  "A client of `server`, always the same but for the `options`."
  ([] (initiator {}))
  ([options] (noise/initiator (merge {:prologue (noise/prologue 7075) :random (seed 1)
                                      :remote-static (:public-key server)}
                                     options))))

(defn responder
  "The server, always the same but for the `options`."
  ([] (responder {}))
  ([options] (noise/responder (merge {:prologue (noise/prologue 7075) :random (seed 2) :static server}
                                     options))))

(defn handshake
  "`{:initiator :responder :messages :payloads}` after a handshake with these payloads."
  ([i r] (handshake i r bytes/empty bytes/empty))
  ([i r payload-1 payload-2]
   (let [[i message-1] (noise/write-message i payload-1)
         [r read-1] (noise/read-message r message-1)
         [r message-2] (noise/write-message r payload-2)
         [i read-2] (noise/read-message i message-2)]
     {:initiator i :responder r :messages [message-1 message-2] :payloads [read-1 read-2]})))

(defn connected
  "[initiator responder] after a handshake."
  []
  ((juxt :initiator :responder) (handshake (initiator) (responder))))

(defn code
  "The error keyword of an anomaly."
  [x]
  (:poz/error x))

(defn decrypt-all
  "`[state plaintexts]` of the messages in order."
  [state messages]
  (reduce (fn [[state plaintexts] message]
            (let [[state plaintext] (noise/decrypt state message)]
              [state (conj plaintexts plaintext)]))
          [state []] messages))

(defn frames
  "The messages as they go over the wire."
  [messages]
  (apply bytes/concat (map noise/frame messages)))

(defn unframe-all
  "The messages in `b`, nil unless they fill it."
  [b]
  (loop [b b messages []]
    (if-let [[message b] (noise/unframe b)]
      (recur b (conj messages message))
      (when (zero? (count b)) messages))))

(defn bytes-of
  "The byte string whose byte n is (f n) mod 256."
  [size f]
  (bytes/wrap (byte-array (map (comp unchecked-byte f) (range size)))))
