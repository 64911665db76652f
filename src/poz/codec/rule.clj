(ns poz.codec.rule
  "The expressions in which a format table writes rules between fields of one struct.

  A keyword is that field's value, a vector an operation, anything else itself:

      [:iff [:= :serial 1] [:zero :previous-master-hash]]

  `:= :< :<= :+ :*` on numbers (`:=` on anything), `:count` of a list or byte string,
  `:zero` all bytes zero, `:implies`, `:iff`, and `[:lookup {…} key default]`.

  What is compiled takes the values of the fields in an array, each at its *place*, as reader and
  writer have them; `compile-rule` gives the rule a predicate of the map. Nothing here reads or
  writes bytes."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.value :as value])
  (:import
   (clojure.lang AFn)))

(set! *warn-on-reflection* true)

;; An operand is `[at x]`: the field at a place, or a constant, or another operation. The most are
;; fields and constants, which take no call.

(def ^:private ^:const constant -1)
(def ^:private ^:const operation -2)

(defn- evaluate [^objects values ^long at x]
  (cond (<= 0 at) (aget values (unchecked-int at))
        (= constant at) x
        :else (.invoke ^AFn x values)))

(defn- binary [e op [at-a a] [at-b b]]
  (let [at-a (long at-a) at-b (long at-b)]
    (case op
      := (fn [vs] (value/equal? (evaluate vs at-a a) (evaluate vs at-b b)))
      :< (fn [vs] (< (long (evaluate vs at-a a)) (long (evaluate vs at-b b))))
      :<= (fn [vs] (<= (long (evaluate vs at-a a)) (long (evaluate vs at-b b))))
      :+ (fn [vs] (+ (long (evaluate vs at-a a)) (long (evaluate vs at-b b))))
      :* (fn [vs] (* (long (evaluate vs at-a a)) (long (evaluate vs at-b b))))
      :iff (fn [vs] (= (boolean (evaluate vs at-a a)) (boolean (evaluate vs at-b b))))
      :implies (fn [vs] (or (not (evaluate vs at-a a)) (boolean (evaluate vs at-b b))))
      (throw (ex-info (str "Format table: no such operation: " op) {:expression e})))))

(defn- lookup [table [at-key key] [at-default default]]
  (let [at-key (long at-key) at-default (long at-default)]
    (fn [vs] (or (value/of table (evaluate vs at-key key)) (evaluate vs at-default default)))))

(declare operand)

(defn- compile-operation [place [op & more :as e]]
  (let [[[at a :as x] y] (map #(operand place %) (if (= :lookup op) (rest more) more)) at (long at)]
    (case op
      :lookup (lookup (first more) x y)
      :count (fn [vs] (value/size (evaluate vs at a)))
      :zero (fn [vs] (bytes/zero-bytes? (evaluate vs at a)))
      (binary e op x y))))

(defn- operand [place e]
  (cond (keyword? e) [(place e) e]
        (vector? e) [operation (compile-operation place e)]
        :else [constant e]))

(defn- fields-of
  "The fields that expression `e` names."
  [e]
  (cond (keyword? e) [e]
        (vector? e) (into [] (comp (mapcat fields-of) (distinct)) (rest e))))

(defn- compile-at
  "A function of an array of values, each at its `place`, that gives the value of expression `e`."
  [place e]
  (let [[at x] (operand place e) at (long at)]
    (if (= operation at) x (fn [vs] (evaluate vs at x)))))

(defn compile-expression
  "A function of a struct's map that gives the value of expression `e`."
  [e]
  (let [fields (fields-of e)
        value-of (compile-at (zipmap fields (range)) e)]
    (fn [m] (value-of (object-array (map #(get m %) fields))))))

(defn compile-rule
  "The rule `{:code :field :rule :check}` with `:holds?`, a predicate of the map."
  [rule]
  (assoc rule :holds? (compile-expression (:check rule))))

(defn first-broken
  "A function of an array of values, each at its `place` (key → place), that gives the first of
  `rules` that does not hold, or nil. Itself nil where there are no rules."
  ^AFn [rules place]
  (when (seq rules)
    (let [predicates (object-array (map #(compile-at place (:check %)) rules))]
      (fn [values]
        (loop [i 0]
          (when (< i (alength predicates))
            (if (.invoke ^AFn (aget predicates i) values)
              (recur (inc i))
              (nth rules i))))))))
