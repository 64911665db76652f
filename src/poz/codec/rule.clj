(ns poz.codec.rule
  "The expressions in which a format table writes rules between fields of one struct.

  A keyword is that field's value, a vector an operation, anything else itself:

      [:iff [:= :serial 1] [:zero :previous-master-hash]]

  `:= :< :<= :+ :*` on numbers (`:=` on anything), `:count` of a list or byte string,
  `:zero` all bytes zero, `:implies`, `:iff`, and `[:lookup {…} key default]`.
  `compile-rule` gives the rule a predicate; nothing here reads or writes bytes."
  (:require
   [poz.bytes :as bytes]))

(set! *warn-on-reflection* true)

(declare compile-expression)

(defn- binary [f [a b]]
  (let [a (compile-expression a) b (compile-expression b)]
    (fn [m] (f (a m) (b m)))))

(defn- unary [f [a]]
  (let [a (compile-expression a)]
    (fn [m] (f (a m)))))

(defn- lookup [[table key default]]
  (let [key (compile-expression key) default (compile-expression default)]
    (fn [m] (or (table (key m)) (default m)))))

(defn- implies [[a b]]
  (let [a (compile-expression a) b (compile-expression b)]
    (fn [m] (or (not (a m)) (boolean (b m))))))

(defn compile-expression
  "A function of a struct's map that gives the value of expression `e`."
  [e]
  (if (vector? e)
    (let [[op & args] e]
      (case op
        := (binary = args)
        :< (binary < args)
        :<= (binary <= args)
        :+ (binary + args)
        :* (binary * args)
        :iff (binary #(= (boolean %1) (boolean %2)) args)
        :implies (implies args)
        :count (unary count args)
        :zero (unary bytes/zero-bytes? args)
        :lookup (lookup args)
        (throw (ex-info (str "Format table: no such operation: " op) {:expression e}))))
    (if (keyword? e) (fn [m] (get m e)) (constantly e))))

(defn compile-rule
  "The rule `{:code :field :rule :check}` with `:holds?`, a predicate of the map."
  [rule]
  (assoc rule :holds? (compile-expression (:check rule))))

(defn first-broken
  "A function of a struct's map that gives the first of `rules` (`compile-rule`) that does
  not hold, or nil."
  [rules]
  (reduce (fn [later {:keys [holds?] :as rule}]
            (fn [m] (if (holds? m) (later m) rule)))
    (fn [_] nil)
    (rseq (vec rules))))
