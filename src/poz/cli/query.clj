(ns poz.cli.query
  "`poz query`, `server status`: asking servers. What they answer is verified before it is shown."
  (:require
   [clojure.string :as str]
   [poz.address :as address]
   [poz.bytes :as bytes]
   [poz.cli.holder :as holder]
   [poz.cli.lookup :as lookup]
   [poz.cli.network :as network]
   [poz.cli.support :as support]
   [poz.client :as client]
   [poz.client.pins :as pins]
   [poz.client.servers :as servers]
   [poz.error :as error]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.time :as time]
   [poz.view.text :as text]
   [poz.view.tree :as tree]
   [poz.view.verdict :as verdict]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; ## The question

(def ^:private types
  [:master :identity :chain :serial :record :zones :mirrors :challenge :status])

(defn- one-of [known]
  (fn [s] (first (filter #(= s (name %)) known))))

(defn- subject [word]
  (cond
    (nil? word) nil
    (network/parse-hash word) {:hash (network/parse-hash word)}
    (str/includes? word "@") (when-let [a (address/parse word)] {:handle a})
    :else {:domain word}))

(defn- from [held]
  (get-in held [:master-zone :serial] 1))

(defn- question
  "What is asked for; or an anomaly."
  [word {:keys [type zone] from-option :from} held]
  (let [subject (subject word) type (or type (if (:handle subject) :identity :record))
        without-subject (contains? #{:challenge :status} type)]
    (cond
      (and word (nil? subject)) (holder/usage "query" word " is not an address such as alice@social.example")
      (and (nil? word) (not without-subject)) (holder/usage "query" "missing SUBJECT")
      (and (= :identity type) (not (:handle subject))) (holder/usage "query" "--type identity takes an address such as alice@social.example")
      (and (= :zones type) (empty? zone)) (holder/usage "query" "--type zones takes --zone")
      :else (cond-> {:type type}
              (not without-subject) (assoc :subject subject)
              (= :chain type) (assoc :from (or from-option (from held)))
              (= :zones type) (assoc :zones (vec zone))))))

;; ## Whom and how

(defn- chosen-servers [{:keys [hash plain] :as options} env]
  (holder/attempt-> (network/servers "query" options)
    (fn [named]
      (if (or plain (nil? hash) (seq (:key options)))
        named
        (network/learnt-servers named hash :poz-query options env)))))

(defn- provider-of
  "A function of an original hash that gives the record: one of `given`, else one that
  the servers give, which verifies and has that hash."
  [given options]
  (fn [hash]
    (or (first (filter #(= hash (record/original-hash %)) given))
      (:record (client/query {:type :zones :subject {:hash hash} :zones [:identity]} options)))))

(defn- remembered
  "What `pins` have of the record that is asked for, or nil."
  [{:keys [subject]} pins {:keys [hash]}]
  (pins/memory-of pins (or (:hash subject) (when (:domain subject) hash) (pins/hash-of pins (some-> (:handle subject) address/text)))))

(defn- query-options [{:keys [subject] :as question} servers given held pins {:keys [hash superseded] :as options} env]
  (let [base (network/client-options servers options env) memory (remembered question pins options)]
    (cond-> (assoc base :providers (provider-of given base))
      (and memory (nil? held)) (assoc :remembered memory)
      held (assoc :held held)
      superseded (assoc :statuses #{:current :superseded})
      (and hash (:domain subject)) (assoc :expected-hash hash)
      (and hash (:handle subject)) (assoc :provider-hash hash))))

;; ## What was answered

(defn- serial-lines [{:keys [serial current-master-hash zones]}]
  (cons (str "revision " serial "  " (bytes/->hex current-master-hash))
    (for [{:keys [zone grant deny zone-hash]} zones]
      (str (text/pad (name zone) 9) "grant " grant ", deny " deny "  " (bytes/->hex zone-hash)))))

(defn- mirror-lines [mirrors]
  (if (seq mirrors)
    (for [{:keys [hostname port encryption public-key]} mirrors]
      (str hostname ":" port " " (name encryption) (when public-key (str " " (bytes/->hex public-key)))))
    ["no mirrors"]))

(defn- challenge-lines [{:keys [challenge difficulty valid-until]}]
  [(str "challenge " (bytes/->hex challenge)) (str "difficulty " difficulty) (str "valid until " (time/iso valid-until))])

(defn- status-lines [{:keys [software role oldest newest] at :time}]
  [(str "software " software) (str "role " (name role)) (str "clock " (time/iso at)) (str "protocol " oldest " to " newest)])

(def ^:private word-lines
  {:serial serial-lines :mirrors mirror-lines :challenge challenge-lines :status status-lines})

(defn- proof [{:keys [proven because]}]
  (if proven "proven: it is the record that was asked for" (str "not proven: " because)))

(defn- record-lines [word {:keys [record verdict fallen] :as answer} view]
  (concat (verdict/lines word record verdict view)
    [(str "  " (proof answer))]
    (when (seq fallen) [(str "  fallen: " (holder/words (map name (filter fallen zone/names))) ", until signed again")])
    [""]
    (tree/show record (assoc view :key-hash signing/key-hash))))

(defn- answer-lines [word {:keys [type payload record] :as answer} view]
  (if record
    (record-lines word answer view)
    (map text/escape ((word-lines type) payload))))

(defn- notes [{:keys [record server failures] :as answer}]
  (concat (network/failure-lines failures)
    [(str "answered by " (network/server-label server))]
    (when-not record [(proof answer)])))

(defn- answer-json [{:keys [record verdict entry] :as answer}]
  (cond-> (assoc (select-keys answer [:type :subject :proven :because :fallen :memory])
            :server (network/server-json (:server answer)))
    (nil? record) (assoc :answer (:payload answer))
    record (assoc :outcome (:outcome verdict) :record record :warnings (map #(select-keys % [:warning :message]) (:warnings verdict)))
    entry (assoc :status (:status entry))))

(defn- answered [word {:keys [type record] :as answer} {:keys [out] :as options} env]
  (let [done {:exit 0 :err (map text/escape (notes answer)) :json [(answer-json answer)]
              :out (answer-lines (or word (name type)) answer (support/view-options env options))}]
    (cond
      (nil? out) done
      record (support/write-result out (record/encode record) env options done)
      :else (holder/usage "query" "--out is for records, which " (name type) " does not give"))))

(defn- known [{file :known} env]
  (when file (support/read-record file env)))

(defn- remember-mirrors!
  "Remembers who else serves the subject, as the server that answered says: nil, or the anomaly of a
  file. One without a key could be anybody."
  [{:keys [subject server]} {:keys [mirrors mirror-servers] :as options} env]
  (when (and mirrors subject (:public-key server) (not-any? #(= (:public-key server) (:public-key %)) mirror-servers))
    (let [found (client/mirrors subject (dissoc (network/client-options [server] options env) :mirrors))]
      (when (and (not (error/anomaly? found)) (seq found))
        (network/write-mirrors! mirrors found)))))

(defn- asked [word question given held pins options env]
  (holder/attempt-> (chosen-servers options env)
    (fn [servers] (client/query question (query-options question servers given held pins options env)))
    (fn [answer] (or (remember-mirrors! answer options env) (answered word answer options env)))))

(defn- query [{[word] :args {:keys [with] :as options} :options :keys [env]}]
  (let [given (mapv #(support/read-record % env) with) held (some-> (known options env))
        mirrors (network/read-mirrors (:mirrors options))
        pins (if (:pins options) ((:pins (lookup/pins-store options env))) pins/none)]
    (or (support/first-anomaly (conj given held mirrors pins))
      (holder/attempt-> (question word options held)
        #(asked word % given held pins (assoc options :mirror-servers mirrors) env)))))

;; ## server status

(defn- off-line [{at :time} now]
  (let [off (- (long at) (long now))]
    (str "clock " (time/iso at) ", " (abs off) " ms " (if (neg? off) "behind" "ahead of") " ours")))

(defn- server-of [word {:keys [key submit]}]
  (if-let [server (servers/parse word)]
    (cond-> (assoc server :encryption (if key :noise-nk :none))
      key (assoc :public-key key)
      submit (assoc :contract :submit))
    (holder/usage "server status" word " is not HOST[:PORT]")))

(defn- status-result [status challenge now]
  (let [{:keys [difficulty]} (:payload challenge)
        [software role _ protocol] (status-lines (:payload status))]
    {:exit 0 :err [(str "answered by " (network/server-label (:server status)))]
     :out (map text/escape
            [software role (off-line (:payload status) now) protocol
             (if (zero? (long difficulty)) "no proof of work" (str "proof of work: " difficulty " bits"))])
     :json [(assoc (:payload status) :server (network/server-json (:server status)) :difficulty difficulty
              :clock-off-ms (- (long (:time (:payload status))) (long now)))]}))

(defn- server-status [{[word] :args :keys [options env]}]
  (if (and (:submit options) (not (:key options)))
    (holder/usage "server status" "--submit takes --key: submissions are private")
    (holder/attempt-> (server-of word options)
      (fn [server]
        (let [asking (network/client-options [server] options env)]
          (holder/attempt-> (client/query {:type :status} asking)
            (fn [status]
              (let [now (support/now options env)]
                (holder/attempt-> (client/query {:type :challenge} asking)
                  #(status-result status % now))))))))))

(def commands
  "The commands of this namespace."
  [{:name "query" :args "[SUBJECT]" :arity [0 1] :group "Servers" :run query
    :summary "ask servers for a record, verified"
    :doc (str "Asks for the record of a domain, an original hash or an address, and shows it once it verifies and is "
           "the one asked for. Without --key the question is in the open, unless --hash tells whose Service Zone has the "
           "server's key. Exit code 5 where nobody answers, 6 where a server refuses, 7 for a rollback or a fork.")
    :options [network/server-option network/key-option network/mirrors-option
              {:name "type" :arg "TYPE" :parse (one-of types)
               :doc "master, identity, chain, serial, record, zones, mirrors, challenge or status; record unless given, of an address identity"}
              {:name "hash" :arg "HEX" :parse network/parse-hash
               :doc "the original hash of the domain's own record, as discovery gave it: it proves whose domain that is, and gives the server's key"}
              {:name "plain" :doc "ask in the open though --hash would give a key"}
              {:name "with" :arg "FILE" :many true :doc "a provider's record; else the servers are asked for it"}
              {:name "superseded" :doc "accept a handle that only an earlier delegation of the provider carries"}
              {:name "known" :arg "FILE" :doc "the record as you have it: older answers are refused, and chain continues it"}
              (assoc lookup/pins-option :doc "refuse what is older than poz lookup remembers in this folder")
              {:name "from" :arg "SERIAL" :doc "the chain's first revision" :parse #(let [n (parse-long %)] (when (and n (pos? n)) n))}
              {:name "zone" :arg "ZONE" :many true :doc "a zone to ask for" :parse (one-of zone/names)}
              {:name "out" :arg "FILE" :doc "write the record there, - for standard output"}
              support/force-option network/deadline-option support/time-option support/width-option]
    :examples ["poz query social.example --server poz.social.example"
               "poz query alice@social.example --server poz.social.example --with social.poz"
               "poz query --type status --server 127.0.0.1:7074"]}
   {:name "server status" :args "HOST[:PORT]" :arity [1 1] :group "Servers" :run server-status
    :summary "say who answers at a server, and its clock"
    :doc "Asks a server who it is, what its clock says and how much work it asks for: in the open on 7074, with --key on 7075, with --submit too on 7076."
    :options [{:name "key" :arg "HEX" :doc "the server's Noise key" :parse network/parse-hash}
              {:name "submit" :doc "ask on the port for submissions"}
              network/deadline-option support/time-option]
    :examples ["poz server status 127.0.0.1"]}])
