(ns poz.view.svg
  "Shapes of pictures as markup (`poz.view.html`), on a grid of 8 units.

  A *figure* is `{:title :doc :width :height :nodes}`: what it shows in words, its size, and
  its shapes. `inline` makes it an element for a page, `document` a file of its own, which
  carries `style`, the text of `resources/poz/page/figure.css`. Nothing is told by colour
  alone: fills have patterns, lines have dashes, and words say the same."
  (:require
   [clojure.string :as str]
   [poz.view.html :as html]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(def width
  "How wide a figure is that fits a phone."
  352)

(defn words
  "Text with its left end (`:anchor` \"middle\" or \"end\": its middle, its end) at `x` and its
  base line at `y`, of the classes `kind`."
  ([kind x y s] (words kind x y s "start"))
  ([kind x y s anchor]
   [:text {:class kind :x x :y y :text-anchor (when-not (= "start" anchor) anchor)} s]))

(defn fit
  "The string `s`, escaped, cut to `most` columns."
  [^long most s]
  (let [s (text/escape s)]
    (if (<= (text/columns s) most)
      s
      (str (first (text/wrap (str/replace s " " "\u00a0") (dec most))) "…"))))

(defn line
  "A straight line."
  [kind x1 y1 x2 y2]
  [:line {:class kind :x1 x1 :y1 y1 :x2 x2 :y2 y2}])

(defn box
  "A rectangle."
  [kind x y w h]
  [:rect {:class kind :x x :y y :width w :height h}])

(defn path
  "A path of these commands and numbers."
  [kind & parts]
  [:path {:class kind :d (str/join " " parts)}])

(def ^:private outcome-marks
  {:valid "M -3 0 L -1 2.5 L 3.5 -3" :invalid "M -3 -3 L 3 3 M 3 -3 L -3 3" :unknown "M 0 -3.5 L 0 1 M 0 3 L 0 4"})

(defn mark
  "A disc at `x`, `y` with the sign of an outcome: a tick, a cross, an exclamation mark."
  [outcome x y]
  [:g {:class (str "mark " (name outcome)) :transform (str "translate(" x " " y ")")}
   [:circle {:r 8}]
   [:path {:d (outcome-marks outcome (:unknown outcome-marks))}]])

(def patterns
  "The fills that tell neighbours apart without colour, once in each document; `fill` names them."
  [:defs
   (for [[id d] [["poz-fill-1" "M -2 2 L 2 -2 M 0 8 L 8 0 M 6 10 L 10 6"]
                 ["poz-fill-2" "M 0 2 L 8 2 M 0 6 L 8 6"]
                 ["poz-fill-3" "M 2 0 L 2 8 M 6 0 L 6 8"]]]
     [:pattern {:id id :width 8 :height 8 :patternUnits "userSpaceOnUse"}
      [:path {:class "hatch" :d d}]])])

(defn fill
  "The attribute that fills the `i`th of neighbours; nil is plain."
  [i]
  (let [n (mod i 4)] (when (pos? n) (str "url(#poz-fill-" n ")"))))

(defn- body [{:keys [title doc nodes]}]
  (list [:title title] (when doc [:desc doc]) nodes))

(defn inline
  "The element of the figure in a page that has `figure.css` and `patterns`."
  [{:keys [width height title] :as figure}]
  [:svg {:class "figure" :role "img" :aria-label title :width width :height height
         :viewBox (str "0 0 " width " " height)}
   (body figure)])

(defn document
  "The text of a file of its own that shows the figure, with the style sheet `style` in it."
  [{:keys [width height title] :as figure} style]
  (str (html/text
         [:svg {:xmlns "http://www.w3.org/2000/svg" :class "figure alone" :role "img" :aria-label title
                :width width :height height :viewBox (str "0 0 " width " " height)}
          [:style (html/raw style)]
          patterns
          [:rect {:class "paper" :width width :height height}]
          (body figure)])
    "\n"))

(defn below
  "`figures` one below another as one figure, `gap` apart, `margin` around."
  [title gap margin figures]
  (let [gap (long gap) margin (long margin)
        places (reductions + margin (map #(+ gap (long (:height %))) figures))]
    {:title title
     :doc (str/join ". " (keep :doc figures))
     :width (+ (* 2 margin) (long (reduce max 0 (map :width figures))))
     :height (+ margin (- (long (last places)) gap))
     :nodes (map (fn [{:keys [nodes]} y] [:g {:transform (str "translate(" margin " " y ")")} nodes])
              figures places)}))
