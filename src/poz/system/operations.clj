(ns poz.system.operations
  "What stands beside the three ports of a server, for who operates it: events (`poz.system.events`),
  and over plain HTTP, each at an address of its own and off by default, `/.well-known/poz` and the
  metrics with health (`poz.system.metrics`, which is loaded only where its port is not :off).

  - `watch` makes it of a config; `listener-options` and `watched` are what it looks through
  - `open!` opens its ports beside a system that serves, `stop!` closes them"
  (:require
   [poz.authority.state :as state]
   [poz.ring :as ring]
   [poz.store :as store]
   [poz.system.events :as events]))

(set! *warn-on-reflection* true)

(defn- on? [port]
  (not (contains? #{nil :off} port)))

(defn uncaught!
  "Hands the Throwable `t` to the thread's own handler."
  [t]
  (let [thread (Thread/currentThread)]
    (.uncaughtException (.getUncaughtExceptionHandler thread) thread t)))

;; ## Looking

(defn watch
  "What watches a server with this config."
  [{:keys [metrics-port on-event on-error log-level now]}]
  (let [teller (events/teller {:on-event on-event :level log-level :now now :failed uncaught!})]
    {:teller teller
     :meters (when (on? metrics-port) ((requiring-resolve 'poz.system.metrics/meters)))
     :on-error (cond
                 on-error (fn [t] (events/defect! teller t) (on-error t))
                 on-event #(events/defect! teller %)
                 :else uncaught!)
     :on-failure #(events/failure! teller %)
     :on-conflict #(events/conflict! teller %)
     :serving (atom false)
     :opened (atom {})}))

(defn- tells? [{{:keys [on-event level]} :teller}]
  (and on-event (not= :off level)))

(defn- both [f g]
  (if (and f g) (fn [& args] (apply f args) (apply g args)) (or f g)))

(defn listener-options
  "The options of `poz.net/start` through which a listener is watched."
  [{:keys [teller meters on-error] :as watch} contract]
  (let [told (tells? watch)
        on-answer (both (:on-answer meters) (when told #(events/answered! teller %1 %2 %3)))
        on-handshake (both (when meters #((:on-handshake meters) contract %))
                       (when told #(when-not % (events/tell! teller :handshake/failed {:port contract}))))]
    (cond-> {:on-error on-error}
      on-answer (assoc :on-answer on-answer)
      on-handshake (assoc :on-handshake on-handshake))))

(defn watched
  "The store, with its times taken."
  [{:keys [meters]} store]
  (if meters ((:watched meters) store) store))

;; ## Over HTTP

(defn- ready? [{:keys [serving]} store hash]
  (and @serving (or (nil? hash) (some? (state/record-bytes #(get (store/fetch store [%]) %) hash)))))

(defn- record-of
  "A function of a domain: the record that is authoritative under it, as the store holds it now."
  [{:keys [authority]} store]
  (fn [domain]
    (when-let [hash (get (:domains authority) domain)]
      (state/record #(get (store/fetch store [%]) %) hash))))

(defn- listen! [{:keys [teller opened on-error]} name host port handler]
  (let [server ((requiring-resolve 'poz.system.http/start) {:host host :port port :handler handler :on-error on-error})]
    (swap! opened assoc name server)
    (events/tell! teller :server/listening {:name name :host host :port (:port server)})))

(defn- mirror-status
  "What a mirror is at present, with the sum of its failures."
  [mirror]
  (update (mirror) :failures #(reduce + (vals %))))

(defn- open-metrics! [{:keys [meters] :as watch} {:keys [config hash mirror] :as system} store open]
  ((requiring-resolve 'poz.system.metrics/describe!) meters
   (cond-> (assoc (select-keys system [:load :counters]) :open open)
     mirror (assoc :mirror-status #(mirror-status mirror))))
  (listen! watch :metrics (:metrics-host config) (:metrics-port config)
    ((requiring-resolve 'poz.system.metrics/handler) meters #(ready? watch store hash))))

(defn open!
  "`system`, which serves out of `store`, with its `:ports` over HTTP too. `open` is contract → a
  function: how many connections are open. Throws the anomaly of a port that is not to be had."
  [{:keys [teller meters serving opened] :as watch} {:keys [config ports warnings] :as system} store open]
  (doseq [[contract port] ports]
    (events/tell! teller :server/listening {:name contract :host (:host config) :port port}))
  (reset! serving true)
  (when meters (open-metrics! watch system store open))
  (when (on? (:http-port config))
    (listen! watch :http (:http-host config) (:http-port config) (ring/well-known (record-of system store))))
  (doseq [{:keys [message] :poz/keys [error]} warnings]
    (events/tell! teller :server/warning {:code error :message message}))
  (let [system (update system :ports merge (update-vals @opened :port))]
    (events/tell! teller :server/started (select-keys system [:domains :hostname :ports :hash]))
    system))

(defn stopping!
  "From now on the server is not ready."
  [{:keys [serving]}]
  (reset! serving false))

(defn stop!
  "Closes the ports over HTTP, and tells that a server which served has stopped."
  [{:keys [opened meters teller]} served]
  (let [[before _] (reset-vals! opened {})]
    (run! (fn [{:keys [stop]}] (stop)) (vals before)))
  (some-> (:close meters) (apply []))
  (when served (events/tell! teller :server/stopped {})))
