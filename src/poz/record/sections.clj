(ns poz.record.sections
  "The sections of a record as tables to read and write by: each known one by code, by key and by
  its position in the order of the file, and sets of them as bits of a number."
  (:require
   [poz.codec :as codec]
   [poz.codec.order :as order]
   [poz.format :as format])
  (:import
   (clojure.lang PersistentArrayMap)
   (java.util Arrays)))

(set! *warn-on-reflection* true)

(def ^:private registry (:types format/format))

(defn- compiled [form depth]
  (codec/codec registry form depth))

(def section-rows
  "The rows of `poz.format/sections`, each with its compiled codec."
  (mapv (fn [{:keys [type] :as row}] (assoc row :codec (compiled type 1))) format/sections))

(def section-by-code
  "Section code → its row in `poz.format/sections`, with its compiled codec."
  (into {} (map (juxt :code identity)) section-rows))

(def section-by-key
  "Section key → the row, as `section-by-code`."
  (into {} (map (juxt :key identity)) section-rows))

(def record-keys
  "The keys that a record may have."
  (conj (set (keys section-by-key)) :unknown-sections))

(def header
  "The codec of the header."
  (compiled :header 1))
(def toc
  "The codec of the table of contents."
  (compiled :toc 1))
(def toc-start
  "Where the table of contents starts."
  (first (codec/bounds header)))
(def toc-count-fault
  "The function of a number of sections that gives why no file has that many, or nil."
  (order/count-check (:node toc)))

(def section-codes
  "The codes of the known sections in their order, an array."
  (long-array (map :code format/sections)))

(defn section-index
  "The position of the section `code` in `poz.format/sections`, or a negative number."
  ^long [^long code]
  (Arrays/binarySearch ^longs section-codes code))

(defn section-bit
  "A number with one bit, the section's own, so that a number tells a set of known sections;
  0 for an unknown section."
  ^long [^long code]
  (let [i (section-index code)]
    (if (neg? i) 0 (bit-shift-left 1 i))))

(def ^:private presence-rules
  "`[here needed fault]`: a file with the sections `here` needs the section `needed`, both as
  bits, or else has this fault."
  (vec (for [{:keys [code required pair] n :name} format/sections
             :when (or required pair)
             :let [{pair-code :code pair-name :name} (section-by-key pair)]]
         (if required
           [0 (section-bit code) [:format/section-missing {:rule (str "a record has a " n)}]]
           [(section-bit code) (section-bit pair-code)
            [:format/section-pair {:rule (str "the " n " comes with the " pair-name)}]]))))

(def ^:private here-bits (long-array (map first presence-rules)))
(def ^:private needed-bits (long-array (map second presence-rules)))

(defn lack
  "Which section those that are `there`, as bits, lack, as `[error facts]`, or nil."
  [^long there]
  (let [here ^longs here-bits needed ^longs needed-bits]
    (loop [i 0]
      (when (< i (alength here))
        (if (and (= (aget here i) (bit-and there (aget here i)))
              (zero? (bit-and there (aget needed i))))
          (peek (nth presence-rules i))
          (recur (inc i)))))))

(def write-header
  "The writer of the header."
  (:write header))
(def section-writers
  "The writers of the known sections in their order, an array."
  (object-array (map (comp :write :codec) section-rows)))
(def section-keys
  "The keys of the known sections in their order, an array."
  (object-array (map :key section-rows)))

(defn- key-bit
  "As `section-bit`, of the section with the key `k`."
  ^long [k]
  (let [keys ^objects section-keys n (alength keys)]
    (loop [i 0]
      (cond (= i n) 0
            (identical? k (aget keys i)) (bit-shift-left 1 i)
            :else (recur (inc i))))))

(defn known-bits
  "The known sections that `record` has, as bits."
  ^long [record]
  (let [add (fn [bits k _] (bit-or (long bits) (key-bit k)))]
    (long (if (instance? PersistentArrayMap record)
            (.kvreduce ^PersistentArrayMap record add 0)
            (reduce-kv add 0 record)))))

(defn codes-of-bits
  "The codes of known sections, given as bits."
  ^longs [^long bits]
  (let [codes (long-array (Long/bitCount bits))]
    (loop [i 0 left bits]
      (when-not (zero? left)
        (aset codes i (aget ^longs section-codes (Long/numberOfTrailingZeros left)))
        (recur (inc i) (bit-and left (dec left)))))
    codes))

(defn code?
  "True if `x` may be the code of a section."
  [x]
  (and (int? x) (<= 0 (long x) 0xffff)))
