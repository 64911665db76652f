(ns poz.view.dump
  "An annotated hexdump of a file, as lines for a terminal.

      0026  00 00 01 9b 76 da a8 00  original-timestamp 1767225600000
                                     (2026-01-01T00:00:00Z) — genesis's timestamp

  Offset, up to eight bytes, what they are. A broken file is shown up to the fault, with
  carets under the bytes at which it was found and the error beside them; then come the
  bytes that were not looked at. `fault` gives those few lines alone, `place` the lines of a
  part. All are pure, give lazy seqs of strings, and print nothing of a file but hex and
  escaped text (see `poz.view.text`)."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.record :as record]
   [poz.record.trace :as trace]
   [poz.time :as time]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(def ^:private ^:const row-size 8)
(def ^:private ^:const hex-columns 23)
(def ^:private whole "Byte strings up to this length are never shortened." 32)
(def ^:private head "How many bytes of a shortened one are shown." 16)

;; ## Values

(defn- number-at [b {:keys [at size]}]
  (reduce (fn [n i] (+ (* 256 (long n)) (long (nth b i)))) 0 (range at (+ (long at) (long size)))))

(defn bytes-text
  "The byte string `v` in hex; of a long one the first bytes, unless the context is `:full`."
  [{:keys [full]} v]
  (let [n (count v)]
    (cond
      (zero? n) "no bytes"
      (or full (<= n (long whole))) (bytes/->hex v)
      :else (str (bytes/->hex (bytes/slice v 0 row-size)) "… (" n " bytes)"))))

(defn- section-name [code]
  (:name (record/section-by-code code) "unknown"))

(defn- section-code [code]
  (format "0x%04x" code))

(defn value-text
  "What the value of a leaf is, in words, or nil. The context has the `:bytes` of the file."
  [{:keys [bytes] :as context} {:keys [kind name value section-type] :as span}]
  (cond
    (nil? value) nil
    section-type (str (section-code value) " (" (section-name value) ")")
    (= :time name) (str value " (" (time/iso value) ")")
    (= :enum kind) (str (number-at bytes span) " (" (if (keyword? value) (symbol value) "unknown") ")")
    (string? value) (text/quoted value)
    (bytes/bytes? value) (bytes-text context value)
    :else (str value)))

(defn- counted [n thing]
  (str n " " thing (when-not (= 1 n) "s")))

(defn frame-text
  "What a length, a count or a presence byte says, in words, or nil."
  [{:keys [key value]}]
  (when value
    (case key
      :length (counted value "byte")
      :count (counted value "item")
      :present (case (long value) 0 "absent" 1 "present" nil))))

(defn- label [k]
  (cond (keyword? k) (name k) (int? k) (str "[" k "]") :else ""))

(defn- note
  "`[name rest]` of what a row says: its name, its value and its doc. Of the items of a
  list only the first has docs."
  [{:keys [terse]} named value doc]
  [named (str (when value (str (when (seq named) " ") value))
           (when (and doc (not terse)) (str " — " doc)))])

;; ## Rows

(defn- hex [b start end]
  (str/join " " (re-seq #".." (bytes/->hex (bytes/slice b start end)))))

(defn- hex-rows
  "`[[offset end text]]` of the bytes from `at`, `size` of them, long ones shortened."
  [{b :bytes :keys [full]} at size]
  (let [at (long at) size (long size)
        shown (if (or full (<= size (long whole))) size (long head))
        rows (for [i (range 0 shown row-size)
                   :let [start (+ at (long i)) end (min (+ at shown) (+ start row-size))]]
               [start end (hex b start end)])]
    (cond
      (zero? size) [[at at ""]]
      (= shown size) rows
      :else (concat rows [[(+ at shown) (+ at size) (str "… " (- size shown) " more bytes")]]))))

(defn- offset-text [{:keys [digits]} at]
  (if at (format (str "%0" digits "x") at) (apply str (repeat digits \space))))

(defn- line [{:keys [color] :as context} {:keys [at hex text text-style hex-style name-size]
                                          :or {name-size 0}}]
  (let [lead (text/indented text)
        named (min (count text) (+ lead (long name-size)))]
    (str/trimr
      (str (text/paint color :faint (offset-text context at))
        "  "
        (text/paint color hex-style (text/pad hex hex-columns))
        "  "
        (if (pos? (long name-size))
          (str (subs text 0 lead) (text/paint color :name (subs text lead named)) (subs text named))
          (text/paint color text-style text))))))

(defn- note-rows
  "The lines of a note, `depth` deep: maps with `:text`, the first with its name's size."
  [{:keys [note-width]} depth [named more]]
  (let [indent (min 16 (* 2 (long depth)))
        [row & rows] (text/hang (str named more) note-width indent (+ indent 2))]
    (into [{:text row :name-size (count named)}] (map #(hash-map :text %)) rows)))

(defn- beside
  "Rows of bytes and rows of text side by side."
  [rows notes]
  (lazy-seq
    (when (or (seq rows) (seq notes))
      (let [[at _ h] (first rows)]
        (cons (merge {:at at :hex (or h "") :text ""} (first notes))
          (beside (rest rows) (rest notes)))))))

;; ## The fault

(defn- caret-row
  "The text under a row of bytes that the fault at the offset `at` is in."
  [[start end h] first-byte at]
  (let [start (long start) at (long at)]
    (cond
      (str/starts-with? h "…") "^"
      (= start (long end)) "^"
      (and (not= at (long first-byte)) (< (dec start) at (long end)))
      (str (apply str (repeat (* 3 (- at start)) \space)) "^^")
      :else (str/replace h #"." "^"))))

(defn- error-text [{:keys [poz/error message]}]
  (str "error " (error/code error) ": " (text/escape message)))

(defn- error-rows [{:keys [note-width]} row first-byte {:keys [at] :as error}]
  (let [style (fn [m] (assoc m :text-style :error :hex-style :error))
        [sentence & more] (text/wrap (error-text error) note-width)]
    (into [(style {:hex (caret-row row first-byte at) :text sentence})]
      (map #(style {:hex "" :text %}))
      more)))

(defn- broken-rows
  "The rows of a leaf with a fault: all that is said of it stands beside the bytes up to
  those that the carets point at, so that nothing comes between."
  [context {:keys [at error]} rows notes]
  (let [holds? (fn [[_ end _]] (< (long (:at error)) (long end)))
        upto (min (inc (count (take-while (complement holds?) rows))) (count rows))
        shift (max 0 (- (count notes) upto))]
    (concat
      (beside (concat (repeat shift nil) (take upto rows)) notes)
      (error-rows context (nth rows (dec upto)) at error)
      (beside (drop upto rows) []))))

(defn- leaf-rows [context depth {:keys [at size error] :as span} note]
  (let [rows (hex-rows context at size)
        notes (note-rows context depth note)]
    (if error
      (broken-rows context span rows notes)
      (beside rows notes))))

(defn- sink
  "`span` with its error moved to the child that the offset of the error lies in."
  [{:keys [error children] :as span}]
  (if (and error (seq children))
    (let [inside? (fn [{:keys [at size]}] (< (dec (long at)) (long (:at error)) (+ (long at) (long size))))
          i (or (first (keep-indexed (fn [i c] (when (inside? c) i)) children)) 0)]
      (assoc-in (dissoc span :error) [:children i :error] error))
    span))

;; ## The tree

(declare span-rows)

(defn- child-rows [context depth children]
  (mapcat (fn [{:keys [key] :as child}]
            (span-rows (cond-> context (and (int? key) (pos? (long key))) (assoc :terse true))
              depth child))
    children))

(defn- content-rows
  "The rows of what stands behind a length or presence byte: its own name is not said."
  [context depth {:keys [children kind] :as span}]
  (if (and (seq children) (= :struct kind))
    (child-rows context depth (:children (sink span)))
    (span-rows context depth (dissoc span :key))))

(defn- framed-rows
  "The rows of a span whose first child is its length, count or presence byte."
  [context depth {:keys [key doc children]}]
  (let [[frame & inside] children
        named (if key (str (label key) ":") "")]
    (concat
      (leaf-rows context depth frame (note context named (frame-text frame) doc))
      (if (= :content (:key (first inside)))
        (mapcat #(content-rows context (inc (long depth)) %) inside)
        (child-rows context (inc (long depth)) inside)))))

(defn- framed? [{:keys [children]}]
  (#{:length :count :present} (:key (first children))))

(defn- span-rows [context depth span]
  (let [{:keys [key doc children] :as span} (sink span)]
    (cond
      (empty? children)
      (leaf-rows context depth span (note context (label key) (value-text context span) doc))
      (framed? span) (framed-rows context depth span)
      (nil? key) (child-rows context depth children)
      :else (concat (beside [] (note-rows context depth (note context (label key) nil doc)))
              (child-rows context (inc (long depth)) children)))))

;; ## The file

(defn- title
  "What stands above the rows of a top-level span."
  [{:keys [key kind size doc]}]
  (let [{:keys [code name]} (record/section-by-key key)
        size (counted size "byte")]
    (cond
      code (str name ", section " (section-code code) ", " size ": " doc)
      (int? key) (str "Unknown section " (section-code key) ", " size)
      (= :unread key) (str "Not looked at, " size)
      (= :raw kind) (str "Trailing, " size)
      :else (str ({:header "Header" :toc "Table of contents"} key) ", " size))))

(defn- with-names
  "The table of contents with its types marked, so that they are shown by name."
  [{:keys [key] :as span}]
  (letfn [(mark [{:keys [key] :as field}]
            (cond-> field (= :type key) (assoc :section-type true)))
          (item [span] (cond-> span (:children span) (update :children (partial mapv mark))))]
    (cond-> span
      (and (= :toc key) (:children span)) (update :children (partial mapv item)))))

(defn- top-rows [context {:keys [kind] :as span}]
  (span-rows context 0 (dissoc (with-names span) :key :doc (when (= :raw kind) :value))))

(defn- top-lines [{:keys [color width] :as context} span]
  (concat
    [""]
    (map #(text/paint color :title %) (text/wrap (title span) width))
    (map #(line context %) (top-rows context span))))

(defn- part
  "The span that the keys `path` lead to among `spans`, through what only encoders write; or nil."
  [spans [k & more]]
  (when-let [{:keys [children] :as span} (or (first (filter #(= k (:key %)) spans))
                                           (some #(when (= :content (:key %)) (part (:children %) [k])) spans))]
    (if (seq more) (part children more) span)))

(defn- context [b options]
  (let [digits (max 4 (count (format "%x" (count b))))]
    (assoc options
      :bytes b
      :digits digits
      :note-width (- (long (:width options)) (+ digits hex-columns 4)))))

(defn dump
  "The lines of an annotated hexdump of the byte string `b`, a file in binary or text
  form (of a text form the bytes in it are shown), whole, broken or anything at all.

  Options: `:color` ANSI colours (false), `:width` of the terminal (80), `:full` long
  byte strings whole (false)."
  ([b] (dump b {}))
  ([b options]
   (let [{:keys [spans] b :bytes} (trace/trace b)
         context (context b (text/options text/option-rows options))]
     (rest (mapcat #(top-lines context %) spans)))))

(defn fault
  "The lines of the dump of `b` at its fault: the bytes, and carets under them with the error's
  keyword; none where there is no fault. Options as for `dump`."
  ([b] (fault b {}))
  ([b options]
   (let [{:keys [spans error] b :bytes} (trace/trace b)
         context (context b (text/options text/option-rows options))
         rows (mapcat #(top-rows context %) (filter :broken spans))
         [before [carets]] (split-with #(not= :error (:hex-style %)) rows)]
     (when carets
       (map #(line context %)
         (concat (take-last 2 before) [(assoc carets :text (error/code (:poz/error error)))]))))))

(defn place
  "`{:at :size :dump}` of the part of the file `b` that the keys `path` lead to from a section
  on, as in the path of an anomaly; nil where there is none. Options as for `dump`."
  ([b path] (place b path {}))
  ([b path options]
   (let [{:keys [spans] b :bytes} (trace/trace b)]
     (when-let [{:keys [at size] :as span} (part spans path)]
       (let [context (context b (text/options text/option-rows options))]
         {:at at :size size
          :dump (map #(line context %) (span-rows context 0 (dissoc span :key :doc)))})))))
