(ns poz.cli.json
  "Values as JSON for `--json`: byte strings as hex, keywords as their names (with a slash
  where they have one), sets as lists. A secret is never written."
  (:require
   [clojure.data.json :as json]
   [poz.bytes :as bytes]))

(set! *warn-on-reflection* true)

(def version
  "The version of the shapes that `--json` prints; it changes when one of them does."
  1)

(defn- keyword-string [k]
  (if-let [n (namespace k)] (str n "/" (name k)) (name k)))

(defn plain
  "`x` with only maps, vectors, strings, numbers, booleans and nil in it."
  [x]
  (cond
    (bytes/secret? x) "redacted"
    (bytes/bytes? x) (bytes/->hex x)
    (keyword? x) (keyword-string x)
    (map? x) (into {} (map (fn [[k v]] [(if (keyword? k) (keyword-string k) (str k)) (plain v)])) x)
    (or (sequential? x) (set? x)) (mapv plain x)
    (or (string? x) (number? x) (boolean? x) (nil? x)) x
    :else (str x)))

(defn line
  "The map `m` as one line of JSON, with `version` first."
  [m]
  (let [rest-of (json/write-str (plain m) :escape-slash false)]
    (str "{\"version\":" version (when (seq m) ",") (subs rest-of 1))))
