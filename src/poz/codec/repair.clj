(ns poz.codec.repair
  "Makes a generated map keep the rules of its struct, by changing as little as a rule
  needs: what generators use, and nothing that handles real records.

  A rule that does not hold is read as an instruction: in `[:iff a b]` and `[:= a b]` the
  left side is made to follow the right one, `[:implies a b]` makes `b` true, and an
  inequality raises its fields to their greatest values until it holds."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.rule :as rule]))

(set! *warn-on-reflection* true)

(defn- value [m e]
  ((rule/compile-expression e) m))

(defn- resize [v n]
  (if (bytes/bytes? v)
    (apply bytes/concat (map #(bytes/slice v 0 (min (count v) (- n %))) (range 0 n (count v))))
    (vec (take n v))))

(defn- make-equal [m [a b] want]
  (let [v (value m b)]
    (cond
      (not want) (assoc m a (inc (long v)))
      (keyword? a) (assoc m a v)
      :else (update m (second a) resize v))))

(defn- make-zero [m [k] want]
  (update m k #(bytes/wrap (byte-array (count %) (byte (if want 0 1))))))

(defn- make [m [op & [a b :as args]] want]
  (case op
    := (make-equal m args want)
    :zero (make-zero m args want)
    :iff (make m a (boolean (value m b)))
    :implies (make m b true)))

(defn- fields-of [e]
  (if (vector? e) (mapcat fields-of (rest e)) (when (keyword? e) [e])))

(defn- raise [m highs {:keys [field check holds?]}]
  (let [raised (reductions #(assoc %1 %2 (highs %2)) m (cons field (fields-of check)))]
    (or (first (filter holds? raised)) m)))

(defn- mend [m highs {:keys [holds? check] :as rule}]
  (cond
    (holds? m) m
    (#{:< :<=} (first check)) (raise m highs rule)
    :else (make m check true)))

(defn repairer
  "A function that gives a value of the struct `node`, right but for the rules between
  its fields, as one that keeps those too."
  [{:keys [fields props]}]
  (let [rules (:rules props)
        highs (into {} (map (fn [{:keys [key node]}] [key (:high node)])) fields)
        round (fn [m] (reduce #(mend %1 highs %2) m rules))]
    (fn [m]
      (loop [m m tries 4]
        (if (or (zero? tries) (every? #((:holds? %) m) rules))
          m
          (recur (round m) (dec tries)))))))
