(ns poz.signing
  "What is signed, and by whom (format.md §1).

  A *statement* is one of `poz.format/statements`: a context that names it and a
  content. A key signs the message `context ‖ 0x00 ‖ H(content, bindings(content))`, so
  nothing else than a statement is ever signed, and the keys behind the indexes that
  the content cites are part of what is signed.

  - `key-hash`, `key-hashes`: what identifies a key
  - `statement`: content value → `{:context :content :cites :hash :message}`
  - `sign`: a signature list with one signature more; `add-signature` with one that
    was made elsewhere (a token, another machine), which is checked first
  - `request`: what such a signer needs to see, as plain data
  - `signature-finding`: do the signatures of a list verify?"
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.gather :as gather]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.rules :as rules])
  (:import
   (java.util BitSet)))

(set! *warn-on-reflection* true)

(defn- index? [{:keys [kind]}]
  (= :index kind))

(defn- compiled [{:keys [context content]}]
  (let [codec (codec/codec (:types format/format) content)]
    {:context context
     :separated (bytes/concat (bytes/utf8 context) (bytes/zeros 1))
     :codec codec
     :gather (gather/gatherer index? (:node codec))}))

(def ^:private statements
  "Kind of statement → its context, alone and with the zero byte after it, and the codec
  of its content with the function that visits the key indexes in it."
  (update-vals format/statements compiled))

(def ^:private algorithm-code
  (into {} (map (juxt :key :code)) format/algorithms))

(defn known-algorithm?
  "True if signatures and agreements of `algorithm` can be computed here."
  [algorithm]
  (contains? algorithm-code algorithm))

(defn key-hash
  "The hash that identifies a public key: H(algorithm, key). `entry` is an entry of the
  Public Key Map."
  [{:keys [algorithm key]}]
  (crypto/sha3-256 (bytes/wrap (byte-array [(unchecked-byte (algorithm-code algorithm algorithm))])) key))

(defn key-hashes
  "A vector of delays: the key hash of each key of `key-map`, computed when needed."
  [key-map]
  (mapv #(delay (key-hash %)) key-map))

(defn- gathered
  "The key indexes that the function `gather` (`poz.codec.gather`) visits in `value`, each
  once, ascending, in a vector."
  [gather value]
  (let [found (BitSet.)]
    (when gather
      (gather (fn [_ i] (.set found (int i))) nil value))
    (loop [i (.nextSetBit found 0) indexes []]
      (if (neg? i)
        indexes
        (recur (.nextSetBit found (unchecked-inc-int i)) (conj indexes (long i)))))))

(defn bindings
  "The key hashes of the distinct `indexes`, which ascend, one after another. `hashes`
  as from `key-hashes`."
  [hashes indexes]
  (bytes/join (mapv #(deref (nth hashes %)) indexes)))

(defn message
  "The bytes that a key signs: the context in ASCII, a zero byte, the hash."
  [context hash]
  (bytes/concat (bytes/utf8 context) (bytes/zeros 1) hash))

(defn statement
  "All that is derived from a statement: `kind` is a key of `poz.format/statements`,
  `value` its content, `hashes` the key hashes of the map that its indexes mean.

  Gives `:context`, `:content` (the byte strings that make it up), `:cites` (indexes),
  `:bindings` (bytes), `:hash`, which is H(content, bindings), and the `:message` to sign;
  with the byte string `tail` also `:whole-hash`, H(content, bindings, tail), which is nil
  else. `arrived` is the content, where it is at hand (`poz.codec.source`); else it is encoded."
  ([kind value hashes] (statement kind value hashes nil nil))
  ([kind value hashes tail arrived]
   (let [{:keys [context separated codec gather]} (statements kind)
         cited (gathered gather value)
         content (or arrived [(codec/encode codec value)])
         bound (bindings hashes cited)
         [hash whole] (if tail
                        (crypto/sha3-256-twice (conj content bound) tail)
                        [(apply crypto/sha3-256 (conj content bound))])]
     {:context context :content content :cites cited :bindings bound
      :hash hash :whole-hash whole :message (bytes/concat separated hash)})))

;; ## Signature lists

(defn- insert [signatures key signature]
  (-> (into [] (remove #(= key (:key %))) signatures)
    (conj {:key key :signature signature})
    (->> (sort-by :key) vec)))

(defn sign
  "`signatures` with that of key `index` of `key-map` over `message` in its place.
  `secret` is the key's secret. Options: `:random`, 32 bytes for a hedged ML-DSA
  signature (FIPS 204 §3.4); without it signing is deterministic."
  ([signatures key-map message index secret] (sign signatures key-map message index secret {}))
  ([signatures key-map message index secret options]
   (let [{:keys [algorithm]} (nth key-map index)
         hedge (when (= :ml-dsa-65 algorithm) (:random options))]
     (insert signatures index
       (if hedge
         (crypto/sign algorithm secret message {:random hedge})
         (crypto/sign algorithm secret message))))))

(def ^:private signing-algorithms
  (into #{} (comp (filter #(= :sign (:use %))) (map :key)) format/algorithms))

(defn verifies?
  "True if `signature` by key `index` of `key-map` over `message` verifies."
  [key-map message index signature]
  (let [{:keys [algorithm key]} (get key-map index)]
    (and (contains? signing-algorithms algorithm)
      (crypto/verify algorithm key message signature))))

(defn add-signature
  "`signatures` with one that another signer made. It is verified first: an anomaly
  `:signature/bad`, `:signature/unknown-algorithm` or `:format/index` where it does not fit."
  [signatures key-map message {:keys [key signature]}]
  (let [{:keys [algorithm] :as entry} (get key-map key)
        facts {:path [:signatures] :found (str "key " key)}]
    (cond
      (nil? entry) (error/anomaly :format/index facts)
      (not (known-algorithm? algorithm)) (error/anomaly :signature/unknown-algorithm facts)
      (verifies? key-map message key signature) (insert signatures key signature)
      :else (error/anomaly :signature/bad facts))))

(defn request
  "What an external signer needs to sign the `statement` with key `index`: plain data
  that prints and travels. It answers with `{:key index :signature bytes}`."
  [{:keys [context hash message]} key-map index]
  (let [{:keys [algorithm key]} (nth key-map index)]
    {:poz/request :sign
     :context context
     :content-hash hash
     :message message
     :key index
     :algorithm algorithm
     :public-key key}))

;; ## Findings

(defn key-list
  "Key indexes for a sentence: \"key 1\", \"keys 1, 2\", \"no key\"."
  [indexes]
  (case (count indexes)
    0 "no key"
    1 (str "key " (first indexes))
    (str "keys " (str/join ", " indexes))))

(defn first-of
  "The first of `items` for which `pred` holds, or nil. No later one is asked."
  [pred items]
  (reduce (fn [_ item] (when (pred item) (reduced item))) nil items))

(defn- first-bad [key-map message signatures]
  (first-of (fn [{:keys [key signature]}]
              (and (known-algorithm? (:algorithm (get key-map key)))
                (not (verifies? key-map message key signature))))
    signatures))

(defn signature-finding
  "Whether every one of `signatures` verifies with its key of `key-map`, over the message
  of `statement` (a delay)."
  [{:keys [key-map statement signatures]}]
  (let [bad (first-bad key-map (:message @statement) signatures)]
    (cond
      bad (rules/breaks (str "the signature of key " (:key bad) " does not verify")
            {:numbers {:key (:key bad)} :error :signature/bad})
      (empty? signatures) nil
      :else (rules/holds #(str "the signatures of " (key-list (map :key signatures)) " verify")))))

(defn algorithm-finding
  "Unknown where one of `signatures` is by a key whose algorithm is not known here."
  [{:keys [key-map signatures]}]
  (when-let [alien (first-of #(not (known-algorithm? (:algorithm (get key-map (:key %))))) signatures)]
    (rules/unknown (str "key " (:key alien) " is of algorithm " (:algorithm (get key-map (:key alien)))
                     ", which is not known here")
      {:numbers {:key (:key alien)} :error :signature/unknown-algorithm})))

(def signature-rules
  "The last two rules of every statement."
  [{:id :signature/verifies :doc "Every signature verifies with the key it names." :check signature-finding}
   {:id :signature/known-algorithm :doc "The algorithm of every signer is known here." :check algorithm-finding}])

(defn stray-finding
  "Whether each of `signatures` is by a key that the rule names (`:named`, a set of
  indexes) and that can sign. `:named` is nil where the list is not at hand."
  [{:keys [key-map signatures named]}]
  (let [agrees? #(= :x25519 (:algorithm (get key-map %)))]
    (if-let [{stray :key} (first-of (fn [{:keys [key]}] (or (agrees? key) (and named (not (named key))))) signatures)]
      (rules/breaks (if (agrees? stray)
                      (str "key " stray " is an X25519 key and cannot sign")
                      (str "key " stray " is none of those that may sign this"
                        (when (seq named) (str " (" (key-list (sort named)) ")"))))
        {:error :signature/stray :numbers {:key stray}})
      (when (seq signatures)
        (rules/holds #(str "signed by " (key-list (map :key signatures))))))))
