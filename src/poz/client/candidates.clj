(ns poz.client.candidates
  "Whom to ask of the servers that discovery names (protocol.md §3, §6). Pure.

  A record is asked for privately, by a server's Noise key: one that the well-known file gives, or one
  in the Service Zone of the domain's own record, which is remembered or asked for in the open.

  - `keyed` the servers of a report whose key it tells
  - `open` those to ask in the open for the Service Zone
  - `private-of` those that a verified record names"
  (:require
   [clojure.string :as str]
   [poz.client.servers :as servers]
   [poz.error :as error]
   [poz.format.messages :as messages]))

(set! *warn-on-reflection* true)

(def ^:private port-of (into {} (map (juxt :contract :port)) messages/ports))

(defn- place [{:keys [host port]}] [host port])

(defn- bare [server]
  (dissoc server :source))

(defn keyed
  "The servers that the report tells with their keys, each with the priority and weight that SRV has
  for the same host and port; those of SRV first."
  [{:keys [servers]}]
  (let [of-srv (into {} (map (juxt place #(select-keys % [:priority :weight]))) (filter #(= :srv (:source %)) servers))
        order #(merge % (cond (of-srv (place %)) (of-srv (place %)) (seq of-srv) {:priority 65536}))]
    (mapv (comp bare order) (filter :public-key servers))))

(defn- in-the-open [server port last?]
  (cond-> (-> (bare server) (dissoc :public-key) (assoc :encryption :none :port port))
    last? (update :priority + 65536)))

(defn- plain-of
  "How the server can be asked in the open. SRV does not say what a port is for: one of another number
  than the private one may be plain; on the same host there may be the plain port too."
  [{:keys [encryption port] :as server}]
  (let [{:keys [plain query]} port-of]
    (cond
      (= :none encryption) [(in-the-open server port false)]
      (or encryption (= query port)) [(in-the-open server plain true)]
      (= plain port) [(in-the-open server plain false)]
      :else [(in-the-open server port false) (in-the-open server plain true)])))

(defn open
  "The servers to ask in the open, where the report tells no key that serves."
  [{:keys [servers]}]
  (into [] (comp (mapcat plain-of) (distinct)) servers))

(defn- last-resort
  "The server, to be asked after all others."
  [server]
  (update server :priority + 65536))

(defn private-of
  "The servers with a Noise key that `record`, which is verified, names for the service `type`:
  those whose host is among `named`; if there are none, the `named` hosts with their ports and
  keys, since the record may know them by other names, and then its own. Or an anomaly."
  [record type named]
  (let [found (filterv :public-key (servers/of-service record type))
        hosts (into #{} (map :host) named)
        same (filterv (comp hosts :host) found)]
    (cond
      (seq same) same
      (seq found) (into (vec (for [host hosts, server found] (assoc server :host host))) (map last-resort) found)
      :else (error/anomaly :client/no-server
              {:rule (str "the Service Zone names no host with a Noise key for " (str/upper-case (name type)))}))))
