(ns poz.system-test
  "A whole server in this process, on ports of loopback that are free."
  (:require
   [clojure.java.io :as io]
   [clojure.test :refer [deftest is testing]]
   [poz.authority.operator :as operator]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.net :as net]
   [poz.record :as record]
   [poz.service :as service]
   [poz.store :as store]
   [poz.system :as system]
   [poz.verify :as verify]
   [poz.wire :as wire])
  (:import
   (java.net ServerSocket)
   (java.util.concurrent CountDownLatch TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private t0 (long h/t0))

(def ^:private base
  {:domains ["social.example"] :passphrase "correct horse" :sealing {:memory-kib 8192 :passes 1 :lanes 1}
   :plain-port 0 :query-port 0 :submit-port 0 :threads 2 :grace-ms 2000 :policy :approve :random crypto/random-bytes})

(def ^:private in-memory {:data nil :store :memory})

(defn- with-system
  "Calls `f` with a running system and a function that sets its clock."
  [options f]
  (let [clock (atom t0)
        s (system/start (merge base {:now #(deref clock)} options))]
    (when (error/anomaly? s) (throw (ex-info (:message s) s)))
    (try (f s #(reset! clock %))
         (finally (system/stop s)))))

(defn- exchange [{:keys [ports noise-key]} contract b]
  (net/exchange {:host "127.0.0.1" :port (ports contract) :contract contract :server-key noise-key :deadline-ms 30000} b))

(defn- ask [s contract {:keys [type] :as request}]
  (let [found (exchange s contract (wire/encode-request (assoc request :id 5)))]
    (if (error/anomaly? found) found (wire/decode-response found type))))

(def ^:private own {:domain "social.example"})

(defn- activate! [s clock! person handle now]
  (clock! now)
  (let [{:keys [payload status]} (ask s :submit {:type :submit-request
                                                 :payload (h/request person (:hash s) {:handle handle :domain "social.example" :path []} now)})
        accepted (when (= :ok status) (h/accepting person payload now))]
    (is (= :ok status))
    (is (= :accepted (:status (ask s :submit {:type :submit-signed :payload (h/update-of accepted)}))))
    accepted))

(deftest three-ports
  (with-system in-memory
    (fn [{:keys [ports hash noise-key] :as s} _]
      (is (= #{:plain :query :submit} (set (keys ports))))
      (is (= [] (:warnings s)))
      (let [r (record/decode (:payload (ask s :query {:type :record :payload own})))]
        (is (= :valid (:outcome (verify/verify r {:now t0}))))
        (is (= hash (record/original-hash r)))
        (is (= [(ports :query) (ports :plain)] (map :port (:hosts (first (service/of-type r :poz-query))))))
        (is (= [[(ports :submit) noise-key "social.example"]]
              (map (juxt :port :public-key :hostname) (:hosts (first (service/of-type r :poz-submit))))))
        (is (= (:payload (ask s :plain {:type :record :payload own})) (:payload (ask s :query {:type :record :payload own})))))
      (is (= :unsupported (:status (ask s :submit {:type :record :payload own}))))
      (is (= 1 (get ((:counters s)) [:record :ok])))
      (is (<= 0 ((:load s)) 1)))))

(deftest a-handle-from-request-to-lookup-and-revocation
  (with-system in-memory
    (fn [{:keys [hash] :as s} clock!]
      (let [alice (activate! s clock! (h/person "alice") "alice" (+ t0 100))
            by-handle {:type :identity :payload {:handle {:domain "social.example" :path [] :handle "alice"}}}
            provider #(record/decode (:payload (ask s :query {:type :record :payload {:hash hash}})))
            status #(:status (first (get-in (verify/verify (record/decode (:payload (ask s :query by-handle)))
                                              {:now (+ t0 500) :providers [(provider)]}) [:zones :identity :entries])))]
        (is (= :current (status)))
        (is (= :ok (:status (ask s :submit {:type :submit :payload (h/update-of (h/serving alice 443 (+ t0 200)))}))))
        (is (some? (:issue (operator/revoke! (:store s) (:authority s) {:domain "social.example" :path [] :handle "alice"} :abuse (+ t0 300)))))
        (is (= :revoked (status)))))))

(deftest ports-may-be-off
  (with-system (assoc in-memory :plain-port :off :submit-port :off)
    (fn [{:keys [ports] :as s} _]
      (is (= [:query] (keys ports)))
      (is (= :ok (:status (ask s :query {:type :master :payload own})))))))

(deftest started-again-it-finds-everything
  (cli/with-folder
    (fn [at]
      (let [options {:data (at "data")}
            found (volatile! nil)]
        (with-system options
          (fn [s clock!]
            (activate! s clock! (h/person "alice") "alice" (+ t0 100))
            (vreset! found (select-keys s [:hash :noise-key]))))
        (is (= ["owner.poz" "recovery.poz" "server.poz" "store.sqlite"] (take 4 (cli/names (at "data")))))
        (with-system options
          (fn [s clock!]
            (clock! (+ t0 1000))
            (is (= @found (select-keys s [:hash :noise-key])))
            (is (= :ok (:status (ask s :query {:type :identity :payload {:handle {:domain "social.example" :path [] :handle "alice"}}}))))
            (testing "at its new ports"
              (let [r (record/decode (:payload (ask s :query {:type :record :payload own})))]
                (is (= [(get-in s [:ports :submit])] (map :port (:hosts (first (service/of-type r :poz-submit))))))
                (is (= 2 (get-in r [:service-zone :grant :serial])))))))
        (testing "but not with another passphrase, nor without its store"
          (is (= :keyring/wrong-passphrase (:poz/error (system/start (merge base options {:passphrase "wrong"})))))
          (is (= :cli/passphrase (:poz/error (system/start (dissoc (merge base options) :passphrase)))))
          (io/delete-file (str (at "data") "/store.sqlite"))
          (is (= :system/record-missing (:poz/error (system/start (merge base options))))))
        (testing "a store in memory begins with its record"
          (with-system (assoc options :store :memory)
            (fn [s _]
              (is (= (:hash @found) (:hash s)))
              (is (= :ok (:status (ask s :query {:type :master :payload own})))))))))))

(deftest stopping-and-starting
  (let [s (system/start (merge base in-memory))]
    (is (identical? s (system/start s)) "a running one")
    (is (nil? (system/stop s)))
    (is (nil? (system/stop s)))
    (is (= #{:net/unreachable} (into #{} (map #(:poz/error (ask s % {:type :status :payload {}}))) [:plain :query :submit])))
    (let [again (system/start s)]
      (try (is (= :ok (:status (ask again :plain {:type :status :payload {}}))))
           (finally (system/stop again))))))

(deftest what-cannot-start-leaves-nothing-open
  (with-open [taken (ServerSocket. 0 1 (java.net.InetAddress/getByName "127.0.0.1"))]
    (let [found (system/start (merge base in-memory {:submit-port (.getLocalPort taken)}))]
      (is (= :system/listen (:poz/error found)))
      (is (re-find (re-pattern (str (.getLocalPort taken))) (:message found)))))
  (is (= :system/config (:poz/error (system/start (dissoc (merge base in-memory) :domains)))))
  (is (= :system/config (:poz/error (system/start (merge base in-memory {:nope 1})))))
  (is (= :file/unreadable (:poz/error (system/start (merge base {:data "/proc/nope"}))))))

(deftest a-first-start-that-was-cut-short
  (cli/with-folder
    (fn [at]
      (let [options (merge base {:data (at "data")})]
        (system/stop (system/start options))
        (io/delete-file (str (at "data") "/server.poz"))
        (let [owner (cli/read-bytes (str (at "data") "/owner.poz"))
              found (system/start options)]
          (is (= :system/keys-missing (:poz/error found)))
          (is (re-find #"owner.poz" (:message found)))
          (is (= owner (cli/read-bytes (str (at "data") "/owner.poz")))))))))

(deftest two-servers-share-a-store
  (let [shared (store/memory)
        options {:data nil :store shared :cache-ms 20 :now (constantly (+ t0 1000))}]
    (with-system options
      (fn [one _]
        (with-system options
          (fn [two _]
            (let [alice (activate! one (constantly nil) (h/person "alice") "alice" (+ t0 1000))
                  by-hash {:type :record :payload {:hash (h/hash-of (:record alice))}}
                  later (h/serving alice 443 (+ t0 1001))
                  at-two #(:payload (ask two :query by-hash))
                  end (+ (System/nanoTime) 30000000000)]
              (is (= (h/update-of alice) (at-two)))
              (is (= :ok (:status (ask one :submit {:type :submit :payload (h/update-of later)}))))
              (is (= (h/update-of later) (:payload (ask one :query by-hash))) "at once where it was submitted")
              (is (loop []
                    (or (= (h/update-of later) (at-two))
                      (when (< (System/nanoTime) end) (recur))))
                "a little later elsewhere"))))))))

;; Under way

(defn- gated
  "A store in memory. While `held`, whoever reads counts `entered` down and waits for `go`."
  [held ^CountDownLatch entered ^CountDownLatch go]
  (let [inner (store/memory)]
    (reify store/Store
      (fetch [_ ks]
        (when @held
          (.countDown entered)
          (.await go 30 TimeUnit/SECONDS))
        (store/fetch inner ks))
      (scan [_ kind after limit] (store/scan inner kind after limit))
      (commit! [_ expected changes] (store/commit! inner expected changes))
      (close! [_]))))

(deftest an-open-exchange-ends-before-the-server-does
  (let [held (atom false)
        entered (CountDownLatch. 1) go (CountDownLatch. 1)
        s (system/start (merge base {:data nil :store (gated held entered go) :grace-ms 30000}))]
    (reset! held true)
    (let [answer (future (ask s :query {:type :master :payload own}))]
      (is (.await entered 30 TimeUnit/SECONDS))
      (let [stopping (future (system/stop s))]
        (.countDown go)
        (is (= :ok (:status (deref answer 30000 :late))))
        (is (nil? (deref stopping 30000 :late)))))))

(deftest a-full-queue-is-busy
  (let [held (atom false)
        entered (CountDownLatch. 1) go (CountDownLatch. 1)
        s (system/start (merge base {:data nil :store (gated held entered go) :threads 1 :queue 1 :cache-bytes 0}))
        by-hash {:type :master :payload {:hash (bytes/zeros 32)}}
        asked #(future (ask s :plain by-hash))]
    (reset! held true)
    (let [one (asked)]
      (is (.await entered 30 TimeUnit/SECONDS))
      (let [more (mapv (fn [_] (asked)) (range 4))
            end (+ (System/nanoTime) 30000000000)
            answered #(filter realized? more)]
        (while (and (< (count (answered)) 3) (< (System/nanoTime) end))
          (Thread/onSpinWait))
        (is (= [:busy :busy :busy] (map (comp :status deref) (answered))) "and one waits"))
      (.countDown go)
      (is (= :not-found (:status (deref one 30000 :late)))))
    (system/stop s)))

(deftest a-store-that-goes-and-comes-back
  (let [inner (store/memory) state (atom nil)
        flaky (reify store/Store
                (fetch [_ ks] (some-> @state error/fail!) (store/fetch inner ks))
                (scan [_ kind after limit] (store/scan inner kind after limit))
                (commit! [_ expected changes] (some-> @state error/fail!) (store/commit! inner expected changes))
                (close! [_]))]
    (with-system {:data nil :store flaky :cache-bytes 0}
      (fn [s _]
        (is (= [:ok :failed :busy :ok]
              (mapv (fn [x] (reset! state x) (:status (ask s :query {:type :master :payload own})))
                [nil :store/lost :store/busy nil])))))))

(deftest a-store-that-is-not-there
  (testing "Cassandra, with its driver or without"
    (is (= :store/lost (:poz/error (error/attempt #(system/open-store {:store "cassandra://127.0.0.1:1/poz?dc=dc1"})))))
    (is (= :store/lost (:poz/error (cli/with-folder (fn [at] (system/start (assoc base :data (at "data") :store "cassandra://127.0.0.1:1/poz?dc=dc1")))))))))
