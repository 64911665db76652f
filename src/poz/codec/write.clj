(ns poz.codec.write
  "Compiles nodes to writers: functions of a `Writer`, which grows, and a value.

  A writer refuses every value that its reader would not give back: a number out of
  range, a list out of order, an unknown or missing key. It throws the anomaly with
  the path in the value, never writes something else than it was given, and leaves
  nothing out."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.node :as node]
   [poz.codec.order :as order]
   [poz.codec.rule :as rule]
   [poz.codec.text :as text]
   [poz.error :as error])
  (:import
   (clojure.lang APersistentMap APersistentVector)
   (java.nio ByteBuffer)
   (java.util Arrays HashSet)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(def ^:private ^:const max-depth 32)

(definterface Out
  (^java.nio.ByteBuffer room [^long n] "the buffer, with room for n bytes more"))

(deftype Writer [^:unsynchronized-mutable ^ByteBuffer buffer ^objects path algorithms]
  Out
  (room [_ n]
    (when (< (.remaining buffer) n)
      (let [size (max (+ (.position buffer) n) (* 2 (long (.capacity buffer))))]
        (set! buffer (.put (ByteBuffer/allocate (int size)) (.flip buffer)))))
    buffer))

(defn writer
  "An empty writer. `algorithms`, a vector or nil, are those of the record's keys."
  ^Writer [algorithms]
  (Writer. (ByteBuffer/allocate 512) (object-array max-depth) algorithms))

(defn position
  "The offset of the next byte from the first."
  ^long [^Writer w]
  (.position (.room w 0)))

(defn seek!
  "Goes to `offset`: behind the last byte, to leave room, or back to bytes that are to be
  written over."
  [^Writer w ^long offset]
  (let [b (.room w (max 0 (- offset (position w))))]
    (.position b (int offset))))

(defn result
  "The byte string of all that was written before the present position."
  ^Bytes [^Writer w]
  (let [b (.room w 0)]
    (bytes/wrap (Arrays/copyOf (.array b) (.position b)))))

(defn set-path!
  "Sets what stands at `depth` of the path, for writers compiled for below it."
  [^Writer w ^long depth key]
  (aset ^objects (.-path w) depth key))

(defn- fault! [^Writer w depth code facts]
  (error/fail! code (assoc facts :path (vec (Arrays/copyOf ^objects (.-path w) (int depth))))))

(defn- type-fault! [w depth expected v]
  (fault! w depth :format/type {:expected expected
                                :found (if (bytes/secret? v) "a secret" (pr-str v))}))

(defn- put-int!
  "Writes `v` in `width` bytes."
  [^Writer w ^long width ^long v]
  (let [b (.room w width)]
    (case width
      1 (.put b (unchecked-byte v))
      2 (.putShort b (unchecked-short v))
      4 (.putInt b (unchecked-int v))
      8 (.putLong b v))))

(defn put-bytes!
  "Writes the byte string `b` as it is."
  [^Writer w ^Bytes b]
  (.put (.room w (.-length b)) ^bytes (.-array b) (.-offset b) (.-length b)))

(defn- patch-int!
  "Writes `v` in `width` bytes over those at `at`."
  [^Writer w ^long width ^long at ^long v]
  (let [b (.room w 0)]
    (case width
      2 (.putShort b (int at) (unchecked-short v))
      4 (.putInt b (int at) (unchecked-int v)))))

(defn- int-writer [{:keys [kind low high]} depth]
  (let [low (long low) high (long high) width (node/width kind)]
    (fn [w v]
      (when-not (int? v) (type-fault! w depth "an integer" v))
      (let [v (long v)]
        (when-not (and (<= low v) (<= v high))
          (fault! w depth :format/range {:rule (str low " to " high) :found v}))
        (put-int! w width v)))))

(defn- unsigned-writer [_ depth]
  (fn [w v]
    (when-not (node/unsigned? v) (type-fault! w depth "an integer from 0, below 2^64" v))
    (put-int! w 8 (unchecked-long v))))

(defn- bytes-writer [{:keys [props]} depth]
  (let [{:keys [size prefix min max]} props
        low (long (or size min 0)) high (long (or size max (node/int-max prefix)))
        width (if prefix (node/width prefix) 0)]
    (fn [w v]
      (when-not (bytes/bytes? v) (type-fault! w depth "a byte string" v))
      (let [n (.-length ^Bytes v)]
        (when-not (and (<= low n) (<= n high))
          (fault! w depth :format/length {:rule (str low " to " high " bytes") :found n}))
        (when prefix (put-int! w width n))
        (put-bytes! w v)))))

(defn- text-writer [{:keys [props]} depth]
  (let [fault-of (text/check props)]
    (fn [w v]
      (when-not (string? v) (type-fault! w depth "a string" v))
      (let [b (text/write-utf8 v)]
        (when-not b (fault! w depth :format/utf8 {:rule "no half of a surrogate pair"}))
        (when-let [{:keys [error] :as found} (fault-of v (alength b))]
          (fault! w depth error (dissoc found :error :index)))
        (put-int! w 2 (alength b))
        (put-bytes! w (bytes/wrap b))))))

(defn- enum-writer [{:keys [props]} depth]
  (let [{:keys [as codes open error] :or {error :format/code}} props
        code-of (into {} (map (fn [[code k]] [k code])) codes)
        known (into #{} (map first) codes)
        high (node/int-max as)
        width (node/width as)]
    (fn [w v]
      (let [code (or (code-of v)
                   (when (and open (int? v) (<= 0 (long v)) (<= (long v) high) (not (known v))) v))]
        (when-not code
          (fault! w depth error {:expected (pr-str (mapv second codes)) :found (pr-str v)}))
        (put-int! w width code)))))

(defn- index-writer [{:keys [props]} depth]
  (let [use (:use props)]
    (fn [^Writer w v]
      (when-not (and (int? v) (<= 0 (long v)) (<= (long v) 0xffff)) (type-fault! w depth "a key index" v))
      (when-let [algorithms (.-algorithms w)]
        (when-let [[code facts] (order/key-use-fault algorithms use v)]
          (fault! w depth code facts)))
      (put-int! w 2 v))))

(defn- literal-writer [{:keys [props]} _]
  (let [b (bytes/hex-> (:hex props))]
    (fn [w _] (put-bytes! w b))))

(declare compile-writer)

(defn- optional-writer [{:keys [item]} depth]
  (let [write-item (compile-writer item depth)]
    (fn [w v]
      (put-int! w 1 (if (nil? v) 0 1))
      (when (some? v) (write-item w v)))))

(defn- sized-writer [{:keys [item props]} depth]
  (let [write-item (compile-writer item depth)
        width (node/width (:prefix props))]
    (fn [w v]
      (let [at (position w)]
        (put-int! w width 0)
        (write-item w v)
        (patch-int! w width at (- (position w) at width))))))

(defn- compare-written [^Writer w before start]
  (let [b (.room w 0) array (.array b)]
    (Arrays/compareUnsigned array (int before) (int start) array (int start) (.position b))))

(defn- written-since
  "The bytes from `start` on. Of two items they are the same where the values are, and
  they hash faster."
  [^Writer w ^long start]
  (let [b (.room w 0)]
    (Bytes. (.array b) (int start) (int (- (.position b) start)))))

(defn- check-pair!
  "Faults unless comparing the item before the item `i` with it gave a negative `c`."
  [w depth c i]
  (when-not (neg? (long c))
    (let [[code facts] (order/pair-fault c i)]
      (fault! w depth code facts))))

(defn- encoding-checker
  "For a list node whose items are sorted by their bytes, or that no two of may share an
  id, else nil: a function of the writer, an item that was just written and its position,
  where the one before it starts and where it does, and the set of ids, which it keeps."
  [{:keys [props] :as node} depth]
  (let [{by :sort distinct? :distinct} props
        id (order/id-fn node)]
    (when (or (= :encoding by) id)
      (fn [w item i before start ^HashSet ids]
        (when (and (= :encoding by) (pos? (long i)))
          (check-pair! w depth (compare-written w before start) i))
        (when (and id (not (.add ids (if distinct? (written-since w start) (id item)))))
          (fault! w depth :format/duplicate
            {:rule "no two items share an id" :found (pr-str (id item))}))))))

;; Values are asked for their class first: whether an object implements an interface is a
;; question that takes the JVM long where it is a different interface each time.

(defn- vector-in
  "The vector `v`; faults where it is none."
  ^APersistentVector [w depth v]
  (cond (instance? APersistentVector v) v
        (vector? v) (vec v)
        :else (type-fault! w depth "a vector" v)))

(defn- size-of-map
  "How many keys the map `m` has; faults where it is none."
  [w depth m]
  (cond (instance? APersistentMap m) (.size ^APersistentMap m)
        (map? m) (count m)
        :else (type-fault! w depth "a map" m)))

(defn- list-writer [{:keys [item] :as node} depth]
  (let [depth (long depth) below (Long/valueOf (inc depth))
        write-item (compile-writer item below)
        count-fault (order/count-check node)
        compare-items (order/item-comparator node)
        check-encoding! (encoding-checker node below)]
    (fn [w v]
      (let [items (vector-in w depth v)
            n (.size items)
            ids (when check-encoding! (HashSet.))]
        (when-let [facts (count-fault n)]
          (fault! w depth :format/count facts))
        (put-int! w 2 n)
        (loop [i 0 before 0]
          (when (< i n)
            (set-path! w depth i)
            (let [start (position w) item (.get items i)]
              (write-item w item)
              (when (and compare-items (pos? i))
                (let [c (long (compare-items (.get items (dec i)) item))]
                  (when-not (neg? c) (check-pair! w below c i))))
              (when check-encoding! (check-encoding! w item i before start ids))
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
  "Faults where the map `m` has to have a value for `key`, or has nil."
  [w depth {:keys [kind]} key m]
  (cond (contains? m key) (type-fault! w depth "a value, or no such key" nil)
        (#{:optional :literal} kind) nil
        :else (fault! w depth :format/type {:expected "a value" :found "no such key"})))

(defn- field-writer
  "A function of writer and map that writes a field and gives whether the map has it."
  [{:keys [key node]} depth]
  (let [depth (long depth) below (inc depth)
        write-value (compile-writer node below)
        literal? (= :literal (:kind node))]
    (fn [w m]
      (set-path! w depth key)
      (let [v (get m key)]
        (when (nil? v) (check-absent! w below node key m))
        (write-value w v)
        (not (or (nil? v) literal?))))))

(defn- struct-writer [{:keys [fields props]} depth]
  (let [depth (long depth)
        writers (object-array (map #(field-writer % depth) fields))
        n (alength writers)
        broken-rule (rule/first-broken (:rules props))]
    (fn [w m]
      (let [size (long (size-of-map w depth m))]
        (loop [i 0 used 0]
          (if (< i n)
            (recur (inc i) (if ((aget writers i) w m) (inc used) used))
            (when-not (= used size) (surplus-fault! w depth fields m)))))
      (when-let [rule (broken-rule m)]
        (rule-fault! w depth rule m)))))

(defn- tagged-writer [{:keys [fields props]} depth]
  (let [depth (long depth)
        width (node/width (:as props))
        cases (into {} (map (fn [{:keys [code key node]}] [key [code (compile-writer node (inc depth))]])) fields)
        expected (str "a map with one of the keys " (pr-str (mapv :key fields)))]
    (fn [w v]
      (let [[k x] (when (= 1 (long (size-of-map w depth v))) (first v))
            [code write-case] (cases k)]
        (when-not code (type-fault! w depth expected v))
        (set-path! w depth k)
        (put-int! w width code)
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
