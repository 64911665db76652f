(ns docs
  "Makes the generated parts of README.md anew: `clojure -M:docs`. A part stands between
  `<!-- generated: NAME -->` and `<!-- end -->`."
  (:require
   [poz.readme :as readme]))

(set! *warn-on-reflection* true)

(defn -main
  "Rewrites README.md where its generated parts have changed."
  [& _]
  (let [text (slurp "README.md") made (readme/regenerate text)]
    (when-not (= text made) (spit "README.md" made))
    (println (if (= text made) "README.md is as it should be" "README.md is made anew"))))
