(ns poz.integration.planted-test
  "`poz fuzz` and `poz conformance` against a foreign reader: as it is they find nothing, and
  with any one of its ten faults switched on they find that."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.cli-env :as cli]
   [poz.kit.vectors :as vectors]))

(set! *warn-on-reflection* true)

(def ^:private reader "/usr/bin/python3 test/poz/integration/planted.py")

(def ^:private known
  "How many cases of a run are vectors."
  (count (filter #(= :record (vectors/asked %)) vectors/rows)))

(defn- fuzzed [target fault & more]
  (cli/run (into ["fuzz" target "--json" "--program" (if fault (str reader " --fault " fault) reader)] more)))

(def ^:private faults
  "Fault → the rule that a finding is about, among others."
  {"genesis-time" "format/consistency" "unsorted" "format/unsorted" "optional" "format/optional" "trailing" "format/trailing"
   "spare" "signature/spare" "groups" "survivorship/below-threshold" "former-keys" "survivorship/below-threshold"
   "interrupted" "authority/interrupted" "deny-context" nil "deny-early" "zone/deny-timestamp"})

(deftest ten-faults-are-found
  (is (= 10 (count faults)))
  (doseq [[fault rule] faults]
    (testing fault
      (let [{:keys [exit json]} (fuzzed "verify" fault "--cases" (str known) "--seconds" "600")
            findings (filter #(= "disagrees" (:kind %)) json)]
        (is (= 1 exit))
        (is (seq findings))
        (is (every? #(= "disagrees" (:kind %)) (butlast json)))
        (is (or (nil? rule) (some #(= rule (:rule %)) findings)))))))

(deftest without-a-fault-nothing-is-found
  (doseq [[target cases] [["verify" 700] ["decode" 200] ["text" 200]]]
    (testing target
      (let [{:keys [exit json]} (fuzzed target nil "--cases" (str cases) "--seconds" "600" "--seed" "11" "--drawn")]
        (is (= 0 exit) (pr-str (butlast json)))
        (is (= cases (:next (peek json))))))))

(deftest it-conforms-but-for-its-fault
  (let [passed #(peek (:out (cli/run ["conformance" "run" "--program" %])))]
    (is (= (str (dec known) " passed, 0 failed") (passed reader)) "all but the one with ML-DSA-65")
    (is (str/ends-with? (passed (str reader " --fault deny-early")) ", 1 failed"))))
