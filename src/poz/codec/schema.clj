(ns poz.codec.schema
  "From nodes to schemas in the form of Malli: what a value must be, as data.

  `(schema node)` gives a vector that Malli takes as it is (its default registry, no
  sci) and that `poz.codec.validate` reads without Malli. It refuses exactly what the
  writer of the same node refuses. Only a whole record can tell whether a key index
  leads to a fitting key: `poz.record.schema` adds that.

  Rules that Malli has no word for are `[:fn props predicate]`. Their `:error/message`
  is the rule as a sentence; `:poz/problems`, a function of the value that gives
  `[{:path … :message …}]`, tells all that is wrong and where, for our own validator.
  A message holds positions and counts, never the bytes of a value."
  (:require
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.ids :as ids]
   [poz.codec.node :as node]
   [poz.codec.order :as order]
   [poz.codec.text :as text]))

(set! *warn-on-reflection* true)

(defn check
  "A `:fn` schema: `rule` is its sentence, `problems` gives what is wrong with a value."
  [rule problems]
  [:fn {:error/message rule :poz/problems problems} (fn [v] (empty? (problems v)))])

(defn- span [low high unit]
  (if (= low high)
    (str low " " unit)
    (str low " to " high " " unit)))

(defn- int-form [{:keys [low high]}]
  [:int {:min low :max high :error/message (str "an integer, " low " to " high)}])

(defn- unsigned-form [_]
  [:fn {:error/message "an integer, 0 to 18446744073709551615"} node/unsigned?])

(defn- bytes-form [{:keys [props]}]
  (let [{:keys [size prefix min max]} props
        low (long (or size min 0)) high (long (or size max (node/int-max prefix)))]
    [:fn {:error/message (str "a byte string of " (span low high "bytes"))}
     (fn [v] (and (bytes/bytes? v) (<= low (count v) high)))]))

(defn- text-rule [{:keys [min max form]}]
  (str (case form :handle "a handle" :domain "a domain" "a string") " of "
    (span (or min 0) (or max 65535) "bytes in UTF-8, without control characters")))

(defn- text-problem [props s]
  (if (string? s)
    (if-let [b (text/encode-utf8 s)]
      (:rule (text/fault s (alength b) props))
      "no half of a surrogate pair")
    "a string"))

(defn- text-form [{:keys [props]}]
  (check (text-rule props)
    (fn [v] (when-let [rule (text-problem props v)] [{:path [] :message rule}]))))

(defn- enum-form [{:keys [props]}]
  (let [{:keys [as codes open]} props
        names (mapv second codes)
        known (into #{} (mapcat #(take 2 %)) codes)
        high (node/int-max as)]
    (if open
      [:fn {:error/message (str "one of " (pr-str names) ", or an unknown code up to " high)}
       (fn [v] (or (boolean (some #{v} names))
                 (and (int? v) (<= 0 (long v) high) (not (known v)))))]
      (into [:enum {:error/message (str "one of " (pr-str names))}] names))))

(defn- index-form [_]
  (int-form {:low 0 :high (node/int-max :u16)}))

(declare schema)

(defn- count-check [node]
  (when (get-in node [:props :counts])
    (check (:rule (order/count-fault node -1))
      (fn [v] (when-let [{:keys [rule found]} (order/count-fault node (count v))]
                [{:path [] :message (str rule ", not " found)}])))))

(defn- encoder [item]
  (let [compiled (codec/of-node item)]
    (fn [v] (codec/encode compiled v))))

(defn- order-problems [rank compare-ranks v]
  (let [ranks (mapv rank v)]
    (for [i (range 1 (count ranks))
          :let [[_ {:keys [rule found]}]
                (order/pair-fault (compare-ranks (ranks (dec i)) (ranks i)) i)]
          :when rule]
      {:path [i] :message (str rule ": " found)})))

(defn- order-check [{:keys [item props] :as node}]
  (when-let [by (:sort props)]
    (let [rank (if (= :encoding by) (encoder item) identity)
          compare-ranks (or (order/item-comparator node) compare)]
      (check (str "items ascend strictly by " (if (vector? by) (pr-str by) (name by)))
        (fn [v] (order-problems rank compare-ranks v))))))

(defn- id-problems [id v]
  (let [first-of (into {} (map-indexed (fn [i k] [k (- (count v) 1 (long i))])) (rseq (mapv id v)))]
    (for [i (range (count v))
          :let [before (first-of (id (nth v i)))]
          :when (< (long before) (long i))]
      {:path [i] :message (str "no two items share an id: item " i " has that of item " before)})))

(defn- id-check [node]
  (when-let [id (ids/id-fn node)]
    (check "no two items share an id" (fn [v] (when (seq v) (id-problems id v))))))

(defn- all-of [form checks]
  (if-let [checks (seq (remove nil? checks))]
    (into [:and form] checks)
    form))

(defn- list-form [{:keys [item least most] :as node}]
  (all-of [:vector {:min least :max most
                    :error/message (str "a vector of " (span least most "items"))}
           (schema item)]
    [(count-check node) (order-check node) (id-check node)]))

(defn- field-entry [{:keys [key node]}]
  (case (:kind node)
    :literal nil
    :optional [key {:optional true} (schema (:item node))]
    [key (schema node)]))

(defn- rule-form [{:keys [rule field holds?]}]
  [:fn {:error/message rule :error/path [field]} holds?])

(defn- struct-form [{:keys [fields props]}]
  (all-of (into [:map {:closed true}] (keep field-entry) fields)
    (map rule-form (:rules props))))

(defn- tagged-form [{:keys [fields]}]
  [:and
   (into [:map {:closed true}] (map (fn [{:keys [key node]}] [key {:optional true} (schema node)])) fields)
   [:fn {:error/message (str "one of the keys " (pr-str (mapv :key fields)))} #(= 1 (count %))]])

(def compilers
  "Kind → function of a node that gives a schema. A `:literal` has no value, so none."
  {:u8 int-form :u16 int-form :u32 int-form :u64 int-form
   :unsigned unsigned-form
   :bytes bytes-form
   :text text-form
   :enum enum-form
   :index index-form
   :literal (constantly :nil)
   :list list-form
   :optional (fn [{:keys [item]}] [:maybe (schema item)])
   :sized (fn [{:keys [item]}] (schema item))
   :struct struct-form
   :tagged tagged-form})

(defn schema
  "The schema of the values of `node`, a Malli form."
  [{:keys [kind] :as node}]
  ((compilers kind) node))
