(ns poz.api-test
  "The front door: few vars, each with an example that gives what it says."
  (:require
   [clojure.datafy :as datafy]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.api :as poz]
   [poz.fresh :as fresh]
   [poz.readme :as readme]))

(set! *warn-on-reflection* true)

(defn- example
  "The indented example of a docstring, or nil."
  [doc]
  (let [lines (filter #(str/starts-with? % "      ") (str/split-lines doc))]
    (when (seq lines) (str/join "\n" (map #(subs % 6) lines)))))

(deftest few-vars
  (is (<= (count (ns-publics 'poz.api)) 20)))

(deftest every-example-gives-what-it-says
  (doseq [[sym v] (ns-publics 'poz.api)
          :let [text (example (:doc (meta v)))]]
    (testing sym
      (is (some? text) "has an example")
      (doseq [[form expected] (readme/examples text)]
        (is (some? expected) "says its result")
        (is (= expected
               (binding [*ns* (the-ns 'poz.api)]
                 (pr-str (let [x (load-string form)] (if (seq? x) (doall x) x))))))))))

(deftest it-loads-without-server-dns-or-sql
  (let [{:keys [namespaces classes]} (fresh/loaded '(require 'poz.api))]
    (is (contains? namespaces 'poz.verify))
    (is (not-any? namespaces '[poz.simulate poz.diff poz.update poz.lint poz.nav.walk poz.codec.table poz.codec.schema poz.codec.spans
                               poz.view.text poz.view.dump poz.view.verdict]))
    (is (= [] (filter fresh/network? (concat namespaces classes))))))

(def ^:private path "test/vectors/records/holder-file.poz")

(deftest dump-and-show-take-anything
  (let [b (poz/file path) r (poz/parse b) broken (poz/parse (poz/hex "504f5a0000000009"))
        whole (poz/dump b)]
    (is (= whole (poz/dump path) (poz/dump r) (poz/dump (str b)) (poz/dump (poz/verify r {:now 1793491200000})) (poz/show b) (poz/show path)))
    (is (= (poz/dump (poz/hex "504f5a0000000009")) (poz/dump broken) (poz/dump (poz/verify broken {:now 0}))))
    (is (= (poz/tree r) (poz/show r)))
    (is (= (poz/why broken) (poz/show broken)))
    (is (= "before → after: the same" (first (poz/show (poz/diff r r)))))
    (is (= "record: who can do what" (first (poz/show (poz/simulate r)))))
    (is (= "Header, 0 bytes" (first (poz/dump ""))))
    (is (= whole (poz/dump (poz/armor b))) "the text form is looked at as what it holds")
    (is (thrown-with-msg? IllegalArgumentException #"dump takes" (poz/dump 7)))
    (is (thrown-with-msg? IllegalArgumentException #"There are :public-key-map" (poz/doc :nope)))))

(deftest lines-print-as-lines
  (is (= "Keys: 1\n" (subs (pr-str (poz/show (poz/parse (poz/file path)))) 0 8))))

(deftest nothing-of-a-secret-is-shown
  (let [r (poz/parse (poz/file path))
        sealed (str (:sealed (:private-key-map r)))]
    (is (pos? (count sealed)))
    (is (not-any? #(str/includes? (pr-str %) sealed)
          [(poz/show r) (poz/dump r) (poz/why (poz/verify r {:now 0})) (poz/public-view r) (poz/diff r (poz/public-view r))]))
    (is (= r (datafy/datafy r)))))
