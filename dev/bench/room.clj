(ns bench.room
  "How many bytes of the disk a person takes, a record with a handle, in each store: `(run)`. It needs
  PostgreSQL's programs; with the alias `:integration` one node of Cassandra is filled too."
  (:require
   [bench.net.process :as process]
   [bench.records :as records]
   [clojure.java.io :as io]
   [poz.authority.state :as state]
   [poz.integration.postgresql-server :as postgresql-server]
   [poz.record :as record]
   [poz.store :as store]
   [poz.store.postgresql :as postgresql]
   [poz.store.sqlite :as sqlite])
  (:import
   (java.io File)
   (java.sql Connection DriverManager)))

(set! *warn-on-reflection* true)

(def ^:private people 5000)

(defn- changes-of
  "What the store of an authority keeps of a person."
  [i record]
  (let [hash (record/original-hash record) address ["provider.example" [] (str "ada.lovelace-" i)]]
    (merge (state/put-record hash (record/public-view record))
      (state/changes {} {:live {address {:user hash :issue hash}}} [address]))))

(defn- fill! [s all]
  (run! deref
    (doall (for [part (partition-all (quot (long people) 8) all)]
             (future (doseq [changes part] (store/commit! s {} changes)))))))

(defn- size
  "Bytes of the files in the folder."
  [folder]
  (reduce + (map #(.length ^File %) (filter #(.isFile ^File %) (file-seq (io/file folder))))))

(defn- sqlite-size [^File folder all]
  (with-open [s (sqlite/open (str (io/file folder "store.sqlite")))]
    (fill! s all))
  (size folder))

(defn- postgresql-size [all]
  (postgresql-server/with-server
    (fn []
      (with-open [s (postgresql/open (postgresql-server/url) {:user "poz"})]
        (fill! s all))
      (with-open [^Connection c (DriverManager/getConnection (str (postgresql-server/url) "?user=poz"))
                  s (.createStatement c)
                  rows (.executeQuery s "select pg_total_relation_size('entry')")]
        (.next rows)
        (.getLong rows 1)))))

(def ^:private flushed
  "What has Cassandra write its tables to the disk now."
  "alter table poz.%s with memtable_flush_period_in_ms = 1000")

(defn- cassandra-size
  "The same of one node, or nil where there is no driver of Cassandra."
  [all]
  (when-let [open (try (requiring-resolve 'poz.store.cassandra/open) (catch Exception _ nil))]
    (let [with-nodes (requiring-resolve 'poz.integration.cassandra-node/with-nodes)
          url (requiring-resolve 'poz.integration.cassandra-node/url)
          execute! (requiring-resolve 'poz.store.cassandra.session/execute!)
          connect (requiring-resolve 'poz.store.cassandra.session/connect)
          address (requiring-resolve 'poz.store.cassandra.cql/address)]
      (with-nodes 1
        (fn [[{:keys [folder]} :as nodes]]
          (let [at (url nodes "poz" 1)]
            (with-open [s ^java.lang.AutoCloseable (open at)] (fill! s all))
            (let [session (connect (address at) {:timeout 10000} true)]
              (doseq [table ["record" "handle" "noted" "prefix"]]
                (execute! session (format flushed table))))
            (Thread/sleep 15000)
            (size (io/file folder "data" "poz"))))))))

(defn- print-row [name bytes]
  (when bytes
    (println (format "%-12s %6.0f B" name (/ (double bytes) (double people))))
    (flush)))

(defn run
  "Prints the table. Takes a minute, most of it Cassandra's."
  []
  (let [{:keys [records]} (records/people 0 people)
        all (map-indexed changes-of records)
        folder (process/folder)]
    (try
      (print-row "the record" (reduce + (map (comp count record/encode) records)))
      (print-row "SQLite" (sqlite-size folder all))
      (print-row "PostgreSQL" (postgresql-size all))
      (print-row "Cassandra" (cassandra-size all))
      (finally (process/delete! folder)))))
