(ns poz.keyring-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(def ^:private labels ["ring a" [:x25519 "ring b"] [:ml-dsa-65 "ring c"]])

(defn- genesis []
  (update (v/genesis labels [[1 0 100]] [] [0]) :public-key-map conj {:algorithm 127 :key (bytes/zeros 2)}))

(def ^:private ring
  {0 (v/secret "ring a"), 1 (v/secret "ring b"), 2 (v/secret "ring c"), 3 (bytes/secret (bytes/hex-> "c0ffee"))})

(defn- random
  "A source of bytes that are different each time and the same in every run."
  [seed]
  (let [n (atom 0)]
    (fn [size] (bytes/slice (crypto/sha3-256 (bytes/utf8 (str seed (swap! n inc)))) 0 size))))

(defn- options [seed] {:random (random seed) :memory-kib 8192 :passes 1 :lanes 1})

(def ^:private phrase (keyring/passphrase "correct horse"))

(defn- sealed [] (keyring/seal (genesis) ring phrase (options "a")))

(deftest the-golden-holder-file
  (let [{:keys [file passphrase secrets]} (first (filter :passphrase (v/records)))
        r (v/file-record file)]
    (is (= (into {} (map (fn [{:keys [key secret]}] [key (bytes/secret (bytes/hex-> secret))])) secrets)
           (keyring/open r (keyring/passphrase passphrase))))
    (testing "is sealed again to the same bytes with the same salt and nonce"
      (let [{:keys [salt nonce] :as section} (:private-key-map r)
            rest-of (atom [salt nonce])
            again (keyring/seal (dissoc r :private-key-map)
                    (keyring/open r (keyring/passphrase passphrase)) (keyring/passphrase passphrase)
                    (assoc (select-keys section [:memory-kib :passes :lanes])
                      :random (fn [_] (let [[x] @rest-of] (swap! rest-of rest) x))))]
        (is (= (vectors/file-bytes file) (record/encode again)))))))

(deftest passphrases-of-the-vectors
  (doseq [{:keys [passphrase salt memory_kib passes lanes key passphrase_utf8]} (:argon2id (vectors/json "primitives.json"))
          :let [derive (fn [p] (bytes/->hex (bytes/reveal (crypto/argon2id {:salt (bytes/hex-> salt) :memory-kib memory_kib :passes passes :lanes lanes}
                                                            (keyring/passphrase p) 32))))]]
    (is (= key (derive passphrase)))
    (is (= key (derive (String. (bytes/->array (bytes/hex-> passphrase_utf8)) "UTF-8"))) "in whichever form it was typed")))

(deftest costs-of-the-vectors
  (let [section (codec/codec (:types format/format) :private-key-map)
        sample (:private-key-map (v/record-named "holder-file"))]
    (doseq [{:keys [memory_kib passes lanes accept] :as costs} (:argon2id_limits (vectors/json "primitives.json"))]
      (is (= accept (not (error/anomaly? (error/attempt #(codec/encode section (assoc sample :memory-kib memory_kib :passes passes :lanes lanes))))))
          costs))))

(deftest sealed-and-opened
  (let [r (sealed)]
    (is (= ring (keyring/open r phrase)))
    (is (= ring (keyring/open (record/decode (record/encode r)) phrase)) "through a file")
    (is (= (genesis) (dissoc r :private-key-map)) "nothing else changes")
    (is (= {:kdf :argon2id :cipher :chacha20-poly1305 :memory-kib 8192 :passes 1 :lanes 1}
           (dissoc (:private-key-map r) :salt :nonce :sealed)))
    (is (= r (sealed)) "the same with the same randomness")
    (is (not= (:private-key-map r) (:private-key-map (keyring/seal (genesis) ring phrase (options "b")))))
    (is (apply distinct? (map bytes/->hex ((juxt :salt :nonce) (:private-key-map r)))))
    (is (= {0 (ring 0)} (keyring/open (keyring/seal (genesis) {0 (ring 0)} phrase (options "c")) phrase)) "some of the keys")))

(deftest normal-form-of-passphrases
  (let [r (keyring/seal (genesis) {0 (ring 0)} (keyring/passphrase "Zo\u00eb") (options "a"))]
    (is (= {0 (ring 0)} (keyring/open r (keyring/passphrase "Zoe\u0308"))))
    (is (= :keyring/wrong-passphrase (:poz/error (keyring/open r (keyring/passphrase "Zoe")))))
    (is (bytes/secret? (keyring/passphrase "x")))))

(deftest what-does-not-open
  (let [r (sealed) error #(:poz/error (keyring/open % phrase))]
    (is (= :keyring/wrong-passphrase (:poz/error (keyring/open r (keyring/passphrase "incorrect horse")))))
    (is (= :keyring/absent (error (genesis))))
    (testing "key 0 is bound to the section"
      (is (= :keyring/wrong-passphrase (error (assoc-in r [:public-key-map 0] (v/key-of "another"))))))
    (testing "a secret that is not its key's"
      (is (= :keyring/key-mismatch (error (assoc-in r [:public-key-map 2] (v/key-of [:ml-dsa-65 "another"])))))
      (is (= :keyring/plaintext (error (update r :public-key-map pop))) "or whose key is gone"))))

(deftest a-flipped-byte-in-any-field-is-refused
  (let [codec (codec/codec (:types format/format) :private-key-map)
        r (keyring/seal (genesis) {0 (ring 0)} phrase (options "a"))
        section (codec/encode codec (:private-key-map r))]
    (doseq [at (range (count section))
            :let [array (bytes/->array section)
                  _ (aset-byte array at (unchecked-byte (bit-xor 1 (long (aget array at)))))
                  changed (codec/decode codec (bytes/wrap array))]]
      (is (or (error/anomaly? changed)
              (= :keyring/wrong-passphrase (:poz/error (keyring/open (assoc r :private-key-map changed) phrase))))
          at))))

(deftest what-is-not-sealed
  (let [error (fn [ring] (:poz/error (error/attempt #(keyring/seal (genesis) ring phrase (options "a")))))]
    (are [found ring] (= found (error ring))
      :keyring/key-mismatch {0 (v/secret "another")}
      :keyring/key-mismatch {1 (v/secret "ring a")}
      :keyring/key-mismatch {0 (bytes/secret (bytes/hex-> "c0ffee"))}
      :keyring/key-mismatch {9 (v/secret "ring a")}
      :format/count {})))

(deftest what-was-sealed-but-is-no-list-of-secrets
  (let [r (genesis)
        {:keys [sealed] :as section} (:private-key-map (sealed))
        key (crypto/argon2id (select-keys section [:memory-kib :passes :lanes :salt]) phrase 32)
        header (codec/codec (:types format/format) [:select :private-key-map [:kdf :memory-kib :passes :lanes :salt :cipher :nonce]])
        aad (bytes/concat (signing/key-hash (first (:public-key-map r))) (codec/encode header (dissoc section :sealed)))
        with (fn [plain] (assoc r :private-key-map (assoc section :sealed (crypto/seal key (:nonce section) aad plain))))
        open #(keyring/open (with %) phrase)]
    (is (= sealed (get-in (with (crypto/open key (:nonce section) aad sealed)) [:private-key-map :sealed])))
    (are [plain] (= :keyring/plaintext (:poz/error (open plain)))
      bytes/empty
      (bytes/hex-> "0000")
      (bytes/hex-> "000100000001ff00")
      (bytes/hex-> "00010009000101"))
    (is (not (str/includes? (pr-str (open (bytes/hex-> "000100000003c0ffee"))) "c0ffee")))))

(deftest a-changed-passphrase
  (let [r (sealed) new-phrase (keyring/passphrase "battery staple")
        changed (keyring/change-passphrase r phrase new-phrase (options "b"))]
    (is (= ring (keyring/open changed new-phrase)))
    (is (= :keyring/wrong-passphrase (:poz/error (keyring/open changed phrase))))
    (is (= (dissoc r :private-key-map) (dissoc changed :private-key-map)))
    (is (not-any? (fn [k] (= (get-in r [:private-key-map k]) (get-in changed [:private-key-map k]))) [:salt :nonce :sealed]))
    (is (= :keyring/wrong-passphrase (:poz/error (keyring/change-passphrase r new-phrase phrase (options "b")))))
    (is (= :keyring/absent (:poz/error (keyring/change-passphrase (genesis) phrase new-phrase (options "b")))))))

(deftest secrets-never-print
  (let [r (sealed)
        hexes (map (comp bytes/->hex bytes/reveal) (conj (vals ring) phrase))
        shown [(pr-str r) (pr-str (keyring/open r phrase)) (str (keyring/open r phrase)) (pr-str phrase)
               (pr-str (keyring/open r (keyring/passphrase "wrong")))
               (pr-str (keyring/open (assoc-in r [:public-key-map 2] (v/key-of [:ml-dsa-65 "another"])) phrase))
               (pr-str (error/attempt #(keyring/seal (genesis) {0 (ring 3)} phrase (options "a"))))
               (bytes/->hex (record/encode r))]]
    (doseq [text shown, hex (conj hexes "correct horse")]
      (is (not (str/includes? text hex))))
    (is (str/includes? (pr-str (keyring/open r phrase)) "#poz/secret \"redacted\""))))
