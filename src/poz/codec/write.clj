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
   [poz.codec.text :as text]
   [poz.error :as error])
  (:import
   (java.nio ByteBuffer)
   (java.util Arrays HashSet)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(def ^:private ^:const max-depth 32)

(definterface Out
  (^java.nio.ByteBuffer room [^long n] "the buffer, with room for n bytes more"))

(deftype Writer [^:unsynchronized-mutable ^ByteBuffer buffer ^objects path ^objects context]
  Out
  (room [_ n]
    (when (< (.remaining buffer) n)
      (let [size (max (+ (.position buffer) n) (* 2 (long (.capacity buffer))))]
        (set! buffer (.put (ByteBuffer/allocate (int size)) (.flip buffer)))))
    buffer))

(defn writer
  "An empty writer. `algorithms`, a vector or nil, are those of the record's keys."
  ^Writer [algorithms]
  (Writer. (ByteBuffer/allocate 512) (object-array max-depth) (object-array [algorithms])))

(defn- buffer ^ByteBuffer [^Writer w n]
  (.room w (long n)))

(defn- written ^long [w]
  (.position (buffer w 0)))

(defn result
  "The byte string of all that was written."
  ^Bytes [w]
  (let [b (buffer w 0)]
    (bytes/wrap (.array b) 0 (.position b))))

(defn set-path!
  "Sets what stands at `depth` of the path, for writers compiled for below it."
  [^Writer w depth key]
  (aset ^objects (.-path w) (int depth) key))

(defn- fault! [^Writer w depth code facts]
  (error/fail! code (assoc facts :path (vec (Arrays/copyOf ^objects (.-path w) (int depth))))))

(defn- type-fault! [w depth expected v]
  (fault! w depth :format/type {:expected expected
                                :found (if (bytes/secret? v) "a secret" (pr-str v))}))

(defn- put-int! [w kind ^long v]
  (case kind
    :u8 (.put (buffer w 1) (unchecked-byte v))
    :u16 (.putShort (buffer w 2) (unchecked-short v))
    :u32 (.putInt (buffer w 4) (unchecked-int v))
    :u64 (.putLong (buffer w 8) v)))

(defn- put-bytes! [w ^Bytes b]
  (.put (buffer w (.-length b)) ^bytes (.-array b) (.-offset b) (.-length b)))

(defn- patch-int! [w kind ^long at ^long v]
  (let [b (buffer w 0)]
    (case kind
      :u16 (.putShort b (int at) (unchecked-short v))
      :u32 (.putInt b (int at) (unchecked-int v)))))

(defn- int-writer [{:keys [kind low high]} depth]
  (let [low (long low) high (long high)]
    (fn [w v]
      (when-not (int? v) (type-fault! w depth "an integer" v))
      (let [v (long v)]
        (when-not (and (<= low v) (<= v high))
          (fault! w depth :format/range {:rule (str low " to " high) :found v}))
        (put-int! w kind v)))))

(defn- bytes-writer [{:keys [props]} depth]
  (let [{:keys [size prefix min max]} props
        low (long (or size min 0)) high (long (or size max (node/int-max prefix)))]
    (fn [w v]
      (when-not (bytes/bytes? v) (type-fault! w depth "a byte string" v))
      (let [n (count v)]
        (when-not (and (<= low n) (<= n high))
          (fault! w depth :format/length {:rule (str low " to " high " bytes") :found n}))
        (when prefix (put-int! w prefix n))
        (put-bytes! w v)))))

(defn- text-writer [{:keys [props]} depth]
  (fn [w v]
    (when-not (string? v) (type-fault! w depth "a string" v))
    (let [b (text/write-utf8 v)]
      (when-not b (fault! w depth :format/utf8 {:rule "no half of a surrogate pair"}))
      (when-let [{:keys [error] :as f} (text/fault v (alength b) props)]
        (fault! w depth error (dissoc f :error :index)))
      (put-int! w :u16 (alength b))
      (put-bytes! w (bytes/wrap b)))))

(defn- enum-writer [{:keys [props]} depth]
  (let [{:keys [as codes open error] :or {error :format/code}} props
        code-of (into {} (map (fn [[code k]] [k code])) codes)
        known (into #{} (map first) codes)
        high (node/int-max as)]
    (fn [w v]
      (let [code (or (code-of v)
                   (when (and open (int? v) (<= 0 (long v) high) (not (known v))) v))]
        (when-not code
          (fault! w depth error {:expected (pr-str (mapv second codes)) :found (pr-str v)}))
        (put-int! w as code)))))

(defn- index-writer [{:keys [props]} depth]
  (let [use (:use props)]
    (fn [^Writer w v]
      (when-not (and (int? v) (<= 0 (long v) 0xffff)) (type-fault! w depth "a key index" v))
      (when-let [algorithms (aget ^objects (.-context w) 0)]
        (when-let [[code facts] (order/key-use-fault algorithms use v)]
          (fault! w depth code facts)))
      (put-int! w :u16 v))))

(defn- literal-writer [{:keys [props]} _]
  (let [b (bytes/hex-> (:hex props))]
    (fn [w _] (put-bytes! w b))))

(declare compile-writer)

(defn- optional-writer [{:keys [item]} depth]
  (let [write-item (compile-writer item depth)]
    (fn [w v]
      (put-int! w :u8 (if (nil? v) 0 1))
      (when (some? v) (write-item w v)))))

(defn- sized-writer [{:keys [item props]} depth]
  (let [write-item (compile-writer item depth)
        prefix (:prefix props) width (node/width prefix)]
    (fn [w v]
      (let [at (written w)]
        (put-int! w prefix 0)
        (write-item w v)
        (patch-int! w prefix at (- (written w) at width))))))

(defn- compare-written [w before start]
  (let [b (buffer w 0) array (.array b)]
    (Arrays/compareUnsigned array (int before) (int start) array (int start) (.position b))))

(defn- item-checker [{:keys [props] :as node} depth]
  (let [by-encoding (= :encoding (:sort props))
        compare-items (order/item-comparator node)
        id (order/id-fn node)
        depth (inc (long depth))]
    (when (or by-encoding compare-items id)
      (fn [w items i before start ^HashSet ids]
        (let [i (long i) item (nth items i)]
          (when (pos? i)
            (when-let [[code facts]
                       (cond by-encoding (order/pair-fault (compare-written w before start) i)
                             compare-items (order/pair-fault (compare-items (nth items (dec i)) item) i))]
              (fault! w depth code facts)))
          (when (and id (not (.add ids (id item))))
            (fault! w depth :format/duplicate
              {:rule "no two items share an id" :found (pr-str (id item))})))))))

(defn- list-writer [{:keys [item] :as node} depth]
  (let [depth (long depth)
        write-item (compile-writer item (inc depth))
        check (item-checker node depth)]
    (fn [w v]
      (when-not (vector? v) (type-fault! w depth "a vector" v))
      (when-let [facts (order/count-fault node (count v))]
        (fault! w depth :format/count facts))
      (put-int! w :u16 (count v))
      (let [ids (when check (HashSet.))]
        (loop [i 0 before 0]
          (when (< i (count v))
            (set-path! w depth i)
            (let [start (written w)]
              (write-item w (nth v i))
              (when check (check w v i before start ids))
              (recur (inc i) start))))))))

(defn- check-keys! [w depth fields m]
  (when-not (map? m) (type-fault! w depth "a map" m))
  (let [known (into [] (comp (remove #(= :literal (:kind (:node %)))) (map :key)) fields)]
    (when-let [k (first (remove (set known) (keys m)))]
      (type-fault! w depth (str "only the keys " (pr-str known)) k))))

(defn- check-rules! [w depth {:keys [props]} m]
  (doseq [{:keys [holds? code field rule]} (:rules props)]
    (when-not (holds? m)
      (set-path! w depth field)
      (fault! w (inc (long depth)) code {:rule rule :found (order/found-in code (get m field))}))))

(defn- field-writer [{:keys [key node]} depth]
  (let [write-value (compile-writer node (inc (long depth)))
        kind (:kind node)]
    (fn [w m]
      (set-path! w depth key)
      (let [v (get m key)]
        (when (nil? v)
          (cond (contains? m key) (type-fault! w (inc (long depth)) "a value, or no such key" v)
                (#{:optional :literal} kind) nil
                :else (fault! w (inc (long depth)) :format/type {:expected "a value" :found "no such key"})))
        (write-value w v)
        (if (or (nil? v) (= :literal kind)) 0 1)))))

(defn- struct-writer [{:keys [fields props] :as node} depth]
  (let [depth (long depth)
        writers (object-array (map #(field-writer % depth) fields))
        n (alength writers)
        rules? (seq (:rules props))]
    (fn [w m]
      (when-not (map? m) (check-keys! w depth fields m))
      (loop [i 0 used 0]
        (if (< i n)
          (recur (inc i) (+ used (long ((aget writers i) w m))))
          (when-not (= used (count m)) (check-keys! w depth fields m))))
      (when rules? (check-rules! w depth node m)))))

(def compilers
  "Kind → function of a node and its depth in the path that gives a writer."
  {:u8 int-writer :u16 int-writer :u32 int-writer :u64 int-writer
   :bytes bytes-writer
   :text text-writer
   :enum enum-writer
   :index index-writer
   :literal literal-writer
   :list list-writer
   :optional optional-writer
   :sized sized-writer
   :struct struct-writer})

(defn compile-writer
  "The writer of `node`, whose path has `depth` elements."
  [{:keys [kind] :as node} depth]
  ((compilers kind) node depth))
