(ns poz.store.postgresql
  "A store in a PostgreSQL database, 11 or later: `open`.

  Several servers may share it: those that commit wait for each other, by a lock that the
  database keeps for them. A commit is as durable as the database's `synchronous_commit`
  says, which is on unless somebody turned it off."
  (:require
   [clojure.string :as str]
   [poz.store.sql :as sql])
  (:import
   (java.sql DriverManager SQLException)
   (java.util Properties)))

(set! *warn-on-reflection* true)

(def option-rows
  "The options of `open`: `:doc`, `:default`, `:check`, `:rule`."
  {:user {:doc "who connects, if the URL does not say" :default nil :check string? :rule "a string"}
   :password {:doc "the user's password, if one is needed" :default nil :check string? :rule "a string"}
   :busy-timeout {:doc "milliseconds to wait while another server commits, or for a free connection" :default 5000
                  :check #(and (int? %) (<= 1 (long %) 600000)) :rule "an integer of 1 to 600000"}
   :readers {:doc "connections for reading, at most" :default 8
             :check #(and (int? %) (<= 1 (long %) 256)) :rule "an integer of 1 to 256"}})

(def ^:private write-lock
  "The number of the advisory lock that whoever commits holds: POZ in ASCII."
  0x504f5a)

(def ^:private busy-states
  "The SQLSTATEs that pass: a conflict, a deadlock, a lock not had in time, too many
  connections, and a server that is starting or stopping."
  #{"40001" "40P01" "55P03" "53300" "57P03"})

(defn- check-url! [url]
  (when-not (and (string? url) (str/starts-with? url "jdbc:postgresql:"))
    (throw (IllegalArgumentException. "The URL of a store begins with jdbc:postgresql:"))))

(defn- properties ^Properties [{:keys [user password busy-timeout]}]
  (let [p (doto (Properties.)
            (.setProperty "ApplicationName" "poz")
            (.setProperty "connectTimeout" "10")
            (.setProperty "socketTimeout" (str (+ 30 (quot (long busy-timeout) 1000))))
            (.setProperty "tcpKeepAlive" "true")
            (.setProperty "options" (str "-c lock_timeout=" busy-timeout)))]
    (when user (.setProperty p "user" user))
    (when password (.setProperty p "password" password))
    p))

(defn database
  "The description of the PostgreSQL database at `url`, for `poz.store.sql/open`."
  [url options]
  (check-url! url)
  (let [{:keys [busy-timeout readers] :as options} (sql/checked option-rows options)]
    {:connect (fn [_] (DriverManager/getConnection ^String url (properties options)))
     :place (constantly url)
     :begin-read ["begin isolation level repeatable read read only"]
     :begin-write ["begin isolation level read committed" (str "select pg_advisory_xact_lock(" write-lock ")")]
     :blob "bytea"
     :busy? (fn [^SQLException e] (contains? busy-states (.getSQLState e)))
     :readers readers
     :patience busy-timeout}))

(defn open
  "The store in the database at `url`, `jdbc:postgresql://HOST:PORT/DATABASE`; its tables are
  made if they are not there. `with-open` works with it. Throws the anomaly `:store/lost`
  if the database cannot be used, `:store/busy` if it can in a moment.

  | option          | meaning                                                                     |
  |-----------------|-----------------------------------------------------------------------------|
  | `:user`         | who connects, if the URL does not say                                       |
  | `:password`     | the user's password, if one is needed                                       |
  | `:busy-timeout` | ms to wait while another server commits, or for a free connection, or 5000  |
  | `:readers`      | connections for reading, at most, or 8                                      |"
  (^java.lang.AutoCloseable [url] (open url {}))
  (^java.lang.AutoCloseable [url options] (sql/open (database url options))))
