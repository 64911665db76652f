(ns poz.view.page.spans
  "What each byte of a file is, packed for a page: a few flat lists that a script reads, for
  the tree and the hexdump side by side.

  A *span* is five numbers of `:spans`, in the order of the tree, parents first: its depth, its
  size (0 where it has others inside, which lie one after another without gap), and places in
  `:words` of its name, of what it says plus one (or 0: its bytes in hex) and of its doc. A
  number is seven bits a byte, all in base64. `:bytes` are the bytes in base64, up to
  the last that is shown; those that must not leave their holder are
  zero, and no span tells of them more than where they are: private sections, sections that
  nobody here knows, and what lies behind a fault. `:withheld` are those ranges."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.record :as record]
   [poz.record.trace :as trace]
   [poz.view.dump :as dump]
   [poz.view.text :as text])
  (:import
   (java.nio.charset StandardCharsets)
   (java.util ArrayList Arrays Base64 HashMap)))

(set! *warn-on-reflection* true)

;; ## What is withheld

(defn- why-withheld
  "In words why the top-level span is not to be shown, or nil."
  [{:keys [key]}]
  (cond
    (:private (record/section-by-key key)) "private, not in this page"
    (int? key) "not known here, not in this page"
    (= :unread key) "not in this page"
    (= :trailing key) "more bytes than there should be, not in this page"))

(def most-traced
  "The greatest file whose bytes a page tells one by one: a tree of spans takes some hundred
  times the memory of its bytes."
  (* 4 1024 1024))

(defn traced
  "The file in the byte string `b` as `poz.record.trace/trace` gives it; of one that is too large
  for that, what it decodes to, and all of it as not looked at."
  [b]
  (let [file (record/dearmor b)]
    (if (or (error/anomaly? file) (<= (count file) (long most-traced)))
      (trace/trace b)
      (let [r (record/decode file)]
        (assoc (if (error/anomaly? r) {:error r} {:value r})
          :bytes file :spans [{:key :unread :kind :raw :at 0 :size (count file)}])))))

(defn withheld
  "`[[start end] …]` of the bytes of a `trace` (`poz.record.trace`) that no page shows."
  [{:keys [spans]}]
  (for [{:keys [at size] :as span} spans :when (why-withheld span)]
    [at (+ (long at) (long size))]))

(defn shown-bytes
  "The bytes of the `trace` up to the last that is shown, zero where they are withheld."
  [{b :bytes :as trace}]
  (let [array (bytes/->array b) ranges (withheld trace)
        shown (reduce (fn [n [start end]] (if (= n end) start n)) (count b) (reverse ranges))]
    (doseq [[start end] ranges]
      (Arrays/fill ^bytes array (int start) (int end) (byte 0)))
    (bytes/slice (bytes/wrap array) 0 shown)))

(defn shown-error
  "The `:error` of the `trace`, without what was found where that is withheld."
  [{:keys [error] :as trace}]
  (if (and (:at error) (some (fn [[start end]] (<= (long start) (long (:at error)) (dec (long end)))) (withheld trace)))
    (error/anomaly (:poz/error error) (select-keys error [:at]))
    error))

(defn- withdrawn
  "A top-level span without anything that is withheld."
  [span]
  (if-let [why (why-withheld span)]
    (-> (select-keys span [:key :at :size :broken]) (assoc :says why))
    span))

;; ## Packing

(defn- title
  "What an item of a list is called beside its position: by the first of these that it has."
  [{:keys [key value]}]
  (when (and (int? key) (map? value))
    (let [{:keys [type algorithm authority group] k :key} value]
      (or (some #(when (string? (value %)) (text/escape (value %)))
            [:user-handle :name :hostname :authority-domain])
        (when (int? type) (:name (record/section-by-code type)))
        (when algorithm (if (keyword? algorithm) (name algorithm) (str "algorithm " algorithm)))
        (when (int? k) (str (when authority (str (name authority) ", ")) (when group (str "group " group ", ")) "key " k))))))

(defn- leaf-says [trace {:keys [key kind value] :as span}]
  (cond
    (#{:length :count :present} key) (dump/frame-text span)
    (and (bytes/bytes? value) (not= :raw kind)) (if (zero? (count value)) "no bytes" -1)
    (= :literal kind) -1
    :else (dump/value-text trace span)))

(defn- says
  "What a span says, in words; -1 for its bytes in hex; nil for nothing."
  [trace {:keys [value children broken] :as span}]
  (cond
    (:says span) (:says span)
    (and broken (nil? value)) nil
    (empty? children) (leaf-says trace span)
    (string? value) (text/quoted value)
    (bytes/bytes? value) (dump/bytes-text {} value)
    (= :count (:key (first children))) (dump/frame-text (first children))
    :else (title span)))

(defn- inside
  "The children of a span; of one behind a length or a presence byte, that byte's and its own."
  [{:keys [children]}]
  (let [{:keys [key kind] within :children} (peek children)]
    (if (and (= :content key) (= :struct kind) (seq within))
      (into (pop children) within)
      children)))

(defn- span-name
  "The name in words of the spans with the key `k`."
  [k]
  (case k
    :content "value" :toc "Table of contents" :header "Header" :unread "Not looked at"
    (cond
      (keyword? k) (or (:name (record/section-by-key k)) (str/replace (name k) "-" " "))
      (int? k) (str k)
      :else "")))

(defn- cached
  "`f`, a function of one argument that never gives nil, as long as one thread uses it."
  [f]
  (let [known (HashMap.)]
    (fn [x] (or (.get known x) (let [v (f x)] (.put known x v) v)))))

(defn- put-number!
  "Appends `n` to `out`: seven bits a char, the lowest first, the eighth where more follow."
  [^StringBuilder out ^long n]
  (loop [n n]
    (if (< n 128)
      (.append out (char n))
      (do (.append out (char (bit-or 128 (bit-and n 127))))
          (recur (unsigned-bit-shift-right n 7))))))

(defn- packer
  "A function that adds a span and all below it to `out`, words as places by `place`."
  [trace place name-place ^StringBuilder out]
  (fn pack! [{:keys [doc] :as span} depth]
    (let [said (says trace span) below (inside span)]
      (put-number! out depth)
      (put-number! out (if (seq below) 0 (:size span)))
      (put-number! out (name-place (:key span)))
      (put-number! out (if (= -1 said) 0 (inc (long (place (or said ""))))))
      (put-number! out (place (or doc "")))
      (run! #(pack! % (inc (long depth))) below))))

(defn- section-types
  "The table of contents with its types marked, so that they are shown by name."
  [{:keys [key] :as span}]
  (letfn [(field [{:keys [key] :as f}] (cond-> f (= :type key) (assoc :section-type true)))
          (item [f] (cond-> f (:children f) (update :children (partial mapv field))))]
    (cond-> span (and (= :toc key) (:children span)) (update :children (partial mapv item)))))

(defn- base64 [^bytes array]
  (.encodeToString (Base64/getEncoder) array))

(defn pack
  "The `trace` of a file as `{:size :bytes :withheld :words :spans}`, and `:error`, `{:at :message}`,
  of a broken one."
  [{:keys [spans] :as trace}]
  (let [words (ArrayList.) out (StringBuilder.)
        place (cached (fn [w] (.add words w) (dec (.size words))))
        pack! (packer trace place (cached (comp place span-name)) out)
        {:keys [at message] :as error} (shown-error trace)]
    (run! #(pack! (withdrawn (section-types %)) 0) spans)
    (cond-> {:size (count (:bytes trace))
             :bytes (base64 (bytes/->array (shown-bytes trace))) :withheld (vec (withheld trace))
             :words (vec words) :spans (base64 (.getBytes (str out) StandardCharsets/ISO_8859_1))}
      error (assoc :error {:at at :message message}))))
