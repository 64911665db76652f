(ns poz.api-test
  "The front door: few vars, each with an example that gives what it says."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.api]
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
