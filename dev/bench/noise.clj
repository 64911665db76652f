(ns bench.noise
  "What a Noise handshake costs a server: `(run)` prints handshakes per second, with each
  provider, beside the bare X25519 operations that one contains, and bulk data beside bare
  sealing."
  (:require
   [bench.harness :as harness]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.noise :as noise]))

(set! *warn-on-reflection* true)

(def ^:private prologue (noise/prologue 7075))
(def ^:private random crypto/random-bytes)
(def ^:private megabyte (bytes/zeros 1000000))

(defn- client [server]
  (noise/initiator {:prologue prologue :remote-static (:public-key server) :random random}))

(defn- answering
  "A thunk that does the server's part of a handshake: reads the first message, writes the second."
  [server]
  (let [[_ message] (noise/write-message (client server))]
    #(let [[state] (noise/read-message (noise/responder {:prologue prologue :static server :random random})
                                       message)]
       (noise/write-message state))))

(defn- bare
  "A thunk that does the X25519 operations in a server's part: one new key, two agreements."
  [{:keys [secret public-key]}]
  #(let [ephemeral (crypto/generate :x25519 random)]
     [(crypto/agree secret public-key) (crypto/agree (:secret ephemeral) public-key)]))

(defn- sending
  "A thunk that encrypts a megabyte on a channel which goes on."
  [server]
  (let [[i message] (noise/write-message (client server))
        [r] (noise/read-message (noise/responder {:prologue prologue :static server :random random}) message)
        [r message] (noise/write-message r)
        [i] (noise/read-message i message)
        channel (volatile! i)]
    #(vreset! channel (first (noise/encrypt-all @channel megabyte)))))

(defn- rows []
  (let [server (crypto/generate :x25519 random)
        nonce (bytes/zeros 12)]
    [["handshake, the server's part" (answering server)]
     ["of it: one X25519 key, two agreements" (bare server)]
     ["encrypt 1 MB, 16 messages" (sending server)]
     ["of it: seal 1 MB at once" #(crypto/seal (:secret server) nonce bytes/empty megabyte)]]))

(defn- print-ratio [[[name f] [_ baseline]]]
  (println (format "%-44s %12.2f times the part below" name (harness/compare-to baseline f)))
  (flush))

(defn run
  "Prints calls per second and µs per call, on this thread, and the two ratios, measured in
  turn. Takes about a quarter of a minute."
  []
  (doseq [provider (crypto/providers)]
    (println (name provider))
    (crypto/with-provider provider
      #(let [rows (rows)]
         (harness/print-rates rows)
         (run! print-ratio (partition 2 rows))))))
