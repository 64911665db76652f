(ns bench.mirror
  "How fast a mirror copies an authority: `(run)`, or `clojure -M:bench mirror N` for N records.

  The authority is a process of its own with its records in memory; all is on loopback. A mirror
  copies them from nothing into SQLite, and then does a round in which nothing has changed. The
  baseline is a verdict on such a record by itself, keys new, on one thread, measured in the
  same run: a mirror could at best do as many a second on each core. Both processes share the
  machine's cores, so the CPU that the mirror's alone takes is told too. Other people's records
  are copied first, to warm both up."
  (:require
   [bench.net.process :as process]
   [bench.records :as records]
   [clojure.edn :as edn]
   [clojure.java.io :as io]
   [poz.authority.answers :as answers]
   [poz.authority.server :as server]
   [poz.authority.state :as state]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.mirror :as mirror]
   [poz.net :as net]
   [poz.record :as record]
   [poz.store :as store]
   [poz.store.sqlite :as sqlite]
   [poz.verify :as verify])
  (:import
   (com.sun.management OperatingSystemMXBean)
   (java.io BufferedReader File)
   (java.lang.management ManagementFactory)))

(set! *warn-on-reflection* true)

(def ^:private default-records 1000)
(def ^:private warm-up-records 1500)
(def ^:private sample-records 300)

;; ## The authority

(defn -main
  "The authority: makes the records of people 0 to `n`, writes their hashes to `file`, a line of hex
  each, the provider's first, and prints its ports and its key. It ends when its standard input does."
  [n file]
  (let [{:keys [records provider]} (records/people 0 (parse-long n))
        s (store/memory) static (crypto/generate :x25519 crypto/random-bytes)
        _ (doseq [r (cons provider records)] (store/commit! s {} (state/put-record (record/original-hash r) (record/public-view r))))
        server (server/server {:store s :config {:domains {}} :answers (answers/answers {:bytes 100000000})
                               :secret (bytes/secret (crypto/random-bytes 32)) :load (constantly 0)
                               :now (constantly records/now) :random crypto/random-bytes :on-error #(.printStackTrace ^Throwable %)})
        ports (into {} (for [contract [:plain :query]]
                         [contract (:port (net/start {:contract contract :port 0 :static static :limits {:connections-per-address 1000}
                                                      :handler #(server/handle server %) :ready #(server/ready server %)}))]))]
    (spit file (apply str (map #(str (bytes/->hex (record/original-hash %)) "\n") (cons provider records))))
    (prn {:ports ports :key (bytes/->hex (:public-key static))})
    (.read System/in)
    (System/exit 0)))

(defn- authority [n ^File file]
  (let [p (process/start [(str (System/getProperty "java.home") "/bin/java") "-cp" (System/getProperty "java.class.path")
                          "-XX:+UseSerialGC" "-Xmx1g" "clojure.main" "-m" "bench.mirror" n file] nil)
        line (.readLine ^BufferedReader (io/reader (.getInputStream p)))]
    (assoc (edn/read-string line) :process p)))

;; ## The baseline

(defn- thread-cpu-ns []
  (.getCurrentThreadCpuTime (ManagementFactory/getThreadMXBean)))

(defn- judge-all
  "`[rate cpu-ms]`: verdicts a second, and what one takes."
  [records provider]
  (let [start (System/nanoTime) cpu (thread-cpu-ns)]
    (doseq [r records]
      (when-not (= :valid (:outcome (verify/verify r {:now records/now :providers [provider]})))
        (throw (IllegalStateException. "A record does not verify."))))
    [(/ (* 1e9 (count records)) (- (System/nanoTime) start))
     (/ (- (thread-cpu-ns) cpu) 1e6 (count records))]))

(defn- bare
  "`[rate cpu-ms]` of verdicts on one thread, of records that came as bytes, each with keys never
  seen: the middle one of three, warmed up."
  [from]
  (let [samples (for [i (range 6) :let [{:keys [records provider]} (records/people (+ (long from) (* i (long sample-records)))
                                                                     (+ (long from) (* (inc i) (long sample-records))))]]
                  [(mapv (comp record/decode record/encode) records) provider])
        rates (mapv (fn [[rs p]] (judge-all rs p)) samples)]
    (nth (sort-by second (subvec rates 3)) 1)))

;; ## The mirror

(defn- cpu-ms []
  (quot (.getProcessCpuTime ^OperatingSystemMXBean (ManagementFactory/getOperatingSystemMXBean)) 1000000))

(defn- timed-round
  "`[told seconds cpu-seconds server-cpu-seconds]` of a round."
  [m process]
  (let [start (System/nanoTime) cpu (cpu-ms) server (process/cpu-ms process)
        told (mirror/round! m)]
    [told (/ (- (System/nanoTime) start) 1e9) (/ (- (cpu-ms) cpu) 1e3) (/ (- (process/cpu-ms process) server) 1e3)]))

(defn- with-mirror [^File folder {:keys [ports key]} contract hashes at-once f]
  (let [file (File/createTempFile "mirror" ".sqlite" folder)
        _ (.delete file)
        s (sqlite/open (str file))
        m (mirror/mirror {:servers [(cond-> {:host "127.0.0.1" :port (ports contract) :encryption (if (= :query contract) :noise-nk :none)}
                                      (= :query contract) (assoc :public-key (bytes/hex-> key)))]
                          :store s :hash (first hashes) :list (constantly (rest hashes)) :at-once at-once
                          :now (constantly records/now) :random crypto/random-bytes :deadline-ms 10000})]
    (try (f m) (finally (mirror/stop! m) (store/close! s)))))

(defn- print-round [name n [bare bare-cpu] [told seconds cpu server-cpu]]
  (let [rate (/ n seconds) cores (.availableProcessors (Runtime/getRuntime))]
    (println (format "%-36s %7.0f records/s  %5.2f × cores × bare   CPU a record: mirror %4.2f ms, %4.2f × bare, server %4.2f ms%s" name rate
               (/ rate (* cores (double bare))) (/ (* 1e3 cpu) n) (/ (* 1e3 cpu) n (double bare-cpu)) (/ (* 1e3 server-cpu) n)
               (if (= [n] (vals told)) "" (str "  " told))))))

(defn- measure [folder served hashes contract bare at-once]
  (with-mirror folder served contract hashes at-once
    (fn [m]
      (print-round (str (name contract) ", from nothing") (count hashes) bare (timed-round m (:process served)))
      (print-round (str (name contract) ", nothing new") (count hashes) bare (timed-round m (:process served))))))

(defn run
  "Prints records a second beside cores × the rate of bare verdicts, for `n` records; `at-once` questions
  at a time."
  ([] (run default-records))
  ([n] (run n 32))
  ([n at-once]
   (let [folder (process/folder) file (File/createTempFile "records" ".txt" folder)
         total (+ (long n) (long warm-up-records))
         {:keys [process] :as served} (authority total file)]
     (try
       (let [hashes (mapv bytes/hex-> (line-seq (io/reader file)))
             [provider people] [(first hashes) (vec (rest hashes))]
             [rate cpu :as bare] (bare total)
             mine (into [provider] (subvec people warm-up-records))]
         (println (format "%d records, %d cores, %s, %d questions at a time" (count mine) (.availableProcessors (Runtime/getRuntime))
                    (name (crypto/provider-name)) at-once))
         (println (format "%-36s %7.0f records/s  on one thread   CPU %4.2f ms" "a bare verdict" rate cpu))
         (doseq [contract [:plain :query]]
           (with-mirror folder served contract (into [provider] (subvec people 0 warm-up-records)) at-once
             (fn [m] (mirror/round! m) (mirror/round! m)))
           (measure folder served mine contract bare at-once)))
       (finally
         (process/stop! process)
         (process/delete! folder))))))
