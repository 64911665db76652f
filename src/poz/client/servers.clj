(ns poz.client.servers
  "Whom to ask, as data.

  A *server* is `{:host :port :encryption :public-key :priority :weight :contract}`. `:encryption`
  is `:none` or `:noise-nk`, which needs the `:public-key`. What a request travels by follows
  from it: plain 7074, private queries 7075, submissions 7076, wherever the server listens;
  `:contract` says otherwise, as for SERIAL, CHALLENGE and STATUS, which 7076 answers too.
  `:port` is that of the contract unless given, `:priority` and `:weight` are 0.

  `parse` reads where one listens, as people write it; `of-service` and `of-mirrors` give the servers that a verified record and MIRRORS name."
  (:require
   [poz.bytes :as bytes]
   [poz.format.messages :as messages]
   [poz.service :as service]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(defn- parse-port [s]
  (when-let [n (some-> s parse-long)] (when (< 0 (long n) 65536) n)))

(defn parse
  "\"HOST\", \"HOST:PORT\" or \"[ADDRESS]:PORT\" as `{:host :port}`; nil where it is none."
  [s]
  (when-let [[_ bracketed host port] (re-matches #"(?:\[([0-9a-fA-F:.]+)\]|([^\s:/@\[\]]+))(?::(\d{1,5}))?" s)]
    (when (or (nil? port) (parse-port port))
      (cond-> {:host (or bracketed host)} port (assoc :port (parse-port port))))))

(def ^:private rows
  "Contract → its row of `poz.format.messages/ports`."
  (into {} (map (juxt :contract identity)) messages/ports))

(def keys-of-a-server
  "Key of a server → what it is."
  {:host "name or address"
   :port "where it listens, by default the contract's port"
   :encryption ":none or :noise-nk"
   :public-key "for :noise-nk the server's key, a byte string of 32"
   :priority "lower ones are asked first"
   :weight "shares the load within one priority"
   :contract ":plain, :query or :submit, where it is not what the request asks for"})

(defn- contract-for [{:keys [encryption contract]} type]
  (or contract
    (first (filter #(and (= encryption (:encryption (rows %))) (wire/allowed? % type))
             [:plain :query :submit]))))

(defn- fault [{:keys [host port encryption public-key] :as server} type]
  (let [contract (contract-for server type)]
    (cond
      (not-every? keys-of-a-server (keys server))
      (str "A server has no " (first (remove keys-of-a-server (keys server))))
      (not (string? host)) "A server's :host is a string"
      (not (or (nil? port) (and (int? port) (< 0 (long port) 65536)))) "A server's :port is a number below 65536"
      (not (#{:none :noise-nk} encryption)) "A server's :encryption is :none or :noise-nk"
      (not (or (= :none encryption) (and (bytes/bytes? public-key) (= 32 (count public-key)))))
      "A server with :noise-nk has a :public-key, 32 bytes"
      (not (and contract (= encryption (:encryption (rows contract))) (wire/allowed? contract type)))
      (str "Requests of type " type " do not go to a server with " encryption
        (when contract (str " on " contract))))))

(defn prepare
  "`server` with everything that a request of `type` needs to know. Throws
  IllegalArgumentException where it is none, or where such requests do not go to it."
  [server type]
  (when-let [why (fault server type)]
    (throw (IllegalArgumentException. (str why ": " (pr-str server)))))
  (let [contract (contract-for server type)]
    (merge {:priority 0 :weight 0 :port (:port (rows contract))} server {:contract contract})))

(defn order
  "`servers` as they are to be tried: lower priority first, within one by weight at random
  (RFC 2782). `random` is a function that gives a number from 0 up to 1."
  [servers random]
  (if (next servers) (vec (service/order-hosts {:hosts servers} random)) (vec servers)))

(defn label
  "\"host:port\", for a person."
  [{:keys [host port]}]
  (str host ":" port))

(defn- of-host [{:keys [hostname port encryption public-key priority weight]}]
  (cond-> {:host hostname :port port :encryption encryption :priority (or priority 0) :weight (or weight 0)}
    (= :noise-nk encryption) (assoc :public-key public-key)))

(defn- usable? [{:keys [transport encryption public-key]}]
  (and (contains? #{nil :tcp} transport)
    (or (= :none encryption) (and (= :noise-nk encryption) (some? public-key)))))

(defn of-service
  "The servers that the live Service Zone of `record`, which is verified, names for `type`,
  `:poz-query` or `:poz-submit`."
  [record type]
  (into [] (comp (mapcat :hosts) (filter usable?) (map of-host)) (service/of-type record type)))

(defn of-mirrors
  "The servers in MIRRORS' answer."
  [mirrors]
  (into [] (comp (filter usable?) (map of-host)) mirrors))
