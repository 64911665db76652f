(ns poz.crypto.accp-test
  "ACCP where the alias `:accp` put it on the class path, and what there is where it did not."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto])
  (:import
   (java.security Security)))

(set! *warn-on-reflection* true)

(def ^:private seed (bytes/secret (bytes/hex-> (apply str (repeat 32 "2a")))))

(defn- accepts?
  "Whether ACCP accepts the signature of `message`, and refuses it for another message."
  [message]
  (crypto/with-provider :accp
    #(let [key (crypto/public-key :ed25519 seed) signature (crypto/sign :ed25519 seed message)]
       (and (crypto/verify :ed25519 key message signature)
            (not (crypto/verify :ed25519 key (bytes/concat message (bytes/zeros 1)) signature))))))

(deftest first-of-all-or-absent
  (if-let [problem (crypto/provider-problem :accp)]
    (do (is (re-find #"ClassNotFoundException: com\.amazon|NoSuchAlgorithmException|LinkError" problem))
        (is (not-any? #{:accp} (crypto/providers))))
    (do (is (= [:accp :conscrypt :bouncy-castle] (crypto/providers)))
        (testing "messages of every length, that of its buffer's end too"
          (is (every? accepts? (map bytes/zeros [0 1 64 1048575 1048576 1048577]))))
        (is (not-any? #(re-find #"Corretto" (.getName ^java.security.Provider %)) (Security/getProviders))))))
