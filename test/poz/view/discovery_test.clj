(ns poz.view.discovery-test
  "Reports and steps in words and as data."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is]]
   [poz.bytes :as bytes]
   [poz.discover.report :as report]
   [poz.error :as error]
   [poz.view.discovery :as discovery]))

(set! *warn-on-reflection* true)

(def ^:private sample
  (report/report "social.example"
    [{:source :txt :status :present :hash (bytes/zeros 32) :took-ms 3 :at 1 :dnssec :insecure}
     {:source :well-known :status :failed :error (error/anomaly :discover/redirect {:found "\u202ehttp://x"}) :took-ms 4 :at 1}
     {:source :srv :status :present :servers [{:host "a.example" :port 7075 :priority 0 :weight 0}] :took-ms 1 :at 1}]
    {:at 1 :took-ms 5 :policy (report/policy :default [])}))

(deftest a-report-in-words
  (let [lines (discovery/report-lines sample)]
    (is (= "social.example:" (first lines)))
    (is (= ["  txt          present, agrees, DNSSEC insecure, 3 ms" (str "      names " (apply str (repeat 64 "0")))]
          (take 2 (rest lines))))
    (is (some #(str/includes? % "server       a.example:7075") lines))
    (is (not-any? #(str/includes? % "\u202e") lines) "nothing hidden reaches the terminal")
    (is (= "  1 of 2 sources names the one record, at least 1 asked for; 5 ms" (last lines)))))

(deftest a-report-as-data
  (let [{:keys [agreeing sources]} (discovery/report-data sample)]
    (is (= [1 "discover/redirect"] [agreeing (:error (second sources))]))))

(deftest steps
  (let [steps [{:step :discovery :took-ms 1} {:step :key :took-ms 2 :server {:host "a" :port 1 :encryption :none}}
               {:step :user :took-ms 3 :server {:host "a" :port 2 :encryption :noise-nk} :failures [{}] :poz/error :net/timeout}]]
    (is (= ["  discovery         1 ms" "  the server's key  a:1, in the open, 2 ms" "  the user          a:2, privately, 1 other asked in vain, 3 ms, net/timeout"]
          (discovery/step-lines steps)))
    (is (= [nil nil "net/timeout"] (map :error (discovery/step-data steps))))))
