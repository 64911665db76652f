(ns mutants.child
  "One process of `dev/clj -M:mutants`: runs tests until one fails."
  (:require
   [poz.test-runner :as runner]))

(set! *warn-on-reflection* true)

(defn- fails?
  "True if a test of the namespace `n` fails, or if it does not load."
  [n]
  (pos? (long (:failed (runner/run-namespaces [{:ns n}] {:threads 1})))))

(defn -main
  "Loads the namespace `mutated`, then runs the test namespaces `tests` in order up to the first
  that fails, and prints its name. Exits with 1 then, 0 where all pass, 3 where `mutated` does
  not load: that would be no mutant."
  [mutated & tests]
  (let [loads? (try (require (symbol mutated)) true
                    (catch Throwable e (println (ex-message e) (some-> (ex-cause e) ex-message)) false))
        failed (when loads? (first (filter fails? (map symbol tests))))]
    (when failed (println failed))
    (flush)
    (.halt (Runtime/getRuntime) (cond (not loads?) 3 failed 1 :else 0))))
