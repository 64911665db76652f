(ns poz.integration.postgresql-server
  "A PostgreSQL server of one's own on loopback, in a folder that vanishes. It needs PostgreSQL's
  programs; as root it runs them as the user `postgres`, for they refuse.

  `(with-server f)` calls `f` while it runs; there `url` says where, for the user `poz`, `process` is
  its process, and `stop!` and `start!` take it away and bring it back."
  (:require
   [clojure.java.io :as io]
   [clojure.java.shell :as shell]
   [clojure.string :as str])
  (:import
   (java.io File)
   (java.lang ProcessHandle)
   (java.net InetAddress ServerSocket)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)))

(set! *warn-on-reflection* true)

(def ^:private ^:dynamic *server* nil)

(defn- root? []
  (= "root" (System/getProperty "user.name")))

(defn- program
  "The path of the newest one of that name that is installed."
  [name]
  (or (->> (file-seq (io/file "/usr/lib/postgresql"))
        (filter #(and (= name (.getName ^File %)) (.canExecute ^File %)))
        (sort-by #(parse-long (or (re-find #"\d+" (str %)) "0")))
        last)
    (throw (ex-info (str "No " name " under /usr/lib/postgresql: apt-get install postgresql") {}))))

(defn- run-program! [name & args]
  (let [command (concat (when (root?) ["runuser" "-u" "postgres" "--"]) [(str (program name))] args)
        {:keys [exit out err]} (apply shell/sh (concat command [:dir "/"]))]
    (when-not (zero? (long exit))
      (throw (ex-info (str name " failed: " out err) {})))))

(defn- free-port []
  (with-open [s (ServerSocket. 0 1 (InetAddress/getLoopbackAddress))]
    (.getLocalPort s)))

(defn- start-in! [{:keys [folder port]}]
  (run-program! "pg_ctl" "-D" (str folder "/data") "-w" "-t" "120" "-l" (str folder "/log")
    "-o" (str "-p " port " -c listen_addresses=127.0.0.1 -c unix_socket_directories=" folder) "start"))

(defn- stop-in! [{:keys [folder]}]
  (run-program! "pg_ctl" "-D" (str folder "/data") "-w" "-m" "immediate" "stop"))

(defn with-server
  "Calls `f` while a new server runs; then it is gone."
  [f]
  (let [folder (.toFile (Files/createTempDirectory "poz-pg" (make-array FileAttribute 0)))
        server {:folder (str folder) :port (free-port)}]
    (try
      (when (root?) (shell/sh "chown" "postgres" (str folder)))
      (run-program! "initdb" "-D" (str folder "/data") "-A" "trust" "-U" "poz" "--no-sync")
      (start-in! server)
      (try (binding [*server* server] (f))
           (finally (stop-in! server)))
      (finally (doseq [file (reverse (file-seq folder))] (io/delete-file file true))))))

(defn url
  "The URL of its database."
  []
  (str "jdbc:postgresql://127.0.0.1:" (:port *server*) "/postgres"))

(defn process
  "The handle of its process, which has started all others of it."
  ^ProcessHandle []
  (let [pid (first (str/split-lines (slurp (str (:folder *server*) "/data/postmaster.pid"))))]
    (.get (ProcessHandle/of (parse-long pid)))))

(defn stop!
  "Takes the server away, in the midst of what it does."
  []
  (stop-in! *server*))

(defn start!
  "Brings it back."
  []
  (start-in! *server*))
