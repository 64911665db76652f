(ns poz.nav.walk
  "Where the ways lead that `poz.nav` promises: `record` and `verdict` mark them in every part,
  `from-record` and `from-verdict` go the first step."
  (:require
   [clojure.core.protocols :as protocols]
   [poz.bytes :as bytes]
   [poz.master.chain :as chain]
   [poz.nav :as nav]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.view.dump :as dump]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; ## What names what

(defn- key-at
  "The key with the index `i`, or `i` where there is none."
  [{:keys [public-key-map key-names]} i]
  (if-let [k (get public-key-map i)]
    (let [name (some #(when (= i (:key %)) (:name %)) key-names)]
      (cond-> (assoc k :index i :key-hash (signing/key-hash k)) name (assoc :name name)))
    i))

(defn- named
  "Hash → what of `record` it names: revisions, entries, keys, and the `providers` at hand."
  [record providers]
  (into {}
    cat
    [(for [p providers] [(record/original-hash p) p])
     (map-indexed (fn [i k] [(signing/key-hash k) (key-at record i)]) (:public-key-map record))
     (for [z (zone/zones record), entry (zone/entries z (get record (zone/zone-key z)))]
       [(zone/entry-hash z entry) entry])
     (for [r (chain/revisions record)] [(:current-master-hash r) r])]))

;; ## Where a value stands in the format

(defn- inner
  "The node of what is under `k` in a value of `node`, or nil."
  [{:keys [kind item fields]} k]
  (case kind
    (:sized :optional) (inner item k)
    :list item
    (:struct :tagged :select) (:node (first (filter #(= k (:key %)) fields)))
    nil))

(defn- bare [{:keys [kind item] :as node}]
  (if (#{:sized :optional} kind) (recur item) node))

(def ^:private root
  "A node of the whole record."
  {:kind :struct :fields (mapv (fn [[k {:keys [codec]}]] {:key k :node (:node codec)}) record/section-by-key)})

;; ## Marks

(declare marked)

(defn- follow-record [{:keys [record names] :as context} node k v]
  (let [node (bare (inner node k))]
    (cond
      (= :index (:kind node)) (marked context nil (key-at record v))
      (coll? v) (marked context node v)
      (bytes/bytes? v) (let [found (get @names v v)]
                         (if (coll? found) (marked context nil found) found))
      :else v)))

(defn- marked
  "`x`, a value of `node`, with the way on in its metadata, and in that of all its parts."
  [context node x]
  (cond
    (map? x) (vary-meta (reduce-kv (fn [x k v] (assoc x k (marked context (bare (inner node k)) v))) x x)
               assoc `protocols/nav (fn [_ k v] (follow-record context node k v)))
    (vector? x) (vary-meta (mapv #(marked context (bare (inner node 0)) %) x)
                  assoc `protocols/nav (fn [_ k v] (follow-record context node k v)))
    :else x))

(defn- context [record providers]
  {:record record :names (delay (named record providers))})

(defn record
  "The record `r` with its ways marked, which lead to what is in it and in the records `providers`."
  [r providers]
  (marked (context r providers) root r))

(defn from-record
  "What the value `v` under `k` in the record `r` leads to; `providers` as for `record`."
  [r providers k v]
  (follow-record (context r providers) root k v))

;; ## Verdicts

(defn- part-path
  "The path in the file of the part of `record` that the judgement at `path` in its verdict is
  about; nil for one that is about nothing."
  [record verdict [a b c d]]
  (case a
    :chain (let [serial (:serial (get-in verdict [:chain :revisions c])) newest (get-in record [:master-zone :serial])]
             (if (= serial newest)
               [:master-zone]
               [:zone-history (- (long serial) (long (:serial (first (:zone-history record)))))]))
    :zones (case c
             :authority [(zone/authority-key b)]
             (:grant :deny) [(zone/zone-key b) c]
             :entries (into [(zone/zone-key b) :grant :body] (if (= :auth b) [:groups d] [d]))
             nil)
    nil))

(defn- with-place
  "The step at `path` with its bytes: `:at`, `:size`, `:dump`."
  [record verdict path step]
  (let [place (some->> (part-path record verdict path) (dump/place (record/encode record)))]
    (if place (merge step (update place :dump #(nav/shown (vec %) :inspector))) step)))

(defn- judged
  "`x`, at `path` in `verdict`, with the way on in its metadata, and in that of all its parts."
  [record verdict path x]
  (let [go (fn [_ k v]
             (let [to (if k (conj path k) path)]
               (if (= :steps (peek path)) (with-place record verdict path v) (judged record verdict to v))))]
    (cond
      (record? x) x
      (and (map? x) (not (sorted? x)))
      (vary-meta (reduce-kv (fn [x k v] (assoc x k (judged record verdict (conj path k) v))) x x) assoc `protocols/nav go)
      (sequential? x) (vary-meta (into [] (map-indexed #(judged record verdict (conj path %1) %2)) x) assoc `protocols/nav go)
      :else x)))

(defn verdict
  "The verdict `v` on `record` with its ways marked."
  [v record]
  (judged record v [] v))

(defn from-verdict
  "What the value `x` under `k` in the verdict `v` on `record` leads to."
  [v record k x]
  (judged record v [k] x))
