(ns poz.codec.ids
  "That no two items of a list are the same: `:id` is the fields that no two share, `:distinct` says
  that no two are equal.

  Who makes a file chooses what is in it, and could choose many ids of one hash, so that each is
  compared with all the others. So ids are hashed at a point that each JVM draws for itself: what is
  in an id are the coefficients of a polynomial over the integers modulo the prime 2^61 - 1, of which
  any two of degree n agree at n points at most (Carter and Wegman 1979)."
  (:require
   [poz.codec.value :as value])
  (:import
   (clojure.lang APersistentVector IFn$OL IFn$OLOO IFn$OOLO)
   (java.nio ByteBuffer)
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

(defn- id-fields
  "The fields of an item that make its id; nil where the item itself does."
  [{:keys [item props]}]
  (or (:id props) (seq (map :key (:fields item)))))

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

(defn- absorb-bytes ^long [^long h ^long x ^Bytes v]
  (let [b (ByteBuffer/wrap (.-array v) (.-offset v) (.-length v))]
    (loop [h (absorb h x (.-length v))]
      (cond (<= 4 (.remaining b)) (recur (absorb h x (bit-and 0xffffffff (.getInt b))))
            (.hasRemaining b) (recur (absorb h x (bit-and 0xff (.get b))))
            :else h))))

(defn- absorb-text ^long [^long h ^long x ^String v]
  (let [n (.length v)]
    (loop [i 0 h (absorb h x n)]
      (if (< i n)
        (recur (inc i) (absorb h x (int (.charAt v (unchecked-int i)))))
        h))))

(defn- absorb-value
  "`h` with what the value `v` is made of, its length first."
  ^long [^long h ^long x v]
  (cond (instance? Bytes v) (absorb-bytes h x v)
        (instance? String v) (absorb-text h x v)
        (instance? APersistentVector v) (reduce (fn [h v] (absorb-value h x v)) (absorb h x (count v)) v)
        :else (absorb h x (bit-and 0xffffffff (hash v))))) ; a number or a code, of which there are few of one hash

(defn- hash-fields
  "A function of a map that gives a hash of its values of `fields`."
  ^IFn$OL [fields]
  (let [x (long point)]
    (if-let [k (peek fields)]
      (let [hash-rest (hash-fields (pop fields))]
        (fn ^long [m] (absorb-value (.invokePrim hash-rest m) x (value/of m k))))
      (fn ^long [_] 0))))

(defn- hash-item
  "A function of an item that gives a hash of it."
  ^IFn$OL []
  (let [x (long point)]
    (fn ^long [item] (absorb-value 0 x item))))

;; ## Comparing

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

(defn id-check
  "For a list node no two of whose items may share an id: a function of an array of items, a
  position in it and what `seen` gave, which says whether an item before the one at the
  position shares its id; else nil. It is called for each position in turn."
  ^IFn$OLOO [node]
  (when (id-fn node)
    (let [fields (id-fields node)
          share? (if fields (share-fields fields) value/equal?)
          shares-with-seen? (remember (if fields (hash-fields (vec fields)) (hash-item)) share?)]
      (fn [^objects items ^long i ids]
        (if ids
          (.invokePrim shares-with-seen? ids items i)
          (let [item (aget items i)]
            (loop [j 0]
              (cond (= i j) false
                    (share? (aget items j) item) true
                    :else (recur (inc j))))))))))

(defn id-facts
  "The facts of the fault that `item` shares its id with another."
  [node item]
  {:rule "no two items share an id" :found (pr-str ((id-fn node) item))})
