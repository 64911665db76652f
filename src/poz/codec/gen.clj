(ns poz.codec.gen
  "From nodes to test.check generators of values that the writer takes.

  `(generator node)` favours the ends of ranges, empty lists, all-zero and odd text;
  lists come out in order and without repetition, structs with their rules kept (see
  `poz.codec.repair`). Values stay small: a list has a few items, bytes some dozens.

  Option `:algorithms`, those of the record's keys, as for `encode`: an index then leads
  to a key that can do what it is cited for. Where the record has no such key there is
  no generator but nil: an optional is then absent, a list empty, and what needs the
  index has no generator either."
  (:require
   [clojure.string :as str]
   [clojure.test.check.generators :as gen]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.node :as node]
   [poz.codec.order :as order]
   [poz.codec.repair :as repair]
   [poz.codec.write :as write])
  (:import
   (java.util SplittableRandom)))

(set! *warn-on-reflection* true)

(defn- leaf
  "A generator of what `f` makes with a source of randomness; shrinks to `simplest`.
  One draw of test.check's makes a whole leaf: some hundred of them make a record."
  [simplest f]
  (gen/fmap (fn [seed] (if (zero? (long seed)) simplest (f (SplittableRandom. seed))))
    (gen/choose 0 Integer/MAX_VALUE)))

(defn- below
  "A random integer from 0 to `n` - 1."
  ^long [^SplittableRandom r ^long n]
  (.nextLong r n))

(defn- within ^long [^SplittableRandom r ^long low ^long high]
  (if (= high Long/MAX_VALUE)
    (max low (bit-and high (.nextLong r)))
    (.nextLong r low (inc high))))

(defn- pick [r choices]
  (nth choices (below r (count choices))))

(defn- int-gen [{:keys [low high]} _]
  (let [low (long low) high (long high)]
    (leaf low (fn [r] (case (below r 8)
                        0 low
                        1 high
                        (2 3 4) (within r low (min high (+ low 20)))
                        (within r low high))))))

(defn- random-bytes [^SplittableRandom r n]
  (let [a (byte-array n)]
    (when (pos? (below r 16))
      (.nextBytes r a))
    (bytes/wrap a)))

(defn byte-strings
  "A generator of byte strings of `low` to `high` bytes, one in 16 all zero."
  [low high]
  (leaf (bytes/zeros low) (fn [r] (random-bytes r (within r low high)))))

(defn- bytes-gen [{:keys [props]} _]
  (let [{:keys [size prefix min max]} props
        low (long (or size min 0)) high (long (or size max (node/int-max prefix)))
        few (clojure.core/min high (+ low 80)) many (clojure.core/min high (+ few 256))]
    (leaf (bytes/zeros low)
      (fn [r] (random-bytes r (case (below r 24)
                                0 low
                                1 (within r few many)
                                (within r low few)))))))

;; ## Text

(def ^:private plain-marks
  "What a handle may hold: one to four bytes each, combining, invisible, the last of all."
  ["a" "b" "Z" "0" "9" "-" "_" "." "~" "é" "ß" "Ж" "ÿ" "字" "が" "한" "\u0301" "\u200d" "\ufeff"
   "\ufffd" "\uffff" "😀" "\udbff\udfff"])

(def ^:private all-marks
  (into plain-marks [" " "@" "/" ":" "\u00a0" "\u2028" "\u3000"]))

(defn- size-of ^long [s]
  (count (bytes/utf8 s)))

(defn- fill
  "As many of `mark` as fit in `size` bytes of UTF-8, and then of a."
  [mark size]
  (let [s (str/join (repeat (quot (long size) (size-of mark)) mark))]
    (str s (str/join (repeat (- (long size) (size-of s)) "a")))))

(defn- random-text [r marks low high]
  (let [n (within r low (min 12 (long high)))
        s (str/join (repeatedly n #(pick r marks)))]
    (if (<= (size-of s) (long high)) s (fill (pick r marks) high))))

(defn- marks-gen [marks low high]
  (leaf (fill "a" low)
    (fn [r] (if (zero? (below r 10))
              (fill (pick r marks) (min 300 (long high)))
              (random-text r marks low high)))))

(def ^:private labels
  ["example" "org" "com" "a" "0" "x-y" "a--b" "xn--bcher-kva" "xn--p1ai" (fill "l" 63)])

(defn- random-label [r]
  (if (zero? (below r 2))
    (pick r labels)
    (str/join (repeatedly (within r 1 10) #(pick r "abcdefghijklmnopqrstuvwxyz0123456789")))))

(defn- domain-gen [high]
  (let [longest (subs (str/join "." (repeat 5 (fill "d" 63))) 0 high)]
    (leaf "a"
      (fn [r] (let [s (str/join "." (repeatedly (within r 1 4) #(random-label r)))]
                (if (or (< (long high) (count s)) (zero? (below r 16))) longest s))))))

(defn- text-gen [{:keys [props]} _]
  (let [{:keys [min max form] :or {min 0 max 65535}} props]
    (case form
      :domain (domain-gen max)
      :handle (marks-gen plain-marks min max)
      (marks-gen all-marks min max))))

;; ## Codes and indexes

(defn- enum-gen [{:keys [props]} _]
  (let [{:keys [as codes open]} props
        named (mapv second codes)
        unknown (when open (into [] (remove (into #{} (map first) codes)) (range (inc (node/int-max as)))))]
    (leaf (first named)
      (fn [r] (pick r (if (and open (zero? (below r 6))) unknown named))))))

(defn- fitting [algorithms use]
  (filterv #(nil? (order/key-use-fault algorithms use %)) (range (count algorithms))))

(defn- index-gen [{:keys [props]} {:keys [algorithms]}]
  (if algorithms
    (when-let [indexes (seq (fitting algorithms (:use props)))]
      (gen/elements indexes))
    (int-gen {:low 0 :high (node/int-max :u16)} nil)))

;; ## Composites

(declare generator)

(defn- encoder [item]
  (let [writes {:write (write/compile-writer item 0)}]
    (fn [v] (codec/encode writes v))))

(defn- distinct-by [f items]
  (vals (reduce (fn [seen v] (let [k (f v)] (if (contains? seen k) seen (assoc seen k v)))) {} items)))

(defn- in-order [{:keys [item props] :as node}]
  (if (= :encoding (:sort props))
    (let [encode (encoder item)]
      (fn [items] (if (next items) (vals (into (sorted-map) (map (juxt encode identity)) items)) items)))
    (if-let [c (order/item-comparator node)]
      (fn [items] (into (sorted-set-by c) items))
      identity)))

(defn- arranger
  "A function of any items of the list `node` that gives those of them that can stand
  in one list, in order."
  [node]
  (let [id (order/id-fn node) sorted (in-order node)]
    (fn [items]
      (vec (sorted (if id (distinct-by id items) items))))))

(defn- counted-gen
  "Lists of as many items as one of `counts` says, distinct; nil where there are too few."
  [item-gen {:keys [item] :as node} {:keys [algorithms]}]
  (let [there (if algorithms (count (fitting algorithms (get-in item [:props :use]))) 0xffff)]
    (when-let [counts (seq (take-while #(<= (long %) (long there)) (get-in node [:props :counts])))]
      (gen/fmap (arranger node)
        (gen/bind (gen/elements counts)
          (fn [n] (gen/vector-distinct item-gen {:num-elements n :max-tries 1000})))))))

(def ^:private ^:const short-list
  "Lists of at most so many items are now and then generated full."
  8)

(defn- some-gen [item-gen {:keys [least most] :as node}]
  (let [least (long least) most (long most)
        few (gen/vector item-gen least (min most (+ least 3)))]
    (gen/fmap (arranger node)
      (if (<= most (long short-list))
        (gen/frequency [[4 few] [1 (gen/vector item-gen least most)]])
        few))))

(defn- list-gen [{:keys [item least props] :as node} options]
  (let [item-gen (generator item options)]
    (cond
      (nil? item-gen) (when (and (zero? (long least)) (not (:counts props))) (gen/return []))
      (:counts props) (counted-gen item-gen node options)
      :else (some-gen item-gen node))))

(defn- optional-gen [{:keys [item]} options]
  (if-let [item-gen (generator item options)]
    (gen/fmap (fn [[present? v]] (when present? v)) (gen/tuple gen/boolean item-gen))
    (gen/return nil)))

(defn- field-map [keys values]
  (into {} (keep (fn [[k v]] (when (some? v) [k v]))) (map vector keys values)))

(defn- struct-gen [{:keys [fields] :as node} options]
  (let [generators (mapv #(generator (:node %) options) fields)
        repair (repair/repairer node)
        keys (mapv :key fields)]
    (when (every? some? generators)
      (gen/fmap #(repair (field-map keys %)) (apply gen/tuple generators)))))

(def compilers
  "Kind → function of a node and the options that gives a generator, or nil where no
  value can be made. nil as a value stands for none: an absent optional, a literal."
  {:u8 int-gen :u16 int-gen :u32 int-gen :u64 int-gen
   :bytes bytes-gen
   :text text-gen
   :enum enum-gen
   :index index-gen
   :literal (fn [_ _] (gen/return nil))
   :list list-gen
   :optional optional-gen
   :sized (fn [{:keys [item]} options] (generator item options))
   :struct struct-gen})

(defn generator
  "A generator of values of `node`, or nil where the `:algorithms` allow none."
  ([node] (generator node {}))
  ([{:keys [kind] :as node} options]
   ((compilers kind) node options)))
