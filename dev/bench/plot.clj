(ns bench.plot
  "Points on two logarithmic axes as a picture: `svg`; and the power that fits them: `exponent`."
  (:require
   [clojure.string :as str]))

(set! *warn-on-reflection* true)

(defn exponent
  "The b of the curve a·x^b that fits the `[x y]` best, by least squares of the logarithms. Of the
  points only those from a tenth of the greatest x on: below, what does not grow hides the rest."
  [points]
  (let [far (/ (double (reduce max (map first points))) 10)
        logs (for [[x y] points :when (<= far (double x))] [(Math/log x) (Math/log y)])
        mean (fn [f] (/ (double (reduce + (map f logs))) (count logs)))
        mx (mean first) my (mean second)]
    (/ (double (reduce + (map (fn [[x y]] (* (- (double x) mx) (- (double y) my))) logs)))
      (double (reduce + (map (fn [[x _]] (let [d (- (double x) mx)] (* d d))) logs))))))

(def ^:private width 480)
(def ^:private height 320)
(def ^:private margin {:left 64 :right 16 :top 32 :bottom 44})
(def ^:private marks ["M-4,-4h8v8h-8z" "M0,-5l5,9h-10z" "M-5,0l5,-5 5,5 -5,5z" "M0,5l5,-9h-10z" "M-5,-1h10v2h-10z"])

(defn- decades
  "The powers of ten that enclose the numbers `ns`, as exponents `[low high]`."
  [ns]
  (let [log (fn [n] (Math/log10 (double n)))
        low (long (Math/floor (log (reduce min ns)))) high (long (Math/ceil (log (reduce max ns))))]
    [low (max high (inc low))]))

(defn- scale [[low high] from to]
  (fn [n] (+ (double from) (* (- (double to) (double from)) (/ (- (Math/log10 (double n)) (long low)) (- (long high) (long low)))))))

(defn- number [^long e]
  (cond (<= 0 e 3) (str (long (Math/pow 10 e))) (< e 0) (str "10^" e) :else ({4 "10 k" 5 "100 k" 6 "1 M" 7 "10 M"} e (str "10^" e))))

(defn- axis [[low high] place line label]
  (str/join
    (for [e (range low (inc (long high))) :let [at (format "%.1f" (place (Math/pow 10 e)))]]
      (str (line at) (label at (number e))))))

(defn- curve [x y i [name points]]
  (let [places (for [[a b] points] [(format "%.1f" (x a)) (format "%.1f" (y b))])
        key-x (+ (long (:left margin)) 14) key-y (+ (long (:top margin)) 14 (* 16 (long i)))
        mark (fn [a b] (str "<path transform='translate(" a "," b ")' d='" (marks i) "'/>"))]
    (str "<polyline fill='none' stroke='currentColor' points='" (str/join " " (map #(str/join "," %) places)) "'/>"
      (str/join (map #(apply mark %) places))
      (mark key-x key-y)
      "<text x='" (+ key-x 10) "' y='" (+ key-y 4) "'>" name (format " · x^%.2f" (exponent points)) "</text>")))

(defn svg
  "A picture of the `curves`, `[[name [[x y] …]] …]`, at most five, with their exponents."
  [title x-name y-name curves]
  (let [{:keys [left right top bottom]} margin
        xs (decades (mapcat #(map first (second %)) curves)) ys (decades (mapcat #(map second (second %)) curves))
        x (scale xs left (- (long width) (long right))) y (scale ys (- (long height) (long bottom)) top)
        x1 (- (long width) (long right)) y1 (- (long height) (long bottom))]
    (str "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " width " " height "' font-family='system-ui,sans-serif' font-size='11' fill='currentColor'>\n"
      "<title>" title "</title>"
      "<style>svg{color:#222;background:#fff}@media(prefers-color-scheme:dark){svg{color:#ddd;background:#111}}</style>"
      "<text x='" left "' y='18' font-weight='600'>" title "</text>"
      "<g stroke='currentColor' stroke-opacity='.15'>"
      (axis xs x #(str "<path d='M" % "," top "V" y1 "'/>") (constantly ""))
      (axis ys y #(str "<path d='M" left "," % "H" x1 "'/>") (constantly "")) "</g>"
      (axis xs x (constantly "") #(str "<text text-anchor='middle' x='" %1 "' y='" (+ y1 16) "'>" %2 "</text>"))
      (axis ys y (constantly "") #(str "<text text-anchor='end' x='" (- (long left) 6) "' y='" %1 "' dy='4'>" %2 "</text>"))
      "<text text-anchor='middle' x='" (/ (+ (long left) x1) 2) "' y='" (- (long height) 8) "'>" x-name "</text>"
      "<text x='8' y='18'>" y-name "</text>\n"
      (str/join "\n" (map-indexed (fn [i c] (curve x y i c)) curves))
      "\n</svg>\n")))
