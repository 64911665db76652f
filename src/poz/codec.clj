(ns poz.codec
  "A format table, compiled: bytes to values and back, exactly one encoding a value.

  `registry` is a map of names to types (`poz.codec.node` tells the language), `type`
  a name or a form. The compiled functions are kept per type, so that calling
  `decode` and `encode` by name costs no compilation:

  - `decode` gives the value, or the anomaly that names the first broken rule.
  - `encode` gives the byte string, or throws the anomaly: what cannot be written is
    a wrong argument. `encode(decode(b)) = b` for every `b` that is accepted.
  - `bounds` gives the least and the greatest number of bytes of a type.
  - `fold` visits the parts of a value with their nodes: whatever has to be gathered
    from a value by the meaning of its fields (cited keys, strings, times).

  Options of both: `:algorithms`, the algorithms of the record's keys, a vector; with
  it each key index is checked against them."
  (:require
   [poz.codec.input :as input]
   [poz.codec.node :as node]
   [poz.codec.output :as output]
   [poz.codec.read :as read]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

(defn- late-writer
  "As `poz.codec.write/compile-writer`, but that is loaded, and compiles, when the first value is
  written: who only reads waits for neither. (No delay: none may wait for what loads a namespace.)"
  [node depth]
  (let [kept (volatile! nil)]
    (fn [w v]
      ((or @kept (vreset! kept ((requiring-resolve 'poz.codec.write/compile-writer) node depth))) w v))))

(defn of-node
  "Everything compiled for a parsed node: `{:node :read :write}`, its path starting with
  `depth` elements that the caller sets (0 unless given)."
  ([node] (of-node node 0))
  ([node depth]
   {:node node
    :read (read/compile-reader node depth)
    :write (late-writer node depth)}))

(defn codec
  "As `of-node`, for the type `form` of `registry`."
  ([registry form] (codec registry form 0))
  ([registry form depth]
   (of-node (node/parse registry form) depth)))

(defn decode
  "The value that the byte string `b` encodes, all of it, or an anomaly."
  ([codec b] (decode codec b nil))
  ([{:keys [read]} b {:keys [algorithms]}]
   (error/attempt
     (fn []
       (let [r (input/reader b)]
         (input/set-algorithms! r algorithms)
         (let [v (read r)]
           (input/finish! r 0)
           v))))))

(defn encode
  "The byte string that encodes the value `v`. Throws the anomaly for a value that no
  bytes decode to."
  ([codec v] (encode codec v nil))
  ([{:keys [write]} v {:keys [algorithms]}]
   (let [w (output/writer algorithms)]
     (write w v)
     (output/result w))))

(defn encode-at
  "As `encode`, with a codec compiled for a path of one element, which is `key`."
  [{:keys [write]} key v {:keys [algorithms]}]
  (let [w (output/writer algorithms)]
    (output/set-path! w 0 key)
    (write w v)
    (output/result w)))

(defn bounds
  "`[least greatest]`, the bytes that an encoding of the type can have."
  [{:keys [node]}]
  [(:min node) (:max node)])

(defn fold
  "Calls `(f acc node value path)` for `value` and every part of it, outside in, in the
  order of their bytes; gives the last `acc`. What a value has not is passed over."
  ([f acc node value] (fold f acc node value []))
  ([f acc {:keys [kind item fields] :as node} value path]
   (let [acc (f acc node value path)]
     (case kind
       (:optional :sized) (fold f acc item value path)
       :list (reduce-kv (fn [acc i v] (fold f acc item v (conj path i))) acc value)
       (:struct :tagged) (reduce (fn [acc {:keys [key node]}]
                                   (let [v (get value key)]
                                     (if (nil? v) acc (fold f acc node v (conj path key)))))
                           acc fields)
       acc))))
