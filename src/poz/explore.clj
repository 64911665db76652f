(ns poz.explore
  "A web server for one person on this machine: it shows the pages of records (`poz.view.page`)
  that are dropped onto them. It listens on loopback only, under a path that holds a random
  token, and keeps nothing: what is sent is shown once and forgotten.

  It answers no request for another host name than its own (DNS rebinding), takes no body that
  is larger than its limit, and lets nothing be cached or framed. `start` gives `{:port :url}`
  and what `stop` takes; `handle` is the whole of it as a function of a request."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format :as format]
   [poz.view.page :as page]
   [poz.view.page.upload :as upload])
  (:import
   (com.sun.net.httpserver HttpExchange HttpHandler HttpServer)
   (java.net InetAddress InetSocketAddress)
   (java.util.concurrent ExecutorService Executors)))

(set! *warn-on-reflection* true)

(def body-limit
  "The bytes that may be sent at once: two files of the greatest size."
  (* 2 (long (:max-file-size format/limits))))

(def ^:private threads 4)

;; ## Requests and responses as data

(defn- response
  ([status body] (response status body {}))
  ([status body headers] {:status status :body body :headers headers}))

(defn- hosts [port]
  #{(str "127.0.0.1:" port) (str "localhost:" port)})

(defn- shown
  "The page of the first of `files`, `[{:name :bytes}]`, beside the others."
  [[file & others] {:keys [now] :as options}]
  (page/page (:name file) (page/facts (:bytes file) (map :bytes others) (now)) options))

(defn- opened [{:keys [content-type body]} options]
  (let [files (upload/files content-type body)]
    (cond
      (error/anomaly? files) (response 400 (page/empty-page (:message files) options))
      (empty? files) (response 400 (page/empty-page "No file was chosen." options))
      :else (response 200 (shown files options)))))

(defn- home [{:keys [files] :as options}]
  (response 200 (if (seq files) (shown files options) (page/empty-page nil options))))

(defn handle
  "The response, `{:status :body :headers}`, to a request `{:method :host :path :content-type
  :length :body}`, whose `:body` is a delay of a byte string, or of nil where it was too large.
  `options` as those of `start`, with `:port` and `:form`, the one path that there is."
  [{:keys [method host path body] :as request} {:keys [port form] :as options}]
  (cond
    (not (contains? (hosts port) host)) (response 403 "This server has another name.\n")
    (not= form path) (response 404 "There is nothing here; the address is the one that poz explore printed.\n")
    (= "GET" method) (home options)
    (not= "POST" method) (response 405 "GET and POST only.\n" {"Allow" "GET, POST"})
    (nil? @body) (response 413 (page/empty-page (str "More than " body-limit " bytes were sent.") options))
    :else (opened (assoc request :body @body) options)))

;; ## The server

(defn- headers [{:keys [assets]} body]
  {"Content-Type" (if (str/starts-with? body "<") "text/html; charset=utf-8" "text/plain; charset=utf-8")
   "Content-Security-Policy" (str (page/policy assets true) "; frame-ancestors 'none'")
   "Cache-Control" "no-store"
   "Cross-Origin-Opener-Policy" "same-origin"
   "Cross-Origin-Resource-Policy" "same-origin"
   "Referrer-Policy" "no-referrer"
   "X-Content-Type-Options" "nosniff"
   "X-Frame-Options" "DENY"})

(defn- read-body [^HttpExchange exchange]
  (let [b (.readNBytes (.getRequestBody exchange) (int (inc (long body-limit))))]
    (when (<= (alength b) (long body-limit)) (bytes/wrap b))))

(defn- request [^HttpExchange exchange]
  (let [header #(.getFirst (.getRequestHeaders exchange) ^String %)]
    {:method (.getRequestMethod exchange)
     :host (header "Host")
     :path (.getRawPath (.getRequestURI exchange))
     :content-type (header "Content-Type")
     :body (delay (read-body exchange))}))

(defn- send! [^HttpExchange exchange options {:keys [status ^String body] more :headers}]
  (let [array (.getBytes body "UTF-8") out (.getResponseHeaders exchange)]
    (doseq [[k v] (merge (headers options body) more)] (.set out k v))
    (.sendResponseHeaders exchange (int status) (alength array))
    (.write (.getResponseBody exchange) array)))

(defn- handler [options]
  (reify HttpHandler
    (handle [_ exchange]
      (try
        (send! exchange options
          (try (handle (request exchange) options)
               (catch RuntimeException e (response 500 (str "A defect in poz: " (class e) "\n")))))
        (finally (.close exchange))))))

(defn start
  "Starts the server: `{:port :url …}` for `stop`, or the anomaly `:system/listen`. Options: `:port` (0
  is any that is free), `:token`, `:assets` (as of `poz.view.page/page`), `:now` a function that
  gives the time, `:files` what is shown first, `[{:name :bytes}]`."
  [{:keys [port token] :as options}]
  (try
    (let [server (HttpServer/create (InetSocketAddress. (InetAddress/getByName "127.0.0.1") (int port)) 0)
          pool (Executors/newFixedThreadPool threads)
          bound (.getPort (.getAddress server)) form (str "/" token "/")
          own (assoc options :port bound :form form)]
      (.createContext server "/" (handler own))
      (.setExecutor server pool)
      (.start server)
      {:port bound :url (str "http://127.0.0.1:" bound form) :server server :pool pool})
    (catch java.net.BindException _
      (error/anomaly :system/listen {:message (str "Port " port " is not to be had.")}))))

(defn stop
  "Stops what `start` gave; again does nothing more."
  [{:keys [^HttpServer server ^ExecutorService pool]}]
  (.stop server 0)
  (.shutdownNow pool)
  nil)
