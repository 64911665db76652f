(ns poz.codec.order
  "What the items of a list owe one another, as functions of values: their order and
  their identity.

  `:sort` is `:item` (the items themselves ascend), `:encoding` (their bytes do, so
  that only reader and writer can tell) or the fields by which they ascend. `:id` is
  the fields that no two items share, `:distinct` says that no two items are equal."
  (:import
   (clojure.lang APersistentVector)))

(set! *warn-on-reflection* true)

(defn key-fn
  "A function of a map that gives the value of `fields` in it: the value itself of a
  single field, else a vector."
  [fields]
  (if (= 1 (count fields))
    (first fields)
    (apply juxt fields)))

(defn- rank-fn
  "A function that gives a value of `node` as something that `compare` orders as the
  bytes are ordered: a keyword of an enumeration as its code."
  [{:keys [kind props]}]
  (if (= :enum kind)
    (let [code (into {} (map (fn [[code k]] [k code])) (:codes props))]
      (fn [v] (code v v)))
    identity))

(defn- field-rank [{:keys [fields]} k]
  (let [rank (rank-fn (:node (first (filter #(= k (:key %)) fields))))]
    (if (= identity rank) k (comp rank k))))

(defn- compare-by [[rank & more]]
  (if more
    (let [compare-rest (compare-by more)]
      (fn [a b]
        (let [c (compare (rank a) (rank b))]
          (if (zero? c) (compare-rest a b) c))))
    (fn [a b] (compare (rank a) (rank b)))))

(defn item-comparator
  "For a list node sorted by values: the comparator of its items, else nil."
  [{:keys [item props]}]
  (case (:sort props)
    (nil :encoding) nil
    :item (compare-by [(rank-fn item)])
    (compare-by (mapv #(field-rank item %) (:sort props)))))

(defn id-fn
  "For a list node: the function that gives what no two of its items share, or nil."
  [{:keys [props]}]
  (cond (:distinct props) identity
        (:id props) (key-fn (:id props))))

(defn count-check
  "For a list node: the function of a number of items that gives why the list may not
  have that many, as facts, or nil."
  [{:keys [least most props]}]
  (let [least (long least) most (long most) counts (:counts props)]
    (fn [^long n]
      (when-not (and (<= least n) (<= n most) (or (nil? counts) (some #{n} counts)))
        {:rule (if counts
                 (str "one of " (pr-str counts) " items")
                 (str least " to " most " items"))
         :found n}))))

(defn count-fault
  "Why a list of `n` items has not the length that its node asks for, as facts, or nil."
  [node n]
  ((count-check node) n))

(defn pair-fault
  "What is wrong where comparing an item with the one before it gave `c` (negative:
  it is lower), as `[error facts]`, or nil. `i` is the item's position."
  [^long c ^long i]
  (cond
    (zero? c) [:format/duplicate {:rule "items ascend strictly"
                                  :found (str "item " i " equal to item " (dec i))}]
    (pos? c) [:format/unsorted {:rule "items ascend"
                                :found (str "item " i " below item " (dec i))}]))

(defn- key-text [i algorithm]
  (str "key " i ", " (if (keyword? algorithm)
                       (name algorithm)
                       (str "of the unknown algorithm " algorithm))))

(defn key-use-fault
  "Why the key index `i` does not serve for `use` (`:sign`, `:agree`, or nil for any)
  in a map whose keys have these `algorithms`, as `[error facts]`, or nil."
  [^APersistentVector algorithms use ^long i]
  (if (<= (.size algorithms) i)
    [:format/index {:rule (str "a position in a map of " (count algorithms) " keys") :found i}]
    (let [algorithm (.get algorithms i)
          agrees (identical? :x25519 algorithm)]
      (case use
        :sign (when agrees [:format/key-use {:rule "a key that signs" :found (key-text i algorithm)}])
        :agree (when-not agrees [:format/key-use {:rule "an x25519 key" :found (key-text i algorithm)}])
        nil))))

(defn found-in
  "What to show of the value `v` of a field that breaks a rule of its struct."
  [code v]
  (if (= :format/length code) (count v) (pr-str v)))
