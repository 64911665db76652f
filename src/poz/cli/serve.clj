(ns poz.cli.serve
  "`poz serve`: a server from the command line, a configuration file and the environment. What
  these share with the commands of an operator is here too: `configuration`, `config-options`."
  (:require
   [clojure.edn :as edn]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.cli.json :as json]
   [poz.cli.support :as support]
   [poz.error :as error]
   [poz.system :as system]
   [poz.system.config :as config]
   [poz.system.dns :as dns]
   [poz.system.events :as events]
   [poz.system.keys :as keys]
   [poz.system.operations :as operations]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

;; ## Configuration

(defn option
  "The option `--k ARG` of the command line that sets the option `k` of the configuration."
  [k arg]
  (let [{:keys [doc default read]} (config/options k)]
    {:name (name k) :arg arg :parse read
     :doc (cond-> doc (some? default) (str " (" (if (keyword? default) (name default) default) ")"))}))

(def config-options
  "The options of every command that works on a server's data."
  [{:name "config" :arg "FILE" :doc "the configuration, a map in EDN; variables POZ_… go before it, options before these"}
   (option :data "DIR") (option :store "STORE") (option :passphrase-file "FILE")])

(defn- edn-map [b]
  (try (edn/read-string (String. (bytes/->array b) "UTF-8"))
       (catch RuntimeException e
         (error/anomaly :system/config {:message (str "The configuration file is not EDN: " (ex-message e) ".") :faults []}))))

(defn- read-config [file env]
  (let [b (if file (support/read-bytes file env) (bytes/utf8 "{}"))]
    (if (error/anomaly? b) b (edn-map b))))

(defn configuration
  "The configuration that `options`, those of the command line, the environment and a file make
  up; or an anomaly."
  [options more {:keys [getenv] :as env}]
  (let [file (read-config (:config options) env)]
    (if (error/anomaly? file)
      file
      (config/config getenv file (merge (select-keys options (clojure.core/keys config/options)) more)))))

(defn with-passphrase
  "`config` with a passphrase, which the terminal is asked for where none is given, twice if it
  is a new one; or an anomaly."
  [{:keys [passphrase passphrase-file data role] :as config} env]
  (if (or passphrase passphrase-file)
    config
    (let [file (if (= :authoritative role) (keys/server-file data) (keys/mirror-file data))
          p (support/passphrase {} env (not (files/exists? file)))]
      (if (error/anomaly? p) p (assoc config :passphrase p)))))

;; ## serve

(defn- ports-text [ports]
  (str/join " " (for [[contract port] (sort ports)] (str (name contract) "=" port))))

(defn- dns-lines [{:keys [domains hostname ports hash]}]
  (mapcat #(dns/lines % hostname ports hash) domains))

(defn- mirror-entries
  "The entries of the authority's `:mirrors` that name this server."
  [{:keys [hostname ports noise-key]}]
  (let [{:keys [query plain]} ports hostname (or hostname "HOSTNAME")]
    (cond-> []
      query (conj {:hostname hostname :port query :encryption :noise-nk :public-key (bytes/->hex noise-key)})
      plain (conj {:hostname hostname :port plain :encryption :none}))))

(defn- introduction [{:keys [domains config] :as running}]
  (let [{:keys [role]} config words (str/join ", " domains)]
    (if (= :authoritative role)
      (concat [(str "An authority for " words ". Put into DNS:") ""] (map #(str "  " %) (dns-lines running)) [""])
      (concat [(str "A " (name role) (when (seq words) (str " for " words))
                 (when (= :mirror role) ". The authority names it in its :mirrors:"))]
        (when (= :mirror role) (concat [""] (map #(str "  " (pr-str %)) (mirror-entries running)) [""]))))))

(defn- ready-lines [{:keys [ports hash noise-key] :as running}]
  (concat (introduction running)
    [(str "ready " (ports-text ports) (when hash (str " hash=" (bytes/->hex hash))) " noise-key=" (bytes/->hex noise-key))]))

(defn- ready-json [{:keys [domains ports hash noise-key hostname config] :as running}]
  (cond-> {:event "ready" :role (:role config) :domains domains :hostname hostname :ports ports :original-hash hash
           :noise-key noise-key}
    (= :authoritative (:role config)) (assoc :dns (dns-lines running))
    (= :mirror (:role config)) (assoc :mirrors (mirror-entries running))))

(defn- say! [stream lines]
  (files/write-file! "-" (bytes/utf8 (str/join (map #(str % "\n") lines))) stream {}))

(defn- notes [{:keys [warnings config]}]
  (let [{:keys [host data]} config]
    (concat
      (for [{:keys [message]} warnings] (str "warning: the record is not up to date: " (text/escape message)))
      (when (#{"127.0.0.1" "localhost" "::1"} host)
        [(str "note: only this machine reaches " host "; see --host")])
      (for [file ["owner.poz" "recovery.poz"] :let [path (str data "/" file)] :when (and data (files/exists? path))]
        (str "note: " path " changes the record and is not needed to serve: move it to a safe place")))))

(defn- tell! [running json? {:keys [note stdout]}]
  (run! note (notes running))
  (say! stdout (if json? [(json/line (ready-json running))] (ready-lines running))))

(defn- until-stopped [running {:keys [json]} {:keys [until-told] :as env}]
  (try
    (let [wait! (until-told)]
      (tell! running json env)
      (wait!))
    (finally (system/stop running)))
  {:exit 0 :json [{:event "stopped"}]})

(defn- run-server [config options env]
  (let [running (system/start (merge config (select-keys env [:now :random :sealing])))]
    (if (error/anomaly? running) running (until-stopped running options env))))

(defn- noting
  "A function of a note: it tells of it as an event where those are logged, else to standard error."
  [{:keys [log-level]} log {:keys [stderr now]}]
  (let [teller (events/teller {:on-event (:on-event log) :level log-level :now now :failed operations/uncaught!})]
    (if log
      #(events/tell! teller :server/note {:message %})
      #(say! stderr [%]))))

(defn- with-log
  "What `(f config env)` gives, with the log that `config` wants."
  [{:keys [log-level log-format] :as config} {:keys [start-log stderr color] :as env} f]
  (let [log (when start-log
              (start-log stderr (when (not= :off log-level) (or log-format (if color :text :json)))))
        note (noting config log env)]
    (try
      (when (and start-log (nil? log) (not= :off log-level))
        (note "note: there is no log, since Logback is not on the class path"))
      (let [done (f (cond-> config log (assoc :on-event (:on-event log))) (assoc env :note note))]
        (cond-> done (and (nil? log) (not (error/anomaly? done))) (assoc :err ["stopped"])))
      (finally (some-> (:stop log) (apply []))))))

(defn- print-unit []
  (let [text (files/resource "poz/poz.service")]
    {:exit 0 :out (str/split-lines text) :json [{:unit text}]}))

(defn- serve-config [{:keys [args options env]}]
  (let [config (configuration options (if (seq args) {:domains args} {}) env)
        config (if (or (error/anomaly? config) (nil? (:data config))) config (with-passphrase config env))]
    (if (error/anomaly? config) config (with-log config env #(run-server %1 options %2)))))

(defn- serve [{:keys [options] :as asked}]
  (if (:systemd-unit options)
    (print-unit)
    (serve-config asked)))

(def commands
  "The commands of this namespace."
  [{:name "serve" :args "[DOMAIN]..." :arity [0 nil] :group "Server" :run serve
    :summary "run an authority for a domain, a cache or a mirror"
    :doc "Serves the records of an authority for DOMAIN on three ports until it is told to stop (SIGTERM or Ctrl-C), which lets open exchanges end. The first time it makes a fresh authority: keys, sealed under a passphrase, and a record. Prints what belongs into DNS, then a line that begins with ready; logs to standard error, a line of JSON for each event. With --role cache or mirror it holds copies of the records of another server, --upstream, verifies each before anybody gets it, and takes no submissions. Every option can also be given in a file or in a variable of the environment: --query-port as POZ_QUERY_PORT."
    :options (into config-options
               [(option :host "ADDRESS") (option :hostname "NAME")
                (option :plain-port "PORT") (option :query-port "PORT") (option :submit-port "PORT")
                (option :http-port "PORT") (option :http-host "ADDRESS")
                (option :metrics-port "PORT") (option :metrics-host "ADDRESS")
                (option :log-level "LEVEL") (option :log-format "FORMAT") (option :policy "POLICY")
                (option :role "ROLE") (option :upstream "HOST[:PORT]") (option :upstream-key "HEX") (option :upstream-hash "HEX")
                (option :records "FILE") (option :refresh-ms "MS") (option :stale-ms "MS")
                {:name "systemd-unit" :doc "print a unit for systemd, hardened, with what to do with it, and do no more"}])
    :examples ["poz serve example.com --data /var/lib/poz --host 0.0.0.0"
               "poz serve --systemd-unit"
               "poz serve example.com --policy '{:approve [\"*@example.com\"]}'"
               "poz serve example.com --role mirror --upstream poz.example.com --upstream-key … --upstream-hash … --records records.txt"]}])
