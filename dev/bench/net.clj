(ns bench.net
  "What a lookup costs a server, in microseconds of CPU, beside servers in C: `(run)`.

  One connection for each request, all on loopback, in rounds in which each server has its turn:
  MASTER on 7074 beside nginx with a file of the same size, and NSD with a record of DNS, where it
  is installed; on 7075 beside full handshakes of TLS 1.3 with a certificate of Ed25519, by nginx
  as it comes and without the session tickets that nobody here comes back with. CPU is
  what /proc tells of the server's processes, user and system, since requests per second tell more
  of the load's own cost. Every answer is looked at, and nginx's log for what was shaken.

  Then how long one waits where 64 ask at a time, from before connecting to the whole answer, and
  the CPU of the server meanwhile. Those askers are a program in C, since a client on the JVM would
  show its own collector in the tail, and would take twice the CPU, of which there is no more than
  the servers leave (`bench.net.ask`). That shifts the CPU too: caches are shared."
  (:require
   [bench.harness :as harness]
   [bench.net.ask :as ask]
   [bench.net.load :as load]
   [bench.net.others :as others]
   [bench.net.process :as process]
   [clojure.edn :as edn]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto])
  (:import
   (java.io BufferedReader File)
   (java.util Arrays)))

(set! *warn-on-reflection* true)

(def ^:private rounds 5)
(def ^:private plain-requests 15000)
(def ^:private private-requests 3000)
(def ^:private askers 64)
(def ^:private asked-requests 20000)
(def ^:private warm-up
  "How often our server gets a round's requests first: until the compiler of the JVM, which
  counts too, has done most of what it will do."
  {"7074" 16 "7075" 40})

;; The servers

(def ^:private jvm-options
  "With what the script `poz` gives its server and how its jar is compiled."
  ["-XX:+UseSerialGC" "-Xms256m" "-Xmx256m" "-Dio.netty.leakDetection.level=disabled" "-Dclojure.compiler.direct-linking=true"])

(defn ours
  "Our server, started with `words`: what it printed, and its `:process`."
  [& words]
  (let [java (str (System/getProperty "java.home") "/bin/java")
        process (process/start (concat [java] jvm-options ["-cp" (System/getProperty "java.class.path")
                                                           "clojure.main" "-m" "bench.net.server"] words) nil)]
    (if-let [line (.readLine ^BufferedReader (io/reader (.getInputStream process)))]
      (-> (edn/read-string line)
        (update :key bytes/hex->)
        (update :requests #(mapv (comp bytes/->array bytes/hex->) %))
        (update :responses #(mapv (comp bytes/->array bytes/hex->) %))
        (assoc :process process))
      (throw (ex-info "Our server did not start." {})))))

;; What is measured: rows {:name :process :load}, the load a function that gives how many
;; requests there were.

(defn- bounded [n f]
  (fn [] (load/run n f) n))

(defn- same? [responses]
  (fn [answer i] (Arrays/equals ^bytes answer ^bytes (responses i))))

(defn- file-of? [size]
  (fn [^bytes answer _]
    (let [s (String. answer "ISO-8859-1")]
      (and (str/starts-with? s "HTTP/1.1 200 ") (str/ends-with? s (str "\r\n\r\n" (str/join (repeat size "x"))))))))

(defn- txt-of? [size]
  (fn [^bytes answer _] (and (< (long size) (alength answer)) (zero? (bit-and 0xf (aget answer 3))))))

(defn- logged
  "The lines of nginx's log, how often each, once it has `n`, or after 5 seconds. It writes late."
  [log n]
  (loop [left 50]
    (let [lines (str/split-lines (slurp log))]
      (if (or (<= (long n) (count lines)) (zero? left))
        (frequencies lines)
        (do (Thread/sleep 100) (recur (dec left)))))))

(defn- shaken
  "A load by TLS of the nginx server at `port`; throws unless each handshake was a full one."
  [{:keys [log]} port size]
  (let [expected (str "200 " size " TLSv1.3 X25519 .")]
    (fn []
      (spit log "")
      (let [n (load/tls port) lines (logged log n)]
        (when-not (and (= #{expected} (set (keys lines))) (<= (long n) (long (lines expected))))
          (throw (ex-info "nginx did not shake hands in full." {:log lines :n n})))
        (lines expected)))))

(defn- rows [{:keys [ports key requests responses] :as us} nginx nsd size]
  [{:name "7074" :process (:process us) :load (bounded plain-requests (load/plain (ports 7074) requests load/to-end (same? responses)))}
   {:name "nginx" :process (:process nginx) :load (bounded plain-requests (load/plain (:plain nginx) [others/http-request] load/to-end (file-of? size)))}
   (when nsd
     {:name "NSD" :process (:process nsd) :load (bounded plain-requests (load/plain (:plain nsd) [others/dns-request] load/one-frame (txt-of? size)))})
   {:name "7075" :process (:process us) :load (bounded private-requests (load/private (ports 7075) key requests (same? responses)))}
   {:name "nginx TLS 1.3" :process (:process nginx) :load (shaken nginx (:tls nginx) size)}
   {:name "without tickets" :process (:process nginx) :load (shaken nginx (:lean nginx) size)}])

(defn- cost
  "Microseconds of CPU per request of one load."
  [{:keys [process load]}]
  (let [before (process/cpu-ms process) n (load)]
    (/ (* 1000.0 (- (process/cpu-ms process) before)) n)))

(defn- measure
  "Name → its costs, one for each round."
  [rows]
  (doseq [{:keys [name load]} rows, _ (range (warm-up name 0))] (load))
  (apply merge-with into (repeatedly rounds #(into {} (map (juxt :name (comp vector cost))) rows))))

;; The table

(defn- print-row [name costs]
  (println (format "%-44s %10.1f µs   %.1f to %.1f" name (harness/median costs) (apply min costs) (apply max costs)))
  (flush))

(defn- print-ratio [costs name baseline goal]
  (when-let [b (costs baseline)]
    (let [ratios (map / (costs name) b)]
      (println (format "%-44s %10.2f ×    %.2f to %.2f%s" (str name " ÷ " baseline) (harness/median ratios)
                 (apply min ratios) (apply max ratios) (if goal (str ", goal " goal) ""))))))

(defn- print-conditions [nginx nsd size]
  (println (str (System/getProperty "os.name") " " (System/getProperty "os.version") ", "
             (.availableProcessors (Runtime/getRuntime)) " processors, JDK " (System/getProperty "java.version")
             " " (str/join " " jvm-options) ", " (name (crypto/provider-name))
             ", " (:version nginx) (when nsd (str ", " (:version nsd)))))
  (println (str "answers of " size " bytes, " load/threads " connections at a time, " rounds " rounds of "
             plain-requests " and " private-requests " requests")))

(defn- print-table [costs]
  (println "server CPU per request: median, least to greatest of the rounds")
  (doseq [name ["7074" "nginx" "NSD" "7075" "nginx TLS 1.3" "without tickets"] :when (costs name)] (print-row name (costs name)))
  (print-ratio costs "7074" "nginx" 1.4)
  (print-ratio costs "7074" "NSD" 1.0)
  (print-ratio costs "7075" "nginx TLS 1.3" 0.35)
  (print-ratio costs "7075" "without tickets" nil))

;; How long one waits

(def ^:private known-end "How much of NSD's answer must be as it was first." 400)

(defn- asked
  "Rows {:name :process :port :questions :framed} for `ask/latencies`."
  [folder {:keys [ports requests responses] :as us} nginx nsd size]
  (let [questions #(ask/questions! folder %1 %2)]
    (remove nil?
      [{:name "7074" :process (:process us) :port (ports 7074) :questions (questions "poz" (map vector requests responses))}
       {:name "nginx" :process (:process nginx) :port (:plain nginx)
        :questions (questions "nginx" [[others/http-request (.getBytes (str "\r\n\r\n" (str/join (repeat size "x"))))]])}
       (when nsd
         (let [answer (load/exchanged (:plain nsd) others/dns-request load/one-frame)]
           {:name "NSD" :process (:process nsd) :port (:plain nsd) :framed true
            :questions (questions "nsd" [[others/dns-request (Arrays/copyOfRange answer (- (alength answer) (long known-end)) (alength answer))]])}))])))

(defn- waits
  "`{[name what] [µs]}` of one round, of what half waits at most, 99 of 100, and the server's CPU."
  [program {:keys [name process] :as row}]
  (let [before (process/cpu-ms process)
        found (ask/latencies program row asked-requests askers)]
    {[name :p50] [(ask/quantile 0.5 found)]
     [name :p99] [(ask/quantile 0.99 found)]
     [name :cpu] [(/ (* 1000.0 (- (process/cpu-ms process) before)) (count found))]}))

(defn- measure-waits [program rows]
  (dotimes [_ 8] (waits program (first rows)))
  (apply merge-with into (for [_ (range rounds), row rows] (waits program row))))

(defn- print-waits [found]
  (println (str askers " connections at a time, " rounds " rounds of " asked-requests " requests by a client in C"))
  (doseq [[what title goal] [[:p50 "half wait at most" nil] [:p99 "99 of 100 wait at most" 1.3] [:cpu "server CPU per request" nil]]
          :let [of (into {} (for [[[name k] costs] found :when (= k what)] [name costs]))]]
    (println title)
    (doseq [name ["7074" "nginx" "NSD"] :when (of name)] (print-row name (of name)))
    (print-ratio of "7074" "nginx" goal)
    (print-ratio of "7074" "NSD" nil)))

(defn- with-servers
  "Calls `f` with a folder, ours, nginx, NSD or nil, and the size of an answer; then stops them."
  [f]
  (let [^File folder (process/folder) started (volatile! []) note (fn [s] (when s (vswap! started conj (:process s))) s)]
    (try
      (let [us (note (ours)) size (alength ^bytes (first (:responses us)))]
        (f folder us (note (others/nginx folder size)) (note (others/nsd folder size)) size))
      (finally
        (run! process/stop! @started)
        (process/delete! folder)))))

(defn run
  "Prints the tables. Takes about two minutes, with Debian's nginx, openssl and gcc."
  []
  (with-servers
    (fn [folder us nginx nsd size]
      (print-conditions nginx nsd size)
      (print-table (measure (remove nil? (rows us nginx nsd size))))
      (print-waits (measure-waits (ask/program folder) (asked folder us nginx nsd size))))))
