(ns poz.jazzer.invariants
  "What must hold of any bytes that a reader is given, in one place: coverage-guided fuzzing
  (`dev/clj -M:jazzer`) and the unit tests both ask here.

  - `held!` throws what is broken, with the facts
  - `bounded` calls a reader and holds what it allocates against the size of its input
  - `itself!` a reader gave a value that encodes to the same bytes, or an anomaly
  - `readers-agree!` the compiled and the tracing reader say the same
  - `file!` all of that of a file, and whatever verifies it

  Anything else that is thrown, by whatever is being tested, is a finding just as well."
  (:require
   [poz.codec :as codec]
   [poz.codec.spans :as spans]
   [poz.error :as error]
   [poz.record :as record]
   [poz.record.trace :as trace]
   [poz.verify :as verify])
  (:import
   (com.sun.management ThreadMXBean)
   (java.lang.management ManagementFactory)))

(set! *warn-on-reflection* true)

(defn held!
  "Throws, unless `condition` is true: `what` should have held, and the facts why it did not."
  [condition what facts]
  (when-not condition
    (throw (ex-info (str "broken: " what) (assoc facts ::broken what)))))

(defn broken
  "The invariant that the exception `e` says is broken, or nil."
  [e]
  (::broken (ex-data e)))

;; ## Memory

(def ^:private ^ThreadMXBean threads (ManagementFactory/getThreadMXBean))

(defn- allocated
  "`[value bytes]` of `(f)`: what it gives and what this thread allocated for that."
  [f]
  (let [before (.getCurrentThreadAllocatedBytes threads)
        v (f)]
    [v (- (.getCurrentThreadAllocatedBytes threads) before)]))

(def ^:private slack
  "How much more is allowed: what watches the branches of a program allocates, too."
  (parse-long (System/getProperty "poz.slack" "1")))

(defn bounded
  "The value of `(f)`, which reads `n` bytes and may allocate `base` bytes and `factor` more
  for each that it reads. The first time that code runs more is allocated by the machine, so
  only what is above the limit twice is a finding."
  [what [base factor] n f]
  (let [limit (* (long slack) (+ (long base) (* (long factor) (long n))))
        [v used] (allocated f)]
    (when (< limit (long used))
      (let [[_ again] (allocated f)]
        (held! (<= (long again) limit) (str what " allocates a small multiple of what it reads")
          {:bytes n :allocated again :limit limit})))
    v))

;; ## Readers

(defn malformed!
  "Holds `found` to be an anomaly of a reader: malformed, and with a sentence."
  [{:keys [message at] :poz/keys [anomaly] :as found} n]
  (held! (and (= :malformed anomaly) (contains? error/table (:poz/error found)) (string? message)
           (or (nil? at) (<= 0 (long at) (long n))))
    "what is refused is malformed, at a place in it" {:found found}))

(defn itself!
  "Holds `found`, what the bytes `b` were read as, to be malformed or to be written by `encode`
  as just `b`. True if it is a value."
  [found b encode]
  (if (error/anomaly? found)
    (do (malformed! found (count b)) false)
    (do (held! (= b (encode found)) "encode(decode(b)) = b" {:found found}) true)))

(defn readers-agree!
  "Holds the compiled reader of `codec` and the tracing one to say the same of `b`."
  [codec b options]
  (let [{:keys [value error]} (spans/trace codec b options)
        found (codec/decode codec b options)]
    (held! (= found (or error value)) "two readers agree" {:compiled found :tracing (or error value)})))

;; ## Files

(def ^:private decoding "Bytes, and bytes for each byte read." [200000 200])
(def ^:private verifying [2000000 4000])

(defn verdict!
  "The verdict on `record`, of `n` bytes, at the time `now`, held to be one."
  [record n now]
  (let [{:keys [outcome problems] :as verdict} (bounded "verify" verifying n #(verify/verify record {:now now}))]
    (held! (contains? #{:valid :invalid :unknown} outcome) "a verdict is valid, invalid or unknown" {:outcome outcome})
    (held! (= (= :valid outcome) (empty? problems)) "a verdict has problems unless it is valid" {:problems problems})
    (held! (every? string? (map :because (verify/steps verdict))) "every step has a sentence" {})
    (run! :message (:warnings verdict))
    verdict))

(defn- view!
  "Holds the public view of a record with this verdict to be a record as good as that."
  [record verdict now]
  (let [view (record/public-view record) again (record/decode (record/encode view))]
    (held! (= view again) "a public view is a record" {:again again})
    (held! (= (:outcome verdict) (:outcome (verify/verify view {:now now}))) "a public view is as good as the record" {})))

(defn record!
  "Holds all that is asked of a record that was decoded from `n` bytes; its verdict."
  [record n now]
  (let [verdict (verdict! record n now)]
    (view! record verdict now)
    verdict))

(defn file!
  "Holds all that is asked of the bytes `b` as a file in binary form, at the time `now`. Its
  verdict, or nil where it is malformed."
  [b now]
  (let [found (bounded "decode" decoding (count b) #(record/decode b))
        {:keys [value error]} (trace/trace b)]
    (when (= b (record/dearmor b))
      (held! (= found (or error value)) "two readers agree" {:compiled found :tracing (or error value)}))
    (when (itself! found b record/encode)
      (record! found (count b) now))))
