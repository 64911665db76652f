(ns poz.codec.node
  "From the forms of a format table to nodes, the one shape that reader, writer,
  schema, generators, hexdump and docs walk.

  Kinds and their properties (sizes in bytes, counts in items):

  | kind | properties | value |
  |---|---|---|
  | `:u8 :u16 :u32 :u64` | `:min :max` | integer |
  | `:unsigned` | | integer of 8 bytes, a BigInt from 2^63 on |
  | `:bytes` | `:size`, or `:prefix :min :max`, or `:rest :min :max`: all that is left | byte string |
  | `:text` | `:min :max`, `:form` `:handle` or `:domain` | string |
  | `:enum` | `:as` an integer kind, `:codes` `[[code keyword {:doc …}]]`, `:open` unknown codes are kept, `:error` for them | keyword (integer) |
  | `:index` | `:use` `:sign` or `:agree` | position in the Public Key Map |
  | `:literal` | `:hex`, `:code` the error where other bytes stand | none: the writer's |
  | `:list` | `:min :max :counts`, `:sort` `:item`, `:encoding` or fields with fixed places, `:id` fields, `:distinct` | vector |
  | `:optional` | | the value; absent: no such key in the struct |
  | `:sized` | `:prefix` | the value; its length goes first |
  | `:struct` | `:rules`, `:source` its bytes are kept beside the value (`poz.codec.source`) | map |
  | `:select` | a struct and some of its fields | map |
  | `:tagged` | `:as` an integer kind; then cases, `[code key {:doc …} type]` | map with one key, that of its case |

  A node is a map: `:kind`, `:props`, `:min` and `:max` bytes, and for the composite
  kinds `:item` (a node) or `:fields` (`[{:key :doc :node}]`, cases with a `:code`). `parse` makes nodes and
  throws, with a sentence, on a table that makes no sense or has no bound."
  (:require
   [poz.codec.rule :as rule]))

(set! *warn-on-reflection* true)

(def ^:private widths {:u8 1 :u16 2 :u32 4 :u64 8})

(defn int-max
  "The greatest integer that the integer kind can hold; for `:u64` the greatest long."
  ^long [kind]
  (case kind :u8 0xff :u16 0xffff :u32 0xffffffff :u64 Long/MAX_VALUE))

(defn unsigned?
  "True if `v` is a value of the kind `:unsigned`: an integer below 2^64 that is a BigInt
  just where it is no long."
  [v]
  (if (int? v)
    (<= 0 (long v))
    (and (instance? clojure.lang.BigInt v) (< Long/MAX_VALUE v 18446744073709551616N))))

(defn width
  "The bytes of an integer kind."
  ^long [kind]
  (long (widths kind)))

(defn- bad! [form why]
  (throw (ex-info (str "Format table: " why ": " (pr-str form)) {:form form})))

(defn- bounded [{:keys [props] :as node} ^long prefix ^long top]
  (let [{:keys [size min max]} props]
    (if size
      (assoc node :min size :max size)
      (assoc node :min (+ prefix (long (or min 0))) :max (+ prefix (long (or max top)))))))

(defn- floor
  "The fewest bytes that anything readable as this node takes, whatever its rules say
  of its content: what a count may be multiplied with before a byte was read."
  ^long [{:keys [kind props fields] :as node}]
  (case kind
    :bytes (cond (:size props) (:min node) (:rest props) 0 :else (width (:prefix props)))
    (:text :list) 2
    :optional 1
    :sized (width (:prefix props))
    :tagged (width (:as props))
    :struct (transduce (map (comp floor :node)) + 0 fields)
    (:min node)))

(declare parse)

(defn- parse-field [registry [key props form :as field]]
  (when-not (and (keyword? key) (map? props) (= 3 (count field)))
    (bad! field "a field is [key {…} type]"))
  {:key key :doc (:doc props) :node (parse registry form)})

(defn- parse-struct [registry {:keys [props args]}]
  (let [fields (mapv #(parse-field registry %) args)]
    {:kind :struct
     :props (update props :rules (partial mapv rule/compile-rule))
     :fields fields
     :min (transduce (map (comp :min :node)) + 0 fields)
     :max (transduce (map (comp :max :node)) +' 0 fields)}))

(defn- parse-select [registry {:keys [args]}]
  (let [[of keys] args
        source (if (vector? of) (:item (parse registry (second of))) (parse registry of))
        by-key (into {} (map (juxt :key identity)) (:fields source))
        fields (mapv #(or (by-key %) (bad! args (str "no such field " %))) keys)]
    {:kind :struct :props {:rules []} :fields fields
     :min (transduce (map (comp :min :node)) + 0 fields)
     :max (transduce (map (comp :max :node)) +' 0 fields)}))

(defn- parse-case [registry [code key props form :as row]]
  (when-not (and (int? code) (keyword? key) (map? props) (= 4 (count row)))
    (bad! row "a case is [code key {…} type]"))
  {:code code :key key :doc (:doc props) :node (parse registry form)})

(defn- parse-tagged [registry {:keys [props args]}]
  (let [cases (mapv #(parse-case registry %) args)
        n (width (:as props))]
    {:kind :tagged :props props :fields cases
     :min (+ n (long (transduce (map (comp :min :node)) min Long/MAX_VALUE cases)))
     :max (+' n (transduce (map (comp :max :node)) max 0 cases))}))

(defn- parse-list [registry {:keys [props args] :as node}]
  (let [item (parse registry (first args))
        {:keys [min max counts]} props
        least (long (or (first counts) min 0))
        most (long (or (peek counts) max 65535))]
    (when-not (pos? (long (:min item)))
      (bad! args "an item of a list has at least one byte"))
    (-> (dissoc node :args)
      (assoc :item item :item-floor (floor item) :least least :most most
             :min (+ 2 (* least (long (:min item))))
             :max (+' 2 (*' most (:max item)))))))

(defn- parse-kind [registry {:keys [kind props args] :as node} form]
  (case kind
    (:u8 :u16 :u32 :u64) (let [{lo :min hi :max} props]
                           (assoc (dissoc node :args) :min (width kind) :max (width kind)
                                  :low (or lo 0) :high (or hi (int-max kind))))
    :bytes (let [prefix (:prefix props)]
             (when-not (or (:size props) prefix (and (:rest props) (:max props)))
               (bad! form "bytes need :size or :prefix, or :rest and :max"))
             (bounded node (if prefix (width prefix) 0) (if prefix (int-max prefix) 0)))
    :text (bounded node 2 65535)
    :enum (let [n (width (:as props))] (assoc node :min n :max n))
    :unsigned (assoc node :min 8 :max 8)
    :index (assoc node :min 2 :max 2)
    :literal (let [n (quot (count (:hex props)) 2)] (assoc node :min n :max n))
    :list (parse-list registry node)
    :optional (let [item (parse registry (first args))]
                (assoc (dissoc node :args) :item item :min 1 :max (+' 1 (:max item))))
    :sized (let [item (parse registry (first args)) n (width (:prefix props))]
             (when (< (int-max (:prefix props)) (:max item))
               (bad! form "its prefix cannot count what it holds"))
             (assoc (dissoc node :args) :item item :min (+ n (long (:min item))) :max (+' n (:max item))))
    :struct (parse-struct registry node)
    :select (parse-select registry node)
    :tagged (parse-tagged registry node)
    (bad! form "no such kind")))

(def ^:private latest
  "`[registry nodes]`: the registry that was parsed by last, and what its names came to, an atom. The
  types of a format share most of their parts: without this each is parsed six times."
  (atom nil))

(defn- nodes-of [registry]
  (let [[of nodes] @latest]
    (if (identical? of registry)
      nodes
      (peek (reset! latest [registry (atom {})])))))

(defn- parse-name [registry name]
  (let [nodes (nodes-of registry)]
    (or (@nodes name)
      (let [node (assoc (parse registry (registry name)) :name name)]
        (swap! nodes assoc name node)
        node))))

(defn parse
  "The node for the type `form`, its names looked up in `registry`, a map of name →
  type. A node that came by a name carries it as `:name`."
  [registry form]
  (cond
    (and (keyword? form) (contains? registry form)) (parse-name registry form)
    (keyword? form) (parse registry [form {}])
    (and (vector? form) (= :select (first form)))
    (parse-kind registry {:kind :select :args (subvec form 1)} form)
    (and (vector? form) (map? (second form)))
    (parse-kind registry {:kind (first form) :props (second form) :args (subvec form 2)} form)
    (vector? form) (parse registry (into [(first form) {}] (subvec form 1)))
    :else (bad! form "a type is a keyword or a vector")))
