(ns poz.system
  "A whole server from a map of options: `start`, `stop`. The options and their defaults are
  `poz.system.config/options`.

      (def running (start {:domains [\"example.com\"] :data nil :store :memory}))
      (:ports running)   ; {:plain 7074 :query 7075 :submit 7076}
      (stop running)

  On its first start it makes a fresh authority for its domains: keys, in sealed files of the
  data folder (`poz.system.keys`), and a record that says where its servers are
  (`poz.system.provider`). Started again it finds all of that.

  A *running system* is a map: `:ports`, with `:http` and `:metrics` where those are on; `:hash`, the original hash of the authority's record;
  `:noise-key`, by which clients know the server; `:hostname` `:domains`; `:store`;
  `:authority`, the config of `poz.authority`; `:mirror`, of a cache or mirror a function that gives
  `poz.mirror/status`; `:counters` and `:load`, functions that tell
  what was answered and how busy it is; `:handle`, the function that answers bytes; `:warnings`,
  anomalies it runs in spite of; `:config`; `:stop`.

  What fails is an anomaly, and leaves nothing open."
  (:require
   [clojure.string :as str]
   [poz.authority :as authority]
   [poz.authority.answers :as answers]
   [poz.authority.held :as held]
   [poz.authority.policy :as policy]
   [poz.authority.server :as server]
   [poz.authority.state :as state]
   [poz.authority.transaction :as transaction]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.keyring :as keyring]
   [poz.mirror :as mirror]
   [poz.net :as net]
   [poz.record :as record]
   [poz.store :as store]
   [poz.store.cassandra.cql :as cql]
   [poz.store.postgresql :as postgresql]
   [poz.store.sqlite :as sqlite]
   [poz.system.config :as config]
   [poz.system.keys :as keys]
   [poz.system.mirror :as mirror-parts]
   [poz.system.operations :as operations]
   [poz.system.provider :as provider]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent ArrayBlockingQueue ThreadFactory ThreadPoolExecutor TimeUnit)
   (java.util.concurrent.atomic AtomicLong)))

(set! *warn-on-reflection* true)

(def software
  "What STATUS calls the server."
  "poz/0")

;; ## Parts: each takes the config, checked

(defn- open-cassandra
  "The store at the URL `store`, by a driver that is there only where somebody asked for it."
  [store options]
  (let [open (try (requiring-resolve 'poz.store.cassandra/open)
                  (catch Exception e
                    (when-not (instance? ClassNotFoundException (last (take-while some? (iterate ex-cause e)))) (throw e))))]
    (if open
      (open store options)
      (error/fail! :store/lost {:message "The driver of Cassandra is not on the class path: start with the alias :cassandra."}))))

(defn open-store
  "The store that the config names. Throws the anomaly of one that cannot be opened."
  [{:keys [store data store-user store-password]}]
  (let [options (cond-> {}
                  store-user (assoc :user store-user)
                  store-password (assoc :password (String. (bytes/->array (bytes/reveal store-password)) "UTF-8")))]
    (cond
      (= :memory store) (store/memory)
      (= :sqlite store) (sqlite/open (str data "/store.sqlite"))
      (cql/address store) (open-cassandra store options)
      (string? store) (postgresql/open store options)
      :else store)))

(defn passphrase
  "The passphrase of the keyring file, or an anomaly."
  [{given :passphrase :keys [passphrase-file]}]
  (let [b (when passphrase-file (files/read-file passphrase-file nil))]
    (cond
      (error/anomaly? b) b
      b (keyring/passphrase (first (str/split-lines (String. (bytes/->array b) "UTF-8"))))
      given given
      :else (error/anomaly :cli/passphrase))))

(defn read-keys
  "The keys of the server that has served from `:data`, or an anomaly."
  [{:keys [data] :as config}]
  (let [phrase (passphrase config)]
    (if (error/anomaly? phrase) phrase (keys/read-keys data phrase))))

(defn authority-config
  "The config of `poz.authority` for a server with these keys."
  [{:keys [domains mirrors reservation-ms tickets ticket-ms] :as config} {:keys [record ring]}]
  (let [hash (record/original-hash record)]
    {:provider hash :ring ring :software software
     :domains (into {} (map (fn [d] [d hash])) domains)
     :mirrors (mapv (fn [m] (cond-> m (:public-key m) (update :public-key bytes/hex->))) mirrors)
     :policy (policy/policy (:policy config))
     :limits {:reservation-ms reservation-ms :tickets tickets :ticket-ms ticket-ms}}))

;; ## The authority's keys and record

(defn- installed! [store record now]
  (let [done (authority/install! store record now)]
    (cond
      (error/anomaly? done) (throw (ex-info (:message done) done))
      (false? done) (error/fail! :wire/busy))))

(defn- fail-if! [x]
  (if (error/anomaly? x) (throw (ex-info (:message x) x)) x))

(defn- fresh-keys!
  "New keys, written to the data folder if there is one, and their record in the store first: so
  the files are there only for a record that is."
  [{:keys [data sealing now random] :as config} store]
  (when-let [found (some-> data keys/remains)]
    (error/fail! :system/keys-missing {:found found}))
  (let [phrase (when data (fail-if! (passphrase config)))
        made (keys/fresh random (now))]
    (installed! store (:record (:keys made)) (now))
    (when data
      (some-> (keys/write! data made phrase (assoc sealing :random random)) fail-if!))
    (:keys made)))

(defn- old-keys!
  "The keys in the data folder. A store in memory gets their record anew."
  [{:keys [now] kind :store :as config} store]
  (let [{:keys [record] :as found} (fail-if! (read-keys config))
        hash (record/original-hash record)]
    (when-not (state/record #(get (store/fetch store [%]) %) hash)
      (if (= :memory kind)
        (installed! store record (now))
        (error/fail! :system/record-missing {:found (bytes/->hex hash)})))
    found))

(defn- keys! [{:keys [data] :as config} store]
  (fail-if! (mirror-parts/other-role config))
  (cond
    (mirror-parts/mirrors? config) (fail-if! (mirror-parts/keys! config #(passphrase config)))
    (and data (keys/exist? data)) (old-keys! config store)
    :else (fresh-keys! config store)))

(defn- update-record!
  "Brings the authority's record up to date with where the server listens; nil, or an anomaly."
  [{:keys [now hostname]} store {:keys [record ring noise]} ports]
  (let [hash (record/original-hash record)
        wanted (provider/services hostname ports (:public-key noise))
        done (transaction/transact! store
               (fn [read]
                 (let [r (provider/current (state/record read hash) wanted ring (now))]
                   (if (error/anomaly? r) r {:changes (state/put-record hash r)}))))]
    (when (error/anomaly? done) done)))

;; ## Threads and ports

(defn- processors [] (.availableProcessors (Runtime/getRuntime)))

(defn- daemons ^ThreadFactory []
  (let [n (AtomicLong.)]
    (reify ThreadFactory
      (newThread [_ task]
        (doto (Thread. ^Runnable task (str "poz-handler-" (.incrementAndGet n)))
          (.setDaemon true))))))

(defn- executor
  "The threads that answer: those of a cache wait for its upstream, so there are more."
  ^ThreadPoolExecutor [{:keys [threads queue] :as config}]
  (let [n (int (or threads (max (if (mirror-parts/mirrors? config) 32 4) (* 2 (long (processors))))))]
    (ThreadPoolExecutor. n n 0 TimeUnit/MILLISECONDS (ArrayBlockingQueue. (int queue)) (daemons))))

(defn- load-of
  "The share of what the threads and their queue take, or of the connections, that is in use
  beside the one request that asks: the greater of the two."
  [{:keys [connections]} ^ThreadPoolExecutor executor listeners]
  (let [waiting (.getQueue executor)
        room (+ (.getMaximumPoolSize executor) (.size waiting) (.remainingCapacity waiting))]
    (transduce (map (fn [{:keys [open]}] (/ (long (open)) (long connections))))
      max (/ (max 0 (dec (+ (.getActiveCount executor) (.size waiting)))) room)
      (vals listeners))))

(def ^:private port-options
  {:plain :plain-port :query :query-port :submit :submit-port})

(defn- listen-on [{:keys [host] :as config} contract port shared]
  (try
    (net/start (merge (shared contract) (select-keys config [:host :grace-ms :random])
                 {:contract contract :port port
                  :limits (select-keys config [:connections :connections-per-address :exchange-ms :idle-ms])}))
    (catch IllegalArgumentException e (throw e))
    (catch Exception e
      (error/fail! :system/listen {:found (str host " " port " (" (ex-message e) ")")}))))

(defn- stop-all! [listeners]
  (run! deref (mapv (fn [{:keys [stop]}] (future (stop))) (vals listeners))))

(defn- listen!
  "Contract → its listener, for those that have a port: all of them, or none. `(shared contract)` gives
  options of `poz.net/start`."
  [config shared]
  (reduce (fn [bound {:keys [contract]}]
            (let [port (config (port-options contract))]
              (if (not= :off port)
                (try (assoc bound contract (listen-on config contract port shared))
                     (catch Throwable t (stop-all! bound) (throw t)))
                bound)))
    {} messages/ports))

;; ## Starting and stopping

(def ^:private held-bytes
  "Room for records that were submitted last; decoded they take several times that."
  4194304)

(defn- server-of [{:keys [now random cache-bytes cache-ms] kind :store :as config} store {:keys [work] :as keys}
                  {:keys [on-error on-failure on-conflict]} load]
  (let [answers (answers/answers {:bytes cache-bytes :ms (when (or (mirror-parts/mirrors? config) (not= :memory kind)) cache-ms)})
        mirror (when (mirror-parts/mirrors? config)
                 (mirror-parts/mirror (assoc config :on-error on-error :on-conflict on-conflict) (answers/watched answers store)))]
    (server/server
      (cond-> {:store store :answers answers :secret work :load load :now now :random random
               :on-error on-error :on-failure on-failure}
        mirror (assoc :config (mirror-parts/authority-config config software mirror)
                 :mirror mirror :before #(mirror/prepare! mirror %))
        (nil? mirror) (assoc :config (assoc (authority-config config keys) :held (held/held held-bytes)))))))

(defn- busy [{b :bytes}]
  (let [id (:id (wire/decode-request b) 0)]
    (wire/encode-response (wire/failure (assoc (error/anomaly :wire/busy) :id id)) nil)))

(defn- close! [watch {:keys [mirror]} store owned ^ThreadPoolExecutor executor listeners]
  (operations/stopping! watch)
  (stop-all! listeners)
  (some-> mirror mirror/stop!)
  (.shutdown executor)
  (.awaitTermination executor 10 TimeUnit/SECONDS)
  (when owned (store/close! store))
  (operations/stop! watch true))

(defn- described
  "The running system as `start` gives it."
  [{:keys [domains hostname upstream-hash] :as config} {:keys [record noise]} {:keys [mirror] :as server} listeners warning stopped]
  (cond-> {:ports (update-vals listeners :port) :noise-key (:public-key noise)
           :hash (if record (record/original-hash record) (some-> upstream-hash bytes/hex->))
           :domains domains :hostname hostname :store (:store server) :authority (:config server)
           :counters #(server/counters server) :load (:load server) :handle #(server/handle server %)
           :warnings (if warning [warning] []) :config config :stopped stopped
           :stop (fn [] @stopped nil)}
    mirror (assoc :mirror #(mirror/status mirror))))

(defn- running
  "Listens, then brings the record up to date, and from then on answers."
  [{kind :store :as config} store executor watch]
  (let [keys (keys! config store)
        listeners (volatile! {})
        server (server-of config (operations/watched watch store) keys watch #(load-of config executor @listeners))
        serving (promise)
        handle #(if (realized? serving) (server/handle server %) (busy %))]
    (vreset! listeners (listen! config #(merge (operations/listener-options watch %)
                                          {:static (:noise keys) :executor executor :handler handle
                                           :ready (fn [asked] (server/ready server asked))})))
    (try
      (let [warning (when (:record keys) (update-record! config (:store server) keys (update-vals @listeners :port)))]
        (some-> (:mirror server) mirror/start!)
        (deliver serving true)
        (operations/open! watch
          (described config keys server @listeners warning
            (delay (close! watch server store (not (identical? kind store)) executor @listeners)))
          store (update-vals @listeners :open)))
      (catch Throwable t
        (stop-all! @listeners)
        (some-> (:mirror server) mirror/stop!)
        (throw t)))))

(defn- open! [{:keys [data] kind :store :as config}]
  (some-> (when data (files/make-folder! data)) fail-if!)
  (let [store (open-store config)
        executor (executor config)
        watch (operations/watch config)]
    (try (running config store executor watch)
         (catch Throwable t
           (operations/stop! watch false)
           (.shutdownNow executor)
           (when-not (identical? kind store) (store/close! store))
           (throw t)))))

(defn- completed
  "The `given` options checked and completed; or an anomaly."
  [given]
  (let [{:keys [domains] :as config} (config/config (constantly nil) {} given)]
    (cond
      (error/anomaly? config) config
      (and (nil? domains) (not (mirror-parts/mirrors? config))) (error/anomaly :system/config {:rule ":domains is a list of domain names, at least one" :faults [":domains is missing"]})
      :else (merge {:now #(System/currentTimeMillis) :random crypto/random-bytes :hostname (first domains)} config))))

(defn start
  "The running system of the options `given`, or an anomaly of what stands against it. A
  running system is given back as it is, a stopped one is started anew."
  [{:keys [stopped config] :as given}]
  (cond
    (and stopped (not (realized? stopped))) given
    stopped (start config)
    :else (let [config (completed given)]
            (if (error/anomaly? config)
              config
              (error/attempt #(open! config))))))

(defn stop
  "Stops what `start` gave: no port takes any more, open exchanges end within `:grace-ms`, what
  is left is closed, then the store. Calling it again does nothing."
  [{:keys [stop]}]
  (stop))

(defn mirror-status
  "What a running cache or mirror holds and how old that is, see `poz.mirror/status`; nil for an
  authority."
  [{:keys [mirror]}]
  (when mirror (mirror)))
