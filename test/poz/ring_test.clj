(ns poz.ring-test
  (:require
   [clojure.data.json :as json]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.client-world :as w]
   [poz.ring :as ring]))

(set! *warn-on-reflection* true)

(def ^:private social (w/with-services w/social {:plain 7074 :query 7075 :submit 7076}))
(def ^:private domains {"social.example" (:record social) "alice.example" (:record w/alice)})
(def ^:private handler (ring/well-known domains))

(defn- request
  ([] (request {}))
  ([more] (merge {:request-method :get :uri "/.well-known/poz" :headers {"host" "social.example"}} more)))

(deftest the-document
  (is (= (str "{\"v\":\"poz1\",\"original_hash\":\"" (bytes/->hex (w/hash-of social)) "\",\"servers\":["
           "{\"host\":\"127.0.0.1\",\"port\":7074,\"encryption\":\"none\"},"
           "{\"host\":\"127.0.0.1\",\"port\":7075,\"encryption\":\"noise-nk\",\"public_key\":\""
           (bytes/->hex (:public-key w/static)) "\"}]}")
        (ring/document (:record social))))
  (is (= {"v" "poz1" "original_hash" (bytes/->hex (w/hash-of w/alice)) "servers" []}
        (json/read-str (ring/document (:record w/alice))))))

(deftest whoever-asks-gets-it
  (let [{:keys [status headers body]} (handler (request))]
    (is (= 200 status))
    (is (= (ring/document (:record social)) body))
    (is (= ["application/json" "public, max-age=300"] (map headers ["Content-Type" "Cache-Control"])))
    (is (re-matches #"\"[0-9a-f]{32}\"" (headers "ETag")))
    (testing "the length and nothing else of it for HEAD"
      (let [head (handler (request {:request-method :head}))]
        (is (= [200 nil (str (count body))] [(:status head) (:body head) (get-in head [:headers "Content-Length"])]))
        (is (= headers (dissoc (:headers head) "Content-Length")))))
    (testing "nothing for who has it"
      (are [status' given] (= status' (:status (handler (request {:headers {"host" "social.example" "if-none-match" given}}))))
        304 (headers "ETag")
        304 (str "\"x\", W/" (headers "ETag"))
        304 "*"
        200 "\"x\""
        200 "")
      (is (nil? (:body (handler (request {:headers {"host" "social.example" "if-none-match" "*"}}))))))))

(deftest the-host-chooses
  (are [host status] (= status (:status (handler (request {:headers (if host {"host" host} {})}))))
    "alice.example" 200, "Alice.Example:8443" 200, "social.example." 200
    "mallory.example" 404, "" 404, nil 404, "[::1]:80" 404)
  (is (not= (get-in (handler (request)) [:headers "ETag"])
        (get-in (handler (request {:headers {"host" "alice.example"}})) [:headers "ETag"]))))

(deftest other-methods-and-paths
  (doseq [method [:post :put :delete :options]]
    (is (= [405 "GET, HEAD"] ((juxt :status #(get-in % [:headers "Allow"])) (handler (request {:request-method method}))))))
  (is (= 404 (:status (handler (request {:uri "/.well-known/poz/"})))))
  (is (= 404 (:status (handler (request {:uri "/"}))))))

(deftest as-middleware
  (let [inner (fn ([_] {:status 418}) ([_ respond _] (respond {:status 418})))
        wrapped (ring/wrap-well-known inner domains)]
    (is (= [200 418] (map #(:status (wrapped (request {:uri %}))) ["/.well-known/poz" "/other"])))
    (testing "asynchronously too"
      (is (= [200 418] (map (fn [uri] (:status (wrapped (request {:uri uri}) identity #(throw %)))) ["/.well-known/poz" "/other"]))))))

(deftest who-cannot-tell-raises
  (let [broken (ring/well-known (fn [_] (throw (ex-info "gone" {}))))]
    (is (thrown-with-msg? Exception #"gone" (broken (request))))
    (is (= "gone" (ex-message (broken (request) (fn [_] nil) identity))))
    (is (= 404 (:status (broken (request {:uri "/"})))))))

(deftest a-record-that-changes-is-told-as-it-is
  (let [now (atom domains)
        handler (ring/well-known #(@now %))
        before (:body (handler (request)))]
    (swap! now assoc "social.example" (:record (w/with-services w/social {:plain 1 :query 2 :submit 3})))
    (is (not= before (:body (handler (request)))))
    (is (= [1 2] (map #(get % "port") (get (json/read-str (:body (handler (request)))) "servers"))))))
