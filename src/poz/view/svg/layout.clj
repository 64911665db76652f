(ns poz.view.svg.layout
  "The bytes of a section as a figure made from the format table: a row for each field, a cell
  for each byte up to 32, dashed where there may be more or none. What is inside a list or a
  struct stands one step in."
  (:require
   [clojure.string :as str]
   [poz.codec.rows :as rows]
   [poz.view.svg :as svg]))

(set! *warn-on-reflection* true)

(def ^:private ^:const row-height 24)
(def ^:private ^:const cell 8)
(def ^:private ^:const most-cells 32)
(def ^:private ^:const left 176)
(def ^:private ^:const right (+ left (* cell most-cells) 16))

(defn- extent
  "`[cells open]` of the words for a number of bytes: \"32\", \"2–257\", \"2 or more\"."
  [words]
  (let [least (parse-long (re-find #"^\d+" words)) fixed (re-matches #"\d+" words)]
    [(max 1 (min (long most-cells) (long least))) (or (not fixed) (< (long most-cells) (long least)))]))

(defn- cells [words y]
  (let [[n open] (extent words) n (long n) y (- (long y) 12)]
    [(svg/box (if open "field open" "field") left y (* cell n) 16)
     (for [i (range 1 n)]
       (svg/line "tick" (+ left (* cell (long i))) y (+ left (* cell (long i))) (+ y 16)))
     (when open (svg/path "edge dotted" "M" (+ left (* cell n) 2) (+ y 8) "L" (+ left (* cell n) 12) (+ y 8)))]))

(defn- row-nodes [i {:keys [field depth type bytes]}]
  (let [y (+ 48 (* row-height (long i))) in (* 16 (long depth))]
    [(when (pos? in) (svg/line "edge" (- in 10) (- y 16) (- in 10) (+ y 8)))
     (svg/words "mono" in y field)
     (cells bytes y)
     (svg/words "small" right y bytes)
     (svg/words "faint small" (+ right 88) y type)]))

(defn- ruler []
  (for [n [0 8 16 24 32] :let [x (+ left (* cell (long n)))]]
    [(svg/words "faint small" x 24 (str n) "middle") (svg/line "tick" x 28 x 32)]))

(defn figure
  "The figure of the section with the key `section` of the format `table`, or nil."
  [{:keys [sections] :as table} section]
  (when-let [{:keys [type doc] title :name} (first (filter #(= section (:key %)) sections))]
    (let [found (rows/rows table type)]
      {:title (str title ", byte by byte")
       :doc (str doc ": " (str/join "; " (map #(str (:field %) ", " (:type %) ", " (:bytes %) " bytes") found)))
       :width (+ right 256)
       :height (+ 40 (* row-height (count found)))
       :nodes [(svg/words "strong" 0 16 title) (ruler) (map-indexed row-nodes found)]})))
