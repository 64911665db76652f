(ns poz.cli.tour-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.cli-env :as env]
   [poz.cli.tour :as tour]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(deftest the-whole-tour
  (let [{:keys [exit out err]} (env/run ["tour"])
        shown (env/text out)]
    (is (= [0 []] [exit err]))
    (is (every? #(<= (text/columns %) 80) out))
    (doseq [[i {:keys [title]}] (map-indexed vector tour/stops)]
      (is (some #{(str (inc (long i)) ". " title)} out)))
    (testing "shows a record made, verified, and what is refused"
      (is (str/includes? shown "50 still needed, from key 1"))
      (is (str/includes? shown "record.poz: valid"))
      (is (str/includes? shown "tampered.poz: invalid"))
      (is (str/includes? shown "[chain/current-hash]"))
      (is (re-find #"\[?format/[a-z-]+" shown))
      (is (str/includes? shown "[survivorship/below-threshold]")))
    (testing "ends with a live server"
      (is (re-find #"alice@social\.example is [0-9a-f]{16}…, current, proven" shown))
      (is (str/includes? shown "the phone alone denies it: ok"))
      (is (str/includes? (last (remove str/blank? (butlast out))) "[wire/not-found]")))
    (is (not (str/includes? shown "poz/secret")))))

(deftest the-tour-is-the-same-in-the-same-world
  (is (= (:out (env/run ["tour"])) (:out (env/run ["tour"]))))
  (is (not= (:out (env/run ["tour"])) (:out (env/run ["tour"] {:seed "another"})))))

(deftest colours-only-where-wanted
  (is (not-any? #(str/includes? % "\u001b") (:out (env/run ["tour"]))))
  (let [painted (:out (env/run ["tour"] {:color true}))]
    (is (some #(str/includes? % "\u001b[") painted))
    (is (= (:out (env/run ["tour"])) (map text/strip painted)))))

(deftest the-tour-as-json
  (let [{:keys [exit json]} (env/run ["tour" "--json"] {:color true})
        {:keys [version stops]} (first json)]
    (is (= [0 1 1] [exit (count json) version]))
    (is (= (map :title tour/stops) (map :title stops)))
    (is (every? #(seq (:lines %)) stops))
    (is (not-any? #(str/includes? % "\u001b") (mapcat :lines stops)))))

(deftest the-tour-takes-no-arguments
  (is (= 2 (:exit (env/run ["tour" "x"]))))
  (is (= 0 (:exit (env/run ["tour" "--at" "2020-01-01T00:00:00Z"])))))
