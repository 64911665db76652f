(ns poz.view.page.powers-test
  "Delegations and the simulator as markup. That its script agrees with `poz.simulate` is tested
  in a browser, by poz.integration.page-test."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is]]
   [poz.record :as record]
   [poz.shown :as shown]
   [poz.simulate :as simulate]
   [poz.view.html :as html]
   [poz.view.page.powers :as powers]))

(set! *warn-on-reflection* true)

(deftest delegations-are-a-table
  (let [text (html/text (powers/matrix (record/parse @shown/all-zones)))]
    (is (= 2 (count (re-seq #"<th scope=\"row\">key \d" text))))
    (is (= 10 (count (re-seq #"<span>grant 50</span><span>deny 100</span>" text))))
    (is (= 5 (count (re-seq #"<span>grant 100</span><span>deny 200</span>" text)))))
  (is (str/includes? (html/text (powers/matrix (record/parse (shown/golden "genesis-minimal")))) "Nothing is delegated")))

(deftest the-script-has-the-same-numbers
  (let [r (record/parse (shown/golden "recovery-3")) data (powers/data r (simulate/simulate r))]
    (is (= [{:name "change the master zone" :all true :locks true
             :lists [[{:keys [4] :values [100]} {:keys [1 2 3] :values [40 40 40]}]]}]
           (take 1 (:powers data)))))
  (let [r (record/parse (shown/golden "draft")) names (map :name (:powers (powers/data r (simulate/simulate r))))]
    (is (some #{"apply this draft"} names))
    (is (some #{"change the master zone, once applied"} names))))

(deftest each-player-has-two-toggles
  (let [r (record/parse @shown/all-zones) found (simulate/simulate r) text (html/text (powers/simulator r found))]
    (is (= (* 2 (count (:players (:keys found)))) (count (re-seq #"type=\"checkbox\"" text))))
    (is (str/includes? text "aria-label=\"key 0 is stolen\""))
    (is (= (count (:powers found)) (count (re-seq #"id=\"power-\d" text))))
    (is (str/includes? text "key 0 alone can change the master zone"))))
