(ns poz.cli.keys
  "`poz keys`: the keys of a record, and its keyring."
  (:require
   [poz.bytes :as bytes]
   [poz.cli.support :as support]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(defn- key-rows [record ring]
  (let [names (into {} (map (juxt :key :name)) (:key-names record))
        used (record/used-keys record)]
    (vec (map-indexed
           (fn [i {:keys [algorithm] :as k}]
             (cond-> {:key i :algorithm algorithm :public-key (:key k)
                      :key-hash (signing/key-hash k) :used (contains? used i)}
               (names i) (assoc :name (names i))
               ring (assoc :secret (contains? ring i))))
           (:public-key-map record)))))

(defn- key-line [{:keys [key algorithm key-hash name used secret]}]
  (str (clojure.core/format "%4d  %-10s  %s" key (if (keyword? algorithm) (clojure.core/name algorithm) (str algorithm))
         (subs (bytes/->hex key-hash) 0 16))
    (when name (str "  " (text/escape name)))
    (when-not used "  (unused)")
    (when secret "  (secret here)")))

(defn- opened [record {:keys [open] :as options} env]
  (when open
    (let [phrase (support/passphrase options env)]
      (if (error/anomaly? phrase) phrase (keyring/open record phrase)))))

(defn- list-keys [file record ring]
  {:exit 0
   :out (cons " key  algorithm   hash" (map key-line (key-rows record ring)))
   :json [{:file file :keys (key-rows record ring)}]})

(defn- new-passphrase [record file {:keys [new-passphrase-file force out] :as options} env]
  (let [old (support/passphrase options env)
        new (support/passphrase {:passphrase-file new-passphrase-file} env)]
    (or (support/first-anomaly [old new])
      (let [changed (keyring/change-passphrase record old new (support/sealing env))]
        (if (error/anomaly? changed)
          changed
          (support/write-result (or out file) (record/encode changed) env {:private true :force force}
            {:exit 0 :out [(str "changed the passphrase of " file)] :json [{:file file :changed true}]}))))))

(defn- with-new-key [record ring algorithm name pair]
  (let [i (count (:public-key-map record))]
    {:index i
     :record (cond-> (update record :public-key-map conj {:algorithm algorithm :key (:public-key pair)})
               name (update :key-names (fnil conj []) {:key i :name name}))
     :ring (assoc ring i (:secret pair))}))

(defn- generate [record file {:keys [name out force] algorithm :generate :as options} {:keys [random] :as env}]
  (let [phrase (support/passphrase options env (nil? (:private-key-map record)))
        ring (cond (error/anomaly? phrase) phrase
                   (:private-key-map record) (keyring/open record phrase)
                   :else {})]
    (if (error/anomaly? ring)
      ring
      (let [pair (crypto/generate algorithm random)
            {:keys [index record ring]} (with-new-key record ring algorithm name pair)
            sealed (keyring/seal record ring phrase (support/sealing env))]
        (support/write-result (or out file) (record/encode sealed) env {:private true :force force}
          {:exit 0
           :out [(str "key " index "  " (clojure.core/name algorithm) ":" (bytes/->hex (:public-key pair)))]
           :json [{:file (or out file) :key index :algorithm algorithm :public-key (:public-key pair)}]})))))

(defn- keys-of [{[file] :args {:keys [new-passphrase-file] :as options} :options :keys [env]}]
  (let [record (support/read-record file env)]
    (cond
      (error/anomaly? record) record
      (:generate options) (generate record file options env)
      new-passphrase-file (new-passphrase record file options env)
      :else (let [ring (opened record options env)]
              (if (error/anomaly? ring) ring (list-keys file record ring))))))

(def commands
  "The commands of this namespace."
  [{:name "keys" :args "FILE" :arity [1 1] :group "Records" :run keys-of
    :summary "list keys; check or change the passphrase"
    :doc "Lists the keys of a record with their hashes and names. With --open it opens the Private Key Map and marks the keys whose secrets are in it. --generate adds a key, which counts only once a statement cites it."
    :options [{:name "open" :doc "open the Private Key Map with the passphrase"}
              support/passphrase-option
              {:name "generate" :arg "ALGORITHM" :doc "add a new key and its secret to the file: ed25519, x25519 or ml-dsa-65"
               :parse (fn [s] (some #(when (= s (name (:key %))) (:key %)) format/algorithms))}
              {:name "name" :arg "NAME" :doc "what to call the new key"}
              {:name "out" :arg "FILE" :doc "where to write the changed file; in place, with --force, unless given"}
              support/force-option
              {:name "new-passphrase-file" :arg "FILE" :doc "seal the secrets anew under the first line of FILE"}]
    :examples ["poz keys alice.poz" "poz keys --open alice.poz"
               "poz keys alice.poz --generate x25519 --name mail"]}])
