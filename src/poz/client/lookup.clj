(ns poz.client.lookup
  "From a name to a verified record (protocol.md §6): discovery, the provider's record, the private
  question, and what is remembered.

  A *name* is a domain, or an address such as alice@social.example/staff. `lookup` gives

      {:name … :hash …            ; the record under that name, by its original hash
       :record {…} :verdict {…}   ; that record, verified
       :entry {…}                 ; of an address: the judgement of its entry, with its :status
       :provider {:hash :record :verdict}
       :proven true               ; false where no source named the provider, by the policy :any
       :report {…}                ; what each source said, see poz.discover.report
       :steps [{:step :discovery|:key|:provider|:user|:mirrors :took-ms :server :mirror :failures}]
       :memory {…} :pinned :new|:known
       :offline {:at :age-ms}}    ; without a network: when it was seen

  or an anomaly, with the `:report` and the `:steps` as far as they came. Of a rollback or a fork, and
  of sources that name different records, the category is `:conflict`; where there are pins, the
  `:evidence` tells where it was kept. The question about a user never travels in the open.

  Where there are pins, the server of the provider's record is asked once a day who else serves it.
  Those *mirrors* are remembered, and asked where none of the domain's servers answers: a step that
  one of them answered is `:mirror`. Their answers are verified like any other, and what is older
  than what was seen is refused."
  (:require
   [poz.address :as address]
   [poz.bytes :as bytes]
   [poz.client :as client]
   [poz.client.answer :as answer]
   [poz.client.candidates :as candidates]
   [poz.client.mirrors :as mirrors]
   [poz.client.options :as options]
   [poz.client.pins :as pins]
   [poz.client.plan :as plan]
   [poz.discover :as discover]
   [poz.discover.report :as report]
   [poz.error :as error]
   [poz.fork :as fork]
   [poz.memory :as memory]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(def ^:private client-keys
  [:now :random :max-difficulty :max-response :executor :transport :exchange])

(def ^:private discover-keys
  [:now :ask :policy :require :resolver :anchors :trust :well-known :allow-private :executor])

(def lookup-options
  "Option of `lookup` → `{:doc :default :check :rule :required}`."
  (merge (select-keys client/query-options client-keys)
    (select-keys discover/options discover-keys)
    {:deadline-ms {:doc "for everything" :default 15000 :check #(and (int? %) (pos? (long %))) :rule "a number above 0"}
     :discovery-ms {:doc "for discovery, of that" :default 5000 :check #(and (int? %) (pos? (long %))) :rule "a number above 0"}
     :statuses {:doc "which statuses of an identity entry to accept" :default #{:current :superseded}
                :check #(and (set? %) (seq %) (every? #{:current :superseded} %)) :rule "a set of :current, :superseded"}
     :whole {:doc "get the user's whole record, not only the part with the handle" :default false :check boolean? :rule "true or false"}
     :pins {:doc "what is remembered, a store of poz.client.pins" :check map? :rule "a store of pins"}
     :forget {:doc "take what is found as new, whatever was remembered under the name" :default false :check boolean? :rule "true or false"}
     :offline {:doc "answer from the pins only, without a network" :default false :check boolean? :rule "true or false"}}))

;; A lookup is a map: :name, :domain, :address or nil, :options, :start, :pins, :resort where there is
;; somebody else to ask if this fails, and what its steps found. A step is a function of it that gives the next, or an anomaly.

(defn- elapsed-ms [{:keys [start]}]
  (quot (- (System/nanoTime) (long start)) 1000000))

(defn- done
  "`lookup` with one more step that began at `before`."
  [lookup step before facts]
  (update lookup :steps conj (merge {:step step :took-ms (- (long (elapsed-ms lookup)) (long before))} facts)))

(defn- asking
  "The options of a question, in the time that is left; half of it where somebody else can be asked."
  [{:keys [options resort] :as lookup} more]
  (let [left (- (long (:deadline-ms options)) (long (elapsed-ms lookup)))]
    (merge (select-keys options client-keys) more {:deadline-ms (max 1 (if resort (quot left 2) left))})))

(defn- present [m] (into {} (remove (comp nil? val)) m))

(defn- known-mirrors [{:keys [pins report servers]}]
  (mirrors/known pins (:hash report) servers))

(defn- facts
  "What a step says of its `answer`."
  [{:keys [by-mirrors] :as lookup} {:keys [server] :as answer}]
  (cond-> (select-keys answer [:server :failures :poz/error])
    (and server (or by-mirrors (mirrors/one-of? (known-mirrors lookup) server))) (assoc :mirror true)))

(defn- ask
  "`(f lookup answer)` where the question has an answer, noted as a step."
  [lookup step question more f]
  (let [before (elapsed-ms lookup)
        answer (client/query question (asking lookup (present more)))
        noted (done lookup step before (facts lookup answer))]
    (if (error/anomaly? answer) (assoc answer :steps (:steps noted)) (f noted answer))))

;; ## Discovery

(defn- own-hash [{:keys [pins domain]}] (pins/hash-of pins domain))

(defn- discovered [{:keys [options domain] :as lookup}]
  (let [found (discover/discover domain
                (assoc (present (assoc (select-keys options discover-keys) :pinned (own-hash lookup)))
                  :deadline-ms (min (long (:discovery-ms options)) (long (:deadline-ms options)))))]
    (cond
      (error/anomaly? found) found
      (empty? (:servers found)) (error/anomaly :discover/unavailable {:report found})
      :else (-> (assoc lookup :report found) (done :discovery 0 nil)))))

;; ## The provider

(defn- held
  "The record with that hash as it was verified last, or nil."
  [{{{:keys [record]} :pins} :options} hash]
  (when-let [b (when (and record hash) (record hash))]
    (when-not (error/anomaly? b)
      (let [r (record/decode b)] (when-not (error/anomaly? r) r)))))

(defn- disagreement
  "Where the servers give another record than the sources name: the anomaly of that, which has the
  report with what they said."
  [{:keys [report]} {:poz/keys [error] :keys [found] :as anomaly}]
  (if (and (= :answer/other-record error) (:hash report))
    (merge (select-keys anomaly [:failures :server :steps])
      (report/verdict
        (report/saying report {:source :record :status :present :hash (bytes/hex-> found) :at (:at report) :took-ms 0})))
    anomaly))

(defn- learnt
  "`lookup` with the servers whose keys the domain's Service Zone has, which is asked for in the open."
  [{:keys [domain report] :as lookup}]
  (ask lookup :key {:type :zones :subject {:domain domain} :zones [:service]}
    {:servers (candidates/open report) :expected-hash (:hash report)}
    (fn [lookup {:keys [record fallen]}]
      (let [found (candidates/private-of (cond-> record (:service fallen) (dissoc :service-zone)) :poz-query (:servers report))]
        (if (error/anomaly? found) found (assoc lookup :servers found))))))

(defn- with-servers
  "`lookup` with servers to be asked privately."
  [{:keys [report] :as lookup}]
  (let [keyed (candidates/keyed report)
        known (some-> (held lookup (:hash report)) (candidates/private-of :poz-query (:servers report)))]
    (cond
      (seq keyed) (assoc lookup :servers keyed)
      (and known (not (error/anomaly? known))) (assoc lookup :servers known :from-pins true)
      :else (learnt lookup))))

(defn- provider [{:keys [domain report servers pins] :as lookup}]
  (ask lookup :provider {:type :record :subject {:domain domain}}
    {:servers servers :expected-hash (:hash report) :remembered (pins/memory-of pins (:hash report))}
    (fn [lookup {:keys [record proven] :as answer}]
      (assoc lookup :proven proven
        :provider (assoc (select-keys answer [:record :verdict :memory :server]) :hash (record/original-hash record))))))

(defn- where-unanswered
  "`found`; if nobody answered what was asked, what `(f lookup)` finds: servers that are remembered may be
  those of before, those of now may be away."
  [{:poz/keys [anomaly] :keys [steps] :as found} lookup f]
  (if (and (#{:unreachable :refused :busy} anomaly) (not (plan/final? found)))
    (f (assoc lookup :steps steps))
    found))

(defn- provider-learnt [lookup]
  (let [found (learnt lookup)]
    (if (error/anomaly? found) found (provider found))))

(defn- provider-by-servers
  "As `provider`; where the servers that are remembered do not serve, those of now are learnt, and where
  none of the domain's serves, its mirrors are asked."
  [{:keys [from-pins] :as lookup}]
  (let [mirrors (not-empty (known-mirrors lookup)) with-resort #(assoc lookup :resort (boolean %))]
    (cond-> (provider (with-resort (or from-pins mirrors)))
      from-pins (where-unanswered (with-resort mirrors) provider-learnt)
      mirrors (where-unanswered (with-resort false) #(provider (assoc % :servers mirrors :by-mirrors true)))
      true (dissoc :resort))))

;; ## The user

(defn- user [{:keys [address name provider servers pins options] :as lookup}]
  (let [{:keys [hash record]} provider pinned (pins/hash-of pins name)
        found (ask lookup :user {:type (if (:whole options) :record :identity) :subject {:handle address}}
                {:servers servers :mirrors (known-mirrors lookup) :providers [record] :provider-hash hash :statuses (:statuses options)
                 :expected-hash pinned :remembered (pins/memory-of pins pinned)}
                (fn [lookup answer]
                  (merge lookup (select-keys answer [:record :verdict :entry :memory])
                    {:hash (record/original-hash (:record answer))})))]
    (if (and pinned (= :answer/other-record (:poz/error found)))
      (merge (select-keys found [:steps :server :failures])
        (error/anomaly :pins/other-record {:path [name] :expected (:expected found) :found (:found found)}))
      found)))

(defn- subject
  "`lookup` with the record that it is about: of an address the user's, else the provider's."
  [{:keys [address provider] :as lookup}]
  (if address
    (user lookup)
    (merge lookup (select-keys provider [:record :verdict :memory :hash]))))

;; ## Mirrors

(defn- learn-mirrors?
  "True if the server of the provider's record, one of the domain's own, is to be asked for mirrors."
  [{:keys [options pins proven steps provider]}]
  (and proven (:pins options) (not-any? :mirror steps) (mirrors/due? pins (:hash provider) (:now options))))

(defn- with-mirrors
  "`lookup` with the mirrors that a server names, to be remembered. It does without where none is told."
  [{:keys [domain provider] :as lookup}]
  (if (learn-mirrors? lookup)
    (let [before (elapsed-ms lookup) server (:server provider)
          found (client/mirrors {:domain domain} (update (asking lookup {:servers [server]}) :deadline-ms min 1000))
          noted (done lookup :mirrors before (assoc (select-keys found [:poz/error]) :server server))]
      (cond-> noted
        (not (error/anomaly? found)) (assoc :mirrors (mirrors/kept found))))
    lookup))

;; ## What is remembered

(defn- seen [{:keys [name domain hash provider] seen :memory :as lookup}]
  (distinct [{:name domain :hash (:hash provider) :memory (memory/of (get-in lookup [:provider :record])) :record (:record provider)}
             {:name name :hash hash :memory (or seen (memory/of (:record lookup))) :record (:record lookup)}]))

(defn- remember-all
  "`pins` with what was seen, and with the mirrors that were told; or an anomaly."
  [pins all {:keys [provider mirrors options]}]
  (let [now (:now options)
        joined (reduce (fn [pins s] (let [p (pins/noted pins s now)] (if (error/anomaly? p) (reduced p) p))) pins all)]
    (cond-> joined
      (and mirrors (not (error/anomaly? joined))) (pins/mirrored (:hash provider) mirrors now))))

(defn- remembered [{:keys [options name pins proven] :as lookup}]
  (if (and proven (:pins options))
    (let [all (seen lookup)
          kept ((:update! (:pins options))
                #(remember-all (cond-> % (:forget options) (pins/forgotten name)) all lookup)
                (into {} (map (juxt :hash (comp record/encode record/public-view :record))) all))]
      (if (error/anomaly? kept) kept (assoc lookup :pinned (if (pins/hash-of pins name) :known :new))))
    lookup))

(defn- evidence
  "What proves the `anomaly`, `[name bytes]`: of a fork two records that anybody can check; else what
  was served, as it came."
  [{:keys [options] :as lookup} {:keys [record] :poz/keys [error]}]
  (let [hash (record/original-hash record) before (held lookup hash)
        proof (when (and before (= :memory/fork error)) (error/attempt #(fork/evidence before record (:now options))))
        [kind b] (if (string? proof) [".fork.txt" (bytes/utf8 proof)] [".poz" (record/encode (record/public-view record))])]
    [(str (name error) "-" (subs (bytes/->hex hash) 0 16) "-" (:now options) kind) b]))

(defn- with-evidence [{:keys [options] :as lookup} {:keys [record] :poz/keys [error] :as anomaly}]
  (if (and record (:pins options) (#{:memory/rollback :memory/fork} error))
    (let [[name b] (evidence lookup anomaly) kept ((:evidence! (:pins options)) name b)]
      (cond-> anomaly (string? kept) (assoc :evidence kept)))
    anomaly))

;; ## Without a network

(defn- stored
  "The answer to `question` that the stored record with `hash` is; or an anomaly."
  [{:keys [options name]} hash question more]
  (let [b (when hash ((:record (:pins options)) hash))]
    (cond
      (nil? b) (error/anomaly :pins/absent {:found name})
      (error/anomaly? b) b
      :else (answer/check question (merge {:now (:now options) :statuses (:statuses options) :providers []} more) b))))

(defn- age [{:keys [pins options name domain]}]
  (let [at (apply min (keep #(get-in pins [:names % :at]) [name domain]))]
    {:at at :age-ms (- (long (:now options)) (long at))}))

(defn- stored-provider [{:keys [domain pins] :as lookup}]
  (let [hash (own-hash lookup)
        found (stored lookup hash {:type :record :subject {:domain domain}} {:expected-hash hash :remembered (pins/memory-of pins hash)})]
    (if (error/anomaly? found)
      found
      (assoc lookup :proven true :provider (assoc (select-keys found [:record :verdict :memory]) :hash hash)))))

(defn- stored-subject [{:keys [name address provider pins] :as lookup}]
  (if address
    (let [hash (pins/hash-of pins name)
          found (stored lookup hash {:type :record :subject {:handle address}}
                  {:expected-hash hash :remembered (pins/memory-of pins hash)
                   :providers [(:record provider)] :provider-hash (:hash provider)})]
      (if (error/anomaly? found)
        found
        (merge lookup (select-keys found [:record :verdict :entry :memory]) {:hash hash})))
    (subject lookup)))

(defn- aged [lookup]
  (assoc lookup :offline (age lookup)))

;; ## The whole

(def ^:private steps [discovered with-servers provider-by-servers subject with-mirrors remembered])
(def ^:private offline-steps [stored-provider stored-subject aged])

(defn- run
  "`lookup` through the `steps`, up to the first anomaly, which gets what was found before it."
  [lookup steps]
  (reduce (fn [lookup step]
            (let [found (step lookup)]
              (if (error/anomaly? found)
                (reduced (merge (select-keys lookup [:report :steps]) (with-evidence lookup (disagreement lookup found))))
                found)))
    lookup steps))

(defn- pins-of
  "What is remembered, or an anomaly; under a name that is to be forgotten, nothing."
  [{:keys [forget] store :pins} name]
  (let [found (if store ((:pins store)) pins/none)]
    (if (or (error/anomaly? found) (not forget)) found (pins/forgotten found name))))

(defn subject-of
  "What `name` means: `{:name :domain}`, with the `:address` if it is one; or an anomaly."
  [name]
  (let [{:keys [domain] :as found} (address/parse name)
        domain (or domain name)]
    (or (discover/domain-fault domain)
      (cond-> {:name (if found (address/text found) name) :domain domain}
        found (assoc :address found)))))

(def ^:private shown
  [:name :hash :record :verdict :entry :provider :proven :report :steps :memory :pinned :offline])

(defn lookup
  "The record under `name`, verified, with who said what on the way; or an anomaly. Options:
  `lookup-options`, of which `:now` is required. Waits, so it must not be called on an event loop;
  whoever interrupts it ends all asking. A wrong argument throws IllegalArgumentException.

      (lookup \"alice@social.example\" {:now 1793491200000 :pins (pins/folder \"pins\")})
      ;=> {:name \"alice@social.example\" :hash … :record {…} :entry {:status :current …} :proven true …}"
  [name given]
  (let [{:keys [offline] :as filled} (options/fill lookup-options given)
        subject (subject-of name)
        pins (if (error/anomaly? subject) subject (pins-of filled (:name subject)))]
    (report/policy (:policy filled) (:require filled))
    (when (and offline (not (:pins filled)))
      (throw (IllegalArgumentException. "The option :offline needs :pins.")))
    (if (error/anomaly? pins)
      pins
      (let [found (run (merge subject {:options filled :pins pins :start (System/nanoTime) :steps []})
                    (if offline offline-steps steps))]
        (if (error/anomaly? found) found (select-keys found shown))))))
