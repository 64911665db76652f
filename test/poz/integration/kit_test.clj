(ns poz.integration.kit-test
  "The exported vectors, put by one process of ours to another."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is]]
   [poz.cli-env :as cli]
   [poz.kit.vectors :as vectors])
  (:import
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)))

(set! *warn-on-reflection* true)

(def ^:private poz
  "The shell command that runs our command line on this very class path."
  (str "'" (System/getProperty "java.home") "/bin/java' -XX:TieredStopAtLevel=1 -cp '" (System/getProperty "java.class.path") "' clojure.main -m poz.main"))

(deftest our-own-process-conforms
  (let [folder (str (Files/createTempDirectory "poz-kit" (make-array FileAttribute 0)))
        asked (fn [& options] (cli/run (concat ["conformance" "run" "--codes" "--timeout" "120" "--program" (str poz " conformance answer")] options)))]
    (is (= 0 (:exit (cli/run ["conformance" "export" folder]))))
    (is (= (str (count vectors/rows) " passed, 0 failed") (peek (:out (asked folder)))))))

(deftest a-process-for-each-file
  (let [{:keys [exit json]} (cli/run ["fuzz" "verify" "--cases" "1" "--timeout" "120" "--seconds" "300" "--protocol" "file" "--json"
                                      "--program" (str poz " verify --at ${POZ_NOW}")])]
    (is (= 0 exit) (pr-str json))
    (is (str/includes? (pr-str json) ":next 1"))))
