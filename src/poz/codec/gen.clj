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
   [clojure.test.check.generators :as gen]
   [poz.codec :as codec]
   [poz.codec.gen.scalar :as scalar]
   [poz.codec.ids :as ids]
   [poz.codec.node :as node]
   [poz.codec.order :as order]
   [poz.codec.repair :as repair]))

(set! *warn-on-reflection* true)

(defn- fitting [algorithms use]
  (filterv #(nil? (order/key-use-fault algorithms use %)) (range (count algorithms))))

(defn- index-gen [{:keys [props]} {:keys [algorithms]}]
  (if algorithms
    (when-let [indexes (seq (fitting algorithms (:use props)))]
      (gen/elements indexes))
    (scalar/int-gen {:low 0 :high (node/int-max :u16)} nil)))

;; ## Composites

(declare generator)

(defn- encoder [item]
  (let [compiled (codec/of-node item)]
    (fn [v] (codec/encode compiled v))))

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
  (let [id (ids/id-fn node) sorted (in-order node)]
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

(defn- tagged-gen [{:keys [fields]} options]
  (when-let [cases (seq (keep (fn [{:keys [key node]}]
                                (when-let [g (generator node options)] (gen/fmap #(array-map key %) g)))
                          fields))]
    (gen/one-of cases)))

(def compilers
  "Kind → function of a node and the options that gives a generator, or nil where no
  value can be made. nil as a value stands for none: an absent optional, a literal."
  {:u8 scalar/int-gen :u16 scalar/int-gen :u32 scalar/int-gen :u64 scalar/int-gen
   :unsigned scalar/unsigned-gen
   :bytes scalar/bytes-gen
   :text scalar/text-gen
   :enum scalar/enum-gen
   :index index-gen
   :literal (fn [_ _] (gen/return nil))
   :list list-gen
   :optional optional-gen
   :sized (fn [{:keys [item]} options] (generator item options))
   :struct struct-gen
   :tagged tagged-gen})

(defn generator
  "A generator of values of `node`, or nil where the `:algorithms` allow none."
  ([node] (generator node {}))
  ([{:keys [kind] :as node} options]
   ((compilers kind) node options)))
