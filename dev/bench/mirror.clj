(ns bench.mirror
  "How fast a mirror copies an authority: `(run)`, or `clojure -M:bench mirror N` for N records.

  The authority is a process of its own with its records in memory; all is on loopback. A mirror
  copies them from nothing into SQLite, and then does a round in which nothing has changed. There
  are two baselines, measured in the same run on one thread, keys new, once all code is warm: a verdict
  on such a record by itself, and one for which its provider, as in a mirror, was judged before (`strict`).
  A mirror could at best do as many a second on each core: `of bare` is what it does of that.

  But both processes, and the kernel's work for them, share the cores. So what that takes by itself is measured
  too: the same questions with answers that are ready-made and that nobody looks at (`exchanges alone`). `at best`
  is computed from it: as many records as the cores could do if there was no more to a mirror than strict
  verdicts and those exchanges. `server elsewhere` is computed as well: what the cores could do of the mirror's
  own CPU, if the authority had its own; and `server apart` measured: the mirror keeps to half of the cores and
  the authority to the other half (`taskset`), and it is the mirror's half that could judge so many. Other
  people's records are copied first, until both are warm: more keys than are remembered, so that all are new.

  With 100,000 records it takes some minutes, most of them to make the records, and a mirror needs no more
  memory: `clojure -J-Xmx512m -M:bench mirror 100000`."
  (:require
   [bench.harness :as harness]
   [bench.net.process :as process]
   [bench.records :as records]
   [clojure.edn :as edn]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.authority.answers :as answers]
   [poz.authority.server :as server]
   [poz.authority.state :as state]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.identity :as identity]
   [poz.mirror :as mirror]
   [poz.mirror.holding :as holding]
   [poz.net :as net]
   [poz.record :as record]
   [poz.store :as store]
   [poz.store.sqlite :as sqlite]
   [poz.verify :as verify]
   [poz.wire :as wire])
  (:import
   (java.io BufferedReader File)
   (java.lang ProcessHandle)
   (java.lang.management ManagementFactory)
   (java.nio.file Files Path)
   (java.util.concurrent Semaphore)
   (java.util.function BiConsumer)))

(set! *warn-on-reflection* true)

(def ^:private default-records 2000)
(def ^:private warm-up-records 8000)
(def ^:private sample-records 300)

;; ## The authority

(defn- put-some!
  "Makes the records of the people `from` to `to` in `store`; their original hashes, the provider's first."
  [store from to]
  (let [{:keys [records provider]} (records/people from to)]
    (mapv (fn [r] (let [hash (record/original-hash r)]
                    (store/commit! store {} (state/put-record hash (record/public-view r)))
                    hash))
      (cons provider records))))

(defn- put-people!
  "Makes the records of people 0 to `n` in `store`, on all cores; their original hashes, the provider's first."
  [store n]
  (into [] (comp cat (distinct)) (pmap #(put-some! store % (min n (+ (long %) 500))) (range 0 n 500))))

(defn -main
  "The authority: makes the records of people 0 to `n`, writes their hashes to `file`, a line of hex
  each, the provider's first, and prints its ports and its key. It ends when its standard input does."
  [n file]
  (let [s (store/memory) static (crypto/generate :x25519 crypto/random-bytes)
        hashes (put-people! s (parse-long n))
        server (server/server {:store s :config {:domains {}} :answers (answers/answers {:bytes 100000000})
                               :secret (bytes/secret (crypto/random-bytes 32)) :load (constantly 0)
                               :now (constantly records/now) :random crypto/random-bytes :on-error #(.printStackTrace ^Throwable %)})
        ports (into {} (for [contract [:plain :query]]
                         [contract (:port (net/start {:contract contract :port 0 :static static :limits {:connections-per-address 1000}
                                                      :handler #(server/handle server %) :ready #(server/ready server %)}))]))]
    (spit file (apply str (map #(str (bytes/->hex %) "\n") hashes)))
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

(defn- check! [x]
  (when-not x (throw (IllegalStateException. "A record does not verify."))))

(defn- judge
  "A verdict with the provider's record."
  [provider]
  (fn [b]
    (check! (= :valid (:outcome (verify/verify (record/decode b) {:now records/now :providers [provider]}))))))

(defn- judge-strict
  "A verdict, and a judgement of the entry by the provider, who was judged before."
  [provider]
  (let [provider (identity/prepared (verify/assess provider records/now))]
    (fn [b]
      (let [r (record/decode b)]
        (check! (= :valid (:outcome (verify/verify r {:now records/now}))))
        (check! (= [:current] (map :status (vals (holding/bindings r (constantly provider))))))))))

(defn- timed-verdicts
  "`[rate cpu-ms]`: verdicts a second, and what one takes."
  [f files]
  (let [start (System/nanoTime) cpu (thread-cpu-ns)]
    (run! f files)
    [(/ (* 1e9 (count files)) (- (System/nanoTime) start))
     (/ (- (thread-cpu-ns) cpu) 1e6 (count files))]))

(defn- bare
  "`[rate cpu-ms]` of what `judge` makes on one thread, of files with keys never seen, which are those
  of people from `from` on: the middle one of three, warmed up."
  [judge from]
  (let [samples (for [i (range 8) :let [at (+ (long from) (* (long i) (long sample-records)))
                                        {:keys [records provider]} (records/people at (+ at (long sample-records)))]]
                  [(mapv record/encode records) provider])
        rates (mapv (fn [[files provider]] (timed-verdicts (judge provider) files)) samples)]
    (nth (sort-by second (subvec rates 5)) 1)))

;; ## The mirror

(defn- timed
  "`[value seconds cpu-seconds server-cpu-seconds]` of the thunk `f`."
  [process f]
  (let [start (System/nanoTime) cpu (harness/cpu-ns) server (process/cpu-ms process)
        value (f)]
    [value (/ (- (System/nanoTime) start) 1e9) (/ (- (harness/cpu-ns) cpu) 1e9) (/ (- (process/cpu-ms process) server) 1e3)]))

(defn- exchanges!
  "Asks for the records with the `hashes`, `at-once` at a time, and looks at no answer."
  [{:keys [ports key]} contract hashes at-once]
  (let [room (Semaphore. at-once)
        options (cond-> {:host "127.0.0.1" :port (ports contract) :contract contract}
                  (= :query contract) (assoc :server-key (bytes/hex-> key)))]
    (doseq [hash hashes]
      (.acquire room)
      (.whenComplete (net/exchange-async options (wire/encode-request {:type :record :id 1 :payload {:hash hash}}))
        (reify BiConsumer (accept [_ _ _] (.release room)))))
    (.acquire room at-once)))

(defn- with-mirror [^File folder {:keys [ports key]} contract hashes at-once f]
  (let [file (File/createTempFile "mirror" ".sqlite" folder)
        _ (.delete file)
        s (sqlite/open (str file))
        m (mirror/mirror {:servers [(cond-> {:host "127.0.0.1" :port (ports contract) :encryption (if (= :query contract) :noise-nk :none)}
                                      (= :query contract) (assoc :public-key (bytes/hex-> key)))]
                          :store s :hash (first hashes) :list (constantly (rest hashes)) :at-once at-once
                          :now (constantly records/now) :random crypto/random-bytes :deadline-ms 10000})]
    (try (f m) (finally (mirror/stop! m) (store/close! s)))))

(defn- cores [] (.availableProcessors (Runtime/getRuntime)))

(defn- print-round [name n cores bares [told seconds cpu server-cpu]]
  (let [rate (/ n seconds) ms (/ (* 1e3 cpu) n)
        [whole strict] (map first bares) [whole-cpu strict-cpu] (map second bares)]
    (println (format "%-22s %6.0f records/s, of bare %4.2f, strict %4.2f   CPU: mirror %4.2f ms, of bare %4.2f, strict %4.2f; server %4.2f ms%s"
               name rate (/ rate (* (long cores) (double whole))) (/ rate (* (long cores) (double strict)))
               ms (/ (double whole-cpu) ms) (/ (double strict-cpu) ms) (/ (* 1e3 server-cpu) n)
               (if (= [n] (vals told)) "" (str "  " told))))))

(defn- print-computed [name bares ms]
  (let [rate (/ (* 1e3 (cores)) (double ms)) [whole strict] (map first bares)]
    (println (format "%-22s %6.0f records/s, of bare %4.2f, strict %4.2f   computed"
               name rate (/ rate (* (cores) (double whole))) (/ rate (* (cores) (double strict)))))))

(defn- print-exchanges [name n bares [_ seconds cpu server-cpu]]
  (let [[ms server-ms] (map #(/ (* 1e3 (double %)) n) [cpu server-cpu])]
    (println (format "%-22s %6.0f exchanges/s   CPU: client %4.2f ms; server %4.2f ms" (str name ", exchanges alone") (/ n seconds) ms server-ms))
    (print-computed (str name ", at best") bares (+ (double (second (second bares))) ms server-ms))))

(defn- usable-cores
  "The numbers of the cores that this process may use, by the kernel's list of them, as `0-1,4`."
  []
  (let [[_ text] (re-find #"Cpus_allowed_list:\s+(\S+)" (Files/readString (Path/of "/proc/self/status" (make-array String 0))))]
    (vec (for [part (str/split text #",") :let [[from to] (map parse-long (str/split part #"-"))], core (range from (inc (long (or to from))))]
           core))))

(defn- keep-to! [cores & pids]
  (doseq [pid pids]
    (process/run!! "taskset" "-a" "-p" "-c" (str/join "," cores) (str pid))))

(defn- apart
  "`(f)` while this process keeps to the cores `mine` and `process` to the `others`."
  [^Process process mine others f]
  (let [me (.pid (ProcessHandle/current)) it (.pid process)]
    (try (keep-to! mine me)
         (keep-to! others it)
         (f)
         (finally (keep-to! (concat mine others) me it)))))

(defn- measure-apart [folder {:keys [process] :as served} hashes contract bares at-once]
  (let [cores (usable-cores) [mine others] (split-at (quot (count cores) 2) cores)]
    (when (seq mine)
      (with-mirror folder served contract hashes at-once
        (fn [m]
          (print-round (str (name contract) ", server apart") (count hashes) (count mine) bares
            (apart process mine others (fn [] (timed process #(mirror/round! m))))))))))

(defn- measure [folder {:keys [process] :as served} hashes others contract bares at-once]
  (let [n (count hashes) title (name contract)]
    (with-mirror folder served contract hashes at-once
      (fn [m]
        (let [[_ _ cpu :as round] (timed process #(mirror/round! m))]
          (print-round (str title ", from nothing") n (cores) bares round)
          (print-computed (str title ", server elsewhere") bares (/ (* 1e3 cpu) n)))
        (print-round (str title ", nothing new") n (cores) bares (timed process #(mirror/round! m)))))
    (measure-apart folder served others contract bares at-once) ; their keys are forgotten by now
    (print-exchanges title (count others) bares (timed process #(exchanges! served contract others at-once)))))

(defn- warm-up! [folder served hashes contract at-once]
  (dotimes [_ 2]
    (with-mirror folder served contract hashes at-once
      (fn [m] (mirror/round! m) (mirror/round! m))))
  (exchanges! served contract hashes at-once))

(defn- print-bare [name [rate cpu]]
  (println (format "%-22s %6.0f records/s on one thread   CPU %4.2f ms" name rate cpu)))

(defn- bares
  "The baselines, of people from number `from` on, printed."
  [from]
  (let [bares [(bare judge from) (bare judge-strict (+ (long from) 10000))]]
    (dorun (map print-bare ["a bare verdict" "strict"] bares))
    bares))

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
       (let [[provider & people] (mapv bytes/hex-> (line-seq (io/reader file)))
             [others mine] (map #(into [provider] %) (split-at warm-up-records people))]
         (println (format "%d records, %d cores, %s, %d questions at a time" (count mine) (cores) (name (crypto/provider-name)) at-once))
         (run! #(warm-up! folder served others % at-once) [:query :plain])
         (let [bares (bares total)]
           (run! #(measure folder served mine others % bares at-once) [:plain :query])))
       (finally
         (process/stop! process)
         (process/delete! folder))))))
