(ns poz.codec.write
  "Compiles nodes to writers: functions of a `Writer`, which grows, and a value.

  A writer refuses every value that its reader would not give back: a number out of
  range, a list out of order, an unknown or missing key. It throws the anomaly with
  the path in the value, never writes something else than it was given, and leaves
  nothing out."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.ids :as ids]
   [poz.codec.node :as node]
   [poz.codec.order :as order]
   [poz.codec.output :refer [fault! set-path! type-fault!]]
   [poz.codec.path :as path]
   [poz.codec.rule :as rule]
   [poz.codec.text :as text]
   [poz.codec.value :as value])
  (:import
   (clojure.lang AFn APersistentMap IFn$OLLO IFn$OOLLO Keyword PersistentArrayMap)
   (poz.bytes Bytes)
   (poz.codec.output Writer)
   (poz.codec.path Path)))

(set! *warn-on-reflection* true)

(defn- integer
  "The integer `v` as a long; faults where it is none."
  ^long [w depth v]
  (cond (instance? Long v) (.longValue ^Long v)
        (int? v) (long v)
        :else (type-fault! w depth "an integer" v)))

(defn- int-writer [{:keys [kind low high]} depth]
  (let [low (long low) high (long high) width (node/width kind)]
    (fn [^Writer w v]
      (let [n (if (instance? Long v) (.longValue ^Long v) (integer w depth v))]
        (when-not (and (<= low n) (<= n high))
          (fault! w depth :format/range {:rule (str low " to " high) :found n}))
        (.integer w width n)))))

(defn- unsigned-writer [_ depth]
  (fn [^Writer w v]
    (when-not (node/unsigned? v) (type-fault! w depth "an integer from 0, below 2^64" v))
    (.integer w 8 (unchecked-long v))))

(defn- bytes-writer [{:keys [props]} depth]
  (let [{:keys [size prefix min max]} props
        low (long (or size min 0)) high (long (or size max (node/int-max prefix)))
        width (if prefix (node/width prefix) 0)]
    (fn [^Writer w v]
      (when-not (instance? Bytes v) (type-fault! w depth "a byte string" v))
      (let [n (.-length ^Bytes v)]
        (when-not (and (<= low n) (<= n high))
          (fault! w depth :format/length {:rule (str low " to " high " bytes") :found n}))
        (.integer w width n)
        (.content w v)))))

(defn- text-writer [{:keys [props]} depth]
  (let [^IFn$OLLO fault-of (text/check props)]
    (fn [^Writer w v]
      (when-not (instance? String v) (type-fault! w depth "a string" v))
      (let [at (.position w) n (.length ^String v)
            unfit (text/write-ascii v (.room w (+ 2 n)) (+ 2 at))
            ascii (text/ascii? unfit)
            utf8 (when-not ascii (or (text/encode-utf8 v) (fault! w depth :format/utf8 {:rule "no half of a surrogate pair"})))
            size (if ascii n (alength ^bytes utf8))]
        (when-let [{:keys [error] :as found} (.invokePrim fault-of v size unfit)]
          (fault! w depth error (dissoc found :error :index)))
        (.integer w 2 size)
        (if ascii (.seek w (+ at 2 n)) (.content w (bytes/wrap utf8)))))))

(defn- enum-writer [{:keys [props]} depth]
  (let [{:keys [as codes open error] :or {error :format/code}} props
        code-of (into {} (map (fn [[code k]] [k code])) codes)
        known (into #{} (map first) codes)
        high (node/int-max as)
        width (node/width as)]
    (fn [^Writer w v]
      (let [code (or (value/of code-of v)
                   (when (and open (int? v) (<= 0 (long v)) (<= (long v) high) (not (known v))) v))]
        (when-not code
          (fault! w depth error {:expected (pr-str (mapv second codes)) :found (pr-str v)}))
        (.integer w width (long code))))))

(defn- index-writer [{:keys [props]} depth]
  (let [use (:use props)]
    (fn [^Writer w v]
      (when-not (and (int? v) (<= 0 (long v)) (<= (long v) 0xffff)) (type-fault! w depth "a key index" v))
      (when-let [algorithms (.-algorithms w)]
        (when-let [[code facts] (order/key-use-fault algorithms use v)]
          (fault! w depth code facts)))
      (.integer w 2 (long v)))))

(defn- literal-writer [{:keys [props]} _]
  (let [b (bytes/hex-> (:hex props))]
    (fn [^Writer w _] (.content w b))))

;; Writers call one another as what `fn` makes, an `AFn`: a class, see `poz.codec.value`.

(declare compile-writer)

(defn- optional-writer [{:keys [item]} depth]
  (let [^AFn write-item (compile-writer item depth)]
    (fn [^Writer w v]
      (if (nil? v)
        (.integer w 1 0)
        (do (.integer w 1 1)
          (.invoke write-item w v))))))

(defn- sized-writer [{:keys [item props]} depth]
  (let [^AFn write-item (compile-writer item depth)
        width (node/width (:prefix props))]
    (fn [^Writer w v]
      (let [start (.position w)]
        (.integer w width 0)
        (.invoke write-item w v)
        (let [end (.position w)]
          (.seek w start)
          (.integer w width (- end start width))
          (.seek w end))))))

(defn- items-of
  "An array that begins with the items of the vector `v`; faults where it is none."
  ^objects [w depth v]
  (if (value/a-vector? v)
    (value/items v)
    (type-fault! w depth "a vector" v)))

(defn- map-size
  "How many keys the map `m` has; faults where it is none."
  ^long [w depth m]
  (cond (instance? APersistentMap m) (.size ^APersistentMap m)
        (map? m) (count m)
        :else (type-fault! w depth "a map" m)))

(defn- pair-fault!
  "Faults at the item `i`: comparing the one before it with it gave `c`."
  [w depth c i]
  (let [[code facts] (order/pair-fault c i)]
    (fault! w depth code facts)))

(defn- stage?
  "True for the powers of 8 above 1."
  [^long n]
  (and (zero? (bit-and n (dec n))) (< 1 n) (zero? (rem (Long/numberOfTrailingZeros n) 3))))

(defn- reserve!
  "Makes room for the items that are `left`, and for a bit more, as far as those that are `done` and take
  `size` bytes tell; for seven times as many at most. A long list is thereby copied rarely, and a
  few big items at its head ask for little."
  [^Writer w ^long size ^long done ^long left]
  (.room w (quot (* 9 size (min left (* 7 done))) (* 8 done))))

(defn- list-writer [{:keys [item] :as node} above]
  (let [depth (long above) below (Long/valueOf (inc depth))
        ^AFn write-item (compile-writer item below)
        count-fault (order/count-check node)
        compare-items (order/encoding-comparator node)
        {:keys [^IFn$OLLO seen ^IFn$OOLLO shares-id?]} (ids/id-check node)]
    (fn [^Writer w v]
      (let [items (items-of w above v)
            n (value/size v)
            path (.-path w)
            begin (+ 2 (.position w))
            ids (when seen (.invokePrim seen items n begin))]
        (when-let [facts (.invokePrim count-fault n)]
          (fault! w above :format/count facts))
        (.integer w 2 n)
        (path/parts! path depth nil)
        (loop [i 0 before 0]
          (when (< i n)
            (path/part! path depth i)
            (let [start (.position w)]
              (when (stage? i) (reserve! w (- start begin) i (- n i)))
              (.invoke write-item w (aget items (unchecked-int i)))
              (when (and compare-items (pos? i))
                (let [c (.invokePrim compare-items (.room w 0) before start (.position w))]
                  (when-not (neg? c) (pair-fault! w below c i))))
              (when (and shares-id? (.invokePrim shares-id? ids (.room w 0) i (.position w)))
                (fault! w below :format/duplicate (ids/id-facts node (aget items i))))
              (recur (inc i) start))))))))

(defn- surplus-fault!
  "Faults where the map `m` has a key that is none of the `fields`."
  [w depth fields m]
  (let [known (into [] (comp (remove #(= :literal (:kind (:node %)))) (map :key)) fields)]
    (when-let [[k] (seq (remove (set known) (keys m)))]
      (type-fault! w depth (str "only the keys " (pr-str known)) k))))

(defn- rule-fault! [w depth {:keys [code field rule]} m]
  (set-path! w depth field)
  (fault! w (inc (long depth)) code {:rule rule :found (order/found-in code (get m field))}))

(defn- check-absent!
  "Faults where the map `m` has to have a value for the field, or has nil."
  [w depth key optional m]
  (cond (value/has? m key) (type-fault! w depth "a value, or no such key" nil)
        (not optional) (fault! w depth :format/type {:expected "a value" :found "no such key"})))

(defn- struct-writer [{:keys [fields props]} above]
  (let [depth (long above) below (Long/valueOf (inc depth)) level (unchecked-int depth)
        keys (into-array Keyword (map :key fields))
        writers (into-array AFn (map #(compile-writer (:node %) below) fields))
        optional (object-array (map #(contains? #{:optional :literal} (:kind (:node %))) fields))
        counted (long-array (map #(if (= :literal (:kind (:node %))) 0 1) fields))
        n (count fields)
        broken-rule (rule/first-broken (:rules props) (zipmap keys (range)))]
    (fn [^Writer w m]
      (let [size (map-size w above m) ^Path path (.-path w)
            ^longs parts (.-parts path)
            values (when broken-rule (object-array n))
            ^Keyword/1 keys keys ^AFn/1 writers writers]
        (path/parts! path depth keys)
        (loop [i 0 used 0]
          (if (< i n)
            (let [k (aget keys (unchecked-int i))
                  v (if (instance? PersistentArrayMap m) (.valAt ^PersistentArrayMap m k) (get m k))]
              (aset parts level i)
              (when (nil? v) (check-absent! w below k (aget optional (unchecked-int i)) m))
              (when values (aset ^objects values (unchecked-int i) v))
              (.invoke ^AFn (aget writers (unchecked-int i)) w v)
              (recur (inc i) (if (nil? v) used (+ used (aget counted (unchecked-int i))))))
            (when-not (= used size) (surplus-fault! w above fields m))))
        (when-let [rule (when broken-rule (.invoke broken-rule values))]
          (rule-fault! w above rule m))))))

(defn- tagged-writer [{:keys [fields props]} depth]
  (let [depth (long depth)
        width (node/width (:as props))
        cases (into {} (map (fn [{:keys [code key node]}] [key [code (compile-writer node (inc depth))]])) fields)
        expected (str "a map with one of the keys " (pr-str (mapv :key fields)))]
    (fn [^Writer w v]
      (let [[k x] (when (= 1 (map-size w depth v)) (first v))
            [code write-case] (cases k)]
        (when-not code (type-fault! w depth expected v))
        (set-path! w depth k)
        (.integer w width (long code))
        (write-case w x)))))

(def compilers
  "Kind → function of a node and its depth in the path that gives a writer."
  {:u8 int-writer :u16 int-writer :u32 int-writer :u64 int-writer
   :unsigned unsigned-writer
   :bytes bytes-writer
   :text text-writer
   :enum enum-writer
   :index index-writer
   :literal literal-writer
   :list list-writer
   :optional optional-writer
   :sized sized-writer
   :struct struct-writer
   :tagged tagged-writer})

(defn compile-writer
  "The writer of `node`, whose path has `depth` elements."
  [{:keys [kind] :as node} depth]
  ((compilers kind) node depth))
