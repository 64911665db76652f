(ns poz.integration.operating-test
  "`poz serve` as its operator sees it, a process with metrics, health, a log and `/.well-known/poz`:
  numbers that are those of what was sent, a database that goes, SIGTERM; and what is printed for
  others: a zone that NSD takes, a unit that systemd takes."
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.java.shell :as shell]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing use-fixtures]]
   [poz.asking :as asking]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.crypto :as crypto]
   [poz.handles :as h]
   [poz.integration.postgresql-server :as postgresql]
   [poz.integration.processes :as processes]
   [poz.net :as net]
   [poz.wire :as wire])
  (:import
   (java.net Socket)))

(set! *warn-on-reflection* true)

(use-fixtures :once postgresql/with-server)

(defn- clock [] (System/currentTimeMillis))

(defn- fetch
  "Status and body of a GET, sent by hand, since Host is not what the connection says."
  ([port path] (fetch port path "localhost"))
  ([port path host]
   (with-open [s (Socket. "127.0.0.1" (int port))]
     (.setSoTimeout s 60000)
     (doto (.getOutputStream s)
       (.write (.getBytes (str "GET " path " HTTP/1.1\r\nHost: " host "\r\nConnection: close\r\n\r\n")))
       (.flush))
     (let [[head body] (str/split (slurp (.getInputStream s)) #"\r\n\r\n" 2)]
       [(parse-long (second (re-find #"^HTTP/1.1 (\d+)" head))) body]))))

(defn- counts
  "Of a metric's count: `{labels n}`, the labels as `{\"port\" \"plain\" …}`."
  [text metric]
  (into {} (for [[_ labels n] (re-seq (re-pattern (str "(?m)^" metric "\\{(.*)\\} (\\S+)$")) text)]
             [(into {} (map (fn [[_ k v]] [k v])) (re-seq #"(\w+)=\"([^\"]*)\"" labels)) (long (parse-double n))])))

(defn- send-nonsense! [{:keys [ports]}]
  (with-open [s (Socket. "127.0.0.1" (int (:plain ports)))]
    (.setSoTimeout s 60000)
    (.write (.getOutputStream s) (byte-array [9 9 9 9 9 9 9 9]))
    (is (pos? (alength (.readAllBytes (.getInputStream s)))))))

(defn- send-with-wrong-key! [{:keys [ports]}]
  (is (= :net/closed
        (:poz/error (net/exchange {:host "127.0.0.1" :port (:query ports) :contract :query :server-key (crypto/random-bytes 32) :deadline-ms 60000}
                      (wire/encode-request {:type :status :id 1 :payload {}}))))))

(defn- busy!
  "Sends what the numbers are then compared with."
  [server]
  (dotimes [_ 5] (asking/ask server :plain {:type :status :payload {}}))
  (dotimes [_ 3] (asking/ask server :query {:type :master :payload {:domain "example.com"}}))
  (asking/by-handle server "nobody")
  (let [alice (asking/activate! server (h/person "alice" (- (long (clock)) 1000)) "alice" (clock))]
    (asking/by-handle server "alice")
    (is (= :ok (:status (asking/submit server (h/serving alice 443 (clock)))))))
  (is (= :rejected (:status (asking/submit server (h/person "mallory" (- (long (clock)) 1000))))))
  (send-nonsense! server)
  (send-with-wrong-key! server))

(def ^:private sent
  "[port type status] → how many."
  {["plain" "status" "ok"] 5
   ["plain" "none" "malformed"] 1
   ["query" "master" "ok"] 3
   ["query" "identity" "not-found"] 1
   ["query" "identity" "ok"] 1
   ["submit" "submit-request" "ok"] 1
   ["submit" "submit-signed" "accepted"] 1
   ["submit" "submit" "ok"] 1
   ["submit" "submit" "rejected"] 1})

(defn- numbers-are-right [{:keys [ports]}]
  (let [[status text] (fetch (:metrics ports) "/metrics")]
    (is (= 200 status))
    (is (= sent (update-keys (counts text "poz_request_seconds_count") (fn [labels] (mapv labels ["port" "type" "status"])))))
    (is (= {["query" "ok"] 5 ["query" "failed"] 1 ["submit" "ok"] 4}
          (update-keys (counts text "poz_handshakes_total") (fn [labels] (mapv labels ["port" "result"])))))
    (is (= sent (into {} (for [[labels n] (counts text "poz_request_seconds_bucket") :when (= "+Inf" (labels "le"))]
                           [(mapv labels ["port" "type" "status"]) n]))))
    (is (every? zero? (vals (counts text "poz_connections_open"))))))

(defn- events [server]
  (for [line (str/split-lines @(:err server)) :when (not (str/starts-with? line "Picked up "))] ; which a JVM says of its variables
    (json/read-str line :key-fn keyword)))

(def ^:private words
  ["example.com" "--plain-port" "0" "--query-port" "0" "--submit-port" "0" "--http-port" "0" "--metrics-port" "0" "--policy" ":approve"])

(defn- domain-says [{:keys [ports hash noise-key]}]
  (let [[status body] (fetch (:http ports) "/.well-known/poz" "example.com")]
    (is (= 200 status))
    (is (= {:v "poz1" :original_hash (bytes/->hex hash)
            :servers [{:host "example.com" :port (:query ports) :encryption "noise-nk" :public_key (bytes/->hex noise-key)}
                      {:host "example.com" :port (:plain ports) :encryption "none"}]}
          (json/read-str body :key-fn keyword)))
    (is (= 404 (first (fetch (:http ports) "/.well-known/poz" "other.example"))))))

(defn- database-goes [{:keys [ports]}]
  (let [health #(first (fetch (:metrics ports) %))]
    (is (= [200 200] [(health "/health/live") (health "/health/ready")]))
    (postgresql/stop!)
    (try
      (is (processes/eventually #(= 503 (health "/health/ready"))))
      (is (= 200 (health "/health/live")))
      (finally (postgresql/start!)))
    (is (processes/eventually #(= 200 (health "/health/ready"))))))

(deftest a-day-of-a-server
  (cli/with-folder
    (fn [at]
      (let [server (processes/serve! (into words ["--data" (at "data") "--store" (str (postgresql/url) "?user=poz")]))]
        (try
          (busy! server)
          (is (processes/eventually #(every? zero? (vals (counts (second (fetch (get-in server [:ports :metrics]) "/metrics")) "poz_connections_open")))))
          (numbers-are-right server)
          (domain-says server)
          (testing "poz servers"
            (let [{:keys [exit out]} (processes/poz "servers" (str "127.0.0.1:" (get-in server [:ports :plain])) "--json")]
              (is (= 0 exit))
              (is (= [{:open true :version 0}] (vals (get-in (json/read-str (first out) :key-fn keyword) [:servers 0 :ports]))))))
          (database-goes server)
          (catch Throwable t (processes/kill! server) (throw t)))
        (is (= 0 (processes/stop! server)))
        (testing "its log"
          (let [told (events server)]
            (is (every? #(and (:time %) (:level %) (:event %)) told))
            (is (= "server/stopped" (:event (last told))))
            (is (= {"server/listening" 5 "server/started" 1 "submission/accepted" 3 "submission/rejected" 1 "handle/activated" 1 "server/stopped" 1}
                  (dissoc (frequencies (map :event told)) "server/note" "store/failed")))
            (is (not (re-find #"alice|mallory|nobody|correct|horse|127\.0\.0\.1:[0-9]+ asked" @(:err server))))))))))

(deftest without-a-log
  (cli/with-folder
    (fn [at]
      (let [server (processes/serve! (into words ["--data" (at "data") "--log-level" "off"]))]
        (is (= 0 (processes/stop! server)))
        (is (not (str/includes? @(:err server) "{")))
        (is (str/ends-with? (str/trim @(:err server)) "stopped"))
        (testing "what belongs into DNS, as NSD takes it"
          (let [{:keys [exit out]} (processes/poz "dns-records" "example.com" "--data" (at "data") "--ttl" "300")
                zone (at "zone")]
            (is (= [0 3] [exit (count out)]))
            (cli/write! zone (str/join "\n" (concat ["$ORIGIN example.com." "$TTL 3600" "@ IN SOA ns hostmaster 1 3600 600 86400 60" "@ IN NS ns" "@ IN A 192.0.2.1" "ns IN A 192.0.2.1"]
                                              out [""])))
            (let [{:keys [exit out err]} (shell/sh "nsd-checkzone" "-p" "example.com" zone)]
              (is (= 0 exit) err)
              (is (str/includes? out (str "$ORIGIN example.com.\n_poz\t300\tIN\tTXT\t\"v=poz1 h=" (bytes/->hex (:hash server)) "\"\n")))
              (is (str/includes? out (str "$ORIGIN _tcp.example.com.\n_poz\t300\tIN\tSRV\t0 0 7075 example.com.\n"
                                       "_poz-submit\t300\tIN\tSRV\t0 0 7076 example.com.\n"))))))))))

(defn- there? [program]
  (zero? (long (:exit (shell/sh "sh" "-c" (str "command -v " program))))))

(deftest a-unit-that-systemd-takes
  (when (there? "systemd-analyze")
    (cli/with-folder
      (fn [at]
        (let [java (.getPath (io/file (System/getProperty "java.home") "bin" "java"))
              unit (str/replace (cli/text (:out (cli/run ["serve" "--systemd-unit"]))) "/usr/bin/java" java)
              {:keys [exit err]} (shell/sh "systemd-analyze" "verify" (cli/write! (at "poz.service") (str unit "\n")))]
          (is (= 0 exit) err)
          (is (= "" err)))))))
