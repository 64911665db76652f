(ns poz.authority
  "An authoritative server without a network: request → answer and changes, as a function of
  what a store holds (protocol.md §1, §2, §7).

  `decide` takes a request (`poz.wire`), a *config* and `read`, a function of a store key that
  gives its value or nil, and gives `{:response … :changes {key value}}`. `answer!` runs it
  against a `poz.store/Store`: everything that was read must still be so when the changes
  are made, else it is decided anew. Nothing here opens a socket or reads a clock.

  The config: `:provider`, the original hash of the record whose handles are issued here;
  `:ring`, the keyring of its Identity keys; `:domains`, domain → original hash of the record
  that is authoritative under it; `:mirrors`; `:software`, a string or a function that gives one;
  `:role`, unless it is `:authoritative`; `:policy`, a function of `{:request :record :address}` that gives `:approve`, `:hold` or `{:reject reason}` (`poz.authority.policy`);
  `:limits`, numbers in place of those in `poz.format.messages/limits`; `:held`, a memory of records
  (`poz.authority.held`), or nil.

  A *ticket* stands for a request that is held until the operator decides. There are at most
  `:tickets` of them, each is forgotten `:ticket-ms` after the request, and whoever asks for the
  same handle again gets the same one."
  (:require
   [poz.activation :as activation]
   [poz.authority.files :as files]
   [poz.authority.held :as held]
   [poz.authority.state :as state]
   [poz.authority.transaction :as transaction]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.identity.issue :as issue]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.store :as store]
   [poz.update :as update]
   [poz.verify :as verify]
   [poz.wire :as wire])
  (:import
   (java.text Normalizer Normalizer$Form)))

(set! *warn-on-reflection* true)

;; ## Queries

(defn hash-of-subject
  "The original hash of the record that a subject names, or nil."
  [{:keys [domain hash handle]} {:keys [domains]} read]
  (cond
    domain (or (get domains domain) (state/domain read domain))
    hash hash
    handle (get-in (state/handle read handle) [:live :user])))

(defn- held [{:keys [held]} read hash]
  (when hash
    (some->> (state/record-bytes read hash) (held/record held hash))))

(defn- about
  "The answer that `f` makes of the record that the subject names."
  [subject config read f]
  (if-let [record (held config read (hash-of-subject subject config read))]
    (let [answer (f record)]
      (if (or (nil? answer) (error/anomaly? answer))
        {:failure (or answer (error/anomaly :wire/not-found))}
        {:ok answer}))
    {:failure (error/anomaly :wire/not-found)}))

(defn- status-answer [{:keys [software role] :or {role :authoritative}} now]
  {:software (if (fn? software) (software) software) :role role :time now :oldest 0 :newest 0})

(defn- query [{:keys [type payload]} config read {:keys [now challenge]}]
  (case type
    :master (about payload config read files/master)
    :identity (about payload config read #(files/with-zones % [:identity] {:fallen false}))
    :chain (about (:subject payload) config read #(files/chain % (:from payload)))
    :serial (about payload config read memory/of)
    :record (about payload config read #(files/whole % (state/record-bytes read (record/original-hash %))))
    :zones (about (:subject payload) config read #(files/with-zones % (:zones payload) {:fallen true}))
    :mirrors (about payload config read (constantly (vec (:mirrors config))))
    :challenge {:ok challenge}
    :status {:ok (status-answer config now)}))

;; ## Requests for handles

(defn- limit [config k]
  (get-in config [:limits k] (messages/limits k)))

(defn- provider-book [config read]
  (activation/book (held config read (:provider config))
    (into #{} (keep (fn [[domain hash]] (when (= hash (:provider config)) domain))) (:domains config))))

(defn- book-of [config read addresses]
  (state/into-book (provider-book config read) read addresses))

(defn- signed-entry [entry provider ring]
  (reduce (fn [e [index secret]]
            (if (or (error/anomaly? e) (:complete (issue/entry-status e provider)))
              e
              (issue/sign-entry e provider index secret)))
    entry (sort-by key ring)))

(defn reservation
  "What becomes of the handle of `request` if it is reserved for `user` at `now`: `{:entry
  :before :after :changes}`, the books before and after it, the latter an anomaly where that
  cannot be."
  [config request user read now]
  (let [address (activation/address request)
        before (book-of config read [address])
        entry (issue/entry request user (:provider config))
        after (activation/reserve (activation/lapse before now) entry now (limit config :reservation-ms))]
    (cond-> {:entry entry :before before :after after}
      (not (error/anomaly? after)) (assoc :changes (state/changes before after [address])))))

(defn- issue-entry
  "Signs the entry of a reservation: the OK answer and the changes."
  [{:keys [ring]} {:keys [entry before after changes]}]
  (if (error/anomaly? after)
    {:failure after}
    (let [signed (signed-entry entry (:provider before) ring)]
      (if (error/anomaly? signed)
        {:failure signed}
        {:ok signed :changes changes}))))

(defn- lapsed? [{:keys [until]} now]
  (< (long until) (long now)))

(defn- same-ticket
  "The ticket under which `user` waits for the same handle already, or nil."
  [index request user read]
  (some (fn [{:keys [ticket] owner :user}]
          (when (= owner user)
            (let [kept (state/ticket read ticket)]
              (when (and (= :pending (:decision kept)) (= (activation/address request) (activation/address (:request kept))))
                ticket))))
    index))

(defn- hold [config request user read {:keys [now random]}]
  (let [{gone true kept false} (group-by #(lapsed? % now) (state/tickets read))
        ticket (random 16)]
    (if-let [same (same-ticket kept request user read)]
      {:pending same}
      (if (<= (long (limit config :tickets)) (count kept))
        {:failure (error/anomaly :wire/busy)}
        {:pending ticket
         :changes (into (state/put-ticket ticket {:request request :user user :decision :pending :reason ""})
                    (cons (state/put-tickets (conj (vec kept) {:ticket ticket :user user
                                                               :until (+ (long now) (long (limit config :ticket-ms)))}))
                      (map #(state/put-ticket (:ticket %) nil) gone)))}))))

(defn- rejected [reason]
  {:failure (error/anomaly :policy/refused {:rule (str reason)})})

(defn- normal? [{:keys [path user-handle]}]
  (every? #(Normalizer/isNormalized % Normalizer$Form/NFC) (cons user-handle path)))

(defn- by-policy [{:keys [policy] :as config} request record read {:keys [now] :as facts}]
  (let [user (record/original-hash record)
        {:keys [after] :as reserved} (reservation config request user read now)]
    (if (and (error/anomaly? after) (not= :policy/former-entry-not-denied (:poz/error after)))
      {:failure after}
      (let [decision (policy {:request request :record record :address (activation/address request)})]
        (case decision
          :approve (issue-entry config reserved)
          :hold (hold config request user read facts)
          (rejected (:reject decision)))))))

(defn- submit-request [{request :payload} {:keys [provider] :as config} read {:keys [now] :as facts}]
  (let [{:keys [outcome record] :as judged} (issue/check-request request provider now)
        private (when record (update/not-public record))]
    (cond
      private {:failure private}
      (not= :valid outcome) {:failure (issue/request-refusal judged)}
      (not (normal? request)) (rejected "the handle is not in Unicode's normal form C")
      :else (by-policy config request record read facts))))

(defn- request-status [{ticket :payload} config read {:keys [now]}]
  (let [{:keys [request user decision reason] :as found} (state/ticket read ticket)
        until (when found (+ (long (:timestamp request)) (long (limit config :ticket-ms))))]
    (cond
      (or (nil? found) (< (long until) (long now))) {:failure (error/anomaly :wire/not-found)}
      (= :pending decision) {:pending ticket}
      (= :rejected decision) (rejected reason)
      :else (issue-entry config (reservation config request user read now)))))

;; ## Submissions

(defn- memory-of [record]
  (memory/of record {:zones (update/zone-hashes record)}))

(defn- with-held [failure record]
  (cond-> failure
    (and record (= :conflict (:poz/anomaly failure)) (= "update" (namespace (:poz/error failure))))
    (assoc :held (memory-of record))))

(defn- activated
  "The book with what is held for the record and its `addresses`, before and after the update."
  [config update-record held-record addresses read now]
  (let [hash (record/original-hash update-record)
        before (cond-> (state/into-book (activation/book-of (:provider config)) read addresses)
                 held-record (assoc-in [:records hash] held-record))]
    [before (activation/activate before update-record (delay (some-> (held config read (:provider config)) (verify/assess now))) now)]))

(defn- accepted [config update-record held-record read {:keys [now]} needs-entry]
  (let [hash (record/original-hash update-record)
        addresses (state/addresses config update-record held-record)
        [before after] (activated config update-record held-record addresses read now)]
    (if (error/anomaly? after)
      {:failure (with-held after held-record)}
      (let [record (get-in after [:records hash]) b (record/encode record)]
        (if (and needs-entry (empty? (state/owned-addresses after hash)))
          {:failure (error/anomaly :request/entry-missing)}
          {:ok (memory-of record)
           :changes (assoc (state/changes before after addresses) (state/record-key hash) b)
           :held [b record]})))))

(defn- submit [{:keys [type payload]} config read facts]
  (let [update-record (record/decode payload)]
    (if (error/anomaly? update-record)
      {:failure update-record}
      (let [hash (record/original-hash update-record)
            held-record (held config read hash)
            signed (= :submit-signed type)]
        (if (and (nil? held-record) (not signed))
          {:failure (error/anomaly :policy/refused {:rule "a record that is not held is taken by SUBMIT_SIGNED only"})}
          (let [{:keys [ok] :as done} (accepted config update-record held-record read facts signed)]
            (if (and ok signed) (-> done (dissoc :ok) (assoc :accepted ok)) done)))))))

;; ## The whole

(defn- response [{:keys [id]} {:keys [failure changes held] :as outcome}]
  (if failure
    {:response (wire/failure (assoc failure :id id)) :changes {}}
    (let [[status payload] (first (select-keys outcome [:ok :accepted :pending]))]
      (cond-> {:response {:status status :id id :payload payload} :changes (or changes {})}
        held (assoc :held held)))))

(defn decide
  "What becomes of `request`: `{:response … :changes {key value-or-nil}}`, and of a submission that is taken
  `:held`, the bytes that are to be held and their record. `facts`: `:now`, `:random`
  (a function of n), `:challenge`, what CHALLENGE answers."
  [request config read facts]
  (response request
    (case (:type request)
      (:submit :submit-signed) (submit request config read facts)
      :submit-request (submit-request request config read facts)
      :request-status (request-status request config read facts)
      (query request config read facts))))

(defn answer!
  "The response to `request`, with its changes made in `store`: all of them if nothing that was
  read has changed meanwhile, else everything is decided anew, a few times; then BUSY."
  [store config request facts]
  (let [decided (transaction/transact! store #(decide request config % facts))]
    (when-let [[b record] (:held decided)]
      (held/keep! (:held config) b record))
    (if (error/anomaly? decided)
      (wire/failure (assoc decided :id (:id request)))
      (:response decided))))

;; ## The operator

(defn install!
  "Puts `record` into `store` as it is, if it verifies at `now`: the operator's hand. True, or an
  anomaly; false where something else came first."
  [store record now]
  (let [hash (record/original-hash record)
        held (state/record #(get (store/fetch store [%]) %) hash)
        {:keys [record] :as taken} (update/apply-update held (record/public-view record) {:now now})]
    (if (error/anomaly? taken)
      taken
      (store/commit! store (state/put-record hash held) (state/put-record hash record)))))
