(ns poz.kit.scope-test
  (:require
   [clojure.test :refer [deftest is]]
   [poz.error :as error]
   [poz.kit.scope :as scope]))

(set! *warn-on-reflection* true)

(deftest each-error-is-in-scope-or-has-a-reason
  (doseq [e (keys error/table)]
    (is (or (contains? scope/errors e) (contains? scope/reasons (scope/reason e))) e))
  (is (every? error/table scope/errors))
  (is (contains? scope/errors :chain/serial))
  (is (= :connection (scope/reason :net/timeout))))

(deftest every-reason-is-used
  (is (= (set (keys scope/reasons)) (into #{} (keep scope/reason) (keys error/table)))))
