(ns poz.codec.order
  "What the items of a list owe one another: their order and their identity.

  `:sort` is `:item` (the items themselves ascend), `:encoding` (their bytes do, so
  that only reader and writer can tell) or the fields by which they ascend. `:id` is
  the fields that no two items share, `:distinct` says that no two items are equal.

  Values are ordered as their bytes are, so there are two ways to ask: `item-comparator`
  compares values, `encoding-comparator` the bytes at hand, which is faster."
  (:require
   [poz.codec.value :as value])
  (:import
   (clojure.lang APersistentVector IFn$LO IFn$OL IFn$OLLLL IFn$OLOO IFn$OOLO)
   (java.util Arrays)))

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

;; ## Identity

(defn id-fn
  "For a list node: the function that gives what no two of its items share, or nil."
  [{:keys [props]}]
  (cond (:distinct props) identity
        (:id props) (key-fn (:id props))))

(defn- share-fields
  "A function that says whether two maps have the same values of `fields`. The last one is
  looked at first: an id goes from the common to the particular."
  [fields]
  (reduce (fn [share-rest k]
            (fn [a b]
              (and (value/equal? (value/of a k) (value/of b k)) (share-rest a b))))
    (fn [_ _] true) fields))

(defn- id-fields
  "The fields of an item that make its id; nil where the item itself does."
  [{:keys [item props]}]
  (or (:id props) (seq (map :key (:fields item)))))

(defn- hash-fields
  "A function of a map that gives a hash of its values of `fields`."
  ^IFn$OL [fields]
  (if-let [k (peek fields)]
    (let [hash-rest (hash-fields (pop fields))]
      (fn ^long [m] (unchecked-add (unchecked-multiply 31 (.invokePrim hash-rest m)) (hash (value/of m k)))))
    (fn ^long [_] 0)))

(def ^:private ^:const few 8)

(defn seen
  "What an `id-check` of `n` items is to remember them by: a hash table, of which each place has
  an item's hash and its position + 1, or 0. It holds them close together, so that looking at
  many items does not take longer for each."
  ^longs [^long n]
  (when (< few n) (long-array (* 2 (Long/highestOneBit (* 2 n))))))

(defn- remember
  "A function of a table as `seen` gives, items, and the position of one of them, which puts that
  item into the table, or says that one with the same id is in it."
  ^IFn$OOLO [^IFn$OL hash-of share?]
  (fn [^longs table ^objects items ^long i]
    (let [item (aget items i) hash (.invokePrim hash-of item)
          high (bit-shift-left hash 32) mask (dec (alength table))]
      (loop [at (bit-and hash mask)]
        (let [entry (aget table at)]
          (cond (zero? entry) (do (aset table at (bit-or high (inc i))) false)
                (and (= high (bit-and entry -0x100000000))
                  (share? (aget items (dec (bit-and entry 0xffffffff))) item)) true
                :else (recur (bit-and (inc at) mask))))))))

(defn id-facts
  "The facts of the fault that `item` shares its id with another."
  [node item]
  {:rule "no two items share an id" :found (pr-str ((id-fn node) item))})

(defn id-check
  "For a list node no two of whose items may share an id: a function of an array of items, a
  position in it and what `seen` gave, which says whether an item before the one at the
  position shares its id; else nil. It is called for each position in turn."
  ^IFn$OLOO [node]
  (when (id-fn node)
    (let [fields (id-fields node)
          ^IFn$OL hash-of (if fields (hash-fields (vec fields)) (fn ^long [item] (hash item)))
          share? (if fields (share-fields fields) value/equal?)
          shares-with-seen? (remember hash-of share?)]
      (fn [^objects items ^long i ids]
        (let [item (aget items i)]
          (if ids
            (.invokePrim shares-with-seen? ids items i)
            (loop [j 0]
              (cond (= i j) false
                    (share? (aget items j) item) true
                    :else (recur (inc j))))))))))

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
