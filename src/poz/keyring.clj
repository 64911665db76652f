(ns poz.keyring
  "The Private Key Map (format.md §8): a holder's secrets, sealed under a passphrase.

  A *keyring* is a map of key index → secret (`poz.bytes/secret`), which never prints.
  `seal` puts one into a record, `open` takes it out, `change-passphrase` seals it anew.
  Every secret is held against its public key, on the way in and on the way out.

  Failures are anomalies: `:keyring/wrong-passphrase`, `:keyring/absent`,
  `:keyring/key-mismatch`, `:keyring/plaintext`. None of them holds a secret."
  (:require
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.record :as record]
   [poz.signing :as signing])
  (:import
   (java.text Normalizer Normalizer$Form)))

(set! *warn-on-reflection* true)

(def ^:private header (codec/codec (:types format/format) :private-key-header))
(def ^:private secrets (codec/codec (:types format/format) :private-keys))
(def ^:private defaults (:argon2id format/limits))

(defn passphrase
  "The passphrase `s`, a string, as what Argon2id is given: a secret of its UTF-8 in NFC."
  [^String s]
  (bytes/secret (bytes/utf8 (Normalizer/normalize s Normalizer$Form/NFC))))

(defn- sealing-key [section phrase]
  (crypto/argon2id (select-keys section [:memory-kib :passes :lanes :salt])
    phrase (:key-size defaults)))

(defn- associated-data
  "Key hash of key 0 ‖ the section up to and including its nonce."
  [key-map section]
  (bytes/concat (signing/key-hash (first key-map))
    (codec/encode header (dissoc section :sealed))))

(defn- mismatch
  "The first key of `keyring` whose secret is not that of its public key, or nil."
  [key-map keyring]
  (first (for [[i secret] keyring
               :let [{:keys [algorithm key]} (get key-map i)]
               :when (or (nil? key)
                       (and (signing/known-algorithm? algorithm)
                         (not= key (try (crypto/public-key algorithm secret)
                                        (catch IllegalArgumentException _ nil)))))]
           i)))

(defn- check-keys! [key-map keyring]
  (when-let [i (mismatch key-map keyring)]
    (error/fail! :keyring/key-mismatch {:path [:private-key-map i] :found (str "key " i)})))

(defn- plaintext [keyring]
  (codec/encode secrets
    (mapv (fn [[i secret]] {:key i :secret (bytes/reveal secret)}) (sort-by key keyring))))

(defn seal
  "`record` with `keyring` sealed in it under `phrase` (from `passphrase`). Throws the
  anomaly of a secret that does not belong to its key, and of an empty keyring.

  Options: `:random`, a function of n that gives n random bytes (required); `:memory-kib`,
  `:passes`, `:lanes`, the Argon2id costs (64 MiB, 3, 4)."
  [record keyring phrase {:keys [random] :as options}]
  (check-keys! (:public-key-map record) keyring)
  (let [section (merge {:kdf :argon2id :cipher :chacha20-poly1305
                        :salt (random (:salt-size defaults)) :nonce (random (:nonce-size defaults))}
                  (select-keys defaults [:memory-kib :passes :lanes])
                  (select-keys options [:memory-kib :passes :lanes]))
        sealed (crypto/seal (sealing-key section phrase) (:nonce section)
                 (associated-data (:public-key-map record) section) (plaintext keyring))]
    (assoc record :private-key-map (assoc section :sealed sealed))))

(defn- decode-secrets [key-map plain]
  (let [v (codec/decode secrets plain {:algorithms (record/algorithms key-map)})]
    (if (error/anomaly? v)
      (error/fail! :keyring/plaintext {:path [:private-key-map]})
      (into (sorted-map) (map (fn [{:keys [key secret]}] [key (bytes/secret secret)])) v))))

(defn open
  "The keyring of `record`, opened with `phrase`; or an anomaly."
  [{:keys [public-key-map private-key-map]} phrase]
  (error/attempt
    (fn []
      (when-not private-key-map (error/fail! :keyring/absent))
      (let [plain (crypto/open (sealing-key private-key-map phrase) (:nonce private-key-map)
                    (associated-data public-key-map private-key-map) (:sealed private-key-map))]
        (when-not plain (error/fail! :keyring/wrong-passphrase))
        (let [keyring (decode-secrets public-key-map plain)]
          (check-keys! public-key-map keyring)
          keyring)))))

(defn change-passphrase
  "`record` with its keyring sealed under `new` instead of `old`, with fresh salt and
  nonce; or an anomaly. Options as for `seal`."
  [record old new options]
  (let [keyring (open record old)]
    (if (error/anomaly? keyring)
      keyring
      (seal record keyring new options))))
