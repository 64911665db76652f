(ns poz.codec.read
  "Compiles nodes to readers: functions of a `Reader`, which is a cursor over bytes.

  A reader gives the value and moves the cursor, or throws the anomaly that names the
  first broken rule, with its offset (counted from the first byte of the whole) and
  path. What it allocates is bounded by the bytes that are there: a count or a length
  is held against them first. Byte strings are slices of what is read, not copies."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.node :as node]
   [poz.codec.order :as order]
   [poz.codec.rule :as rule]
   [poz.codec.text :as text]
   [poz.error :as error])
  (:import
   (clojure.lang LazilyPersistentVector PersistentArrayMap)
   (java.nio ByteBuffer)
   (java.util Arrays HashSet)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(def ^:private ^:const max-depth 32)

;; `path` holds the key or position at each depth of the node that is being read, so
;; that a fault can name its place at no cost to a read that succeeds. `context` holds
;; what earlier parts of the file decide for later ones: the algorithms of its keys.
(deftype Reader [^ByteBuffer buffer ^bytes array ^long base ^objects path ^objects context])

(defn reader
  "A cursor at the first byte of the byte string `b`."
  ^Reader [^Bytes b]
  (let [array ^bytes (.-array b)]
    (Reader. (-> (ByteBuffer/wrap array) (.position (.-offset b))
               (.limit (unchecked-add-int (.-offset b) (.-length b))))
      array (.-offset b) (object-array max-depth) (object-array 1))))

(defn position
  "The offset of the cursor from the first byte."
  ^long [^Reader r]
  (- (.position ^ByteBuffer (.-buffer r)) (.-base r)))

(defn remaining
  "How many bytes are left before the end of what may be read."
  ^long [^Reader r]
  (.remaining ^ByteBuffer (.-buffer r)))

(defn seek!
  "Moves the cursor to `offset`, with `end` as the end of what may be read."
  [^Reader r offset end]
  (let [^ByteBuffer b (.-buffer r)]
    (.limit b (int (+ (.-base r) (long end))))
    (.position b (int (+ (.-base r) (long offset))))))

(defn set-algorithms!
  "Tells the reader the algorithms of the record's keys, a vector: from here on an
  index must lead to one of them, and to one that can do what it is cited for."
  [^Reader r algorithms]
  (aset ^objects (.-context r) 0 algorithms))

(defn set-path!
  "Sets what stands at `depth` of the path, for readers compiled for below it."
  [^Reader r depth key]
  (aset ^objects (.-path r) (int depth) key))

(defn fault!
  "Throws the anomaly for `code` at the offset `at` and `depth` of the present path."
  [^Reader r depth code at facts]
  (error/fail! code (assoc facts
                      :at at
                      :path (vec (Arrays/copyOf ^objects (.-path r) (int depth))))))

(defn- need!
  "Faults unless `n` more bytes are there."
  [^Reader r depth ^long n]
  (let [^ByteBuffer b (.-buffer r)]
    (when (< (.remaining b) n)
      (fault! r depth :format/truncated (position r)
        {:expected (str n (if (= n 1) " byte" " bytes")) :found (.remaining b)}))))

(defn- get-int
  "The integer of `width` bytes at the cursor; of 8 bytes a signed one."
  ^long [^ByteBuffer b ^long width]
  (case width
    1 (bit-and 0xff (.get b))
    2 (bit-and 0xffff (.getShort b))
    4 (bit-and 0xffffffff (.getInt b))
    8 (.getLong b)))

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

(defn- take-slice ^Bytes [^Reader r ^long n]
  (let [^ByteBuffer b (.-buffer r) at (.position b)]
    (.position b (unchecked-int (+ at n)))
    (Bytes. (.-array r) at (unchecked-int n))))

(defn- fixed-reader [{:keys [props]} depth]
  (let [n (long (:size props))]
    (fn [^Reader r]
      (need! r depth n)
      (take-slice r n))))

(defn- bytes-reader [{:keys [props] :as node} depth]
  (if (:size props)
    (fixed-reader node depth)
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

(defn- text-reader [{:keys [props]} depth]
  (fn [^Reader r]
    (need! r depth 2)
    (let [n (get-int (.-buffer r) 2)]
      (need! r depth n)
      (let [at (position r)
            s (text/read-utf8 (.-array r) (.position ^ByteBuffer (.-buffer r)) n)]
        (when-not (string? s)
          (fault! r depth :format/utf8 (+ at (long s)) {:rule "well-formed UTF-8"}))
        (when-let [{:keys [error index] :as f} (text/fault s n props)]
          (let [before (subs s 0 index)]
            (fault! r depth error (+ at (count (bytes/utf8 before))) (dissoc f :error :index))))
        (.position ^ByteBuffer (.-buffer r) (unchecked-int (+ (.position ^ByteBuffer (.-buffer r)) n)))
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
        (when-not (= expected found)
          (fault! r depth (:code props) (- (position r) (long lo))
            {:expected (bytes/->hex expected) :found (bytes/->hex found)}))
        nil))))

(declare compile-reader)

(defn- optional-reader [{:keys [item]} depth]
  (let [read-item (compile-reader item depth)]
    (fn [^Reader r]
      (need! r depth 1)
      (let [v (get-int (.-buffer r) 1)]
        (case v
          0 nil
          1 (read-item r)
          (fault! r depth :format/optional (dec (position r)) {:expected "0 or 1" :found v}))))))

(defn- sized-reader [{:keys [item props]} depth]
  (let [read-item (compile-reader item depth)
        width (node/width (:prefix props))]
    (fn [^Reader r]
      (need! r depth width)
      (let [^ByteBuffer b (.-buffer r)
            n (get-int b width)
            limit (.limit b)]
        (need! r depth n)
        (.limit b (unchecked-int (+ (.position b) n)))
        (let [v (read-item r)]
          (when (.hasRemaining b)
            (fault! r depth :format/trailing (position r) {:found (.remaining b)}))
          (.limit b limit)
          v)))))

(defn- count-reader [{:keys [item-floor] :as node} depth]
  (let [floor (long item-floor)
        count-fault (order/count-check node)]
    (fn [^Reader r]
      (need! r depth 2)
      (let [n (get-int (.-buffer r) 2)]
        (when-let [facts (count-fault n)]
          (fault! r depth :format/count (- (position r) 2) facts))
        (need! r depth (* n floor))
        n))))

(defn- compare-encodings
  "Compares the bytes from `before` to `start` with those from there to the cursor."
  [^Reader r before start]
  (let [array ^bytes (.-array r) base (.-base r)
        before (int (+ base (long before))) start (int (+ base (long start)))]
    (Arrays/compareUnsigned array before start array start (.position ^ByteBuffer (.-buffer r)))))

(defn item-checker
  "For a list node whose items owe one another something: a function of the reader,
  the items so far, the position of the newest, where the one before it started and
  where it did, and a set of ids that it keeps. It faults where they do not keep it."
  [{:keys [props] :as node} depth]
  (let [by-encoding (= :encoding (:sort props))
        compare-items (order/item-comparator node)
        in-order (or by-encoding compare-items)
        id (order/id-fn node)
        depth (inc (long depth))]
    (when (or in-order id)
      (fn [^Reader r ^objects items i before start ^HashSet ids]
        (let [i (long i) item (aget items i)]
          (when (and in-order (pos? i))
            (let [c (long (if by-encoding
                            (compare-encodings r before start)
                            (compare-items (aget items (dec i)) item)))]
              (when-not (neg? c)
                (let [[code facts] (order/pair-fault c i)]
                  (fault! r depth code start facts)))))
          (when (and id (not (.add ids (id item))))
            (fault! r depth :format/duplicate start
              {:rule "no two items share an id" :found (pr-str (id item))})))))))

(defn- list-reader [{:keys [item] :as node} depth]
  (let [depth (long depth)
        read-count (count-reader node depth)
        read-item (compile-reader item (inc depth))
        check (item-checker node depth)
        ids? (order/id-fn node)]
    (fn [^Reader r]
      (let [n (long (read-count r))
            items (object-array n)
            ids (when ids? (HashSet.))]
        (loop [i 0 before 0]
          (when (< i n)
            (set-path! r depth i)
            (let [start (position r)]
              (aset items i (read-item r))
              (when check (check r items i before start ids))
              (recur (inc i) start))))
        (LazilyPersistentVector/createOwning items)))))

(defn- rule-fault!
  "Faults at the field of a broken rule in the struct `m` that starts at `start`."
  [^Reader r depth {:keys [code field rule]} start readers m]
  (seek! r start (- (.limit ^ByteBuffer (.-buffer r)) (.-base r)))
  (doseq [[k read-field] readers :while (not= k field)] (read-field r))
  (set-path! r depth field)
  (fault! r (inc (long depth)) code (position r) {:rule rule :found (order/found-in code (get m field))}))

(defn- compact ^objects [^objects kvs ^long n]
  (if (= n (alength kvs)) kvs (Arrays/copyOf kvs (int n))))

(defn- struct-reader [{:keys [fields props]} depth]
  (let [depth (long depth)
        keys (object-array (map :key fields))
        readers (object-array (map #(compile-reader (:node %) (inc depth)) fields))
        broken-rule (rule/first-broken (:rules props))
        n (alength keys)]
    (fn [^Reader r]
      (let [start (position r)
            kvs (object-array (* 2 n))
            path ^objects (.-path r)]
        (loop [i 0 j 0]
          (if (< i n)
            (let [k (aget keys i)]
              (aset path depth k)
              (let [v ((aget readers i) r)]
                (if (nil? v)
                  (recur (inc i) j)
                  (do (aset kvs j k)
                    (aset kvs (inc j) v)
                    (recur (inc i) (+ j 2))))))
            (let [m (PersistentArrayMap. (compact kvs j))]
              (when-let [rule (broken-rule m)]
                (rule-fault! r depth rule start (map vector keys readers) m))
              m)))))))

(def compilers
  "Kind → function of a node and its depth in the path that gives a reader."
  {:u8 int-reader :u16 int-reader :u32 int-reader :u64 int-reader
   :bytes bytes-reader
   :text text-reader
   :enum enum-reader
   :index index-reader
   :literal literal-reader
   :list list-reader
   :optional optional-reader
   :sized sized-reader
   :struct struct-reader})

(defn compile-reader
  "The reader of `node`, whose path has `depth` elements."
  [{:keys [kind] :as node} depth]
  ((compilers kind) node depth))

(defn finish!
  "Faults where bytes are left before the end of what may be read."
  [^Reader r depth]
  (let [^ByteBuffer b (.-buffer r)]
    (when (.hasRemaining b)
      (fault! r depth :format/trailing (position r) {:found (str (.remaining b) " more bytes")}))))

(defn rest!
  "All that is left before the end of what may be read, as a byte string."
  [^Reader r]
  (take-slice r (.remaining ^ByteBuffer (.-buffer r))))
