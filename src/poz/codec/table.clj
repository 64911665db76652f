(ns poz.codec.table
  "The tables of the documentation, made from a format table: what a reader of bytes obeys
  is what a reader of the docs sees.

  Each function takes the format table (`poz.format/format`) first:

  - `struct-table` the fields of one type, as Markdown
  - `code-tables`, `algorithms-table`, `sections-table`, `statements-table`
  - `markdown` all of it, one string
  - `doc-lines` one section for a terminal

  Types with a name have a table of their own where they have fields. Names are written
  as the format's text writes them."
  (:require
   [clojure.string :as str]
   [poz.codec.node :as node]
   [poz.codec.rows :as rows]))

(set! *warn-on-reflection* true)

;; ## Markdown

(defn- cell [x]
  (str/replace (str x) "|" "\\|"))

(defn- markdown-table [heads rows]
  (let [line (fn [cells] (str "| " (str/join " | " (map cell cells)) " |"))]
    (str/join "\n" (list* (line heads) (line (map (constantly "---") heads)) (map line rows)))))

(defn- field-cell [{:keys [field depth]}]
  (str (apply str (repeat depth "– ")) "`" field "`"))

(defn struct-table
  "The fields of the type `form` of `table` as a Markdown table: field, type, bytes,
  rule, meaning."
  [table form]
  (markdown-table ["field" "type" "bytes" "rule" "meaning"]
    (map (juxt field-cell :type :bytes :rule :meaning) (rows/rows table form))))

(defn enums
  "`[[path node]]` of the enumerations in the type `form`, `path` naming the field."
  [table form]
  (letfn [(walk [path {:keys [kind item fields] :as node}]
            (concat (when (= :enum kind) [[path node]])
              (when (and item (not (:name item))) (walk path item))
              (mapcat (fn [{:keys [key node]}]
                        (when-not (and (:name node) (not= :enum (:kind node)))
                          (walk (conj path key) node)))
                fields)))]
    (walk [] (rows/parse table form))))

(defn- code-table [{:keys [props]}]
  (let [width (node/width (:as props))]
    (markdown-table ["code" "name" "meaning"]
      (for [[code k {:keys [doc]}] (:codes props)]
        [(str "`" (rows/code-text code width) "`") (name k) doc]))))

(defn code-tables
  "The codes of each enumerated field of the type `form` as Markdown tables."
  [table form]
  (str/join "\n\n"
    (for [[path node] (enums table form)]
      (str "Codes of `" (str/join "." (map rows/snake path)) "`"
        (when (:open (:props node)) " (unknown ones are kept)") ":\n\n"
        (code-table node)))))

(defn algorithms-table
  "The algorithms of keys as a Markdown table, sizes in bytes."
  [{:keys [algorithms types]}]
  (let [width (node/width (:as (:props (node/parse types :algorithm))))]
    (markdown-table ["code" "algorithm" "key" "signature" "secret" "use" "meaning"]
      (for [{:keys [code key use key-size signature-size secret-size doc]} algorithms]
        [(str "`" (rows/code-text code width) "`") (name key) key-size (or signature-size "–")
         secret-size (name use) doc]))))

(defn- section-width [table]
  (:min (:node (first (:fields (rows/struct-of (rows/parse table :toc)))))))

(defn- who-sees [{:keys [private required]}]
  (str (if private "private" "public") (when required ", required")))

(defn sections-table
  "The section types as a Markdown table."
  [{:keys [sections] :as table}]
  (markdown-table ["code" "section" "key in a record" "" "meaning"]
    (for [{:keys [code key doc] :as section} sections]
      [(str "`" (rows/code-text code (section-width table)) "`") (:name section) (str "`" key "`")
       (who-sees section) doc])))

(defn statements-table
  "What is ever signed, as a Markdown table: contexts and the fields of the contents."
  [{:keys [statements] :as table}]
  (markdown-table ["context" "content"]
    (for [[_ {:keys [context content]}] (sort-by (comp :context val) statements)]
      [(str "`" context "`")
       (->> (rows/struct-of (rows/parse table content))
         (:fields)
         (map (comp rows/snake :key))
         (str/join " ‖ "))])))

(defn- limits-table [{:keys [limits]}]
  (markdown-table ["limit" "value"]
    (for [[k v] (sort limits)]
      [(rows/snake k) (if (map? v)
                        (str/join ", " (for [[k v] v] (str (rows/snake k) " " v)))
                        v)])))

(defn- scalars-table [{:keys [types] :as table}]
  (markdown-table ["type" "is" "bytes" "rule" "meaning"]
    (for [k (sort (keys types))
          :let [node (rows/parse table k)]
          :when (#{:bytes :text :u8 :u16 :u32 :u64 :enum} (:kind node))]
      [(str "`" (rows/snake k) "`") (rows/kind-text node) (rows/size-text (rows/most-bytes table) node)
       (str/join "; " (rows/rule-texts node)) (:doc (:props node))])))

(defn- type-block [table form]
  (let [codes (code-tables table form)]
    (str/join "\n\n"
      (cond-> []
        (rows/own-text table form) (conj (rows/own-text table form))
        (seq (rows/rows table form)) (conj (struct-table table form))
        (seq codes) (conj codes)))))

(defn- titled [level title & blocks]
  (str/join "\n\n" (cons (str (apply str (repeat level "#")) " " title) blocks)))

(defn- sentence [{:keys [doc private]}]
  (str (str/upper-case (subs doc 0 1)) (subs doc 1) "." (when private " Never leaves its holder.")))

(defn- outline
  "What a table shows of the type of a section, but for its body."
  [table {:keys [type]}]
  (map (juxt :field :depth :rule :meaning) (rows/rows table type)))

(defn- model
  "The section whose table serves for `section` too: the first with the same fields, if
  that is another one."
  [{:keys [sections] :as table} section]
  (let [same (first (filter #(= (outline table section) (outline table %)) sections))]
    (when-not (= same section) same)))

(defn- section-block [table {:keys [code type body] :as section}]
  (str/join "\n\n"
    (cond-> [(titled 3 (str (:name section) " (`" (rows/code-text code (section-width table)) "`)")
               (sentence section)
               (if-let [{same :name} (model table section)]
                 (str "Fields as in the " same
                   (when body (str ", the body is `" (rows/snake body) "`"))
                   ".")
                 (type-block table type)))]
      body (conj (titled 4 (str "`" (rows/snake body) "`") (type-block table body))))))

(defn- shared-types
  "The types with fields that sections mention and that no section is or owns."
  [{:keys [sections] :as table}]
  (let [own (set (mapcat (juxt :type :body) sections))]
    (->> sections
      (mapcat #(rows/reached table (:type %)))
      (distinct)
      (remove own)
      (filter #(rows/composite? table %)))))

(defn markdown
  "All tables of the format as one Markdown string: the file, its sections, the types
  that they share, algorithms, statements, limits."
  [{:keys [sections] :as table}]
  (let [named (fn [level form] (titled level (str "`" (rows/snake form) "`") (type-block table form)))]
    (str (str/join "\n\n"
           (concat
             ["## File" (named 3 :header) (named 3 :toc)]
             [(titled 2 "Sections" (sections-table table))]
             (map #(section-block table %) sections)
             ["## Shared types" (scalars-table table)]
             (map #(named 3 %) (shared-types table))
             [(titled 2 "Algorithms" (algorithms-table table))
              (titled 2 "What is signed" (statements-table table))
              (titled 2 "Limits" (limits-table table))]))
      "\n")))

;; ## Terminal

(def ^:private ^:const terminal-width 80)

(defn- fill
  "The words of `s` in lines of at most 80 columns, behind `indent` spaces."
  [indent s]
  (let [space (apply str (repeat indent \space))]
    (reduce (fn [lines word]
              (let [longer (str (peek lines) " " word)]
                (if (<= (count longer) terminal-width)
                  (conj (pop lines) longer)
                  (conj lines (str space word)))))
      [(str space (first (str/split s #" ")))]
      (rest (str/split s #" ")))))

(defn- pad [s width]
  (str s (apply str (repeat (- (long width) (count s)) \space))))

(defn- row-lines [{:keys [field type bytes rule meaning depth]}]
  (cons (str/trimr (str "  " (pad (str (apply str (repeat depth "  ")) field) 30) " " (pad type 30) " " bytes))
    (fill (+ 6 (* 2 (long depth)))
      (str/join "; " (remove str/blank? [meaning rule])))))

(defn- type-lines [table form]
  (concat
    [""]
    (fill 0 (str (rows/snake form) (when-let [own (rows/own-text table form)] (str ": " own))))
    (when-let [found (seq (rows/rows table form))]
      (cons (str "  " (pad "field" 30) " " (pad "type" 30) " bytes")
        (mapcat row-lines found)))))

(defn doc-lines
  "The lines that explain the section with the key `key` of `table` on a terminal of 80
  columns: its fields and those of every type in it. Nil where there is no such section."
  [{:keys [sections] :as table} key]
  (when-let [{:keys [code type] :as section} (first (filter #(= key (:key %)) sections))]
    (concat
      [(str (:name section) ", section " (rows/code-text code (section-width table)) ", " (who-sees section))]
      (fill 0 (sentence section))
      (mapcat #(type-lines table %) (filter #(rows/composite? table %) (rows/reached table type))))))
