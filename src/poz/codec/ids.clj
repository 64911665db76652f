(ns poz.codec.ids
  "That no two items of a list are the same: `:id` is the fields that no two share, `:distinct` says
  that no two are equal.

  Items are equal where their bytes are, which are at hand. Of items that are sorted by their bytes,
  and whose first fields are the id, those that share one are neighbours. All others are remembered
  in a hash table. Who makes a file chooses what is in it, and could choose many of one hash, so that
  each is compared with all the others. So they are hashed at a point that each JVM draws for itself:
  what is in an id are the coefficients of a polynomial over the integers modulo the prime 2^61 - 1, of
  which any two of degree n agree at n points at most (Carter and Wegman 1979)."
  (:require
   [poz.codec.value :as value])
  (:import
   (clojure.lang APersistentVector IFn$LO IFn$OL)
   (java.nio ByteBuffer)
   (java.util Arrays)
   (java.util.concurrent ThreadLocalRandom)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(defn key-fn
  "A function of a map that gives the value of `fields` in it: the value itself of a
  single field, else a vector."
  [fields]
  (if (= 1 (count fields))
    (first fields)
    (apply juxt fields)))

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

;; ## Hashes

(def ^:private ^:const prime 0x1fffffffffffffff)

(def ^:private point
  "Where the polynomials are evaluated."
  (.nextLong (ThreadLocalRandom/current) 0x100000000 prime))

(defn- absorb
  "`h` · `x` + `word` modulo the prime, of numbers below it."
  ^long [^long h ^long x ^long word]
  (let [low (unchecked-multiply h x)
        sum (unchecked-add word
              (unchecked-add (bit-and low prime)
                (bit-or (unsigned-bit-shift-right low 61) (bit-shift-left (Math/multiplyHigh h x) 3))))
        folded (unchecked-add (bit-and sum prime) (unsigned-bit-shift-right sum 61))]
    (if (<= prime folded) (unchecked-subtract folded prime) folded)))

(defn- absorb-bytes ^long [^long h ^bytes array ^long from ^long length]
  (let [x (long point) b (ByteBuffer/wrap array (unchecked-int from) (unchecked-int length))]
    (loop [h (absorb h x length)]
      (cond (<= 4 (.remaining b)) (recur (absorb h x (bit-and 0xffffffff (.getInt b))))
            (.hasRemaining b) (recur (absorb h x (bit-and 0xff (.get b))))
            :else h))))

(defn- absorb-text ^long [^long h ^String v]
  (let [x (long point) n (.length v)]
    (loop [i 0 h (absorb h x n)]
      (if (< i n)
        (recur (inc i) (absorb h x (int (.charAt v (unchecked-int i)))))
        h))))

(defn- absorb-value
  "`h` with what the value `v` is made of, its length first."
  ^long [^long h v]
  (cond (instance? Bytes v) (absorb-bytes h (.-array ^Bytes v) (.-offset ^Bytes v) (.-length ^Bytes v))
        (instance? String v) (absorb-text h v)
        (instance? APersistentVector v) (reduce absorb-value (absorb h (long point) (count v)) v)
        :else (absorb h (long point) (bit-and 0xffffffff (hash v))))) ; a number or a code, of which there are few of one hash

(defn- hash-fields
  "A function of a map that gives a hash of its values of `fields`."
  ^IFn$OL [fields]
  (if-let [k (peek fields)]
    (let [hash-rest (hash-fields (pop fields))]
      (fn ^long [m] (absorb-value (.invokePrim hash-rest m) (value/of m k))))
    (fn ^long [_] 0)))

;; ## Comparing
;;
;; Of a list that is being looked at, `items` are in an array, item `i` has its bytes from the place `i` of
;; `starts` to the next one, and `table` is a hash table: each place of it has an item's hash and its
;; position + 1, or 0. So close together, looking at many items does not take longer for each. A way of
;; finding out asks for some of them only.

(deftype Seen [^objects items ^longs starts ^longs table])

(def ^:private ^:const few 8)

(defn- table-for
  "A hash table for `n` items, or nil for few: each of those is compared with all before it."
  ^longs [^long n]
  (when (< few n) (long-array (* 2 (Long/highestOneBit (* 2 n))))))

(defn- remember
  "Puts the item at `i`, of this `hash`, into `table`, or says that one in it is the `same?`, as that
  tells of its position."
  [^longs table ^long hash ^long i ^IFn$LO same?]
  (let [high (bit-shift-left hash 32) mask (dec (alength table))]
    (loop [at (bit-and hash mask)]
      (let [entry (aget table at)]
        (cond (zero? entry) (do (aset table at (bit-or high (inc i))) false)
              (and (= high (bit-and entry -0x100000000))
                (.invokePrim same? (dec (bit-and entry 0xffffffff)))) true
              :else (recur (bit-and (inc at) mask)))))))

(defn- before?
  "True if `same?` holds for a position before `i`."
  [^long i ^IFn$LO same?]
  (loop [j 0]
    (cond (= i j) false
          (.invokePrim same? j) true
          :else (recur (inc j)))))

(defn- by-bytes
  "For items that are not to be equal."
  []
  {:seen (fn [_ ^long n ^long start]
           (let [starts (long-array (inc n))]
             (aset starts 0 start)
             (Seen. nil starts (table-for n))))
   :shares-id? (fn [^Seen seen ^bytes array ^long i ^long end]
                 (let [^longs starts (.-starts seen) start (aget starts i)
                       same? (fn [^long j] (Arrays/equals array (unchecked-int (aget ^longs starts j)) (unchecked-int (aget ^longs starts (inc j)))
                                             array (unchecked-int start) (unchecked-int end)))]
                   (aset starts (inc i) end)
                   (if-let [table (.-table seen)]
                     (remember table (absorb-bytes 0 array start (- end start)) i same?)
                     (before? i same?))))})

(defn- by-neighbour
  "For items of which those that `share?` an id are neighbours."
  [share?]
  {:seen (fn [items ^long _ ^long _] (Seen. items nil nil))
   :shares-id? (fn [^Seen seen _ ^long i ^long _]
                 (let [^objects items (.-items seen)]
                   (and (pos? i) (share? (aget items (dec i)) (aget items i)))))})

(defn- by-values
  "For items of which two have one hash by `hash-of` where they `share?` an id."
  [^IFn$OL hash-of share?]
  {:seen (fn [items ^long n ^long _] (Seen. items nil (table-for n)))
   :shares-id? (fn [^Seen seen _ ^long i ^long _]
                 (let [^objects items (.-items seen) item (aget items i)
                       same? (fn [^long j] (share? (aget ^objects items j) item))]
                   (if-let [table (.-table seen)]
                     (remember table (.invokePrim hash-of item) i same?)
                     (before? i same?))))})

(defn- leading?
  "True if the fields `id` are the first ones of the struct `item`."
  [{:keys [fields]} id]
  (= (set id) (into #{} (comp (take (count id)) (map :key)) fields)))

(defn id-check
  "For a list node no two of whose items may share an id, else nil:

    :seen        a function of an array of items, their number and where the first one starts,
                 which gives what is known of them
    :shares-id?  a function of that, the array of all bytes, a position and where its item ends, which
                 says whether an item before it shares its id; called for each position in turn"
  [{:keys [item props]}]
  (let [{:keys [id sort]} props]
    (cond
      (:distinct props) (by-bytes)
      (nil? id) nil
      (and (= :encoding sort) (leading? item id)) (by-neighbour (share-fields id))
      :else (by-values (hash-fields (vec id)) (share-fields id)))))

(defn id-facts
  "The facts of the fault that `item` shares its id with another."
  [node item]
  {:rule "no two items share an id" :found (pr-str ((id-fn node) item))})
