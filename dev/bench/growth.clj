(ns bench.growth
  "How cost grows: `(run)` prints time and memory against entries, revisions, bytes and open
  connections, each with the exponent that fits, and draws each as a picture in `dev/bench/growth/`.

  Two of the rows are not ours, but say what the machine makes of any program: `walk` looks at every
  part of a record's maps and does nothing with it, `by hand` is the encoder of `bench.by-hand`, which
  knows no history. As soon as a record is more than a cache holds each part of it takes longer to get at.

  Memory is what is allocated on the way; of connections what the server's process holds."
  (:require
   [bench.by-hand :as by-hand]
   [bench.harness :as harness]
   [bench.net :as net]
   [bench.net.load :as load]
   [bench.net.process :as process]
   [bench.plot :as plot]
   [bench.records :as records]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.record :as record]
   [poz.verify :as verify])
  (:import
   (clojure.lang APersistentMap APersistentVector)
   (com.sun.management ThreadMXBean)
   (java.io File)
   (java.lang.management ManagementFactory)
   (java.net Socket)
   (java.nio.file Files Path)
   (java.util Arrays)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

;; ## Cost of a thunk

(defn- timed ^long [f]
  (let [start (System/nanoTime)] (f) (- (System/nanoTime) start)))

(defn- time-of
  "Microseconds that `f` takes: the median of at least 5 calls, and as many as fill half a second."
  [f]
  (let [end (+ (System/nanoTime) 500000000)]
    (loop [times []]
      (if (and (<= 5 (count times)) (odd? (count times)) (< end (System/nanoTime)))
        (/ (double (harness/median times)) 1e3)
        (recur (conj times (timed f)))))))

(defn- allocated
  "The bytes that a call of `f` allocates on this thread."
  [f]
  (let [^ThreadMXBean threads (ManagementFactory/getThreadMXBean)
        before (.getCurrentThreadAllocatedBytes threads)]
    (f)
    (- (.getCurrentThreadAllocatedBytes threads) before)))

;; ## Records that grow

(defn- verdict [record]
  (hash (:outcome (verify/verify record {:now records/now}))))

(defn- add-parts
  "Adds to `sum` a number that every part of the value `v` has to be looked at for, and of its bytes and
  characters the first."
  [^longs sum v]
  (cond (instance? APersistentMap v) (reduce-kv (fn [sum _ x] (add-parts sum x)) sum v)
        (instance? APersistentVector v) (reduce add-parts sum v)
        :else (let [n (long (cond (instance? Bytes v) (if (zero? (.-length ^Bytes v)) 0 (long (aget ^bytes (.-array ^Bytes v) (.-offset ^Bytes v))))
                              (instance? String v) (if (.isEmpty ^String v) 0 (long (int (.charAt ^String v 0))))
                              :else (.hashCode ^Object v)))]
                (aset sum 0 (unchecked-add n (aget sum 0)))
                sum)))

(defn- walk [record]
  (add-parts (long-array 1) record))

(def ^:private works
  "What is done with a record: `[name f]`, a function of the record and its bytes; after it a predicate
  of the records that it can be done with."
  [["decode" (fn [_ b] (record/decode b))]
   ["encode" (fn [r _] (record/encode r))]
   ["verify" (fn [r _] (verdict r))]
   ["by hand" (fn [r _] (by-hand/encode r)) (complement :zone-history)]
   ["walk" (fn [r _] (walk r))]])

(defn- points
  "`{[work :us] [[x y] …] [work :bytes] …}` of the `[x record]`."
  [subjects]
  (apply merge-with into
    (for [[x r] subjects :let [b (record/encode r) r (record/parse b)]
          [work f fits?] works :when (or (nil? fits?) (fits? r)) :let [run #(f r b)]]
      {[work :us] [[x (time-of run)]] [work :bytes] [[x (allocated run)]]})))

(defn- steps
  "1, 10, 100 … with 3, 30, 300 … between, from `low` to `high`."
  [low high]
  (take-while #(<= (long %) (long high))
    (drop-while #(< (long %) (long low)) (mapcat #(vector % (* 3 (long %))) (iterate #(* 10 (long %)) 1)))))

(def ^:private subjects
  {"entries" #(map (juxt identity records/with-services) (steps 1 10000))
   "revisions" #(map (juxt identity records/long-chain) (steps 1 10000))
   "record bytes" #(map (juxt identity records/of-size) (map (fn [i] (bit-shift-left 1 (long i))) (range 10 21)))})

;; ## Connections

(defn- resident-kib [^Process process]
  (parse-long (second (re-find #"VmRSS:\s+(\d+) kB" (Files/readString (Path/of (str "/proc/" (.pid process) "/status") (make-array String 0)))))))

(def ^:private lookups 3000)

(defn- at-connections
  "What a lookup costs the server in µs of CPU while there are `n` open connections, and what the
  server's process holds, in bytes."
  [{:keys [^Process process ports requests responses]} n]
  (let [open (vec (repeatedly n #(Socket. "127.0.0.1" (int (ports 7074)))))
        ask (load/plain (ports 7074) requests load/to-end (fn [answer i] (Arrays/equals ^bytes answer ^bytes (responses i))))]
    (try
      (load/run lookups ask)
      (let [before (process/cpu-ms process)]
        (load/run lookups ask)
        [(/ (* 1e3 (- (process/cpu-ms process) before)) (long lookups)) (* 1024 (long (resident-kib process)))])
      (finally (run! #(.close ^Socket %) open)))))

(defn- connection-points []
  (let [{:keys [process] :as server} (net/ours "best" "patient")]
    (try
      (dotimes [_ 8] (at-connections server 1))
      (reduce (fn [acc n]
                (let [[us held] (at-connections server n)]
                  (-> acc (update ["lookup" :us] (fnil conj []) [n us]) (update ["server" :bytes] (fnil conj []) [n held]))))
        {} (steps 1 10000))
      (finally (process/stop! process)))))

;; ## Tables and pictures

(def ^:private folder (io/file "dev" "bench" "growth"))

(def ^:private units {:us ["time" "µs"] :bytes ["memory" "bytes"]})

(defn- print-points [found]
  (doseq [[[work unit] points] (sort-by (comp vec reverse first) found)]
    (println (format "%-8s %-6s x^%.2f  %s" work (second (units unit)) (plot/exponent points)
               (str/join "  " (map (fn [[x y]] (format "%,d: %,.0f" x (double y))) points))))
    (flush)))

(defn- draw! [x-name found]
  (doseq [[unit [what name]] units
          :let [curves (sort (for [[[work u] points] found :when (= u unit)] [work points]))
                ^File file (io/file folder (str (str/replace x-name " " "-") "-" what ".svg"))]]
    (io/make-parents file)
    (spit file (plot/svg (str (str/capitalize what) " against " x-name) x-name name curves))))

(defn run
  "Prints and draws how all of it grows. Takes some minutes."
  []
  (doseq [[x-name points-of] (conj (mapv (fn [[k make]] [k #(points (make))]) subjects) ["connections" connection-points])
          :let [found (into {} (filter (fn [[_ points]] (next points))) (points-of))]] ; one point is no curve
    (println (str "Against " x-name))
    (print-points found)
    (draw! x-name found)))
