(ns poz.crypto.conscrypt
  "Conscrypt (BoringSSL behind a JNI library) as a provider: `provider` is a map
  of what BoringSSL does faster than Bouncy Castle, that is signing and verifying with
  Ed25519, X25519 agreement and new keys, verifying ML-DSA-65, ChaCha20-Poly1305.

  What stays Bouncy Castle's: public keys from given secrets, Argon2id, HMAC, and signing
  with ML-DSA-65, where BoringSSL is always randomised. Who only verifies needs none of it, so
  it is loaded with the first call of one.

  The JCA objects are fetched from one `Provider` instance, which is never added to the
  JVM's list of providers. Fetching one per call costs nothing that can be measured;
  parsing a key does, so callers keep what `:parse` gives."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto.ed25519 :as ed25519]
   [poz.crypto.memo :as memo])
  (:import
   (java.security InvalidKeyException Key KeyPairGenerator PrivateKey Provider PublicKey Signature)
   (javax.crypto BadPaddingException Cipher KeyAgreement)
   (javax.crypto.spec IvParameterSpec SecretKeySpec)
   (org.conscrypt Conscrypt MlDsaAlgorithm OpenSSLX25519PrivateKey OpenSSLX25519PublicKey OpenSslEdDsaPrivateKey OpenSslEdDsaPublicKey OpenSslMlDsaPublicKey)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(defn verify-with
  "Whether `signature`, of any length, is `key`'s over `message`, by the algorithm that the
  provider `jca` has under the name `algorithm`."
  [^String algorithm ^Provider jca ^PublicKey key ^Bytes message ^Bytes signature]
  (let [verifier (Signature/getInstance algorithm jca)]
    (.initVerify verifier key)
    (.update verifier ^bytes (.-array message) (.-offset message) (.-length message))
    (.verify verifier ^bytes (.-array signature) (.-offset signature) (.-length signature))))

;; X25519. The one reason for which BoringSSL refuses keys of 32 bytes is that the
;; agreement gives the all-zero secret.

(defn- x25519-agree [^Provider jca secret public-key]
  (let [agreement (KeyAgreement/getInstance "XDH" jca)
        ^Key ours (OpenSSLX25519PrivateKey. (bytes/->array secret))
        ^Key theirs (OpenSSLX25519PublicKey. (bytes/->array public-key))]
    (.init agreement ours)
    (try (.doPhase agreement theirs true)
         (bytes/wrap (.generateSecret agreement))
         (catch InvalidKeyException _ nil))))

(defn- x25519-generate [^Provider jca]
  (let [pair (.generateKeyPair (KeyPairGenerator/getInstance "XDH" jca))]
    {:secret (bytes/wrap (.getU ^OpenSSLX25519PrivateKey (.getPrivate pair)))
     :public-key (bytes/wrap (.getU ^OpenSSLX25519PublicKey (.getPublic pair)))}))

;; Ed25519. BoringSSL computes [S]B - [k]A, encodes it and compares the 32 bytes with
;; R: no cofactor, and an R that is not canonical never matches.

(defn- ed25519-private-key ^PrivateKey [seed]
  (OpenSslEdDsaPrivateKey. (bytes/->array seed)))

(defn- ed25519-sign [^Provider jca seed ^Bytes message]
  (let [signer (doto (Signature/getInstance "EdDSA" jca)
                 (.initSign (ed25519-private-key seed))
                 (.update ^bytes (.-array message) (.-offset message) (.-length message)))]
    (bytes/wrap (.sign signer))))

(defn- ed25519-parse [jca key]
  (when (ed25519/prime-order? #(x25519-agree jca %1 %2) key)
    (OpenSslEdDsaPublicKey. (bytes/->array key))))

(defn- ed25519 [jca]
  {:sign #(ed25519-sign jca %1 %2)
   :parse #(ed25519-parse jca %)
   :equation? #(verify-with "EdDSA" jca %1 %2 %3)})

;; ML-DSA-65

(defn- ml-dsa-parse [key]
  (when (= (.publicKeySize MlDsaAlgorithm/ML_DSA_65) (count key))
    (OpenSslMlDsaPublicKey. (bytes/->array key) MlDsaAlgorithm/ML_DSA_65)))

(defn- ml-dsa-65 [jca]
  {:parse ml-dsa-parse
   :verify #(verify-with "ML-DSA-65" jca %1 %2 %3)})

;; ChaCha20-Poly1305

(defn- own-array
  "An array with the bytes of `b` and nothing else. Of a part of an array Conscrypt copies all
  of it, which for each 64 KiB of 16 MiB takes 50 times as long as sealing."
  ^bytes [^Bytes b]
  (let [array ^bytes (.-array b)]
    (if (= (.-length b) (alength array)) array (bytes/->array b))))

(defn- chacha20-poly1305
  "Runs the cipher in `mode` over `input`. Throws BadPaddingException where it does not open.
  To fetch it by its name with slashes would take 0.3 µs and 1.3 kB for each message, not 0.1 and 0.4."
  [^Provider jca mode key nonce aad input]
  (let [cipher (doto (Cipher/getInstance "ChaCha20-Poly1305" jca)
                 (.init (int mode) (SecretKeySpec. (bytes/->array key) "ChaCha20")
                        (IvParameterSpec. (bytes/->array nonce)))
                 (.updateAAD (own-array aad)))]
    (bytes/wrap (.doFinal cipher (own-array input)))))

(defn- open [jca key nonce aad sealed]
  (try (chacha20-poly1305 jca Cipher/DECRYPT_MODE key nonce aad sealed)
       (catch BadPaddingException _ nil)))

;; What Bouncy Castle does

(defn- late
  "The function at `path` of Bouncy Castle's map, which is loaded when it is called."
  [& path]
  (let [f (memo/once #(get-in ((requiring-resolve 'poz.crypto.bouncy-castle/provider)) path))]
    (fn [& args] (apply (f) args))))

(defn provider
  "The provider map, `:name` `:conscrypt`, of the shape that poz.crypto.bouncy-castle
  documents. Loads the native library: throws (an UnsatisfiedLinkError, mostly) where
  there is none for this platform."
  []
  (Conscrypt/checkAvailability)
  (let [jca (Conscrypt/newProvider)]
    {:name :conscrypt
     :ed25519 (assoc (ed25519 jca) :public-key (late :ed25519 :public-key))
     :ml-dsa-65 (assoc (ml-dsa-65 jca) :public-key (late :ml-dsa-65 :public-key) :sign (late :ml-dsa-65 :sign))
     :x25519 {:public-key (late :x25519 :public-key)
              :agree #(x25519-agree jca %1 %2)
              :generate #(x25519-generate jca)}
     :chacha20-poly1305 {:seal #(chacha20-poly1305 jca Cipher/ENCRYPT_MODE %1 %2 %3 %4)
                         :open #(open jca %1 %2 %3 %4)}
     :argon2id (late :argon2id)
     :hmac-sha3-256 (late :hmac-sha3-256)}))
