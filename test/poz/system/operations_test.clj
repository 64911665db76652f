(ns poz.system.operations-test
  "What stands beside a server that runs in this process."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.asking :as asking]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.record :as record]
   [poz.ring :as ring]
   [poz.store :as store]
   [poz.system :as system])
  (:import
   (java.net HttpURLConnection InetAddress ServerSocket URI)))

(set! *warn-on-reflection* true)

(def ^:private t0 (long h/t0))

(def ^:private base
  {:domains ["social.example" "other.example"] :data nil :store :memory :plain-port 0 :query-port 0 :submit-port 0 :threads 2 :grace-ms 2000
   :policy :approve :now (constantly t0)})

(defn- with-system [options f]
  (let [seen (atom [])
        s (system/start (merge base {:on-event #(swap! seen conj %)} options))]
    (when (error/anomaly? s) (throw (ex-info (:message s) s)))
    (try (f s seen)
         (finally (system/stop s)))
    @seen))

(defn- fetch
  "Status and body of a GET."
  [port path]
  (let [^HttpURLConnection c (.openConnection (.toURL (URI/create (str "http://127.0.0.1:" port path))))]
    (.setConnectTimeout c 30000)
    (.setReadTimeout c 30000)
    (let [status (.getResponseCode c)]
      [status (some-> (if (< status 400) (.getInputStream c) (.getErrorStream c)) slurp)])))

(deftest off-unless-asked-for
  (with-system {}
    (fn [{:keys [ports]} _]
      (is (= #{:plain :query :submit} (set (keys ports)))))))

(deftest metrics-and-health
  (let [port (volatile! nil)]
    (with-system {:metrics-port 0}
      (fn [{:keys [ports] :as s} _]
        (vreset! port (:metrics ports))
        (dotimes [_ 3] (asking/ask s :plain {:type :status :payload {}}))
        (asking/ask s :query {:type :master :payload {:domain "social.example"}})
        (asking/ask s :query {:type :master :payload {:domain "social.example"}})
        (let [[status body] (fetch (:metrics ports) "/metrics")
              line? #(str/includes? body (str % "\n"))]
          (is (= 200 status))
          (is (line? "poz_request_seconds_count{port=\"plain\",status=\"ok\",type=\"status\"} 3"))
          (is (line? "poz_request_seconds_count{port=\"query\",status=\"ok\",type=\"master\"} 2"))
          (is (line? "poz_ready_made_total 1.0"))
          (is (line? "poz_handshakes_total{port=\"query\",result=\"ok\"} 2.0"))
          (is (line? "poz_connections_open{port=\"submit\"} 0.0")))
        (is (= [200 "ok\n"] (fetch (:metrics ports) "/health/live") (fetch (:metrics ports) "/health/ready")))))
    (is (thrown? java.io.IOException (fetch @port "/health/live")) "closed with the server")))

(deftest what-the-domain-says-of-itself
  (with-system {:http-port 0}
    (fn [{:keys [ports hash store]} _]
      (let [[status body] (fetch (:http ports) "/.well-known/poz")]
        (is (= [404 "Not found\n"] [status body]) "127.0.0.1 is none of its domains"))
      (is (= 404 (first (fetch (:http ports) "/metrics"))))
      (is (= (ring/document (record/decode (val (first (store/fetch store [[:record hash]])))))
            (let [handler (ring/well-known (fn [_] (record/decode (val (first (store/fetch store [[:record hash]]))))))]
              (:body (handler {:request-method :get :uri ring/path :headers {"host" "social.example"}}))))))))

(deftest a-store-that-goes
  (let [inner (store/memory) lost (atom false)
        flaky (reify store/Store
                (fetch [_ ks] (when @lost (error/fail! :store/lost {:message "alice was here"})) (store/fetch inner ks))
                (scan [_ kind after limit] (store/scan inner kind after limit))
                (commit! [_ expected changes] (store/commit! inner expected changes))
                (close! [_]))
        seen (with-system {:store flaky :metrics-port 0 :cache-bytes 0}
               (fn [{:keys [ports] :as s} _]
                 (is (= 200 (first (fetch (:metrics ports) "/health/ready"))))
                 (reset! lost true)
                 (is (= :failed (:status (asking/ask s :query {:type :master :payload {:domain "social.example"}}))))
                 (is (= [503 200] (map #(first (fetch (:metrics ports) %)) ["/health/ready" "/health/live"])))
                 (is (str/includes? (second (fetch (:metrics ports) "/metrics")) "poz_store_seconds_count{operation=\"fetch\",result=\"failed\"} 1"))
                 (reset! lost false)
                 (is (= 200 (first (fetch (:metrics ports) "/health/ready"))))))]
    (is (= [{:event :store/failed :level :warn :time t0 :code :store/lost}] (filter #(= :store/failed (:event %)) seen)))))

(deftest a-life-in-events
  (let [seen (with-system {:metrics-port 0 :http-port 0}
               (fn [s _]
                 (asking/activate! s (h/person "alice") "alice" t0)
                 (asking/by-handle s "alice")
                 (asking/submit s (h/person "bob"))))
        names (map :event seen)]
    (is (= (concat (repeat 5 :server/listening)
             [:server/started :submission/accepted :submission/accepted :handle/activated :submission/rejected :server/stopped])
          names))
    (is (= #{:plain :query :submit :http :metrics} (set (map :name (take 5 seen)))))
    (is (not (re-find #"alice" (pr-str seen))))))

(deftest at-debug-names-are-told
  (let [seen (with-system {:log-level :debug} (fn [s _] (asking/by-handle s "alice")))]
    (is (= [{:domain "social.example" :path [] :handle "alice"}] (keep #(get-in % [:details :subject :handle]) seen)))))

(deftest a-level-of-its-own
  (is (= [] (with-system {:log-level :warn} (fn [_ _]))))
  (is (= [] (with-system {:log-level :off} (fn [_ _])))))

(deftest defects-are-told
  (let [broken (let [inner (store/memory)]
                 (reify store/Store
                   (fetch [_ ks] (if (= [[:record (bytes/zeros 32)]] (vec ks)) (throw (IllegalStateException. "alice")) (store/fetch inner ks)))
                   (scan [_ kind after limit] (store/scan inner kind after limit))
                   (commit! [_ expected changes] (store/commit! inner expected changes))
                   (close! [_])))
        also (atom [])
        seen (with-system {:store broken :on-error #(swap! also conj %)}
               (fn [s _] (is (= :failed (:status (asking/ask s :query {:type :master :payload {:hash (bytes/zeros 32)}}))))))]
    (is (= ["java.lang.IllegalStateException"] (keep :exception seen)))
    (is (= 1 (count @also)))
    (is (not (re-find #"alice" (pr-str seen))))))

(deftest a-port-that-is-taken-leaves-nothing-open
  (with-open [taken (ServerSocket. 0 1 (InetAddress/getByName "127.0.0.1"))]
    (let [seen (atom [])
          found (system/start (assoc base :metrics-port 0 :http-port (.getLocalPort taken) :on-event #(swap! seen conj %)))
          ports (keep :port @seen)]
      (is (= :system/listen (:poz/error found)))
      (is (= 4 (count ports)))
      (testing "none of those that it had"
        (doseq [port ports]
          (is (thrown? java.io.IOException (fetch port "/"))))))))
