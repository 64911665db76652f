(ns poz.mirror.status
  "What a cache or mirror knows of itself while it runs: when it checked which record, when its
  server answered last, what went wrong.

  A *mirror* is what `poz.mirror/mirror` makes; here it is its `:source`, `:options`, and three
  things that change: `:checked`, original hash → `[at kept]`, when the record was last checked
  and which time of that the store has; `:state`, an atom of counts; `:stopped`."
  (:require
   [poz.error :as error]
   [poz.mirror.holding :as holding]
   [poz.mirror.plan :as plan]
   [poz.mirror.pull :as pull]
   [poz.record :as record]
   [poz.store :as store])
  (:import
   (java.util.concurrent ConcurrentHashMap CountDownLatch)))

(set! *warn-on-reflection* true)

(def ^:private most-conflicts
  "How many records' conflicts are remembered, the newest."
  100)

(defn- page [store after]
  (store/scan store :checked after 1000))

(defn- load-checked!
  "All records that the store holds, with when they were checked, into `checked`."
  [^ConcurrentHashMap checked store]
  (loop [after nil]
    (let [found (page store after)]
      (doseq [[[_ hash] v] found]
        (let [at (holding/checked-at {[:checked hash] v} hash)]
          (.put checked hash [at at])))
      (when (seq found) (recur (second (first (peek found))))))))

(defn state
  "The three things that change, as the store has them."
  [store]
  {:checked (doto (ConcurrentHashMap.) (load-checked! store))
   :state (atom {:silent 0 :failures {} :conflicts []})
   :stopped (CountDownLatch. 1)})

(defn stopped?
  "True once the mirror is to stop."
  [{:keys [^CountDownLatch stopped]}]
  (zero? (.getCount stopped)))

;; ## Ages

(defn checked-at
  "When the record `hash`, which is held, was last checked; nil where it is not held."
  [{:keys [^ConcurrentHashMap checked]} hash]
  (first (.get checked hash)))

(defn hashes
  "The original hashes of all records held."
  [{:keys [^ConcurrentHashMap checked]}]
  (vec (.keySet checked)))

;; ## Noting

(defn answered!
  "Notes that the server answers."
  [{:keys [state source]}]
  (swap! state assoc :silent 0 :until nil :answered-at ((:now source))))

(defn- silent [{n :silent :as state} wait-ms now random]
  (let [n (inc (long n))]
    (assoc state :silent n :until (+ (long now) (long (plan/back-off n wait-ms random))))))

(defn silent!
  "Notes that the server did not answer, for `anomaly`: nobody asks it again before `until`."
  [{:keys [state source]} {:keys [wait-ms]}]
  (swap! state silent wait-ms ((:now source)) (:random source)))

(defn away?
  "True while the server is not to be asked since it did not answer."
  [{:keys [state source]}]
  (let [until (:until @state)]
    (and (some? until) (< (long ((:now source))) (long until)))))

(defn- conflicted [conflicts conflict]
  (let [others (filterv #(not= (:hash conflict) (:hash %)) conflicts)]
    (vec (take-last most-conflicts (conj others conflict)))))

(defn failed!
  "Counts the `anomaly` of a record; what contradicts the record held goes to `:on-conflict` too."
  [{:keys [state source options]} {:keys [subject] :poz/keys [anomaly error] :as found}]
  (swap! state update-in [:failures error] (fnil inc 0))
  (when (= :conflict anomaly)
    (swap! state update :conflicts conflicted {:hash (:hash subject) :error error :at ((:now source))})
    ((:on-conflict options) found)))

(defn- durable?
  "True if the outcome is worth a commit: what is new, handles that were missing, or a check so long
  after the one that the store has that a restart would tell a wrong age."
  [{:keys [^ConcurrentHashMap checked options]} {:keys [outcome record bindings]} now]
  (let [[_ kept] (.get checked (record/original-hash record))]
    (or (not= :unchanged outcome) (seq bindings) (nil? kept)
      (<= (quot (long (:stale-ms options)) 8) (- (long now) (long kept))))))

(defn taken!
  "Keeps the good ones of `outcomes` and counts the failures of the others."
  [{:keys [source ^ConcurrentHashMap checked] :as mirror} outcomes]
  (let [now ((:now source))
        {bad true good false} (group-by error/anomaly? outcomes)
        {lasting true} (group-by #(boolean (durable? mirror % now)) good)
        kept (into #{} (map (comp record/original-hash :record)) lasting)]
    (pull/commit! source lasting)
    (doseq [{:keys [record]} good :let [hash (record/original-hash record)]]
      (.put checked hash [now (if (kept hash) now (second (.get checked hash)))]))
    (run! #(failed! mirror %) bad)))
