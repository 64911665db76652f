(ns poz.codec.rule
  "The expressions in which a format table writes rules between fields of one struct.

  A keyword is that field's value, a vector an operation, anything else itself:

      [:iff [:= :serial 1] [:zero :previous-master-hash]]

  `:= :< :<= :+ :*` on numbers (`:=` on anything), `:count` of a list or byte string,
  `:zero` all bytes zero, `:implies`, `:iff`, and `[:lookup {…} key default]`.
  `compile-rule` gives the rule a predicate; nothing here reads or writes bytes."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.value :as value])
  (:import
   (clojure.lang AFn)))

(set! *warn-on-reflection* true)

(defn- operation [e op [^AFn a ^AFn b]]
  (case op
    := (fn [m] (value/equal? (.invoke a m) (.invoke b m)))
    :< (fn [m] (< (.invoke a m) (.invoke b m)))
    :<= (fn [m] (<= (.invoke a m) (.invoke b m)))
    :+ (fn [m] (+ (.invoke a m) (.invoke b m)))
    :* (fn [m] (* (.invoke a m) (.invoke b m)))
    :iff (fn [m] (= (boolean (.invoke a m)) (boolean (.invoke b m))))
    :implies (fn [m] (or (not (.invoke a m)) (boolean (.invoke b m))))
    :count (fn [m] (value/size (.invoke a m)))
    :zero (fn [m] (bytes/zero-bytes? (.invoke a m)))
    (throw (ex-info (str "Format table: no such operation: " op) {:expression e}))))

(defn- lookup [table [^AFn key ^AFn default]]
  (fn [m] (or (value/of table (.invoke key m)) (.invoke default m))))

(defn compile-expression
  "A function of a struct's map that gives the value of expression `e`."
  [e]
  (cond
    (keyword? e) (fn [m] (value/of m e))
    (not (vector? e)) (fn [_] e)
    (= :lookup (first e)) (lookup (second e) (mapv compile-expression (subvec e 2)))
    :else (operation e (first e) (mapv compile-expression (rest e)))))

(defn compile-rule
  "The rule `{:code :field :rule :check}` with `:holds?`, a predicate of the map."
  [rule]
  (assoc rule :holds? (compile-expression (:check rule))))

(defn first-broken
  "A function of a struct's map that gives the first of `rules` (`compile-rule`) that does
  not hold, or nil. Itself nil where there are no rules."
  ^AFn [rules]
  (when (seq rules)
    (let [predicates (object-array (map :holds? rules))]
      (fn [m]
        (loop [i 0]
          (when (< i (alength predicates))
            (if (.invoke ^AFn (aget predicates i) m)
              (recur (inc i))
              (nth rules i))))))))
