(ns poz.cli.dns
  "`poz dns-records`: what belongs into a domain's zone, of a server's configuration or of a record."
  (:require
   [poz.cli.files :as files]
   [poz.cli.holder :as holder]
   [poz.cli.serve :as serve]
   [poz.cli.support :as support]
   [poz.client.servers :as servers]
   [poz.error :as error]
   [poz.record :as record]
   [poz.system.config :as config]
   [poz.system.dns :as dns]
   [poz.system.keys :as keys]
   [poz.verify :as verify]))

(set! *warn-on-reflection* true)

;; ## Of a record

(defn- private-first
  "The servers with encryption, or, if there are none, all: SRV names a port, and clients ask
  privately where they can."
  [found]
  (or (seq (filter :public-key found)) found))

(defn- holds? [r options env]
  (let [{:keys [chain zones]} (verify/verify (record/public-view r) {:now (support/now options env)})]
    (= #{:valid} (into #{} (keep :outcome) [chain (:service zones)]))))

(defn- of-record [file options env]
  (holder/attempt-> (support/read-record file env)
    (fn [r]
      (if (holds? r options env)
        {:hash (record/original-hash r)
         :servers {:query (private-first (servers/of-service r :poz-query)) :submit (servers/of-service r :poz-submit)}}
        (error/anomaly :request/record {:message (str file ": the record does not hold; see poz verify.")})))))

;; ## Of a configuration

(defn- ports [config]
  (into {} (for [[contract k] {:plain :plain-port :query :query-port :submit :submit-port}
                 :let [port (config k)] :when (not= :off port)]
             [contract port])))

(defn- of-config [{:keys [data hostname domains] :as config}]
  (let [ports (ports config)]
    (cond
      (some zero? (vals ports)) (holder/usage "dns-records" "a port that is any that is free" " does not belong into DNS")
      (nil? data) (holder/usage "dns-records" "a server without a data folder" " has another record each time")
      :else (holder/attempt-> (files/read-file (keys/server-file data) nil)
              record/parse
              (fn [r] {:hash (record/original-hash r) :servers (dns/servers (or hostname (first domains)) ports)})))))

;; ## The command

(defn- told [domains {:keys [hash servers]} ttl]
  (let [lines (vec (mapcat #(dns/zone-lines % servers hash ttl) domains))]
    {:exit 0 :out lines :json [{:domains domains :original-hash hash :dns lines}]}))

(defn- dns-records [{:keys [args options env]}]
  (holder/attempt->
    (serve/configuration (dissoc options :record :ttl :at) (if (seq args) {:domains args} {}) env)
    (fn [{:keys [domains] :as config}]
      (if (empty? domains)
        (holder/usage "dns-records" "missing" " DOMAIN")
        (holder/attempt-> (if-let [file (:record options)] (of-record file options env) (of-config config))
          #(told domains % (:ttl options)))))))

(def commands
  "The commands of this namespace."
  [{:name "dns-records" :args "[DOMAIN]..." :arity [0 nil] :group "Server" :run dns-records
    :summary "print what belongs into a domain's zone"
    :doc "Prints the lines of a zone file by which clients find the servers of DOMAIN and its record: SRV _poz._tcp and _poz-submit._tcp, TXT _poz. They are those of the server with this configuration, whether it runs or not; with --record those that the record's Service Zone names. No passphrase is needed."
    :options (into serve/config-options
               [(serve/option :hostname "NAME") (serve/option :plain-port "PORT")
                (serve/option :query-port "PORT") (serve/option :submit-port "PORT")
                {:name "record" :arg "FILE" :doc "the domain's record, - for standard input"}
                {:name "ttl" :arg "SECONDS" :doc "how long resolvers may keep it; the zone's own unless given"
                 :parse #(let [n (parse-long %)] (when (and n (<= 0 n 2147483647)) n))}
                support/time-option])
    :examples ["poz dns-records example.com --data /var/lib/poz --ttl 3600"
               "poz dns-records example.com --record example.poz"]}])
