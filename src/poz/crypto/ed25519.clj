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
  full, once per key. A provider's `:equation?` answers (4) exactly, comparing R as it
  is encoded, for a key that passed (1). Then [S]B - [k]A is in the prime-order
  subgroup, so an R that fulfils (4) is too, and it is canonical, being what that point
  encodes to. Of the eight points of small order only the identity is in the
  prime-order subgroup. So all that is left of (3) is that R is not the identity."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto.bouncy-castle :as bouncy-castle])
  (:import
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

(defn- well-formed?
  "Rule 2, and of rule 3 that R is not the identity; false for a signature of another size."
  [signature]
  (and (= signature-size (count signature))
       (below? (bytes/slice signature 32) group-order)
       (not= identity-point (bytes/slice signature 0 32))))

(defn strict
  "The Ed25519 part of a provider with its loose `:equation?` replaced by the rule of
  this namespace:

  `:parse` takes the bytes of a key, of any length, and gives what `:verify` takes, or
  nil where the key breaks rule 1 and so never verifies anything. Slow: keep the result.
  `:verify` takes that, a message and a signature of any length; gives true or false."
  [{:keys [parse equation?] :as ed25519}]
  (assoc (dissoc ed25519 :equation?)
         :parse (fn [key]
                  (when (bouncy-castle/prime-order? key)
                    (parse key)))
         :verify (fn [key message signature]
                   (and (well-formed? signature)
                        (equation? key message signature)))))
