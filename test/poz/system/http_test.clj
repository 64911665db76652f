(ns poz.system.http-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.error :as error]
   [poz.system.http :as http])
  (:import
   (java.net InetAddress ServerSocket Socket URI)
   (java.net.http HttpClient HttpRequest HttpRequest$BodyPublishers HttpResponse HttpResponse$BodyHandlers)
   (java.time Duration)))

(set! *warn-on-reflection* true)

(def ^:private ^HttpClient client
  (-> (HttpClient/newBuilder) (.connectTimeout (Duration/ofSeconds 30)) (.build)))

(defn- ask
  ([port path] (ask port "GET" path nil))
  ([port ^String method path ^String body]
   (let [request (-> (HttpRequest/newBuilder (URI/create (str "http://127.0.0.1:" port path)))
                   (.timeout (Duration/ofSeconds 30))
                   (.header "X-Thing" "a")
                   (.method method (if body (HttpRequest$BodyPublishers/ofString body) (HttpRequest$BodyPublishers/noBody)))
                   (.build))
         ^HttpResponse response (.send client request (HttpResponse$BodyHandlers/ofString))]
     {:status (.statusCode response) :body (.body response)
      :headers (into {} (map (fn [[k v]] [k (str/join "," v)])) (.map (.headers response)))})))

(defn- with-server [handler f]
  (let [seen (atom [])
        {:keys [port stop]} (http/start {:host "127.0.0.1" :port 0 :handler handler :on-error #(swap! seen conj (ex-message %))})]
    (try (f port seen)
         (finally (stop) (stop)))))

(deftest requests-and-responses
  (let [asked (promise)]
    (with-server (fn [request] (deliver asked request) {:status 201 :headers {"Content-Type" "text/plain; charset=utf-8" "ETag" "\"x\""} :body "grüße"})
      (fn [port _]
        (let [{:keys [status body headers]} (ask port "/a/b?c=d")]
          (is (= [201 "grüße" "\"x\"" "7"] [status body (headers "etag") (headers "content-length")])))
        (is (= {:request-method :get :uri "/a/b" :query-string "c=d" :scheme :http :protocol "HTTP/1.1"
                :server-name "127.0.0.1" :server-port port :remote-addr "127.0.0.1"}
              (dissoc @asked :headers)))
        (is (= ["a" (str "127.0.0.1:" port)] (map (:headers @asked) ["x-thing" "host"])))))))

(deftest head-has-a-length-and-no-body
  (with-server (fn [_] {:status 200 :headers {"Content-Length" "5"} :body nil})
    (fn [port _]
      (is (= [200 "" "5"] ((juxt :status :body #(get-in % [:headers "content-length"])) (ask port "HEAD" "/" nil)))))))

(deftest a-body-is-not-read
  (with-server (fn [_] {:status 405 :headers {} :body "no\n"})
    (fn [port _]
      (is (= [405 "close"] ((juxt :status #(get-in % [:headers "connection"])) (ask port "POST" "/" (apply str (repeat 100 "x")))))))))

(deftest a-defect-is-500-and-reported
  (with-server (fn [_] (throw (IllegalStateException. "secret")))
    (fn [port seen]
      (is (= [500 "A defect\n"] ((juxt :status :body) (ask port "/"))))
      (is (= ["secret"] @seen)))))

(deftest what-is-no-http
  (with-server (fn [_] {:status 200 :headers {} :body "ok\n"})
    (fn [port _]
      (with-open [s (Socket. "127.0.0.1" (int port))]
        (.setSoTimeout s 30000)
        (.write (.getOutputStream s) (.getBytes "NONSENSE\r\n\r\n"))
        (.flush (.getOutputStream s))
        (is (re-find #"^HTTP/1.1 400" (slurp (.getInputStream s)))))
      (testing "and it goes on"
        (is (= 200 (:status (ask port "/"))))))))

(deftest a-port-that-is-taken
  (with-open [taken (ServerSocket. 0 1 (InetAddress/getByName "127.0.0.1"))]
    (let [found (error/attempt #(http/start {:host "127.0.0.1" :port (.getLocalPort taken) :handler identity :on-error identity}))]
      (is (= :system/listen (:poz/error found)))
      (is (str/includes? (:message found) (str (.getLocalPort taken)))))))

(deftest there-is-a-limit-on-time
  (with-server identity
    (fn [_ _]
      (is (= "10" (System/getProperty "sun.net.httpserver.maxReqTime"))))))
