(ns poz.view.svg.survivorship
  "Who may change the master zone, as a figure: each group of master keys a bar towards 100,
  each key in it a piece as long as its value."
  (:require
   [clojure.string :as str]
   [poz.format :as format]
   [poz.lint :as lint]
   [poz.master.survivorship :as survivorship]
   [poz.view.svg :as svg]))

(set! *warn-on-reflection* true)

(def ^:private ^:const row-height 80)
(def ^:private most-pieces 24)

(defn- fewest
  "How few of the `values`, of as many as may sign, reach 100, or nil."
  [values]
  (first (keep-indexed (fn [i sum] (when (<= (long survivorship/threshold) (long sum)) (inc i)))
           (reductions + (take (:max-signatures format/limits) (sort > values))))))

(defn- sentence [shares]
  (let [n (count shares) few (fewest (map :value shares))]
    (cond
      (nil? few) (str (lint/reachable (map :value shares)) " of " survivorship/threshold " at most: can never suffice")
      (= few n) (case n 1 "the one key suffices" 2 "both keys are needed" (str "all " n " keys are needed"))
      :else (str (if (= 1 (long few)) "one key suffices" (str few " keys suffice")) ", of " n))))

(defn- pieces
  "The `shares` of a group as `{:label :value}`, heaviest first, those after the first few as one."
  [shares]
  (let [sorted (sort-by (juxt (comp - :value) :key) shares)
        [shown more] (split-at (if (< (long most-pieces) (count sorted)) (dec (long most-pieces)) most-pieces) sorted)]
    (cond-> (mapv (fn [{:keys [key value]}] {:label [(str "key " key " · " value) (str key " · " value) (str key)] :value value}) shown)
      (seq more) (conj {:label [(str (count more) " keys more") (str "+" (count more))] :value (transduce (map :value) + more)}))))

(defn- label-nodes [labels x y w]
  (when-let [s (first (filter #(<= (+ 4.0 (* 6.5 (count %))) (double w)) labels))]
    (svg/words "small" (+ (double x) (/ (double w) 2)) y s "middle")))

(defn- piece-nodes [y scale [i {:keys [label value from]}]]
  (let [x (* (double scale) (long from)) w (* (double scale) (long value))]
    [(svg/box "piece" x y w 16)
     (when (svg/fill i) [:rect {:x x :y y :width w :height 16 :fill (svg/fill i)}])
     (label-nodes label x (+ (long y) 32) w)]))

(defn- placed [pieces]
  (map (fn [piece from] (assoc piece :from from)) pieces (reductions + 0 (map :value pieces))))

(defn- group-nodes [scale i [group shares]]
  (let [y (* row-height (long i)) goal (* (double scale) (long survivorship/threshold))]
    [(svg/words "strong" 0 (+ y 12) (str "Group " group))
     (svg/words "faint" svg/width (+ y 12) (sentence shares) "end")
     (svg/box "track" 0 (+ y 24) goal 16)
     (map #(piece-nodes (+ y 24) scale %) (map-indexed vector (placed (pieces shares))))
     (svg/line "goal" goal (+ y 20) goal (+ y 44))]))

(defn figure
  "The figure of a list of master keys, `[{:group :key :value}]`."
  [master-keys]
  (let [groups (sort-by key (group-by :group master-keys))
        longest (reduce max survivorship/threshold (map #(transduce (map :value) + (val %)) groups))
        scale (/ (double (dec (long svg/width))) (double longest))
        goal (* scale (long survivorship/threshold))
        end (* row-height (count groups))]
    {:title (str "Survivorship: " (count groups) (if (= 1 (count groups)) " group" " groups") " of master keys")
     :doc (str/join "; " (map (fn [[group shares]] (str "group " group ": " (sentence shares))) groups))
     :width svg/width
     :height end
     :nodes [(map-indexed #(group-nodes scale %1 %2) groups)
             (svg/words "small faint" goal (- end 12) (str survivorship/threshold) (if (< goal 340) "middle" "end"))]}))
