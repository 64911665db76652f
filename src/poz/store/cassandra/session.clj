(ns poz.store.cassandra.session
  "A session with an Apache Cassandra cluster, by its Java driver: `connect`, then `run-all` of
  statements side by side. What fails is an anomaly: `:store/busy` where a node took too long or
  too few were there, `:store/lost` where none could be reached.

  Reads and writes are acknowledged by a majority of the replicas, conditions hold for all of
  them (QUORUM and SERIAL). The driver repeats no statement that has a condition."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error])
  (:import
   (com.datastax.oss.driver.api.core AllNodesFailedException ConsistencyLevel CqlSession CqlSessionBuilder DefaultConsistencyLevel DriverException DriverTimeoutException NoNodeAvailableException)
   (com.datastax.oss.driver.api.core.config DefaultDriverOption DriverConfigLoader ProgrammaticDriverConfigLoaderBuilder)
   (com.datastax.oss.driver.api.core.cql AsyncResultSet BoundStatement PreparedStatement Row SimpleStatement)
   (com.datastax.oss.driver.api.core.servererrors CASWriteUnknownException OverloadedException QueryConsistencyException)
   (java.nio ByteBuffer)
   (java.time Duration)
   (java.util.concurrent CompletionException CompletionStage ConcurrentHashMap ExecutionException)))

(set! *warn-on-reflection* true)

(def ^:private window "How many statements are under way at once." 128)

;; ## Failures

(defn- cause [e]
  (if (and (or (instance? CompletionException e) (instance? ExecutionException e)) (ex-cause e))
    (recur (ex-cause e))
    e))

(defn- busy? [e]
  (or (instance? QueryConsistencyException e) (instance? CASWriteUnknownException e)
    (instance? DriverTimeoutException e) (instance? OverloadedException e)
    (and (instance? AllNodesFailedException e) (not (instance? NoNodeAvailableException e))
      (every? busy? (mapcat val (.getAllErrors ^AllNodesFailedException e))))))

(defn- anomaly
  "The anomaly that the throwable `e` is, of a session that may be closed; throws a defect."
  [^CqlSession session e]
  (let [e (cause e)
        key (if (busy? e) :store/busy :store/lost)]
    (cond
      (and session (.isClosed session)) (error/anomaly :store/lost {:message "The store is closed."})
      (instance? DriverException e) (error/anomaly key {:message (str (:doc (error/table key)) ": " (ex-message e))})
      :else (throw e))))

(defn fail!
  "Throws `anomaly`."
  [anomaly]
  (throw (ex-info (:message anomaly) anomaly)))

;; ## Statements

(defn- ->column [x]
  (if (bytes/bytes? x) (ByteBuffer/wrap (bytes/->array x)) x))

(defn- <-column [^Row row ^String name]
  (let [x (.getObject row name)]
    (if (instance? ByteBuffer x)
      (let [^ByteBuffer b x, a (byte-array (.remaining b))]
        (.get (.duplicate b) a)
        (bytes/wrap a))
      x)))

(defn- prepared ^PreparedStatement [{:keys [^CqlSession session ^ConcurrentHashMap statements]} ^String cql]
  (or (.get statements cql)
    (let [p (.prepare session cql)]
      (.put statements cql p)
      p)))

(defn- bound ^BoundStatement [state {:keys [cql values settled]}]
  (let [statement (.bind (prepared state cql) (object-array (map ->column values)))
        select (str/starts-with? cql "select")]
    (cond-> ^BoundStatement statement
      settled (.setConsistencyLevel ConsistencyLevel/SERIAL)
      ;; what may be done twice may be repeated: not what has a condition
      (not (str/includes? cql " if ")) (as-> ^BoundStatement s (.setIdempotent s true))
      select (as-> ^BoundStatement s (.setPageSize s Integer/MAX_VALUE)))))

(defn- start
  "A function that waits for the statement's answer."
  [{:keys [^CqlSession session] :as state} statement]
  (let [stage (try (.executeAsync session (bound state statement))
                   (catch DriverException e e)
                   (catch IllegalStateException e e))]
    #(try (if (instance? Throwable stage) (throw stage) (.get (.toCompletableFuture ^CompletionStage stage)))
          (catch ExecutionException e (anomaly session e))
          (catch DriverException e (anomaly session e))
          (catch IllegalStateException e (if (.isClosed session) (anomaly session e) (throw e))))))

(defn run-all
  "The answers of `statements`, each a map of `:cql`, `:values` and, where a majority has to
  settle first what is under way, `:settled`: rows, functions of the names of their columns,
  or an anomaly."
  [state statements]
  (into [] (comp (partition-all window)
             (mapcat (fn [some] (mapv #(%) (mapv #(start state %) some))))
             (map (fn [answer]
                    (if (error/anomaly? answer)
                      answer
                      (mapv (fn [row] #(<-column row %)) (.currentPage ^AsyncResultSet answer))))))
    statements))

(defn run
  "The rows that one statement gives. Throws its anomaly."
  [state statement]
  (let [[answer] (run-all state [statement])]
    (if (error/anomaly? answer) (fail! answer) answer)))

;; ## Sessions

(defn- config ^DriverConfigLoader [{:keys [hosts dc]} {:keys [timeout]}]
  (let [timeout (Duration/ofMillis timeout)
        ^ProgrammaticDriverConfigLoaderBuilder b (DriverConfigLoader/programmaticBuilder)]
    (.withStringList b DefaultDriverOption/CONTACT_POINTS hosts)
    (doseq [[option text] {DefaultDriverOption/LOAD_BALANCING_LOCAL_DATACENTER dc
                           DefaultDriverOption/REQUEST_CONSISTENCY (.name DefaultConsistencyLevel/QUORUM)
                           DefaultDriverOption/REQUEST_SERIAL_CONSISTENCY (.name DefaultConsistencyLevel/SERIAL)
                           DefaultDriverOption/SESSION_NAME "poz"}]
      (.withString b option text))
    (doseq [[option time] {DefaultDriverOption/REQUEST_TIMEOUT timeout
                           DefaultDriverOption/CONNECTION_INIT_QUERY_TIMEOUT timeout
                           DefaultDriverOption/CONTROL_CONNECTION_TIMEOUT timeout
                           DefaultDriverOption/RECONNECTION_MAX_DELAY (Duration/ofSeconds 10)
                           ;; a schema is changed before the store is used, if at all, and that may take a while
                           DefaultDriverOption/CONTROL_CONNECTION_AGREEMENT_TIMEOUT (Duration/ofSeconds 30)}]
      (.withDuration b option time))
    (.build b)))

(defn connect
  "A session with the cluster at `address`, in its keyspace if `inside`. Throws an anomaly where
  there is none. To be ended with `close!`."
  [address {:keys [user password] :as options} inside]
  (let [^CqlSessionBuilder builder (-> (CqlSession/builder) (.withConfigLoader (config address options)))]
    (when user (.withAuthCredentials builder user (or password "")))
    (when inside (.withKeyspace builder ^String (:keyspace address)))
    (try {:session (.build builder) :statements (ConcurrentHashMap.)}
         (catch DriverException e (fail! (anomaly nil e))))))

(defn close!
  "Ends the session. Calling it again does nothing."
  [{:keys [^CqlSession session]}]
  (.close session))

(defn execute!
  "Runs one statement that changes the schema, and waits until all nodes have it."
  [{:keys [^CqlSession session]} ^String cql]
  (try (.execute session (.setTimeout (SimpleStatement/newInstance cql) (Duration/ofSeconds 60)))
       (catch DriverException e (fail! (anomaly session e)))))
