(ns poz.crypto.ed25519-test
  "The exact rule: on honest, damaged and forged input all providers say what the
  reference in big integers says."
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.crypto.bouncy-castle :as bouncy-castle]
   [poz.crypto.ed25519 :as ed25519]
   [poz.ed25519-reference :as reference]))

(set! *warn-on-reflection* true)

(defn- vectors [section]
  (with-open [in (io/reader (io/resource "vectors/primitives.json"))]
    (section (json/read in :key-fn keyword))))

(defn- verdicts
  "What each provider that loads here says: a set, of one element if they agree."
  [{:keys [key message signature]}]
  (set (for [p (crypto/providers)]
         (crypto/with-provider p #(crypto/verify :ed25519 key message signature)))))

(defn- broken-rule [{:keys [key message signature]}]
  (reference/broken-rule key message signature))

(deftest golden-keys
  (doseq [{:keys [why key accept]} (vectors :ed25519_keys)
          p (crypto/providers)]
    (testing (str why " " p)
      (is (= accept (crypto/with-provider p #(crypto/key-usable? :ed25519 (bytes/hex-> key))))))))

(deftest golden-signatures
  (doseq [{:keys [why accept] :as row} (vectors :ed25519_signatures)
          :let [case (update-vals (select-keys row [:key :message :signature]) bytes/hex->)]]
    (testing why
      (is (= #{accept} (verdicts case)))
      (is (= accept (nil? (broken-rule case)))))))

;; Forged cases. The keys and the Rs are multiples of B that are computed once, plus a
;; point of small order, in any of their encodings.

(def ^:private logs
  "Discrete logarithms of keys and Rs: some ordinary ones, and zero."
  [7919 123456789123456789 (- reference/L 2) 0])

(def ^:private multiples
  (delay (zipmap logs (map #(reference/times % reference/base) logs))))

(def ^:private encodings
  "(encodings log t): every encoding of log · B + the t-th point of small order."
  (memoize (fn [log t]
             (reference/encodings (reference/plus (@multiples log) (reference/torsion t))))))

(def ^:private gen-point
  "A point's discrete logarithm and an encoding of it; mostly an ordinary point."
  (gen/let [log (gen/frequency [[9 (gen/elements (butlast logs))] [1 (gen/return 0)]])
            t (gen/frequency [[4 (gen/return 0)] [2 (gen/choose 1 7)]])
            i (gen/choose 0 3)]
    (let [es (encodings log t)]
      {:log log :bytes (es (mod i (count es)))})))

(def ^:private gen-forged
  (gen/let [key gen-point
            r gen-point
            message (gen/fmap bytes/copy-of gen/bytes)
            extra (gen/frequency [[5 (gen/return 0)] [1 (gen/choose 1 14)]])]
    {:key (:bytes key)
     :message message
     :signature (reference/forge (:bytes r) (:log r) (:bytes key) (:log key) message extra)}))

;; Damage

(defn- flip
  "`b` with one bit changed, the i-th where it has so many."
  [b i]
  (if (zero? (count b))
    b
    (let [array (bytes/->array b)
          i (mod i (* 8 (count b)))
          at (quot i 8)]
      (aset array at (unchecked-byte (bit-flip (aget array at) (rem i 8))))
      (bytes/wrap array))))

(def ^:private odd-points
  "Encodings that libraries differ on: small order in every form, small y in every form."
  (delay (into (vec (mapcat reference/encodings reference/torsion))
               (for [y (range 2 19) n [y (+ y reference/p)] sign [0 1]]
                 (reference/->bytes (+ n (* sign (biginteger (.pow (biginteger 2) 255)))))))))

(def ^:private odd-scalars
  (map reference/->bytes [0 1 (dec reference/L) reference/L (inc reference/L)
                          (dec (.pow (biginteger 2) 253)) (dec (.pow (biginteger 2) 256))]))

(def ^:private gen-damage
  "A function from a case to a case."
  (gen/one-of
    [(gen/let [part (gen/elements [:key :message :signature]) i gen/nat]
       #(update % part flip (* 37 i)))
     (gen/let [part (gen/elements [:key :signature]) n (gen/choose 0 63)]
       #(update % part (fn [b] (bytes/slice b 0 (min n (count b))))))
     (gen/let [part (gen/elements [:key :signature]) more (gen/fmap bytes/copy-of gen/bytes)]
       #(update % part bytes/concat more))
     (gen/let [odd (gen/elements @odd-points)]
       #(assoc % :key odd))
     (gen/let [odd (gen/elements @odd-points)]
       #(assoc % :signature (bytes/concat odd (bytes/slice (:signature %) 32))))
     (gen/let [odd (gen/elements odd-scalars)]
       #(assoc % :signature (bytes/concat (bytes/slice (:signature %) 0 32) odd)))]))

(def ^:private gen-case
  (gen/let [forged gen-forged
            damage (gen/frequency [[2 (gen/return identity)] [1 gen-damage]])]
    (damage forged)))

;; Rule 1 by X25519, beside the multiplication by L

(def ^:private gen-key
  "Points with all of their small-order companions, odd encodings, and any 32 bytes: half of
  those encode no point, and of the others one in eight is of prime order."
  (gen/one-of [(gen/fmap :bytes gen-point)
               (gen/elements @odd-points)
               (gen/fmap #(bytes/wrap (byte-array %)) (gen/vector gen/byte 32))]))

(defn- prime-order-by-x25519? [key]
  (ed25519/prime-order? (get-in (bouncy-castle/provider) [:x25519 :agree]) key))

(defspec prime-order-by-x25519 1000
  (prop/for-all [key gen-key]
    (= (bouncy-castle/prime-order? key) (prime-order-by-x25519? key))))

(deftest keys-of-other-sizes
  (is (not-any? #(prime-order-by-x25519? (bytes/zeros %)) [0 31 33 64])))

(deftest usable-keys
  (let [keys (map #(gen/generate gen-key 20 %) (range 300))
        expected (map bouncy-castle/prime-order? keys)]
    (is (= #{true false} (set expected)))
    (doseq [p (crypto/providers)]
      (is (= expected (crypto/with-provider p #(mapv (partial crypto/key-usable? :ed25519) keys))) p))))

;; All rules

(defspec providers-agree 2000
  (prop/for-all [case gen-case]
    (= 1 (count (verdicts case)))))

(defspec providers-agree-with-the-reference 150
  (prop/for-all [case gen-case]
    (= #{(nil? (broken-rule case))} (verdicts case))))

(deftest cases-reach-every-rule
  (let [cases (map #(gen/generate gen-case 20 %) (range 250))]
    (is (= #{:key-size :key-encoding :key-identity :key-order :signature-size
             :s-range :r-encoding :r-order :equation nil}
           (set (map broken-rule cases))))))

(deftest small-order-parts
  (testing "for one honest signature, every pair of points of small order added to key and R"
    (let [message (bytes/utf8 "strict")]
      (doseq [t-key (range 8) t-r (range 8)
              :let [[key] (encodings 7919 t-key)
                    [r] (encodings 123456789123456789 t-r)
                    signature (reference/forge r 123456789123456789 key 7919 message 0)]]
        (is (= #{(= 0 t-key t-r)}
               (verdicts {:key key :message message :signature signature}))
            (str t-key " " t-r))))))
