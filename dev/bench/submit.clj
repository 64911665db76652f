(ns bench.submit
  "Verified submissions beside bare durable writes of the same rows by SQLite: `(run)`.

  A server's updates, each with a new grant and its signature by keys that the verifier has not seen
  for long, are handed to it as bytes, one after the other and by many at a time, and end
  in a SQLite file that is synchronised for each commit. The baselines are statements of JDBC on such a
  file, the same rows and a transaction for each, and the store's `commit!` of them, with no
  server before it. All on the folder for temporary files: what its disk takes to
  synchronise decides what there is to win, and is told.

  Where the disk is fast, the processors are the limit: so the verdicts alone are measured too, on all
  of them at a time, with nothing stored: decoding an update, and judging it by what is held. The server remembers what it
  has taken (`poz.authority.held`); the submissions that it does not remember are to records that were
  last taken before it started."
  (:require
   [bench.harness :as harness]
   [bench.net.process :as process]
   [clojure.java.io :as io]
   [poz.bytes :as bytes]
   [poz.handles :as h]
   [poz.record :as record]
   [poz.store :as store]
   [poz.store.sqlite :as sqlite]
   [poz.system :as system]
   [poz.update :as update]
   [poz.wire :as wire])
  (:import
   (com.github.benmanes.caffeine.cache Cache)
   (java.io File RandomAccessFile)
   (java.sql Connection DriverManager PreparedStatement)
   (java.util.concurrent.atomic AtomicLong)))

(set! *warn-on-reflection* true)

(def ^:private population 600)
(def ^:private warm-up 30)
(def ^:private rounds 7)
(def ^:private together 64)

(defn- now [] (System/currentTimeMillis))

;; ## The server and its people

(defn- ask [{:keys [handle]} b type]
  (wire/decode-response (handle {:bytes b :contract :submit :address "127.0.0.1"}) type))

(defn- answered [server {:keys [type] :as request} status]
  (let [response (ask server (wire/encode-request (assoc request :id 1)) type)]
    (when-not (= status (:status response)) (throw (ex-info "Refused." {:response response})))
    (:payload response)))

(defn- activated [{:keys [hash] :as server} i]
  (let [t (- (long (now)) 100000) p (h/person (str "person " i) t)
        address {:handle (str "person-" i) :domain "bench.example" :path []}
        entry (answered server {:type :submit-request :payload (h/request p hash address (now))} :ok)
        p (h/accepting p entry (+ t 1))]
    (answered server {:type :submit-signed :payload (h/update-of p)} :accepted)
    (h/serving p 443 (+ t 2))))

(defn- with-server [file f]
  (with-open [s ^java.lang.AutoCloseable (sqlite/open (str file))]
    (let [server (system/start {:domains ["bench.example"] :data nil :store s :policy :approve
                                :plain-port 0 :query-port 0 :submit-port 0})]
      (try (f server) (finally (system/stop server))))))

(defn- later [people]
  (mapv (fn [{:keys [record] :as p}]
          (let [{:keys [serial timestamp]} (:grant (:service-zone record))]
            (h/serving p (+ 443 (long serial)) (inc (long timestamp)))))
    people))

(defn- submissions [people]
  (mapv #(wire/encode-request {:type :submit :id 1 :payload (h/update-of %)}) people))

;; ## The ways: functions of a number, each does its part with that submission or row

(defn- submitting [server submissions]
  (fn [i]
    (when-not (= :ok (:status (ask server (submissions i) :submit)))
      (throw (ex-info "Refused." {:submission i})))))

(defn- row-of [{:keys [record]}]
  [[:record (h/hash-of record)] (record/encode (record/public-view record))])

(defn- committing [s rows]
  (fn [i]
    (let [[k v] (rows i)]
      (when-not (store/commit! s {} {k v}) (throw (ex-info "Not committed." {}))))))

(defn- bare-connection ^Connection [file]
  (let [c (DriverManager/getConnection (str "jdbc:sqlite:" file))]
    (with-open [s (.createStatement c)]
      (run! #(.execute s %) ["pragma journal_mode = wal" "pragma synchronous = full"
                             "create table entry (kind text not null, k blob not null, v blob not null, primary key (kind, k))"]))
    (.setAutoCommit c false)
    c))

(defn- writing [^Connection c rows]
  (let [^PreparedStatement s (.prepareStatement c "insert into entry (kind, k, v) values (?, ?, ?) on conflict (kind, k) do update set v = excluded.v")
        rows (mapv (fn [[[_ k] v]] [(bytes/->array k) (bytes/->array v)]) rows)]
    (fn [i]
      (let [[k v] (rows i)]
        (.setString s 1 "record") (.setBytes s 2 k) (.setBytes s 3 v)
        (.execute s)
        (.commit c)))))

;; ## Measuring

(defn- on-threads [threads f]
  (let [next (AtomicLong.)
        work #(loop []
                (let [i (.getAndIncrement next)]
                  (when (< i (long population)) (f i) (recur))))]
    (run! deref (mapv (fn [_] (future (work))) (range threads)))))

(defn- timed
  "[µs, µs of this process's CPU] for one of them all."
  [threads f]
  (let [from (System/nanoTime) cpu (harness/cpu-ns)]
    (on-threads threads f)
    (mapv #(/ (double %) 1e3 (double population)) [(- (System/nanoTime) from) (- (harness/cpu-ns) cpu)])))

(defn- sync-µs [^File file]
  (with-open [f (RandomAccessFile. file "rw")]
    (/ (double (harness/measure #(do (.write f (byte-array 2048)) (.sync (.getFD f))))) 1e3)))

(defn- forget! [server]
  (.invalidateAll ^Cache (:held (:authority server))))

(defn- taken
  "The public records of `people` as a server has them that took them."
  [people t]
  (mapv #(:record (update/apply-update nil (record/public-view (:record %)) {:now t})) people))

(defn- judging
  "Judges the updates from the records of `before` to those of `after`."
  [before after]
  (let [t (now) held (taken before t) updates (mapv h/update-of after)]
    (fn [i]
      (when-not (:record (update/apply-update (held i) (record/decode (updates i)) {:now t}))
        (throw (ex-info "Not taken." {:update i}))))))

(def ^:private cores (.availableProcessors (Runtime/getRuntime)))

(def ^:private verdicts (str "verdicts alone, " cores " at a time"))

(defn- round-of
  "Name → `[µs cpu]`, of people one revision later for each way that submits: `[people times]`."
  [server s bare people]
  (let [one (later people) many (later one) strangers (later many)
        submit-one (submitting server (submissions one)) submit-many (submitting server (submissions many))
        submit-strangers (submitting server (submissions strangers))
        judge (judging people one)
        rows (mapv row-of many)]
    [strangers
     {"bare, one by one" (timed 1 (writing bare rows))
      verdicts (timed cores judge)
      "submissions, one by one" (timed 1 submit-one)
      "submissions, 64 at a time" (timed together submit-many)
      "the same, not remembered" (do (forget! server) (timed together submit-strangers))
      "commit!, one by one" (timed 1 (committing s (mapv row-of one)))
      "commit!, 64 at a time" (timed together (committing s rows))}]))

(defn- ratio [times a b]
  (harness/median (mapv / (map first (times b)) (map first (times a)))))

(defn- print-table [times]
  (doseq [name ["bare, one by one" "commit!, one by one" "commit!, 64 at a time" "submissions, one by one" "submissions, 64 at a time"
                "the same, not remembered" verdicts]
          :let [[t cpu] (apply map vector (times name))]]
    (println (format "%-28s %8.0f /s %8.0f µs  CPU %6.0f µs  %5.2f × bare  %5.2f × verdicts alone" name (/ 1e6 (double (harness/median t)))
               (harness/median t) (harness/median cpu) (ratio times name "bare, one by one") (ratio times name verdicts))))
  (doseq [name ["commit!" "submissions"]]
    (println (format "%-28s %8.2f × one by one" (str name ", 64 at a time")
               (ratio times (str name ", 64 at a time") (str name ", one by one"))))))

(defn run
  "Prints the table. Takes about two minutes."
  []
  (let [folder (process/folder)]
    (try
      (println (format "append 2 KiB and synchronise: %.0f µs" (sync-µs (io/file folder "plain"))))
      (with-open [bare (bare-connection (io/file folder "bare"))
                  s ^java.lang.AutoCloseable (sqlite/open (str (io/file folder "store")))]
        (with-server (io/file folder "server")
          (fn [server]
            (let [people (mapv #(activated server %) (range population))
                  _ (run! (submitting server (submissions people)) (range population))
                  [people & results] (loop [people people results [] left (+ (long warm-up) (long rounds))]
                                       (if (zero? left)
                                         (cons people results)
                                         (let [[people result] (round-of server s bare people)]
                                           (recur people (conj results result) (dec left)))))
                  times (apply merge-with into (map #(update-vals % vector) (drop warm-up results)))]
              (print-table times)))))
      (finally (process/delete! folder)))))
