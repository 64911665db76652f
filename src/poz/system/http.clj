(ns poz.system.http
  "A handler in the form of Ring over plain HTTP: for metrics, health and `/.well-known/poz` beside
  a server of POZ, with the JDK's own HTTP server.

  It answers what needs no body: one that a request has is not read, and its connection is
  closed. Few threads, a short queue and the limits below bound what strangers can take; it is
  for a network of one's own, or behind a proxy, which does TLS.

  The JDK takes time limits from system properties alone, once for a process. They are set
  unless they are already."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error])
  (:import
   (com.sun.net.httpserver Headers HttpExchange HttpHandler HttpServer)
   (java.net InetSocketAddress)
   (java.util.concurrent ArrayBlockingQueue ExecutorService ThreadFactory ThreadPoolExecutor TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private properties
  "Seconds for a whole request, for its answer and between two on one connection; how many
  connections in all, how many of them idle, and how many headers."
  {"sun.net.httpserver.maxReqTime" "10"
   "sun.net.httpserver.maxRspTime" "10"
   "sun.net.httpserver.idleInterval" "30"
   "jdk.httpserver.maxConnections" "200"
   "sun.net.httpserver.maxIdleConnections" "50"
   "sun.net.httpserver.maxReqHeaders" "100"})

(defn- limit! []
  (let [set-already (System/getProperties)]
    (doseq [[k v] properties]
      (.putIfAbsent set-already k v))))

;; ## Requests and responses

(defn- headers [^Headers given]
  (into {} (map (fn [[k vs]] [(str/lower-case k) (str/join "," vs)])) given))

(defn- request [^HttpExchange exchange]
  (let [uri (.getRequestURI exchange) local (.getLocalAddress exchange)]
    {:request-method (keyword (str/lower-case (.getRequestMethod exchange)))
     :uri (.getPath uri) :query-string (.getRawQuery uri) :scheme :http
     :protocol (.getProtocol exchange)
     :headers (headers (.getRequestHeaders exchange))
     :server-name (.getHostString local) :server-port (.getPort local)
     :remote-addr (.getHostAddress (.getAddress (.getRemoteAddress exchange)))}))

(defn- send! [^HttpExchange exchange {:keys [status headers body]}]
  (let [b (some-> body bytes/utf8 bytes/->array)
        out (.getResponseHeaders exchange)]
    (doseq [[k v] headers] (.set out k v))
    (if (and b (pos? (alength ^bytes b)))
      (do (.sendResponseHeaders exchange (int status) (alength ^bytes b))
          (.write (.getResponseBody exchange) ^bytes b))
      (.sendResponseHeaders exchange (int status) -1))))

(defn- has-body? [{:keys [headers]}]
  (or (contains? headers "transfer-encoding")
    (not (contains? #{nil "0"} (get headers "content-length")))))

(defn- answer! [handler on-error ^HttpExchange exchange]
  (try
    (let [request (request exchange)]
      (when (has-body? request)
        (.set (.getResponseHeaders exchange) "Connection" "close"))
      (send! exchange
        (try (handler request)
             (catch Throwable t
               (on-error t)
               {:status 500 :headers {"Content-Type" "text/plain"} :body "A defect\n"}))))
    (catch java.io.IOException _) ; who asked has gone
    (finally (.close exchange))))

;; ## Starting and stopping

(defn- threads ^ThreadFactory []
  (reify ThreadFactory
    (newThread [_ task] (doto (Thread. ^Runnable task "poz-http") (.setDaemon true)))))

(defn- executor ^ExecutorService []
  (doto (ThreadPoolExecutor. 4 4 10 TimeUnit/SECONDS (ArrayBlockingQueue. 200) (threads))
    (.allowCoreThreadTimeOut true)))

(defn- listening ^HttpServer [^String host port]
  (try (HttpServer/create (InetSocketAddress. host (int port)) 50)
       (catch java.io.IOException e
         (error/fail! :system/listen {:found (str host " " port " (" (ex-message e) ")")}))))

(defn start
  "Serves `:handler` at `:host` and `:port`, 0 for any that is free: `{:port :stop}`. `:on-error` is
  called with what the handler throws. Throws the anomaly of a port that is not to be had."
  [{:keys [host port handler on-error]}]
  (limit!)
  (let [server (listening host port)
        executor (executor)
        stopped (delay (.stop server 0) (.shutdownNow executor))]
    (doto server
      (.setExecutor executor)
      (.createContext "/" (reify HttpHandler (handle [_ exchange] (answer! handler on-error exchange))))
      (.start))
    {:port (.getPort (.getAddress server))
     :stop (fn [] @stopped nil)}))
