(ns poz.crypto-test
  "The golden vectors and every error path, with every provider that loads here."
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error])
  (:import
   (java.text Normalizer Normalizer$Form)
   (javax.crypto Mac)
   (javax.crypto.spec SecretKeySpec)))

(set! *warn-on-reflection* true)

(def ^:private vectors
  (delay (with-open [in (io/reader (io/resource "vectors/primitives.json"))]
           (json/read in :key-fn keyword))))

(def ^:private algorithm-of {1 :ed25519 2 :x25519 3 :ml-dsa-65})

(defn- secret [hex] (bytes/secret (bytes/hex-> hex)))
(def ^:private seed (secret (apply str (repeat 32 "2a"))))
(def ^:private message (bytes/utf8 "message"))

(defmacro ^:private with-each-provider [& body]
  `(doseq [p# (crypto/providers)]
     (testing p# (crypto/with-provider p# (fn [] ~@body)))))

;; Golden vectors

(deftest hashes
  (doseq [{:keys [what parts hash]} (:hash @vectors)]
    (is (= hash (bytes/->hex (apply crypto/sha3-256 (map bytes/hex-> parts)))) what)
    (is (= hash (bytes/->hex (peek (crypto/sha3-256-twice (map bytes/hex-> (butlast parts)) (bytes/hex-> (or (last parts) ""))))))
      what)))

(deftest keys-of-seeds
  (with-each-provider
    (doseq [{:keys [algorithm label seed key key_hash]} (:keys @vectors)]
      (is (= key_hash (bytes/->hex (crypto/sha3-256 (bytes/wrap (byte-array [algorithm]))
                                                    (bytes/hex-> key)))))
      (when seed
        (is (= seed (bytes/->hex (crypto/sha3-256 (bytes/utf8 label)))))
        (is (= key (bytes/->hex (crypto/public-key (algorithm-of algorithm) (secret seed)))))))))

(deftest ml-dsa-65-vector
  (let [{:keys [seed message signature_bytes signature_sha3_256 signature_head]} (:ml_dsa_65 @vectors)
        message (bytes/hex-> message)]
    (with-each-provider
      (let [signature (crypto/sign :ml-dsa-65 (secret seed) message)
            key (crypto/public-key :ml-dsa-65 (secret seed))]
        (is (= signature_bytes (count signature)))
        (is (= signature_head (subs (bytes/->hex signature) 0 (count signature_head))))
        (is (= signature_sha3_256 (bytes/->hex (crypto/sha3-256 signature))))
        (is (true? (crypto/verify :ml-dsa-65 key message signature)))))))

(defn- nfc [s] (bytes/utf8 (Normalizer/normalize s Normalizer$Form/NFC)))

(deftest argon2id-vectors
  (doseq [{:keys [passphrase salt memory_kib passes lanes key]} (:argon2id @vectors)]
    (is (= (secret key)
           (crypto/argon2id {:memory-kib memory_kib :passes passes :lanes lanes :salt (bytes/hex-> salt)}
                            (bytes/secret (nfc passphrase)) 32)))))

;; Against other implementations, and there and back

(defspec hmac-is-the-jdks 100
  (prop/for-all [key (gen/not-empty gen/bytes) data gen/bytes]
    (let [mac (doto (Mac/getInstance "HmacSHA3-256") (.init (SecretKeySpec. key "HmacSHA3-256")))]
      (= (bytes/wrap (.doFinal mac data))
         (crypto/hmac-sha3-256 (bytes/secret (bytes/copy-of key)) (bytes/copy-of data))))))

(deftest agrees
  (with-each-provider
    (let [ours (crypto/generate :x25519 crypto/random-bytes)
          theirs (crypto/generate :x25519 crypto/random-bytes)]
      (is (= (crypto/agree (:secret ours) (:public-key theirs))
             (crypto/agree (:secret theirs) (:public-key ours)))))
    (testing "RFC 7748 §6.1"
      (is (= (secret "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")
             (crypto/agree
               (secret "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
               (bytes/hex-> "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")))))))

(deftest generates
  (with-each-provider
    (doseq [algorithm (keys crypto/algorithms)
            :let [{:keys [secret public-key]} (crypto/generate algorithm crypto/random-bytes)]]
      (is (= public-key (crypto/public-key algorithm secret)))
      (is (crypto/key-usable? algorithm public-key))
      (is (= {:secret secret :public-key public-key}
             (crypto/generate algorithm (bytes/reveal secret)))))))

(deftest signs-and-verifies
  (with-each-provider
    (doseq [algorithm [:ed25519 :ml-dsa-65]
            :let [key (crypto/public-key algorithm seed)
                  signature (crypto/sign algorithm seed message)]]
      (testing algorithm
        (is (= signature (crypto/sign algorithm seed message)))
        (is (true? (crypto/verify algorithm key message signature)))
        (is (false? (crypto/verify algorithm key bytes/empty signature)))))))

(deftest hedged-signing
  (let [sign #(crypto/sign :ml-dsa-65 seed message {:random %})
        hedged (sign (crypto/sha3-256 message))]
    (is (= (crypto/sign :ml-dsa-65 seed message) (sign (bytes/zeros 32))))
    (is (not= hedged (sign (bytes/zeros 32))))
    (with-each-provider
      (is (true? (crypto/verify :ml-dsa-65 (crypto/public-key :ml-dsa-65 seed) message hedged))))))

(deftest seals-and-opens
  (with-each-provider
    (let [[nonce aad] [(bytes/zeros 12) (bytes/utf8 "aad")]
          sealed (crypto/seal seed nonce aad message)]
      (is (= (+ 16 (count message)) (count sealed)))
      (is (= message (crypto/open seed nonce aad sealed)))
      (is (= bytes/empty (crypto/open seed nonce aad (crypto/seal seed nonce aad bytes/empty))))
      (testing "nil where one bit differs, or bytes are missing"
        (doseq [i (range (count sealed))
                :let [array (bytes/->array sealed)]]
          (aset array i (byte (bit-xor 1 (aget array i))))
          (is (nil? (crypto/open seed nonce aad (bytes/wrap array)))))
        (doseq [n (range (count sealed))]
          (is (nil? (crypto/open seed nonce aad (bytes/slice sealed 0 n)))))
        (is (nil? (crypto/open seed nonce bytes/empty sealed)))))))

;; Bytes from others: judged, never thrown at

(deftest verify-takes-any-bytes
  (with-each-provider
    (doseq [algorithm [:ed25519 :ml-dsa-65]
            :let [key (crypto/public-key algorithm seed)
                  signature (crypto/sign algorithm seed message)
                  longer #(bytes/concat % (bytes/zeros 1))
                  shorter #(bytes/slice % 1)]]
      (doseq [bad [bytes/empty (shorter key) (longer key)]]
        (is (false? (crypto/verify algorithm bad message signature)))
        (is (false? (crypto/key-usable? algorithm bad))))
      (doseq [bad [bytes/empty (shorter signature) (longer signature) (bytes/zeros (count signature))]]
        (is (false? (crypto/verify algorithm key message bad)))))))

(deftest other-keys-are-usable
  (is (true? (crypto/key-usable? :x25519 (bytes/zeros 32))))
  (is (true? (crypto/key-usable? :something-else bytes/empty))))

(deftest low-order-is-refused
  (with-each-provider
    (doseq [u ["00" "01"]]
      (is (= :crypto/low-order
             (:poz/error (error/attempt
                           #(crypto/agree seed (bytes/concat (bytes/hex-> u) (bytes/zeros 31))))))))))

;; Wrong arguments

(defmacro ^:private refused [re & forms]
  `(do ~@(for [form forms] `(is (~'thrown-with-msg? IllegalArgumentException ~re ~form)))))

(deftest wrong-arguments
  (let [short-secret (bytes/secret (bytes/zeros 31))
        nonce (bytes/zeros 12)
        costs {:memory-kib 8 :passes 1 :lanes 1 :salt (bytes/zeros 16)}]
    (refused #"is a byte string of 32 bytes, not 31"
      (crypto/public-key :ed25519 short-secret)
      (crypto/sign :ed25519 short-secret message)
      (crypto/agree short-secret (bytes/zeros 32))
      (crypto/agree seed (bytes/zeros 31))
      (crypto/seal short-secret nonce message message)
      (crypto/open short-secret nonce message message)
      (crypto/generate :ed25519 (bytes/zeros 31))
      (crypto/sign :ml-dsa-65 seed message {:random (bytes/zeros 31)}))
    (refused #"A nonce is a byte string of 12 bytes, not 11"
      (crypto/seal seed (bytes/zeros 11) message message)
      (crypto/open seed (bytes/zeros 11) message message))
    (refused #"wrapped by poz.bytes/secret"
      (crypto/public-key :ed25519 (bytes/zeros 32))
      (crypto/sign :ed25519 (bytes/zeros 32) message)
      (crypto/seal (bytes/zeros 32) nonce message message)
      (crypto/hmac-sha3-256 (bytes/zeros 32) message)
      (crypto/argon2id costs message 32))
    (refused #":x25519 has no (sign|verify)"
      (crypto/sign :x25519 seed message)
      (crypto/verify :x25519 (bytes/zeros 32) message message))
    (refused #"nil has no public-key"
      (crypto/public-key nil seed))
    (refused #"one option"
      (crypto/sign :ed25519 seed message {:random (bytes/zeros 32)})
      (crypto/sign :ml-dsa-65 seed message {:rnd (bytes/zeros 32)}))
    (refused #"Argon2id needs"
      (crypto/argon2id (assoc costs :passes 0) seed 32)
      (crypto/argon2id (assoc costs :lanes 2) seed 32)
      (crypto/argon2id (dissoc costs :salt) seed 32)
      (crypto/argon2id costs seed 0))))

;; Providers and secrets

(deftest choosing-a-provider
  (is (= :bouncy-castle (last (crypto/providers))))
  (is (= :bouncy-castle (crypto/with-provider :bouncy-castle crypto/provider-name)))
  (is (some #{(crypto/provider-name)} (crypto/providers)))
  (is (thrown-with-msg? IllegalArgumentException #"There is no provider :openssl"
                        (crypto/with-provider :openssl crypto/provider-name)))
  (when-let [problem (crypto/provider-problem :conscrypt)]
    (is (thrown-with-msg? IllegalStateException #"does not load here"
                          (crypto/with-provider :conscrypt crypto/provider-name)))
    (is (string? problem))))

(deftest secrets-never-print
  (let [all [(:secret (crypto/generate :ed25519 crypto/random-bytes))
             (crypto/agree seed (crypto/public-key :x25519 seed))
             (crypto/argon2id {:memory-kib 8 :passes 1 :lanes 1 :salt (bytes/zeros 16)} seed 32)]]
    (doseq [s all]
      (is (bytes/secret? s))
      (is (= "#poz/secret \"redacted\"" (pr-str s) (str s))))
    (testing "nor do errors about them"
      (let [s (bytes/secret (bytes/hex-> "c0ffee"))
            e (is (thrown? IllegalArgumentException (crypto/public-key :ed25519 s)))]
        (is (not (re-find #"c0ffee" (str e))))))))

(deftest random-bytes-are-fresh
  (is (= [0 1 64] (map #(count (crypto/random-bytes %)) [0 1 64])))
  (is (not= (crypto/random-bytes 32) (crypto/random-bytes 32))))
