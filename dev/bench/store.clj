(ns bench.store
  "What a store does per second: `(run)` prints it for the one in memory and the one in a
  file, which is in the folder for temporary files; its disk tells what a durable commit costs.
  With the alias `:integration` also for PostgreSQL and for one node of Cassandra, which it
  starts, each with one server and with two on one database."
  (:require
   [bench.harness :as harness]
   [clojure.java.io :as io]
   [poz.bytes :as bytes]
   [poz.store :as store]
   [poz.store.sqlite :as sqlite])
  (:import
   (java.io RandomAccessFile)
   (java.nio ByteBuffer)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)))

(set! *warn-on-reflection* true)

(def ^:private entries 1000)
(def ^:private value (bytes/zeros 2048))

(defn- other-value
  "A value for each number: SQLite writes nothing where one is set to what it is."
  [n]
  (bytes/wrap (.array (.putLong (ByteBuffer/allocate 2048) (long n)))))

(defn- k [n]
  [:record (bytes/wrap (.array (.putLong (ByteBuffer/allocate 32) (long n))))])

(defn- fill! [s]
  (store/commit! s {} (into {} (map (fn [n] [(k n) value])) (range entries))))

(defn- commit-next! [s n]
  (store/commit! s {(k n) nil} {(k (rem n entries)) (other-value n)}))

(defn- rows [s]
  (let [counter (atom entries) n #(swap! counter inc)]
    [["fetch 1 of 2 KiB" #(store/fetch s [(k (rem (n) entries))])]
     ["fetch 10 of 2 KiB" #(store/fetch s (mapv k (range 10)))]
     ["scan 100 of 2 KiB" #(store/scan s :record nil 100)]
     ["commit 1 of 2 KiB if another is absent" #(commit-next! s (n))]]))

(defn- together
  "Calls the thunk `f` again and again on `threads` threads for 3 seconds: calls per second."
  [threads f]
  (let [end (+ (System/nanoTime) 3000000000)
        work #(loop [n 0] (if (< (System/nanoTime) end) (do (f) (recur (inc n))) n))]
    (/ (reduce + (mapv deref (mapv (fn [_] (future (work))) (range threads)))) 3.0)))

(defn- print-together [s]
  (doseq [threads [1 8 64]
          [name f] (map (rows s) [0 3])]
    (println (format "%-44s %12.0f /s" (str name ", " threads " threads") (together threads f)))
    (flush)))

(defn- print-servers
  "Reads per second of 8 threads at one store, and of as many at each of two on one database."
  [one two]
  (let [read #(let [s % [_ f] (first (rows s))] f)
        calls (mapv (fn [s] (read s)) [one two])
        alone (together 8 (first calls))
        both (reduce + (mapv deref (mapv #(future (together 8 %)) calls)))]
    (println (format "%-44s %12.0f /s, %.2f of one" "fetch 1 of 2 KiB, two servers" both (/ both alone)))
    (flush)))

(defn- print-shared [name open]
  (println name)
  (with-open [one ^java.lang.AutoCloseable (open), two ^java.lang.AutoCloseable (open)]
    (fill! one)
    (harness/print-rates (rows one))
    (print-together one)
    (print-servers one two)))

(defn- test-var
  "The value of a var of the integration tests, or nil where they are not on the class path."
  [name]
  (try (requiring-resolve name)
       (catch java.io.FileNotFoundException _ nil)))

(defn- print-postgresql []
  (when-let [with-server (test-var 'poz.integration.postgresql-server/with-server)]
    (let [url (test-var 'poz.integration.postgresql-server/url)
          open (requiring-resolve 'poz.store.postgresql/open)]
      (with-server #(print-shared "PostgreSQL" (fn [] (open (url) {:user "poz"})))))))

(defn- print-cassandra []
  (when-let [with-nodes (test-var 'poz.integration.cassandra-node/with-nodes)]
    (let [url (test-var 'poz.integration.cassandra-node/url)
          open (requiring-resolve 'poz.store.cassandra/open)]
      (with-nodes 1 (fn [nodes] (print-shared "Cassandra, one node" #(open (url nodes "poz" 1))))))))

(defn- syncing
  "A thunk that appends 2 KiB to the file and waits for the disk: the least a commit costs."
  [^RandomAccessFile file]
  #(do (.write file (bytes/->array value))
       (.sync (.getFD file))))

(defn run
  "Prints calls per second. Takes about a minute, three with `:integration`."
  []
  (let [folder (.toFile (Files/createTempDirectory "poz-bench" (make-array FileAttribute 0)))]
    (try
      (with-open [file (RandomAccessFile. (io/file folder "plain") "rw")]
        (harness/print-rates [["append 2 KiB to a file and synchronise it" (syncing file)]]))
      (doto (store/memory) (fill!) (-> rows harness/print-rates))
      (println "SQLite")
      (with-open [s (sqlite/open (str (io/file folder "store")))]
        (fill! s)
        (harness/print-rates (rows s))
        (print-together s))
      (print-postgresql)
      (print-cassandra)
      (finally (run! io/delete-file (reverse (file-seq folder)))))))
