(ns poz.authority.answers
  "Ready-made answers: what was answered once is answered again without reading, deciding or
  encoding, as long as nothing that it was made of has changed.

  Only answers that depend on the store and the config are kept. Each store key has a
  *version*, which every commit to it raises (`watched`). An answer remembers the versions
  from before it was read, and holds only while they are still the same: so one that was
  read before a commit and kept after it never holds, and once `commit!` has returned nobody
  gets what was there before. Keys share versions by their hashes, so that they take a
  fixed room; what they cost by that is an answer made once more.

  What others commit to the same database raises no version here. For a store that is shared,
  `:ms` says how long an answer may hold at most, and so how late others' commits may be seen.

  - `answers` makes an empty collection, of at most so many bytes
  - `watched` wraps the store through which everything here is committed
  - `answer!` answers and keeps, `lookup` finds what is kept: it reads nothing and never waits"
  (:require
   [poz.authority :as authority]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.format :as format]
   [poz.format.messages :as messages]
   [poz.store :as store]
   [poz.wire :as wire])
  (:import
   (com.github.benmanes.caffeine.cache Cache Caffeine Weigher)
   (java.util.concurrent Executor TimeUnit)
   (java.util.concurrent.atomic AtomicLongArray)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(def ^:private kept-types
  "The types of request whose answers are kept."
  #{:master :identity :chain :serial :record :zones :mirrors})

;; ## Bytes

(defn- offset
  "Where the `field` of a message of the type `form` is, whose fields before it never vary."
  [form field]
  (transduce (comp (take-while #(not= field (:key %))) (map (comp :min :node))) + 0
    (:fields (:node (codec/codec (:types format/format) form)))))

(def ^:private type-at (offset :request :type))
(def ^:private id-at (offset :request :id))
(def ^:private pow-at (offset :request :pow))
(def ^:private response-id-at (offset :response :id))

(def ^:private id-size (- (long pow-at) (long id-at)))

(def ^:private asked-on
  "Name or port of a contract → the codes of the types of request whose answers may be kept there."
  (into {}
    (for [{:keys [contract port]} messages/ports
          k [contract port]]
      [k (into #{} (comp (filter #(and (kept-types (:type %)) (contains? (:on %) contract))) (map :code))
           messages/requests)])))

(defn- request-key
  "What requests for the same have in common, the bytes but version and id; nil for one with
  work, which is for the server to look at."
  [b]
  (when (and (< (long pow-at) (count b)) (zero? (long (nth b pow-at))))
    (bytes/concat (bytes/slice b type-at (inc (long type-at))) (bytes/slice b pow-at))))

(defn- with-id
  "The bytes of the response `r` with the id of the request `b`."
  [r ^Bytes b]
  (let [out (bytes/->array r)]
    (System/arraycopy (.-array b) (+ (.-offset b) (long id-at)) out (int response-id-at) (int id-size))
    (bytes/wrap out)))

;; ## Versions

(def ^:private slots
  "How many versions there are; a power of 2."
  16384)

(defn- slot [k]
  (bit-and (hash k) (dec (long slots))))

(defn- raise! [^AtomicLongArray versions ks]
  (doseq [k ks]
    (.incrementAndGet versions (int (slot k)))))

(deftype Answer [response seen])

(defn- holds? [^AtomicLongArray versions ^Answer answer]
  (reduce (fn [_ [slot version]]
            (or (= (long version) (.get versions (int slot))) (reduced false)))
    true (.-seen answer)))

;; ## The collection

(def ^:private overhead
  "About how many bytes an answer takes beside its own and those of its key."
  300)

(def ^:private weigher
  (reify Weigher
    (weigh [_ k answer]
      (int (+ (long overhead) (count k) (count (.-response ^Answer answer)))))))

(def ^:private ^Executor here
  "Does the cache's housekeeping at once on the thread that asks: it is less than handing it over."
  (reify Executor (execute [_ task] (.run task))))

(defn answers
  "An empty collection of at most `:bytes` bytes, each of which holds for `:ms` milliseconds at
  most (nil: as long as nothing is committed); nil, which keeps nothing, where either is 0."
  [{:keys [bytes ms]}]
  (when-not (or (zero? (long bytes)) (= 0 ms))
    (let [builder (-> (Caffeine/newBuilder) (.maximumWeight (long bytes)) (.weigher weigher) (.executor here))]
      {:cache (.build (cond-> ^Caffeine builder ms (.expireAfterWrite (long ms) TimeUnit/MILLISECONDS)))
       :versions (AtomicLongArray. (int slots))})))

(defn watched
  "`store` such that each commit takes back the answers that were made of what it changes,
  before it returns. Where nobody can tell if a commit was made, it takes them back too."
  [{:keys [versions] :as answers} store]
  (if (nil? answers)
    store
    (reify store/Store
      (fetch [_ ks] (store/fetch store ks))
      (scan [_ kind after limit] (store/scan store kind after limit))
      (commit! [_ expected changes]
        (try (store/commit! store expected changes)
             (finally (raise! versions (keys changes)))))
      (close! [_] (store/close! store)))))

(defn- noting
  "`store`, with the versions of what is read conjoined to `seen` before it is read."
  [{:keys [^AtomicLongArray versions]} store seen]
  (reify store/Store
    (fetch [_ ks]
      (vswap! seen into (map (fn [k] (let [s (slot k)] [s (.get versions (int s))]))) ks)
      (store/fetch store ks))
    (scan [_ kind after limit] (store/scan store kind after limit))
    (commit! [_ expected changes] (store/commit! store expected changes))
    (close! [_] (store/close! store))))

(defn lookup
  "The bytes of the answer that is kept for a request, `{:bytes :contract}`, or nil: then it is
  to be answered the long way. Reads no store and never waits."
  [{:keys [^Cache cache versions]} {:keys [bytes contract]}]
  (when cache
    (when-let [k (request-key bytes)]
      (when (contains? (asked-on contract) (nth k 0))
        (when-let [^Answer answer (.getIfPresent cache k)]
          (if (holds? versions answer)
            (with-id (.-response answer) bytes)
            (do (.invalidate cache k) nil)))))))

(defn answer!
  "`[status bytes]` of the response to `request`, which came as `b`: that of
  `poz.authority/answer!`, kept where it may be."
  [{:keys [^Cache cache] :as answers} store config {:keys [type] :as request} b facts]
  (let [k (when (and cache (kept-types type)) (request-key b))
        seen (volatile! [])
        {:keys [status] :as response} (authority/answer! (if k (noting answers store seen) store) config request facts)
        out (wire/encode-response response type)]
    (when (and k (= :ok status))
      (.put cache k (->Answer out @seen)))
    [status out]))

(defn size
  "How many answers are kept, about."
  [{:keys [^Cache cache]}]
  (if cache (.estimatedSize cache) 0))
