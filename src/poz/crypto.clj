(ns poz.crypto
  "Every cryptographic primitive of POZ v0, over byte strings.

    sha3-256       the H of the format            hmac-sha3-256  a keyed hash
    sha3-256-twice that of a part, and of the whole
    generate       a key pair from random bytes   public-key     the key of a secret
    sign, verify   Ed25519 and ML-DSA-65          key-usable?    can a key ever verify
    agree          X25519                         argon2id       a key from a passphrase
    seal, open     ChaCha20-Poly1305              random-bytes   the system's randomness

  An *algorithm* is a keyword of `algorithms`. A *secret* (a seed, a private or symmetric
  key, a passphrase, an agreed or derived key) is always a `poz.bytes/secret`, coming in
  and going out; anything else is a plain byte string. An argument of the wrong type or
  size throws IllegalArgumentException, but a public key or a signature that somebody
  else made is judged: `verify`, `key-usable?` and `open` never throw because of it.

  A *provider* computes. `:conscrypt` is fast and native, `:bouncy-castle` works
  everywhere, `:accp` verifies faster still where it was put on the class path; they give
  the same answer to everything. The first that loads is used, the fastest first, unless
  the system property `poz.crypto.provider` or `with-provider` names one. Nothing here
  adds to the JVM's own list of providers, or knows sections, contexts or records."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto.conscrypt :as conscrypt]
   [poz.crypto.ed25519 :as ed25519]
   [poz.crypto.memo :as memo]
   [poz.crypto.sha3 :as sha3]
   [poz.error :as error])
  (:import
   (java.security SecureRandom)))

(set! *warn-on-reflection* true)

(def algorithms
  "What each algorithm is, what it can do, and of how many public keys (those used last)
  the checked and parsed form is kept: about 0.3 kB for each of Ed25519, 10 kB of ML-DSA-65."
  {:ed25519 {:doc "signatures, verified by the rule of poz.crypto.ed25519" :source "RFC 8032"
             :operations #{:public-key :sign :verify} :keys-kept 8192}
   :x25519 {:doc "key agreement" :source "RFC 7748"
            :operations #{:public-key :agree}}
   :ml-dsa-65 {:doc "post-quantum signatures, pure, with empty context" :source "FIPS 204"
               :operations #{:public-key :sign :verify} :keys-kept 512}})

;; Providers

(defn- keeping-keys
  "`provider` with a memory for the keys that it checks and parses; none yet."
  [provider]
  (with-meta
    (reduce-kv (fn [p algorithm {:keys [keys-kept]}]
                 (cond-> p keys-kept (update-in [algorithm :parse] #(memo/bounded keys-kept %))))
               provider algorithms)
    {::without provider}))

(defn- load-provider
  "`{:provider map}`, or `{:problem sentence}` where `make` cannot give one on this platform."
  [make]
  (try {:provider (keeping-keys (update (make) :ed25519 ed25519/strict))}
       (catch Throwable t {:problem (str t)})))

(defn- accp []
  (let [class (Class/forName "com.amazon.corretto.crypto.provider.AmazonCorrettoCryptoProvider")]
    ((requiring-resolve 'poz.crypto.accp/provider) class)))

(def ^:private known
  "Provider names, best first, and functions that give what loading each has given, once. Only the
  one that most have is there from the start."
  (array-map :accp (memo/once #(load-provider accp))
             :conscrypt (memo/once #(load-provider conscrypt/provider))
             :bouncy-castle (memo/once #(load-provider (requiring-resolve 'poz.crypto.bouncy-castle/provider)))))

(defn- loaded [name]
  (if-let [load (known name)]
    (load)
    (throw (IllegalArgumentException. (str "There is no provider " name ", only " (keys known) ".")))))

(defn provider-problem
  "Why the provider `name` does not load here, a string; nil if it does. Throws
  IllegalArgumentException for a name that there is not."
  [name]
  (:problem (loaded name)))

(defn providers
  "The names of the providers that load here, best first."
  []
  (vec (remove provider-problem (keys known))))

(defn- provider-named [name]
  (let [{:keys [provider problem]} (loaded name)]
    (when problem
      (throw (IllegalStateException. (str "The provider " name " does not load here: " problem))))
    provider))

(def ^:private default-provider
  (memo/once #(provider-named (or (keyword (System/getProperty "poz.crypto.provider"))
                                  (some (fn [name] (when-not (provider-problem name) name)) (keys known))))))

(def ^:private ^:dynamic *provider* nil)

(defn- provider [] (or *provider* (default-provider)))

(defn with-provider
  "Calls the thunk `f` with the provider `name` in use (on this thread, and on those to
  which Clojure conveys bindings); its value. Throws IllegalArgumentException for a name
  that there is not, IllegalStateException for a provider that does not load here."
  [name f]
  (binding [*provider* (provider-named name)] (f)))

(defn with-new-keys
  "Calls the thunk `f` as if no public key had been seen before (on this thread, and on those
  to which Clojure conveys bindings), for those who measure; its value."
  [f]
  (binding [*provider* (keeping-keys (::without (meta (provider))))] (f)))

(defn provider-name
  "The name of the provider in use."
  []
  (:name (provider)))

(defn- functions
  "The provider's functions for `algorithm`, if it has the operation `op`."
  [algorithm op]
  (when-not (contains? (:operations (algorithms algorithm)) op)
    (throw (IllegalArgumentException. (str (pr-str algorithm) " has no " (name op) "."))))
  (algorithm (provider)))

(defn- operation [algorithm op]
  (op (functions algorithm op)))

;; Arguments

(defn- sized
  "The byte string `b`, if it has `size` bytes."
  [what size b]
  (when-not (and (bytes/bytes? b) (= size (count b)))
    (throw (IllegalArgumentException.
             (str what " is a byte string of " size " bytes"
                  (when (bytes/bytes? b) (str ", not " (count b))) "."))))
  b)

(defn- revealed
  "The byte string in the secret `s`, if it is one, and has `size` bytes if that is given."
  ([what s]
   (when-not (bytes/secret? s)
     (throw (IllegalArgumentException. (str what " is wrapped by poz.bytes/secret."))))
   (bytes/reveal s))
  ([what size s] (sized what size (revealed what s))))

(def ^:private secret-size
  "The bytes of every algorithm's secret: a seed, or an X25519 scalar."
  32)

;; Hashes and randomness

(defn sha3-256
  "The 32-byte SHA3-256 of the byte strings `parts`, concatenated (FIPS 202): H of format §1."
  [& parts]
  (sha3/sha3-256 parts))

(defn sha3-256-twice
  "`[H(parts) H(parts, tail)]` for little more than the second of them costs; `parts` are
  byte strings, and so is `tail`."
  [parts tail]
  (sha3/twice parts tail))

(defn hmac-sha3-256
  "The 32-byte HMAC-SHA3-256 of the byte string `data` (RFC 2104) under `key`, a secret of
  any size."
  [key data]
  ((:hmac-sha3-256 (provider)) (revealed "An HMAC key" key) data))

(def ^:private system-random (delay (SecureRandom.)))

(defn random-bytes
  "`n` new bytes from the operating system's generator. The only source of randomness in
  poz: whatever needs some takes it, or a function like this one, as an argument."
  [n]
  (let [out (byte-array n)]
    (.nextBytes ^SecureRandom @system-random out)
    (bytes/wrap out)))

;; Keys

(defn public-key
  "The public key of the 32-byte `secret`, a byte string of 32 (Ed25519, X25519) or 1952
  bytes (ML-DSA-65, of which the secret is the seed ξ)."
  [algorithm secret]
  ((operation algorithm :public-key) (revealed "A secret key" secret-size secret)))

(defn- pair-of
  "The key pair of the seed that `random` is or gives."
  [algorithm random]
  (let [seed (if (fn? random) (random secret-size) random)
        secret (bytes/secret (sized "The seed of a key" secret-size seed))]
    {:secret secret
     :public-key (public-key algorithm secret)}))

(defn generate
  "A new key pair `{:secret :public-key}`. `random` is a byte string of 32 random bytes,
  or a function that gives `n` of them, such as `random-bytes`; for that one the provider may
  take the system's randomness itself."
  [algorithm random]
  (if-let [make (when (identical? random-bytes random) (:generate (functions algorithm :public-key)))]
    (update (make) :secret bytes/secret)
    (pair-of algorithm random)))

(defn key-usable?
  "Whether any signature could ever verify under the byte string `public-key`: for
  Ed25519 by rule 1 of poz.crypto.ed25519, for ML-DSA-65 by its size. True for every
  other algorithm, known or not."
  [algorithm public-key]
  (if-let [parse (get-in (provider) [algorithm :parse])]
    (some? (parse public-key))
    true))

;; Signatures

(defn sign
  "The signature of the byte string `message` by the 32-byte `secret`: 64 bytes for
  Ed25519 (RFC 8032), 3309 for ML-DSA-65 (FIPS 204 algorithm 2), always the same ones.
  With ML-DSA-65 the option `:random`, a byte string of 32 random bytes, makes it the
  hedged variant; without it rnd is zero."
  ([algorithm secret message]
   ((operation algorithm :sign) (revealed "A secret key" secret-size secret) message))
  ([algorithm secret message {:keys [random] :as options}]
   (when-not (and (= :ml-dsa-65 algorithm) (= [:random] (keys options)))
     (throw (IllegalArgumentException. "Signing has one option, :random, for :ml-dsa-65 only.")))
   ((operation algorithm :sign) (revealed "A secret key" secret-size secret) message
                                (sized "The option :random" 32 random))))

(defn verify
  "Whether `signature` is that of the byte string `message` by the holder of `public-key`,
  true or false: Ed25519 by the exact rule of poz.crypto.ed25519, ML-DSA-65 by FIPS 204
  algorithm 3. Key and signature may be any byte strings, of any size."
  [algorithm public-key message signature]
  (let [{:keys [parse verify]} (functions algorithm :verify)
        key (parse public-key)]
    (and (some? key) (verify key message signature))))

;; Agreement and sealing

(defn agree
  "The secret of 32 bytes that `secret` and the other side's `public-key`, a byte string of
  32 bytes, agree on: X25519 (RFC 7748 §5). Fails with the anomaly `:crypto/low-order`
  where it is all zero, as it is for a public key of low order (§6.1)."
  [secret public-key]
  (if-let [shared ((operation :x25519 :agree) (revealed "A secret key" secret-size secret)
                                              (sized "An X25519 key" 32 public-key))]
    (bytes/secret shared)
    (error/fail! :crypto/low-order)))

(def ^:private tag-size 16)

(defn- sealing-arguments [key nonce]
  [(revealed "A sealing key" 32 key) (sized "A nonce" 12 nonce)])

(defn seal
  "`plaintext` sealed with ChaCha20-Poly1305 (RFC 8439 §2.8): the ciphertext and a tag of 16
  bytes, which vouches for `aad` too. `key` is a secret of 32 bytes, the rest are byte
  strings. The same `nonce`, 12 bytes, must never seal twice under one key."
  [key nonce aad plaintext]
  (let [[key nonce] (sealing-arguments key nonce)]
    ((-> (provider) :chacha20-poly1305 :seal) key nonce aad plaintext)))

(defn open
  "The plaintext of `sealed`, a byte string of any size; nil unless it was sealed with this
  key, nonce and aad."
  [key nonce aad sealed]
  (let [[key nonce] (sealing-arguments key nonce)]
    (when (<= tag-size (count sealed))
      ((-> (provider) :chacha20-poly1305 :open) key nonce aad sealed))))

(defn argon2id
  "A secret of `length` bytes derived from the secret `passphrase` (RFC 9106, Argon2id,
  version 0x13). `costs`: `:memory-kib`, `:passes`, `:lanes`, and `:salt`, a byte string.
  Memory below 8 KiB per lane, or any of the numbers below 1, is an error."
  [{:keys [memory-kib passes lanes salt] :as costs} passphrase length]
  (when-not (and (every? pos-int? [memory-kib passes lanes length]) (<= (* 8 lanes) memory-kib)
                 (bytes/bytes? salt))
    (throw (IllegalArgumentException. "Argon2id needs passes, lanes, 8 KiB per lane and a salt.")))
  (bytes/secret ((:argon2id (provider)) costs (revealed "A passphrase" passphrase) length)))
