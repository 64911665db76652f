(ns poz.view.page.verdict-test
  "Verdicts as markup."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is]]
   [poz.record :as record]
   [poz.shown :as shown]
   [poz.verify :as verify]
   [poz.view.html :as html]
   [poz.view.page.verdict :as verdict]))

(set! *warn-on-reflection* true)

(defn- judged [b & providers]
  (let [r (record/parse b)] [r (verify/verify r {:now shown/now :providers (mapv record/parse providers)})]))

(deftest the-banner-says-sign-and-word
  (is (str/includes? (html/text (verdict/banner {:outcome :valid})) "✓</span>valid"))
  (is (str/includes? (html/text (verdict/banner (second (judged @shown/broken)))) "found 33 <code>format/length</code>")))

(deftest every-step-is-there
  (let [[r v] (judged @shown/all-zones @shown/provider) text (html/text (verdict/steps r v))]
    (is (= (count (verify/steps v)) (count (re-seq #"<li " text))))
    (is (str/includes? text "its own master keys: group 1: 100 of 100"))
    (is (not (re-find #"<details class=\"part\" open" text)) "all holds: nothing is unfolded")))

(deftest what-does-not-hold-is-unfolded
  (let [[r v] (judged (shown/golden "draft")) text (html/text (verdict/steps r v))]
    (is (= :invalid (:outcome v)))
    (is (str/includes? (html/text (verdict/banner v)) "A draft, not a record yet"))
    (is (re-find #"<details class=\"part\" open><summary>Revision" text))
    (is (str/includes? text "this is a draft, not a record <code>chain/draft</code>")))
  (is (nil? (verdict/steps nil (second (judged @shown/broken)))) "no record, no steps"))

(deftest warnings-of-a-kind-are-together
  (let [many {:warnings (for [i (range 1000)] {:warning :identity/domain-unproven :message (str "<w" i ">")})}
        text (html/text (verdict/warnings many))]
    (is (nil? (verdict/warnings {:warnings []})))
    (is (str/includes? text "× 1000"))
    (is (str/includes? text "997 more"))
    (is (str/includes? text "&lt;w0&gt;"))
    (is (< (count (re-seq #"<li" text)) 210)))
  (is (str/includes? (html/text (verdict/warnings {:warnings [{:warning :master/single-key :message "m" :loud true}]})) "class=\"loud\"")))
