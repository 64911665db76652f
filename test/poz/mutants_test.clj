(ns poz.mutants-test
  "The table of deliberate faults, `mutants.edn`: each still applies to the sources. That the tests
  catch them is `dev/clj -M:mutants`'s business."
  (:require
   [clojure.edn :as edn]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.test-runner :as runner]))

(set! *warn-on-reflection* true)

(def ^:private mutants (delay (edn/read-string (slurp (io/resource "poz/mutants.edn")))))

(defn- occurrences [^String text ^String part]
  (count (take-while nat-int? (rest (iterate #(.indexOf text part (int (inc (long %)))) -1)))))

(deftest every-mutant-applies
  (doseq [{:keys [name file old new why]} @mutants]
    (testing name
      (is (= 1 (occurrences (slurp file) old)) (str "the text stands once in " file))
      (is (not= old new))
      (is (not (str/blank? why))))))

(deftest every-mutant-has-a-name-of-its-own
  (is (apply distinct? (map :name @mutants)))
  (is (every? #(re-matches #"[a-z0-9-]+" %) (map :name @mutants))))

(deftest the-tests-that-are-named-are-there
  (let [there (set (runner/find-namespaces "test"))]
    (is (= [] (remove there (mapcat :tests @mutants))))))

(deftest they-are-spread-over-the-rules
  (is (<= 100 (count @mutants)))
  (doseq [part ["codec/" "record" "crypto" "signing" "keyring" "master/" "zone" "identity" "verify" "update" "activation" "auth."
                "fork" "memory" "wire" "pow" "authority" "noise" "client/answer" "client/submission" "net/"]]
    (is (some #(str/starts-with? (:file %) (str "src/poz/" part)) @mutants) part)))
