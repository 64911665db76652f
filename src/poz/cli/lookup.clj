(ns poz.cli.lookup
  "`poz lookup`, `poz discover`: from a name to a record, with who said what on the way. What asks DNS
  and the web is loaded when it is first needed."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.holder :as holder]
   [poz.cli.network :as network]
   [poz.cli.support :as support]
   [poz.client.candidates :as candidates]
   [poz.client.pins :as pins]
   [poz.client.servers :as servers]
   [poz.discover.report :as report]
   [poz.error :as error]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.time :as time]
   [poz.view.discovery :as discovery]
   [poz.view.text :as text]
   [poz.view.tree :as tree]
   [poz.view.verdict :as verdict]))

(set! *warn-on-reflection* true)

;; ## Options

(defn- one-of [known]
  (fn [s] (first (filter #(= s (name %)) known))))

(def discovery-options
  "The options about sources."
  [{:name "resolver" :arg "HOST[:PORT]" :parse servers/parse :doc "the DNS server to ask; unless given, the system's"}
   {:name "policy" :arg "POLICY" :parse (one-of (keys report/policies))
    :doc (str "what will do: " (str/join "; " (for [[k {:keys [doc]}] report/policies] (str (name k) ": " doc))) " (default)")}
   {:name "require" :arg "SOURCE" :many true :parse (one-of (keys report/sources))
    :doc (str "a source that may not be absent nor fail: " (str/join ", " (map name (keys report/sources))))}
   {:name "dnssec" :doc "validate what DNS says, from the keys of the root"}
   {:name "trust-anchor" :arg "FILE" :doc "validate what DNS says, from these DS or DNSKEY records in zone-file lines"}
   {:name "ca" :arg "FILE" :doc "the certificates, in PEM, that the web server's must come from"}
   {:name "well-known" :arg "URL" :parse #(when (re-matches #"https://[^\s/]+/\S*" %) %)
    :doc "where the well-known file is, instead of https://DOMAIN/.well-known/poz"}
   {:name "allow-private" :doc "ask web servers in private networks and on this machine too"}
   {:name "timeout" :arg "SECONDS" :doc "how long to try (15, of which 5 for discovery)"
    :parse #(let [n (parse-long %)] (when (and n (<= 1 n 3600)) n))}
   support/time-option])

(defn- text-of [file env]
  (holder/attempt-> (support/read-bytes file env) #(String. (bytes/->array %) "UTF-8")))

(defn- files
  "The `:anchors` and `:trust` that the options name, or an anomaly."
  [{:keys [dnssec trust-anchor ca]} env]
  (let [anchors (cond trust-anchor (text-of trust-anchor env) dnssec @(requiring-resolve 'poz.discover.dns/root-anchors))
        trust (when ca (support/read-bytes ca env))]
    (or (support/first-anomaly [anchors trust])
      (cond-> {} anchors (assoc :anchors anchors) trust (assoc :trust trust)))))

(defn- edge
  "What asks the sources, or the anomaly of files that are not what they should be."
  [{:keys [resolver well-known allow-private timeout]} files]
  (try
    ((requiring-resolve 'poz.discover/edge)
     (cond-> files
       resolver (assoc :resolver resolver)
       well-known (assoc :well-known well-known)
       allow-private (assoc :allow-private true)
       timeout (assoc :deadline-ms (* 1000 (long timeout)))))
    (catch IllegalArgumentException e (error/anomaly :cli/usage {:message (ex-message e)}))))

(defn- source-options
  "The options of discovery that the command line makes up; or an anomaly."
  [{:keys [policy] :as options} {:keys [sources] :as env}]
  (holder/attempt-> (files options env)
    #(or sources (edge options %))
    #(cond-> {:ask % :now (support/now options env)}
       policy (assoc :policy policy)
       (:require options) (assoc :require (set (:require options))))))

(def pins-option
  "`--pins DIR`."
  {:name "pins" :arg "DIR" :doc "where to remember what was seen; unless given, poz/pins in the data folder of the user (XDG_DATA_HOME)"})

(defn pins-store
  "The store of pins that the options or the environment name, or nil."
  [{given :pins} {:keys [getenv]}]
  (let [data (or (not-empty (getenv "XDG_DATA_HOME")) (some-> (not-empty (getenv "HOME")) (str "/.local/share")))]
    (when-let [folder (or given (when data (str data "/poz/pins")))]
      (pins/folder folder))))

;; ## Failures

(defn- explained
  "The anomaly with what there is to tell of it: who said what."
  [{:keys [report steps evidence failures] :as anomaly}]
  (assoc anomaly
    :notes (concat (when report (discovery/report-lines report))
             (discovery/step-lines steps)
             (map text/escape (network/failure-lines failures))
             (when evidence [(str "evidence: " (text/escape evidence))]))
    :details (cond-> {}
               report (assoc :report (discovery/report-data report))
               (seq steps) (assoc :steps (discovery/step-data steps))
               evidence (assoc :evidence evidence))))

(defn- or-explained [found f]
  (if (error/anomaly? found) (explained found) (f found)))

;; ## discover

(defn- discovered [report]
  {:exit 0 :out (discovery/report-lines report) :json [(discovery/report-data report)]})

(defn- discover [{[domain] :args :keys [options env]}]
  (holder/attempt-> (source-options options env)
    (fn [asking]
      (or-explained ((requiring-resolve 'poz.discover/discover) domain
                     (cond-> asking (:timeout options) (assoc :deadline-ms (* 1000 (long (:timeout options))))))
        discovered))))

;; ## The servers for submissions

(defn- submit-candidates
  "Those to ask in the open for the Service Zone: the hosts for submissions have the record too."
  [{:keys [servers submit-servers]}]
  (candidates/open {:servers (concat servers (map #(update % :priority + 65536) submit-servers))}))

(defn submit-servers
  "The servers that take submissions for `domain`, with their keys: those of the Service Zone of the
  record that discovery names, the hosts that DNS names for it first; or an anomaly."
  [domain options env]
  (holder/attempt-> (source-options options env)
    #(or-explained ((requiring-resolve 'poz.discover/discover) domain %) identity)
    (fn [{:keys [hash submit-servers] :as report}]
      (holder/attempt-> (network/learnt-servers (submit-candidates report) hash :poz-submit options env)
        (fn [found]
          (let [hosts (into #{} (map :host) submit-servers)]
            (mapv #(cond-> % (and (seq hosts) (not (hosts (:host %)))) (update :priority + 65536)) found)))))))

;; ## lookup

(defn- lookup-options [options env]
  (holder/attempt-> (source-options options env)
    (fn [asking]
      (let [{:keys [timeout current]} options store (pins-store options env)]
        (cond-> (merge asking (select-keys options [:offline :whole :forget]) (select-keys env [:random :exchange]))
          store (assoc :pins store)
          timeout (assoc :deadline-ms (* 1000 (long timeout)))
          current (assoc :statuses #{:current}))))))

(defn- age-words [ms]
  (let [seconds (quot (long ms) 1000)]
    (first (for [[n unit] [[86400 "days"] [3600 "hours"] [60 "minutes"] [1 "seconds"]]
                 :when (or (= 1 n) (<= (* 2 (long n)) seconds))]
             (str (quot seconds (long n)) " " unit)))))

(defn- proof-lines [{:keys [entry provider proven pinned offline name steps]}]
  (remove nil?
    [(when entry (str "  handle: " (clojure.core/name (:status entry)) ", issued by " (bytes/->hex (:hash provider))))
     (if proven "  proven: the sources name the provider" "  not proven: no source names the provider's record")
     (when (some :mirror steps) "  answered by a mirror: the domain's servers do not answer")
     (case pinned
       :new (str "  remembered from now on: " (text/escape name))
       :known "  as it was remembered, or newer"
       nil)
     (when offline (str "  without a network: seen " (time/iso (:at offline)) ", " (age-words (:age-ms offline)) " ago"))]))

(defn- notes [{:keys [report steps]}]
  (concat (when report (discovery/report-lines report)) (discovery/step-lines steps)))

(defn- answer-json [{:keys [name hash entry provider proven report steps pinned offline verdict record memory]}]
  (cond-> {:name name :original-hash hash :proven proven :outcome (:outcome verdict) :provider (:hash provider)
           :record record :warnings (map #(select-keys % [:warning :message]) (:warnings verdict)) :memory memory
           :steps (discovery/step-data steps)}
    entry (assoc :status (:status entry))
    report (assoc :report (discovery/report-data report))
    pinned (assoc :pinned pinned)
    offline (assoc :offline offline)))

(defn- answered [{:keys [name record hash] :as found} {:keys [out] :as options} env]
  (let [view (support/view-options env options)
        done {:exit 0 :err (notes found) :json [(answer-json found)]
              :out (concat (verdict/lines name record (:verdict found) view)
                     [(str "  record: " (bytes/->hex hash))]
                     (proof-lines found)
                     [""]
                     (tree/show record (assoc view :key-hash signing/key-hash)))}]
    (if out
      (support/write-result out (record/encode (record/public-view record)) env options done)
      done)))

(defn- lookup [{[name] :args :keys [options env]}]
  (if (and (:offline options) (nil? (pins-store options env)))
    (holder/usage "lookup" "--offline takes --pins, or XDG_DATA_HOME or HOME")
    (holder/attempt-> (lookup-options options env)
      (fn [asking]
        (or-explained ((requiring-resolve 'poz.client.lookup/lookup) name asking)
          #(answered % options env))))))

(def commands
  "The commands of this namespace."
  [{:name "lookup" :args "NAME" :arity [1 1] :group "Servers" :run lookup
    :summary "find the record of a name, and say who said so"
    :doc (str "Finds the record of an address or a domain by what already exists: DNS and the domain's web server name the "
           "provider's record and its servers, which are asked privately; everything is verified. Says who attested what, "
           "through which sources. What was seen is remembered, and what is older is refused; so are the mirrors that the domain has, which are asked "
           "where its servers do not answer. Exit code 4 where too few sources "
           "name the record, 5 where nobody answers, 7 where sources disagree, or for a rollback or a fork.")
    :options (into discovery-options
               [pins-option
                {:name "offline" :doc "answer from what is remembered only; no network is asked"}
                {:name "forget" :doc "take what is found as new, whatever was remembered under the name"}
                {:name "whole" :doc "get the user's whole record, not only the part with the handle"}
                {:name "current" :doc "refuse a handle that only an earlier delegation of the provider carries"}
                {:name "out" :arg "FILE" :doc "write the record there, - for standard output"}
                support/force-option support/width-option])
    :examples ["poz lookup alice@social.example" "poz lookup social.example --policy both --dnssec"
               "poz lookup alice@social.example --offline"]}
   {:name "discover" :args "DOMAIN" :arity [1 1] :group "Servers" :run discover
    :summary "say what DNS and the web tell of a domain"
    :doc "Asks DNS and the domain's web server which record is the domain's and where its servers are, and says what each told, and whether they agree. Exit code 4 where too few name a record, 7 where they disagree."
    :options discovery-options
    :examples ["poz discover social.example" "poz discover social.example --require txt --require well-known"]}])
