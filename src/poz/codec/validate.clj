(ns poz.codec.validate
  "A validator for the schemas of `poz.codec.schema`, so that nothing needs Malli.

  - `validate` says whether a value meets a schema.
  - `explain` gives nil, or all problems as `[{:path … :message … :value …}]`: where in
    the value, which rule, and what stands there.

  It reads the part of Malli's language that those schemas use (`:int :enum :fn :map
  :map-of :vector :maybe :and :nil`) and throws on any other. Of an `:and` the later
  schemas are asked only where the earlier ones hold: they may rely on its shape."
  (:require
   [clojure.string :as str]))

(set! *warn-on-reflection* true)

(declare problems)

(defn- problem [path message value]
  [{:path path :message message :value value}])

(defn- int-problems [{:keys [min max] :error/keys [message]} _ v path]
  (when-not (and (int? v) (<= (long min) (long v) (long max)))
    (problem path message v)))

(defn- enum-problems [{:error/keys [message]} members v path]
  (when-not (some #(= v %) members)
    (problem path message v)))

(defn- fn-problems [{:error/keys [message] below :error/path told :poz/problems} [holds?] v path]
  (cond
    told (mapv (fn [p] {:path (into path (:path p)) :message (:message p) :value (get-in v (:path p))})
           (told v))
    (holds? v) nil
    :else (let [below (vec below)] (problem (into path below) message (get-in v below)))))

(defn- entry-problems [[k & more] m path]
  (let [form (last more) optional (:optional (first more))]
    (cond
      (contains? m k) (problems form (get m k) (conj path k))
      (not optional) (problem (conj path k) "a value is needed here" nil))))

(defn- map-problems [_ entries v path]
  (if (map? v)
    (concat (mapcat #(entry-problems % v path) entries)
      (for [k (remove (into #{} (map first) entries) (keys v))]
        {:path (conj path k)
         :message (str "no such key, only " (str/join " " (map first entries)))
         :value (get v k)}))
    (problem path "a map" v)))

(defn- vector-problems [{:keys [min max] :error/keys [message]} [form] v path]
  (if (and (vector? v) (<= (long min) (count v) (long max)))
    (into [] (comp (map-indexed (fn [i x] (problems form x (conj path i)))) cat) v)
    (problem path message v)))

(defn- map-of-problems [{:keys [min] :error/keys [message]} [key-form form] v path]
  (if (and (map? v) (<= (long min) (count v)))
    (mapcat (fn [[k x]] (concat (problems key-form k (conj path k)) (problems form x (conj path k)))) v)
    (problem path message v)))

(defn- nil-problems [_ _ v path]
  (when (some? v) (problem path "nothing" v)))

(defn- maybe-problems [_ [form] v path]
  (when (some? v) (problems form v path)))

(defn- and-problems [_ [form & more] v path]
  (let [found (problems form v path)]
    (if (seq found) found (mapcat #(problems % v path) more))))

(def checks
  "Kind of schema → function of its properties, its children, a value and the value's
  path that gives the problems."
  {:int int-problems
   :enum enum-problems
   :fn fn-problems
   :map map-problems
   :map-of map-of-problems
   :vector vector-problems
   :maybe maybe-problems
   :nil nil-problems
   :and and-problems})

(defn- problems [form v path]
  (let [[kind & more] (if (keyword? form) [form] form)
        props (when (map? (first more)) (first more))
        check (or (checks kind)
                (throw (IllegalArgumentException. (str "No schema of this kind here: " (pr-str kind)))))]
    (check props (if props (rest more) more) v path)))

(defn explain
  "What is wrong with `value` by `schema`: nil, or a vector of problems."
  [schema value]
  (not-empty (vec (problems schema value []))))

(defn validate
  "True if `value` meets `schema`."
  [schema value]
  (empty? (problems schema value [])))
