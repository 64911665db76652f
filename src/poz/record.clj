(ns poz.record
  "A file and its record: bytes ↔ map, the public view, the text form.

  A record is a plain map with a key for each section that it has (`:public-key-map`,
  `:master-zone`, `:identity-authority` …; see `poz.format/sections`), and under
  `:unknown-sections` a sorted map of the codes and bytes of sections that this
  version does not know. Nothing in it can be derived from the rest.

  - `decode` bytes → record, or the anomaly of the first fault, with its offset
  - `encode` record → bytes; throws the anomaly of a map that is no record
  - `parse` bytes in either form, binary or text → record
  - `armor`, `dearmor` the text form for mail and chat
  - `public-view` what may leave its holder's hands

  The container (header, table of contents, layout) is written out here as functions:
  where a section lies is not a field of anything. Nothing here checks a signature."
  (:require
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.gather :as gather]
   [poz.codec.input :as input]
   [poz.codec.value :as value]
   [poz.codec.write :as write]
   [poz.error :as error]
   [poz.format :as format]
   [poz.record.text :as text])
  (:import
   (java.util Arrays)))

(set! *warn-on-reflection* true)

(def ^:private registry (:types format/format))

(defn- compiled [form depth]
  (codec/codec registry form depth))

(def ^:private section-rows
  "The rows of `poz.format/sections`, each with its compiled codec."
  (mapv (fn [{:keys [type] :as row}] (assoc row :codec (compiled type 1))) format/sections))

(def section-by-code
  "Section code → its row in `poz.format/sections`, with its compiled codec."
  (into {} (map (juxt :code identity)) section-rows))

(def section-by-key
  "Section key → the row, as `section-by-code`."
  (into {} (map (juxt :key identity)) section-rows))

(def ^:private record-keys
  "The keys that a record may have."
  (conj (set (keys section-by-key)) :unknown-sections))

(def ^:private header (compiled :header 1))
(def ^:private toc (compiled :toc 1))

(defn algorithms
  "The algorithms of the keys in the decoded Public Key Map `key-map`, by index."
  [key-map]
  (mapv #(value/of % :algorithm) key-map))

;; ## Reading

(defn- read-at-path [r codec key]
  (input/set-path! r 0 key)
  ((value/of codec :read) r))

(defn- check-size! [r size header]
  (when-not (= size (:size header))
    (input/set-path! r 0 :header)
    (input/set-path! r 1 :size)
    (input/fault! r 2 :format/size 4 {:expected size :found (:size header)})))

(defn layout-fault
  "Why the sections of the table of contents `toc` do not fill the bytes from `start`
  to `size`, as `[error position-in-toc offset facts]`, or nil."
  [toc start size]
  (loop [i 0 at (long start)]
    (if (< i (value/size toc))
      (let [entry (nth toc i)
            offset (long (value/of entry :offset)) length (long (value/of entry :length))]
        (cond
          (< at offset) [:format/gap i at {:expected at :found offset}]
          (< offset at) [:format/overlap i at {:expected at :found offset}]
          (< (long size) (+ at length)) [:format/truncated i at {:expected (str length " bytes")
                                                                 :found (- (long size) at)}]
          :else (recur (inc i) (+ at length))))
      (when (< at (long size))
        [:format/trailing nil at {:found (str (- (long size) at) " more bytes")}]))))

(def ^:private section-codes (long-array (map :code format/sections)))

(defn- section-index
  "The position of the section `code` in `poz.format/sections`, or a negative number."
  ^long [^long code]
  (Arrays/binarySearch ^longs section-codes code))

(defn- section-bit
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

(defn- bits-of
  "The known sections of the table of contents `toc`, as bits."
  ^long [toc]
  (let [n (value/size toc)]
    (loop [i 0 bits 0]
      (if (< i n)
        (recur (inc i) (bit-or bits (section-bit (value/of (nth toc i) :type))))
        bits))))

(defn presence-fault
  "Which section the table of contents `toc` lacks, as `[error facts]`, or nil."
  [toc]
  (let [here ^longs here-bits needed ^longs needed-bits there (bits-of toc)]
    (loop [i 0]
      (when (< i (alength here))
        (if (and (= (aget here i) (bit-and there (aget here i)))
              (zero? (bit-and there (aget needed i))))
          (peek (nth presence-rules i))
          (recur (inc i)))))))

(defn read-container!
  "Reads header and table of contents and checks the layout of what they announce, with
  the reader `r` over `size` bytes: the table of contents, or a thrown anomaly."
  [r size]
  (let [head (read-at-path r header :header)
        _ (check-size! r size head)
        contents (read-at-path r toc :toc)]
    (when-let [[code i at facts] (layout-fault contents (input/position r) size)]
      (input/set-path! r 1 i)
      (input/fault! r (if i 2 0) code at facts))
    (when-let [[code facts] (presence-fault contents)]
      (input/fault! r 1 code 8 facts))
    contents))

(defn- read-section! [r record entry]
  (let [code (value/of entry :type) offset (long (value/of entry :offset))
        i (section-index code)]
    (input/seek! r offset (+ offset (long (value/of entry :length))))
    (if (neg? i)
      (update record :unknown-sections (fnil assoc (sorted-map)) code (input/rest! r))
      (let [section (nth section-rows i)
            key (value/of section :key)
            v (read-at-path r (value/of section :codec) key)]
        (input/finish! r 1)
        (when (identical? :public-key-map key)
          (input/set-algorithms! r (algorithms v)))
        (assoc record key v)))))

(defn check-size-limit!
  "Throws the anomaly for a file of `size` bytes that is above `:max-size` of `options`."
  [size {:keys [max-size] :or {max-size (:max-file-size format/limits)}}]
  (when (< (long max-size) (long size))
    (error/fail! :format/too-large {:at 0 :path [] :rule (str "at most " max-size " bytes") :found size})))

(defn decode
  "The record in the byte string `b` (binary form), or the anomaly that names the first
  fault: container first, then the sections in their order, each from its first byte.

  Options: `:max-size`, the greatest size in bytes that is looked at (16 MiB)."
  ([b] (decode b {}))
  ([b options]
   (error/attempt
     (fn []
       (check-size-limit! (count b) options)
       (let [r (input/reader b)]
         (reduce #(read-section! r %1 %2) {} (read-container! r (count b))))))))

;; ## Writing
;;
;; The sections are written behind room for header and table of contents, whose size their
;; number tells, and those at last: so nothing is copied.

(defn- check-shape! [record]
  (when-not (map? record)
    (error/fail! :format/type {:path [] :expected "a record map" :found (pr-str (type record))}))
  (when-let [[k] (reduce-kv (fn [_ k _] (when-not (contains? record-keys k) (reduced [k]))) nil record)]
    (error/fail! :format/type {:path [] :expected "only keys of sections" :found (pr-str k)}))
  (when (contains? record :unknown-sections)
    (let [unknown (:unknown-sections record)]
      (when-not (and (map? unknown) (seq unknown))
        (error/fail! :format/type {:path [:unknown-sections] :expected "a map with a section, or no such key" :found (pr-str unknown)}))))
  (doseq [[code b] (:unknown-sections record)]
    (when (or (section-by-code code) (not (and (int? code) (<= 0 (long code) 0xffff))) (not (bytes/bytes? b)))
      (error/fail! :format/type {:path [:unknown-sections code]
                                 :expected "the code of an unknown section and its bytes" :found (pr-str code)}))))

(defn- ready-rows
  "`sections`, a map of code → bytes, as rows `{:code :content}`."
  [sections]
  (map (fn [[code b]] {:code code :content b}) sections))

(defn- own-rows
  "The rows of the sections of `record` by code, of an unknown one with its `:content`."
  [record]
  (let [known (filterv #(value/has? record (value/of % :key)) section-rows)]
    (if-let [unknown (:unknown-sections record)]
      (vec (sort-by :code (into known (ready-rows unknown))))
      known)))

(defn- write-at-path! [w codec key v]
  (write/set-path! w 0 key)
  ((value/of codec :write) w v))

(defn- write-section!
  "Writes the section of `row`, with its content or that in `record`; its entry in the
  table of contents."
  [w record {:keys [code key codec content]}]
  (let [start (write/position w)]
    (if codec
      (write-at-path! w codec key (get record key))
      (write/put-bytes! w content))
    {:type code :offset start :length (- (write/position w) start)}))

(defn- write-sections!
  "Writes the sections of `rows` in their places; the table of contents."
  [w record rows]
  (write/seek! w (+ (long (first (codec/bounds header))) 2 (* 10 (count rows))))
  (mapv #(write-section! w record %) rows))

(defn- finished
  "The file whose sections have been written as `contents` tells."
  [w contents]
  (let [size (write/position w)]
    (write/seek! w 0)
    (write-at-path! w header :header {:size size})
    (write-at-path! w toc :toc contents)
    (write/seek! w size)
    (write/result w)))

(defn pack
  "The file that holds `sections`, a map of code → bytes, whatever they hold."
  [sections]
  (let [w (write/writer nil)]
    (finished w (write-sections! w nil (ready-rows (into (sorted-map) sections))))))

(defn encode
  "The byte string of `record` in binary form. Throws the anomaly for a map that no file
  decodes to: the path in it says where."
  [record]
  (check-shape! record)
  (let [key-map (:public-key-map record)
        w (write/writer (algorithms (when (vector? key-map) key-map)) 2048)
        contents (write-sections! w record (own-rows record))]
    (when-let [[code facts] (presence-fault contents)]
      (error/fail! code (assoc facts :path [])))
    (let [file (finished w contents)]
      (check-size-limit! (count file) {})
      file)))

;; ## Text form

(defn armor
  "The text form of the byte string `b`, which is any file (format.md §2)."
  [b]
  (text/armor b (:armor-line format/limits)))

(defn dearmor
  "The bytes of the one record that the byte string `b` holds in text form; `b` itself
  where it is binary or holds no whole block; or an anomaly."
  [b]
  (error/attempt #(text/dearmor b (:armor-line format/limits))))

(defn parse
  "The record in the byte string `b`, binary or text. Options as for `decode`. An anomaly has
  `b` as `:poz/bytes` in its metadata, so that the place of the fault can be shown."
  ([b] (parse b {}))
  ([b options]
   (let [file (dearmor b)
         found (if (error/anomaly? file) file (decode file options))]
     (if (error/anomaly? found) (vary-meta found assoc :poz/bytes b) found))))

;; ## Public view

(def ^:private statement-rows
  "The rows of the sections that a public view may have, but for the key map."
  (remove #(or (:private %) (= :public-key-map (:key %))) section-rows))

(def ^:private public-keys
  "The keys that a public view may have."
  (into #{:public-key-map} (map :key) statement-rows))

(def ^:private gatherers
  "Key of a section that cites keys or is signed by some → what visits their indexes in it."
  (into [] (keep (fn [{:keys [key codec]}]
                   (when-let [gather (gather/gatherer #(= :index (:kind %)) (:node codec))] [key gather])))
    statement-rows))

(defn original-hash
  "The permanent identity of `record`: its original_master_hash."
  [record]
  (get-in record [:master-zone :original-master-hash]))

(defn- visit-used
  "The last `acc` of `(f acc index)`, called for each citation and signature in `record`."
  [f acc record]
  (reduce (fn [acc [key gather]] (if-some [v (get record key)] (gather f acc v) acc)) acc gatherers))

(defn used-keys
  "The set of key indexes that a statement of `record` (history included) cites or is
  signed by."
  [record]
  (visit-used conj (sorted-set) record))

(defn used-part
  "The key map of `record` up to the last key that a statement cites or is signed by."
  [{:keys [public-key-map] :as record}]
  (let [n (inc (long (visit-used max -1 record)))]
    (if (= n (count public-key-map)) public-key-map (into [] (take n) public-key-map))))

(defn public-view
  "What may leave the holder's hands: the known public sections and the history, the key
  map cut after the last key that a statement cites or is signed by (format.md §2). `record`
  itself where it has nothing else."
  [record]
  (let [used (used-part record)]
    (if (and (identical? used (:public-key-map record)) (every? public-keys (keys record)))
      record
      (assoc (select-keys record public-keys) :public-key-map used))))

(defn public?
  "True if `record` has nothing that a public view leaves out but unused keys and
  unknown sections below 0x8000: what a server takes."
  [record]
  (not-any? (fn [{:keys [key private]}] (and private (contains? record key))) format/sections))
