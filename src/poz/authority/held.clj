(ns poz.authority.held
  "The records that were submitted last, decoded: so that what a store gives is not decoded again, and
  what was proven of it (`poz.proof`) is still known when its next update comes.

  Nothing that is kept can be out of date. The store says what is held, and what it gives is
  found here only if it is that, byte for byte: of what another process has taken nothing is
  known here, and nothing proven.

  - `held` makes an empty memory, of so much room
  - `record` is the record in what a store gave
  - `keep!` keeps a record that was taken"
  (:require
   [poz.bytes :as bytes]
   [poz.record :as record])
  (:import
   (com.github.benmanes.caffeine.cache Cache Caffeine Weigher)
   (java.util.concurrent Executor)))

(set! *warn-on-reflection* true)

(deftype ^:private Kept [bytes record])

(def ^:private weigher
  (reify Weigher
    (weigh [_ _ kept] (int (count (.-bytes ^Kept kept))))))

(def ^:private ^Executor here
  (reify Executor (execute [_ task] (.run task))))

(defn held
  "An empty memory for records of `n` bytes together at most. Decoded they take several times that."
  [n]
  (-> (Caffeine/newBuilder) (.maximumWeight (long n)) (.weigher weigher) (.executor here) (.build)))

(defn keep!
  "Keeps `record`, which is encoded as `b`, in place of what was kept of it. The memory may be nil."
  [^Cache held b record]
  (when held
    ;; the hash is a slice of all that it came with
    (.put held (bytes/wrap (bytes/->array (record/original-hash record))) (Kept. b record))))

(defn record
  "The record in the bytes `b` that a store has for the original hash `hash`, or an anomaly. The
  memory may be nil."
  [^Cache held hash b]
  (let [^Kept kept (when held (.getIfPresent held hash))]
    (if (and kept (= b (.-bytes kept)))
      (.-record kept)
      (record/decode b))))

(defn size
  "How many records are kept, about."
  [^Cache held]
  (.estimatedSize held))
