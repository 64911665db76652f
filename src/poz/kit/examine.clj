(ns poz.kit.examine
  "Putting conformance vectors to somebody: `results` asks, `table` and `failure-lines` tell.

  A result is `{:id :what :section :rule :expect :got :outcome :passed|:failed|:unsupported}`."
  (:require
   [clojure.string :as str]
   [poz.kit.report :as report]
   [poz.kit.vectors :as vectors]))

(set! *warn-on-reflection* true)

(defn- lenient [expect codes]
  (if codes expect (assoc expect :problems-vary true)))

(defn- result [{:keys [question expect] :as v} ask codes]
  (let [got (ask question)]
    (assoc (dissoc v :question) :got got
      :outcome (cond
                 (= :unsupported (:status got)) :unsupported
                 (or (:kind got) (vectors/difference (lenient expect codes) got)) :failed
                 :else :passed))))

(defn results
  "The result of each of `vectors`, lazily; `ask` gives an answer or a trouble for a question. With
  `codes` the problem codes that are told must agree too."
  [vectors ask codes]
  (map #(result % ask codes) vectors))

(defn- group [{:keys [id]}] (first (str/split id #"/")))

(defn- counts [results]
  (let [n (frequencies (map :outcome results))]
    [(:passed n 0) (:failed n 0) (:unsupported n 0)]))

(defn table
  "`[[group passed failed unsupported]]` of `results`, in their order, and the sum last."
  [results]
  (conj (mapv #(into [(group (first %))] (counts %)) (partition-by group results))
    (into ["all"] (counts results))))

(defn failure-lines
  "A failed result for a person."
  [{:keys [id what section rule expect got]}]
  [(str id ": " what " (" section (when rule (str ", " (if (keyword? rule) (subs (str rule) 1) rule))) ")")
   (str "  expected  " (report/words (cond-> expect (:entries expect) (assoc :problems (map name (:entries expect))))))
   (str "  got       " (if (:kind got) (str (name (:kind got)) ": " (:got got)) (report/words got)))])
