(ns poz.record.schema
  "The schema of a whole record, a Malli form: what `poz.record/encode` writes, and
  nothing else.

  `record-schema` makes it from the table of sections. To each section's own schema it
  adds what only the whole can tell: which sections come together, how many there may
  be, and that every cited key index leads to a key that can do what it is cited for."
  (:require
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.node :as node]
   [poz.codec.order :as order]
   [poz.codec.schema :as schema]
   [poz.format :as format]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(defn- section-node [key]
  (get-in record/section-by-key [key :codec :node]))

(defn- section-entry [{:keys [key required]}]
  [key {:optional (not required)} (schema/schema (section-node key))])

(def ^:private unknown-entry
  [:unknown-sections {:optional true}
   [:map-of {:min 1 :error/message "a map of unknown section codes to byte strings, not empty"}
    [:fn {:error/message "the code of an unknown section, 0 to 65535"}
     (fn [code] (and (int? code) (<= 0 (long code) (node/int-max :u16))
                  (not (record/section-by-code code))))]
    [:fn {:error/message "a byte string"} bytes/bytes?]]])

(defn- pair-check [{:keys [key pair] n :name}]
  (when pair
    [:fn {:error/message (str "the " n " comes with the " (:name (record/section-by-key pair)))
          :error/path [pair]}
     (fn [r] (or (not (contains? r key)) (contains? r pair)))]))

(def ^:private most-sections
  (:most (node/parse (:types format/format) :toc)))

(def ^:private count-check
  [:fn {:error/message (str "at most " most-sections " sections")}
   (fn [r] (<= (+ (count (dissoc r :unknown-sections)) (count (:unknown-sections r)))
             (long most-sections)))])

(defn- key-problem [algorithms {:keys [kind props]} v path]
  (when (= :index kind)
    (when-let [[_ {:keys [rule found]}] (order/key-use-fault algorithms (:use props) v)]
      {:path path :message (str rule ", not " found)})))

(defn- key-problems [r]
  (let [algorithms (record/algorithms (:public-key-map r))]
    (into [] (mapcat (fn [{:keys [key]}]
                       (codec/fold (fn [acc node v path]
                                     (if-let [p (key-problem algorithms node v path)] (conj acc p) acc))
                         [] (section-node key) (get r key) [key])))
      (filter #(contains? r (:key %)) format/sections))))

(defn record-schema
  "The schema of a record map."
  []
  (-> [:and (-> [:map {:closed true}]
              (into (map section-entry) format/sections)
              (conj unknown-entry))]
    (into (keep pair-check) format/sections)
    (conj count-check
      (schema/check "each key index leads to a key that can do what it is cited for" key-problems))))

(defn schema
  "The schema of `:poz/record`, a whole record, or of a type of the format."
  [type]
  (if (= :poz/record type)
    (record-schema)
    (schema/schema (:node (codec/codec (:types format/format) type)))))
