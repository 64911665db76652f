(ns poz.kit.examine-test
  (:require
   [clojure.test :refer [deftest is]]
   [poz.kit.examine :as examine]))

(set! *warn-on-reflection* true)

(def ^:private some-vectors
  [{:id "a/one" :what "one" :section "format.md §2" :rule :chain/serial :question 1 :expect {:status :invalid :problems ["chain/serial"]}}
   {:id "a/two" :what "two" :section "format.md §2" :question 2 :expect {:status :valid :problems []}}
   {:id "b/three" :what "three" :section "format.md §7" :rule "identity/record" :question 3
    :expect {:status :valid :problems [] :entries [:current]}}])

(defn- told [answers codes]
  (examine/results some-vectors answers codes))

(deftest results
  (is (= [:passed :passed :passed]
         (map :outcome (told {1 {:status :invalid} 2 {:status :valid} 3 {:status :valid :entries [{:status :current}]}} true))))
  (is (= [:failed :unsupported :failed]
         (map :outcome (told {1 {:status :valid} 2 {:status :unsupported} 3 {:status :valid :entries [{:status :revoked}]}} false))))
  (is (= [:failed :failed] (map :outcome (take 2 (told {1 {:kind :crash :got "x"} 2 {:kind :hang :got "y"}} false)))))
  (is (= [:passed :failed] (for [codes [false true]] (:outcome (first (told {1 {:status :invalid :problems ["a/b"]}} codes))))))
  (is (= [] (examine/results [] {} false))))

(deftest a-table
  (is (= [["a" 1 0 1] ["b" 0 1 0] ["all" 1 1 1]]
         (examine/table (told {1 {:status :invalid} 2 {:status :unsupported} 3 {:status :invalid}} false))))
  (is (= [["all" 0 0 0]] (examine/table []))))

(deftest failures-for-a-person
  (let [[one _ three] (told {1 {:kind :crash :got "it ended with 1"} 3 {:status :valid :problems [] :entries [{:status :revoked}]}} false)]
    (is (= ["a/one: one (format.md §2, chain/serial)" "  expected  invalid, chain/serial" "  got       crash: it ended with 1"]
           (examine/failure-lines one)))
    (is (= ["b/three: three (format.md §7, identity/record)" "  expected  valid, current" "  got       valid, revoked"]
           (examine/failure-lines three)))))
