(ns poz.system.config
  "The configuration of a server as data: what can be set, what it is otherwise, how it is
  checked, and where it comes from.

  An option may be set in a file (a map in EDN), by a variable of the environment, `POZ_` and
  its name in capitals with underscores (`:query-port` is `POZ_QUERY_PORT`), and by whoever
  starts the server; each of these goes before the one named before it. `config` puts them
  together and tells all that is wrong at once.

  What is secret is wrapped (`poz.bytes/secret`) as soon as it is read, and no fault shows it."
  (:require
   [clojure.edn :as edn]
   [clojure.string :as str]
   [poz.authority.policy :as policy]
   [poz.bytes :as bytes]
   [poz.client.servers :as servers]
   [poz.codec :as codec]
   [poz.codec.schema :as schema]
   [poz.codec.validate :as validate]
   [poz.error :as error]
   [poz.format :as format]
   [poz.format.messages :as messages]
   [poz.keyring :as keyring]
   [poz.store :as store]
   [poz.store.cassandra.cql :as cql]
   [poz.system.events :as events]))

(set! *warn-on-reflection* true)

;; ## Kinds of value: `:check`, its `:rule` in words, and `:read`, from a string, nil if it cannot

(def ^:private domain-schema
  (schema/schema (:node (codec/codec (:types format/format) :domain))))

(defn- domain? [s]
  (validate/validate domain-schema s))

(defn- edn-value [s]
  (try (edn/read-string s) (catch RuntimeException _ nil)))

(defn- whole [low high]
  {:check #(and (int? %) (<= (long low) (long %) (long high)))
   :rule (str "a whole number of " low " to " high)
   :read parse-long})

(def ^:private milliseconds (whole 0 (* 366 24 60 60 1000)))

(def ^:private port
  {:check #(or (= :off %) (and (int? %) (<= 0 (long %) 65535)))
   :rule "a port of 0 to 65535, 0 for any that is free, or :off"
   :read #(if (= "off" %) :off (parse-long %))})

(def ^:private text {:check #(and (string? %) (not (str/blank? %))) :rule "a string" :read identity})

(defn- one-of [ks]
  {:check (set ks) :rule (str/join ", " ks) :read #(let [k (keyword %)] (some #{k} ks))})

(defn- secret [doc wrap]
  {:doc doc :secret wrap :check #(or (bytes/secret? %) ((:check text) %)) :rule "a string" :read identity})

(def ^:private function {:check ifn? :rule "a function"})

(defn- store? [x]
  (or (#{:sqlite :memory} x)
    (and (string? x) (or (str/starts-with? x "jdbc:postgresql:") (cql/address x)))
    (satisfies? store/Store x)))

(def ^:private hex-32 #"[0-9a-fA-F]{64}")

(defn- hash-option [doc]
  {:doc doc :check #(and (string? %) (re-matches hex-32 %)) :rule "64 hex digits" :read identity})

(defn- upstream? [{:keys [host port key] :as m}]
  (and (map? m) (string? host) (not (str/blank? host)) (empty? (dissoc m :host :port :key))
    (or (nil? port) (and (int? port) (<= 1 (long port) 65535)))
    (or (nil? key) (and (string? key) (re-matches hex-32 key)))))

(defn- mirror? [{:keys [hostname port encryption public-key] :as m}]
  (and (map? m) (domain? hostname) (int? port) (<= 1 (long port) 65535) (#{:none :noise-nk} encryption)
    (empty? (dissoc m :hostname :port :encryption :public-key))
    (or (nil? public-key) (and (string? public-key) (re-matches #"[0-9a-f]{64}" public-key)))))

(defn- sealing? [m]
  (and (map? m) (every? #{:memory-kib :passes :lanes} (keys m)) (every? pos-int? (vals m))))

;; ## Options

(def options
  "Option → `:doc`, `:default`, `:check`, `:rule` (what the check wants), `:read` (from a
  string; absent where there is no such variable), `:secret` (what wraps a string)."
  (array-map
    :domains {:doc "the domains that handles are issued under, the first of which names the server"
              :check #(and (sequential? %) (seq %) (every? domain? %))
              :rule "a list of domain names in lower case, at least one"
              :read #(str/split (str/trim %) #"[\s,]+")}
    :data {:doc "the folder of keys and store; nil keeps both in memory" :default "poz-data"
           :check #(or (nil? %) ((:check text) %)) :rule "a path" :read identity}
    :store {:doc "where records are kept: :sqlite in :data, :memory, jdbc:postgresql://HOST/DATABASE, cassandra://HOST/KEYSPACE?dc=DATACENTRE, or a store of one's own" :default :sqlite
            :check store? :rule ":sqlite, :memory, a URL that begins with jdbc:postgresql: or cassandra://, as the README has them, or a poz.store/Store"
            :read #(if (#{"sqlite" "memory"} %) (keyword %) %)}
    :store-user (assoc text :doc "who connects to PostgreSQL or Cassandra")
    :store-password (secret "with which password" #(bytes/secret (bytes/utf8 %)))
    :passphrase (secret "what the keyring file is sealed with" keyring/passphrase)
    :passphrase-file (assoc text :doc "the file whose first line that is")
    :host (assoc text :doc "the address to listen on" :default "127.0.0.1")
    :hostname {:doc "the name that clients reach it by; the first domain unless given"
               :check domain? :rule "a domain name in lower case" :read identity}
    :plain-port (assoc port :doc "queries without encryption" :default 7074)
    :query-port (assoc port :doc "queries over Noise" :default 7075)
    :submit-port (assoc port :doc "submissions over Noise" :default 7076)
    :http-port (assoc port :doc "/.well-known/poz over plain HTTP, for a proxy that does TLS" :default :off)
    :http-host (assoc text :doc "the address of that" :default "127.0.0.1")
    :metrics-port (assoc port :doc "/metrics and /health over plain HTTP" :default :off)
    :metrics-host (assoc text :doc "the address of those" :default "127.0.0.1")
    :log-level (assoc (one-of events/levels) :doc "from which level on events are told: debug, which tells names too, info, warn, error or off" :default :info)
    :log-format (assoc (one-of [:json :text]) :doc "how poz serve logs them: json or text; text at a terminal, else json")
    :policy {:doc "who gets a handle, see poz.authority.policy" :default :manual
             :check (comp nil? policy/fault) :fault policy/fault :rule "a policy" :read edn-value}
    :reservation-ms (assoc milliseconds :doc "how long an issued handle stays reserved" :default (:reservation-ms messages/limits))
    :ticket-ms (assoc milliseconds :doc "how long a held request is kept" :default (:ticket-ms messages/limits))
    :tickets (assoc (whole 0 10000) :doc "how many held requests are kept" :default (:tickets messages/limits))
    :mirrors {:doc "who else serves these records, as MIRRORS tells it" :default []
              :check #(and (sequential? %) (every? mirror? %))
              :rule "a list of {:hostname :port :encryption :none|:noise-nk, :public-key HEX}"}
    :role {:doc "authoritative, cache or mirror, see poz.mirror" :default :authoritative
           :check #{:authoritative :cache :mirror} :rule ":authoritative, :cache or :mirror" :read keyword}
    :upstream {:doc "whom a cache or mirror pulls from, HOST[:PORT]" :check upstream?
               :rule "HOST[:PORT], or a map of :host, :port and :key, 64 hex digits" :read servers/parse}
    :upstream-key (hash-option "its Noise key; without one it is asked in the open")
    :upstream-hash (hash-option "the original hash of the authority's record: what its domains stand for")
    :records (assoc text :doc "the file that lists the records of a mirror, see poz authority list")
    :refresh-ms (assoc milliseconds :doc "how long after a check a cache or mirror checks a record again" :default 60000)
    :stale-ms (assoc milliseconds :doc "how long after that it serves one if its upstream is away" :default (* 7 24 60 60 1000))
    :pulls (assoc (whole 1 1000) :doc "questions of a mirror to its upstream at a time" :default 32)
    :pull-ms (assoc (whole 1 600000) :doc "for each of them" :default 5000)
    :cache-bytes (assoc (whole 0 (bit-shift-left 1 40)) :doc "room for ready-made answers; 0 keeps none" :default (* 64 1024 1024))
    :cache-ms (assoc milliseconds :doc "how long they hold at most, if others commit to the same store; 0 keeps none" :default 1000)
    :threads (assoc (whole 1 1024) :doc "threads that answer; twice the processors unless given")
    :queue (assoc (whole 1 1000000) :doc "requests that may wait for one of them; then BUSY" :default 1024)
    :connections (assoc (whole 1 1000000) :doc "open connections of a port" :default (:connections messages/limits))
    :connections-per-address (assoc (whole 1 1000000) :doc "of them from one address" :default (:connections-per-address messages/limits))
    :exchange-ms (assoc (whole 1 600000) :doc "for a whole exchange, then close" :default (:exchange-ms messages/limits))
    :idle-ms (assoc (whole 1 600000) :doc "idle inside it" :default (:idle-ms messages/limits))
    :grace-ms (assoc (whole 0 600000) :doc "for open exchanges when it stops" :default (:exchange-ms messages/limits))
    :sealing {:doc "what sealing the keyring file costs, if not the default" :default {}
              :check sealing? :rule "a map of :memory-kib, :passes, :lanes" :read edn-value}
    :now (assoc function :doc "the clock, a function: milliseconds")
    :random (assoc function :doc "randomness, a function of n: n bytes")
    :on-event (assoc function :doc "called with each event, see poz.system.events; it must not wait")
    :on-error (assoc function :doc "called with a defect, a Throwable")))

;; ## Putting together

(defn variable
  "The variable of the environment that sets the option `k`."
  [k]
  (str "POZ_" (str/upper-case (str/replace (name k) "-" "_"))))

(defn- from-environment
  "`{:values :faults}` of the variables that are set."
  [getenv]
  (reduce-kv (fn [acc k {:keys [read rule]}]
               (let [s (when read (getenv (variable k)))
                     v (when s (read s))]
                 (cond
                   (str/blank? s) acc
                   (nil? v) (update acc :faults conj (str (variable k) " is " rule))
                   :else (assoc-in acc [:values k] v))))
    {:values {} :faults []} options))

(defn- fault [[k v]]
  (let [{:keys [check rule secret fault]} (options k)]
    (cond
      (nil? (options k)) (str "there is no option " (pr-str k))
      (not (check v)) (str k " is " rule
                        (when-not secret (str (if fault (str ": " (fault v)) (str ", not " (pr-str v)))))))))

(defn- wrapped [m]
  (reduce-kv (fn [m k {:keys [secret]}]
               (if (and secret (string? (m k))) (update m k secret) m))
    m options))

(defn- together-faults
  "What is wrong between options that are well each."
  [{:keys [data store plain-port query-port submit-port role upstream upstream-hash]}]
  (cond-> []
    (and (not= :authoritative role) (not= :off submit-port)) (conj (str "a " (name role) " never opens a port for submissions: :submit-port is :off"))
    (and (not= :authoritative role) (nil? upstream)) (conj (str "a " (name role) " needs an :upstream"))
    (and (= :mirror role) (nil? upstream-hash)) (conj "a mirror needs the :upstream-hash of the authority that it replicates")
    (and (nil? data) (or (string? store) (= :sqlite store))) (conj ":data is nil, and a store that lasts needs its folder, for the keys")
    (= :off plain-port query-port submit-port) (conj "at least one port is not :off")))

(defn- sentences [faults]
  (error/anomaly :system/config {:message (str (str/join ". " (map #(str (str/upper-case (subs % 0 1)) (subs % 1)) faults)) ".")
                                 :faults (vec faults)}))

(defn- defaults
  "The defaults of all options: who is not authoritative opens no port for submissions."
  [{:keys [role]}]
  (cond-> (into {} (keep (fn [[k row]] (when (contains? row :default) [k (:default row)]))) options)
    (#{:cache :mirror} role) (assoc :submit-port :off)))

(defn config
  "The whole configuration: of each option the value in `given`, a map, else in the variable
  that `getenv` gives, else in `file`, the map that a file holds, else the default. Or the
  anomaly `:system/config` with all `:faults`."
  [getenv file given]
  (if-not (map? file)
    (sentences ["a configuration file holds one map in EDN"])
    (let [{:keys [values faults]} (from-environment getenv)
          set-options (merge file values given)
          whole (merge (defaults set-options) set-options)
          faults (concat faults (keep fault set-options))
          faults (if (seq faults) faults (together-faults whole))]
      (if (seq faults)
        (sentences faults)
        (wrapped whole)))))
