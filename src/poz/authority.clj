(ns poz.authority
  "An authoritative server without a network: request → answer and changes, as a function of
  what a store holds (protocol.md §1, §2, §7).

  `decide` takes a request (`poz.wire`), a *config* and `read`, a function of a store key that
  gives its value or nil, and gives `{:response … :changes {key value}}`. `answer!` runs it
  against a `poz.store/Store`: everything that was read must still be so when the changes
  are made, else it is decided anew. Nothing here opens a socket or reads a clock.

  The config: `:provider`, the original hash of the record whose handles are issued here;
  `:ring`, the keyring of its Identity keys; `:domains`, domain → original hash of the record
  that is authoritative under it; `:mirrors`; `:software`; `:policy`, a function of `{:request
  :record :address}` that gives `:approve`, `:hold` or `{:reject reason}`."
  (:require
   [poz.activation :as activation]
   [poz.authority.files :as files]
   [poz.authority.state :as state]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.identity.issue :as issue]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.store :as store]
   [poz.update :as update]
   [poz.verify :as verify]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

;; ## Queries

(defn- hash-of-subject [{:keys [domain hash handle]} {:keys [domains]} read]
  (cond
    domain (get domains domain)
    hash hash
    handle (get-in (state/handle read handle) [:live :user])))

(defn- held [read hash]
  (when hash (state/record read hash)))

(defn- about
  "The answer that `f` makes of the record that the subject names."
  [subject config read f]
  (if-let [record (held read (hash-of-subject subject config read))]
    (let [answer (f record)]
      (if (or (nil? answer) (error/anomaly? answer))
        {:failure (or answer (error/anomaly :wire/not-found))}
        {:ok answer}))
    {:failure (error/anomaly :wire/not-found)}))

(defn- status-answer [{:keys [software]} now]
  {:software software :role :authoritative :time now :oldest 0 :newest 0})

(defn- query [{:keys [type payload]} config read {:keys [now challenge]}]
  (case type
    :master (about payload config read files/master)
    :identity (about payload config read #(files/with-zones % [:identity] {:fallen false}))
    :chain (about (:subject payload) config read #(files/chain % (:from payload)))
    :serial (about payload config read memory/of)
    :record (about payload config read files/whole)
    :zones (about (:subject payload) config read #(files/with-zones % (:zones payload) {:fallen true}))
    :mirrors (about payload config read (constantly (vec (:mirrors config))))
    :challenge {:ok challenge}
    :status {:ok (status-answer config now)}))

;; ## Requests for handles

(defn- provider-book [config read]
  (activation/book (held read (:provider config))
    (into #{} (keep (fn [[domain hash]] (when (= hash (:provider config)) domain))) (:domains config))))

(defn- book-of [config read addresses]
  (state/into-book (provider-book config read) read addresses))

(defn- signed-entry [entry provider ring]
  (reduce (fn [e [index secret]]
            (if (or (error/anomaly? e) (:complete (issue/entry-status e provider)))
              e
              (issue/sign-entry e provider index secret)))
    entry (sort-by key ring)))

(defn- issue-entry
  "Reserves the handle of the entry and signs it: the OK answer and the changes."
  [{:keys [ring] :as config} request user read {:keys [now]}]
  (let [address (activation/address request)
        book (book-of config read [address])
        entry (issue/entry request user (:provider config))
        reserved (activation/reserve (activation/lapse book now) entry now (:reservation-ms messages/limits))]
    (if (error/anomaly? reserved)
      {:failure reserved}
      (let [signed (signed-entry entry (:provider book) ring)]
        (if (error/anomaly? signed)
          {:failure signed}
          {:ok signed :changes (state/changes book reserved [address])})))))

(defn- hold [request user {:keys [random]}]
  (let [ticket (random 16)]
    {:pending ticket :changes (state/put-ticket ticket {:request request :user user :decision :pending :reason ""})}))

(defn- submit-request [{request :payload} {:keys [policy provider] :as config} read {:keys [now] :as facts}]
  (let [{:keys [outcome record] :as judged} (issue/check-request request provider now)]
    (if (not= :valid outcome)
      {:failure (issue/request-refusal judged)}
      (let [user (record/original-hash record)
            decision (policy {:request request :record record :address (activation/address request)})]
        (case decision
          :approve (issue-entry config request user read facts)
          :hold (hold request user facts)
          {:failure (error/anomaly :policy/refused {:rule (str (:reject decision))})})))))

(defn- request-status [{ticket :payload} config read facts]
  (let [{:keys [request user decision reason] :as found} (state/ticket read ticket)]
    (if (nil? found)
      {:failure (error/anomaly :wire/not-found)}
      (case decision
        :pending {:pending ticket}
        :rejected {:failure (error/anomaly :policy/refused {:rule reason})}
        :approved (issue-entry config request user read facts)))))

;; ## Submissions

(defn- with-held [failure record]
  (cond-> failure
    (and record (= :conflict (:poz/anomaly failure)) (= "update" (namespace (:poz/error failure))))
    (assoc :held (memory/of record))))

(defn- accepted [config update-record held-record book read {:keys [now]} needs-entry]
  (let [hash (record/original-hash update-record)
        book (assoc-in book [:records hash] held-record)
        after (activation/activate (cond-> book (nil? held-record) (clojure.core/update :records dissoc hash))
                update-record (verify/assess (:provider book) now) now)
        addresses (state/addresses config update-record held-record)]
    (cond
      (error/anomaly? after) {:failure (with-held after held-record)}
      (and needs-entry (empty? (state/owned-addresses after hash)))
      {:failure (error/anomaly :request/entry-missing)}
      :else {:ok (memory/of (get-in after [:records hash]))
             :changes (merge (state/changes book after addresses)
                        (state/put-record hash (get-in after [:records hash])))})))

(defn- submit [{:keys [type payload]} config read facts]
  (let [update-record (record/decode payload)]
    (if (error/anomaly? update-record)
      {:failure update-record}
      (let [hash (record/original-hash update-record)
            held-record (held read hash)
            signed (= :submit-signed type)
            book (book-of config read (state/addresses config update-record held-record))]
        (if (and (nil? held-record) (not signed))
          {:failure (error/anomaly :policy/refused {:rule "a record that is not held is taken by SUBMIT_SIGNED only"})}
          (let [{:keys [ok] :as done} (accepted config update-record held-record book read facts signed)]
            (if (and ok signed) (-> done (dissoc :ok) (assoc :accepted ok)) done)))))))

;; ## The whole

(defn- response [{:keys [id]} {:keys [failure changes] :as outcome}]
  (if failure
    {:response (wire/failure (assoc failure :id id)) :changes {}}
    (let [[status payload] (first (select-keys outcome [:ok :accepted :pending]))]
      {:response {:status status :id id :payload payload} :changes (or changes {})})))

(defn decide
  "What becomes of `request`: `{:response … :changes {key value-or-nil}}`. `facts`: `:now`, `:random`
  (a function of n), `:challenge`, what CHALLENGE answers."
  [request config read facts]
  (response request
    (case (:type request)
      (:submit :submit-signed) (submit request config read facts)
      :submit-request (submit-request request config read facts)
      :request-status (request-status request config read facts)
      (query request config read facts))))

(def ^:private attempts 16)

(defn answer!
  "The response to `request`, with its changes made in `store`: all of them if nothing that was
  read has changed meanwhile, else everything is decided anew, a few times; then BUSY."
  [store config request facts]
  (loop [left attempts]
    (let [seen (volatile! {})
          read (fn [k] (let [v (get (store/fetch store [k]) k)] (vswap! seen assoc k v) v))
          {:keys [response changes]} (decide request config read facts)]
      (cond
        (empty? changes) response
        (store/commit! store @seen changes) response
        (pos? (long left)) (recur (dec (long left)))
        :else (wire/failure (error/anomaly :wire/busy {:id (:id request)}))))))

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

(defn pending
  "The tickets that nobody has decided yet: `[{:ticket :request :user}]`."
  [store]
  (for [[[_ ticket] v] (store/scan store :ticket nil Integer/MAX_VALUE)
        :let [t (state/decode-ticket v)] :when (= :pending (:decision t))]
    (assoc (select-keys t [:request :user]) :ticket ticket)))

(defn decide-ticket!
  "Notes the operator's `decision`, `:approved` or `:rejected`, with a `reason`. True, or an anomaly."
  [store ticket decision reason]
  (let [k [:ticket ticket] v (get (store/fetch store [k]) k)]
    (if (nil? v)
      (error/anomaly :wire/not-found)
      (store/commit! store {k v}
        (state/put-ticket ticket (assoc (state/decode-ticket v) :decision decision :reason reason))))))
