(ns bench.servers
  "Several `poz serve` on one PostgreSQL, beside one: `(run)`. It needs PostgreSQL's programs, and a
  cgroup of CPU that this user may make.

  Servers, PostgreSQL and the load share this machine, so each server gets no more than a third of
  a processor, which leaves room: a server that is the bottleneck shows what another adds. First no
  ready-made answers are kept, and every lookup comes to PostgreSQL; then they are, as it comes, for
  a second, while few records are asked for. What a server takes of CPU for one lookup, and
  PostgreSQL, does not depend on such shares. At last an update is submitted to one server and
  asked for at the other until it comes."
  (:require
   [bench.harness :as harness]
   [bench.net.load :as load]
   [bench.net.process :as process]
   [bench.records :as records]
   [bench.serve :as serve]
   [clojure.java.io :as io]
   [poz.asking :as asking]
   [poz.authority.state :as state]
   [poz.handles :as h]
   [poz.integration.postgresql-server :as server]
   [poz.record :as record]
   [poz.store :as store]
   [poz.store.postgresql :as postgresql])
  (:import
   (java.io File)
   (java.net URI)
   (java.net.http HttpClient HttpRequest HttpResponse$BodyHandlers)))

(set! *warn-on-reflection* true)

(def ^:private record-count 10000)
(def ^:private few 200)
(def ^:private share 0.33)
(def ^:private seconds 6.0)
(def ^:private threads 8)
(def ^:private warm-up 40000)

;; ## A share of the processors

(def ^:private cpu-groups "/sys/fs/cgroup/cpu")

(defn- limit!
  "Gives the process and what it has started `share` of a processor from now on; the group's folder."
  [^Process process]
  (let [group (io/file cpu-groups (str "poz-bench-" (.pid process)))]
    (when-not (.mkdir group)
      (throw (ex-info (str "This needs a cgroup of CPU: " group " cannot be made") {:missing cpu-groups})))
    (spit (io/file group "cpu.cfs_period_us") "10000")
    (spit (io/file group "cpu.cfs_quota_us") (str (long (* 10000 (double share)))))
    (spit (io/file group "cgroup.procs") (str (.pid process)))
    group))

;; ## Servers

(defn- fill! [records]
  (with-open [s (postgresql/open (server/url) {:user "poz"})]
    (doseq [part (partition-all 500 records)]
      (store/commit! s {} (into {} (map #(state/put-record (record/original-hash %) %)) part)))))

(defn- with-servers
  "Calls `f` with two servers, of one authority and on one database."
  [^File folder options f]
  (let [start #(serve/serve! (io/file folder "data") (merge {:java ["-Xmx512m" "-XX:+UseSerialGC"] :store (server/url) :store-user "poz" :metrics-port 0} options))
        one (start)]
    (try
      (let [two (start)]
        (try (f one two)
             (finally (serve/stop! two))))
      (finally (serve/stop! one)))))

(defn- ready-made
  "How many lookups of the server a ready-made answer was there for."
  [{:keys [ports]}]
  (let [request (.build (HttpRequest/newBuilder (URI. (str "http://127.0.0.1:" (:metrics ports) "/metrics"))))
        text (.body (.send (HttpClient/newHttpClient) request (HttpResponse$BodyHandlers/ofString)))]
    (parse-double (second (re-find #"(?m)^poz_ready_made_total ([0-9.E]+)$" text)))))

;; ## Load

(defn- asked
  "How many lookups `threads` threads get out of the server until `end`."
  [ask end]
  (let [work (fn [k] #(loop [n 0]
                        (if (< (System/nanoTime) (long end))
                          (do (ask (+ (* 7919 (long k)) n)) (recur (inc n)))
                          n)))]
    (reduce + (mapv deref (mapv (fn [k] (future ((work k)))) (range threads))))))

(defn- load-on
  "What becomes of a load on the servers together."
  [servers requests]
  (let [cpu #(mapv (comp process/cpu-ms :process) servers)
        before (cpu) ready (mapv ready-made servers) postgres (process/handle-cpu-ms (server/process))
        end (+ (System/nanoTime) (long (* 1e9 (double seconds))))
        n (reduce + (mapv deref (mapv (fn [s] (let [ask (serve/asking s requests)] (future (asked ask end)))) servers)))
        per #(/ (* 1e3 (double %)) (double n))]
    {:rate (/ (double n) (double seconds))
     :cpu (per (reduce + (map - (cpu) before)))
     :postgres (per (- (process/handle-cpu-ms (server/process)) (double postgres)))
     :ready (/ (reduce + (map - (map ready-made servers) ready)) n)}))

(defn- warm! [servers requests]
  (doseq [s servers] (load/run warm-up (serve/asking s requests))))

(defn- print-load [name {:keys [rate cpu postgres ready]} base]
  (println (format "%-34s %8.0f /s %6.2f ×  CPU for one: server %4.0f µs, PostgreSQL %4.0f µs; ready-made %5.1f %%"
             name rate (/ (double rate) (double base)) cpu postgres (* 100.0 (double ready))))
  (flush))

(defn- measure-load [folder name options requests]
  (with-servers folder options
    (fn [one two]
      (warm! [one two] requests)
      (let [groups (mapv (comp limit! :process) [one two])]
        (try
          (let [both (load-on [one two] requests)
                {:keys [rate] :as alone} (load-on [one] requests)]
            (print-load (str name ", one server") alone rate)
            (print-load (str name ", two servers") both rate))
          (finally (doseq [^Process p (map :process [one two])] (spit (io/file cpu-groups "cgroup.procs") (str (.pid p))))
                   (run! #(.delete ^File %) groups)))))))

;; ## How late one server sees what another took

(defn- now [] (System/currentTimeMillis))

(defn- seen-ms
  "Milliseconds from the answer of `one` to the submission of `person` until `two`, which has just given
  what was there before, gives it."
  [one two person]
  (asking/record-of two person)
  (when-not (= :ok (:status (asking/submit one person))) (throw (ex-info "Not taken." {})))
  (let [from (System/nanoTime)]
    (loop []
      (if (= (h/update-of person) (:payload (asking/record-of two person)))
        (/ (- (System/nanoTime) from) 1e6)
        (recur)))))

(defn- measure-lateness [folder]
  (with-servers folder {:query-port 0 :submit-port 0 :policy ":approve"}
    (fn [one two]
      (let [alice (asking/activate! one (h/person "alice" (- (long (now)) 60000)) "alice" (- (long (now)) 50000))
            people (rest (reductions (fn [p n] (h/serving p n (- (long (now)) 40000 (- (long n))))) alice (range 1 22)))
            times (mapv #(seen-ms one two %) people)]
        (println (format "an update at one server is seen at the other after %.0f ms, at most %.0f of %d"
                   (harness/median times) (apply max times) (count times)))))))

(defn run
  "Prints the table. Takes about a minute and a half."
  []
  (let [folder (process/folder)
        {:keys [records]} (records/people 0 record-count)
        requests (serve/requests records)]
    (try
      (server/with-server
        (fn []
          (fill! records)
          (measure-load folder "each record anew" {:cache-ms 0} requests)
          (measure-load folder (str few " records, as it comes") {} (vec (take few requests)))
          (measure-lateness folder)))
      (finally (process/delete! folder)))))
