(ns poz.client-world
  "A provider, people, and servers on loopback to ask, for tests of the client.

  - `social`, a provider with a Service Zone, `alice`, `mallory`: `{:record :labels}`
  - `(with-authority options f)` an authoritative server on three ports, and a store
  - `(with-server respond f)` a server that answers as `respond` says: a lying one, perhaps
  - `request-for`, `accepting`, `entry-for` the steps of a handle"
  (:require
   [poz.authority :as authority]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.identity.issue :as issue]
   [poz.net :as net]
   [poz.pow :as pow]
   [poz.record :as record]
   [poz.store :as store]
   [poz.verdicts :as v]
   [poz.wire :as wire]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def now
  "The clock of clients and servers: ten days after the records begin."
  (+ (long v/start) (* 10 86400000)))

(def static
  "The static key pair of all servers."
  (crypto/generate :x25519 (crypto/sha3-256 (bytes/utf8 "server"))))

(defn zeros
  "A source of randomness that is none."
  [n]
  (bytes/zeros n))

;; ## People

(defn person
  "A record whose one key, called `label`, may do everything."
  [label]
  {:labels [label]
   :record (v/genesis [label] [[1 0 100]] [[:identity 0 100 100] [:service 0 100 100]] [0])})

(defn signed
  "`person` with the record that signing the `part` of `zone` of `record` gives."
  [{:keys [labels] :as person} record zone part]
  (assoc person :record (change/sign record zone part 0 (v/secret (first labels)))))

(defn grant
  "`person` with the next grant of `zone`, changed as for `poz.zone.change/grant`."
  [{:keys [record] :as person} zone changes]
  (signed person (change/grant record zone changes) zone :grant))

(defn host
  "A host of a Service Zone."
  [port encryption]
  (cond-> {:hostname "127.0.0.1" :port port :transport :tcp :encryption encryption :priority 0 :weight 0}
    (= :noise-nk encryption) (assoc :public-key (:public-key static))))

(def alice "Somebody." (person "alice"))
(def mallory "Somebody else." (person "mallory"))

(def social
  "A provider, with an empty Identity Zone."
  (grant (person "social") :identity {:timestamp (+ (long v/start) 1000)}))

(defn with-services
  "`person` with a Service Zone that names the ports."
  [person {:keys [plain query submit]}]
  (grant person :service
    {:timestamp (+ (long v/start) 2000)
     :add [{:name "" :type :poz-query :hosts [(host plain :none) (host query :noise-nk)]}
           {:name "" :type :poz-submit :hosts [(host submit :noise-nk)]}]}))

(defn hash-of
  "The original hash of a person's record."
  [{:keys [record]}]
  (record/original-hash record))

;; ## Handles

(def address
  "The handle that is asked for in the tests."
  {:domain "social.example" :path [] :handle "alice"})

(defn request-for
  "The signed request of `person` for `address`, to `provider`."
  [{:keys [record labels]} provider]
  (-> (issue/request record address now bytes/empty)
    (issue/sign-request record (hash-of provider) 0 (v/secret (first labels)))))

(defn entry-for
  "The entry for `address` that `provider` issues to `person`."
  [person {:keys [record labels] :as provider}]
  (-> (issue/entry (request-for person provider) (hash-of person) (hash-of provider))
    (issue/sign-entry record 0 (v/secret (first labels)))))

(defn accepting
  "`person` with an Identity Zone that holds `entry` too."
  [{:keys [record] :as person} entry]
  (signed person (issue/accept record entry (- (long now) 1000)) :identity :grant))

;; ## Servers

(defn server
  "The server, as the client takes it, at `port` of loopback."
  [encryption port]
  (cond-> {:host "127.0.0.1" :port port :encryption encryption}
    (= :noise-nk encryption) (assoc :public-key (:public-key static))))

(defn- start [contract handler]
  (net/start {:contract contract :port 0 :static static :handler handler :grace-ms 0}))

(defn- listen
  "Calls `f` with what `(handler contract)` serves on each of `contracts`, then stops it all."
  [contracts handler f]
  (let [servers (into {} (map (fn [c] [c (start c (handler c))])) contracts)]
    (try (f (update-vals servers :port))
         (finally (run! #((:stop %)) (vals servers))))))

(defn raw
  "A function of a request's bytes and address that decodes it and encodes what `respond` gives:
  a response, bytes, or an anomaly to tell of. Without an `:id` it is that of the request."
  [contract respond]
  (fn [{:keys [bytes] :as from}]
    (let [{:keys [type id] :as request} (wire/decode-request bytes {:contract contract})
          response (if (error/anomaly? request) request (respond (assoc from :request request)))]
      (cond
        (bytes/bytes? response) response
        (error/anomaly? response) (wire/encode-response (wire/failure (assoc response :id id)) type)
        :else (wire/encode-response (merge {:id id} response) type)))))

(defn with-server
  "Calls `f` with the port of a server of `contract`, by default `:plain`, that answers what
  `(respond {:request :bytes :address})` gives; see `raw`."
  ([respond f] (with-server :plain respond f))
  ([contract respond f]
   (listen [contract] #(raw % respond) (comp f contract))))

(defn responds
  "A function for `with-server` that always gives `response`."
  [response]
  (constantly response))

(defn file
  "The OK response with the file of `record`."
  [record]
  {:status :ok :payload (record/encode (record/public-view record))})

(defn- checked-work [{:keys [difficulty]} {:keys [request address]}]
  (when (pos? (long (or difficulty 0)))
    (pow/check {:secret (bytes/secret (bytes/zeros 32)) :address (bytes/utf8 address) :now now :difficulty difficulty}
      (:type request) (wire/payload-bytes request) (:pow request))))

(defn with-authority
  "Calls `f` with `{:ports :store :config :provider :servers}` of an authoritative server of `social`,
  whose Service Zone names the ports; `:servers` has one of each contract. Options: `:policy`, by
  default to approve; `:difficulty` of the work that it asks for; `:records` that it holds too."
  [{:keys [policy records] :as options :or {policy (constantly :approve)}} f]
  (let [store (store/memory) provider (promise)
        config (delay {:provider (hash-of @provider) :ring {0 (v/secret "social")} :policy policy
                       :domains {"social.example" (hash-of @provider)} :software "poz test"
                       :mirrors [{:hostname "127.0.0.1" :port 7 :encryption :none}]})
        respond (fn [{:keys [request] :as from}]
                  (or (checked-work options from)
                    (authority/answer! store @config request
                      {:now now :random crypto/random-bytes
                       :challenge {:challenge (bytes/zeros 16) :difficulty 0 :valid-until (inc (long now))}})))]
    (listen [:plain :query :submit] #(raw % respond)
      (fn [ports]
        (deliver provider (with-services social ports))
        (doseq [r (cons (:record @provider) records)] (authority/install! store r now))
        (f {:ports ports :store store :config @config :provider @provider
            :servers {:plain [(server :none (:plain ports))]
                      :query [(server :noise-nk (:query ports))]
                      :submit [(server :noise-nk (:submit ports))]}})))))
