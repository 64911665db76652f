(ns poz.cli.network
  "What the commands that ask servers share: who to ask, with which key, and how to say who
  answered.

  A server is named by `--server`, its Noise key by the `--key` at the same place. Where only the
  host is known, `--hash` names the server's own record: its Service Zone, asked for in the
  open and verified, has the key."
  (:require
   [clojure.edn :as edn]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.cli.holder :as holder]
   [poz.cli.support :as support]
   [poz.client :as client]
   [poz.client.candidates :as candidates]
   [poz.client.servers :as servers]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

;; ## Options

(defn parse-hash
  "64 hex digits as a byte string; nil for anything else."
  [s]
  (when (re-matches #"[0-9a-fA-F]{64}" s) (bytes/hex-> s)))

(def server-option
  "`--server HOST[:PORT]`."
  {:name "server" :arg "HOST[:PORT]" :many true :parse servers/parse
   :doc "a server to ask; where it does not answer, the next one"})

(def key-option
  "`--key HEX`."
  {:name "key" :arg "HEX" :many true :parse parse-hash
   :doc "the Noise key of the server at the same place: ask it privately"})

(def deadline-option
  "`--deadline SECONDS`."
  {:name "deadline" :arg "SECONDS" :doc "how long to try, all servers together (10)"
   :parse #(let [n (parse-long %)] (when (and n (<= 1 n 3600)) n))})

;; ## Servers

(defn servers
  "The servers that the options name, in their order; or an anomaly."
  [command {:keys [server key]}]
  (cond
    (empty? server) (holder/usage command "--server is required")
    (and (seq key) (not= (count key) (count server))) (holder/usage command "give a --key for each --server, or none")
    :else (vec (map-indexed (fn [i s]
                              (let [k (get key i)]
                                (cond-> (assoc s :priority i :encryption (if k :noise-nk :none)) k (assoc :public-key k))))
                 server))))

(defn client-options
  "The options of the client for `servers`."
  [servers {:keys [deadline mirror-servers] :as options} {:keys [random exchange] :as env}]
  (cond-> {:servers servers :now (support/now options env) :random random :exchange exchange}
    (seq mirror-servers) (assoc :mirrors mirror-servers)
    deadline (assoc :deadline-ms (* 1000 (long deadline)))))

(defn learnt-servers
  "The servers with a Noise key that the record with the original hash `hash` names, which the
  `named` servers are asked for in the open; or an anomaly."
  [named hash type options env]
  (holder/attempt->
    (client/query {:type :zones :subject {:hash hash} :zones [:service]} (client-options named options env))
    (fn [{:keys [record fallen]}]
      (candidates/private-of (cond-> record (:service fallen) (dissoc :service-zone)) type named))))

;; ## Mirrors that are remembered: a file in EDN, a list of servers with their keys in hex

(def mirrors-option
  "`--mirrors FILE`."
  {:name "mirrors" :arg "FILE"
   :doc "remember there who else serves the record, as a server with a key says, and ask those where no server answers"})

(defn- remembered-server [{:keys [host port encryption public-key] :as m}]
  (when (and (map? m) (string? host) (int? port) (#{:none :noise-nk} encryption)
          (or (= :none encryption) (and (string? public-key) (parse-hash public-key))))
    (cond-> {:host host :port port :encryption encryption}
      public-key (assoc :public-key (parse-hash public-key)))))

(defn read-mirrors
  "The servers in `file`, none where there is no file; or an anomaly."
  [file]
  (if (and file (files/exists? file))
    (holder/attempt-> (files/read-file file nil)
      (fn [b]
        (let [found (try (edn/read-string (String. (bytes/->array b) "UTF-8")) (catch RuntimeException _ nil))
              servers (when (sequential? found) (mapv remembered-server found))]
          (if (and servers (every? some? servers))
            servers
            (error/anomaly :file/unreadable {:message (str file ": not a list of mirrors") :file file})))))
    []))

(defn write-mirrors!
  "Remembers `servers` in `file`; nil, or an anomaly."
  [file servers]
  (let [plain (mapv (fn [s] (cond-> (select-keys s [:host :port :encryption :public-key])
                              (:public-key s) (update :public-key bytes/->hex)))
                servers)]
    (files/write-file! file (bytes/utf8 (prn-str plain)) nil {:force true})))

;; ## Words

(defn server-label
  "The server, for a person."
  [{:keys [host port encryption]}]
  (str host ":" port (if (= :noise-nk encryption) ", privately" ", in the open")))

(defn failure-lines
  "What the servers that were asked in vain said."
  [failures]
  (for [{:keys [server message]} failures]
    (str (:host server) ":" (:port server) ": " message)))

(defn server-json
  "The server as `--json` shows it."
  [server]
  (select-keys server [:host :port :encryption :public-key]))
