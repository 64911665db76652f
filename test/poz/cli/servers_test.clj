(ns poz.cli.servers-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.error :as error]
   [poz.system :as system])
  (:import
   (java.net InetAddress ServerSocket)))

(set! *warn-on-reflection* true)

(defn- with-system [options f]
  (let [s (system/start (merge {:domains ["social.example"] :data nil :store :memory :plain-port 0 :query-port 0 :submit-port 0 :grace-ms 1000 :now (constantly cli/now)} options))]
    (when (error/anomaly? s) (throw (ex-info (:message s) s)))
    (try (f s) (finally (system/stop s)))))

(defn- free-port
  "A port where nobody listens."
  []
  (with-open [s (ServerSocket. 0 1 (InetAddress/getByName "127.0.0.1"))] (.getLocalPort s)))

(defn- port-words [{:keys [plain query submit]}]
  ["--plain-port" (str plain) "--query-port" (str query) "--submit-port" (str submit)])

(defn- look [& words]
  (cli/run (into ["servers"] (flatten words))))

(defn- states [found]
  (update-vals (get-in found [:json 0 :servers 0 :ports]) (juxt :open :version)))

(defn- by-port [ports expected]
  (into {} (map (fn [[contract state]] [(keyword (str (ports contract))) state])) expected))

(deftest all-ports-of-a-server
  (with-system {}
    (fn [{:keys [ports noise-key]}]
      (testing "with its key"
        (let [found (look "127.0.0.1" (port-words ports) "--json" "--key" (bytes/->hex noise-key))
              {:keys [generated_at servers]} (first (:json found))]
          (is (= 0 (:exit found)))
          (is (= "2026-11-01T00:00:00Z" generated_at))
          (is (= [{:domain nil :host "127.0.0.1" :ip "127.0.0.1" :role "authoritative" :software "poz/0" :last_checked "2026-11-01T00:00:00Z"}]
                (map #(dissoc % :ports) servers)))
          (is (= (by-port ports {:plain [true 0] :query [true 0] :submit [true 0]}) (states found)))))
      (testing "with the key that it tells of itself"
        (is (= (by-port ports {:plain [true 0] :query [true 0] :submit [true 0]})
              (states (look "127.0.0.1" (port-words ports) "--json" "--domain" "social.example")))))
      (testing "without"
        (is (= (by-port ports {:plain [true 0] :query [true nil] :submit [true nil]})
              (states (look "127.0.0.1" (port-words ports) "--json")))))
      (testing "for a person"
        (let [[head line] (:out (look "127.0.0.1" (port-words ports)))]
          (is (= ["host" "role" "software" "plain" "query" "submit"] (str/split head #" +")))
          (is (= ["127.0.0.1" "authoritative" "poz/0" (str (:plain ports)) "answers" (str (:query ports)) "open" (str (:submit ports)) "open"]
                (str/split line #" +"))))))))

(deftest one-port
  (with-system {}
    (fn [{:keys [ports]}]
      (let [found (look (str "127.0.0.1:" (:plain ports)) "--json")]
        (is (= (by-port ports {:plain [true 0]}) (states found)))
        (is (= found (cli/run ["status" "--server" (str "127.0.0.1:" (:plain ports)) "--json"])) "by the other name")))))

(deftest where-nobody-is
  (let [gone (free-port)]
    (with-system {}
      (fn [{:keys [ports]}]
        (let [found (look (str "127.0.0.1:" (:plain ports)) (str "127.0.0.1:" gone) "--json")]
          (is (= 5 (:exit found)))
          (is (= ["nobody answers at 127.0.0.1"] (:err found)))
          (is (= [true false] (map #(-> % :ports vals first :open) (get-in found [:json 0 :servers]))))
          (is (= ["authoritative" nil] (map :role (get-in found [:json 0 :servers])))))))))

(deftest somebody-else-is-there
  (with-open [other (ServerSocket. 0 5 (InetAddress/getByName "127.0.0.1"))]
    (let [talking (future (with-open [s (.accept other)] (.write (.getOutputStream s) (.getBytes "SSH-2.0\r\n"))))
          found (look (str "127.0.0.1:" (.getLocalPort other)) "--json")]
      @talking
      (is (= [[true nil]] (vals (states found))))
      (is (= 0 (:exit found))))))

(deftest what-makes-no-sense
  (is (= 2 (:exit (look))))
  (is (= 2 (:exit (look "a b"))))
  (is (= 2 (:exit (look "a.example" "b.example" "--key" (apply str (repeat 64 "0"))))))
  (is (= 2 (:exit (cli/run ["status"]))))
  (is (= 2 (:exit (cli/run ["status" "draft" "--server" "a.example"])))))
