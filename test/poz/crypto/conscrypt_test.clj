(ns poz.crypto.conscrypt-test
  "Conscrypt against Bouncy Castle, where its native library loads."
  (:require
   [clojure.test :refer [deftest is]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.crypto.bouncy-castle :as bouncy-castle]
   [poz.crypto.conscrypt :as conscrypt])
  (:import
   (java.security Security)))

(set! *warn-on-reflection* true)

(def ^:private both
  "Both providers, or one of them twice."
  (delay (if (crypto/provider-problem :conscrypt)
           [(bouncy-castle/provider) (bouncy-castle/provider)]
           [(bouncy-castle/provider) (conscrypt/provider)])))

(defn- same?
  "Whether both providers' function at `path` gives the same for `args`."
  [path & args]
  (apply = (map #(apply (get-in % path) args) @both)))

(def ^:private gen-bytes (gen/fmap bytes/copy-of gen/bytes))

(defn- gen-sized [n]
  (gen/fmap #(bytes/wrap (byte-array %)) (gen/vector gen/byte n)))

(defspec same-agreement 300
  (prop/for-all [secret (gen-sized 32) key (gen-sized 32)]
    (same? [:x25519 :agree] secret key)))

(deftest new-keys
  (when-let [generate (get-in (second @both) [:x25519 :generate])]
    (let [pairs (repeatedly 50 generate)]
      (is (= 50 (count (set (map :secret pairs)))))
      (doseq [{:keys [secret public-key]} pairs]
        (is (= public-key ((get-in (first @both) [:x25519 :public-key]) secret)))))))

(defspec same-signature 300
  (prop/for-all [seed (gen-sized 32) message gen-bytes]
    (same? [:ed25519 :sign] seed message)))

(defspec same-sealing 300
  (prop/for-all [key (gen-sized 32) nonce (gen-sized 12) aad gen-bytes plaintext gen-bytes]
    (and (same? [:chacha20-poly1305 :seal] key nonce aad plaintext)
         (same? [:chacha20-poly1305 :open] key nonce aad
                ((get-in (first @both) [:chacha20-poly1305 :seal]) key nonce aad plaintext))
         (same? [:chacha20-poly1305 :open] key nonce aad
                (bytes/concat plaintext (bytes/zeros 16))))))

(deftest same-low-order
  (doseq [u ["0000000000000000000000000000000000000000000000000000000000000000"
             "0100000000000000000000000000000000000000000000000000000000000000"
             "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
             "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"
             "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
             "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
             "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"]
          provider @both]
    (is (nil? ((get-in provider [:x25519 :agree]) (bytes/hex-> (apply str (repeat 32 "77")))
                                                  (bytes/hex-> u))))))

(deftest stays-out-of-the-jvm
  @both
  (is (not-any? #{"Conscrypt" "BC"} (map str (map #(.getName ^java.security.Provider %)
                                                  (Security/getProviders))))))
