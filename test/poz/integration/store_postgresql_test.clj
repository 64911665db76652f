(ns poz.integration.store-postgresql-test
  "The store in PostgreSQL, with a server of its own on loopback, in a folder that vanishes. It
  needs PostgreSQL's programs; as root it runs them as the user `postgres`, for they refuse."
  (:require
   [clojure.java.io :as io]
   [clojure.java.shell :as shell]
   [clojure.test :refer [deftest is testing use-fixtures]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store :as store]
   [poz.store.compliance :as compliance]
   [poz.store.postgresql :as postgresql])
  (:import
   (java.io File)
   (java.net InetAddress ServerSocket)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)
   (java.sql DriverManager)))

(set! *warn-on-reflection* true)

;; The server

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

(defn- start! [{:keys [folder port]}]
  (run-program! "pg_ctl" "-D" (str folder "/data") "-w" "-t" "120" "-l" (str folder "/log")
    "-o" (str "-p " port " -c listen_addresses=127.0.0.1 -c unix_socket_directories=" folder) "start"))

(defn- stop! [{:keys [folder]}]
  (run-program! "pg_ctl" "-D" (str folder "/data") "-w" "-m" "immediate" "stop"))

(defn- with-server [f]
  (let [folder (.toFile (Files/createTempDirectory "poz-pg" (make-array FileAttribute 0)))
        server {:folder (str folder) :port (free-port)}]
    (try
      (when (root?) (shell/sh "chown" "postgres" (str folder)))
      (run-program! "initdb" "-D" (str folder "/data") "-A" "trust" "-U" "poz" "--no-sync")
      (start! server)
      (try (binding [*server* server] (f))
           (finally (stop! server)))
      (finally (doseq [file (reverse (file-seq folder))] (io/delete-file file true))))))

(use-fixtures :once with-server)

;; Stores

(defn- url []
  (str "jdbc:postgresql://127.0.0.1:" (:port *server*) "/postgres"))

(def ^:private options {:user "poz"})

(defn- empty-store ^java.lang.AutoCloseable []
  (with-open [c (DriverManager/getConnection (str (url) "?user=poz")), s (.createStatement c)]
    (.execute s "drop table if exists entry, migration"))
  (postgresql/open (url) options))

(def ^:private k [:entry (bytes/hex-> "00")])

(deftest it-is-a-store
  (compliance/check empty-store {:trials 150})
  (compliance/check-closed empty-store))

(deftest two-servers-share-it
  (with-open [one (empty-store), two (postgresql/open (url) options)]
    (let [add! (fn [s]
                 (loop [left 40]
                   (when (pos? left)
                     (let [held (get (store/fetch s [k]) k)
                           more (bytes/concat (or held bytes/empty) (bytes/zeros 1))]
                       (recur (if (store/commit! s {k held} {k more}) (dec left) left))))))
          adding (mapv #(future (add! %)) [one two one two])]
      (is (= [nil nil nil nil] (mapv #(deref % 60000 :late) adding)))
      (is (= {k (bytes/zeros 160)} (store/fetch two [k]))))))

(deftest wrong-arguments
  (is (thrown-with-msg? IllegalArgumentException #"Unknown option :pool" (postgresql/open (url) {:pool 1})))
  (is (thrown-with-msg? IllegalArgumentException #"jdbc:postgresql:" (postgresql/open "localhost"))))

(deftest a-server-that-goes-and-comes-back
  (with-open [s (empty-store)]
    (is (true? (store/commit! s {} {k (bytes/zeros 1)})))
    (is (= {k (bytes/zeros 1)} (store/fetch s [k])))
    (stop! *server*)
    (testing "meanwhile"
      (dotimes [_ 2]
        (is (= :store/lost (:poz/error (error/attempt #(store/commit! s {} {k nil})))))
        (is (= :store/lost (:poz/error (error/attempt #(store/fetch s [k])))))
        (is (= :store/lost (:poz/error (error/attempt #(postgresql/open (url) options)))))))
    (start! *server*)
    (is (= {k (bytes/zeros 1)} (store/fetch s [k])) "what was committed outlives a server that is killed")
    (is (true? (store/commit! s {k (bytes/zeros 1)} {k nil})))))
