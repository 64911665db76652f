(ns poz.system.log-test
  (:require
   [clojure.data.json :as json]
   [clojure.test :refer [deftest is]]
   [poz.bytes :as bytes]
   [poz.system.log :as log]))

(set! *warn-on-reflection* true)

(def ^:private event
  {:event :submission/rejected :level :info :time 1793491200000 :request 7 :type :submit :status :rejected :code "a/b"
   :details {:record (bytes/zeros 2) :handles ["a b@c"] :key (bytes/secret (bytes/utf8 "hidden"))}})

(deftest as-json
  (is (= (str "{\"time\":\"2026-11-01T00:00:00Z\",\"level\":\"info\",\"event\":\"submission/rejected\",\"code\":\"a/b\",\"request\":7,"
           "\"status\":\"rejected\",\"type\":\"submit\",\"handles\":[\"a b@c\"],\"key\":\"redacted\",\"record\":\"0000\"}")
        (log/json-line event)))
  (is (= "line\nbreak" (get (json/read-str (log/json-line (assoc event :code "line\nbreak"))) "code")))
  (is (not-any? #{\newline} (log/json-line (assoc event :code "line\nbreak")))))

(deftest as-text
  (is (= "2026-11-01T00:00:00Z INFO submission/rejected code=a/b request=7 status=rejected type=submit handles=[\"a b@c\"] key=redacted record=0000"
        (log/text-line event)))
  (is (= "2026-11-01T00:00:00Z INFO server/stopped" (log/text-line {:event :server/stopped :level :info :time 1793491200000 :code nil})))
  (is (not-any? #{\newline \u001b} (log/text-line (assoc event :code "x\n\u001b[31m")))))
