(ns poz.cli.logback-test
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.cli.logback :as logback])
  (:import
   (ch.qos.logback.classic LoggerContext)
   (ch.qos.logback.classic.util LogbackMDCAdapter)
   (java.io ByteArrayOutputStream)))

(set! *warn-on-reflection* true)

(defn- context ^LoggerContext []
  (doto (LoggerContext.)
    (.setMDCAdapter (LogbackMDCAdapter.))
    (.start)))

(defn- logged
  "The lines that `f`, with a context of its own, writes."
  [format f]
  (let [context (context) out (ByteArrayOutputStream.)]
    (logback/configure! context out format)
    (f context)
    (.stop context)
    (let [text (.toString out "UTF-8")]
      (if (= "" text) [] (str/split-lines text)))))

(deftest lines-of-our-own-are-whole
  (is (= ["{\"a\":\"ü\"}" "{\"b\":2}"]
        (logged :json #(let [l (.getLogger ^LoggerContext % "poz.server")] (.debug l "{\"a\":\"ü\"}") (.error l "{\"b\":2}"))))))

(deftest warnings-of-libraries-become-such-lines
  (let [say #(let [l (.getLogger ^LoggerContext % "io.netty.x")]
               (.info l "unsaid")
               (.warn l "odd\n{}" "thing")
               (.error l "bad" (IllegalStateException. "hidden")))
        [odd bad :as found] (map #(json/read-str % :key-fn keyword) (logged :json say))]
    (is (= 2 (count found)))
    (is (= {:level "warn" :event "library/warning" :logger "io.netty.x" :message "odd\nthing"} (dissoc odd :time)))
    (is (= {:level "error" :exception "java.lang.IllegalStateException" :message "bad"} (select-keys bad [:level :exception :message])))
    (is (re-find #"^\S+Z WARN library/warning logger=io.netty.x message=\"odd\\nthing\"$" (first (logged :text say))))))

(deftest nothing-is-lost-at-the-end
  (is (= 1000 (count (logged :json #(dotimes [i 1000] (.info (.getLogger ^LoggerContext % "poz.server") (str i))))))))

(deftest the-stream-stays-open
  (let [closed (atom false)
        out (proxy [ByteArrayOutputStream] [] (close [] (reset! closed true)))
        context (context)]
    (logback/configure! context out :json)
    (.info (.getLogger context "poz.server") "line")
    (.stop context)
    (is (= "line\n" (str out)))
    (is (false? @closed))))
