(ns poz.client.plan
  "Whom to ask next and for how long, when to stop: pure functions of the time that has
  passed, in milliseconds.

  A *plan* is `{:candidates [{:server :ready :busy}] :failures [{:server …}] :total ms}`. Servers
  are asked in their order; each may take an equal share of what time is left, so that one that
  hangs leaves some to the others. One that is BUSY is asked again when it said, and later
  each time. What a server answered definitively is not asked of another."
  (:require
   [clojure.string :as str]
   [poz.client.servers :as servers]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

(def ^:private first-wait-ms
  "The least wait before a BUSY server is asked again; it doubles each time."
  100)

(defn plan
  "The plan to ask `servers`, in this order, within `total` milliseconds."
  [servers total]
  {:candidates (mapv #(hash-map :server % :ready 0 :busy 0) servers) :failures [] :total total})

;; ## What failures mean

(def ^:private answers
  "The statuses that another server would answer too: they are about the request."
  #{:malformed :not-found :rejected :conflict :too-large})

(defn final?
  "True if the `anomaly` of one server ends it all: it is an answer, or a verified fork."
  [{:keys [status record] :poz/keys [error]}]
  (boolean (or (answers status) (and record (= :memory/fork error)))))

(def ^:private telling
  "The categories of failure, the one to tell first."
  (zipmap [:conflict :invalid :malformed :refused :unknown :fault :busy :unreachable] (range)))

(defn- said [server {:keys [message] :as anomaly}]
  (assoc (select-keys anomaly [:poz/anomaly :poz/error :status :problem]) :server server :message message))

(defn- sentence [{:keys [server message]}]
  (str (servers/label server) ": " message))

(defn give-up
  "The anomaly of the plan in which nobody is left to ask: the most telling of the failures,
  with what each server said in `:message` and under `:failures`."
  [{:keys [failures worst]}]
  (if worst
    (assoc worst :failures failures :message (str/join "; " (map sentence failures)))
    (error/anomaly :client/no-server)))

(defn end
  "The anomaly of the plan that `anomaly`, the answer of `server`, ends."
  [plan server anomaly]
  (-> plan
    (update :failures conj (said server anomaly))
    (assoc :worst (assoc anomaly :server server))
    give-up))

(defn- worse [a b]
  (let [rank #(telling (:poz/anomaly %) 0)]
    (if (or (nil? a) (< (long (rank b)) (long (rank a)))) b a)))

;; ## Steps

(defn step
  "What to do when `elapsed` milliseconds have passed: `[:ask candidate ms]`, `[:wait ms]`,
  or `[:give-up anomaly]`."
  [{:keys [candidates total] :as plan} elapsed]
  (let [left (- (long total) (long elapsed))
        ready (first (filter #(<= (long (:ready %)) (long elapsed)) candidates))
        wait (when (seq candidates) (- (long (apply min (map :ready candidates))) (long elapsed)))]
    (cond
      (or (nil? wait) (<= left 0)) [:give-up (give-up plan)]
      ready [:ask ready (max 1 (quot left (count candidates)))]
      (< (long wait) left) [:wait wait]
      :else [:give-up (give-up plan)])))

(defn- again
  "The BUSY `candidate`, to be asked again."
  [{:keys [busy] :as candidate} {:keys [wait-ms]} elapsed]
  (assoc candidate
    :busy (inc (long busy))
    :ready (+ (long elapsed) (max (long wait-ms) (bit-shift-left (long first-wait-ms) (min (long busy) 20))))))

(defn note
  "`plan` after the `candidate` failed with `anomaly`, `elapsed` milliseconds into it."
  [{:keys [candidates] :as plan} candidate anomaly elapsed]
  (let [server (:server candidate)
        others (filterv #(not= server (:server %)) candidates)]
    (-> plan
      (update :failures conj (said server anomaly))
      (update :worst worse (assoc anomaly :server server))
      (assoc :candidates (if (:wait-ms anomaly)
                           (conj others (again candidate anomaly elapsed))
                           others)))))
