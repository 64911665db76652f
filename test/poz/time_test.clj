(ns poz.time-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.time :as time]))

(set! *warn-on-reflection* true)

(deftest written-and-read
  (are [ms text] (= text (time/iso ms))
    0 "1970-01-01T00:00:00Z"
    1793491200000 "2026-11-01T00:00:00Z"
    253402300799999 "9999-12-31T23:59:59.999Z")
  (are [text ms] (= ms (time/parse text))
    "0" 0
    "1793491200000" 1793491200000
    "2026-11-01T00:00:00Z" 1793491200000
    "2026-11-01T00:00:00.250Z" 1793491200250
    "2026-11-01T02:30:00+02:30" 1793491200000)
  (testing "nothing else is a time"
    (are [text] (nil? (time/parse text))
      "" "now" "-1" "1.5" "2026-11-01" "2026-11-01T00:00:00" "2026-13-01T00:00:00Z" "2026-02-30T00:00:00Z"
      "1793491200000 " "1234567890123456" "+999999999-01-01T00:00:00Z")))

(defspec what-is-written-reads-back 300
  (prop/for-all [ms (gen/choose 0 253402300799999)]
    (= ms (time/parse (time/iso ms)) (time/parse (str ms)))))

(deftest ahead-of-the-clock
  (is (time/ahead? 11 10))
  (is (not (time/ahead? 10 10))))

(deftest far-future-begins-after-24-hours
  (let [day 86400000 now 1793491200000]
    (is (nil? (time/far-future-finding now now)))
    (is (nil? (time/far-future-finding (+ now day) now)))
    (let [{:keys [holds because numbers error]} (time/far-future-finding (+ now day 1) now)]
      (is (= :unknown holds))
      (is (= :time/far-future error))
      (is (= {:timestamp (+ now day 1) :now now} numbers))
      (is (= "dated 2026-11-02T00:00:00.001Z, more than 24 hours ahead of the clock, 2026-11-01T00:00:00Z" because)))))
