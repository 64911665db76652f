(ns poz.discover
  "From a domain to its record's hash and its servers, by what already exists: DNS and the web
  (protocol.md §6). Every source is asked at the same time, and what each says is kept.

    discover, discover-async   a domain → a report, or an anomaly that carries one
    edge                       what asks the sources, to be used again
    fake                       the same for tests, without a network

  A *report*, and the *policies* that say what will do, are in `poz.discover.report`. Sources that name
  different records are the anomaly `:discover/conflict`, of the category `:conflict`. A source
  that does not answer in time counts as failed; what the others say is there by then.

  What asks, `:ask`, is a function of a source, a domain and milliseconds that gives a CompletableFuture
  of an answer: `{:rows …}` of DNS (`poz.discover.dns`), `{:bytes …}` or `{:absent …}` of the
  web (`poz.discover.https`), or an anomaly."
  (:require
   [poz.bytes :as bytes]
   [poz.client.options :as client-options]
   [poz.codec :as codec]
   [poz.discover.dns :as dns]
   [poz.discover.https :as https]
   [poz.discover.report :as report]
   [poz.discover.texts :as texts]
   [poz.error :as error]
   [poz.format :as format])
  (:import
   (java.util.concurrent CompletableFuture ExecutionException Executor TimeUnit)))

(set! *warn-on-reflection* true)

(def options
  "Option of `discover` → `{:doc :default :check :rule :required}`."
  {:now {:doc "the clock in milliseconds" :required true :check int? :rule "a number"}
   :deadline-ms {:doc "for all sources together" :default 5000 :check #(and (int? %) (pos? (long %))) :rule "a number above 0"}
   :policy {:doc "a key of poz.discover.report/policies, or such a map" :default :default :check #(or (keyword? %) (map? %)) :rule "a policy"}
   :require {:doc "sources of which none may be absent or fail" :default #{} :check coll? :rule "a set of sources"}
   :pinned {:doc "the hash that is remembered, which must be the same" :check bytes/bytes? :rule "a byte string of 32"}
   :ask {:doc "what asks the sources, such as edge gives" :check ifn? :rule "a function"}
   :resolver {:doc "the DNS server {:host :port}; unless given, the system's" :check map? :rule "a map with :host"}
   :anchors {:doc "validate by DNSSEC, from these trust anchors: the text of DS or DNSKEY records" :check string? :rule "a string"}
   :trust {:doc "the certificates that the web server's must come from, PEM; unless given, the JVM's" :check bytes/bytes? :rule "a byte string"}
   :well-known {:doc "where the well-known file is, instead of at the domain" :check string? :rule "a URI with https"}
   :allow-private {:doc "ask web servers in private networks too" :default false :check boolean? :rule "true or false"}
   :executor {:doc "where answers are read; by default the JVM's common pool" :check #(instance? Executor %) :rule "an Executor"}})

;; ## What asks

(defn- uri-of [domain {:keys [well-known]}]
  (or well-known (str "https://" domain "/.well-known/poz")))

(defn edge
  "What asks the sources with `given`, those of `options` that are about them: to be kept by whoever
  asks often, since connections and caches are kept with it."
  [given]
  (let [{:keys [resolver anchors trust executor deadline-ms] :as filled} (client-options/fill options (merge {:now 0} given))
        dns (dns/resolver resolver anchors deadline-ms)
        web (https/client trust executor)]
    (fn [source domain ms]
      (case source
        :txt (dns/ask-async dns :txt (str "_poz." domain) executor)
        :srv (dns/ask-async dns :srv (str "_poz._tcp." domain) executor)
        :submit-srv (dns/ask-async dns :srv (str "_poz-submit._tcp." domain) executor)
        :well-known (https/ask-async web (uri-of domain filled) ms (select-keys filled [:allow-private]) executor)))))

(defn fake
  "What asks no network: `answers` are source → answer, or a function of the domain that gives one; of
  a source that is not there DNS has nothing and the web no file. `:silent` never answers."
  [answers]
  (fn [source domain _]
    (let [found (get answers source (if (= :well-known source) {:absent "404"} {:rows []}))
          answer (if (fn? found) (found domain) found)]
      (if (= :silent answer) (CompletableFuture.) (CompletableFuture/completedFuture answer)))))

;; ## What they say

(defn- read-answer [source {:keys [rows absent] :as answer}]
  (cond
    (error/anomaly? answer) (texts/failed (dissoc answer :dnssec :because))
    absent (texts/absent absent)
    (= :well-known source) (texts/well-known (:bytes answer))
    (= :txt source) (texts/txt rows)
    :else (texts/srv rows)))

(defn- finding [source answer]
  (merge (select-keys answer [:dnssec :because]) (read-answer source answer)))

(defn- defect
  "The anomaly of what was thrown while a source was asked: one source is not worth the others."
  [^Throwable t]
  (error/anomaly :fault/internal {:message (str "a defect: " t)}))

(defn- elapsed-ms [start]
  (quot (- (System/nanoTime) (long start)) 1000000))

(defn- asking
  "A CompletableFuture of the finding of `source`, in time."
  ^CompletableFuture [ask source domain {:keys [now deadline-ms]} start]
  (let [^CompletableFuture asked (try (ask source domain deadline-ms)
                                      (catch Exception e (CompletableFuture/completedFuture (defect e))))
        found (CompletableFuture.)
        tell! (fn [answer]
                (let [ms (elapsed-ms start)]
                  (.complete found (assoc (finding source answer) :source source :at (+ (long now) (long ms)) :took-ms ms))))]
    (.whenComplete found (fn [_ _] (.cancel asked true)))
    (.whenComplete asked (fn [answer t] (when-not (.isDone found) (tell! (if t (defect t) answer)))))
    (.whenComplete (.completeOnTimeout (CompletableFuture.) true (long deadline-ms) TimeUnit/MILLISECONDS)
      (fn [_ _] (when-not (.isDone found) (tell! (error/anomaly :net/timeout {:rule (str deadline-ms " ms")})))))
    found))

(def ^:private asked-sources [:txt :well-known :srv :submit-srv])

(defn- pin-finding [{:keys [pinned now]}]
  (when pinned [{:source :pin :status :present :hash pinned :at now :took-ms 0}]))

(defn- conclude [domain findings {:keys [now policy] :as options} start]
  (report/verdict
    (report/report domain (concat findings (pin-finding options))
      {:at now :took-ms (elapsed-ms start) :policy (report/policy policy (:require options))})))

;; ## Domains

(def ^:private domain-codec (codec/codec (:types format/format) :domain))

(defn domain-fault
  "The anomaly of a string that is no domain, or nil."
  [domain]
  (let [found (error/attempt #(codec/encode domain-codec domain))]
    (when (error/anomaly? found) found)))

(defn discover-async
  "A CompletableFuture of what `discover` gives. Cancelling it ends all asking."
  ^CompletableFuture [domain given]
  (let [{:keys [ask policy] :as filled} (client-options/fill options given)
        start (System/nanoTime)]
    (report/policy policy (:require filled))
    (if-let [fault (domain-fault domain)]
      (CompletableFuture/completedFuture fault)
      (let [ask (or ask (edge (select-keys filled (remove #{:ask} (keys options)))))
            findings (mapv #(asking ask % domain filled start) asked-sources)
            all (CompletableFuture/allOf (into-array CompletableFuture findings))
            result (.thenApply all (fn [_] (conclude domain (mapv #(.join ^CompletableFuture %) findings) filled start)))]
        (.whenComplete result (fn [_ _] (run! #(.cancel ^CompletableFuture % true) findings)))
        result))))

(defn discover
  "The report on `domain`, or an anomaly that carries it as `:report`. Options: `options`, of which
  `:now` is required. Waits; whoever interrupts it ends all asking. A wrong argument throws
  IllegalArgumentException.

      (discover \"social.example\" {:now 1793491200000 :policy :both})
      ;=> {:domain \"social.example\" :hash … :servers […] :sources [{:source :txt …} …] …}"
  [domain given]
  (let [future (discover-async domain given)]
    (try (.get future)
         (catch ExecutionException e (throw (or (.getCause e) e)))
         (finally (.cancel future true)))))
