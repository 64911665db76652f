(ns poz.authority.operator
  "What the operator of an authority does by hand, beside the server or while it runs: look
  through the requests that are held, approve or reject them, revoke what was issued.

  Each of these is one transaction of the store. The config is that of `poz.authority`, of
  which `:provider`, `:ring`, `:domains` and `:limits` matter here. Failures are anomalies."
  (:require
   [poz.activation :as activation]
   [poz.authority :as authority]
   [poz.authority.state :as state]
   [poz.authority.transaction :as transaction]
   [poz.error :as error]
   [poz.store :as store]
   [poz.update :as update]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(defn pending
  "The requests that nobody has decided yet: `[{:ticket :request :user}]`, the oldest first."
  [store]
  (->> (store/scan store :ticket nil Integer/MAX_VALUE)
    (map (fn [[[_ ticket] v]] (assoc (state/decode-ticket v) :ticket ticket)))
    (filter #(= :pending (:decision %)))
    (map #(select-keys % [:ticket :request :user]))
    (sort-by (comp :timestamp :request))))

;; ## Denying what was issued

(defn- signed-deny [record ring]
  (reduce (fn [r [index secret]]
            (if (or (error/anomaly? r) (:complete (change/status r :identity :deny false)))
              r
              (change/sign r :identity :deny index secret)))
    record (sort-by key ring)))

(defn deny-issue
  "The provider's `record` with `issue`, an issue hash, denied in its Identity Zone for
  `reason`, signed by the keys of `ring` until they suffice; or an anomaly."
  [record ring issue reason now]
  (let [drafted (change/deny record :identity [{:target issue :reason reason}] {:timestamp (change/next-time record :identity now)})
        signed (if (error/anomaly? drafted) drafted (signed-deny drafted ring))
        taken (if (error/anomaly? signed) signed (update/apply-update record signed {:now now}))]
    (if (error/anomaly? taken) taken (:record taken))))

(defn- provider-denying
  "`{:provider record :changes …}` where the provider denies `issue`, or an anomaly."
  [{:keys [provider ring]} read issue reason now]
  (let [record (deny-issue (state/record read provider) ring issue reason now)]
    (if (error/anomaly? record)
      record
      {:changes (state/put-record provider record)})))

(defn revoke!
  "Denies what was issued for the handle `address`, `{:handle :domain :path}`, to its present
  owner or else to the last one: `{:issue :user}`, or an anomaly. The handle stays with its
  owner until his zone drops the entry; from now on everybody sees that it is revoked."
  [store config address reason now]
  (transaction/transact! store
    (fn [read]
      (let [{:keys [live former]} (state/handle read address)
            {:keys [issue] :as owner} (or live former)]
        (if owner
          (let [denied (provider-denying config read issue reason now)]
            (if (error/anomaly? denied) denied (merge owner denied)))
          (error/anomaly :wire/not-found))))))

;; ## Deciding about requests

(defn- open-ticket
  "The ticket, if nobody has decided about it and it has not ended; else an anomaly."
  [read ticket]
  (let [{:keys [decision] :as found} (state/ticket read ticket)]
    (if (= :pending decision)
      found
      (error/anomaly :wire/not-found (when found {:found (str "a request that is " (name decision))})))))

(defn- decided [ticket found decision reason]
  (state/put-ticket ticket (assoc found :decision decision :reason reason)))

(defn- under-its-domain
  "`config` for a request that was held: that its domain is the provider's was checked then."
  [config {:keys [authority-domain]}]
  (assoc config :domains {authority-domain (:provider config)}))

(defn- freed
  "The reservation of what `found` asks for. Where the former owner's entry stands in its way,
  the provider denies that too: `{:after :changes :denied}`."
  [config {:keys [request user]} read now]
  (let [{:keys [after before] :as reserved} (authority/reservation config request user read now)]
    (if (= :policy/former-entry-not-denied (:poz/error after))
      (let [issue (get-in before [:former (activation/address request) :issue])
            {:keys [changes] :as denying} (provider-denying config read issue :superseded now)]
        (if (error/anomaly? denying)
          {:after denying}
          (-> (authority/reservation config request user #(if (contains? changes %) (changes %) (read %)) now)
            (update :changes merge changes)
            (assoc :denied issue))))
      reserved)))

(defn approve!
  "Approves the request held under `ticket`: its handle is reserved, and the signed entry is
  there for the user's next question. `{:request :user}`, with `:denied`, the issue hash of a
  former owner's entry that had to be denied for it, or an anomaly: the handle is taken."
  [store config ticket now]
  (transaction/transact! store
    (fn [read]
      (let [found (open-ticket read ticket)
            {:keys [after changes denied]} (when-not (error/anomaly? found)
                                             (freed (under-its-domain config (:request found)) found read now))]
        (cond
          (error/anomaly? found) found
          (error/anomaly? after) after
          :else (cond-> {:request (:request found) :user (:user found)
                         :changes (merge changes (decided ticket found :approved ""))}
                  denied (assoc :denied denied)))))))

(defn reject!
  "Rejects the request held under `ticket`, with a `reason` that the user is told. `{:request
  :user}`, or an anomaly."
  [store ticket reason]
  (transaction/transact! store
    (fn [read]
      (let [found (open-ticket read ticket)]
        (if (error/anomaly? found)
          found
          {:request (:request found) :user (:user found)
           :changes (decided ticket found :rejected reason)})))))
