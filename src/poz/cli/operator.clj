(ns poz.cli.operator
  "`poz authority pending`, `approve`, `reject`, `revoke`: the operator's hand on the store of a
  server, beside it or while it runs."
  (:require
   [poz.address :as address]
   [poz.authority.operator :as operator]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.cli.holder :as holder]
   [poz.cli.serve :as serve]
   [poz.error :as error]
   [poz.store :as store]
   [poz.system :as system]
   [poz.system.keys :as keys]
   [poz.time :as time]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

;; ## The server's store

(defn- check-place [{:keys [data] kind :store :as config}]
  (cond
    (= :memory kind) (error/anomaly :system/config {:message "A store in memory is in its server only." :faults []})
    (not (keys/exist? data)) (files/read-file (keys/server-file data) nil)
    :else config))

(defn- with-store
  "What `f` gives for the configuration and its open store; or an anomaly."
  [options env f]
  (holder/attempt-> (serve/configuration (dissoc options :reason) {} env)
    check-place
    (fn [config]
      (let [s (system/open-store config)]
        (try (f config s)
             (finally (store/close! s)))))))

(defn- with-keys
  "The same, with the config of `poz.authority` as a third argument."
  [options env f]
  (with-store options env
    (fn [config s]
      (holder/attempt-> (serve/with-passphrase config env)
        system/read-keys
        #(f config s (system/authority-config config %))))))

;; ## pending

(defn- request-address [{:keys [user-handle authority-domain path]}]
  (address/text {:handle user-handle :domain authority-domain :path path}))

(defn- proof-text [proof]
  (text/escape (String. (bytes/->array proof) "UTF-8")))

(defn- pending-line [{:keys [ticket request user]}]
  (str (bytes/->hex ticket) "  " (text/escape (request-address request)) "  " (time/iso (:timestamp request))
    "  " (bytes/->hex user)
    (when (pos? (count (:proof request))) (str "  " (proof-text (:proof request))))))

(defn- pending-json [{:keys [ticket request user]}]
  {:ticket ticket :address (request-address request) :record user
   :time (:timestamp request) :proof (:proof request)})

(defn- pending [{:keys [options env]}]
  (with-store options env
    (fn [_ s]
      (let [found (operator/pending s)]
        {:exit 0
         :out (map pending-line found)
         :err (when (empty? found) ["no request is waiting"])
         :json (map pending-json found)}))))

;; ## approve, reject, revoke

(defn- ticket [word]
  (if (re-matches #"[0-9a-f]{32}" word)
    (bytes/hex-> word)
    (error/anomaly :cli/usage {:message (str (text/escape word) " is not a ticket, 32 hex digits; see poz authority pending")})))

(defn- approved [{:keys [request user denied]}]
  {:exit 0
   :out (cond-> [(str "approved: " (text/escape (request-address request)) " is reserved for " (bytes/->hex user))]
          denied (conj (str "the former owner's entry was denied first: " (bytes/->hex denied))))
   :json [{:decision :approved :address (request-address request) :record user :denied denied}]})

(defn- approve [{[word] :args :keys [options env]}]
  (holder/attempt-> (ticket word)
    (fn [t] (with-keys options env (fn [_ s config] (operator/approve! s config t ((:now env))))))
    approved))

(defn- reject [{[word] :args :keys [options env]}]
  (holder/attempt-> (ticket word)
    (fn [t] (with-store options env (fn [_ s] (operator/reject! s t (:reason options "")))))
    (fn [{:keys [request user]}]
      {:exit 0
       :out [(str "rejected: " (text/escape (request-address request)))]
       :json [{:decision :rejected :address (request-address request) :record user}]})))

(def ^:private reasons
  #{"unspecified" "compromised" "superseded" "retired" "abuse"})

(defn- revoke [{[word] :args {:keys [reason] :or {reason "unspecified"} :as options} :options :keys [env]}]
  (if-let [found (address/parse word)]
    (holder/attempt-> (with-keys options env
                        (fn [_ s config] (operator/revoke! s config found (keyword reason) ((:now env)))))
      (fn [{:keys [issue user]}]
        {:exit 0
         :out [(str "revoked: " (text/escape (address/text found)) ", issued to " (bytes/->hex user))
               (str "denied issue hash " (bytes/->hex issue))]
         :json [{:decision :revoked :address (address/text found) :record user :issue-hash issue}]}))
    (holder/usage "authority revoke" (text/escape word) " is not an address such as alice@social.example")))

;; ## list

(defn- hashes
  "The original hashes of all records in the store, in their order."
  [s]
  (loop [after nil out []]
    (let [found (store/scan s :record after 1000) out (into out (map (comp second first)) found)]
      (if (seq found) (recur (second (first (peek found))) out) out))))

(defn- list-records [{:keys [options env]}]
  (with-store options env
    (fn [_ s]
      (let [found (hashes s)]
        {:exit 0 :out (map bytes/->hex found) :err [(str (count found) " records")]
         :json (map (fn [h] {:original-hash h}) found)}))))

(def commands
  "The commands of this namespace."
  [{:name "authority list" :arity [0 0] :group "Server" :run list-records
    :summary "the records that are held, for a mirror"
    :doc "Lists the original hashes of all records that the server holds, one a line: the file that a mirror takes as --records. Nobody can ask a server for this. Works while the server runs."
    :options serve/config-options}
   {:name "authority pending" :arity [0 0] :group "Server" :run pending
    :summary "requests for handles that wait"
    :doc "Lists the requests that the policy :manual has held: ticket, address, when, the record that asks, and its proof."
    :options serve/config-options}
   {:name "authority approve" :args "TICKET" :arity [1 1] :group "Server" :run approve
    :summary "give a handle to who asks for it"
    :doc "Approves a request that waits: its handle is reserved, and the entry is issued when the user asks again. Where the handle had another owner, that one's entry is denied first. Works while the server runs."
    :options serve/config-options}
   {:name "authority reject" :args "TICKET" :arity [1 1] :group "Server" :run reject
    :summary "refuse it"
    :doc "Rejects a request that waits. The user is told the reason."
    :options (conj serve/config-options {:name "reason" :arg "TEXT" :doc "what the user is told"})}
   {:name "authority revoke" :args "ADDRESS" :arity [1 1] :group "Server" :run revoke
    :summary "deny an entry that was issued"
    :doc "Denies the entry that was issued for ADDRESS, in the authority's own Identity Zone, signed with the server's key. Whoever verifies it sees that it is revoked; the handle stays with its owner until his record drops the entry. Works while the server runs, which serves it within a second."
    :options (conj serve/config-options
               {:name "reason" :arg "WORD" :doc "unspecified, compromised, superseded, retired or abuse" :parse reasons})}])
