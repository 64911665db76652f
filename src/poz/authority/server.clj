(ns poz.authority.server
  "A request's bytes → the response's: what stands between `poz.net` and `poz.authority`.

  On its way a request is decoded by the contract of its port, held against the proof of
  work that is asked for under the present load, and answered, by what is ready-made or by
  deciding. Whatever goes wrong becomes the response that says so, never an exception: a
  store that is lost answers FAILED, one that is busy BUSY, and both are asked again by the
  next request.

  `server` makes one. It holds no thread, socket or file; time, randomness and load are
  functions that it is given."
  (:require
   [poz.authority.answers :as answers]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.pow :as pow]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent ConcurrentHashMap)
   (java.util.concurrent.atomic LongAdder)
   (java.util.function Function)))

(set! *warn-on-reflection* true)

;; ## Counters

(defn- count! [{:keys [^ConcurrentHashMap counts]} k]
  (.increment ^LongAdder (.computeIfAbsent counts k (reify Function (apply [_ _] (LongAdder.))))))

(defn counters
  "What was answered so far: `{[type status] n}`, with `[:ready :ok]` for ready-made answers and
  the type nil for what could not be read."
  [{:keys [^ConcurrentHashMap counts ^LongAdder ready-made]}]
  (let [n (.sum ready-made)]
    (into (if (pos? n) {[:ready :ok] n} {})
      (map (fn [[k adder]] [k (.sum ^LongAdder adder)])) counts)))

;; ## Work

(defn- pow-facts [{:keys [secret load]} address now]
  {:secret secret :address (bytes/utf8 address) :now now :difficulty (pow/difficulty (load))})

(defn- spent-first?
  "Notes that `work` was used; true for the first who says so."
  [{:keys [spent]} work]
  (let [[before _] (swap-vals! spent #(if (pow/spent? % work) % (pow/spend % work)))]
    (not (pow/spent? before work))))

(defn- work-fault
  "The anomaly `:wire/work-required`, or nil where the request may pass."
  [{:keys [spent] :as server} {:keys [type pow] :as request} {:keys [difficulty secret address now] :as facts}]
  (when-not (or (zero? (long difficulty)) (pow/free? type))
    (or (pow/check (assoc facts :spent @spent) type (wire/payload-bytes request) pow)
      (when-not (spent-first? server pow)
        (error/anomaly :wire/work-required {:challenge (pow/challenge secret address now difficulty)})))))

;; ## Answering

(defn- told
  "`anomaly` as a stranger is told of it."
  [{:poz/keys [anomaly error] :as a} id]
  (assoc (if (and (= :busy anomaly) (= "store" (namespace error))) (error/anomaly :wire/busy) a)
    :id id))

(defn- failure-bytes [server type anomaly]
  (let [response (wire/failure anomaly)]
    (count! server [type (:status response)])
    (wire/encode-response response nil)))

(defn- answered [{:keys [store config random] :as server} {:keys [type] :as request} b {:keys [now] :as facts}]
  (let [{:keys [secret address difficulty]} facts
        [status out] (answers/answer! (:answers server) store config request b
                       (cond-> {:now now :random random}
                         (= :challenge type) (assoc :challenge (pow/challenge secret address now difficulty))))]
    (count! server [type status])
    out))

(defn- decided [{:keys [now before] :as server} {:keys [address contract] b :bytes}]
  (let [{:keys [type] :as request} (wire/decode-request b {:contract contract})]
    (if (error/anomaly? request)
      (failure-bytes server nil request)
      (let [facts (pow-facts server address (now))
            fault (or (work-fault server request facts) (when before (before request)))]
        (if fault
          (failure-bytes server type (told fault (:id request)))
          (answered server request b facts))))))

(defn- defect!
  "Reports `t`; the anomaly that tells a stranger no more than that."
  [{:keys [on-error]} t]
  (on-error t)
  (error/anomaly :fault/internal))

(defn- failed!
  "Reports the anomaly of a store."
  [{:keys [on-failure]} {:poz/keys [error] :as anomaly}]
  (when (and on-failure (= "store" (namespace error)))
    (on-failure anomaly)))

(defn- id-of [b]
  (:id (wire/decode-request b) 0))

(defn ready
  "The bytes of the answer to a request `{:bytes :contract :address}` that is kept ready-made,
  or nil. Never waits, so that an event loop may call it."
  [server asked]
  (when-let [out (answers/lookup (:answers server) asked)]
    (.increment ^LongAdder (:ready-made server))
    out))

(defn handle
  "The bytes of the response to a request `{:bytes :contract :address}`, where the contract is
  `:plain`, `:query` or `:submit`. Never throws."
  [server {b :bytes :as asked}]
  (let [found (try (error/attempt #(or (ready server asked) (decided server asked)))
                   (catch Throwable t (defect! server t)))]
    (if (error/anomaly? found)
      (do (failed! server found)
          (failure-bytes server nil (told found (id-of b))))
      found)))

(defn server
  "What `handle` and `ready` take, of

  | key         | meaning                                                           |
  |-------------|-------------------------------------------------------------------|
  | `:store`    | a store, through which alone this process commits                 |
  | `:config`   | that of `poz.authority`                                           |
  | `:answers`  | `poz.authority.answers/answers`, nil to keep none                 |
  | `:secret`   | a secret of the server's, for challenges                          |
  | `:load`     | a function: the share of what it can do that it is doing, 0 to 1  |
  | `:now`      | a function: the clock in milliseconds                             |
  | `:random`   | a function of n: n random bytes                                   |
  | `:on-error` | a function of a Throwable: a defect                               |
  | `:before`   | a function of a request, called before it is decided (optional): gets what it needs; an anomaly is the answer |
  | `:on-failure` | a function of an anomaly of the store; it may be missing        |"
  [{:keys [store answers] :as facts}]
  (assoc facts
    :store (answers/watched answers store)
    :spent (atom (pow/spent))
    :counts (ConcurrentHashMap.)
    :ready-made (LongAdder.)))
