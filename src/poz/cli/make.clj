(ns poz.cli.make
  "`poz new`: a new record, and a file for each of its holders."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.cli.support :as support]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.keyring :as keyring]
   [poz.lint :as lint]
   [poz.master :as master]
   [poz.pattern :as pattern]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(defn- key-size [algorithm]
  (:key-size (first (filter #(= algorithm (:key %)) format/algorithms))))

(defn- usage [& words]
  (error/anomaly :cli/usage {:message (apply str "poz new: " words)}))

(defn- foreign-key
  "NAME=HEX as `[name bytes]`, or nil."
  [s]
  (when-let [[_ name hex] (re-matches #"([^=]+)=((?:[0-9a-fA-F]{2})+)" s)]
    [name (bytes/hex-> hex)]))

(defn- foreign-fault [{:keys [keys]} foreign]
  (let [by-name (into {} (map (juxt :name identity)) keys)]
    (some (fn [[name key]]
            (let [{:keys [algorithm]} (by-name name)]
              (cond
                (nil? algorithm) (usage "this pattern has no key " name)
                (not= (key-size algorithm) (count key))
                (usage "a key of " (clojure.core/name algorithm) " has " (key-size algorithm) " bytes, not " (count key))
                (not (crypto/key-usable? algorithm key)) (usage "the key of " name " can never verify anything"))))
      foreign)))

(defn- with-secrets
  "The pattern's keys, each with `:public-key` and, unless it is somebody else's, `:secret`."
  [{:keys [keys]} foreign random]
  (mapv (fn [{:keys [name algorithm] :as row}]
          (merge row (if-let [key (foreign name)] {:public-key key} (crypto/generate algorithm random))))
    keys))

(defn- sign-all [draft keys random]
  (reduce (fn [d [i {:keys [secret]}]]
            (if (and secret (contains? (master/named d) i) (not (:complete (master/status d))))
              (master/sign d i secret {:random (random 32)})
              d))
    draft (map-indexed vector keys)))

(defn- holder-file [out holder first?]
  (if first?
    out
    (let [[_ stem suffix] (re-matches #"(.*?)(\.[^./]*)?" out)]
      (str stem "." holder suffix))))

(defn- key-names [keys]
  (vec (map-indexed (fn [i {:keys [name]}] {:key i :name name}) keys)))

(defn- sealed-for [record keys holder phrase env]
  (let [ring (into {} (keep-indexed (fn [i k] (when (and (= holder (:holder k)) (:secret k)) [i (:secret k)]))) keys)]
    (when (seq ring)
      (-> (assoc record :key-names (key-names keys))
        (keyring/seal ring phrase (support/sealing env))))))

(defn- holder-records [record pattern keys out phrase env]
  (keep (fn [[holder first?]]
          (when-let [r (sealed-for record keys holder phrase env)]
            {:holder holder :file (holder-file out holder first?) :record r}))
    (map vector (pattern/holders pattern) (cons true (repeat false)))))

(defn- write-all [files {:keys [stdout]} force]
  (or (when-not force
        (when-let [there (first (filter files/exists? (map :file files)))]
          (error/anomaly :file/exists {:message (str there " exists already; nothing was written") :file there})))
    (first (keep (fn [{:keys [file record]}]
                   (files/write-file! file (record/encode record) stdout {:private true :force force}))
             files))))

(defn- alarm [warnings]
  (mapcat (fn [{:keys [message]}]
            ["" "  !!  THERE IS NO RECOVERY" (str "  !!  " message) ""])
    (filter :loud warnings)))

(defn- report [record files pattern now]
  (let [warnings (lint/warnings record {} now)
        hash (get-in record [:master-zone :original-master-hash])]
    {:exit 0
     :out (into [(str "record  " (bytes/->hex hash))]
            (map (fn [{:keys [holder file]}] (str "wrote   " file "  (secrets of " holder ")")) files))
     :err (alarm warnings)
     :json [{:original-master-hash hash
             :pattern (:name pattern)
             :files (mapv #(select-keys % [:holder :file]) files)
             :warnings (mapv #(select-keys % [:warning :message]) warnings)}]}))

(defn- create [pattern foreign {:keys [out force] :as options} {:keys [random] :as env} phrase]
  (let [keys (with-secrets pattern foreign random)
        now (support/now options env)
        record (master/finish (sign-all (pattern/draft pattern (map :public-key keys) now) keys random))]
    (if (error/anomaly? record)
      record
      (let [files (holder-records record pattern keys out phrase env)]
        (or (write-all files env force)
          (report record files pattern now))))))

(defn- run [{[name] :args {:keys [public] :as options} :options :keys [env]}]
  (let [pattern (pattern/pattern name)
        foreign (into {} public)]
    (or (when-not pattern
          (usage "there is no pattern " name "; there are " (str/join ", " (map :name pattern/patterns))))
      (when (not= (count foreign) (count public)) (usage "a key is given twice"))
      (when (= "-" (:out options)) (usage "--out is a file: secrets are not for standard output"))
      (foreign-fault pattern foreign)
      (let [phrase (support/passphrase options env true)]
        (if (error/anomaly? phrase)
          phrase
          (create pattern foreign options env phrase))))))

(def ^:private pattern-docs
  (str/join " " (map (fn [{:keys [name doc]}] (str name ": " doc)) pattern/patterns)))

(def commands
  "The commands of this namespace."
  [{:name "new" :args "PATTERN" :arity [1 1] :group "Records"
    :summary "make a record and a file for each of its holders"
    :doc (str "Makes a record: keys, a signed genesis revision, and a file for each holder, with that holder's "
           "secrets sealed under the passphrase. The first holder's file is FILE, the others' names are made from it. Patterns: "
           pattern-docs)
    :options [{:name "out" :arg "FILE" :doc "the first holder's file" :required true}
              {:name "public" :arg "NAME=HEX" :many true :parse foreign-key
               :doc "this key is somebody else's: here is its public half"}
              support/passphrase-option support/force-option support/time-option]
    :examples ["poz new solo-family --out alice.poz"
               "poz new two-devices --out alice.poz --passphrase-file secret.txt --json"]
    :run run}])
