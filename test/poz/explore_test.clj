(ns poz.explore-test
  "The server of pages: whom it answers, what it takes, what it sends."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.explore :as explore]
   [poz.shown :as shown])
  (:import
   (java.net Socket URI)
   (java.net.http HttpClient HttpRequest HttpRequest$BodyPublishers HttpResponse HttpResponse$BodyHandlers)))

(set! *warn-on-reflection* true)

(def ^:private options
  (delay {:port 7000 :form "/t/" :assets (shown/assets) :now (constantly shown/now)}))

(defn- asked
  ([request] (asked request {}))
  ([request more]
   (explore/handle (merge {:method "GET" :host "127.0.0.1:7000" :path "/t/"} request) (merge @options more))))

(defn- form [& files]
  {:method "POST" :content-type "multipart/form-data; boundary=xyz"
   :body (delay (apply bytes/concat
                  (concat (mapcat (fn [[name b]]
                                    [(bytes/utf8 (str "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" name "\"\r\n\r\n"))
                                     b (bytes/utf8 "\r\n")]) files)
                    [(bytes/utf8 "--xyz--\r\n")])))})

(deftest whom-it-answers
  (are [status request] (= status (:status (asked request)))
    200 {}
    200 {:host "localhost:7000"}
    403 {:host "evil.example"}
    403 {:host "evil.example:7000"}
    403 {:host "127.0.0.1"}
    403 {:host "127.0.0.1:7001"}
    403 {:host nil}
    404 {:path "/"}
    404 {:path "/t"}
    404 {:path "/t/../t/"}
    404 {:path "/u/"}
    405 {:method "PUT"}
    405 {:method "OPTIONS"}))

(deftest what-is-dropped-is-shown
  (testing "one" (is (str/includes? (:body (asked (form ["a.poz" @shown/all-zones]))) "<bdi>a.poz</bdi>")))
  (testing "with its provider"
    (is (str/includes? (:body (asked (form ["a.poz" @shown/all-zones] ["p.poz" @shown/provider]))) "Providers at hand</dt><dd>1")))
  (testing "a fork" (is (str/includes? (:body (asked (apply form (map vector ["a" "b"] @shown/fork)))) "A fork:")))
  (testing "broken" (is (str/includes? (:body (asked (form ["x" @shown/broken]))) "malformed")))
  (testing "none, or nothing that is a form"
    (is (= 400 (:status (asked (form ["" bytes/empty])))))
    (is (= 400 (:status (asked {:method "POST" :content-type "text/plain" :body (delay bytes/empty)})))))
  (testing "too much" (is (= 413 (:status (asked {:method "POST" :body (delay nil)}))))))

(deftest what-is-shown-first
  (is (str/includes? (:body (asked {})) "A POZ record, on a page"))
  (is (str/includes? (:body (asked {} {:files [{:name "first.poz" :bytes @shown/all-zones}]})) "<bdi>first.poz</bdi>")))

;; The server itself

(defn- exchange ^HttpResponse [^HttpRequest request]
  (.send (HttpClient/newHttpClient) request (HttpResponse$BodyHandlers/ofString)))

(defn- get-url ^HttpResponse [url]
  (exchange (.build (HttpRequest/newBuilder (URI. url)))))

(defn- with-server [f]
  (let [running (explore/start {:port 0 :token "secret" :assets (shown/assets) :now (constantly shown/now)})]
    (try (f running) (finally (explore/stop running) (explore/stop running)))))

(deftest it-serves
  (with-server
    (fn [{:keys [port url]}]
      (let [response (get-url url) header #(str (.orElse (.firstValue (.headers response) %) nil))]
        (is (= 200 (.statusCode response)))
        (is (str/includes? (.body response) "action=\"/secret/\""))
        (is (= "no-store" (header "Cache-Control")))
        (is (= "nosniff" (header "X-Content-Type-Options")))
        (is (= "DENY" (header "X-Frame-Options")))
        (is (str/includes? (header "Content-Security-Policy") "frame-ancestors 'none'")))
      (is (= 404 (.statusCode (get-url (str "http://127.0.0.1:" port "/")))))
      (is (= 404 (.statusCode (get-url (str "http://127.0.0.1:" port "/other/")))))
      (let [body ^bytes (bytes/->array @(:body (form ["a.poz" @shown/all-zones])))
            response (exchange (-> (HttpRequest/newBuilder (URI. url)) (.header "Content-Type" "multipart/form-data; boundary=xyz")
                                 (.POST (HttpRequest$BodyPublishers/ofByteArray body)) .build))]
        (is (= 200 (.statusCode response)))
        (is (str/includes? (.body response) "3124 bytes")))
      (testing "a body above the limit is refused"
        (let [response (exchange (-> (HttpRequest/newBuilder (URI. url)) (.header "Content-Type" "multipart/form-data; boundary=xyz")
                                   (.POST (HttpRequest$BodyPublishers/ofByteArray (byte-array (inc (long explore/body-limit))))) .build))]
          (is (= 413 (.statusCode response)))))
      (testing "another name than its own is refused"
        (with-open [s (Socket. "127.0.0.1" (int port))]
          (.write (.getOutputStream s) (.getBytes "GET /secret/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"))
          (is (str/starts-with? (slurp (.getInputStream s)) "HTTP/1.1 403")))))))

(deftest a-port-that-is-taken
  (with-server
    (fn [{:keys [port]}]
      (is (= :system/listen (:poz/error (explore/start {:port port :token "x" :assets {} :now (constantly 0)})))))))
