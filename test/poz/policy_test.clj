(ns poz.policy-test
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.error :as error]
   [poz.lint :as lint]
   [poz.policy :as policy]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(deftest outcomes
  (are [name policy accepts] (= accepts (:accept (policy/decide (v/verdict (v/record-named name)) policy)))
    "recovery-3" :default true
    "recovery-3" :lenient true
    "recovery-3-tail" :default false
    "recovery-3-tail" :lenient true
    "delegation-changed" :default false
    "delegation-changed" :lenient false
    "draft" :lenient false
    "genesis-minimal" :default true
    "genesis-minimal" :strict false))

(deftest it-says-why
  (is (= {:accept true :objections [] :because "the policy takes it"}
         (policy/decide (v/verdict (v/record-named "recovery-3")) :default)))
  (let [{:keys [objections because]} (policy/decide (v/verdict (v/record-named "genesis-minimal")) :strict)]
    (is (= ["warning master/single-key"] objections))
    (is (= "warning master/single-key" because)))
  (is (= ["the record is malformed"]
         (:objections (policy/decide {:outcome :malformed :warnings []} :lenient)))))

(def ^:private provider (v/record-named "provider-2"))

(deftest identity-entries
  (let [record (v/record-named "all-zones")
        decide #(policy/decide (v/verdict record %1) %2)]
    (is (:accept (decide [] :default)) "what nobody can tell is no objection by default")
    (is (= ["identity entry 0 is unknown" "identity entry 1 is unknown" "identity entry 2 is unknown"]
           (:objections (decide [] :strict))))
    (is (:accept (decide [(v/record-named "provider-1")] :strict)))
    (is (some #{"identity entry 0 is superseded"} (:objections (decide [provider] :strict))))
    (is (some #{"warning identity/superseded"} (:objections (decide [provider] :strict)))))
  (is (:accept (policy/decide {:outcome :valid :warnings []
                               :zones {:identity {:entries [{:status :revoked :live false}]}}} :strict))
    "entries that do not live do not count"))

(deftest a-policy-of-ones-own
  (let [mine {:outcomes #{:valid} :entries #{:current} :warnings #{:master/single-key}}]
    (is (= ["warning master/single-key"] (:objections (policy/decide (v/verdict (v/record-named "genesis-minimal")) mine))))))

(deftest the-table-makes-sense
  (let [known (into #{} (map :id) lint/table)]
    (doseq [[name {:keys [doc warnings outcomes entries]}] policy/policies]
      (is (string? doc) name)
      (is (every? #{:valid :invalid :unknown} outcomes) name)
      (is (every? #{:current :superseded :unknown :invalid :revoked} entries) name)
      (is (every? known warnings) (map error/code (remove known warnings))))))
