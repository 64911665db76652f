(ns bench.ratio
  "One thunk beside another that does the least that has to be done: `print-ratios`.

  All rows are warmed up before the first is measured, since they share code. Then both of a
  row run in turn, so that they meet the same machine. The ratio is the median of the rounds' ratios."
  (:require
   [bench.harness :as harness]))

(set! *warn-on-reflection* true)

(def ^:private warm-up-ns 15e9)
(def ^:private round-ns 4e7)
(def ^:private rounds 31)

(defn- timed
  "Nanoseconds that `n` calls of `f` take. What they give is looked at, so that the compiler
  cannot drop the work."
  ^long [f ^long n]
  (let [start (System/nanoTime)]
    (dotimes [_ n]
      (when (nil? (f)) (throw (IllegalStateException. "A benchmark gave nothing."))))
    (- (System/nanoTime) start)))

(defn- apart
  "A function that runs each of `n` calls of `f` inside of `around`, and times what is inside."
  [around]
  (fn [f n]
    (loop [left (long n) sum 0]
      (if (zero? left)
        sum
        (recur (dec left) (+ sum (long (around #(timed f 1)))))))))

(defn- calls-per-round ^long [^double ns-per-call]
  (max 1 (long (/ (double round-ns) ns-per-call))))

(defn- per-call
  "Nanoseconds per call of `f` in a round of `n` calls, which `run` times."
  ^double [run f n]
  (/ (double (run f n)) (long n)))

(defn- warm-up
  "Runs both thunks in turn; how many calls of each fill a round."
  [run baseline f]
  (let [start (System/nanoTime)]
    (loop [n 1 m 1]
      (let [n (calls-per-round (per-call run baseline n)) m (calls-per-round (per-call run f m))]
        (if (< (- (System/nanoTime) start) (double warm-up-ns))
          (recur n m)
          [n m])))))

(defn- measure
  "`{:ns :baseline-ns :ratio}`, medians, of the thunk `f` beside the thunk `baseline`."
  [run baseline f]
  (let [[n m] (warm-up run baseline f)
        pairs (vec (repeatedly rounds (fn [] [(per-call run baseline n) (per-call run f m)])))]
    {:baseline-ns (harness/median (map first pairs))
     :ns (harness/median (map second pairs))
     :ratio (harness/median (map (fn [[b t]] (/ (double t) (double b))) pairs))}))

(defn print-ratios
  "Measures and prints `[name baseline thunk]` rows: time, baseline's time, ratio. With
  `:around`, a function of a thunk that calls it and gives what it gives, each call is made
  inside of that, whose own time does not count."
  ([rows] (print-ratios {} rows))
  ([{:keys [around]} rows]
   (let [run (if around (apart around) timed)]
     (doseq [[_ baseline f] rows] (warm-up run baseline f))
     (doseq [[name baseline f] rows
             :let [{:keys [ns baseline-ns ratio]} (measure run baseline f)]]
       (println (format "%-58s %10.1f µs %10.1f µs %6.2f×" name
                  (/ (double ns) 1e3) (/ (double baseline-ns) 1e3) ratio))
       (flush)))))
