(ns poz.store.sqlite
  "A store in a file, by SQLite: `open`.

  What `commit!` has acknowledged is on the disk: the write-ahead log is synchronised before
  the answer. Beside the file lie two more while it is open, with `-wal` and `-shm` after its
  name; they belong to it. Several processes of one machine may use one file; a file on a
  network's disk is no place for it."
  (:require
   [poz.error :as error]
   [poz.store.sql :as sql])
  (:import
   (java.io IOException)
   (java.nio.file Files LinkOption Path)
   (java.nio.file.attribute BasicFileAttributes)
   (java.sql Connection SQLException)
   (org.sqlite SQLiteConfig SQLiteConfig$SynchronousMode SQLiteOpenMode)))

(set! *warn-on-reflection* true)

(def option-rows
  "The options of `open`: `:doc`, `:default`, `:check`, `:rule`."
  {:busy-timeout {:doc "milliseconds to wait while another process writes, or for a free connection" :default 5000
                  :check #(and (int? %) (<= 0 (long %) 600000)) :rule "an integer of 0 to 600000"}
   :readers {:doc "connections for reading, at most" :default 4
             :check #(and (int? %) (<= 1 (long %) 256)) :rule "an integer of 1 to 256"}})

(defn- check-path! [path]
  (when-not (and (string? path) (re-find #"^(?!:|file:)[^?\x00]+$" path))
    (throw (IllegalArgumentException. (str "The path of a store is that of a file, without ?, not " (pr-str path))))))

(defn- config ^SQLiteConfig [role busy-timeout]
  (let [c (doto (SQLiteConfig.)
            (.setBusyTimeout (int busy-timeout))
            (.setGetGeneratedKeys false) ; which would be asked for, and parsed, with each write
            (.setSynchronous SQLiteConfig$SynchronousMode/FULL))]
    ;; only the first connection may make the file: one that is lost is not to come back empty
    (when (= :writer role) (.resetOpenMode c SQLiteOpenMode/CREATE))
    (when (= :reader role) (.setReadOnly c true))
    c))

(defn- write-ahead!
  "Has the file use a write-ahead log, which stays so, and a real synchronisation on macOS."
  [^Connection connection]
  (with-open [s (.createStatement connection)]
    (.execute s "pragma fullfsync = 1")
    (with-open [answer (.executeQuery s "pragma journal_mode = wal")]
      (when-not (and (.next answer) (= "wal" (.getString answer 1)))
        (error/fail! :store/lost {:message "The file system of the store cannot have a write-ahead log: choose another."})))))

(defn- connect ^Connection [path busy-timeout role]
  (let [connection (.createConnection (config role busy-timeout) (str "jdbc:sqlite:" path))]
    (when-not (= :reader role)
      (try (write-ahead! connection)
           (catch Throwable e (.close connection) (throw e))))
    connection))

(defn- place
  "Which file it is that has the name, nil for none. A connection goes on with a file that
  was removed, and what it commits there is lost."
  [^String path]
  (try
    (let [attributes (Files/readAttributes (Path/of path (make-array String 0)) BasicFileAttributes
                       ^"[Ljava.nio.file.LinkOption;" (make-array LinkOption 0))]
      (or (.fileKey attributes) :unknown))
    (catch IOException _ nil)))

(defn- busy?
  "True for SQLITE_BUSY and SQLITE_LOCKED."
  [^SQLException e]
  (contains? #{5 6} (bit-and 0xff (.getErrorCode e))))

(defn database
  "The description of the SQLite database in the file `path`, for `poz.store.sql/open`."
  [path options]
  (check-path! path)
  (let [{:keys [busy-timeout readers]} (sql/checked option-rows options)]
    {:connect #(connect path busy-timeout %)
     :place #(place path)
     :begin-read ["begin"]
     :begin-write ["begin immediate"]
     :blob "blob"
     :busy? busy?
     :readers readers
     :patience busy-timeout}))

(defn open
  "The store in the file `path`, which is made if it is not there; its folder must be.
  `with-open` works with it. Throws the anomaly `:store/lost` if the file is not a store or
  cannot be used.

  | option          | meaning                                                                    |
  |-----------------|----------------------------------------------------------------------------|
  | `:busy-timeout` | ms to wait while another process writes, or for a free connection, or 5000 |
  | `:readers`      | connections for reading, at most, or 4                                     |"
  (^java.lang.AutoCloseable [path] (open path {}))
  (^java.lang.AutoCloseable [path options] (sql/open (database path options))))
