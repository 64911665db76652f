(ns poz.crypto.ed25519
  "The one exact rule by which poz verifies Ed25519 (POZ v0 format §3), put in front of
  any provider so that all give the same verdict on all bytes: `strict`.

  With B the base point, L its order, A the key, (R, S) the signature, k the hash of
  RFC 8032 §5.1.7, a signature verifies if and only if

  1. A is encoded canonically, in the prime-order subgroup, and not the identity;
  2. S < L;
  3. R is encoded canonically and not of small order;
  4. [S]B = R + [k]A, without multiplying by the cofactor.

  Libraries differ on all but 2. Why the few checks here are enough: (1) is checked in
  full, once per key, by a provider's `:parse`; `prime-order?` is a fast way. A provider's
  `:equation?` answers (4) exactly, comparing R as it is encoded, for a key that passed
  (1). Then [S]B - [k]A is in the prime-order subgroup, so an R that fulfils (4) is too,
  and it is canonical, being what that point encodes to. Of the eight points of small
  order only the identity is in the prime-order subgroup. So all that is left of (3) is
  that R is not the identity."
  (:require
   [poz.bytes :as bytes])
  (:import
   (org.bouncycastle.math.ec.rfc7748 X25519Field)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(def ^:private signature-size 64)

(def ^:private group-order
  "L = 2^252 + 27742317777372353535851937790883648493, little-endian (RFC 8032 §5.1)."
  (bytes/hex-> "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"))

(def ^:private identity-point
  "The encoding of the point (0, 1)."
  (bytes/hex-> "0100000000000000000000000000000000000000000000000000000000000000"))

(defn- below?
  "Whether `a` is less than `b`, both little-endian numbers of the same size."
  [^Bytes a ^Bytes b]
  (loop [i (dec (count a))]
    (and (<= 0 i)
         (let [x (int (.nth a i)) y (int (.nth b i))]
           (if (= x y) (recur (dec i)) (< x y))))))

;; Rule 1 by X25519, which a native library computes in less than half of the time that
;; multiplying by L takes in Java: 33 µs against 76. X25519(n, u) is the u of [n]P, where u is
;; that of ±P, on the curve or, where y belongs to no x, on its twist. Let n be 5L - 1, which
;; has the form of an X25519 secret, being a multiple of 8 between 2^254 and 2^255, and let u
;; not be 0, so that P is neither the identity nor of order 2. Then u comes back if and only if
;; [n]P = ±P, that is if the order of P divides n - 1 or n + 1 = 5L. On the curve it divides 8L
;; and cannot divide n - 1, which has no factor with 8L in common; so it divides L. On the
;; twist it divides 4q, q a prime of 253 bits, which has none in common with either. And either
;; sign of x is canonical, since x is not 0.

(def ^:private field-prime
  "2^255 - 19, little-endian."
  (bytes/hex-> "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"))

(def ^:private five-orders-less-one
  "5L - 1, little-endian."
  (bytes/hex-> "a023cdd083ef5bb82f10d62e59e15a6800000000000000000000000000000050"))

(defn- y-of
  "The y in the encoding `key` of a point, encoded alike: without the sign of x."
  [key]
  (let [array (bytes/->array key)]
    (aset array 31 (unchecked-byte (bit-and 0x7f (aget array 31))))
    (bytes/wrap array)))

(defn- u-of
  "The X25519 key of the points with that `y` (RFC 7748 §4.1): (1 + y) / (1 - y), or 0 for 1."
  [^Bytes y]
  (let [a (X25519Field/create) b (X25519Field/create) out (byte-array 32)]
    (X25519Field/decode ^bytes (.-array y) a)
    (X25519Field/one b)
    (X25519Field/apm b a a b)
    (X25519Field/invVar b b)
    (X25519Field/mul a b a)
    (X25519Field/normalize a)
    (X25519Field/encode a out)
    (bytes/wrap out)))

(defn prime-order?
  "Whether the byte string `key`, of any length, fulfils rule 1, with the help of a provider's
  X25519 `agree`."
  [agree key]
  (and (= 32 (count key))
       (let [y (y-of key)]
         (and (below? y field-prime)
              (let [u (u-of y)]
                (= u (agree five-orders-less-one u)))))))

(defn- well-formed?
  "Rule 2, and of rule 3 that R is not the identity; false for a signature of another size."
  [signature]
  (and (= signature-size (count signature))
       (below? (bytes/slice signature 32) group-order)
       (not= identity-point (bytes/slice signature 0 32))))

(defn strict
  "The Ed25519 part of a provider with its loose `:equation?` replaced by `:verify`, which
  keeps to the rule of this namespace: it takes what `:parse` gives, a message and a signature
  of any length; gives true or false."
  [{:keys [equation?] :as ed25519}]
  (assoc (dissoc ed25519 :equation?)
         :verify (fn [key message signature]
                   (and (well-formed? signature)
                        (equation? key message signature)))))
