(ns poz.pow-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec.gen.scalar :as scalar]
   [poz.crypto :as crypto]
   [poz.format.messages :as messages]
   [poz.pow :as pow]
   [poz.vectors :as vectors])
  (:import
   (javax.crypto Mac)
   (javax.crypto.spec SecretKeySpec)))

(set! *warn-on-reflection* true)

(def ^:private wire (delay (vectors/json "wire.json")))

(def ^:private type-of-code
  (into {} (map (juxt :code :type)) messages/requests))

(defn- work [{:keys [challenge timestamp nonce]}]
  (let [n (bigint nonce)]
    {:challenge (bytes/hex-> challenge) :timestamp timestamp :nonce (if (<= n Long/MAX_VALUE) (long n) n)}))

(def ^:private secret (bytes/secret (bytes/utf8 "a secret of the server's")))
(def ^:private address (bytes/hex-> "c0000201"))
(def ^:private now 1767229805000)
(def ^:private payload (bytes/hex-> "01000b6578616d706c652e6f7267"))

;; Work

(deftest leading-zero-bits
  (doseq [{:keys [hex bits]} (:zero_bits (vectors/json "primitives.json"))]
    (is (= bits (pow/leading-zero-bits (bytes/hex-> hex))) hex))
  (is (= 0 (pow/leading-zero-bits bytes/empty)))
  (is (= 256 (pow/leading-zero-bits (bytes/zeros 32)))))

(deftest work-of-the-vectors
  (doseq [{:keys [type zero_bits difficulty holds] hex :payload :as v} (:proof_of_work @wire)
          :let [payload (bytes/hex-> hex) type (type-of-code type)]]
    (testing (:what v)
      (is (= zero_bits (pow/work-bits type payload (work v))))
      (is (= holds (pow/solution? type payload difficulty (work v)))))))

(deftest the-hash-is-that-of-the-bytes
  (doseq [{:keys [challenge timestamp nonce type hash] hex :payload} (:proof_of_work @wire)]
    (is (= hash (bytes/->hex (crypto/sha3-256
                               (bytes/hex-> challenge)
                               (bytes/hex-> (clojure.core/format "%016x" timestamp))
                               (bytes/hex-> (clojure.core/format "%016x" (biginteger (bigint nonce))))
                               (bytes/hex-> (clojure.core/format "%02x" type))
                               (crypto/sha3-256 (bytes/hex-> hex))))))))

(deftest the-lowest-nonce-is-found
  (let [{:keys [challenge timestamp] :as v} (nth (:proof_of_work @wire) 3)
        challenge (bytes/hex-> challenge)]
    (is (= (work v) (pow/solve :serial payload challenge 12 timestamp [0 1000])))
    (is (= 73 (:nonce (pow/solve :serial payload challenge 8 timestamp [0 1000]))))
    (is (= 0 (:nonce (pow/solve :serial payload challenge 0 timestamp [0 1]))))
    (testing "in the range that was given"
      (is (nil? (pow/solve :serial payload challenge 12 timestamp [0 390])))
      (is (= 390 (:nonce (pow/solve :serial payload challenge 12 timestamp [380 391]))))
      (is (nil? (pow/solve :serial payload challenge 0 timestamp [5 5]))))))

(defspec what-is-solved-is-a-solution 1000
  (prop/for-all [payload (scalar/byte-strings 0 40)
                 challenge (scalar/byte-strings 16 16)
                 type (gen/elements (map :type messages/requests))
                 difficulty (gen/choose 0 4)]
    (let [found (pow/solve type payload challenge difficulty now [0 4096])]
      (and (pow/solution? type payload difficulty found)
        (every? #(not (pow/solution? type payload difficulty (assoc found :nonce %))) (range (:nonce found)))))))

;; Challenges

(defn- jdk-hmac [^String key b]
  (let [mac (doto (Mac/getInstance "HmacSHA3-256") (.init (SecretKeySpec. (.getBytes key "UTF-8") "raw")))]
    (bytes/wrap (.doFinal mac (bytes/->array b)))))

(deftest a-challenge-is-an-hmac-of-address-and-window
  (let [{:keys [start valid_until]} (:proof_of_work_windows @wire)]
    (is (= {:challenge (bytes/slice (jdk-hmac "a secret of the server's"
                                      (bytes/concat address (bytes/hex-> (clojure.core/format "%016x" start))))
                         0 16)
            :difficulty 12
            :valid-until valid_until}
           (pow/challenge secret address now 12)))))

(deftest windows-of-the-vectors
  (doseq [{:keys [what now timestamp accept]} (get-in @wire [:proof_of_work_windows :cases])
          :let [given-out (:challenge (pow/challenge secret address timestamp 0))]]
    (is (= accept (pow/issued? secret address now {:challenge given-out :timestamp timestamp :nonce 0})) what)))

(deftest a-challenge-serves-whom-it-was-given-to
  (let [{:keys [challenge valid-until]} (pow/challenge secret address now 0)
        issued? (fn [secret address now timestamp]
                  (pow/issued? secret address now {:challenge challenge :timestamp timestamp :nonce 0}))]
    (is (issued? secret address now now))
    (is (issued? secret address (+ now 120000) now) "in the next window too")
    (are [secret address at timestamp] (not (issued? secret address at timestamp))
      secret (bytes/hex-> "c0000202") now now
      (bytes/secret (bytes/utf8 "another")) address now now
      secret address (+ now 240000) now
      secret address (- now 120000) now
      secret address now (- now 120000)
      secret address valid-until valid-until)
    (is (not (pow/issued? secret address now {:challenge (bytes/zeros 16) :timestamp now :nonce 0})))))

(defspec a-challenge-is-good-for-two-windows-at-most 1000
  (prop/for-all [start (gen/choose 1767229800000 1767239800000), later (gen/choose -400000 400000)]
    (let [{:keys [challenge valid-until]} (pow/challenge secret address start 0)
          ok (pow/issued? secret address (+ start later) {:challenge challenge :timestamp start :nonce 0})]
      (and (< start valid-until)
        (= ok (and (<= (- valid-until 120000) (+ start later)) (< (+ start later) (+ valid-until 120000))))))))

;; How much

(deftest difficulty-of-the-load
  (are [load bits] (= bits (pow/difficulty load))
    0 0, 0.2 0, 0.49 0, 1/2 12, 0.69 12, 0.7000001 15, 0.9 18, 0.95000001 20, 1 20, 7 20))

(defspec difficulty-never-falls 1000
  (prop/for-all [a (gen/choose 0 1000) b (gen/choose 0 1000)]
    (<= (pow/difficulty (/ (min a b) 1000)) (pow/difficulty (/ (max a b) 1000)))))

(deftest what-never-costs-work
  (is (= [:challenge :status] (filter pow/free? (map :type messages/requests)))))

;; What was used

(defn- nonce [n] {:challenge (bytes/zeros 16) :timestamp now :nonce n})

(deftest what-was-spent-is-remembered
  (let [s (pow/spend (pow/spent) (nonce 1))]
    (is (pow/spent? s (nonce 1)))
    (is (pow/spent? s (assoc (nonce 1) :timestamp 0)) "whatever its timestamp")
    (is (not (pow/spent? s (nonce 2))))
    (is (not (pow/spent? s (assoc (nonce 1) :challenge (bytes/hex-> "01")))))
    (is (not (pow/spent? (pow/spent) (nonce 1))))))

(defspec what-is-remembered-is-bounded 1000
  (prop/for-all [limit (gen/choose 2 20), nonces (gen/vector (gen/choose 0 60) 0 100)]
    (let [steps (reductions (fn [s n] (pow/spend s (nonce n))) (pow/spent limit) nonces)
          newest (take-last (quot limit 2) nonces)]
      (and (every? (fn [{:keys [young old]}] (<= (+ (count young) (count old)) limit)) steps)
        (every? #(pow/spent? (last steps) (nonce %)) newest)))))

;; A request

(deftest a-request-is-checked
  (let [server {:secret secret :address address :now now :difficulty 8}
        given (:challenge (pow/challenge secret address now 8))
        good (pow/solve :serial payload given 8 now [0 100000])
        asked? (fn [server type work] (= :wire/work-required (:poz/error (pow/check server type payload work))))]
    (is (nil? (pow/check server :serial payload good)))
    (is (= (pow/challenge secret address now 8) (:challenge (pow/check server :serial payload nil))))
    (are [asked server type work] (= asked (asked? server type work))
      true server :serial nil
      false (assoc server :difficulty 0) :serial nil
      false server :challenge nil
      false server :status nil
      true server :record good
      true (assoc server :difficulty 60) :serial good
      true (assoc server :address (bytes/hex-> "c0000202")) :serial good
      true (assoc server :now (+ now 300000)) :serial good
      false (assoc server :spent (pow/spent)) :serial good
      true (assoc server :spent (pow/spend (pow/spent) good)) :serial good)))
