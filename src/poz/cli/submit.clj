(ns poz.cli.submit
  "`poz submit`: an update to an authoritative server, as little of the record as it lacks. And the
  network's part of `poz request`: a request to a provider, and what became of it."
  (:require
   [poz.bytes :as bytes]
   [poz.cli.holder :as holder]
   [poz.cli.lookup :as lookup]
   [poz.cli.network :as network]
   [poz.cli.support :as support]
   [poz.client :as client]
   [poz.client.candidates :as candidates]
   [poz.error :as error]
   [poz.record :as record]
   [poz.service :as service]
   [poz.verify :as verify]
   [poz.view.text :as text]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; ## Where to

(def ^:private to-option
  "`--to DOMAIN`."
  {:name "to" :arg "DOMAIN" :doc "the provider's domain, in place of --server: DNS and the web say where its servers are"})

(defn- named-servers
  "The servers that `--server` names, or those of the domain that `--to` names, with their keys; or an
  anomaly."
  [command {:keys [server to] :as options} env]
  (cond
    (and to server) (holder/usage command "--to finds the server: leave --server out")
    to (lookup/submit-servers to options env)
    :else (network/servers command options)))

;; ## submit

(defn- submit-servers [{:keys [hash to] :as options} env]
  (holder/attempt-> (named-servers "submit" options env)
    (fn [named]
      (cond
        (or to (seq (:key options))) named
        hash (network/learnt-servers named hash :poz-submit options env)
        :else (holder/usage "submit" "--key or --hash is required: submissions are private")))))

(defn- ask-serials
  "What the servers hold of `record`, `{:serials}`, nil for nothing; or an anomaly."
  [record servers options env]
  (let [found (client/query {:type :serial :subject {:hash (record/original-hash record)}}
                (network/client-options (mapv #(assoc % :contract :submit) servers) options env))]
    (if (and (error/anomaly? found) (not= :not-found (:status found)))
      found
      {:serials (:payload found)})))

(defn- as-type
  "SUBMIT_SIGNED where `update` brings a live identity entry, or a record that is not held."
  [update serials {:keys [type]}]
  (cond
    type type
    (or (nil? serials) (seq (service/live update :identity))) :submit-signed
    :else :submit))

(defn- submission [record serials {:keys [whole] :as options}]
  (holder/attempt-> (if (or whole (nil? serials)) record (client/smallest-update record serials))
    (fn [update] {:type (as-type update serials options) :record update})))

(defn- stored-lines [{:keys [serial zones]}]
  (cons (str "revision " serial)
    (for [{:keys [zone grant deny]} zones]
      (str (text/pad (name zone) 9) "grant " grant ", deny " deny))))

(defn- submitted [{:keys [record]} {:keys [type status payload server failures]}]
  (let [size (count (record/encode record))]
    {:exit 0
     :err (concat (map text/escape (network/failure-lines failures))
            [(str "answered by " (network/server-label server))
             (str size " bytes, with " (holder/words (map name (zone/zones record))) " of the zones")])
     :out (cons (if (= :accepted status) "accepted, the handles are live" "stored") (stored-lines payload))
     :json [{:type type :status status :serials payload :size size :server (network/server-json server)}]}))

(defn- submit-to [servers record options env]
  (holder/attempt-> (ask-serials record servers options env)
    (fn [{:keys [serials]}] (submission record serials options))
    (fn [submission]
      (holder/attempt-> (client/submit submission (network/client-options servers options env))
        #(submitted submission %)))))

(defn- submit [{[file] :args :keys [options env]}]
  (holder/attempt-> (support/read-record file env)
    (fn [record]
      (holder/attempt-> (submit-servers options env)
        #(submit-to % (record/public-view record) options env)))))

;; ## request

(defn- broken [verdict]
  (let [zone (get-in verdict [:zones :service])]
    (or (not= :valid (get-in verdict [:chain :outcome])) (and zone (not= :valid (:outcome zone))))))

(defn- provider-servers
  "The servers that the options name, with the keys that they or the Service Zone of the `provider`
  give; or an anomaly."
  [provider {:keys [key to] :as options} env]
  (holder/attempt-> (named-servers "request" options env)
    (fn [named]
      (cond
        (or to (seq key)) named
        (broken (verify/verify provider {:now (support/now options env)}))
        (error/anomaly :request/record {:message "The provider's record does not hold: see poz verify."})
        :else (candidates/private-of provider :poz-submit named)))))

(defn- pending [{:keys [ticket server]}]
  {:exit 4
   :err [(str "answered by " (network/server-label server))
         "held for later: ask again with --ticket"]
   :out [(str "ticket " (bytes/->hex ticket))]
   :json [{:status :pending :ticket ticket :server (network/server-json server)}]})

(defn ask-provider
  "Sends `submission`, a SUBMIT_REQUEST or a REQUEST_STATUS, to the servers of `provider`: the
  result of a command where it is held for later, what `(issued entry server)` gives where it is not;
  or an anomaly."
  [submission provider options env issued]
  (holder/attempt-> (provider-servers provider options env)
    (fn [servers]
      (client/submit submission (assoc (network/client-options servers options env) :provider provider)))
    (fn [{:keys [status entry server] :as found}]
      (if (= :pending status) (pending found) (issued entry server)))))

(def request-options
  "The options of `poz request` that are about servers."
  [(assoc network/server-option :doc "send the request to this server of the provider, and write the entry that it issues")
   (assoc to-option :doc "the same, to a server of the provider's domain: DNS and the web say where those are")
   (assoc network/key-option :doc "the server's Noise key; unless given it is the one in the provider's record")
   {:name "ticket" :arg "HEX" :doc "ask what became of the request that got this ticket"
    :parse #(when (re-matches #"[0-9a-fA-F]{32}" %) (bytes/hex-> %))}
   network/deadline-option])

(def commands
  "The commands of this namespace."
  [{:name "submit" :args "FILE" :arity [1 1] :group "Servers" :run submit
    :summary "send an update to an authoritative server"
    :doc (str "Asks the server what it holds of the record, and sends what it lacks of the public view: revisions, "
           "zones. Identity entries go as SUBMIT_SIGNED, which makes their handles live. The same update twice does no harm. "
           "Exit code 6 where the server refuses, 7 where the update does not follow what it holds.")
    :options [network/server-option network/key-option
              to-option
              {:name "hash" :arg "HEX" :parse network/parse-hash
               :doc "the original hash of the server's own record, whose Service Zone has the key"}
              {:name "type" :arg "TYPE" :doc "submit or submit-signed, where the choice is not right"
               :parse #(first (filter (fn [t] (= % (name t))) [:submit :submit-signed]))}
              {:name "whole" :doc "send the whole public view"}
              network/deadline-option support/time-option]
    :examples ["poz submit alice.poz --to social.example" "poz submit alice.poz --server poz.social.example --hash …"]}])
