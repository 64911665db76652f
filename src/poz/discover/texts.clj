(ns poz.discover.texts
  "What sources of discovery say, read (protocol.md §6). Pure: bytes and strings in, findings out.

  A *finding* is `{:status :present|:absent|:failed}`, where it is present with `:hash`, the
  original hash that the source names, or with `:servers`; where it failed with the `:error`, an
  anomaly; else with `:because`, a sentence. A *server* is one as in `poz.client.servers`; SRV tells
  neither its encryption nor its key.

  - `txt` reads the texts of `_poz`, `srv` the targets of `_poz._tcp` and `_poz-submit._tcp`
  - `well-known` reads the JSON of `/.well-known/poz`"
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error])
  (:import
   (java.nio ByteBuffer)
   (java.nio.charset CharacterCodingException StandardCharsets)))

(set! *warn-on-reflection* true)

(defn failed
  "The finding of a source that failed with `anomaly`."
  [anomaly]
  {:status :failed :error anomaly})

(defn absent
  "The finding of a source that says nothing, `because`, a sentence."
  [because]
  {:status :absent :because because})

(defn- fault [error rule & [found]]
  (error/anomaly error (cond-> {:rule rule} (some? found) (assoc :found found))))

(defn- hash-of [s]
  (when (and (string? s) (re-matches #"[0-9a-fA-F]{64}" s))
    (bytes/hex-> s)))

;; ## TXT

(defn- tags
  "The tags of one text, `[[name value] …]`."
  [s]
  (map #(str/split % #"=" 2) (remove str/blank? (str/split s #"[ \t]+"))))

(defn- text-finding
  "The hash that one text names, or the anomaly of what is wrong with it; nil where it is none of
  ours."
  [s]
  (let [[[k version] & more] (tags s)
        [[_ value] & others] (filter #(= "h" (first %)) more)]
    (cond
      (not= "v" k) nil
      (not= "poz1" version) (when (str/starts-with? (str version) "poz") (fault :discover/text "a version that is not poz1" (str version)))
      (or (nil? value) (seq others)) (fault :discover/text "one tag h")
      :else (or (hash-of value) (fault :discover/text "h is 64 hex digits" value)))))

(defn txt
  "The finding of `texts`, those of the TXT records, each with its strings joined. Of two that name
  different hashes both are kept, under `:hashes`."
  [texts]
  (let [found (remove nil? (map text-finding texts))
        hashes (vec (distinct (remove error/anomaly? found)))]
    (cond
      (next hashes) {:status :present :hashes hashes}
      (some error/anomaly? found) (failed (first (filter error/anomaly? found)))
      (seq hashes) {:status :present :hash (first hashes)}
      :else (absent (if (seq texts) "no text is one of v=poz1" "there is no such text")))))

;; ## SRV

(defn- decided? [{:keys [host]}] (= "." host))

(defn srv
  "The finding of `rows`, `{:priority :weight :port :host}` of each SRV record. One with the target
  \".\" says decidedly that there is no such service (RFC 2782)."
  [rows]
  (cond
    (empty? rows) (absent "there is no such record")
    (every? decided? rows) {:status :present :servers [] :because "the domain says that it has no such service"}
    :else {:status :present
           :servers (vec (for [row rows :when (not (decided? row))]
                           (update row :host #(str/replace % #"\.$" ""))))}))

;; ## The well-known file

(def ^:private encryptions {"none" :none "noise-nk" :noise-nk})

(defn- well-known-fault [server]
  (let [{:strs [host port encryption public_key]} (when (map? server) server)]
    (cond
      (not (map? server)) "a server is an object"
      (not (and (string? host) (re-matches #"[A-Za-z0-9.:-]{1,253}" host))) "host is a name or address"
      (not (and (integer? port) (< 0 port 65536))) "port is a number, 1 to 65535"
      (not (encryptions encryption)) "encryption is \"none\" or \"noise-nk\""
      (not (or (nil? public_key) (hash-of public_key))) "public_key is 64 hex digits"
      (and (= "noise-nk" encryption) (nil? public_key)) "noise-nk has a public_key")))

(defn- well-known-server [{:strs [host port encryption public_key]}]
  (cond-> {:host host :port port :encryption (encryptions encryption) :priority 0 :weight 0}
    (= "noise-nk" encryption) (assoc :public-key (hash-of public_key))))

(defn- strict-text
  "The string that the bytes are in UTF-8, or nil."
  [b]
  (try (str (.decode (.newDecoder StandardCharsets/UTF_8) (ByteBuffer/wrap (bytes/->array b))))
       (catch CharacterCodingException _ nil)))

(def ^:private deepest "How deep lists and objects may lie in each other." 32)

(defn- too-deep? [s]
  (let [steps (keep {\[ 1 \{ 1 \] -1 \} -1} s)]
    (< (long deepest) (long (reduce max 0 (reductions + steps))))))

(defn- entries
  "How many entries all objects in `value` have together."
  [value]
  (transduce (comp (filter map?) (map count)) + (tree-seq coll? seq value)))

(defn- parse-json
  "The value of the text. Where an object has a key twice the parser keeps the last: then fewer entries
  are there than keys were read, at whatever depth, however they were written."
  [s]
  (let [keys (volatile! 0)]
    (try
      (let [value (json/read-str s :extra-data-fn json/on-extra-throw :key-fn #(do (vswap! keys inc) %))]
        (if (= @keys (entries value)) value (fault :discover/well-known "each key of an object once")))
      (catch Exception e (fault :discover/well-known "JSON" (ex-message e))))))

(defn- json-of [b]
  (let [s (strict-text b)]
    (cond
      (nil? s) (fault :discover/well-known "UTF-8")
      (too-deep? s) (fault :discover/well-known (str "at most " deepest " levels"))
      :else (parse-json s))))

(defn- well-known-finding [{:strs [v original_hash servers] :as value}]
  (cond
    (not (map? value)) (failed (fault :discover/well-known "an object"))
    (not= "poz1" v) (failed (fault :discover/well-known "v is \"poz1\"" (pr-str v)))
    (nil? (hash-of original_hash)) (failed (fault :discover/well-known "original_hash is 64 hex digits" (pr-str original_hash)))
    (not (or (nil? servers) (vector? servers))) (failed (fault :discover/well-known "servers is a list"))
    :else (if-let [why (some well-known-fault servers)]
            (failed (fault :discover/well-known why))
            {:status :present :hash (hash-of original_hash) :servers (mapv well-known-server servers)})))

(defn well-known
  "The finding of the bytes of the well-known file: strict JSON in UTF-8, no key of an object twice;
  keys that are not ours are ignored."
  [b]
  (let [value (json-of b)]
    (if (error/anomaly? value) (failed value) (well-known-finding value))))
