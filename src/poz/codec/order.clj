(ns poz.codec.order
  "What the items of a list owe one another: their order. That no two of them are the same is in
  `poz.codec.ids`.

  `:sort` is `:item` (the items themselves ascend), `:encoding` (their bytes do, so
  that only reader and writer can tell) or the fields by which they ascend.

  Values are ordered as their bytes are, so there are two ways to ask: `item-comparator`
  compares values, `encoding-comparator` the bytes at hand, which is faster."
  (:import
   (clojure.lang APersistentVector IFn$LO IFn$OLLLL)
   (java.util Arrays)))

(set! *warn-on-reflection* true)

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

;; ## Order of bytes

(defn- place
  "`[from to]`, where in an item of the node `item` the bytes of the field `k` are."
  [{:keys [fields]} k]
  (let [[before [field]] (split-with #(not= k (:key %)) fields)
        fixed? (fn [{:keys [node]}] (= (:min node) (:max node)))
        from (transduce (map (comp :min :node)) + 0 before)]
    (when-not (every? fixed? (cons field before))
      (throw (ex-info (str "Format table: items are sorted by what has no fixed place: " k) {:key k})))
    [from (+ (long from) (long (:min (:node field))))]))

(defn- joined
  "`places` with those made one of which the second begins where the first ends."
  [places]
  (reduce (fn [joined [from to]]
            (if (= from (peek (peek joined)))
              (conj (pop joined) [(first (peek joined)) to])
              (conj joined [from to])))
    [] places))

(defn- compare-places [[[from to] & more]]
  (let [from (long from) to (long to)
        ^IFn$OLLLL compare-rest (when more (compare-places more))]
    (fn ^long [^bytes array ^long a ^long b ^long end]
      (let [c (Arrays/compareUnsigned array (unchecked-int (+ a from)) (unchecked-int (+ a to))
                array (unchecked-int (+ b from)) (unchecked-int (+ b to)))]
        (if (and (zero? c) compare-rest)
          (.invokePrim compare-rest array a b end)
          c)))))

(defn- compare-all ^long [^bytes array ^long a ^long b ^long end]
  (Arrays/compareUnsigned array (unchecked-int a) (unchecked-int b) array (unchecked-int b) (unchecked-int end)))

(defn encoding-comparator
  "For the node of a sorted list: a function of an array and the offsets in it of an item, of
  the next one and of that one's end, which compares the two by their bytes; else nil."
  ^IFn$OLLLL [{:keys [item props]}]
  (case (:sort props)
    nil nil
    :encoding compare-all
    :item (compare-places [[0 (:min item)]])
    (compare-places (joined (mapv #(place item %) (:sort props))))))

;; ## Faults

(defn count-check
  "For a list node: the function of a number of items that gives why the list may not
  have that many, as facts, or nil."
  ^IFn$LO [{:keys [least most props]}]
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
