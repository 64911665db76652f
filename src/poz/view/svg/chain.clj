(ns poz.view.svg.chain
  "The chain of revisions of a record as a figure: each a disc on a line, oldest on top, a
  branch for each other chain that leaves it. Two revisions with one parent are a fork."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.master.chain :as chain]
   [poz.signing :as signing]
   [poz.time :as time]
   [poz.view.svg :as svg]))

(set! *warn-on-reflection* true)

(def ^:private ^:const row-height 48)
(def ^:private ^:const lane-width 24)
(def ^:private most-first 4)
(def ^:private most-last 16)

(defn lanes
  "The revisions of `chains` (each oldest first, the record's own first) as rows `{:lane
  :revision :parent}`, by serial: `:lane` is the first chain that has it, `:parent` the lane
  and place of the row that it follows, `:fork` true where another follows that too."
  [chains]
  (let [rows (->> chains
               (map-indexed (fn [i revisions] (map #(hash-map :lane i :revision %) revisions)))
               (apply concat)
               (reduce (fn [[seen rows] {:keys [revision] :as row}]
                         (if (contains? seen revision) [seen rows] [(conj seen revision) (conj rows row)]))
                 [#{} []])
               peek
               (sort-by (juxt (comp :serial :revision) :lane)))
        parents (frequencies (keep #(when (< 1 (long (:serial (:revision %)))) (:previous-master-hash (:revision %))) rows))]
    (mapv (fn [{:keys [revision] :as row}]
            (assoc row :fork (< 1 (long (get parents (:previous-master-hash revision) 0)))))
      rows)))

(defn- shortened
  "`rows` with those in the midst of many as one, `{:skipped n}`."
  [rows]
  (let [n (count rows) most (+ (long most-first) (long most-last))]
    (if (<= n (inc most))
      rows
      (concat (take most-first rows) [{:skipped (- n most) :lane 0}] (take-last most-last rows)))))

(defn- lane-x ^long [lane]
  (+ 12 (* lane-width (long lane))))

(defn- row-y ^long [i]
  (+ 16 (* row-height (long i))))

(defn- words [{:keys [serial timestamp current-master-hash signatures] :as revision} fork]
  [(str (if (chain/draft? revision) "Draft of revision " "Revision ") serial (when fork " (fork)"))
   (str/replace (subs (time/iso timestamp) 0 16) "T" " ")
   (str (if (chain/draft? revision) "not applied" (subs (bytes/->hex current-master-hash) 0 12))
     " · " (if (seq signatures) (signing/key-list (map :key signatures)) "not signed"))])

(defn- row-nodes [outcomes left i {:keys [lane revision skipped fork]}]
  (let [y (row-y i)]
    (if skipped
      (svg/words "faint" left (+ y 4) (str "… " skipped " revisions more …"))
      (let [[name date more] (words revision fork)]
        [(svg/mark (if (chain/draft? revision) :draft (outcomes revision :unknown)) (lane-x lane) y)
         (svg/words (if fork "strong bad" "strong") left (- y 1) name)
         (svg/words "faint" svg/width (- y 1) date "end")
         (svg/words "mono faint" left (+ y 16) (svg/fit 40 more))]))))

(defn- parent-of [rows i {:keys [revision]}]
  (or (first (filter (fn [j] (let [r (:revision (nth rows j))]
                               (and r (not (chain/draft? r)) (= (:current-master-hash r) (:previous-master-hash revision)))))
               (range (dec (long i)) -1 -1)))
    (when (and (pos? (long i)) (:skipped (nth rows (dec (long i))))) (dec (long i)))))

(defn- edge [rows i {:keys [lane revision skipped]}]
  (let [y (row-y i) x (lane-x lane)]
    (cond
      skipped (svg/line "edge dotted" x (+ (row-y (dec (long i))) 8) x (+ y 24))
      :else
      (if-let [j (parent-of rows i {:revision revision})]
        (let [px (lane-x (:lane (nth rows j))) py (+ (row-y j) 8)]
          (if (= px x)
            (svg/line "edge" x py x (- y 8))
            (svg/path "edge" "M" px py "C" px (+ py 24) x (- y 32) x (- y 8))))
        (when (< 1 (long (:serial revision)))
          (svg/line "edge dotted" x (- y 16) x (- y 8)))))))

(defn- doc [rows]
  (str/join "; " (for [{:keys [revision fork]} rows :when revision]
                   (str/join ", " (words revision fork)))))

(defn figure
  "The figure of `chains`, lists of revisions, oldest first, that of the record itself first;
  `outcomes` tells of a revision if it holds (`:valid`, `:invalid`; what it lacks is unknown)."
  [chains outcomes]
  (let [rows (vec (shortened (lanes chains)))
        left (+ 20 (lane-x (reduce max 0 (map :lane rows))))]
    {:title (str "Chain of " (count (first chains)) (if (= 1 (count (first chains))) " revision" " revisions")
              (when (some :fork rows) ", with a fork"))
     :doc (doc rows)
     :width svg/width
     :height (+ 24 (row-y (dec (count rows))))
     :nodes (concat (map-indexed #(edge rows %1 %2) rows)
              (map-indexed #(row-nodes outcomes left %1 %2) rows))}))
