(ns poz.client.attempt
  "One request to one server, and then to the next: the asynchronous part of the client.

  An *attempt* is all that is done with one server in its share of the time: ask, work where
  work is asked for, ask again, check the answer. Everything but waiting happens on the executor,
  never on an event loop. Whatever is going on ends when the result is there or cancelled."
  (:require
   [poz.client.plan :as plan]
   [poz.client.response :as response]
   [poz.client.work :as work]
   [poz.error :as error]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent CompletableFuture Executor TimeUnit)))

(set! *warn-on-reflection* true)

(defn- timer
  "A CompletableFuture that is true in `ms` milliseconds, unless it is completed before: which costs
  less than to cancel it, where the JVM makes a stack trace."
  ^CompletableFuture [ms]
  (.completeOnTimeout (CompletableFuture.) true (long ms) TimeUnit/MILLISECONDS))

(defn- follow!
  "Calls `f` with the value of `future` on the executor; what that or `future` throws completes the
  result, and so ends what waits for it. Once the result is complete `f` is not called. `future` is
  what is going on for the result now: it is cancelled with it."
  [{:keys [current ^Executor executor ^CompletableFuture result]} ^CompletableFuture future f]
  (reset! current future)
  (when (.isDone result) (.cancel future true))
  (.whenCompleteAsync future
    (fn [value thrown]
      (when-not (.isDone result)
        (try (if thrown (.completeExceptionally result thrown) (f value))
             (catch Throwable t (.completeExceptionally result t)))))
    executor))

(defn- context [executor]
  (let [current (atom nil) result (CompletableFuture.)]
    (.whenComplete result (fn [_ _] (some-> ^CompletableFuture @current (.cancel true))))
    {:executor executor :current current :result result}))

(defn- complete! [{:keys [^CompletableFuture result]} value]
  (.complete result value))

;; ## One server

(defn- exchange-options [{:keys [host port contract public-key]} {:keys [random max-response transport]} ms]
  (cond-> {:host host :port port :contract contract :deadline-ms ms :random random}
    public-key (assoc :server-key public-key)
    max-response (assoc :max-response max-response)
    transport (assoc :transport transport)))

(def ^:private most-works
  "How often one server is worked for in an attempt."
  3)

(defn- worth-it? [{:keys [options works]} {:keys [challenge status]}]
  (and (= :pow-required status)
    (pos? (long works))
    (<= (long (:difficulty challenge)) (long (:max-difficulty options)))))

(declare ask!)

(defn- work!
  "Works on the challenge in `asked`, which is the failure if time runs out, then asks again."
  [{:keys [options late] :as attempt} request {:keys [challenge] :as asked}]
  (reset! late (delay (assoc asked :rule (str (:difficulty challenge) " zero bits were not found in time"))))
  (follow! attempt (work/work-async request challenge (:executor options) (:random options))
    #(ask! (update attempt :works dec) (assoc request :pow %))))

(defn- answered! [{:keys [options judge] :as attempt} request b]
  (let [found (if (error/anomaly? b) b (response/finding b request options))]
    (cond
      (worth-it? attempt found) (work! attempt request found)
      (error/anomaly? found) (complete! attempt found)
      :else (complete! attempt (judge found)))))

(defn- ask! [{:keys [server options ms late] :as attempt} request]
  (reset! late (delay (error/anomaly :net/timeout {:rule (str ms " ms")})))
  (follow! attempt
    ((:exchange options) (exchange-options server options ms) (wire/encode-request request))
    #(answered! attempt request %)))

(defn- attempt-async
  "A CompletableFuture of what `judge` makes of the answer of `server`, or of an anomaly, within
  `ms` milliseconds."
  ^CompletableFuture [server request {:keys [executor] :as options} ms judge]
  (let [{:keys [^CompletableFuture result] :as context} (context executor)
        attempt (assoc context :server server :options options :ms ms :judge judge
                  :works most-works :late (atom nil))
        clock (timer ms)]
    (.whenComplete result (fn [_ _] (.complete clock false)))
    (ask! attempt request)
    (.thenAccept clock (fn [late] (when late (.complete result @@(:late attempt)))))
    result))

;; ## One after another

(defn- elapsed-ms [{:keys [start]}]
  (quot (- (System/nanoTime) (long start)) 1000000))

(declare proceed!)

(defn- concluded! [call plan {:keys [server] :as candidate} found]
  (cond
    (not (error/anomaly? found))
    (complete! call (assoc found :server server :failures (:failures plan)))
    (plan/final? found) (complete! call (plan/end plan server found))
    :else (proceed! call (plan/note plan candidate found (elapsed-ms call)))))

(defn- proceed! [{:keys [request options judge] :as call} plan]
  (let [[step x ms] (plan/step plan (elapsed-ms call))]
    (case step
      :give-up (complete! call x)
      :wait (follow! call (timer x) (fn [_] (proceed! call plan)))
      :ask (follow! call (attempt-async (:server x) request options ms judge)
             #(concluded! call plan x %)))))

(defn ask-async
  "A CompletableFuture of what `judge` makes of `{:status :payload}`, the answer to `request` of
  the first of `servers` of which it makes no anomaly, with `:server` and the `:failures` of those
  asked before; or the anomaly that `poz.client.plan` ends with. `options` are those of
  `poz.client`. Cancelling it closes connections and ends work."
  ^CompletableFuture [servers request {:keys [executor deadline-ms] :as options} judge]
  (let [call (assoc (context executor) :request request :options options :judge judge :start (System/nanoTime))]
    (proceed! call (plan/plan servers deadline-ms))
    (:result call)))
