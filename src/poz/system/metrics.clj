(ns poz.system.metrics
  "What a server does, in numbers for Prometheus, by Micrometer.

  `meters` makes them; a server is started with its functions, each of which costs less than a
  microsecond: `:on-answer` and `:on-handshake`, as `poz.net` calls them, and `:watched`, which
  times a store. `describe!` adds what is read of the running system when somebody asks, and
  `scrape` is the text that Prometheus reads. `table` names all that is poz's own.

  The words of labels are few and known: a port, a type or a status that there is, or `none`. Nothing
  of what was asked for gets into them."
  (:require
   [poz.error :as error]
   [poz.store :as store]
   [poz.wire :as wire])
  (:import
   (io.micrometer.core.instrument Counter FunctionCounter Gauge MeterRegistry Timer)
   (io.micrometer.core.instrument.binder MeterBinder)
   (io.micrometer.core.instrument.binder.jvm ClassLoaderMetrics JvmGcMetrics JvmMemoryMetrics JvmThreadMetrics)
   (io.micrometer.core.instrument.binder.system ProcessorMetrics UptimeMetrics)
   (io.micrometer.prometheusmetrics PrometheusConfig PrometheusMeterRegistry)
   (java.time Duration)
   (java.util.concurrent ConcurrentHashMap TimeUnit)
   (java.util.function Function Supplier ToDoubleFunction)))

(set! *warn-on-reflection* true)

(def table
  "Name, as Prometheus has it → `:kind`, `:labels` and `:doc`."
  (array-map
    "poz_request_seconds" {:kind :histogram :labels [:port :type :status] :doc "from a whole request to its answer; its count is how many were answered. The type is none where no whole request came"}
    "poz_handshakes_total" {:kind :counter :labels [:port :result] :doc "Noise handshakes, ok or failed"}
    "poz_connections_open" {:kind :gauge :labels [:port] :doc "open connections"}
    "poz_ready_made_total" {:kind :counter :labels [] :doc "requests that a ready-made answer was there for"}
    "poz_load_ratio" {:kind :gauge :labels [] :doc "the share of threads and queue, or of connections, that is in use: what proof of work goes by"}
    "poz_store_seconds" {:kind :histogram :labels [:operation :result] :doc "fetch, scan and commit; ok, conflict (a commit that came too late) or failed"}
    "poz_mirror_records" {:kind :gauge :labels [] :doc "of a mirror or cache: records it holds"}
    "poz_mirror_lag_seconds" {:kind :gauge :labels [] :doc "how far it is behind"}
    "poz_mirror_last_success_seconds" {:kind :gauge :labels [] :doc "when it last heard of all it follows, seconds since 1970"}
    "poz_mirror_failures_total" {:kind :counter :labels [] :doc "attempts that failed"}))

;; ## Timers

(def ^:private buckets
  "Upper bounds of the histograms in microseconds."
  [100 250 500 1000 2500 5000 10000 25000 50000 100000 250000 500000 1000000 2500000 5000000 10000000])

(defn- tags ^"[Ljava.lang.String;" [labels]
  (into-array String (mapcat (fn [[k v]] [(name k) (if v (name v) "none")]) labels)))

(defn- timer ^Timer [^MeterRegistry registry ^String name prometheus labels]
  (-> (Timer/builder name)
    (.description ^String (:doc (table prometheus)))
    (.tags (tags labels))
    (.serviceLevelObjectives ^"[Ljava.time.Duration;" (into-array Duration (map #(Duration/ofNanos (* 1000 (long %))) buckets)))
    (.register registry)))

(defn- found
  "The meter for the key `k` of `meters`, which `(make)` makes if it is the first time."
  [^ConcurrentHashMap meters k make]
  (or (.get meters k)
    (.computeIfAbsent meters k (reify Function (apply [_ _] (make))))))

(defn- record! [^Timer timer nanos]
  (.record timer (long nanos) TimeUnit/NANOSECONDS))

(defn- on-answer [registry]
  (let [timers (ConcurrentHashMap.)]
    (fn [{:keys [bytes contract]} response nanos]
      (let [type (some-> bytes wire/peek-type) status (wire/peek-status response)]
        (record! (found timers [contract type status]
                   #(timer registry "poz.request" "poz_request_seconds" [[:port contract] [:type type] [:status status]]))
          nanos)))))

(defn- on-handshake [^MeterRegistry registry]
  (let [counters (ConcurrentHashMap.)]
    (fn [contract ok?]
      (.increment ^Counter
        (found counters [contract ok?]
          #(-> (Counter/builder "poz.handshakes")
             (.description (:doc (table "poz_handshakes_total")))
             (.tags (tags [[:port contract] [:result (if ok? :ok :failed)]]))
             (.register registry)))))))

(defn- watched [registry]
  (let [timers (ConcurrentHashMap.)
        timed (fn [operation result-of work]
                (let [start (System/nanoTime)
                      done (volatile! :failed)]
                  (try (let [value (work)] (vreset! done (result-of value)) value)
                       (finally
                         (record! (found timers [operation @done]
                                    #(timer registry "poz.store" "poz_store_seconds" [[:operation operation] [:result @done]]))
                           (- (System/nanoTime) start))))))]
    (fn [inner]
      (reify store/Store
        (fetch [_ ks] (timed :fetch (constantly :ok) #(store/fetch inner ks)))
        (scan [_ kind after limit] (timed :scan (constantly :ok) #(store/scan inner kind after limit)))
        (commit! [_ expected changes] (timed :commit #(if % :ok :conflict) #(store/commit! inner expected changes)))
        (close! [_] (store/close! inner))))))

;; ## What is read of the running system

(defn- gauge! [^MeterRegistry registry name prometheus labels f]
  (-> (Gauge/builder ^String name ^Supplier (reify Supplier (get [_] (some-> (f) double))))
    (.description (:doc (table prometheus)))
    (.tags (tags labels))
    (.register registry)))

(defn- counted! [^MeterRegistry registry name prometheus f]
  (-> (FunctionCounter/builder ^String name registry (reify ToDoubleFunction (applyAsDouble [_ _] (double (or (f) 0)))))
    (.description (:doc (table prometheus)))
    (.register registry)))

(defn- seconds [ms]
  (some-> ms (/ 1000)))

(defn- describe-mirror! [registry status]
  (gauge! registry "poz.mirror.records" "poz_mirror_records" [] #(:records (status)))
  (gauge! registry "poz.mirror.lag.seconds" "poz_mirror_lag_seconds" [] #(seconds (:lag-ms (status))))
  (gauge! registry "poz.mirror.last.success.seconds" "poz_mirror_last_success_seconds" [] #(seconds (:last-success (status))))
  (counted! registry "poz.mirror.failures" "poz_mirror_failures_total" #(:failures (status))))

(defn describe!
  "Adds what is told of the running system: `:open`, contract → a function; `:load`, `:counters`
  and, of a mirror, `:mirror-status`, functions."
  [{:keys [registry]} {:keys [open load counters mirror-status]}]
  (doseq [[contract f] open]
    (gauge! registry "poz.connections.open" "poz_connections_open" [[:port contract]] f))
  (gauge! registry "poz.load.ratio" "poz_load_ratio" [] load)
  (counted! registry "poz.ready.made" "poz_ready_made_total" #(get (counters) [:ready :ok]))
  (when mirror-status (describe-mirror! registry mirror-status)))

;; ## The whole

(defn- machine
  "What is told of the JVM."
  []
  [(JvmMemoryMetrics.) (JvmGcMetrics.) (JvmThreadMetrics.) (ClassLoaderMetrics.) (ProcessorMetrics.) (UptimeMetrics.)])

(defn meters
  "The meters of one server: `{:registry :on-answer :on-handshake :watched}`, and `:close`."
  []
  (let [registry (PrometheusMeterRegistry. PrometheusConfig/DEFAULT)
        binders (machine)]
    (run! #(.bindTo ^MeterBinder % registry) binders)
    {:registry registry
     :on-answer (on-answer registry)
     :on-handshake (on-handshake registry)
     :watched (watched registry)
     :close (fn []
              (run! #(when (instance? java.lang.AutoCloseable %) (.close ^java.lang.AutoCloseable %)) binders)
              (.close registry))}))

(defn scrape
  "The numbers as Prometheus reads them."
  [{:keys [^PrometheusMeterRegistry registry]}]
  (.scrape registry))

(def content-type
  "What `scrape` gives."
  "text/plain; version=0.0.4; charset=utf-8")

(defn- health [ok?]
  (if ok?
    {:status 200 :headers {"Content-Type" "text/plain" "Cache-Control" "no-store"} :body "ok\n"}
    {:status 503 :headers {"Content-Type" "text/plain" "Cache-Control" "no-store"} :body "not ready\n"}))

(defn- answers [meters ready? uri]
  (case uri
    "/metrics" {:status 200 :headers {"Content-Type" content-type "Cache-Control" "no-store"} :body (scrape meters)}
    "/health/live" (health true)
    "/health/ready" (health (true? (error/attempt ready?)))
    nil))

(defn handler
  "Answers, in the form of Ring, `/metrics`, `/health/live`, and `/health/ready`: 200 where `(ready?)`
  is true, else 503."
  [meters ready?]
  (fn [{:keys [request-method uri]}]
    (cond
      (not (#{"/metrics" "/health/live" "/health/ready"} uri)) {:status 404 :headers {"Content-Type" "text/plain"} :body "Not found\n"}
      (not (#{:get :head} request-method)) {:status 405 :headers {"Allow" "GET, HEAD" "Content-Type" "text/plain"} :body "Method not allowed\n"}
      :else (cond-> (answers meters ready? uri) (= :head request-method) (assoc :body nil)))))
