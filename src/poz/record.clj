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
   [poz.codec.gather :as gather]
   [poz.codec.input :as input]
   [poz.codec.output :as output]
   [poz.codec.value :as value]
   [poz.error :as error]
   [poz.format :as format]
   [poz.record.sections :as sections :refer [code? codes-of-bits header known-bits lack record-keys section-bit section-index section-keys section-rows section-writers toc toc-count-fault toc-start write-header]]
   [poz.record.text :as text])
  (:import
   (clojure.lang AFn IFn$LO IFn$OLO LazilyPersistentVector)
   (poz.codec.output Writer)))

(set! *warn-on-reflection* true)

(def section-by-code
  "Section code → its row in `poz.format/sections`, with its compiled codec."
  sections/section-by-code)

(def section-by-key
  "Section key → the row, as `section-by-code`."
  sections/section-by-key)

(defn algorithms
  "The algorithms of the keys in the decoded Public Key Map `key-map`, by index."
  [key-map]
  (let [keys (value/items key-map) found (object-array (value/size key-map))]
    (dotimes [i (alength found)] (aset found i (value/of (aget keys i) :algorithm)))
    (LazilyPersistentVector/createOwning found)))

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
  (lack (bits-of toc)))

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

(def ^:private max-size (:max-file-size format/limits))

(defn check-size-limit!
  "Throws the anomaly for a file of `size` bytes that is above `:max-size` of `options`."
  ([size] (check-size-limit! size nil))
  ([size options]
   (let [limit (:max-size options max-size)]
     (when (< (long limit) (long size))
       (error/fail! :format/too-large {:at 0 :path [] :rule (str "at most " limit " bytes") :limit limit :found size})))))

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

(defn- check-unknown!
  "Faults where `unknown`, under `:unknown-sections` in a record, is not a map of them."
  [unknown]
  (when-not (and (map? unknown) (seq unknown))
    (error/fail! :format/type {:path [:unknown-sections] :expected "a map with a section, or no such key" :found (pr-str unknown)}))
  (doseq [[code b] unknown]
    (when (or (section-by-code code) (not (code? code)) (not (bytes/bytes? b)))
      (error/fail! :format/type {:path [:unknown-sections code]
                                 :expected "the code of an unknown section and its bytes" :found (pr-str code)}))))

(defn- check-shape!
  "Faults where `record`, whose `known` sections are so many, is no map of sections."
  [record known]
  (when-not (value/a-map? record)
    (error/fail! :format/type {:path [] :expected "a record map" :found (pr-str (type record))}))
  (when-not (= known (value/size record))
    (when-let [[k] (seq (remove record-keys (keys record)))]
      (error/fail! :format/type {:path [] :expected "only keys of sections" :found (pr-str k)}))
    (check-unknown! (:unknown-sections record))))

(defn- write-known! [w record i]
  (let [key (aget ^objects section-keys i)]
    (output/set-path! w 0 key)
    (.invoke ^AFn (aget ^objects section-writers i) w (value/of record key))))

(defn- write-section!
  "Writes the section `code` of `record`."
  [^Writer w record ^long code]
  (let [i (section-index code)]
    (if (neg? i)
      (.content w (get (:unknown-sections record) code))
      (write-known! w record i))))

(def ^:private ^:const entry-size 10)

(defn- write-entry!
  "Writes entry `i` of the table of contents: the section `code` from `start` to the present end."
  [^Writer w ^long i ^long code ^long start]
  (let [end (.position w)]
    (.seek w (+ (long toc-start) 2 (* entry-size i)))
    (.integer w 2 code)
    (.integer w 4 start)
    (.integer w 4 (- end start))
    (.seek w end)))

(defn- write-sections!
  "Writes the sections `codes`, each by `write!`, a function of writer and code, and their entries
  in the table of contents."
  [^Writer w ^IFn$OLO write! ^longs codes]
  (let [n (alength codes)]
    (.seek w (+ (long toc-start) 2 (* entry-size n)))
    (loop [i 0]
      (when (< i n)
        (let [start (.position w)]
          (.invokePrim write! w (aget codes i))
          (write-entry! w i (aget codes i) start)
          (recur (inc i)))))))

(defn- finished
  "The file of `n` sections that have been written with their entries."
  [^Writer w ^long n]
  (output/set-path! w 0 :toc)
  (when-let [facts (.invokePrim ^IFn$LO toc-count-fault n)]
    (output/fault! w 1 :format/count facts))
  (let [size (.position w)]
    (.seek w 0)
    (output/set-path! w 0 :header)
    (.invoke ^AFn write-header w {:size size})
    (.integer w 2 n)
    (.seek w size)
    (output/lent-result w)))

(defn pack
  "The file that holds `sections`, a map of code → bytes, whatever they hold. Throws the anomaly of
  what is no code."
  [sections]
  (doseq [code (remove code? (keys sections))]
    (error/fail! :format/range {:path [:toc] :rule "a code from 0 to 65535" :found code}))
  (let [w (output/lent-writer nil) codes (long-array (sort (keys sections)))]
    (write-sections! w (fn [^Writer w ^long code] (.content w (sections code))) codes)
    (finished w (alength codes))))

(defn- codes-of
  "The codes of all sections of `record`, the `known` ones given as bits, in their order."
  ^longs [record ^long known]
  (if-let [unknown (:unknown-sections record)]
    (long-array (sort (concat (codes-of-bits known) (keys unknown))))
    (codes-of-bits known)))

(defn encode
  "The byte string of `record` in binary form. Throws the anomaly for a map that no file
  decodes to: the path in it says where."
  [record]
  (let [known (if (value/a-map? record) (known-bits record) 0)
        _ (check-shape! record (Long/bitCount known))
        ^longs codes (codes-of record known)
        key-map (:public-key-map record)
        w (output/lent-writer (algorithms (if (value/a-vector? key-map) key-map [])))]
    (write-sections! w (fn [w ^long code] (write-section! w record code)) codes)
    (when-let [[code facts] (lack known)]
      (error/fail! code (assoc facts :path [])))
    (let [file (finished w (alength codes))]
      (check-size-limit! (value/size file))
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
