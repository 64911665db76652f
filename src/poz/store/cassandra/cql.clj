(ns poz.store.cassandra.cql
  "What `poz.store.cassandra` says to a cluster, as data: where it is (`address`), the
  statements, and how a key and a row of `poz.store.row` become columns and come back.

  A *table* holds the rows of a kind of key: `record` by original hash, `handle`, and `entry`
  for all others, where the kind goes before the bytes of the key. So each record is a
  partition of its own. The list of keys is in `noted`, in a partition for each kind and first
  two bytes; `prefix` tells which of those there are."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes])
  (:import
   (java.nio ByteBuffer)))

(set! *warn-on-reflection* true)

(def ^:private url-pattern
  #"cassandra://([\w.-]+(?::\d+)?(?:,[\w.-]+(?::\d+)?)*)/([a-z][a-z0-9_]{0,47})\?(.*)")

(def url-rule
  "What a URL of `poz.store.cassandra` is."
  "cassandra://HOST[:PORT][,HOST...]/KEYSPACE?dc=DATACENTRE[&replicas=N]")

(defn- parameters [s]
  (into {} (map #(let [[k v] (str/split % #"=" 2)] [k v])) (str/split s #"&")))

(defn address
  "The parts of a URL as `url-rule` has it: `{:hosts :keyspace :dc :replicas}`; nil if it is none."
  [url]
  (when-let [[_ hosts keyspace more] (when (string? url) (re-matches url-pattern url))]
    (let [{:strs [dc replicas] :as given} (parameters more)]
      (when (and (re-matches #"[\w.-]+" (or dc "")) (re-matches #"[1-9]" (or replicas "1"))
              (empty? (dissoc given "dc" "replicas")))
        {:hosts (mapv #(if (str/includes? % ":") % (str % ":9042")) (str/split hosts #","))
         :keyspace keyspace :dc dc :replicas (some-> replicas parse-long)}))))

;; ## Keys

(def ^:private tables {:record "record" :handle "handle"})

(defn- kind-text [kind] (subs (str kind) 1))

(defn partition-of
  "`[table k]` of a key."
  [[kind b]]
  (if-let [table (tables kind)]
    [table b]
    ["entry" (bytes/concat (bytes/utf8 (kind-text kind)) (bytes/zeros 1) b)]))

(defn note-of
  "`[kind prefix k]` of a key, as the list of keys has it."
  [[kind b]]
  [(kind-text kind) (bytes/slice b 0 (min 2 (count b))) b])

(defn- key->bytes [[kind b]]
  (let [text (bytes/->array (bytes/utf8 (kind-text kind)))
        out (ByteBuffer/allocate (+ 6 (alength text) (count b)))]
    (.putShort out (short (alength text)))
    (.put out text)
    (.putInt out (count b))
    (.put out (bytes/->array b))
    (bytes/wrap (.array out))))

(defn keys->bytes
  "A byte string of keys, which `bytes->keys` reads."
  [keys]
  (bytes/join (map key->bytes keys)))

(defn- take-bytes! [^ByteBuffer in n]
  (let [a (byte-array n)]
    (.get in a)
    a))

(defn bytes->keys
  "The keys in the byte string `b`."
  [b]
  (let [in (ByteBuffer/wrap (bytes/->array b))]
    (loop [out []]
      (if (.hasRemaining in)
        (let [kind (keyword (String. ^bytes (take-bytes! in (.getShort in)) "UTF-8"))]
          (recur (conj out [kind (bytes/wrap (take-bytes! in (.getInt in)))])))
        out))))

;; ## Rows

(defn columns
  "The columns of a row, in order: strings, numbers, byte strings, nil."
  [{:keys [version value lock next done]}]
  (array-map
    "version" version "value" value
    "lock_id" (:id lock) "lock_primary" (some-> (:primary lock) vector keys->bytes) "next" next
    "done_id" (:id done) "done_others" (when (seq (:others done)) (keys->bytes (:others done)))))

(defn row
  "The row with the columns, a function of their names."
  [column]
  {:version (or (column "version") 0) :value (column "value")
   :lock (when-let [id (column "lock_id")]
           {:id id :primary (first (bytes->keys (column "lock_primary")))})
   :next (column "next")
   :done (when-let [id (column "done_id")]
           {:id id :others (some-> (column "done_others") bytes->keys)})})

;; ## Statements

(def heads
  "The columns that are read where values are not needed."
  ["version" "lock_id" "lock_primary" "done_id" "done_others"])

(def wholes
  "All that are read otherwise."
  (into heads ["value" "next"]))

(defn select
  "Reads the `columns` of a row of `table`."
  [table columns]
  (str "select " (str/join ", " columns) " from " table " where k = ?"))

(defn swap
  "`[statement values]` that make the row `after` of the row `before` of `key`, if it is that."
  [key before after]
  (let [[table k] (partition-of key)
        was (columns before)
        changed (remove (fn [[name v]] (= v (was name))) (columns after))
        condition (if (pos? (long (:version before))) [(:version before)] [])]
    [(str "update " table " set " (str/join ", " (map (fn [[name]] (str name " = ?")) changed))
       " where k = ? if version = " (if (seq condition) "?" "null") " and lock_id = " (if (:lock before) "?" "null"))
     (-> (mapv second changed) (conj k) (into condition) (cond-> (:lock before) (conj (:id (:lock before)))))]))

(def note-prefix "Says that there is a prefix of a kind." "insert into prefix (kind, prefix) values (?, ?)")
(def prefixes "Reads those of a kind from one on." "select prefix from prefix where kind = ? and prefix >= ?")
(def note "Takes a key into the list." "insert into noted (kind, prefix, k) values (?, ?, ?) using timestamp ?")
(def forget "Takes one from it." "delete from noted using timestamp ? where kind = ? and prefix = ? and k = ?")
(def noted "Reads the first of a prefix." "select k from noted where kind = ? and prefix = ? limit ?")
(def noted-after "Reads those after one." "select k from noted where kind = ? and prefix = ? and k > ? limit ?")
