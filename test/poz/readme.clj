(ns poz.readme
  "The parts of README.md that are made from the tables of the code, and its examples."
  (:require
   [clojure.string :as str]
   [poz.cli.support :as support]
   [poz.codec.table :as table]
   [poz.format :as format]
   [poz.main :as main]
   [poz.rulebook :as rulebook]))

(set! *warn-on-reflection* true)

(defn- commands []
  (str "| command | |\n|---|---|\n"
    (str/join (for [{:keys [name summary]} (main/commands)]
                (str "| `" name "` | " summary " |\n")))
    "\n| exit code | |\n|---|---|\n"
    (str/join (for [[code doc] support/exit-codes] (str "| " code " | " doc " |\n")))))

(def parts
  "Name of a generated part → function that makes it."
  {"commands" commands
   "rules" rulebook/markdown
   "format" #(str/replace (table/markdown format/format) #"(?m)^(#+) " "#$1 ")})

(defn regenerate
  "`text` with every generated part made anew."
  [text]
  (str/replace text #"(?s)<!-- generated: (\w+) -->\n.*?<!-- end -->"
    (fn [[_ name]]
      (str "<!-- generated: " name " -->\n\n" (str/trim ((parts name))) "\n\n<!-- end -->"))))

(defn examples
  "`[[form-text expected-text]]` of the Clojure in `text`: each form up to a line `;=> …` (or
  `; => …`, as the formatter writes it); a form without one has nil."
  [text]
  (loop [lines (str/split-lines text) form [] out []]
    (if-let [line (first lines)]
      (cond
        (re-find #"^ *; ?=>" line)
        (recur (rest lines) [] (conj out [(str/join "\n" form) (str/trim (str/replace line #"^ *; ?=>" ""))]))
        :else (recur (rest lines) (conj form line) out))
      (cond-> out (seq (remove str/blank? form)) (conj [(str/join "\n" form) nil])))))

(defn clojure-blocks
  "The texts of the ```clojure blocks of Markdown, in order."
  [markdown]
  (map second (re-seq #"(?s)```clojure\n(.*?)```" markdown)))
