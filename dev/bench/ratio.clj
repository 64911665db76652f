(ns bench.ratio
  "One thunk beside another that does the least that has to be done: `print-ratios`.

  Both are warmed up in turn until neither gets faster any more, then measured in turn,
  so that they meet the same machine. The ratio is the median of the rounds' ratios."
  (:require
   [bench.harness :as harness]))

(set! *warn-on-reflection* true)

(def ^:private warm-up-ns 20e9)
(def ^:private round-ns 4e7)
(def ^:private rounds 31)

(defn- run-round
  "Nanoseconds per call of `f` over `n` calls. What they give is looked at, so that the
  compiler cannot drop the work."
  ^double [f ^long n]
  (let [start (System/nanoTime)]
    (dotimes [_ n]
      (when (nil? (f)) (throw (IllegalStateException. "A benchmark gave nothing."))))
    (/ (double (- (System/nanoTime) start)) n)))

(defn- calls-per-round ^long [^double ns-per-call]
  (max 1 (long (/ (double round-ns) ns-per-call))))

(defn- warm-up
  "Runs both thunks in turn; how many calls of each fill a round."
  [baseline f]
  (let [start (System/nanoTime)]
    (loop [n 1 m 1]
      (let [n (calls-per-round (run-round baseline n)) m (calls-per-round (run-round f m))]
        (if (< (- (System/nanoTime) start) (double warm-up-ns))
          (recur n m)
          [n m])))))

(defn measure
  "`{:ns :baseline-ns :ratio}`, medians, of the thunk `f` beside the thunk `baseline`."
  [baseline f]
  (let [[n m] (warm-up baseline f)
        pairs (vec (repeatedly rounds (fn [] [(run-round baseline n) (run-round f m)])))]
    {:baseline-ns (harness/median (map first pairs))
     :ns (harness/median (map second pairs))
     :ratio (harness/median (map (fn [[b t]] (/ (double t) (double b))) pairs))}))

(defn print-ratios
  "Measures and prints `[name baseline thunk]` rows: time, baseline's time, ratio."
  [rows]
  (doseq [[name baseline f] rows
          :let [{:keys [ns baseline-ns ratio]} (measure baseline f)]]
    (println (format "%-44s %10.1f µs %10.1f µs %6.2f×" name
               (/ (double ns) 1e3) (/ (double baseline-ns) 1e3) ratio))
    (flush)))
