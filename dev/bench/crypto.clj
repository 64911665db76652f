(ns bench.crypto
  "What the primitives cost per core: `(run)` prints calls per second, with each provider."
  (:require
   [bench.harness :as harness]
   [bench.net.process :as process]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.crypto.sha3 :as sha3])
  (:import
   (java.security PublicKey Signature)
   (org.conscrypt Conscrypt OpenSslEdDsaPublicKey)))

(set! *warn-on-reflection* true)

(def ^:private secret (bytes/secret (crypto/sha3-256 (bytes/utf8 "bench"))))
(def ^:private message (bytes/zeros 64))
(def ^:private nonce (bytes/zeros 12))
(def ^:private kib (bytes/zeros 1024))

(defn- verifying
  "A thunk that verifies a signature by `secret`, its key already known."
  [algorithm]
  (let [key (crypto/public-key algorithm secret)
        signature (crypto/sign algorithm secret message)]
    #(crypto/verify algorithm key message signature)))

(defn- verifying-new-keys
  "A thunk that verifies under another key each time, more of them than are kept."
  []
  (let [pair #(crypto/generate :ed25519 crypto/random-bytes)
        signed (fn [{:keys [secret public-key]}] [public-key (crypto/sign :ed25519 secret message)])
        n 10000
        all (vec (repeatedly n (comp signed pair)))
        i (volatile! 0)]
    #(let [[key signature] (all (vswap! i (fn [i] (rem (inc (long i)) n))))]
       (crypto/verify :ed25519 key message signature))))

(defn- rows []
  (let [x25519-key (crypto/public-key :x25519 secret)
        sealed (crypto/seal secret nonce message kib)]
    [["Ed25519 verify" (verifying :ed25519)]
     ["Ed25519 verify, a new key each time" (verifying-new-keys)]
     ["Ed25519 sign" #(crypto/sign :ed25519 secret message)]
     ["X25519 agree" #(crypto/agree secret x25519-key)]
     ["ML-DSA-65 verify" (verifying :ml-dsa-65)]
     ["ML-DSA-65 sign" #(crypto/sign :ml-dsa-65 secret message)]
     ["ChaCha20-Poly1305 seal 1 KiB" #(crypto/seal secret nonce message kib)]
     ["ChaCha20-Poly1305 open 1 KiB" #(crypto/open secret nonce message sealed)]]))

;; Without anything of ours: no key is checked, by either

(defn- conscrypt-rows
  "Conscrypt called bare, with a key that is at hand and with one made for each call."
  []
  (let [key (bytes/->array (crypto/public-key :ed25519 secret))
        signature (bytes/->array (crypto/sign :ed25519 secret message))
        message (bytes/->array message)
        jca (Conscrypt/newProvider)
        kept (OpenSslEdDsaPublicKey. key)
        verify (fn [^PublicKey key]
                 (.verify (doto (Signature/getInstance "EdDSA" jca) (.initVerify key) (.update message)) signature))]
    [["Ed25519 verify, Conscrypt called bare" #(verify kept)]
     ["the same, and its key made" #(verify (OpenSslEdDsaPublicKey. key))]]))

(defn- libsodium
  "`[version rate]`: how many Ed25519 signatures a second libsodium verifies, in C."
  []
  (let [folder (process/folder) program (io/file folder "sodium")]
    (try
      (process/run!! (process/program! "gcc" "gcc") "-O2" "-o" program "dev/bench/foreign/sodium.c" "-lsodium")
      (let [[version rate] (str/split (str/trim (process/run!! program)) #" ")]
        [version (parse-double rate)])
      (finally (process/delete! folder)))))

(defn run
  "Prints calls per second and µs per call, on this thread, with each provider that loads:
  Amazon's too with the alias `:accp`. Takes about half a minute. Needs gcc and the Debian
  package libsodium-dev."
  []
  (let [[version rate] (libsodium)]
    (println (format "%-44s %12.0f /s %10.2f µs" (str "Ed25519 verify, libsodium " version " in C") rate (/ 1e6 rate))))
  (when-not (crypto/provider-problem :conscrypt) (harness/print-rates (conscrypt-rows)))
  (println "SHA3-256")
  (harness/print-rates
    (for [b [message kib] [name f] [["Bouncy Castle" sha3/by-bouncy-castle] ["JDK" sha3/by-jdk]]]
      [(str name ", " (count b) " bytes") #(f [b])]))
  (doseq [provider (crypto/providers)]
    (println (name provider))
    (crypto/with-provider provider #(harness/print-rates (rows)))))
