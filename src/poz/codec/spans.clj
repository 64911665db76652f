(ns poz.codec.spans
  "The tracing reader: what each byte of an encoding is, of broken ones up to the fault.

  It walks a node over the bytes, beside the compiled reader (`poz.codec.read`) and
  without its composites, and gives a tree of *spans*, plain maps:

  - `:key` field or position in the parent; `:length`, `:count`, `:present`, `:tag` for what
    only encoders write; `:content` what a length or a presence byte stands before
  - `:kind` and, of a type with a name, `:name`; `:doc` the field's
  - `:at` offset of the first byte, `:size` how many
  - `:value` what they mean; none where that is nothing, or where it is broken
  - `:children` the spans inside, which cover it whole; a span without is a *leaf*
  - `:broken` true from the root down to the fault, `:error` the anomaly, on the
    innermost span that it is about

  The leaves lie one after another without gap. Where bytes end too soon the last leaf
  has what is left, and perhaps no bytes. `trace` and the compiled reader agree on value
  and error for all bytes; leaf readers and the rules of values are all that they share.

  A tree takes some hundred times the memory of its bytes: nothing for a server."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.ids :as ids]
   [poz.codec.input :as input]
   [poz.codec.node :as node]
   [poz.codec.order :as order]
   [poz.codec.read :as read]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

;; ## Spans

(defn fault
  "The anomaly `code` at the offset `at` and the path `path`, as the compiled reader
  throws it."
  [path code at facts]
  (error/anomaly code (assoc facts :at at :path path)))

(defn break
  "`span` with the anomaly `error` on its descendant that the keys `ks` lead to; with
  no keys, on itself."
  [span ks error]
  (let [broken (assoc span :broken true)]
    (if-let [[k & more] (seq ks)]
      (-> (dissoc broken :value)
        (update :children (partial mapv #(if (= k (:key %)) (break % more error) %))))
      (assoc broken :error error))))

(defn error-of
  "The anomaly somewhere in `span`, or nil."
  [{:keys [broken error children]}]
  (when broken
    (or error (some error-of children))))

(defn end
  "The offset after the last byte of `span`."
  ^long [{:keys [at size]}]
  (+ (long at) (long size)))

(defn leaves
  "The leaves of `span` in the order of their bytes, lazily."
  [{:keys [children] :as span}]
  (if (seq children) (mapcat leaves children) [span]))

(defn raw
  "A leaf of bytes that no node reads, from `at` to `end`."
  [key at end]
  {:key key :kind :raw :at at :size (- (long end) (long at))})

(defn- typed [{:keys [kind name]}]
  (cond-> {:kind kind} name (assoc :name name)))

(defn- composite [node children value]
  (let [at (:at (first children))
        span (assoc (typed node) :at at :size (- (end (peek children)) (long at)) :children children)]
    (cond
      (some :broken children) (assoc span :broken true)
      (some? value) (assoc span :value value)
      :else span)))

;; ## The cursor

(defn cursor
  "What a tracer walks over: the bytes of `b` and a reader at their start."
  [b]
  {:bytes b :reader (input/reader b)})

(defn trailing
  "The span of what is left before the end of what may be read, broken as bytes that
  should not be there; nil where nothing is left. `found` words their number."
  [{:keys [reader]} path found]
  (let [at (input/position reader) n (input/remaining reader)]
    (when (pos? n)
      (break (raw :trailing at (+ at n)) [] (fault path :format/trailing at {:found (found n)})))))

(defn- rewind! [reader at]
  (input/seek! reader at (+ (input/position reader) (input/remaining reader))))

(defn- truncated [{:keys [reader]} key path ^long need]
  (let [at (input/position reader) left (input/remaining reader)]
    (when (< left need)
      (break (raw key at (+ at left)) []
        (fault path :format/truncated at
          {:expected (str need (if (= need 1) " byte" " bytes")) :found left})))))

;; ## Leaves

(defn- leaf-value
  "What the compiled reader of the scalar `node` reads, or its anomaly under `path`."
  [node reader path]
  (let [v (error/attempt #((read/compile-reader node 0) reader))]
    (if (error/anomaly? v)
      (fault path (:poz/error v) (:at v) (dissoc v :poz/anomaly :poz/error :message :at :path))
      v)))

(defn- trace-fixed [node {:keys [reader]} path]
  (let [at (input/position reader)
        left (input/remaining reader)
        size (if (:rest (:props node)) left (min (long (:min node)) left))
        v (leaf-value node reader path)
        span (assoc (typed node) :at at :size size)]
    (cond
      (error/anomaly? v) (break span [] v)
      (some? v) (assoc span :value v)
      :else span)))

(def ^:private integers
  (into {} (map (juxt identity #(node/parse {} %))) [:u8 :u16 :u32]))

(defn- trace-prefix [key kind cursor path]
  (assoc (trace-fixed (integers kind) cursor path) :key key))

(defn- trace-prefixed
  "A scalar after its length. The compiled reader reads both: where it faults at the
  first byte the length is to blame."
  [{:keys [kind] :as node} prefix {:keys [reader] :as cursor} path]
  (let [at (input/position reader)
        length (trace-prefix :length prefix cursor path)]
    (if (:broken length)
      (composite node [length] nil)
      (let [start (input/position reader)
            size (min (long (:value length)) (input/remaining reader))
            content {:key :content :kind kind :at start :size size}
            v (do (rewind! reader at) (leaf-value node reader path))]
        (cond
          (not (error/anomaly? v)) (composite node [length (assoc content :value v)] v)
          (= at (:at v)) (composite node [(break length [] v)] nil)
          :else (composite node [length (break content [] v)] nil))))))

(defn- trace-bytes [{:keys [props] :as node} cursor path]
  (if-let [prefix (:prefix props)]
    (trace-prefixed node prefix cursor path)
    (trace-fixed node cursor path)))

(defn- trace-text [node cursor path]
  (trace-prefixed node :u16 cursor path))

;; ## Composites

(declare tracers)

(defn trace-node
  "The span of `node` at the cursor, which it moves, under `path`; `more` goes into it."
  [{:keys [kind] :as node} cursor path more]
  (conj ((tracers kind) node cursor path) more))

(defn- trace-optional [{:keys [item] :as node} cursor path]
  (let [{v :value at :at :as present} (trace-prefix :present :u8 cursor path)]
    (cond
      (:broken present) (composite node [present] nil)
      (= 0 v) (composite node [present] nil)
      (= 1 v) (let [content (trace-node item cursor path {:key :content})]
                (composite node [present content] (:value content)))
      :else (let [error (fault path :format/optional at {:expected "0 or 1" :found v})]
              (composite node [(break present [] error)] nil)))))

(defn- trace-inside
  "The spans of `item` in the next `n` bytes, and of what it leaves of them."
  [item {:keys [reader] :as cursor} path ^long n]
  (let [start (input/position reader)
        outer (+ start (input/remaining reader))
        _ (input/seek! reader start (+ start n))
        content (trace-node item cursor path {:key :content})
        left (when-not (:broken content) (trailing cursor path identity))]
    (input/seek! reader (input/position reader) outer)
    (if left [content left] [content])))

(defn- trace-sized [{:keys [item props] :as node} cursor path]
  (let [{n :value :as length} (trace-prefix :length (:prefix props) cursor path)]
    (if (:broken length)
      (composite node [length] nil)
      (let [inside (if-let [cut (truncated cursor :content path n)]
                     [cut]
                     (trace-inside item cursor path n))]
        (composite node (into [length] inside) (:value (first inside)))))))

(defn- order-check
  "A function of two neighbours among the items of a list node that gives what is wrong
  between them, as `[error facts]`, or nil."
  [{:keys [props] :as node} {:keys [bytes]}]
  (if (= :encoding (:sort props))
    (fn [{before :at} {:keys [key at] :as span}]
      (order/pair-fault (compare (bytes/slice bytes before at) (bytes/slice bytes at (end span)))
        key))
    (if-let [compare-items (order/item-comparator node)]
      (fn [before span]
        (order/pair-fault (compare-items (:value before) (:value span)) (:key span)))
      (constantly nil))))

(defn- id-fault [ids id]
  (when (and (some? id) (contains? ids id))
    [:format/duplicate {:rule "no two items share an id" :found (pr-str id)}]))

(defn- list-check
  "A function of the ids of former items, the last of them (nil at first) and the next,
  all as spans, that gives what is wrong with the next as `[error facts]`, or nil."
  [node cursor id-of]
  (let [check-order (order-check node cursor)]
    (fn [ids before span]
      (or (when before (check-order before span))
        (id-fault ids (id-of (:value span)))))))

(defn- trace-items
  "The spans of `n` items, the last one broken where it or the order is."
  [{:keys [item] :as node} cursor path ^long n]
  (let [id-of (or (ids/id-fn node) (constantly nil))
        check (list-check node cursor id-of)]
    (loop [i 0 spans [] ids #{}]
      (if (= i n)
        spans
        (let [span (trace-node item cursor (conj path i) {:key i})
              [code facts] (when-not (:broken span) (check ids (peek spans) span))]
          (cond
            (:broken span) (conj spans span)
            code (conj spans (break span [] (fault (conj path i) code (:at span) facts)))
            :else (recur (inc i) (conj spans span) (conj ids (id-of (:value span))))))))))

(defn- trace-count [node cursor path]
  (let [{n :value at :at :as span} (trace-prefix :count :u16 cursor path)
        facts (when n (order/count-fault node n))]
    (if facts
      (break span [] (fault path :format/count at facts))
      span)))

(defn- trace-list [{:keys [item-floor] :as node} cursor path]
  (let [{n :value :as counted} (trace-count node cursor path)]
    (if (:broken counted)
      (composite node [counted] nil)
      (let [cut (truncated cursor :items path (* (long n) (long item-floor)))
            items (if cut [cut] (trace-items node cursor path n))]
        (composite node (into [counted] items) (mapv :value items))))))

(defn- trace-fields [fields cursor path]
  (reduce (fn [spans {:keys [key doc node]}]
            (let [span (trace-node node cursor (conj path key) {:key key :doc doc})]
              (cond-> (conj spans span) (:broken span) reduced)))
    [] fields))

(defn- break-rule
  "`span` with the anomaly of the first of `rules` that its value does not keep."
  [{:keys [value children] :as span} path rules]
  (if-let [{:keys [code field rule]} (first (remove #((:holds? %) value) rules))]
    (let [at (:at (first (filter #(= field (:key %)) children)))]
      (break span [field]
        (fault (conj path field) code at
          {:rule rule :found (order/found-in code (get value field))})))
    span))

(defn- trace-struct [{:keys [fields props] :as node} cursor path]
  (let [children (trace-fields fields cursor path)
        present (filter #(some? (:value %)) children)
        span (composite node children (into {} (map (juxt :key :value)) present))]
    (if (:broken span)
      span
      (break-rule span path (:rules props)))))

(defn- trace-tagged [{:keys [fields props] :as node} cursor path]
  (let [{v :value at :at :as tag} (trace-prefix :tag (:as props) cursor path)
        {:keys [key doc] of :node} (first (filter #(= v (:code %)) fields))]
    (cond
      (:broken tag) (composite node [tag] nil)
      key (let [content (trace-node of cursor (conj path key) {:key key :doc doc})]
            (composite node [tag content] {key (:value content)}))
      :else (let [error (fault path :format/code at {:expected (pr-str (mapv :code fields)) :found v})]
              (composite node [(break tag [] error)] nil)))))

(def tracers
  "Kind → function of a node, a cursor and a path that gives a span."
  {:u8 trace-fixed :u16 trace-fixed :u32 trace-fixed :u64 trace-fixed
   :unsigned trace-fixed
   :bytes trace-bytes
   :text trace-text
   :enum trace-fixed
   :index trace-fixed
   :literal trace-fixed
   :list trace-list
   :optional trace-optional
   :sized trace-sized
   :struct trace-struct
   :tagged trace-tagged})

;; ## The whole

(defn more-bytes
  "How many bytes there are too many at the end of a whole or of a section."
  [n]
  (str n " more bytes"))

(defn finish
  "`{:spans :value :error}` of `spans`, which start at the first byte of `b` and stop at
  the fault, if any: then what is left is one leaf, `:unread`, and there is no value."
  [b spans value]
  (let [at (if (seq spans) (end (peek spans)) 0)
        error (some error-of spans)]
    {:spans (cond-> spans (< (long at) (count b)) (conj (raw :unread at (count b))))
     :value (when-not error value)
     :error error}))

(defn trace
  "What each byte of `b` is as an encoding of the type of `codec`: `{:spans :value
  :error}`, the value or the error that `poz.codec/decode` gives. Same options."
  ([codec b] (trace codec b nil))
  ([{:keys [node]} b {:keys [algorithms]}]
   (let [{:keys [reader] :as cursor} (cursor b)
         _ (input/set-algorithms! reader algorithms)
         span (trace-node node cursor [] {:key nil})
         left (when-not (:broken span) (trailing cursor [] more-bytes))]
     (finish b (if left [span left] [span]) (:value span)))))
