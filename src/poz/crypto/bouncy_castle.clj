(ns poz.crypto.bouncy-castle
  "Bouncy Castle as a provider: `provider` is a map of every primitive that poz uses,
  in pure Java, so it works wherever a JVM does.

  A provider takes and gives byte strings, never Java arrays. Secrets come revealed,
  sizes have been checked by the caller unless a docstring says otherwise, and nothing
  throws because of what the bytes are. Its shape:

      {:name keyword
       :ed25519    {:public-key :sign :parse :equation?}
       :x25519     {:public-key :agree}
       :ml-dsa-65  {:public-key :sign :parse :verify}
       :chacha20-poly1305 {:seal :open}
       :argon2id f, :hmac-sha3-256 f}

  `:parse` makes of a public key's bytes, of any length, what `:equation?` and `:verify` take,
  or nil where nothing verifies under that key: for Ed25519 it breaks rule 1 of
  poz.crypto.ed25519. Slow: keep the result. `:x25519` may have `:generate`, a new pair of
  the provider's own making, faster than of a given secret.
  The low-level classes are used, not Bouncy Castle's JCA provider, which is half as
  fast; nothing is added to the JVM's list of providers."
  (:require
   [poz.bytes :as bytes])
  (:import
   (org.bouncycastle.crypto InvalidCipherTextException)
   (org.bouncycastle.crypto.digests SHA3Digest)
   (org.bouncycastle.crypto.generators Argon2BytesGenerator)
   (org.bouncycastle.crypto.macs HMac)
   (org.bouncycastle.crypto.modes ChaCha20Poly1305)
   (org.bouncycastle.crypto.params AEADParameters Argon2Parameters Argon2Parameters$Builder KeyParameter MLDSAParameters MLDSAPrivateKeyParameters MLDSAPublicKeyParameters ParametersWithRandom)
   (org.bouncycastle.crypto.signers MLDSASigner)
   (org.bouncycastle.math.ec.rfc7748 X25519)
   (org.bouncycastle.math.ec.rfc8032 Ed25519 Ed25519$PublicPoint)
   (org.bouncycastle.util.test FixedSecureRandom)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

;; Ed25519 (RFC 8032 §5.1)

(defn- ed25519-public-key [^Bytes seed]
  (let [out (byte-array Ed25519/PUBLIC_KEY_SIZE)]
    (Ed25519/generatePublicKey ^bytes (.-array seed) (.-offset seed) out 0)
    (bytes/wrap out)))

(defn- ed25519-sign [^Bytes seed ^Bytes message]
  (let [out (byte-array Ed25519/SIGNATURE_SIZE)]
    (Ed25519/sign ^bytes (.-array seed) (.-offset seed)
                  ^bytes (.-array message) (.-offset message) (.-length message) out 0)
    (bytes/wrap out)))

(defn- prime-order-point
  "The point that the byte string `b`, of any length, encodes canonically, if it lies in
  the prime-order subgroup and is not the identity; else nil."
  ^Ed25519$PublicPoint [^Bytes b]
  (when (= Ed25519/PUBLIC_KEY_SIZE (.-length b))
    (Ed25519/validatePublicKeyFullExport ^bytes (.-array b) (.-offset b))))

(defn prime-order?
  "True if the byte string `b` is the canonical encoding of a point of edwards25519 in
  the prime-order subgroup that is not the identity (RFC 8032 §5.1.3, then [L]P = 0).
  False for every other byte string, of any length. Takes longer than verifying a
  signature does."
  [b]
  (some? (prime-order-point b)))

;; Bouncy Castle checks [8]([S]B - R - [k]A) = 0 in effect: it multiplies the equation
;; by a scalar of its choice, so that a difference of small order may vanish. With A
;; and R both of prime order the difference is in the prime-order subgroup too, where
;; it vanishes under no such factor, so the equation is the one without cofactor.
;; Nothing valid is lost: where A has prime order, [S]B - [k]A does, and so must R.
(defn- ed25519-equation? [^Ed25519$PublicPoint key ^Bytes message ^Bytes signature]
  (and (Ed25519/verify ^bytes (.-array signature) (.-offset signature) key
                       ^bytes (.-array message) (.-offset message) (.-length message))
       (prime-order? (bytes/slice signature 0 Ed25519/PUBLIC_KEY_SIZE))))

(def ^:private ed25519
  {:public-key ed25519-public-key
   :sign ed25519-sign
   :parse prime-order-point
   :equation? ed25519-equation?})

;; X25519 (RFC 7748 §5)

(defn- x25519-public-key [^Bytes secret]
  (let [out (byte-array X25519/POINT_SIZE)]
    (X25519/generatePublicKey ^bytes (.-array secret) (.-offset secret) out 0)
    (bytes/wrap out)))

(defn- x25519-agree [^Bytes secret ^Bytes public-key]
  (let [out (byte-array X25519/POINT_SIZE)]
    (when (X25519/calculateAgreement ^bytes (.-array secret) (.-offset secret)
                                     ^bytes (.-array public-key) (.-offset public-key) out 0)
      (bytes/wrap out))))

;; ML-DSA-65 (FIPS 204, pure, empty context)

(defn- ml-dsa-private-key ^MLDSAPrivateKeyParameters [seed]
  (MLDSAPrivateKeyParameters. MLDSAParameters/ml_dsa_65 (bytes/->array seed)))

(defn- ml-dsa-public-key [seed]
  (bytes/wrap (.getPublicKey (ml-dsa-private-key seed))))

(defn- ml-dsa-signer ^MLDSASigner [for-signing? key ^Bytes message]
  (doto (MLDSASigner.)
    (.init for-signing? key)
    (.update ^bytes (.-array message) (.-offset message) (.-length message))))

(defn- ml-dsa-sign
  "The signature with rnd = `random`, or zero bytes where there is none (FIPS 204 §3.4)."
  ([seed message]
   (bytes/wrap (.generateSignature (ml-dsa-signer true (ml-dsa-private-key seed) message))))
  ([seed message random]
   (let [random (FixedSecureRandom. (bytes/->array random))
         key (ParametersWithRandom. (ml-dsa-private-key seed) random)]
     (bytes/wrap (.generateSignature (ml-dsa-signer true key message))))))

(defn- ml-dsa-parse [key]
  (try (MLDSAPublicKeyParameters. MLDSAParameters/ml_dsa_65 (bytes/->array key))
       (catch IllegalArgumentException _ nil)))

(defn- ml-dsa-verify [key message signature]
  (.verifySignature (ml-dsa-signer false key message) (bytes/->array signature)))

(def ^:private ml-dsa-65
  {:public-key ml-dsa-public-key
   :sign ml-dsa-sign
   :parse ml-dsa-parse
   :verify ml-dsa-verify})

;; ChaCha20-Poly1305 (RFC 8439 §2.8)

(def ^:private tag-bits 128)

(defn- chacha20-poly1305
  "Seals or opens `input`. Throws InvalidCipherTextException where it does not open."
  [for-sealing? key nonce aad ^Bytes input]
  (let [cipher (doto (ChaCha20Poly1305.)
                 (.init for-sealing? (AEADParameters. (KeyParameter. (bytes/->array key)) tag-bits
                                                      (bytes/->array nonce) (bytes/->array aad))))
        out (byte-array (.getOutputSize cipher (.-length input)))
        n (.processBytes cipher ^bytes (.-array input) (.-offset input) (.-length input) out 0)]
    (.doFinal cipher out n)
    (bytes/wrap out)))

(defn- seal [key nonce aad plaintext]
  (chacha20-poly1305 true key nonce aad plaintext))

(defn- open [key nonce aad sealed]
  (try (chacha20-poly1305 false key nonce aad sealed)
       (catch InvalidCipherTextException _ nil)))

;; Argon2id (RFC 9106) and HMAC (RFC 2104) over SHA3-256

(defn- argon2-parameters ^Argon2Parameters [{:keys [memory-kib passes lanes salt]}]
  (-> (Argon2Parameters$Builder. Argon2Parameters/ARGON2_id)
      (.withVersion Argon2Parameters/ARGON2_VERSION_13)
      (.withMemoryAsKB (int memory-kib))
      (.withIterations (int passes))
      (.withParallelism (int lanes))
      (.withSalt (bytes/->array salt))
      (.build)))

(defn- argon2id [costs passphrase length]
  (let [out (byte-array length)]
    (.generateBytes (doto (Argon2BytesGenerator.) (.init (argon2-parameters costs)))
                    (bytes/->array passphrase) out)
    (bytes/wrap out)))

(defn- hmac-sha3-256 [key ^Bytes data]
  (let [mac (doto (HMac. (SHA3Digest. 256))
              (.init (KeyParameter. (bytes/->array key)))
              (.update ^bytes (.-array data) (.-offset data) (.-length data)))
        out (byte-array (.getMacSize mac))]
    (.doFinal mac out 0)
    (bytes/wrap out)))

(defn provider
  "The provider map (see the namespace's docstring), `:name` `:bouncy-castle`."
  []
  {:name :bouncy-castle
   :ed25519 ed25519
   :x25519 {:public-key x25519-public-key :agree x25519-agree}
   :ml-dsa-65 ml-dsa-65
   :chacha20-poly1305 {:seal seal :open open}
   :argon2id argon2id
   :hmac-sha3-256 hmac-sha3-256})
