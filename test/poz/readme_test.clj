(ns poz.readme-test
  "README.md and the tour of dev/: generated parts are up to date, examples give what they say."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.readme :as readme]))

(set! *warn-on-reflection* true)

(defn- evaluate
  "The value of the last form in `text`, printed, in the namespace `ns`."
  [ns text]
  (binding [*ns* ns]
    (pr-str (let [v (load-string text)] (if (seq? v) (doall v) v)))))

(defn- run-examples [ns text]
  (doseq [[form expected] (readme/examples text) :when (seq (str/trim form))]
    (testing form
      (let [found (evaluate ns form)]
        (when expected (is (= expected found)))))))

(defn- scratch []
  (let [ns (create-ns (gensym "poz.readme-example"))]
    (binding [*ns* ns] (refer-clojure))
    ns))

(deftest generated-parts-are-up-to-date
  (let [text (slurp "README.md")]
    (is (= (str/split-lines (readme/regenerate text)) (str/split-lines text))
      "run dev/clj -M:docs")))

(deftest examples-give-what-they-say
  (let [ns (scratch)]
    (doseq [block (readme/clojure-blocks (slurp "README.md"))]
      (run-examples ns block))))

(deftest the-tour-gives-what-it-says
  (run-examples (create-ns 'tour) (slurp "dev/tour.clj")))

(deftest no-word-of-how-the-project-is-run
  (is (not (re-find #"(?i)\b(session|subagent|shared/)\b" (slurp "README.md")))))
