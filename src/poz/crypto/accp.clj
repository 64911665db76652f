(ns poz.crypto.accp
  "Amazon's Corretto Crypto Provider (AWS-LC behind a JNI library) as a provider: `provider`
  is Conscrypt's map with the verification of Ed25519 put over it, of which AWS-LC does
  27,000 a second where BoringSSL does 19,300. It is opt-in, the alias `:accp`: poz.crypto
  looks for its class, and loads this namespace where it is there.

  Keys are the JDK's own, which both libraries take. AWS-LC computes the equation as
  BoringSSL does, comparing R as it is encoded (see poz.crypto.conscrypt)."
  (:require
   [poz.crypto.conscrypt :as conscrypt])
  (:import
   (java.security KeyFactory Provider PublicKey Signature)
   (java.security.spec X509EncodedKeySpec)))

(set! *warn-on-reflection* true)

(def ^:private longest
  "The bytes of the longest message that the library takes; longer ones are Conscrypt's."
  1048576)

(defn- jdk-key [^PublicKey key]
  (.generatePublic (KeyFactory/getInstance "Ed25519") (X509EncodedKeySpec. (.getEncoded key))))

(defn- verifying
  "The Ed25519 part of Conscrypt's map with the verification of `jca`."
  [{:keys [parse equation?] :as ed25519} jca]
  (assoc ed25519
         :parse #(some-> (parse %) jdk-key)
         :equation? (fn [key message signature]
                      (if (<= (count message) (long longest))
                        (conscrypt/verify-with "Ed25519" jca key message signature)
                        (equation? key message signature)))))

(defn- jca
  "The library's `Provider`. Throws where it has nothing native for this platform, since it then
  has no algorithms."
  ^Provider [^Class class]
  (doto ^Provider (.newInstance (.getConstructor class (make-array Class 0)) (object-array 0))
    (->> (Signature/getInstance "Ed25519"))))

(defn provider
  "The provider map, `:name` `:accp`, of the shape that poz.crypto.bouncy-castle documents.
  `class` is the library's `java.security.Provider`. Throws as poz.crypto.conscrypt does, or where
  the library does not load."
  [class]
  (let [jca (jca class)]
    (-> (conscrypt/provider)
        (assoc :name :accp)
        (update :ed25519 verifying jca))))
