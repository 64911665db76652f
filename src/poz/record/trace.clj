(ns poz.record.trace
  "What each byte of a file is: its header, table of contents and sections as spans (see
  `poz.codec.spans`), a broken file's up to the fault.

  `trace` reads what `poz.record/parse` reads and gives the same record or the same
  anomaly, with the tree beside it; it throws on no bytes. The spans are in the order of
  the file: `:header`, `:toc`, one for each section under the key of the section, or
  under its code and of kind `:raw` where the section is unknown. After a fault what
  was not looked at is one last leaf, `:unread`."
  (:require
   [poz.bytes :as bytes]
   [poz.codec.input :as input]
   [poz.codec.node :as node]
   [poz.codec.spans :as spans]
   [poz.error :as error]
   [poz.format :as format]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(def ^:private header (node/parse (:types format/format) :header))
(def ^:private toc (node/parse (:types format/format) :toc))

;; ## The container

(defn- trace-header [{:keys [bytes] :as cursor}]
  (let [span (spans/trace-node header cursor [:header] {:key :header})
        found (:size (:value span))]
    (if (or (:broken span) (= found (count bytes)))
      span
      (let [at (:at (last (:children span)))]
        (spans/break span [:size]
          (spans/fault [:header :size] :format/size at {:expected (count bytes) :found found}))))))

(def ^:private to-blame
  "Layout fault → the field of the entry in the table of contents that shows it."
  {:format/gap :offset :format/overlap :offset :format/truncated :length})

(defn- break-layout
  "The spans for a table of contents `span` whose entries do not fill the file as `[code
  i at facts]` says. Bytes after the last section are a span of their own."
  [span size [code i at facts]]
  (let [error (spans/fault (if i [:toc i] []) code at facts)]
    (if i
      [(spans/break span [i (to-blame code)] error)]
      [span (spans/raw :unread (spans/end span) at)
       (spans/break (spans/raw :trailing at size) [] error)])))

(defn- break-presence [span]
  (if-let [[code facts] (record/presence-fault (:value span))]
    (spans/break span [:count] (spans/fault [:toc] code (:at span) facts))
    span))

(defn- trace-toc [{:keys [bytes] :as cursor}]
  (let [span (spans/trace-node toc cursor [:toc] {:key :toc})]
    (if (:broken span)
      [span]
      (if-let [layout (record/layout-fault (:value span) (spans/end span) (count bytes))]
        (break-layout span (count bytes) layout)
        [(break-presence span)]))))

;; ## Sections

(defn- add-trailing
  "`span` with what its section has after it, if anything."
  [{:keys [key] :as span} cursor]
  (if-let [left (when-not (:broken span) (spans/trailing cursor [key] spans/more-bytes))]
    (-> (dissoc span :value)
      (assoc :broken true)
      (update :children conj left)
      (update :size + (:size left)))
    span))

(defn- trace-section [{:keys [reader bytes] :as cursor} {:keys [type offset length]}]
  (let [{:keys [key codec doc]} (record/section-by-code type)
        end (+ (long offset) (long length))]
    (input/seek! reader offset end)
    (if codec
      (-> (spans/trace-node (:node codec) cursor [key] {:key key :doc doc})
        (add-trailing cursor))
      (assoc (spans/raw type offset end) :value (bytes/slice bytes offset end)))))

(defn- add-value [record {:keys [key value]}]
  (if (keyword? key)
    (assoc record key value)
    (update record :unknown-sections (fnil assoc (sorted-map)) key value)))

(defn- trace-sections
  "The state `{:spans :record}` after the sections of the table of contents `entries`,
  or after the first broken one."
  [{:keys [reader] :as cursor} state entries]
  (reduce (fn [{:keys [spans record]} entry]
            (let [{:keys [key broken value] :as span} (trace-section cursor entry)
                  state {:spans (conj spans span) :record (when-not broken (add-value record span))}]
              (when (and (= :public-key-map key) (not broken))
                (input/set-algorithms! reader (record/algorithms value)))
              (cond-> state broken reduced)))
    state entries))

(defn- trace-file [b]
  (let [cursor (spans/cursor b)
        head (trace-header cursor)
        container (if (:broken head) [head] (into [head] (trace-toc cursor)))
        {:keys [spans record]} (if (some :broken container)
                                 {:spans container}
                                 (trace-sections cursor {:spans container :record {}}
                                   (:value (peek container))))]
    (assoc (spans/finish b spans record) :bytes b)))

(defn- refused [b error]
  {:spans [(spans/break (spans/raw :unread 0 (count b)) [] error)] :value nil :error error :bytes b})

(defn trace
  "What each byte of the byte string `b` is, binary or text: `{:spans […] :value the
  record or nil :error the anomaly or nil :bytes what was traced}`; of a text form the
  bytes in it are traced.

  Options: `:max-size`, as for `poz.record/decode`."
  ([b] (trace b {}))
  ([b options]
   (let [file (record/dearmor b)]
     (if (error/anomaly? file)
       (refused b file)
       (let [limit (error/attempt #(record/check-size-limit! (count file) options))]
         (if limit (refused file limit) (trace-file file)))))))
