(ns poz.codec.rows
  "Words for the types of a format table, and the rows of its documentation.

  A *row* is `{:field :type :bytes :rule :meaning :depth}`, a field of a struct in words;
  the fields of an inner struct follow the row that holds them, one deeper. Types with a
  name and fields have rows of their own. `poz.codec.table` lays rows out."
  (:require
   [clojure.string :as str]
   [poz.codec.node :as node]))

(set! *warn-on-reflection* true)

;; ## Words for nodes

(defn snake
  "The name of `k` as the format's text writes names."
  [k]
  (str/replace (name k) "-" "_"))

(defn code-text
  "The code `code`, `width` bytes wide, in hex."
  [code width]
  (format (str "0x%0" (* 2 (long width)) "x") code))

(defn- interval [low high]
  (if (= low high) (str low) (str low "–" high)))

(defn size-text
  "The bytes of a node, `most` being as many as a file can have."
  [most {lo :min hi :max}]
  (if (< (long most) hi) (str lo " or more") (interval lo hi)))

(declare type-text)

(defn kind-text
  "What `node` is, in words, whatever its name."
  [{:keys [kind props item]}]
  (case kind
    :bytes (let [{:keys [size prefix]} props]
             (cond size (str size " bytes") prefix (str (name prefix) " length, bytes") :else "bytes, all that are left"))
    :unsigned "u64"
    :tagged (str (name (:as props)) " code, then one of")
    :text "string"
    :enum (str (name (:as props)) " code")
    :literal "fixed"
    :list (if (and (= :struct (:kind item)) (not (:name item)))
            "list"
            (str "list of " (type-text item)))
    :optional (str "optional " (type-text item))
    :sized (str (name (:prefix props)) " length, " (type-text item))
    (name kind)))

(defn- type-text [{:keys [name] :as node}]
  (if name (snake name) (kind-text node)))

(defn- sort-text [{:keys [sort id distinct]}]
  (cond-> []
    (= :item sort) (conj "items ascend")
    (= :encoding sort) (conj "sorted by encoding")
    (vector? sort) (conj (str "sorted by " (str/join ", " (map snake sort))))
    id (conj (str "id " (str/join ", " (map snake id))))
    distinct (conj "no item twice")))

(defn- count-texts [{:keys [props least most]}]
  (let [{:keys [counts max]} props]
    (cond
      counts [(str (str/join ", " (pop counts)) " or " (peek counts) " items")]
      max [(str (interval least most) " items")]
      (pos? (long least)) [(str least " or more items")])))

(defn- length-texts [{:keys [kind props]}]
  (let [{:keys [min max prefix]} props]
    (cond
      (not (or prefix (= :text kind))) nil
      max [(str (interval (or min 0) max) " bytes")]
      min [(str min " or more bytes")])))

(defn- range-texts [{:keys [props]}]
  (let [{:keys [min max]} props]
    (cond
      (and min max) [(interval min max)]
      max [(str "at most " max)]
      min [(str "at least " min)])))

(defn rule-texts
  "What `node` asks of a value, a seq of phrases."
  [{:keys [kind props item fields] :as node}]
  (case kind
    (:u8 :u16 :u32 :u64) (range-texts node)
    (:bytes :text) (concat (length-texts node) (when-let [form (:form props)] [(name form)])
                     (when-let [names (:names props)] [(str "names a " (name names))]))
    :enum (cond-> [(str/join ", " (map (fn [[code k]] (str code " " (name k))) (:codes props)))]
            (:open props) (conj "others are kept"))
    :index (case (:use props) :sign ["a key that signs"] :agree ["an x25519 key"] nil)
    :literal [(:hex props)]
    :tagged [(str/join ", " (map (fn [{:keys [code key]}] (str code " " (name key))) fields))]
    :list (concat (count-texts node) (sort-text props) (when-not (:fields item) (rule-texts item)))
    (:optional :sized) (when-not (:name item) (rule-texts item))
    nil))

;; ## Rows

(defn- inside
  "The fields that follow a node's row: those of an inner struct without a name."
  [{:keys [kind name item fields]}]
  (cond
    name nil
    (#{:struct :tagged} kind) {:fields fields :depth 1}
    (#{:list :optional :sized} kind) (when-not (:name item) (inside item))))

(defn- rules-of [{:keys [props]}]
  (group-by :field (:rules props)))

(defn struct-of
  "The struct of a node whose rows a table shows: itself, or what its items are."
  [{:keys [kind item] :as node}]
  (cond (#{:struct :tagged} kind) node
        (and item (not (:name item))) (struct-of item)))

(defn- told-elsewhere?
  "True of a type with a name that has fields or a doc of its own."
  [{:keys [name props] :as node}]
  (and name (or (:doc props) (struct-of node))))

(declare struct-rows)

(defn- field-rows [most depth rules {:keys [key doc node]}]
  (cons {:field (snake key)
         :depth depth
         :type (type-text node)
         :bytes (size-text most node)
         :rule (str/join "; " (remove #{doc} (concat (when-not (told-elsewhere? node) (rule-texts node))
                                               (map :rule (rules key)))))
         :meaning doc}
    (when (inside node)
      (struct-rows most (inc (long depth)) (struct-of node)))))

(defn- struct-rows [most depth {:keys [fields] :as struct}]
  (mapcat #(field-rows most depth (rules-of struct) %) fields))

(defn most-bytes
  "As many bytes as a file of `table` can have."
  [{:keys [limits]}]
  (:max-file-size limits))

(defn parse
  "The node of the type `form` of `table`."
  [{:keys [types]} form]
  (node/parse types form))

(defn rows
  "The rows of the type `form` of `table`: of a list of structs those of its items."
  [table form]
  (let [node (parse table form)]
    (vec (when-let [struct (struct-of node)]
           (struct-rows (most-bytes table) 0 struct)))))

(defn own-text
  "What the type `form` is, beside its fields: a sentence, or nil for a struct."
  [table form]
  (let [{:keys [kind] :as node} (parse table form)]
    (when-not (= :struct kind)
      (str (str/capitalize (str/join "; " (cons (kind-text node) (rule-texts node)))) "."))))

(defn- inner-names
  "The names of the types that the table of `form` mentions, in order, itself left out."
  [table form]
  (letfn [(walk [{:keys [item fields]}]
            (concat (when item (visit item)) (mapcat (comp visit :node) fields)))
          (visit [{:keys [name] :as node}]
            (if name [name] (walk node)))]
    (distinct (walk (parse table form)))))

(defn reached
  "`form` and the names of all types that it is made of, in the order of mention."
  [table form]
  (loop [[k & more] [form] seen []]
    (cond (nil? k) seen
          (some #{k} seen) (recur more seen)
          :else (recur (concat (inner-names table k) more) (conj seen k)))))

(defn composite?
  "True if the type `form` is a struct or a list."
  [table form]
  (contains? #{:struct :list :tagged} (:kind (parse table form))))
