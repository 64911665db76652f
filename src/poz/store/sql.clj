(ns poz.store.sql
  "A store in a database that speaks SQL: `open` makes one from a description of the
  database, which `poz.store.sqlite` and `poz.store.postgresql` give.

  All is in one table, `entry`. One connection writes, and all commits that are waiting go into one
  transaction of the database (`poz.store.group`): each is held against what those before it
  left, and all are answered after the one `commit`, so that many writers share the price of
  one write to the disk. Readers have connections of their own.

  A connection that fails is closed, which undoes what it had begun, and the next call opens
  another; so a store whose database comes back works again by itself. Until then it
  throws the anomaly `:store/lost`, or `:store/busy` where waiting helps.

  Nothing here knows one database from another, and nothing knows what the entries mean."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store :as store]
   [poz.store.group :as group]
   [poz.verify :as verify])
  (:import
   (java.sql Connection PreparedStatement ResultSet SQLException)
   (java.util HashMap)
   (java.util.concurrent ConcurrentLinkedDeque Semaphore TimeUnit)
   (java.util.concurrent.atomic AtomicBoolean)))

(set! *warn-on-reflection* true)

(def migrations
  "The names of the steps that make the tables, in order, each a file of SQL under
  `poz/store/migrations`. A file that was released does not change: more are added."
  ["0001-entry"])

(def ^:private most-at-once
  "How many commits share one transaction at most."
  256)

(defn checked
  "The `options` of a store, and by default what they do not give; `rows` describes them. A
  wrong one is an IllegalArgumentException."
  [rows options]
  (verify/check-options! options (set (keys rows)))
  (doseq [[k v] options, :let [{:keys [check rule]} (rows k)] :when (not (check v))]
    (throw (IllegalArgumentException. (str k " is " rule ", not " (pr-str v)))))
  (merge (update-vals rows :default) options))

;; A link is a connection with the statements that were prepared on it, and what is found
;; at the place of the database.

(deftype Link [^Connection connection ^HashMap statements place])

(defn- connect [{:keys [connect place]} role]
  (let [connection (connect role)]
    (Link. connection (HashMap.) (place))))

(defn- check-place!
  "Throws where the link's database is not what others find any more."
  [{:keys [place]} ^Link link]
  (when-not (= (.-place link) (place))
    (throw (SQLException. "the file of the database was moved, replaced or removed"))))

(defn- discard! [^Link link]
  (try (.close ^Connection (.-connection link))
       (catch SQLException _ nil)))

(defn- statement ^PreparedStatement [^Link link ^String sql]
  (let [^HashMap kept (.-statements link)]
    (or (.get kept sql)
        (let [prepared (.prepareStatement ^Connection (.-connection link) sql)]
          (.put kept sql prepared)
          prepared))))

(defn- bind! ^PreparedStatement [^PreparedStatement s parameters]
  (reduce (fn [^long i x]
            (cond
              (string? x) (.setString s i x)
              (clojure.core/bytes? x) (.setBytes s i x)
              :else (.setLong s i (long x)))
            (inc i))
    1 parameters)
  s)

(defn- execute! [link sql & parameters]
  (.execute (bind! (statement link sql) parameters)))

(defn- query
  "What the function `row` makes of each row."
  [link sql parameters row]
  (with-open [^ResultSet rows (.executeQuery (bind! (statement link sql) parameters))]
    (loop [out (transient [])]
      (if (.next rows)
        (recur (conj! out (row rows)))
        (persistent! out)))))

(defn- in-transaction
  "Does `f` between the statements `begin` and the commit. Where it throws, the link is to be
  discarded."
  [link begin f]
  (run! #(execute! link %) begin)
  (let [result (f)]
    (execute! link "commit")
    result))

;; Migrations

(defn- migration-sql ^String [{:keys [blob]} name]
  (str/replace (store/migration (str name ".sql")) #"\bblob\b" blob))

(defn- migrate!
  "Takes the steps that the database has not taken yet."
  [database link]
  (in-transaction link (:begin-write database)
    (fn []
      (execute! link "create table if not exists migration (name text primary key)")
      (let [done (query link "select name from migration" [] #(.getString ^ResultSet % 1))]
        (store/check-migrations! migrations done)
        (doseq [name (remove (set done) migrations)]
          (execute! link (migration-sql database name))
          (execute! link "insert into migration (name) values (?)" name))))))

;; Entries

(def ^:private get-sql "select v from entry where kind = ? and k = ?")
(def ^:private first-sql "select k, v from entry where kind = ? order by k limit ?")
(def ^:private next-sql "select k, v from entry where kind = ? and k > ? order by k limit ?")
(def ^:private remove-sql "delete from entry where kind = ? and k = ?")
(def ^:private put-sql
  "insert into entry (kind, k, v) values (?, ?, ?) on conflict (kind, k) do update set v = excluded.v")

(defn- kind-text [kind]
  (subs (str kind) 1))

(defn- key-parameters [k]
  (when-not (store/key? k)
    (throw (IllegalArgumentException. (str "Not a key of a store: " (pr-str k)))))
  [(kind-text (first k)) (bytes/->array (second k))])

(defn- check-value! [v]
  (when-not (or (nil? v) (bytes/bytes? v))
    (throw (IllegalArgumentException. "A value of a store is a byte string, or nil for none."))))

(defn- column [^ResultSet row ^long i]
  (bytes/wrap (or (.getBytes row i) (byte-array 0))))

(defn- value [link parameters]
  (first (query link get-sql parameters #(column % 1))))

(defn- values [link pairs]
  (into {} (keep (fn [[k parameters]] (when-let [v (value link parameters)] [k v]))) pairs))

(defn- page [link kind after limit]
  (let [text (kind-text kind)
        pair (fn [row] [[kind (column row 1)] (column row 2)])]
    (if after
      (query link next-sql [text (bytes/->array after) limit] pair)
      (query link first-sql [text limit] pair))))

(defn- change! [link [parameters v]]
  (if v
    (apply execute! link put-sql (conj parameters v))
    (apply execute! link remove-sql parameters)))

(defn- decide!
  "Does what one waiting commit asks for if its expectations hold; true if they do."
  [link {:keys [expected changes]}]
  (let [holds (every? (fn [[parameters v]] (= v (value link parameters))) expected)]
    (when holds (run! #(change! link %) changes))
    holds))

;; Failures

(defn- closed! []
  (error/fail! :store/lost {:message "The store is closed."}))

(defn- rethrow!
  "Throws `e`, as an anomaly with its sentence if it is the database that failed."
  [{:keys [busy?]} e]
  (if (instance? SQLException e)
    (let [error (if (busy? e) :store/busy :store/lost)]
      (error/fail! error {:message (str (:doc (error/table error)) ": " (ex-message e))}))
    (throw e)))

;; Reading

(defn- drop-idle! [^ConcurrentLinkedDeque idle]
  (loop []
    (when-let [link (.poll idle)]
      (discard! link)
      (recur))))

(defn- lend
  "What `f` makes of a link for reading. If it fails, so may the others that are idle."
  [{:keys [database ^ConcurrentLinkedDeque idle ^AtomicBoolean closed]} f]
  (let [link (or (.poll idle) (connect database :reader))]
    (try
      (let [result (f link)]
        (check-place! database link)
        (.push idle link)
        (when (.get closed) (drop-idle! idle))
        result)
      (catch Throwable e
        (discard! link)
        (drop-idle! idle)
        (throw e)))))

(defn- with-reader [{:keys [database ^Semaphore readers ^AtomicBoolean closed] :as state} f]
  (when (.get closed) (closed!))
  (when-not (.tryAcquire readers (long (:patience database)) TimeUnit/MILLISECONDS)
    (error/fail! :store/busy {:message "All connections for reading are in use."}))
  (try
    (lend state f)
    (catch SQLException e (rethrow! database e))
    (finally (.release readers))))

(defn- fetch-keys [{:keys [database] :as state} keys]
  (let [pairs (mapv (juxt identity key-parameters) (distinct keys))
        begin (:begin-read database)]
    (with-reader state
      (fn [link]
        (if (next pairs)
          (in-transaction link begin #(values link pairs))
          (values link pairs))))))

;; Writing

(defn- commit-group!
  "Decides the waiting commits in one transaction: the answers. If it fails, so does each, and the next
  group gets another link."
  [{:keys [database link]} group]
  (let [opened (or @link (connect database :writer))]
    (try
      (vreset! link nil)
      (let [answers (in-transaction opened (:begin-write database)
                      (fn [] (mapv #(decide! opened %) group)))]
        (check-place! database opened)
        (vreset! link opened)
        answers)
      (finally (when-not @link (discard! opened))))))

(defn- commit-changes! [{:keys [database group]} expected changes]
  (run! check-value! (concat (vals expected) (vals changes)))
  (let [item {:expected (mapv (fn [[k v]] [(key-parameters k) v]) expected)
              :changes (mapv (fn [[k v]] [(key-parameters k) (some-> v bytes/->array)]) changes)}
        answer (try (group/answer group item)
                    (catch SQLException e (rethrow! database e)))]
    (if (nil? answer) (closed!) answer)))

;; The store

(deftype SqlStore [state]
  store/Store
  (fetch [_ keys] (fetch-keys state keys))
  (scan [_ kind after limit]
    (with-reader state #(page % kind after (max 0 (long limit)))))
  (commit! [_ expected changes] (commit-changes! state expected changes))
  (close! [_]
    (group/close! (:group state))
    (.set ^AtomicBoolean (:closed state) true)
    (some-> @(:link state) discard!)
    (drop-idle! (:idle state)))
  java.lang.AutoCloseable
  (close [this] (store/close! this)))

(defn- first-link [database]
  (try
    (let [link (connect database :creator)]
      (try (migrate! database link)
           link
           (catch Throwable e (discard! link) (throw e))))
    (catch SQLException e (rethrow! database e))))

(defn open
  "The store in the `database`, whose tables are made if they are not there; `with-open` works
  with it. Throws an anomaly if it cannot be used. A description of a database is a map:

  | key            | meaning                                                                 |
  |----------------|-------------------------------------------------------------------------|
  | `:connect`     | a function of `:creator`, `:writer` or `:reader`: a new `Connection`    |
  | `:place`       | a function of nothing: a value that changes when the database is replaced |
  | `:begin-read`  | the statements that begin a transaction which sees one moment           |
  | `:begin-write` | those that begin one which no other that writes runs beside             |
  | `:blob`        | the type of a column of bytes                                           |
  | `:busy?`       | whether a `SQLException` means that it may go well later                |
  | `:readers`     | how many connections for reading there are at most                      |
  | `:patience`    | how many milliseconds a reader waits for one of them                    |"
  ^java.lang.AutoCloseable [{:keys [readers] :as database}]
  (let [writing {:database database :link (volatile! (first-link database))}]
    (->SqlStore (assoc writing
                  :group (group/group most-at-once #(commit-group! writing %))
                  :closed (AtomicBoolean.)
                  :readers (Semaphore. (int readers))
                  :idle (ConcurrentLinkedDeque.)))))
