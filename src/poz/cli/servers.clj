(ns poz.cli.servers
  "`poz servers`, and `poz status --server`: which ports of servers are open, and who answers there.

  Each port is asked STATUS. The ports of Noise need the server's key: that of `--key`, else the one
  that the server itself names in the open, in the record of its domain. It is not held against
  anything, since all that is asked is who answers. Without one a handshake that must fail still
  tells that somebody is there."
  (:require
   [clojure.string :as str]
   [poz.cli.holder :as holder]
   [poz.cli.network :as network]
   [poz.cli.support :as support]
   [poz.client :as client]
   [poz.client.servers :as servers]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.time :as time]
   [poz.view.text :as text]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent CompletableFuture)))

(set! *warn-on-reflection* true)

;; ## Whom to ask

(def ^:private port-options
  {:plain :plain-port :query :query-port :submit :submit-port})

(defn- address? [host]
  (or (str/includes? host ":") (re-matches #"[0-9.]+" host)))

(defn- ports-of
  "Contract → port: all three, or the one that is named, whose contract is known by its number or by
  whether there is a key."
  [{:keys [port]} key options]
  (let [known (into {} (map (fn [{:keys [contract port]}] [contract (get options (port-options contract) port)])) messages/ports)]
    (if port
      {(or (some (fn [[contract p]] (when (= p port) contract)) known) (if key :query :plain)) port}
      known)))

(defn- target [word key {:keys [domain] :as options}]
  (if-let [{:keys [host] :as server} (servers/parse word)]
    {:host host :key key :ports (ports-of server key options)
     :domain (or domain (when-not (address? host) host))}
    (holder/usage "servers" (text/escape word) " is not HOST[:PORT]")))

(defn- targets [words {:keys [key] :as options}]
  (if (and (seq key) (not= (count key) (count words)))
    (holder/usage "servers" "give a --key for each server, or none")
    (let [found (map-indexed #(target %2 (get key %1) options) words)]
      (or (support/first-anomaly found) (vec found)))))

;; ## Asking

(def ^:private status-request
  (delay (wire/encode-request {:type :status :id 1 :payload {}})))

(defn- deadline-ms [{:keys [deadline]}]
  (* 1000 (long (or deadline 5))))

(defn- ask
  "A future of the response on one port."
  ^CompletableFuture [{:keys [host]} contract port key options {:keys [exchange random]}]
  (exchange (cond-> {:host host :port port :contract contract :deadline-ms (deadline-ms options) :random random}
              (not= :plain contract) (assoc :server-key (or key (random 32))))
    @status-request))

(defn- port-state
  "`{:open :status}`, of what came back: the status where the server told it."
  [found]
  (let [{:keys [status payload] :as response} (if (error/anomaly? found) found (wire/decode-response found :status))]
    (cond-> {:open (not (contains? #{:net/unreachable :net/timeout} (:poz/error response)))}
      (= :ok status) (assoc :status payload))))

(defn- learnt-key
  "The key that the server tells of in the open, or nil."
  [{:keys [host domain ports]} options env]
  (when (and domain (:plain ports))
    (let [found (client/query {:type :zones :subject {:domain domain} :zones [:service]}
                  (network/client-options [{:host host :port (:plain ports) :encryption :none}]
                    (assoc options :deadline (quot (deadline-ms options) 1000)) env))]
      (when-not (error/anomaly? found)
        (some :public-key (client/servers-of (:record found) :poz-query))))))

(defn- looked-at
  "`target` with `:states`, contract → the state of its port."
  [{:keys [ports key] :as target} options env]
  (let [key (or key (when (seq (dissoc ports :plain)) (learnt-key target options env)))
        asked (into {} (map (fn [[contract port]] [contract (ask target contract port key options env)])) ports)]
    (assoc target :states (update-vals asked #(port-state (.get ^CompletableFuture %))))))

(defn- all-at-once [targets options env]
  (mapv deref (mapv #(future (looked-at % options env)) targets)))

;; ## Telling

(defn- who [{:keys [states]}]
  (some :status (map states [:query :submit :plain])))

(defn- server-json
  "A server as a status page shows it."
  [{:keys [host domain ports states] :as server} {:keys [address]} at]
  {:domain domain :host host :ip (when address (address host)) :role (:role (who server)) :software (:software (who server))
   :ports (into (sorted-map)
            (map (fn [[contract port]]
                   [(str port) {:open (get-in states [contract :open]) :version (get-in states [contract :status :newest])}]))
            ports)
   :last_checked (time/iso at)})

(defn- page
  "The shape of a page of the public network's status."
  [servers env at]
  {:generated_at (time/iso at)
   :servers (mapv #(server-json % env at) servers)})

(defn- word-of [{:keys [open status]}]
  (cond status "answers" open "open" :else "-"))

(defn- row [{:keys [host ports states] :as server}]
  (concat [host (some-> (:role (who server)) name) (:software (who server))]
    (for [contract [:plain :query :submit]]
      (when-let [port (ports contract)] (str port " " (word-of (states contract)))))))

(defn- table [servers]
  (let [rows (cons ["host" "role" "software" "plain" "query" "submit"] (map row servers))
        rows (map (fn [r] (map #(text/escape (or % "")) r)) rows)
        widths (apply map (fn [& column] (apply max (map text/columns column))) rows)]
    (map (fn [r] (str/trimr (str/join "  " (map text/pad r widths)))) rows)))

(defn- silent [servers]
  (remove (fn [{:keys [states]}] (some :open (vals states))) servers))

(defn look
  "The result of the command for `words`, HOST[:PORT] each."
  [words options env]
  (holder/attempt-> (targets words options)
    (fn [targets]
      (let [servers (all-at-once targets options env)
            gone (silent servers)]
        {:exit (if (seq gone) 5 0)
         :out (table servers)
         :err (map #(str "nobody answers at " (text/escape (:host %))) gone)
         :json [(page servers env (support/now options env))]}))))

(defn- port-option [contract]
  {:name (name (port-options contract)) :arg "PORT" :doc (str "where " (name contract) " is, if not at its number")
   :parse #(let [n (parse-long %)] (when (and n (< 0 n 65536)) n))})

(def options
  "The options of the command."
  [network/key-option
   {:name "domain" :arg "DOMAIN" :doc "the domain whose record names the servers' keys, if not the host's name"}
   (port-option :plain) (port-option :query) (port-option :submit)
   network/deadline-option support/time-option])

(def commands
  "The commands of this namespace."
  [{:name "servers" :args "HOST[:PORT]..." :arity [1 nil] :group "Servers"
    :run (fn [{:keys [args options env]}] (look args options env))
    :summary "say which ports of servers are open"
    :doc "Asks each of the three ports of servers, or the one that is named, who answers: - nobody, open somebody, answers a server of POZ. The keys for private ports are those of --key, else learnt in the open. With --json the shape of a status page: generated_at, and of each server domain, host, ip, role, ports and last_checked. Exit code 5 where nobody answers on any port of one."
    :options options
    :examples ["poz servers poz.example.com 192.0.2.7 --json" "poz servers 127.0.0.1:7074"]}])
