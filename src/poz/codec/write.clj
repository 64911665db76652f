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
   [poz.codec.path :as path]
   [poz.codec.rule :as rule]
   [poz.codec.text :as text]
   [poz.codec.value :as value]
   [poz.error :as error])
  (:import
   (clojure.lang AFn APersistentMap APersistentVector IFn$OLLO)
   (java.nio ByteBuffer)
   (java.util Arrays)
   (poz.bytes Bytes)
   (poz.codec.path Path)))

(set! *warn-on-reflection* true)

(definterface Out
  (^java.nio.ByteBuffer room [^long n] "the buffer, with room for n bytes more"))

(deftype Writer [^:unsynchronized-mutable ^ByteBuffer buffer ^Path path algorithms]
  Out
  (room [_ n]
    (when (< (.remaining buffer) n)
      (let [size (max (+ (.position buffer) n) (* 2 (long (.capacity buffer))))]
        (set! buffer (.put (ByteBuffer/allocate (int size)) (.flip buffer)))))
    buffer))

(defn writer
  "An empty writer, with room for `size` bytes, and for more when they come. `algorithms`, a
  vector or nil, are those of the record's keys."
  (^Writer [algorithms] (writer algorithms 256))
  (^Writer [algorithms size]
   (Writer. (ByteBuffer/allocate (int size)) (path/path) algorithms)))

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
  (path/key! (.-path w) depth key))

(defn- fault! [^Writer w depth code facts]
  (error/fail! code (assoc facts :path (path/elements (.-path w) depth))))

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
      (let [unfit (text/unfit v) ^bytes b (text/write-utf8 v unfit)]
        (when-not b (fault! w depth :format/utf8 {:rule "no half of a surrogate pair"}))
        (when-let [{:keys [error] :as found} (.invokePrim ^IFn$OLLO fault-of v (alength b) unfit)]
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

;; Writers call one another as what `fn` makes, an `AFn`: a class, see `poz.codec.value`.

(declare compile-writer)

(defn- optional-writer [{:keys [item]} depth]
  (let [^AFn write-item (compile-writer item depth)]
    (fn [w v]
      (put-int! w 1 (if (nil? v) 0 1))
      (when (some? v) (.invoke write-item w v)))))

(defn- sized-writer [{:keys [item props]} depth]
  (let [^AFn write-item (compile-writer item depth)
        width (node/width (:prefix props))]
    (fn [w v]
      (let [at (position w)]
        (put-int! w width 0)
        (.invoke write-item w v)
        (patch-int! w width at (- (position w) at width))))))

(defn- vector-in
  "The vector `v`; faults where it is none."
  ^APersistentVector [w depth v]
  (cond (instance? APersistentVector v) v
        (vector? v) (vec v)
        :else (type-fault! w depth "a vector" v)))

(defn- map-size
  "How many keys the map `m` has; faults where it is none."
  ^long [w depth m]
  (when-not (or (instance? APersistentMap m) (map? m))
    (type-fault! w depth "a map" m))
  (value/size m))

(defn- pair-fault!
  "Faults at the item `i`: comparing the one before it with it gave `c`."
  [w depth c i]
  (let [[code facts] (order/pair-fault c i)]
    (fault! w depth code facts)))

(defn- list-writer [{:keys [item] :as node} depth]
  (let [depth (long depth) below (Long/valueOf (inc depth))
        ^AFn write-item (compile-writer item below)
        count-fault (order/count-check node)
        compare-items (order/encoding-comparator node)
        shares-id? (order/id-check node)]
    (fn [^Writer w v]
      (let [items (.toArray (vector-in w depth v))
            n (alength items)
            path (.-path w)
            ids (when shares-id? (order/seen n))]
        (when-let [facts (.invokePrim count-fault n)]
          (fault! w depth :format/count facts))
        (put-int! w 2 n)
        (path/parts! path depth nil)
        (loop [i 0 before 0]
          (when (< i n)
            (path/part! path depth i)
            (let [start (position w)]
              (.invoke write-item w (aget items i))
              (when (and compare-items (pos? i))
                (let [b (.room w 0) c (.invokePrim compare-items (.array b) before start (.position b))]
                  (when-not (neg? c) (pair-fault! w below c i))))
              (when (and shares-id? (.invokePrim shares-id? items i ids))
                (fault! w below :format/duplicate (order/id-facts node (aget items i))))
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
  (cond (value/has? m key) (type-fault! w depth "a value, or no such key" nil)
        (#{:optional :literal} kind) nil
        :else (fault! w depth :format/type {:expected "a value" :found "no such key"})))

(defn- field-writer
  "A function of writer and map that writes a field and gives whether the map has it."
  [{:keys [key node]} below]
  (let [^AFn write-value (compile-writer node below)
        literal? (= :literal (:kind node))]
    (fn [w m]
      (let [v (value/of m key)]
        (when (nil? v) (check-absent! w below node key m))
        (.invoke write-value w v)
        (not (or (nil? v) literal?))))))

(defn- struct-writer [{:keys [fields props]} depth]
  (let [depth (long depth) below (Long/valueOf (inc depth))
        keys (object-array (map :key fields))
        writers (object-array (map #(field-writer % below) fields))
        n (alength writers)
        broken-rule (rule/first-broken (:rules props))]
    (fn [^Writer w m]
      (let [size (map-size w depth m) path (.-path w)]
        (path/parts! path depth keys)
        (loop [i 0 used 0]
          (if (< i n)
            (do (path/part! path depth i)
              (recur (inc i) (if (.invoke ^AFn (aget writers i) w m) (inc used) used)))
            (when-not (= used size) (surplus-fault! w depth fields m))))
        (when-let [rule (when broken-rule (.invoke broken-rule m))]
          (rule-fault! w depth rule m))))))

(defn- tagged-writer [{:keys [fields props]} depth]
  (let [depth (long depth)
        width (node/width (:as props))
        cases (into {} (map (fn [{:keys [code key node]}] [key [code (compile-writer node (inc depth))]])) fields)
        expected (str "a map with one of the keys " (pr-str (mapv :key fields)))]
    (fn [w v]
      (let [[k x] (when (= 1 (map-size w depth v)) (first v))
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
