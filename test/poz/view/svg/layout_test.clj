(ns poz.view.svg.layout-test
  "The bytes of each section as a figure."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is]]
   [poz.codec.rows :as rows]
   [poz.format :as format]
   [poz.shown :as shown]
   [poz.view.html :as html]
   [poz.view.svg :as svg]
   [poz.view.svg-test :as svg-test]
   [poz.view.svg.layout :as layout]))

(set! *warn-on-reflection* true)

(deftest every-section-has-a-figure
  (let [style (:figure (shown/assets))]
    (doseq [{:keys [key type]} format/sections :let [f (layout/figure format/format key) text (html/text (:nodes f))]]
      (is (svg-test/well-formed? (svg/document f style)) key)
      (doseq [{:keys [field]} (rows/rows format/format type)]
        (is (str/includes? text (str ">" field "<")) [key field])))))

(deftest a-cell-is-a-byte
  (let [text (html/text (:nodes (layout/figure format/format :master-zone)))]
    (is (= 3 (count (re-seq #"class=\"field\" x=\"176\" y=\"\d+\" width=\"256\"" text))) "three hashes of 32")
    (is (re-find #"class=\"field open\" x=\"176\" y=\"\d+\" width=\"48\"" text) "master keys: 6 or more")))

(deftest what-is-no-section-has-none
  (is (nil? (layout/figure format/format :nope)))
  (is (nil? (layout/figure format/format nil))))
