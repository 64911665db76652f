(ns poz.system.metrics-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store :as store]
   [poz.system.metrics :as metrics]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(defn- with-meters [f]
  (let [meters (metrics/meters)]
    (try (f meters)
         (finally ((:close meters))))))

(defn- numbers
  "The lines of poz's own: name with labels → number."
  [meters]
  (into {} (for [line (str/split-lines (metrics/scrape meters)) :when (str/starts-with? line "poz_")
                 :let [[_ k v] (re-matches #"(.*) (\S+)" line)]]
             [k (parse-double v)])))

(def ^:private status-request {:bytes (wire/encode-request {:type :status :id 1 :payload {}}) :contract :plain})
(defn- response [error] (wire/encode-response (wire/failure (error/anomaly error)) nil))

(deftest requests-by-port-type-and-status
  (with-meters
    (fn [{:keys [on-answer] :as meters}]
      (dotimes [_ 3] (on-answer status-request (response :wire/not-found) 2000000))
      (on-answer status-request (response :wire/busy) 20)
      (on-answer {:contract :query} (response :format/trailing) 0)
      (on-answer {:contract :query :bytes (bytes/hex-> "00ee")} (response :wire/not-found) 0)
      (let [found (numbers meters)]
        (are [n k] (= n (found k))
          3.0 "poz_request_seconds_count{port=\"plain\",status=\"not-found\",type=\"status\"}"
          0.006 "poz_request_seconds_sum{port=\"plain\",status=\"not-found\",type=\"status\"}"
          0.0 "poz_request_seconds_bucket{port=\"plain\",status=\"not-found\",type=\"status\",le=\"0.001\"}"
          3.0 "poz_request_seconds_bucket{port=\"plain\",status=\"not-found\",type=\"status\",le=\"0.0025\"}"
          1.0 "poz_request_seconds_count{port=\"plain\",status=\"busy\",type=\"status\"}"
          1.0 "poz_request_seconds_count{port=\"query\",status=\"malformed\",type=\"none\"}"
          1.0 "poz_request_seconds_count{port=\"query\",status=\"not-found\",type=\"none\"}")))))

(deftest handshakes
  (with-meters
    (fn [{:keys [on-handshake] :as meters}]
      (run! #(on-handshake :query %) [true true false])
      (is (= {"poz_handshakes_total{port=\"query\",result=\"ok\"}" 2.0 "poz_handshakes_total{port=\"query\",result=\"failed\"}" 1.0}
            (numbers meters))))))

(deftest a-store-is-timed-and-answers-as-it-does
  (with-meters
    (fn [{:keys [watched] :as meters}]
      (let [k [:record (bytes/utf8 "k")] v (bytes/utf8 "v")
            lost (reify store/Store (fetch [_ _] (error/fail! :store/lost)))
            s (watched (store/memory))]
        (is (true? (store/commit! s {} {k v})))
        (is (false? (store/commit! s {k nil} {k v})))
        (is (= {k v} (store/fetch s [k])))
        (is (= [[k v]] (store/scan s :record nil 10)))
        (is (= :store/lost (:poz/error (error/attempt #(store/fetch (watched lost) [k])))))
        (is (nil? (store/close! s)))
        (let [found (numbers meters)]
          (are [operation result] (= 1.0 (found (str "poz_store_seconds_count{operation=\"" operation "\",result=\"" result "\"}")))
            "commit" "ok", "commit" "conflict", "fetch" "ok", "fetch" "failed", "scan" "ok"))))))

(defn- described [meters more]
  (metrics/describe! meters (merge {:open {:plain (constantly 3)} :load (constantly 1/4) :counters (constantly {[:ready :ok] 7})} more))
  (numbers meters))

(deftest what-is-read-when-asked
  (with-meters
    (fn [meters]
      (is (= {"poz_connections_open{port=\"plain\"}" 3.0 "poz_load_ratio" 0.25 "poz_ready_made_total" 7.0} (described meters {})))))
  (testing "of a mirror"
    (with-meters
      (fn [meters]
        (let [found (described meters {:mirror-status (constantly {:records 10 :last-success 1793491200000 :lag-ms 1500 :failures 2})})]
          (is (= [10.0 1.5 1.7934912E9 2.0]
                (map found ["poz_mirror_records" "poz_mirror_lag_seconds" "poz_mirror_last_success_seconds" "poz_mirror_failures_total"])))))))
  (testing "which has heard nothing yet"
    (with-meters
      (fn [meters]
        (let [found (described meters {:mirror-status (constantly {:records 0 :failures 0})})]
          (is (NaN? (found "poz_mirror_lag_seconds"))))))))

(deftest the-table-names-what-there-is
  (with-meters
    (fn [{:keys [on-answer on-handshake watched] :as meters}]
      (on-answer status-request (response :wire/busy) 1)
      (on-handshake :query true)
      (store/fetch (watched (store/memory)) [])
      (described meters {:mirror-status (constantly {:records 1 :last-success 1 :lag-ms 1 :failures 1})})
      (let [kinds (into {} (for [[_ name kind] (re-seq #"(?m)^# TYPE (poz_\S+) (\S+)$" (metrics/scrape meters))
                                 :when (not (str/ends-with? name "_max"))]
                             [name (keyword kind)]))]
        (is (= kinds (update-vals metrics/table :kind))))
      (doseq [[name {:keys [doc]}] metrics/table]
        (is (str/includes? (metrics/scrape meters) (str "# HELP " name " " doc)))))))

(deftest over-http
  (with-meters
    (fn [meters]
      (let [ready (atom true)
            ask (metrics/handler meters #(let [r @ready] (if (= :lost r) (error/fail! :store/lost) r)))
            status #(:status (ask {:request-method %1 :uri %2}))]
        (is (= [200 metrics/content-type] ((juxt :status #(get-in % [:headers "Content-Type"])) (ask {:request-method :get :uri "/metrics"}))))
        (is (str/includes? (:body (ask {:request-method :get :uri "/metrics"})) "jvm_memory_used_bytes"))
        (is (nil? (:body (ask {:request-method :head :uri "/metrics"}))))
        (is (= [200 200 503 503]
              [(status :get "/health/live") (status :get "/health/ready")
               (do (reset! ready false) (status :get "/health/ready"))
               (do (reset! ready :lost) (status :get "/health/ready"))]))
        (is (= [404 405] [(status :get "/") (status :post "/metrics")]))))))
