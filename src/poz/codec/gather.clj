(ns poz.codec.gather
  "What `poz.codec/fold` does, compiled for one question: `gatherer` visits the parts of a
  value whose nodes meet a predicate, and passes over all else without looking at it.

  It knows no paths. Where a place has to be named ask here whether there is one, and
  then `poz.codec/fold` where."
  (:require
   [poz.codec.value :as value]))

(set! *warn-on-reflection* true)

(declare gatherer)

(defn- gather-list [pred item]
  (when-let [gather (gatherer pred item)]
    (fn [f acc items]
      (reduce (fn [acc item] (gather f acc item)) acc items))))

(defn- gather-field [pred {:keys [key node]}]
  (when-let [gather (gatherer pred node)]
    (fn [f acc m]
      (let [v (value/of m key)]
        (if (nil? v) acc (gather f acc v))))))

(defn- in-turn [gather-first gather-second]
  (fn [f acc v] (gather-second f (gather-first f acc v) v)))

(defn gatherer
  "A function of `f`, `acc` and a value of `node` that calls `(f acc part)` for the value and
  each part of it whose node meets `pred`, in the order of `poz.codec/fold`, and gives the
  last `acc`; nil where no value of `node` has such a part."
  [pred {:keys [kind item fields] :as node}]
  (let [parts (case kind
                (:optional :sized) [(gatherer pred item)]
                :list [(gather-list pred item)]
                (:struct :tagged) (map #(gather-field pred %) fields)
                nil)
        visits (remove nil? (cons (when (pred node) (fn [f acc v] (f acc v))) parts))]
    (when (seq visits) (reduce in-turn visits))))
