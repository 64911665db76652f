(ns poz.damage.tree
  "A file as a tree that can be broken in any one place and still be put together.

  `tree` takes a well-formed file apart: a node is `{:key :kind :children}` or, as a *leaf*,
  `{:key :kind :bytes}`, keys and kinds as in `poz.codec.spans`. `edit` changes it at a
  path, and `file` puts it together: counts, lengths, the table of contents and the
  header's size are counted anew, but for leaves that an edit has set, which are
  *pinned* and stay as they are, right or wrong (`:was`: what was there before).

  An edit is data, `[what path & more]`:

  | edit | |
  |---|---|
  | `[:put path hex]` | these bytes instead |
  | `[:utf8 path text]` | that text instead, after its length |
  | `[:int path n]` | the number `n`, as wide as the leaf is |
  | `[:add path n]` | the number in the leaf plus `n` |
  | `[:flip path n]` | bit `n` of the leaf, counted around its end |
  | `[:drop path]`, `[:twice path]`, `[:swap path]` | an item (or a section) gone; once more; changed with the next |
  | `[:reverse path]` | the items of a list in the opposite order |
  | `[:move path other]` | the bytes of the leaf at the path `other` instead |
  | `[:append path hex]` | bytes after the node, inside its parent |
  | `[:section code hex]` | a section more |

  A path leads by keys from the file down: `[:master-zone :delegations 0 :grant]`. An edit
  whose path leads nowhere changes nothing: so a list of edits still means something when
  the file that it was made for has become smaller."
  (:require
   [poz.bytes :as bytes]
   [poz.record :as record]
   [poz.record.trace :as trace]))

(set! *warn-on-reflection* true)

;; ## Nodes

(defn- node [b {:keys [key kind name at size children]}]
  (cond-> {:key key :kind kind}
    name (assoc :name name)
    (seq children) (assoc :children (mapv #(node b %) children))
    (empty? children) (assoc :bytes (bytes/slice b at (+ (long at) (long size))))))

(defn tree
  "The tree of the well-formed file in the byte string `b`."
  [b]
  (let [{:keys [spans error] traced :bytes} (trace/trace b)]
    (when error
      (throw (IllegalArgumentException. (str "Only a well-formed file can be taken apart: " (:message error)))))
    {:key :file :kind :file :children (mapv #(node traced %) spans)}))

(defn leaves
  "The leaves of `node`, in the order of their bytes."
  [{:keys [children] :as node}]
  (if children (mapcat leaves children) [node]))

(defn flat
  "The bytes of `node`."
  [node]
  (bytes/join (mapv :bytes (leaves node))))

(defn- position
  "Which of the children of `node` the key `k` means, or nil."
  [{:keys [kind children]} k]
  (let [i (if (and (= :list kind) (int? k))
            (inc (long k))
            (first (keep-indexed (fn [i child] (when (= k (:key child)) i)) children)))]
    (when (and i (< -1 (long i) (count children))) i)))

(defn at
  "The node of `tree` at `path`, or nil."
  [tree path]
  (reduce (fn [node k]
            (if-let [i (position node k)] (nth (:children node) i) (reduced nil)))
    tree path))

(defn change
  "`tree` with the node at `path` as the function `f` makes it; as it is where there is none."
  [tree [k & more] f]
  (if (nil? k)
    (f tree)
    (if-let [i (position tree k)]
      (update-in tree [:children i] change more f)
      tree)))

(defn leaf-paths
  "The paths of all leaves below `node`, the position of an item of a list as its key."
  [{:keys [kind children]}]
  (for [[i child] (map-indexed vector children)
        :let [k (if (and (= :list kind) (pos? (long i))) (dec (long i)) (:key child))]
        path (if (:children child) (leaf-paths child) [[]])]
    (into [k] path)))

(defn number
  "The number that the bytes of the leaf `node` are, big-endian."
  [{b :bytes}]
  (let [n (bigint (BigInteger. 1 (bytes/->array b)))]
    (if (<= n Long/MAX_VALUE) (long n) n)))

(defn number-bytes
  "`n` in `width` bytes, big-endian; of a number that is too great or negative the last bytes."
  [n width]
  (let [n (biginteger n)]
    (bytes/wrap (byte-array (map #(unchecked-byte (.intValue (.shiftRight n (* 8 (int %))))) (range (dec (long width)) -1 -1))))))

;; ## Edits

(defn- pinned [node b]
  (-> (dissoc node :children) (assoc :bytes b :pinned true :was (:was node (:bytes node)))))

(defn- whole [node] (if (:bytes node) node (assoc node :bytes (flat node))))

(defn- set-content [node b]
  (if (position node :content)
    (change node [:content] #(pinned % b))
    (pinned node b)))

(defn- flip [{b :bytes :as node} n]
  (if (zero? (count b))
    node
    (let [n (long (mod n (* 8 (count b)))) i (quot n 8)]
      (pinned node (bytes/concat (bytes/slice b 0 i)
                     (bytes/wrap (byte-array [(unchecked-byte (bit-xor (long (nth b i)) (bit-shift-left 1 (rem n 8))))]))
                     (bytes/slice b (inc i)))))))

(defn- with-children
  "`tree` with the children of the parent of `path` as `f` of them and of the position of the
  last key makes them."
  [tree path f]
  (if (at tree path)
    (change tree (pop path)
      (fn [parent]
        (-> (update parent :children f (position parent (peek path)))
          (assoc :restructured true))))
    tree))

(defn- without [v i] (into (subvec v 0 i) (subvec v (inc (long i)))))

(defn- inserted [v i x] (-> (subvec v 0 i) (conj x) (into (subvec v i))))

(defn- swapped [v i]
  (let [j (inc (long i))]
    (if (< j (count v)) (assoc v i (v j) j (v i)) v)))

(defn- reversed [{:keys [kind children] :as node}]
  (if (= :list kind)
    (assoc node :restructured true :children (into [(first children)] (rseq (subvec children 1))))
    node))

(defn- add-section [{:keys [children] :as tree} code hex]
  (let [code-of #(or (:code (record/section-by-key (:key %))) (:key %))
        before (count (take-while #(or (#{:header :toc} (:key %)) (< (long (code-of %)) (long code))) children))]
    (assoc tree :children (inserted children before {:key code :kind :raw :bytes (bytes/hex-> hex)}))))

(defn edit
  "`tree` after one edit."
  [tree [what path x]]
  (case what
    :put (change tree path #(pinned % (bytes/hex-> x)))
    :utf8 (change tree path #(set-content % (bytes/utf8 x)))
    :int (change tree path #(pinned % (number-bytes x (count (:bytes (whole %))))))
    :add (change tree path #(pinned % (number-bytes (+' (number (whole %)) x) (count (:bytes (whole %))))))
    :flip (change tree path #(flip (whole %) x))
    :move (if-let [from (at tree x)] (change tree path #(pinned % (flat from))) tree)
    :drop (with-children tree path without)
    :twice (with-children tree path #(inserted %1 %2 (nth %1 %2)))
    :swap (with-children tree path swapped)
    :reverse (change tree path reversed)
    :append (with-children tree path #(inserted %1 (inc (long %2)) {:key :appended :kind :raw :bytes (bytes/hex-> x)}))
    :section (add-section tree path x)))

(defn edit-all
  "`tree` after `edits`, one after another."
  [tree edits]
  (reduce edit tree edits))

;; ## Together

(defn- set-number [{:keys [pinned] :as leaf} n]
  (if (or pinned (nil? (:bytes leaf))) leaf (assoc leaf :bytes (number-bytes n (count (:bytes leaf))))))

(defn- size [node]
  (transduce (map (comp count :bytes)) + 0 (leaves node)))

(defn counted
  "`node` with the lengths and counts inside as they must be, where they are not pinned."
  [{:keys [children] :as node}]
  (if (empty? children)
    node
    (let [[head & others :as children] (mapv counted children)
          head (case (:key head)
                 :length (set-number head (transduce (map size) + 0 others))
                 :count (set-number head (count (remove #(= :appended (:key %)) others)))
                 head)]
      (assoc node :children (assoc children 0 head)))))

(defn- section-code
  "The code of a section; of what an edit has put among them and is none, the last there is."
  [{:keys [key]}]
  (or (:code (record/section-by-key key)) (when (int? key) key) 0xffff))

(def ^:private fresh-entry
  {:kind :struct :children [{:key :type :kind :u16 :bytes (bytes/zeros 2)}
                            {:key :offset :kind :u32 :bytes (bytes/zeros 4)}
                            {:key :length :kind :u32 :bytes (bytes/zeros 4)}]})

(defn- entry [i section offset former]
  (-> (or former (assoc fresh-entry :key i))
    (change [:type] #(set-number % (section-code section)))
    (change [:offset] #(set-number % offset))
    (change [:length] #(set-number % (size section)))))

(defn- contents
  "The table of contents `toc` for `sections`, which start after it."
  [{[head & entries] :children :keys [restructured] :as toc} sections]
  (let [start (+ 8 2 (* 10 (if restructured (count entries) (count sections))))
        offsets (reductions + start (map size sections))]
    (if restructured
      (assoc toc :children (into [(set-number head (count entries))] entries))
      (assoc toc :children
        (into [(set-number head (count sections))]
          (map (fn [i section offset] (entry i section offset (nth entries i nil))) (range) sections offsets))))))

(defn file
  "The byte string of the file that `tree` is."
  [{:keys [children]}]
  (let [[header toc & sections] (mapv counted children)]
    (if (= [:header :toc] [(:key header) (:key toc)])
      (let [sections (vec (remove #(= :appended (:key %)) sections))
            extra (filter #(= :appended (:key %)) children)
            toc (if (:children toc) (contents toc sections) toc)
            body (bytes/join (mapv flat (concat [toc] sections extra)))
            header (if (:children header) (change header [:size] #(set-number % (+ 8 (count body)))) header)]
        (bytes/concat (flat header) body))
      (bytes/join (mapv flat children)))))
