(ns poz.store
  "Where a server keeps what it holds: a small protocol, and a store in memory.

  A store is a map of keys to byte strings. A key is `[kind bytes]`: a keyword and a byte
  string, ordered by kind and then by bytes. What kinds there are and what their bytes
  mean is the business of whoever writes them (`poz.authority`).

  Everything that decides is a pure function of what was read; `commit!` makes it stick:
  it compares what was read and sets what is new, all of it or nothing. So two
  submissions in a race have one winner, and the other reads again and decides anew."
  (:require
   [poz.bytes :as bytes]
   [poz.error :as error])
  (:import
   (clojure.lang RT)))

(set! *warn-on-reflection* true)

(defprotocol Store
  (fetch [store keys]
    "A map of those of `keys` that the store has to their values, read at one moment.")
  (scan [store kind after limit]
    "Up to `limit` pairs `[key value]` of `kind` in the order of their bytes, those after the
    byte string `after` (nil: from the start).")
  (commit! [store expected changes]
    "Sets each key of `changes` to its value (nil: removes it) if every key of `expected` still
    has its value (nil: is absent): all at once and durably, then `true`; else nothing at
    all, then `false`. Throws an anomaly of category :fault or :busy where it cannot tell.")
  (close! [store]
    "Ends the store's use of files, connections and threads. Calling it again does nothing."))

(defn key?
  "True if `k` is a key of a store."
  [k]
  (and (vector? k) (= 2 (count k)) (keyword? (first k)) (bytes/bytes? (second k))))

(defn- holds? [content expected]
  (every? (fn [[k v]] (= v (get content k))) expected))

(defn- changed [content changes]
  (reduce-kv (fn [m k v] (if (nil? v) (dissoc m k) (assoc m k v))) content changes))

(defrecord MemoryStore [content]
  Store
  (fetch [_ keys] (select-keys @content keys))
  (scan [_ kind after limit]
    (let [start (if after [kind after] [kind bytes/empty])
          from (subseq @content >= start)]
      (into [] (comp (drop-while (fn [[k _]] (and after (= k start))))
                 (take-while (fn [[[kind' _] _]] (= kind kind')))
                 (take limit))
        from)))
  (commit! [_ expected changes]
    (let [[before _] (swap-vals! content
                       (fn [m] (if (holds? m expected) (changed m changes) m)))]
      (holds? before expected)))
  (close! [_] nil))

(defn memory
  "A new, empty store in memory; it is gone with the process."
  []
  (->MemoryStore (atom (sorted-map))))

;; Migrations, of the stores that are databases

(defn migration
  "The text of a file of `poz/store/migrations`."
  ^String [name]
  (with-open [in (.getResourceAsStream (RT/baseLoader) (str "poz/store/migrations/" name))]
    (String. (.readAllBytes in) "UTF-8")))

(defn check-migrations!
  "Throws where a database has taken a step, one of the names `done`, that is not among `known`."
  [known done]
  (when-let [unknown (seq (remove (set known) done))]
    (error/fail! :store/lost
      {:message (str "The store was written by a later version of poz, which made the step "
                  (first unknown) ": use that version.")})))
