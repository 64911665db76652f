(ns poz.codec.plain
  "Values of the format as people write them in JSON, by the node of their type: byte strings
  as hex, keywords as strings, keys of structs as strings with - or _.

  `value` reads such a thing into a value of the format; what cannot be read is left as it
  is, so that whoever encodes or validates the value says what is wrong with it, and where."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]))

(set! *warn-on-reflection* true)

(declare value)

(defn- key-of [k]
  (keyword (str/replace (if (keyword? k) (name k) (str k)) "_" "-")))

(defn- bytes-value [x]
  (if (and (string? x) (re-matches #"(?:[0-9a-fA-F]{2})*" x)) (bytes/hex-> x) x))

(defn- enum-value [{:keys [codes]} x]
  (let [k (when (string? x) (key-of x))]
    (cond
      (some #(= k (second %)) codes) k
      :else (or (some (fn [[code keyword]] (when (= code x) keyword)) codes) x))))

(defn- struct-value [{:keys [fields]} x]
  (let [nodes (into {} (map (juxt :key :node)) fields)]
    (into {}
      (keep (fn [[k v]]
              (let [k (key-of k) node (nodes k)]
                (when-not (and (nil? v) (= :optional (:kind node)))
                  [k (if node (value node v) v)]))))
      x)))

(defn value
  "The value of the type of `node` that the plain `x` means."
  [{:keys [kind props item] :as node} x]
  (case kind
    :bytes (bytes-value x)
    :enum (enum-value props x)
    (:optional :sized) (if (nil? x) x (value item x))
    :list (if (sequential? x) (mapv #(value item %) x) x)
    (:struct :tagged) (if (map? x) (struct-value node x) x)
    x))
