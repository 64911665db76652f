(ns poz.view.simulate
  "What a simulation says (`poz.simulate`), in words: who can do what, what is left after a
  loss, what a thief could do, and findings. Pure: lines come out, nothing is printed. Keys
  are called by the record's Key Names too, escaped, where it has some."
  (:require
   [clojure.string :as str]
   [poz.error :as error]
   [poz.view.text :as text]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def option-rows
  "The options of `lines`."
  (assoc (select-keys text/option-rows [:color :width])
    :full {:doc "list every set of keys, not only the first few" :default false
           :check boolean? :rule "true or false"}))

(def ^:private most-listed 8)

;; ## Words

(defn- key-runs [names indexes]
  (reduce (fn [acc i]
            (let [[from to] (peek acc)]
              (if (and to (= i (inc (long to))) (not (names i)) (not (names from)))
                (conj (pop acc) [from i])
                (conj acc [i i]))))
    [] (sort indexes)))

(defn- run-text [names [from to]]
  (cond
    (names from) (str from " " (text/quoted (names from)))
    (= from to) (str from)
    :else (str from "–" to)))

(defn- keys-text
  "\"key 0\", \"keys 0 \"phone\", 3–9\"."
  [{:keys [names]} indexes]
  (str (if (= 1 (count indexes)) "key " "keys ")
    (str/join ", " (map #(run-text names %) (key-runs names indexes)))))

(defn- pick-text [context pick]
  (str/join " and "
    (for [{:keys [any of]} pick]
      (cond
        (= any (count of)) (keys-text context of)
        (= 1 any) (str "one of " (keys-text context of))
        :else (str "any " any " of " (keys-text context of))))))

(def ^:private act
  {[:former :change] "make another revision instead of this draft"
   [:draft :apply] "apply this draft"
   [:master :change] "change the master zone"})

(defn- zones-text [zones]
  (if (= zones zone/names) "every zone" (str/join ", " (map name zones))))

(defn- acts
  "The `powers` in words, zones with the same verb drawn together."
  [powers]
  (concat
    (keep act powers)
    (for [verb [:grant :deny] :let [zones (vec (keep (fn [[z v]] (when (= verb v) z)) powers))]
          :when (seq zones)]
      (str (name verb) " in " (zones-text zones)))))

(defn- acts-text [powers]
  (if (seq powers) (str/join "; " (acts powers)) "nothing"))

;; ## Lines

(defn- hung [{:keys [width]} indent s]
  (text/hang s width indent (+ 2 (long indent))))

(defn- cut
  "The first of `xs`, each as `(f x)`, and what there is beside them."
  [{:keys [full]} f complete xs]
  (let [shown (if full xs (take most-listed xs)) hidden (- (count xs) (count shown))]
    (concat (mapcat f shown)
      (cond
        (pos? hidden) (f (str "and " hidden (when-not complete " or") " more"))
        (not complete) (f "and more")))))

(defn- title-line [{:keys [color]} s]
  (str "  " (text/paint color :title s)))

(defn- set-line [context keys]
  (hung context 6 (if (string? keys) keys (keys-text context keys))))

(defn- power-lines [{:keys [color] :as context} powers {:keys [possible checkable sets complete]}]
  (concat
    (hung context 4 (str (acts-text powers) (when possible ":")))
    (if possible
      (cut context #(set-line context %) complete sets)
      [(str "      " (text/paint color :bad "nobody can"))])
    (when (and possible (not checkable))
      (hung context 6 "(nobody here can check it: it takes a key of unknown algorithm)"))))

(defn- powers-lines [context powers]
  (let [kind (fn [{[_ verb :as power] :power :as p}] [(act power verb) (dissoc p :power)])
        alike (group-by kind powers)]
    (concat
      [(title-line context "who can, each line a smallest set of keys that suffices")]
      (for [p powers :let [same (alike (kind p))] :when (= p (first same))
            line (power-lines context (map :power same) p)]
        line)
      (hung context 4 "Who can change the master zone can delegate anew, and so controls every zone."))))

(defn- answer-lines [context say {:keys [picks] :as answer}]
  (concat
    (cut context #(hung context 4 (if (string? %) % (pick-text context %))) true picks)
    (mapcat #(hung context 6 %) (say answer))))

(defn- said [{:keys [color]} style s]
  (text/paint color style s))

(defn- loss-words [{:keys [lost left locked]}]
  (cond
    (empty? lost) ["nothing is lost"]
    locked [(str "the record is LOCKED for ever; lost: " (acts-text lost)) (str "left: " (acts-text left))]
    :else [(str "lost: " (acts-text lost)) (str "left: " (acts-text left))]))

(defn- theft-words [{:keys [can controls-all]}]
  (cond-> [(str "the thief can: " (acts-text can))]
    controls-all (conj "and so controls the record, every zone included")))

(defn- answers-lines [context title say {:keys [answers complete]}]
  (when (seq answers)
    (concat
      [(title-line context title)]
      (mapcat #(answer-lines context say %) answers)
      (when-not complete
        (hung context 4 "Only the heaviest kinds of keys were paired: there are too many.")))))

(defn- finding-lines [{:keys [names] :as context} {:keys [finding severity keys message]}]
  (let [named (filter names keys)]
    (map #(said context (case severity :danger :bad :warning :doubt nil) %)
      (hung context 4
        (str (if (= :danger severity) "DANGER" (name severity)) ": " (text/escape message)
          (when (seq named) (str " (" (keys-text context named) ")"))
          " [" (error/code finding) "]")))))

(defn- given-lines [context {{:keys [players held stolen]} :keys :keys [thief]}]
  (let [lost (remove held players)]
    (concat
      (when (seq lost) (hung context 2 (str "without " (keys-text context lost))))
      (when (seq stolen)
        (mapcat #(hung context 2 %)
          (cons (str "a thief has " (keys-text context stolen)) (theft-words thief)))))))

(defn- body [context {:keys [powers losses thefts findings] :as simulation}]
  (concat
    (given-lines context simulation)
    (when (seq findings)
      (cons (title-line context "findings") (mapcat #(finding-lines context %) findings)))
    (powers-lines context powers)
    (answers-lines context "if one key is lost" loss-words (:one losses))
    (answers-lines context "if two keys are lost" loss-words (:two losses))
    (answers-lines context "if one key is stolen" theft-words (:one thefts))
    (answers-lines context "if two keys are stolen" theft-words (:two thefts))))

(defn lines
  "The lines that tell the `simulation` of `record` (or the anomaly that it gave), which its
  reader knows as `title`. Options: see `option-rows`."
  ([title record simulation] (lines title record simulation {}))
  ([title record simulation given]
   (let [options (text/options option-rows given)
         context (assoc options :names (into {} (map (juxt :key :name)) (:key-names record)))]
     (if-let [error (:poz/error simulation)]
       (concat (hung context 0 (str (text/escape title) ": no record"))
         (hung context 2 (text/escape (str (:message simulation) " [" (error/code error) "]"))))
       (concat (hung context 0 (str (text/escape title) ": who can do what"
                                 (when (:draft simulation) " once this draft is applied")))
         (body context simulation))))))
