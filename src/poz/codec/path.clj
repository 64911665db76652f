(ns poz.codec.path
  "Where in a value a reader or writer is, kept so that a fault can name it and all else goes
  on at next to no cost: of a struct or list only a number changes from part to part.

  - `path`: an empty one
  - `key!`: a key stands at a depth; `parts!`: the parts of a struct or list do, of which
    `part!` then says which one
  - `elements`: the path to a depth as a vector of keys and positions")

(set! *warn-on-reflection* true)

(def ^:private ^:const max-depth 32)

;; `keys` holds at each depth a key, or the array of a struct's keys, or nil in a list;
;; `parts` which of the keys it is, or which item.
(deftype Path [^objects keys ^longs parts])

(defn path
  "A path of nothing yet."
  ^Path []
  (Path. (object-array max-depth) (long-array max-depth)))

(defn key!
  "Puts the key or position `k` at `depth`."
  [^Path p ^long depth k]
  (aset ^objects (.-keys p) depth k))

(defn parts!
  "Puts the parts of a struct with these `keys` at `depth`, or of a list where they are nil."
  [^Path p ^long depth ^objects keys]
  (let [^objects all (.-keys p) at (unchecked-int depth)]
    (when-not (identical? keys (aget all at)) ; to store a reference takes longer than to look
      (aset all at keys))))

(defn part!
  "Goes to the part `i` of what `parts!` put at `depth`."
  [^Path p ^long depth ^long i]
  (aset ^longs (.-parts p) (unchecked-int depth) i))

(defn- element [^Path p ^long depth]
  (let [k (aget ^objects (.-keys p) depth) i (aget ^longs (.-parts p) depth)]
    (cond (nil? k) i
          (.isArray (class k)) (aget ^objects k i)
          :else k)))

(defn elements
  "The keys and positions at the first `depth` depths, a vector."
  [p depth]
  (mapv #(element p %) (range depth)))
