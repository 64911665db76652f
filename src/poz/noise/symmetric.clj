(ns poz.noise.symmetric
  "The symmetric half of a Noise handshake (Noise rev. 34, §5.1 and §5.2), with
  ChaChaPoly and SHA256, over values: every function gives a new one and changes none.

  A *cipher* is `{:key secret, :nonce n}`: a key and how many messages it has sealed or
  opened. Sealing twice with one value would repeat a nonce, so whoever holds one sees to
  it that each is used once; poz.noise does. A *symmetric state* is `{:hash, :chain, :cipher}`:
  the hash of the handshake so far, the chaining key (a secret), and the cipher, if there is
  a key yet.

  What does not open gives nil. Nothing here knows X25519, roles or messages."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto])
  (:import
   (java.nio ByteBuffer ByteOrder)
   (java.security MessageDigest)
   (javax.crypto Mac)
   (javax.crypto.spec SecretKeySpec)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

;; SHA256. The JDK's is compiled to the processor's own instructions.

(defn- add! [^MessageDigest digest ^Bytes b]
  (.update digest ^bytes (.-array b) (.-offset b) (.-length b)))

(defn sha-256
  "The 32-byte SHA-256 of the byte string `a`, or of `a` and `b`, concatenated (FIPS 180-4)."
  ([a] (sha-256 a bytes/empty))
  ([a b]
   (let [digest (MessageDigest/getInstance "SHA-256")]
     (add! digest a)
     (add! digest b)
     (bytes/wrap (.digest digest)))))

(defn- keyed! [^Mac mac ^Bytes key]
  (.init mac (SecretKeySpec. ^bytes (.-array key) (.-offset key) (.-length key) "HmacSHA256")))

(defn- mac-of
  "The MAC of the byte string `b` and, where it is not 0, the byte `end`, as `mac` is keyed."
  ^Bytes [^Mac mac ^Bytes b end]
  (.update mac ^bytes (.-array b) (.-offset b) (.-length b))
  (when-not (zero? (long end)) (.update mac (byte end)))
  (bytes/wrap (.doFinal mac)))

(defn hkdf
  "Noise's HKDF with two outputs (§4.3): two secrets of 32 bytes from two secrets, the
  chaining key, of 32 bytes, and any `material`."
  [chain material]
  (let [mac (doto (Mac/getInstance "HmacSHA256") (keyed! (bytes/reveal chain)))
        key (mac-of mac (bytes/reveal material) 0)
        _ (keyed! mac key)
        first (mac-of mac bytes/empty 1)
        second (mac-of mac first 2)]
    [(bytes/secret first) (bytes/secret second)]))

;; Ciphers

(defn cipher
  "The cipher with the secret `key`, which has sealed nothing yet."
  [key]
  {:key key :nonce 0})

(defn- nonce-bytes
  "ChaChaPoly's nonce (§12.3): 4 zero bytes, then the number as u64, little-endian."
  [n]
  (bytes/wrap (-> (ByteBuffer/allocate 12)
                  (.order ByteOrder/LITTLE_ENDIAN)
                  (.putLong 4 n)
                  (.array))))

(defn seal
  "`[cipher' sealed]`: the byte string `plaintext` sealed, with a tag for it and `aad`."
  [{:keys [key nonce] :as cipher} aad plaintext]
  [(update cipher :nonce inc)
   (crypto/seal key (nonce-bytes nonce) aad plaintext)])

(defn open
  "`[cipher' plaintext]`, or nil unless `sealed` is what the same cipher sealed with `aad`."
  [{:keys [key nonce] :as cipher} aad sealed]
  (when-let [plaintext (crypto/open key (nonce-bytes nonce) aad sealed)]
    [(update cipher :nonce inc) plaintext]))

;; The symmetric state

(defn initialize
  "The symmetric state of the protocol `name`, which takes the place of the first hash: a
  string of at most 32 characters, filled up with zero bytes."
  [name]
  (let [name (bytes/utf8 name)
        hash (bytes/concat name (bytes/zeros (- 32 (count name))))]
    {:hash hash :chain (bytes/secret hash)}))

(defn mix-hash
  "The state whose hash covers the byte string `data` too."
  [state data]
  (assoc state :hash (sha-256 (:hash state) data)))

(defn mix-key
  "The state with a new chaining key and a new cipher, from the secret `material`."
  [{:keys [chain] :as state} material]
  (let [[chain key] (hkdf chain material)]
    (assoc state :chain chain :cipher (cipher key))))

(defn seal-and-hash
  "`[state' sealed]`: `plaintext` sealed under the handshake so far, and made part of it."
  [state plaintext]
  (let [[cipher sealed] (seal (:cipher state) (:hash state) plaintext)]
    [(-> state (assoc :cipher cipher) (mix-hash sealed)) sealed]))

(defn open-and-hash
  "`[state' plaintext]`, or nil where `sealed` does not open."
  [state sealed]
  (when-let [[cipher plaintext] (open (:cipher state) (:hash state) sealed)]
    [(-> state (assoc :cipher cipher) (mix-hash sealed)) plaintext]))

(defn split
  "The two ciphers of a finished handshake: what the initiator sends, what it receives."
  [{:keys [chain]}]
  (mapv cipher (hkdf chain (bytes/secret bytes/empty))))
