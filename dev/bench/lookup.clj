(ns bench.lookup
  "What a cold lookup of a user costs over loopback, beside its bare round trips: `(run)`.

  A lookup asks nsd for the TXT and SRV records, nginx for the well-known file by HTTPS, and our server
  for the provider and for the user by Noise, and verifies it all; nothing is remembered. Its round trips
  alone are each made with the same set-up, one after another: three questions of dnsjava's
  SimpleResolver, one GET, two exchanges of `poz.net`, whose answers nobody verifies. The connections of the
  web are closed after each GET, so that there is a handshake of TLS every time, on both sides."
  (:require
   [bench.harness :as harness]
   [clojure.java.io :as io]
   [poz.asking :as asking]
   [poz.bytes :as bytes]
   [poz.client.lookup :as lookup]
   [poz.discover :as discover]
   [poz.discover.https :as https]
   [poz.error :as error]
   [poz.handles :as handles]
   [poz.integration.components :as components]
   [poz.net :as net]
   [poz.system :as system]
   [poz.wire :as wire])
  (:import
   (java.net InetSocketAddress)
   (java.util.concurrent CompletableFuture ForkJoinPool)
   (org.xbill.DNS DClass Message Name Record SimpleResolver Type)))

(set! *warn-on-reflection* true)

(def ^:private rounds 101)
(def ^:private warm-up 300)

;; The world

(defn- well-known [{:keys [ports noise-key hash]}]
  (str "{\"v\":\"poz1\",\"original_hash\":\"" (bytes/->hex hash) "\",\"servers\":[{\"host\":\"localhost\",\"port\":" (:query ports)
    ",\"encryption\":\"noise-nk\",\"public_key\":\"" (bytes/->hex noise-key) "\"}]}"))

(defn- zones [{:keys [ports hash]}]
  {"bench.test" (components/zone "bench.test" [(str "_poz IN TXT \"v=poz1 h=" (bytes/->hex hash) "\"")
                                               (str "_poz._tcp IN SRV 0 0 " (:query ports) " localhost.")
                                               (str "_poz-submit._tcp IN SRV 0 0 " (:submit ports) " localhost.")])})

(defn- with-world
  "Calls `f` with the server, the components and Alice, whose handle is live."
  [f]
  (let [running (system/start {:domains ["bench.test"] :hostname "localhost" :data nil :store :memory :policy :approve
                               :plain-port 0 :query-port 0 :submit-port 0})]
    (try
      (let [now (System/currentTimeMillis) alice (asking/activate! running (handles/person "alice" (- now 1000)) "alice" now)]
        (components/with-components
          (fn [_] (zones running))
          (fn [_] {"/.well-known/poz" (str "keepalive_timeout 0; return 200 '" (well-known running) "';")})
          #(f running % alice)))
      (finally (system/stop running)))))

;; What is measured

(defn- succeeded [x]
  (if (error/anomaly? x) (throw (ex-info (:message x) {})) x))

(defn- source-options [{:keys [dns web ca]}]
  {:resolver {:host "127.0.0.1" :port dns} :well-known (str "https://localhost:" web "/.well-known/poz")
   :trust (bytes/wrap (java.nio.file.Files/readAllBytes (.toPath (io/file ca)))) :allow-private true})

(defn- looking-up [components]
  (let [ask (discover/edge (source-options components))]
    #(:entry (succeeded (lookup/lookup "alice@bench.test" {:now (System/currentTimeMillis) :ask ask :policy :both})))))

(defn- dns-question [{:keys [dns]}]
  (let [resolver (SimpleResolver. (InetSocketAddress. "127.0.0.1" (int dns)))]
    (fn [name type]
      (let [answer (.send resolver (Message/newQuery (Record/newRecord (Name/fromString name) (int type) DClass/IN)))]
        (when (empty? (.getSection answer org.xbill.DNS.Section/ANSWER)) (throw (ex-info "DNS has nothing." {})))))))

(defn- getting [components]
  (let [{:keys [trust well-known]} (source-options components) executor (ForkJoinPool/commonPool)
        client (https/client trust executor)]
    #(succeeded (.get ^CompletableFuture (https/ask-async client well-known 5000 {:allow-private true} executor)))))

(defn- exchanging [{:keys [ports noise-key]}]
  (fn [request]
    (succeeded (net/exchange {:host "localhost" :port (:query ports) :contract :query :server-key noise-key}
                 (wire/encode-request (assoc request :id 1))))))

(defn- parts
  "`[[name thunk] …]`, the bare round trips of a lookup."
  [running components]
  (let [dns (dns-question components) web (getting components) ask (exchanging running)]
    [["DNS: TXT, SRV, SRV" #(do (dns "_poz.bench.test." Type/TXT) (dns "_poz._tcp.bench.test." Type/SRV) (dns "_poz-submit._tcp.bench.test." Type/SRV))]
     ["HTTPS: GET" web]
     ["7075: the provider" #(ask {:type :record :payload {:domain "bench.test"}})]
     ["7075: the user" #(ask {:type :identity :payload {:handle {:domain "bench.test" :path [] :handle "alice"}}})]]))

(defn- us
  "Microseconds that a call of the thunk takes."
  [f]
  (let [start (System/nanoTime)]
    (f)
    (/ (- (System/nanoTime) start) 1e3)))

(defn- measure
  "One round: name → µs."
  [parts lookup]
  (let [each (into {} (map (fn [[name f]] [name (us f)])) parts)]
    (assoc each "bare round trips" (reduce + (vals each)) "cold lookup" (us lookup))))

(defn- print-table [parts found]
  (doseq [name (concat (map first parts) ["bare round trips" "cold lookup"])]
    (println (format "%-24s %10.0f µs" name (double (harness/median (map #(get % name) found))))))
  (println (format "%-24s %10.2f ×   goal 2.0" "lookup ÷ bare"
             (double (harness/median (map #(/ (get % "cold lookup") (get % "bare round trips")) found))))))

(defn run
  "Prints the table: medians of rounds in which each has its turn. Needs Debian's nsd, nginx and openssl."
  []
  (with-world
    (fn [running components _]
      (let [parts (parts running components) lookup (looking-up components)]
        (dotimes [_ warm-up] (measure parts lookup))
        (print-table parts (vec (repeatedly rounds #(measure parts lookup))))))))
