(ns poz.cli.identities
  "`poz request`, `attest`, `accept`: a handle from a provider, by files or from its server. And `poz login`: a
  site's challenge, the response of a group's keys, the check.

  Requests, entries, challenges and responses travel in text form, each under a label of
  its own, so that none is taken for another."
  (:require
   [poz.address :as address]
   [poz.auth :as auth]
   [poz.bytes :as bytes]
   [poz.cli.holder :as holder]
   [poz.cli.network :as network]
   [poz.cli.submit :as submit]
   [poz.cli.support :as support]
   [poz.codec :as codec]
   [poz.error :as error]
   [poz.identity :as identity]
   [poz.identity.issue :as issue]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.view.text :as text]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def ^:private labels
  {:request "IDENTITY REQUEST" :entry "IDENTITY ENTRY"
   :challenge "LOGIN CHALLENGE" :response "LOGIN RESPONSE"})

(def ^:private codecs
  {:request issue/request-codec :entry issue/entry-codec
   :challenge auth/challenge-codec :response auth/response-codec})

(defn- read-item [kind file env]
  (holder/read-block file (labels kind) env #(codec/decode (codecs kind) %)))

(defn- write-item [kind x options env result]
  (error/attempt
    #(holder/write-text (codec/encode (codecs kind) x) (labels kind) options env result)))

(defn- delegates [record] (into #{} (map :key) (zone/delegation (:master-zone record) :identity)))

(defn- signed-note [signed] (str "signed with " (holder/words (map #(str "key " %) signed))))

(defn- with-holder
  "Reads the holder's record in `file`, opens its keyring and calls `(f record ring)`."
  [file options env f]
  (holder/attempt-> (support/read-record file env)
    (fn [record] (holder/attempt-> (holder/keyring record options env) #(f record %)))))

;; ## request, attest, accept

(defn- signed-request [request record ring authority-hash {:keys [random]}]
  (holder/sign-each request ring (delegates record) (constantly true)
    (fn [r index secret] (issue/sign-request r record authority-hash index secret {:random (random 32)}))))

(defn- asked-entry [address record provider-hash]
  (-> {:authority-domain (:domain address) :path (:path address) :user-handle (:handle address)}
    (issue/entry (record/original-hash record) provider-hash)
    (dissoc :authority-signatures)))

(defn- write-issued
  "Writes the entry that a server has issued."
  [options env]
  (fn [entry server]
    (write-item :entry entry options env
      {:exit 0 :err [(str "entry " (text/escape (address/of-entry entry)) ", verified; answered by " (network/server-label server))]
       :json (when (not= "-" (:out options))
               [{:status :issued :file (:out options) :issue-hash (:hash (identity/statement entry))
                 :server (network/server-json server)}])})))

(defn- write-request [word {:keys [value signed]} options env]
  (write-item :request value options env
    {:exit 0 :err [(str "request for " word) (signed-note signed)]
     :json (when (not= "-" (:out options)) [{:file (:out options) :signed signed}])}))

(defn- make-request
  "Signs a request with the keys of the holder's `file`; `{:value :signed}`, or an anomaly."
  [file address provider {:keys [proof continue] :as options} env]
  (with-holder file options env
    (fn [record ring]
      (holder/attempt->
        (if continue
          (read-item :request continue env)
          (issue/request record address (support/now options env) (bytes/utf8 (or proof ""))))
        #(signed-request % record ring (record/original-hash provider) env)))))

(defn- send-request
  "Sends a request that holds, and that all have signed who must."
  [{:keys [value]} provider options env]
  (let [judged (issue/check-request value (record/original-hash provider) (support/now options env))]
    (if (= :valid (:outcome judged))
      (submit/ask-provider {:type :submit-request :request value} provider options env (write-issued options env))
      (issue/request-refusal judged))))

(defn- asked-later [file address provider {:keys [ticket] :as options} env]
  (holder/attempt-> (support/read-record file env)
    #(submit/ask-provider {:type :request-status :ticket ticket :asked (asked-entry address % (record/original-hash provider))}
       provider options env (write-issued options env))))

(defn- request [{[file word] :args {:keys [provider server to ticket] :as options} :options :keys [env]}]
  (if-let [address (address/parse word)]
    (holder/attempt-> (support/read-record provider env)
      (fn [p]
        (if ticket
          (asked-later file address p options env)
          (holder/attempt-> (make-request file address p options env)
            #(if (or server to) (send-request % p options env) (write-request word % options env))))))
    (holder/usage "request" word " is not an address such as alice@social.example")))

(defn- entry-to-sign [file provider options env]
  (let [request (read-item :request file env)]
    (if (error/anomaly? request)
      (read-item :entry file env)
      (let [judged (issue/check-request request (record/original-hash provider) (support/now options env))]
        (if (= :valid (:outcome judged))
          (issue/entry request (record/original-hash (:record judged)) (record/original-hash provider))
          (issue/request-refusal judged))))))

(defn- attest-result [entry provider signed {:keys [out]}]
  (let [{:keys [sum complete]} (issue/entry-status entry provider)]
    {:exit (if complete 0 1)
     :err [(str "entry " (text/escape (address/of-entry entry))) (signed-note signed)
           (str "grant values: " sum " of 100" (when-not complete "; another key of the provider must sign too"))
           (str "issue hash " (bytes/->hex (:hash (identity/statement entry))))]
     :json (when (not= "-" out)
             [{:file out :complete complete :sum sum :issue-hash (:hash (identity/statement entry))}])}))

(defn- sign-entry [entry provider ring {:keys [random]}]
  (or (issue/issuer-refusal provider entry)
    (holder/sign-each entry ring (delegates provider)
      (fn [e _] (not (:complete (issue/entry-status e provider))))
      (fn [e index secret] (issue/sign-entry e provider index secret {:random (random 32)})))))

(defn- attest [{[file provider-file] :args :keys [options env]}]
  (with-holder provider-file options env
    (fn [provider ring]
      (holder/attempt-> (entry-to-sign file provider options env)
        #(sign-entry % provider ring env)
        (fn [{:keys [value signed]}]
          (write-item :entry value options env (attest-result value provider signed options)))))))

(defn- accept [{[file entry-file] :args :keys [options env]}]
  (holder/attempt-> (support/read-record file env)
    (fn [record]
      (holder/attempt-> (read-item :entry entry-file env)
        #(issue/accept record % (holder/next-time record :identity options env))
        (fn [drafted]
          (error/attempt
            (fn []
              (holder/write-draft (holder/alone drafted :identity)
                options env
                (let [status (change/status drafted :identity :grant false)]
                  {:exit 0 :err (cons "draft of the identity zone" (holder/list-lines status {:grant "grant"}))
                   :json (when (not= "-" (:out options)) [(assoc status :file (:out options))])})))))))))

;; ## login

(defn- challenge [{[site] :args :keys [options env]}]
  (let [nonce ((:random env) 32)]
    (write-item :challenge {:site site :nonce nonce} options env
      {:exit 0 :err [(str "challenge of " site)] :json (when (not= "-" (:out options)) [{:file (:out options) :site site :nonce nonce}])})))

(defn- response-to-sign [file record {:keys [group] :as options} env]
  (let [challenge (read-item :challenge file env)]
    (cond
      (error/anomaly? challenge) (read-item :response file env)
      (nil? group) (holder/usage "login respond" "--group is required with a challenge")
      :else (auth/response record challenge group (support/now options env)))))

(defn- with-group [response record]
  (if (seq (auth/missing (assoc response :signatures []) record))
    response
    (error/anomaly :login/no-such-group {:path [:group] :found (:group response)})))

(defn- respond [{[file holder-file] :args :keys [options env]}]
  (with-holder holder-file options env
    (fn [record ring]
      (holder/attempt-> (response-to-sign file record options env)
        #(with-group % record)
        (fn [response]
          (holder/attempt->
            (holder/sign-each response ring (set (auth/missing response record)) (constantly true)
              (fn [r index secret] (auth/sign r record index secret {:random ((:random env) 32)})))
            (fn [{:keys [value signed]}]
              (let [left (auth/missing value record)]
                (write-item :response value options env
                  {:exit (if (and (seq signed) (empty? left)) 0 1)
                   :err [(signed-note signed)
                         (if (seq left) (str "still needed: " (signing/key-list left)) "complete")]
                   :json (when (not= "-" (:out options)) [{:file (:out options) :signed signed :missing left}])})))))))))

(defn- check [{[file record-file] :args {:keys [site challenge] :as options} :options :keys [env]}]
  (holder/attempt-> (if challenge (read-item :challenge challenge env) {:site site})
    (fn [{nonce :nonce asked :site}]
      (if-not (or site asked)
        (holder/usage "login check" "--site or --challenge is required")
        (holder/attempt-> (support/read-record record-file env)
          (fn [record]
            (holder/attempt-> (read-item :response file env)
              (fn [response]
                (let [judged (auth/check response record (cond-> {:now (support/now options env) :site (or site asked)}
                                                           nonce (assoc :nonce nonce)))]
                  {:exit (case (:outcome judged) :valid 0 :invalid 1 :unknown 4)
                   :out (cons (str "login: " (name (:outcome judged)))
                          (for [{:keys [holds because] :as step} (:steps judged)]
                            (str "  " (if (true? holds) "ok" "NO") "  " because
                              (when-not (true? holds) (str " [" (error/code (rules/problem step)) "]")))))
                   :json [(assoc judged :record (record/original-hash record) :group (:group response)
                            :error (some-> (first (rules/problems judged)) error/code))]})))))))))

(def ^:private file-options [support/output-option support/force-option])
(def ^:private signing-options (into [support/passphrase-option support/time-option] file-options))

(def commands
  "The commands of this namespace."
  [{:name "request" :args "FILE ADDRESS" :arity [2 2] :group "Identity" :run request
    :summary "ask a provider for a handle"
    :doc (str "Asks the provider of ADDRESS for the handle, signed by the Identity delegation of FILE. Where several keys must sign, "
           "the next one continues the request. With --server or --to it is sent, and what is written is the entry; exit code 4 where "
           "the provider holds it for later, which prints a ticket.")
    :options (into [{:name "provider" :arg "FILE" :doc "the provider's record" :required true}
                    {:name "proof" :arg "TEXT" :doc "what the provider's policy wants"}
                    {:name "continue" :arg "REQUEST" :doc "sign this request further"}]
               cat [submit/request-options signing-options])
    :examples ["poz request alice.poz alice@social.example --provider social.poz --out request.txt"
               "poz request alice.poz alice@social.example --provider social.poz --to social.example --out entry.txt"]}
   {:name "attest" :args "REQUEST PROVIDER" :arity [2 2] :group "Identity" :run attest
    :summary "issue an identity entry, as a provider"
    :doc "Checks a request and issues the entry with the keys of PROVIDER. Where several keys must sign, the next one signs the entry: poz attest ENTRY PROVIDER. Exit code 1 while it is not complete."
    :options signing-options
    :examples ["poz attest request.txt social.poz --out entry.txt"]}
   {:name "accept" :args "FILE ENTRY" :arity [2 2] :group "Identity" :run accept
    :summary "draft an Identity Zone with an entry"
    :doc "Drafts the next grant of FILE's Identity Zone with the entry in it. Sign and apply it like any draft."
    :options (conj file-options support/time-option)
    :examples ["poz accept alice.poz entry.txt --out draft.txt"]}
   {:name "login challenge" :args "SITE" :arity [1 1] :group "Login" :run challenge
    :summary "make a challenge, as a site" :doc "Makes a login challenge of SITE with a new nonce. A site takes each nonce once."
    :options file-options}
   {:name "login respond" :args "CHALLENGE FILE" :arity [2 2] :group "Login" :run respond
    :summary "answer a challenge with the keys of a file"
    :doc "Answers a challenge with the keys of a group that are in FILE. Where others of the group are elsewhere, the next holder signs the response: poz login respond RESPONSE FILE. Exit code 1 while keys are missing."
    :options (into [{:name "group" :arg "ID" :doc "the Auth Zone's group" :parse #(let [n (parse-long %)] (when (and n (<= 0 n 255)) n))}]
               signing-options)}
   {:name "login check" :args "RESPONSE RECORD" :arity [2 2] :group "Login" :run check
    :summary "check a response, as a site"
    :doc "Checks a response against the record that logs in: all keys of the group have signed, none is revoked, the time is right."
    :options [{:name "site" :arg "DOMAIN" :doc "who checks"}
              {:name "challenge" :arg "FILE" :doc "the challenge that was made: its site and nonce"}
              support/time-option]}])
