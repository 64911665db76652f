(ns poz.ed25519-reference
  "Ed25519 verification in plain arithmetic on big integers, as format §3 and RFC 8032
  §5.1 write it, sharing nothing with the library: slow (a few ms) and not constant
  time, so for tests only. `broken-rule` says why a signature does not verify.

  A point is `[X Y Z T]` in extended coordinates: x = X/Z, y = Y/Z, xy = T/Z. The
  functions below `broken-rule` make signatures that an honest signer would not."
  (:require
   [poz.bytes :as bytes])
  (:import
   (java.security MessageDigest)))

(set! *warn-on-reflection* true)

;; The field

(def p
  "The prime 2^255 - 19."
  (biginteger (- (.pow (biginteger 2) 255) 19)))

(def L
  "The order of the base point."
  (biginteger (+ (.pow (biginteger 2) 252) 27742317777372353535851937790883648493N)))

(defn- mod-p ^BigInteger [n] (.mod (biginteger n) p))
(defn- mul [^BigInteger a ^BigInteger b] (.mod (.multiply a b) p))
(defn- add [^BigInteger a ^BigInteger b] (.mod (.add a b) p))
(defn- sub [^BigInteger a ^BigInteger b] (.mod (.subtract a b) p))
(defn- inverse [^BigInteger a] (.modInverse a p))
(defn- power [^BigInteger a e] (.modPow a (biginteger e) p))

(def ^:private one (biginteger 1))
(def ^:private d (mul (mod-p -121665) (inverse (mod-p 121666))))
(def ^:private d2 (add d d))
(def ^:private root-of-minus-1 (power (mod-p 2) (quot (- p 1) 4)))

;; Little-endian bytes

(defn ->number
  "The number that the byte string `b` writes, little-endian."
  [b]
  (BigInteger. 1 (byte-array (reverse (bytes/->array b)))))

(defn ->bytes
  "The number `n` in 32 bytes, little-endian."
  [n]
  (bytes/wrap (byte-array (for [i (range 32)]
                            (unchecked-byte (.intValue (.shiftRight (biginteger n) (* 8 (int i)))))))))

;; The group

(defn point
  "The point with the affine coordinates `x` and `y`."
  [x y]
  [x y one (mul x y)])

(def identity-point
  "The neutral element (0, 1)."
  (point (mod-p 0) one))

(defn plus
  "The sum of two points (RFC 8032 §5.1.4; complete, so it doubles too)."
  [[x1 y1 z1 t1] [x2 y2 z2 t2]]
  (let [a (mul (sub y1 x1) (sub y2 x2))
        b (mul (add y1 x1) (add y2 x2))
        c (mul (mul t1 d2) t2)
        zz (mul z1 z2)
        dd (add zz zz)
        [e f g h] [(sub b a) (sub dd c) (add dd c) (add b a)]]
    [(mul e f) (mul g h) (mul f g) (mul e h)]))

(defn times
  "The point `q` added to itself `n` times."
  [n q]
  (loop [^BigInteger n (biginteger n) q q sum identity-point]
    (if (zero? (.signum n))
      sum
      (recur (.shiftRight n 1) (plus q q) (if (.testBit n 0) (plus sum q) sum)))))

(defn same-point?
  "Whether two points are the same."
  [[x1 y1 z1] [x2 y2 z2]]
  (and (= (mul x1 z2) (mul x2 z1)) (= (mul y1 z2) (mul y2 z1))))

(defn affine
  "The coordinates [x y] of a point."
  [[x y z]]
  [(mul x (inverse z)) (mul y (inverse z))])

(defn- bytes-of [^BigInteger y sign]
  (->bytes (.or y (.shiftLeft (biginteger sign) 255))))

(defn encode
  "The canonical 32 bytes of a point (RFC 8032 §5.1.2)."
  [q]
  (let [[^BigInteger x y] (affine q)]
    (bytes-of y (if (.testBit x 0) 1 0))))

(defn- root
  "A square root of u/v, or nil (RFC 8032 §5.1.3)."
  [u v]
  (let [w (mul u (inverse v))
        x (power w (quot (+ p 3) 8))]
    (cond (= (mul x x) w) x
          (= (mul x x) (mod-p (- w))) (mul x root-of-minus-1))))

(defn decode
  "The point that 32 bytes encode canonically, or nil (RFC 8032 §5.1.3)."
  [b]
  (let [n ^BigInteger (->number b)
        sign (.testBit n 255)
        y (.clearBit n 255)
        yy (mul y y)]
    (when (< y p)
      (when-let [^BigInteger x (root (sub yy one) (add (mul d yy) one))]
        (when-not (and (zero? (.signum x)) sign)
          (point (if (= sign (.testBit x 0)) x (mod-p (- x))) y))))))

(def base
  "The base point B."
  (decode (bytes/hex-> (str "58" (apply str (repeat 31 "66"))))))

;; The rule

(defn- sha-512 [& parts]
  (bytes/wrap (.digest (MessageDigest/getInstance "SHA-512") (bytes/->array (apply bytes/concat parts)))))

(defn challenge
  "k, the number that a signature starting with the bytes `r` answers."
  [r key message]
  (.mod ^BigInteger (->number (sha-512 r key message)) L))

(defn- identity? [q] (same-point? identity-point q))

(def ^:private key-rule
  "The rule that a key breaks, or nil. Remembered, since it takes a multiplication."
  (memoize
    (fn [key]
      (let [a (when (= 32 (count key)) (decode key))]
        (cond (not= 32 (count key)) :key-size
              (nil? a) :key-encoding
              (identity? a) :key-identity
              (not (identity? (times L a))) :key-order)))))

(defn- signature-rule [key message signature]
  (let [r (bytes/slice signature 0 32)
        s (->number (bytes/slice signature 32))
        point-r (decode r)]
    (cond (<= L s) :s-range
          (nil? point-r) :r-encoding
          (identity? (times 8 point-r)) :r-order
          (not (same-point? (times s base)
                            (plus point-r (times (challenge r key message) (decode key))))) :equation)))

(defn broken-rule
  "The first rule that a key, message and signature break: one of `:key-size
  :key-encoding :key-identity :key-order :signature-size :s-range :r-encoding :r-order
  :equation`; nil if it verifies."
  [key message signature]
  (or (key-rule key)
      (when (not= 64 (count signature)) :signature-size)
      (signature-rule key message signature)))

;; Dishonest signing

(def torsion
  "The eight points of small order, the identity first."
  (let [order-8 (decode (bytes/hex-> "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))]
    (mapv #(times % order-8) (range 8))))

(defn encodings
  "Every 32 bytes that a lenient decoder may take for the point `q`, the canonical ones
  first: with y + p where that fits, and with either sign where x is zero."
  [q]
  (let [[^BigInteger x ^BigInteger y] (affine q)
        ys (cond-> [y] (< y 19) (conj (.add y p)))
        signs (if (zero? (.signum x)) [0 1] [(if (.testBit x 0) 1 0)])]
    (vec (for [sign signs y ys] (bytes-of y sign)))))

(defn forge
  "The signature with the bytes `r` as its R and the S that fits the discrete logarithms
  `log-r` of R and `log-key` of the key (up to small order), raised by `extra` times L."
  [r log-r key log-key message extra]
  (let [s (mod (+ log-r (* (challenge r key message) log-key)) L)]
    (bytes/concat r (->bytes (+ s (* extra L))))))
