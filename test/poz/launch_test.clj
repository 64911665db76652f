(ns poz.launch-test
  (:require
   [clojure.java.io :as io]
   [clojure.test :refer [deftest is]]
   [poz.launch :as launch]))

(set! *warn-on-reflection* true)

(deftest who-may-log
  (is (= {"logback.configurationFile" "poz/logback.xml"} (launch/settings ["serve" "example.com"])))
  (doseq [args [nil ["verify" "serve"] ["query" "serve"] ["help" "serve"]]]
    (is (contains? (launch/settings args) "slf4j.provider"))))

(deftest what-it-names-is-there
  (is (some? (io/resource launch/silence)))
  (is (class? (Class/forName (get (launch/settings []) "slf4j.provider")))))
