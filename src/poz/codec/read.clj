(ns poz.codec.read
  "Compiles nodes to readers: functions of a `Reader` (`poz.codec.input`), a cursor over
  bytes.

  A reader gives the value and moves the cursor, or throws the anomaly that names the
  first broken rule, with its offset (counted from the first byte of the whole) and
  path. What it allocates is bounded by the bytes that are there: a count or a length
  is held against them first. Byte strings are slices of what is read, not copies."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.ids :as ids]
   [poz.codec.input :refer [fault! get-int need! position remaining seek! set-path! take-slice]]
   [poz.codec.node :as node]
   [poz.codec.order :as order]
   [poz.codec.path :as path]
   [poz.codec.rule :as rule]
   [poz.codec.source :as source]
   [poz.codec.text :as text]
   [poz.codec.value :as value])
  (:import
   (clojure.lang AFn IFn$LO IFn$OL IFn$OLLO IFn$OOLLO LazilyPersistentVector PersistentArrayMap)
   (java.nio ByteBuffer)
   (java.util Arrays)
   (poz.codec.input Reader)))

(set! *warn-on-reflection* true)

(defn- range-rule [low high] (str low " to " high))

(defn- int-reader [{:keys [kind low high]} depth]
  (let [low (long low) high (long high) n (node/width kind)]
    (fn [^Reader r]
      (need! r depth n)
      (let [v (get-int (.-buffer r) n)]
        (when-not (and (<= low v) (<= v high))
          (fault! r depth :format/range (- (position r) n)
            {:rule (range-rule low high) :found (if (= n 8) (Long/toUnsignedString v) v)}))
        v))))

(defn- fixed-reader [{:keys [props]} depth]
  (let [n (long (:size props))]
    (fn [^Reader r]
      (need! r depth n)
      (take-slice r n))))

(defn- unsigned-reader [_ depth]
  (fn [^Reader r]
    (need! r depth 8)
    (let [v (.getLong ^ByteBuffer (.-buffer r))]
      (if (neg? v) (+ 18446744073709551616N v) v))))

(defn- rest-reader [{:keys [props]} depth]
  (let [low (long (or (:min props) 0)) high (long (:max props))]
    (fn [^Reader r]
      (need! r depth low)
      (let [n (remaining r)]
        (when (< high n)
          (fault! r depth :format/length (position r) {:rule (str (range-rule low high) " bytes") :found n}))
        (take-slice r n)))))

(defn- bytes-reader [{:keys [props] :as node} depth]
  (cond
    (:size props) (fixed-reader node depth)
    (:rest props) (rest-reader node depth)
    :else
    (let [width (node/width (:prefix props))
          low (long (or (:min props) 0)) high (long (or (:max props) Integer/MAX_VALUE))]
      (fn [^Reader r]
        (need! r depth width)
        (let [n (get-int (.-buffer r) width)]
          (need! r depth n)
          (when-not (and (<= low n) (<= n high))
            (fault! r depth :format/length (- (position r) width)
              {:rule (str (range-rule low high) " bytes") :found n}))
          (take-slice r n))))))

(defn- text-fault!
  "Faults for what `text/check` found in the string `s` that starts at the cursor."
  [^Reader r depth s {:keys [error index] :as found}]
  (let [before (bytes/utf8 (subs s 0 index))]
    (fault! r depth error (+ (position r) (count before)) (dissoc found :error :index))))

(defn- text-reader [{:keys [props]} depth]
  (let [fault-of (text/check props)]
    (fn [^Reader r]
      (need! r depth 2)
      (let [^ByteBuffer b (.-buffer r)
            n (get-int b 2)
            _ (need! r depth n)
            at (.position b)
            unfit (text/unfit-bytes (.-array r) at n)
            s (text/read-utf8 (.-array r) at n unfit)]
        (when-not (string? s)
          (fault! r depth :format/utf8 (+ (position r) (long s)) {:rule "well-formed UTF-8"}))
        (when-let [found (.invokePrim ^IFn$OLLO fault-of s n (if (text/ascii? unfit) unfit (text/unfit s)))]
          (text-fault! r depth s found))
        (.position b (unchecked-int (+ at n)))
        s))))

(defn- keywords
  "An array of the keywords of `codes`, each at its code."
  ^objects [codes]
  (let [all (object-array (inc (long (transduce (map first) max 0 codes))))]
    (doseq [[code k] codes] (aset all code k))
    all))

(defn- enum-reader [{:keys [props]} depth]
  (let [{:keys [as codes open error] :or {error :format/code}} props
        width (node/width as)
        by-code (keywords codes) n (alength by-code)]
    (fn [^Reader r]
      (need! r depth width)
      (let [v (get-int (.-buffer r) width)]
        (or (when (< v n) (aget by-code v))
          (if open
            v
            (fault! r depth error (- (position r) width)
              {:expected (pr-str (mapv first codes)) :found v})))))))

(defn- index-reader [{:keys [props]} depth]
  (let [use (:use props)]
    (fn [^Reader r]
      (need! r depth 2)
      (let [i (get-int (.-buffer r) 2)]
        (when-let [algorithms (aget ^objects (.-context r) 0)]
          (when-let [[code facts] (order/key-use-fault algorithms use i)]
            (fault! r depth code (- (position r) 2) facts)))
        i))))

(defn- literal-reader [{:keys [props] lo :min} depth]
  (let [expected (bytes/hex-> (:hex props))]
    (fn [^Reader r]
      (need! r depth lo)
      (let [found (take-slice r lo)]
        (when-not (value/equal? expected found)
          (fault! r depth (:code props) (- (position r) (long lo))
            {:expected (bytes/->hex expected) :found (bytes/->hex found)}))
        nil))))

;; Readers call one another as what `fn` makes, an `AFn`: a class, see `poz.codec.value`.

(declare compile-reader)

(defn- optional-reader [{:keys [item]} depth]
  (let [^AFn read-item (compile-reader item depth)]
    (fn [^Reader r]
      (need! r depth 1)
      (let [v (get-int (.-buffer r) 1)]
        (case v
          0 nil
          1 (.invoke read-item r)
          (fault! r depth :format/optional (dec (position r)) {:expected "0 or 1" :found v}))))))

(defn- sized-reader [{:keys [item props]} depth]
  (let [^AFn read-item (compile-reader item depth)
        width (node/width (:prefix props))]
    (fn [^Reader r]
      (need! r depth width)
      (let [^ByteBuffer b (.-buffer r)
            n (get-int b width)
            limit (.limit b)]
        (need! r depth n)
        (.limit b (unchecked-int (+ (.position b) n)))
        (let [v (.invoke read-item r)]
          (when (.hasRemaining b)
            (fault! r depth :format/trailing (position r) {:found (.remaining b)}))
          (.limit b limit)
          v)))))

(defn- pair-fault!
  "Faults at the item `i`, which starts at `start`: comparing the one before it with it gave
  `c`."
  [r depth c i start]
  (let [[code facts] (order/pair-fault c i)]
    (fault! r depth code start facts)))

(defn- count-reader
  "A function that reads how many items there are of the list `node`."
  ^IFn$OL [{:keys [item-floor] :as node} depth]
  (let [floor (long item-floor)
        ^IFn$LO count-fault (order/count-check node)]
    (fn ^long [^Reader r]
      (need! r depth 2)
      (let [n (get-int (.-buffer r) 2)]
        (when-let [facts (.invokePrim count-fault n)]
          (fault! r depth :format/count (- (position r) 2) facts))
        (need! r depth (* n floor))
        n))))

(def ^:private no-items (object-array 0))

(defn- list-reader [{:keys [item] :as node} depth]
  (let [depth (long depth) below (Long/valueOf (inc depth))
        read-count (count-reader node depth)
        ^AFn read-item (compile-reader item below)
        compare-items (order/encoding-comparator node)
        {:keys [^IFn$OLLO seen ^IFn$OOLLO shares-id?]} (ids/id-check node)]
    (fn [^Reader r]
      (let [n (.invokePrim read-count r)
            ^ByteBuffer b (.-buffer r)
            items (Arrays/copyOf ^objects no-items (unchecked-int n))
            path (.-path r)
            ids (when seen (.invokePrim seen items n (.position b)))]
        (path/parts! path depth nil)
        (loop [i 0 before 0]
          (when (< i n)
            (path/part! path depth i)
            (let [start (.position b)]
              (aset items i (.invoke read-item r))
              (when (and compare-items (pos? i))
                (let [c (.invokePrim compare-items (.-array r) before start (.position b))]
                  (when-not (neg? c)
                    (pair-fault! r below c i (- start (.-base r))))))
              (when (and shares-id? (.invokePrim shares-id? ids (.-array r) i (.position b)))
                (fault! r below :format/duplicate (- start (.-base r)) (ids/id-facts node (aget items i))))
              (recur (inc i) start))))
        (LazilyPersistentVector/createOwning items)))))

(defn- rule-fault!
  "Faults at the field of a broken rule in the struct `m` that starts at `start`."
  [^Reader r depth {:keys [code field rule]} start readers m]
  (seek! r start (- (.limit ^ByteBuffer (.-buffer r)) (.-base r)))
  (doseq [[k read-field] readers :while (not= k field)] (read-field r))
  (set-path! r depth field)
  (fault! r (inc (long depth)) code (position r) {:rule rule :found (order/found-in code (get m field))}))

(defn- without-nils
  "The keys and values of `kvs` less those whose value is nil, moved together in it."
  ^objects [^objects kvs]
  (let [n (alength kvs)]
    (loop [i 0 j 0]
      (cond
        (= i n) (Arrays/copyOf kvs (unchecked-int j))
        (nil? (aget kvs (inc i))) (recur (+ i 2) j)
        :else (do (aset kvs j (aget kvs i))
                (aset kvs (inc j) (aget kvs (inc i)))
                (recur (+ i 2) (+ j 2)))))))

(defn- struct-reader [{:keys [fields props]} depth]
  (let [depth (long depth)
        keys (object-array (map :key fields))
        readers (object-array (map #(compile-reader (:node %) (inc depth)) fields))
        empty-kvs (object-array (interleave keys (repeat nil)))
        broken-rule (rule/first-broken (:rules props) (zipmap keys (iterate #(+ 2 (long %)) 1)))
        n (alength keys)
        kept (:source props)]
    (fn [^Reader r]
      (let [start (position r)
            ^ByteBuffer b (.-buffer r)
            kvs (aclone empty-kvs)
            path (.-path r)
            places (when kept (int-array (inc n) (.position b)))]
        (path/parts! path depth keys)
        (loop [i 0 j 1 whole true]
          (if (< i n)
            (do (path/part! path depth i)
              (let [v (.invoke ^AFn (aget readers i) r)]
                (aset kvs j v)
                (when places (aset ^ints places (inc i) (.position b)))
                (recur (inc i) (+ j 2) (if (nil? v) false whole))))
            (let [rule (when broken-rule (.invoke broken-rule kvs))
                  kvs (if whole kvs (without-nils kvs))
                  m (if places (source/attach kvs (.-array r) keys places) (PersistentArrayMap. kvs))]
              (when rule (rule-fault! r depth rule start (map vector keys readers) m))
              m)))))))

(defn- tagged-reader [{:keys [fields props]} depth]
  (let [depth (long depth)
        width (node/width (:as props))
        cases (into {} (map (fn [{:keys [code key node]}] [code [key (compile-reader node (inc depth))]])) fields)]
    (fn [^Reader r]
      (need! r depth width)
      (let [code (get-int (.-buffer r) width)
            [key read-case] (cases code)]
        (when-not key
          (fault! r depth :format/code (- (position r) width) {:expected (pr-str (mapv :code fields)) :found code}))
        (set-path! r depth key)
        {key (read-case r)}))))

(def compilers
  "Kind → function of a node and its depth in the path that gives a reader."
  {:u8 int-reader :u16 int-reader :u32 int-reader :u64 int-reader
   :unsigned unsigned-reader
   :bytes bytes-reader
   :text text-reader
   :enum enum-reader
   :index index-reader
   :literal literal-reader
   :list list-reader
   :optional optional-reader
   :sized sized-reader
   :struct struct-reader
   :tagged tagged-reader})

(defn compile-reader
  "The reader of `node`, whose path has `depth` elements."
  [{:keys [kind] :as node} depth]
  ((compilers kind) node depth))
