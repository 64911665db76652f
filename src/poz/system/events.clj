(ns poz.system.events
  "What a server has to tell, as data: events for a function of one's own, `:on-event`, of which a
  log is one (`poz.system.log`) and `tap>` another.

  An *event* is a map: `:event`, a key of `table`, `:level`, `:time` in milliseconds, and the fields
  of its row. `:level` of the server says from which level on events are told: `:debug` `:info`
  `:warn` `:error`, `:off` for none. Who was asked for, by whom, and what a defect has to say are
  `:details`, a map that is there at the level `:debug` only; a secret is never in either.

  The function is called where things happen, on the threads that serve: it must not wait."
  (:require
   [poz.address :as address]
   [poz.error :as error]
   [poz.record :as record]
   [poz.wire :as wire]
   [poz.zone :as zone])
  (:import
   (java.util.concurrent.atomic AtomicLong)))

(set! *warn-on-reflection* true)

(def levels
  "The levels, lowest first."
  [:debug :info :warn :error :off])

(def table
  "Event → `:level`, `:fields`, `:details` and `:doc`."
  (array-map
    :server/started {:level :info :fields [:domains :hostname :ports :hash] :doc "it answers"}
    :server/listening {:level :info :fields [:name :host :port] :doc "a port is open; the names are those of the contracts, `http` and `metrics`"}
    :server/warning {:level :warn :fields [:code :message] :doc "something is not as it should be, and it serves in spite of it"}
    :server/note {:level :info :fields [:message] :doc "what its operator may want to know"}
    :server/stopped {:level :info :fields [] :doc "nothing is open any more"}
    :submission/accepted {:level :info :fields [:request :type :status] :details [:id :address :handles :record] :doc "a submission was taken, or an entry issued"}
    :submission/held {:level :info :fields [:request :type :status] :details [:id :address :handles :record] :doc "a request for a handle waits for the operator"}
    :submission/rejected {:level :info :fields [:request :type :status :code] :details [:id :address :handles :record] :doc "a submission was not taken; the code is the rule's"}
    :handle/activated {:level :info :fields [:request] :details [:handles :record] :doc "the handles of a record that was submitted are live"}
    :mirror/conflict {:level :warn :fields [:error :hash] :details [:subject :message] :doc "the upstream of a cache or mirror contradicts what is held, a rollback or a fork; what is held is served on"}
    :store/failed {:level :warn :fields [:code] :details [:message] :doc "the store could not do what a request needed, which was told FAILED or BUSY"}
    :request/answered {:level :debug :fields [:request :port :type :status :ms] :details [:id :address :subject] :doc "any request"}
    :handshake/failed {:level :debug :fields [:port] :doc "a Noise handshake came to nothing"}
    :server/defect {:level :error :fields [:exception :trace] :details [:message] :doc "a defect, which the other side was told nothing of"}))

(defn- rank ^long [level]
  (.indexOf ^java.util.List levels level))

(defn told?
  "True if a server of the level `level` tells of events of the level `of`."
  [level of]
  (<= (rank level) (rank of)))

;; ## Telling

(defn teller
  "What `tell!` takes: the function `:on-event`, nil for none, the `:level` and the clock `:now`, a
  function. `:failed` is called with what the function throws."
  [{:keys [on-event level now failed]}]
  {:on-event on-event :level level :now now :failed failed :requests (AtomicLong.)})

(defn tell!
  "Tells of the event `k` with its `fields`, if it is to be told; `(details)` is called only where
  details are."
  ([teller k fields] (tell! teller k fields nil))
  ([{:keys [on-event level now failed]} k fields details]
   (let [of (:level (table k))]
     (when (and on-event (told? level of))
       (try
         (on-event (cond-> (merge {:event k :level of :time (now)} fields)
                     (and details (= :debug level)) (assoc :details (details))))
         (catch Throwable t (failed t)))))
   nil))

;; ## What a request was about

(defn- text [handle] (address/text handle))

(defn- of-update [payload]
  (let [r (record/decode payload)]
    (when-not (error/anomaly? r)
      {:record (record/original-hash r)
       :handles (vec (for [{:keys [user-handle authority-domain path]} (some->> (:identity-zone r) (zone/entries :identity))]
                       (text {:handle user-handle :domain authority-domain :path path})))})))

(defn- of-request [{:keys [user-handle authority-domain path]}]
  {:handles [(text {:handle user-handle :domain authority-domain :path path})]})

(defn- details
  "Who asked, and what about."
  [{:keys [bytes address]}]
  (let [{:keys [type id payload] :as request} (if bytes (wire/decode-request bytes) {})]
    (merge {:address address}
      (when-not (error/anomaly? request)
        (cond-> {:id id}
          (#{:submit :submit-signed} type) (merge (of-update payload))
          (= :submit-request type) (merge (of-request payload))
          (not (contains? #{:submit :submit-signed :submit-request :request-status} type))
          (assoc :subject (or (:subject payload) payload)))))))

(defn- code
  "The rule that a response names, or nil."
  [response type]
  (let [{:keys [payload] :as found} (wire/decode-response response type)]
    (when-not (error/anomaly? found) (:code payload))))

;; ## Requests

(def ^:private submissions #{:submit :submit-request :submit-signed})

(defn- outcome [status]
  (case status
    (:ok :accepted) :submission/accepted
    :pending :submission/held
    :submission/rejected))

(defn- tell-submission! [teller {:keys [request type status] :as fields} response details]
  (let [event (outcome status)]
    (tell! teller event
      (cond-> {:request request :type type :status status}
        (= :submission/rejected event) (assoc :code (code response type)))
      details)
    (when (and (= :submit-signed type) (= :accepted status))
      (tell! teller :handle/activated (select-keys fields [:request]) #(select-keys (details) [:handles :record])))))

(defn answered!
  "Tells of a request that was answered, as `poz.net` calls its `:on-answer`."
  [{:keys [level ^AtomicLong requests] :as teller} {:keys [bytes contract] :as asked} response nanos]
  (let [type (some-> bytes wire/peek-type)
        status (wire/peek-status response)]
    (when (or (= :debug level) (contains? submissions type))
      (let [fields {:request (.incrementAndGet requests) :port contract :type type :status status}
            about #(details asked)]
        (tell! teller :request/answered (assoc fields :ms (/ (quot (long nanos) 1000) 1000.0)) about)
        (when (and (contains? submissions type) (= :submit contract))
          (tell-submission! teller fields response about))))))

;; ## Defects and failures

(defn failure!
  "Tells of an anomaly of the store."
  [teller {:keys [message] :poz/keys [error]}]
  (tell! teller :store/failed {:code error} (fn [] {:message message})))

(defn conflict!
  "Tells of what the upstream of a mirror contradicted, an anomaly as `:on-conflict` of `poz.mirror` gets
  it."
  [teller {:keys [subject record message] :poz/keys [error]}]
  (tell! teller :mirror/conflict
    {:error error :hash (or (:hash subject) (some-> record record/original-hash))}
    (fn [] {:subject subject :message message})))

(defn defect!
  "Tells of the Throwable `t`: its class and where it was thrown. Its message may quote anything, so
  it is a detail."
  [teller ^Throwable t]
  (tell! teller :server/defect
    {:exception (.getName (class t))
     :trace (into [] (comp (mapcat (fn [^Throwable c] (cons (.getName (class c)) (map str (.getStackTrace c))))) (take 200))
              (take-while some? (iterate #(some-> ^Throwable % .getCause) t)))}
    (fn [] {:message (ex-message t)})))
