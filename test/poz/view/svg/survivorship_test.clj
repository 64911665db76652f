(ns poz.view.svg.survivorship-test
  "Groups as bars towards 100."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is]]
   [poz.verdicts :as v]
   [poz.view.html :as html]
   [poz.view.svg.survivorship :as survivorship]))

(set! *warn-on-reflection* true)

(defn- figure [& rows] (survivorship/figure (v/values rows)))

(deftest what-suffices-is-said
  (are [rows words] (= words (:doc (apply figure rows)))
    [[1 0 100]] "group 1: the one key suffices"
    [[1 0 100] [1 1 100]] "group 1: one key suffices, of 2"
    [[1 0 50] [1 1 50]] "group 1: both keys are needed"
    [[1 0 34] [1 1 33] [1 2 33]] "group 1: all 3 keys are needed"
    [[1 0 40] [1 1 40] [1 2 40] [1 3 40]] "group 1: 3 keys suffice, of 4"
    [[1 0 40] [2 1 100]] "group 1: 40 of 100 at most: can never suffice; group 2: the one key suffices"))

(deftest no-more-than-may-sign-count
  (is (= "group 1: 64 of 100 at most: can never suffice" (:doc (apply figure (for [i (range 200)] [1 i 1]))))))

(defn- widths [f kind]
  (map #(parse-double (second %)) (re-seq (re-pattern (str "class=\"" kind "\"[^>]* width=\"([0-9.]+)\"")) (html/text (:nodes f)))))

(deftest bars-are-as-long-as-the-values
  (let [f (figure [1 0 40] [1 1 60] [2 2 50])
        [a b c] (widths f "piece")]
    (is (= [351.0 351.0] (widths f "track")))
    (is (every? #(< -0.01 % 0.01) [(- a (* 0.6 351)) (- b (* 0.4 351)) (- c (* 0.5 351))]) "heaviest first")
    (is (str/includes? (html/text (:nodes f)) "key 1 · 60"))
    (is (str/includes? (html/text (:nodes f)) "url(#poz-fill-1)"))))

(deftest more-than-100-still-fits
  (let [f (apply figure (for [i (range 100)] [1 i 100]))]
    (is (> 352 (reduce + (widths f "piece"))))
    (is (= 24 (count (widths f "piece"))) "the many are one piece")
    (is (str/includes? (html/text (:nodes f)) "77 keys more"))))
