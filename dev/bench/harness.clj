(ns bench.harness
  "How long a thunk takes: `measure` one, `compare-to` two, in a table by `print-rates`.

  Each is warmed up for half a second first, which also tells how many calls fill a
  round of 50 ms. The result is the median of the rounds, so that a pause of the
  collector or of the machine costs one round and not the answer. Times below about
  20 ns are mostly the call of the thunk itself."
  (:import
   (com.sun.management OperatingSystemMXBean)
   (java.lang.management ManagementFactory)
   (java.util.concurrent.atomic AtomicReference)))

(set! *warn-on-reflection* true)

(def ^:private warm-up-ns 5e8)
(def ^:private round-ns 5e7)
(def ^:private rounds 11)

;; What the thunks return goes here, so that the compiler cannot drop the work.
(def ^:private ^AtomicReference sink (AtomicReference.))

(defn- run-round
  "Nanoseconds per call of `f` over `n` calls."
  ^double [f ^long n]
  (let [start (System/nanoTime)]
    (dotimes [_ n] (.setPlain ^AtomicReference sink (f)))
    (/ (double (- (System/nanoTime) start)) n)))

(defn- warm-up
  "Runs `f` until it is warm; how many calls fill a round."
  ^long [f]
  (let [start (System/nanoTime)]
    (loop [n 1]
      (let [per-call (run-round f n)]
        (if (< (- (System/nanoTime) start) (double warm-up-ns))
          (recur (min (* 2 n) (max 1 (long (/ (double round-ns) per-call)))))
          (max 1 (long (/ (double round-ns) per-call))))))))

(defn cpu-ns
  "Nanoseconds of CPU that this process has taken."
  ^long []
  (.getProcessCpuTime ^OperatingSystemMXBean (ManagementFactory/getOperatingSystemMXBean)))

(defn median
  "The middle of an odd number of numbers."
  [xs]
  (nth (sort xs) (quot (count xs) 2)))

(defn measure
  "Nanoseconds that a call of the thunk `f` takes, the median of 11 rounds, warmed up."
  [f]
  (let [n (warm-up f)]
    (median (vec (repeatedly rounds #(run-round f n))))))

(defn compare-to
  "How many times as long the thunk `f` takes as the thunk `baseline`: the median of the
  ratios of 11 rounds of each, in turn, so that both meet the same machine. 0.5 is twice
  as fast."
  [baseline f]
  (let [n (warm-up baseline)
        m (warm-up f)]
    (median (vec (repeatedly rounds #(let [b (run-round baseline n)] (/ (run-round f m) b)))))))

(defn print-rates
  "Measures and prints `[name thunk]` rows, each with calls per second and µs per call."
  [rows]
  (doseq [[name f] rows
          :let [ns (double (measure f))]]
    (println (format "%-44s %12.0f /s %10.2f µs" name (/ 1e9 ns) (/ ns 1e3)))
    (flush)))
