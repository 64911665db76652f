(ns poz.vectors
  "The golden vectors under test/vectors, for tests: reading, and our names for theirs.

  - `(json \"records.json\")` a file parsed, its keys as keywords: `:master_keys`
  - `(file-bytes \"records/draft.poz\")` a file as a byte string
  - `(record-files)` the names of all of `records/*.poz`
  - `(->value :authority x)` decoded content of a type of `poz.format` as our value:
    keys in kebab case, codes as keywords, hex as byte strings, null as no such key
  - `(->record decoded)` the `:decoded` of a record in records.json as our record map"
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.codec.node :as node]
   [poz.format :as format])
  (:import
   (java.io InputStream)))

(set! *warn-on-reflection* true)

(defn- resource [path]
  (or (io/resource (str "vectors/" path))
    (throw (IllegalArgumentException. (str "No such vector file: " path)))))

(defn file-bytes
  "The byte string in the file `path` of test/vectors."
  [path]
  (with-open [^InputStream in (io/input-stream (resource path))]
    (bytes/wrap (.readAllBytes in))))

(defn json
  "The JSON file `path` of test/vectors, keys as keywords."
  [path]
  (json/read-str (slurp (resource path)) :key-fn keyword))

(defn record-files
  "The paths of all records in binary form, as `file-bytes` takes them, sorted."
  []
  (sort (map :file (:records (json "records.json")))))

(defn- snake [k]
  (keyword (str/replace (name k) "-" "_")))

(declare node->value)

(defn- struct->value [{:keys [fields]} x]
  (into {} (keep (fn [{:keys [key node]}]
                   (let [v (get x (snake key))]
                     (when (some? v) [key (node->value node v)]))))
    fields))

(defn- node->value [{:keys [kind props item] :as node} x]
  (case kind
    (:u8 :u16 :u32 :u64) (if (string? x) (parse-long x) x)
    :bytes (bytes/hex-> x)
    :enum (get (into {} (map (juxt first second)) (:codes props)) x x)
    :list (mapv #(node->value item %) x)
    (:optional :sized) (node->value item x)
    :struct (struct->value node x)
    x))

(defn ->value
  "The decoded content `x` of a vector, of the type `type` of `poz.format`, as our value."
  [type x]
  (node->value (node/parse (:types format/format) type) x))

(def ^:private simple-sections
  "Where records.json has the sections that are no zone."
  {:keys :public-key-map, :master :master-zone, :history :zone-history
   :private_key_map :private-key-map, :key_names :key-names})

(defn- zone-entries [suffix type by-zone]
  (for [[zone x] by-zone :let [k (keyword (str (name zone) suffix))]]
    [k (->value (or type k) x)]))

(defn ->record
  "The record map that the content `decoded` of a file in records.json stands for."
  [{:keys [authorities zones unknown] :as decoded}]
  (into (if (seq unknown)
          {:unknown-sections (into {} (map (fn [{:keys [type bytes]}] [type (bytes/hex-> bytes)])) unknown)}
          {})
    (concat
      (for [[theirs ours] simple-sections :when (some? (get decoded theirs))]
        [ours (->value ours (get decoded theirs))])
      (zone-entries "-authority" :authority authorities)
      (zone-entries "-zone" nil zones))))
