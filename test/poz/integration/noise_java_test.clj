(ns poz.integration.noise-java-test
  "poz.noise against noise-java, another implementation, on either side."
  (:require
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.noise :as noise])
  (:import
   (com.southernstorm.noise.protocol CipherState HandshakeState)
   (java.util Arrays)))

(set! *warn-on-reflection* true)

(defn- foreign
  "A handshake of noise-java in `role`, with the same keys as one of ours would have."
  ^HandshakeState [role ^bytes prologue {:keys [secret public-key]}]
  (let [state (HandshakeState. noise/protocol-name (int role))]
    (if (= HandshakeState/INITIATOR role)
      (.setPublicKey (.getRemotePublicKey state) (bytes/->array public-key) 0)
      (.setPrivateKey (.getLocalKeyPair state) (bytes/->array (bytes/reveal secret)) 0))
    (doto state
      (.setPrologue prologue 0 (alength prologue))
      (.start))))

(defn- output
  "The byte string that `(f array)`, which gives a size, writes to the start of an array."
  [f]
  (let [array (byte-array 65535)]
    (bytes/wrap (Arrays/copyOf array (int (f array))))))

(defn- foreign-write [^HandshakeState state payload]
  (output #(.writeMessage state % 0 (bytes/->array payload) 0 (count payload))))

(defn- foreign-read [^HandshakeState state message]
  (output #(.readMessage state (bytes/->array message) 0 (count message) % 0)))

(defn- foreign-encrypt [^CipherState cipher plaintext]
  (output #(.encryptWithAd cipher nil (bytes/->array plaintext) 0 % 0 (count plaintext))))

(defn- foreign-decrypt [^CipherState cipher message]
  (output #(.decryptWithAd cipher nil (bytes/->array message) 0 % 0 (count message))))

(defn- same-transport?
  "Whether a channel carries the plaintexts both ways and has one name."
  [ours ^HandshakeState theirs plaintexts]
  (let [pair (.split theirs)]
    (loop [ours ours [plaintext & more] plaintexts]
      (if (nil? plaintext)
        (= (:handshake-hash ours) (bytes/copy-of (.getHandshakeHash theirs)))
        (let [[ours message] (noise/encrypt ours plaintext)
              [ours back] (noise/decrypt ours (foreign-encrypt (.getSender pair) plaintext))]
          (and (= plaintext back (foreign-decrypt (.getReceiver pair) message))
               (recur ours more)))))))

(defn- our-client? [prologue static seed payloads plaintexts]
  (let [theirs (foreign HandshakeState/RESPONDER (bytes/->array prologue) static)
        [ours message] (noise/write-message (noise/initiator {:prologue prologue :random seed
                                                              :remote-static (:public-key static)})
                                            (payloads 0))
        arrived (foreign-read theirs message)
        [ours answer] (noise/read-message ours (foreign-write theirs (payloads 1)))]
    (and (= payloads [arrived answer]) (same-transport? ours theirs plaintexts))))

(defn- our-server? [prologue static seed payloads plaintexts]
  (let [theirs (foreign HandshakeState/INITIATOR (bytes/->array prologue) static)
        [ours arrived] (noise/read-message (noise/responder {:prologue prologue :static static :random seed})
                                           (foreign-write theirs (payloads 0)))
        [ours message] (noise/write-message ours (payloads 1))
        answer (foreign-read theirs message)]
    (and (= payloads [arrived answer]) (same-transport? ours theirs plaintexts))))

(def ^:private gen-bytes (gen/fmap (comp bytes/wrap byte-array) (gen/vector gen/byte)))
(def ^:private gen-seed (gen/fmap (comp bytes/wrap byte-array) (gen/vector gen/byte 32)))

(defspec noise-java-understands-us 100
  (prop/for-all [[static-seed seed] (gen/vector gen-seed 2)
                 prologue gen-bytes
                 payloads (gen/vector gen-bytes 2)
                 plaintexts (gen/vector (gen/such-that #(pos? (count %)) gen-bytes) 0 5)]
    (let [static (crypto/generate :x25519 static-seed)]
      (and (our-client? prologue static seed payloads plaintexts)
           (our-server? prologue static seed payloads plaintexts)))))
