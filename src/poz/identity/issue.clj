(ns poz.identity.issue
  "From a request to a live handle, as pure steps (protocol.md §2): the user *requests*, the
  provider *attests*, the user *accepts*.

      request → sign-request → check-request (provider) → entry → sign-entry → accept

  A *request* is `{:record bytes :authority-domain :path :user-handle :timestamp :proof
  :signatures}`, the payload of SUBMIT_REQUEST. An *entry* is that of an Identity Zone.
  Accepting is a grant of the user's Identity Zone like any other (`poz.zone.change`)."
  (:require
   [poz.codec :as codec]
   [poz.error :as error]
   [poz.format :as format]
   [poz.identity :as identity]
   [poz.master.survivorship :as survivorship]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.time :as time]
   [poz.verify :as verify]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def request-codec
  "The codec of a request."
  (codec/codec (:types format/format) :identity-request))

(def entry-codec
  "The codec of an identity entry."
  (codec/of-node (:item (:node (codec/codec (:types format/format) :identity-body)))))

;; ## The user asks

(defn request
  "The unsigned request of `record` for the address `{:handle :domain :path}`, made at
  `timestamp`; `proof` is whatever the provider's policy wants, a byte string."
  [record {:keys [handle domain path]} timestamp proof]
  {:record (record/encode (record/public-view record))
   :authority-domain domain :path (vec path) :user-handle handle
   :timestamp timestamp :proof proof :signatures []})

(defn request-statement
  "The request as a statement to the provider whose original hash is `authority-hash`."
  [request user-hash authority-hash]
  (signing/statement :identity-request
    (-> (dissoc request :record :signatures)
      (assoc :authority-hash authority-hash :user-poz-hash user-hash))
    []))

(defn sign-request
  "`request` with the signature of key `index` of the asking `record`, whose secret is
  `secret`; or an anomaly of a key that is not delegated."
  ([request record authority-hash index secret]
   (sign-request request record authority-hash index secret {}))
  ([request record authority-hash index secret options]
   (let [named (into (sorted-set) (map :key) (zone/delegation (:master-zone record) :identity))
         {:keys [message]} (request-statement request (record/original-hash record) authority-hash)]
     (if (contains? named index)
       (update request :signatures signing/sign (:public-key-map record) message index secret options)
       (error/anomaly :signature/stray {:path [:signatures] :expected (signing/key-list named)
                                        :found (str "key " index)})))))

;; ## The provider looks

(defn- record-finding [{:keys [verdict]}]
  (if (= :valid (:outcome verdict))
    (rules/holds "the record that asks holds")
    (rules/breaks (str "the record that asks is " (name (:outcome verdict))) {:error :request/record})))

(defn- time-finding [{:keys [request now]}]
  (let [off (abs (- (long now) (long (:timestamp request))))]
    (if (<= off (long (:server-skew-ms format/limits)))
      (rules/holds "dated within 5 minutes of the clock")
      (rules/breaks (str "dated " (time/iso (:timestamp request)) ", more than 5 minutes from " (time/iso now))
        {:error :request/timestamp}))))

(defn- sum-finding [{:keys [delegation signatures]}]
  (let [sum (zone/sum {:keys delegation} :grant (into #{} (map :key) signatures))]
    (if (<= (long survivorship/threshold) (long sum))
      (rules/holds (str "grant values: " sum " of " survivorship/threshold) {:sum sum})
      (rules/breaks (str "grant values: " sum " of " survivorship/threshold) {:error :request/below-threshold :numbers {:sum sum}}))))

(def request-rules
  "What a provider checks of a request, in order."
  (into [{:id :request/timestamp :doc "A request is dated within 5 minutes of the clock." :check time-finding}
         {:id :request/record :doc "The record that asks holds." :check record-finding}
         {:id :signature/stray :doc "Every signer is delegated for Identity." :check signing/stray-finding}
         {:id :request/threshold :doc "The signers' grant values reach 100." :check sum-finding}]
    signing/signature-rules))

(defn check-request
  "The judgement of `request` to the provider with `authority-hash` at the time `now`, with
  `:record`, the decoded record that asks."
  [request authority-hash now]
  (let [record (record/decode (:record request))]
    (if (error/anomaly? record)
      {:outcome :malformed :steps [] :error record}
      (let [delegation (zone/delegation (:master-zone record) :identity)]
        (assoc (rules/judge request-rules
                 {:request request :now now :verdict (verify/verify record {:now now})
                  :delegation delegation :key-map (:public-key-map record)
                  :signatures (:signatures request) :named (into #{} (map :key) delegation)
                  :statement (delay (request-statement request (record/original-hash record) authority-hash))})
          :record record)))))

(defn request-refusal
  "Why a request that `check-request` judged is refused: the anomaly of its first break."
  [{:keys [error] :as judged}]
  (or error
    (let [step (rules/first-break judged)]
      (error/anomaly (rules/problem step) {:rule (:because step)}))))

;; ## The provider attests

(defn entry
  "The unsigned entry by which the provider with `authority-hash` would issue what `request`
  asks for to the record with `user-hash`."
  [request user-hash authority-hash]
  (-> (select-keys request [:authority-domain :path :user-handle])
    (assoc :identity-type :poz :authority-hash authority-hash :user-poz-hash user-hash
      :authority-signatures [])))

(defn issuer-refusal
  "Why `provider` may not issue `entry`, an anomaly, or nil: it is no provider, or it denies
  this very entry."
  [provider entry]
  (cond
    (empty? (zone/delegation (:master-zone provider) :identity)) (error/anomaly :policy/not-a-provider)
    (some-> (:identity-zone provider) zone/denied (contains? (:hash (identity/statement entry))))
    (error/anomaly :policy/issue-denied)))

(defn sign-entry
  "`entry` with the signature of the provider's key `index`; or an anomaly."
  ([entry provider index secret] (sign-entry entry provider index secret {}))
  ([entry provider index secret options]
   (let [named (into (sorted-set) (map :key) (zone/delegation (:master-zone provider) :identity))]
     (or (issuer-refusal provider entry)
       (when-not (contains? named index)
         (error/anomaly :signature/stray {:path [:authority-signatures] :expected (signing/key-list named)
                                          :found (str "key " index)}))
       (update entry :authority-signatures signing/sign (:public-key-map provider)
         (:message (identity/statement entry)) index secret options)))))

(defn entry-status
  "The grant sum of the entry's signers in the provider's present delegation and whether it
  suffices: `{:sum :complete}`."
  [entry provider]
  (let [sum (zone/sum {:keys (zone/delegation (:master-zone provider) :identity)} :grant
              (into #{} (map :key) (:authority-signatures entry)))]
    {:sum sum :complete (<= (long survivorship/threshold) (long sum))}))

;; ## The user accepts

(defn accept
  "`record` with the draft of an Identity Zone that holds `entry`, at `timestamp`; or an
  anomaly: it was issued to another record, or the zone cannot be changed."
  [record entry timestamp]
  (if (= (:user-poz-hash entry) (record/original-hash record))
    (change/grant record :identity {:timestamp timestamp :add [entry]})
    (error/anomaly :identity/other-record {:path [:user-poz-hash]})))
