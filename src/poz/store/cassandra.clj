(ns poz.store.cassandra
  "A store in an Apache Cassandra cluster, 5.0 or later: `open`. For what no single database
  holds; its driver is not on the class path unless the alias `:cassandra` puts it there.

  Any number of servers may share it, and any node may go: what `commit!` has acknowledged a
  majority of the replicas of each entry has, and one that reads asks a majority. With three
  replicas one may be missing. When a node's disk has it is for `commitlog_sync` in its
  cassandra.yaml: `periodic`, as it comes, may lose the last seconds if the power of a majority
  fails at once; `batch` and `group` wait for the disk. A record is a partition of its own, and
  so is a handle, so that records have nothing to wait for in each other.

  Cassandra compares and sets rows of one partition at a time (lightweight transactions). How
  several keys yet change at one moment, whoever dies in the midst of it, is told where it is
  done: `poz.store.rows`. Here is what it stands on:

  - A swap is one conditional update with SERIAL consistency, on the version and the lock of the
    row: one key costs a read and one of them, `n` keys cost `2n`.
  - A swap that timed out may have happened, or may yet. A read with SERIAL consistency ends
    what is under way and tells; if it did not happen it is tried again, and the versions
    see to it that it happens once.
  - Reads are plain ones of a majority: cheap, and they see all that was acknowledged. They see
    no decision that may yet not be one, for it is written to the tables once a majority
    agreed to it.
  - The list of keys, which only `scan` needs, is written before a key gets a value and cleared
    after it lost it. The version is the time stamp of both, so it does not matter who
    comes late.

  The row of a removed key stays, without its value, for its version. The handles of one domain
  have their list in one partition, which is good for some millions of them. `paxos_variant: v2`
  in the nodes' cassandra.yaml saves a round trip per swap.

  The keyspace is made if it is not there and the URL says how many replicas it has; the tables
  are made by the first server that comes, which has to be alone until it serves."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store :as store]
   [poz.store.cassandra.cql :as cql]
   [poz.store.cassandra.session :as session]
   [poz.store.rows :as rows]
   [poz.store.sql :as sql])
  (:import
   (java.util.concurrent ConcurrentHashMap)))

(set! *warn-on-reflection* true)

(def option-rows
  "The options of `open`: `:doc`, `:default`, `:check`, `:rule`."
  {:user {:doc "who connects" :default nil :check string? :rule "a string"}
   :password {:doc "the user's password, if one is needed" :default nil :check string? :rule "a string"}
   :patience {:doc "milliseconds after which the unfinished commit of another is undone" :default 1000
              :check #(and (int? %) (<= 1 (long %) 600000)) :rule "an integer of 1 to 600000"}
   :timeout {:doc "milliseconds that a statement may take" :default 10000
             :check #(and (int? %) (<= 1 (long %) 600000)) :rule "an integer of 1 to 600000"}})

;; ## Tables

(def migrations
  "The names of the steps that make the tables, in order, as in `poz.store.sql/migrations`."
  ["cassandra-0001-rows"])

(defn- make-keyspace! [{:keys [keyspace dc replicas] :as address} options]
  (let [s (session/connect address options false)]
    (try (session/execute! s (str "create keyspace if not exists " keyspace " with replication = "
                               "{'class': 'NetworkTopologyStrategy', '" dc "': " replicas "}"))
         (finally (session/close! s)))))

(defn- migrate!
  "Takes the steps that were not taken yet. A step may be taken twice."
  [state]
  (session/execute! state "create table if not exists migration (name text primary key)")
  (let [done (set (map #(% "name") (session/run state {:cql "select name from migration"})))]
    (store/check-migrations! migrations done)
    (doseq [name (remove done migrations)]
      (run! #(session/execute! state %) (remove str/blank? (str/split (store/migration (str name ".cql")) #";")))
      (session/run state {:cql "insert into migration (name) values (?)" :values [name]}))))

;; ## Rows

(defn- all-of [state statements]
  (let [answers (session/run-all state statements)]
    (run! session/fail! (filter error/anomaly? answers))
    answers))

(defn- reading [key part]
  (let [[table k] (cql/partition-of key)
        columns (if (= :head part) cql/heads cql/wholes)]
    {:cql (cql/select table columns) :values [k] :columns (set columns)}))

(defn- row-of [{:keys [columns]} [found]]
  (when found (cql/row #(when (columns %) (found %)))))

(defn- read-all [state keys part]
  (let [statements (mapv #(reading % part) keys)]
    (into {} (keep (fn [[k row]] (when row [k row])))
      (map vector keys (map row-of statements (all-of state statements))))))

(defn- swapped [answer]
  (if (error/anomaly? answer) answer ((first answer) "[applied]")))

(defn- note-prefixes!
  "Notes the prefixes that nobody has noted as far as this process knows."
  [{:keys [^ConcurrentHashMap prefixes] :as state} pairs]
  (let [new (remove #(.containsKey prefixes %) (distinct pairs))]
    (all-of state (for [pair new] {:cql cql/note-prefix :values pair}))
    (doseq [pair new] (.put prefixes pair true))))

(defn- note-all! [state notes]
  (let [noted (for [[key version] notes] (conj (cql/note-of key) version))]
    (note-prefixes! state (map #(subvec % 0 2) noted))
    (all-of state (for [values noted] {:cql cql/note :values values}))))

(defn- forget-all! [state notes]
  (all-of state (for [[key version] notes] {:cql cql/forget :values (into [version] (cql/note-of key))})))

(defn- noted-in [state kind prefix after n]
  (let [[kind-text own-prefix k] (when after (cql/note-of [kind after]))
        statement (if (= prefix own-prefix)
                    {:cql cql/noted-after :values [kind-text prefix k (int n)]}
                    {:cql cql/noted :values [(first (cql/note-of [kind prefix])) prefix (int n)]})]
    (map (fn [row] [kind (row "k")]) (session/run state statement))))

(defn- noted-all [state kind after limit]
  (let [from (or after bytes/empty)
        [kind-text prefix] (cql/note-of [kind from])]
    (reduce (fn [out prefix]
              (if (< (count out) (long limit))
                (into out (noted-in state kind prefix after (- (long limit) (count out))))
                (reduced out)))
      [] (map #(% "prefix") (session/run state {:cql cql/prefixes :values [kind-text prefix]})))))

(defrecord CassandraRows [session statements prefixes]
  rows/Rows
  (read-rows [this keys part] (read-all this keys part))
  (read-settled [this key]
    (let [statement (assoc (reading key :all) :settled true)]
      (row-of statement (session/run this statement))))
  (swap-rows! [this swaps]
    (mapv swapped (session/run-all this (for [[key before after] swaps
                                              :let [[cql values] (cql/swap key before after)]]
                                          {:cql cql :values values}))))
  (note-keys! [this notes] (note-all! this notes))
  (forget-keys! [this notes] (forget-all! this notes))
  (noted-keys [this kind after limit] (noted-all this kind after limit))
  (close-rows! [this] (session/close! this)))

(defn open
  "The store in the keyspace at `url`, `cassandra://HOST:PORT,HOST.../KEYSPACE?dc=DATACENTRE`, to which
  `&replicas=3` may be added. `with-open` works with it. Throws the anomaly `:store/lost` if the
  cluster cannot be used, `:store/busy` if it can in a moment.

  | option      | meaning                                                               |
  |-------------|-----------------------------------------------------------------------|
  | `:user`     | who connects                                                          |
  | `:password` | the user's password, if one is needed                                 |
  | `:patience` | ms after which the unfinished commit of another is undone, or 1000    |
  | `:timeout`  | ms that a statement may take, or 10000                                |"
  (^java.lang.AutoCloseable [url] (open url {}))
  (^java.lang.AutoCloseable [url options]
   (let [{:keys [patience] :as options} (sql/checked option-rows options)
         address (or (cql/address url) (throw (IllegalArgumentException. (str "The URL of a store is " cql/url-rule))))]
     (when (:replicas address) (make-keyspace! address options))
     (let [state (map->CassandraRows (assoc (session/connect address options true) :prefixes (ConcurrentHashMap.)))]
       (try (migrate! state)
            (rows/store state patience)
            (catch Throwable t (session/close! state) (throw t)))))))
