(ns poz.view.text
  "Text for a terminal: safe, measured, wrapped and, if wanted, coloured.

  A record comes from anybody, and so do the strings in it. `escape` and `quoted` show
  whatever could act on a terminal, hide or reorder text as `\\u{202E}`: control, format
  and bidi characters, line and paragraph separators, white space but U+0020, what is
  invisible, private or unassigned, marks in heaps. No view prints a foreign string else.

  `columns` measures, `wrap` and `pad` lay out, `paint` adds ANSI SGR codes, last and
  never as the only sign of anything. `options` checks the options of a view. `lines` are
  strings that a REPL prints as lines."
  (:require
   [clojure.string :as str])
  (:import
   (java.io Writer)
   (java.util HexFormat)))

(set! *warn-on-reflection* true)

;; ## Escapes

(def ^:private unsafe-types
  (into #{} (map long)
    [Character/CONTROL Character/FORMAT Character/SURROGATE Character/PRIVATE_USE
     Character/UNASSIGNED Character/LINE_SEPARATOR Character/PARAGRAPH_SEPARATOR
     Character/SPACE_SEPARATOR]))

(def ^:private mark-types
  (into #{} (map long) [Character/NON_SPACING_MARK Character/ENCLOSING_MARK]))

(defn- type-of ^long [^long c]
  (Character/getType (int c)))

(defn- mark? [c]
  (contains? mark-types (type-of c)))

(defn- in? [ranges ^long c]
  (some (fn [[low high]] (<= (long low) c (long high))) ranges))

(def ^:private invisible
  "Letters and marks that show nothing, or change how others show."
  [[0x34f 0x34f] [0x115f 0x1160] [0x17b4 0x17b5] [0x180b 0x180f] [0x2800 0x2800]
   [0x3164 0x3164] [0xfe00 0xfe0f] [0xffa0 0xffa0] [0xe0100 0xe01ef]])

(defn unsafe?
  "True if the code point `c` must not reach a terminal as it is."
  [^long c]
  (and (not (<= 0x20 c 0x7e))
    (or (contains? unsafe-types (type-of c)) (boolean (in? invisible c)))))

(def ^:private max-marks 2)

(defn- code-points [^String s]
  (loop [i 0 out []]
    (if (< i (.length s))
      (let [c (.codePointAt s i)]
        (recur (+ i (Character/charCount c)) (conj out c)))
      out)))

(defn- ->hex ^String [^long c]
  (let [hex (.toUpperCase (.toHexDigits (HexFormat/of) c 6))]
    (if (.startsWith hex "00") (subs hex 2) (str/replace hex #"^0" ""))))

(defn- escaped [^long c]
  (if (= 0x5c c) "\\\\" (str "\\u{" (->hex c) "}")))

(defn- plain?
  "True if all of `s` is printable ASCII and none a backslash: nothing to escape."
  [^String s]
  (let [end (.length s)]
    (loop [i 0]
      (cond (= i end) true
            (let [c (int (.charAt s i))] (and (<= 0x20 c) (<= c 0x7e) (not (== 0x5c c)))) (recur (inc i))
            :else false))))

(defn- escape-each ^String [^String s]
  (let [out (StringBuilder.)]
    (reduce (fn [marks c]
              (let [marks (if (mark? c) (inc (long marks)) 0)
                    stray (and (pos? marks) (or (zero? (.length out)) (< (long max-marks) marks)))]
                (if (or stray (= 0x5c (long c)) (unsafe? c))
                  (.append out ^String (escaped c))
                  (.appendCodePoint out (int c)))
                marks))
      0 (code-points s))
    (str out)))

(defn escape
  "`s` with every code point that must not reach a terminal as `\\u{…}`, a backslash
  doubled: what is shown can be told from what was there."
  ^String [^String s]
  (if (plain? s) s (escape-each s)))

(defn quoted
  "`s` between double quotes, escaped."
  ^String [s]
  (str \" (str/replace (escape s) "\"" "\\\"") \"))

;; ## Columns

(def ^:private wide
  "Code points that take two columns, or may."
  [[0x1100 0x115f] [0x2300 0x23ff] [0x2600 0x27bf] [0x2b00 0x2bff] [0x2e80 0xa4cf]
   [0xa960 0xa97f] [0xac00 0xd7a3] [0xf900 0xfaff] [0xfe10 0xfe6f] [0xff00 0xff60]
   [0xffe0 0xffe6] [0x16fe0 0x18dff] [0x1aff0 0x1b2ff] [0x1f000 0x1faff] [0x20000 0x3fffd]])

(defn- code-point-columns ^long [^long c]
  (cond (< c 0x300) 1 (mark? c) 0 (in? wide c) 2 :else 1))

(defn columns
  "How many columns of a terminal the escaped string `s` takes, at most."
  ^long [^String s]
  (let [n (.length s)]
    (loop [i 0 sum 0]
      (if (< i n)
        (let [c (.codePointAt s i)]
          (recur (+ i (Character/charCount c)) (+ sum (code-point-columns c))))
        sum))))

(defn pad
  "`s` with spaces after it, `width` columns in all (more, where `s` has more)."
  [s ^long width]
  (str s (apply str (repeat (- width (columns s)) \space))))

(defn- cut [word ^long width]
  (loop [cs (code-points word) used 0 piece (StringBuilder.) out []]
    (if-let [c (first cs)]
      (let [n (code-point-columns c)]
        (if (< width (+ used n))
          (recur cs 0 (StringBuilder.) (conj out (str piece)))
          (recur (rest cs) (+ used n) (.appendCodePoint piece (int c)) out)))
      (conj out (str piece)))))

(defn- pieces
  "`word` cut into strings of at most `width` columns."
  [word ^long width]
  (if (<= (columns word) width) [word] (cut word width)))

(defn wrap
  "`s` as lines of at most `width` columns (2 or more), cut at spaces where there are."
  [s ^long width]
  (loop [words (mapcat #(pieces % width) (str/split s #" ")) line nil out []]
    (let [word (first words) longer (if line (str line " " word) word)]
      (cond
        (nil? word) (conj out (or line ""))
        (<= (columns longer) width) (recur (rest words) longer out)
        :else (recur (rest words) word (conj out line))))))

(defn hang
  "`s` wrapped to `width` columns, the first line behind `first-indent` spaces, the
  others behind `indent`."
  [s width first-indent indent]
  (let [width (long width) first-indent (long first-indent) indent (long indent)
        space (fn [n] (apply str (repeat n \space)))
        [line & more] (wrap s (- width (max first-indent indent)))]
    (into [(str (space first-indent) line)] (map #(str (space indent) %)) more)))

;; ## Colour

(def ^:private styles {:title "1" :name "36" :faint "2" :error "1;31"
                       :good "32" :bad "1;31" :doubt "33"})

(defn paint
  "`s` in `style` (`:title :name :faint :error :good :bad :doubt`, nil for none) as ANSI SGR, if `color`."
  [color style s]
  (if-let [code (when (and color (seq s)) (styles style))]
    (str "\u001b[" code "m" s "\u001b[0m")
    s))

(defn strip
  "`s` without the SGR codes that `paint` writes."
  [s]
  (str/replace s #"\u001b\[[0-9;]*m" ""))

(defn indented
  "How many spaces `s` starts with."
  ^long [s]
  (count (re-find #"^ *" s)))

;; ## Lines

(defn lines
  "The strings `xs` as a seq that prints one a line, without quotes."
  [xs]
  (with-meta (or (seq xs) ()) {:type ::lines}))

(defmethod print-method ::lines [xs ^Writer w]
  (.write w ^String (str/join "\n" xs)))

;; ## Options

(def option-rows
  "The options that the terminal views share: `:doc`, `:default`, `:check`, `:rule`."
  {:color {:doc "use ANSI colours" :default false :check boolean? :rule "true or false"}
   :width {:doc "columns of the terminal" :default 80 :rule "an integer of 60 to 1000"
           :check #(and (int? %) (<= 60 (long %) 1000))}
   :full {:doc "show long byte strings whole" :default false :check boolean? :rule "true or false"}})

(defn options
  "`given` with the defaults of `rows` (as `option-rows`) for what it leaves out. Throws
  IllegalArgumentException for an option that is not there or a value that will not do."
  [rows given]
  (doseq [[k v] given
          :let [{:keys [check rule]} (rows k)]]
    (when-not check
      (throw (IllegalArgumentException.
               (str "There is no option " (pr-str k) ". There are: " (str/join " " (sort (keys rows))) "."))))
    (when-not (check v)
      (throw (IllegalArgumentException. (str "Option " k " is " rule ", not " (pr-str v) ".")))))
  (into (update-vals rows :default) given))
