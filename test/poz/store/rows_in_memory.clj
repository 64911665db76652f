(ns poz.store.rows-in-memory
  "A table of rows in memory, as `poz.store.rows` takes it, in which anything may go wrong:
  `table` makes one, `(using table trouble)` is a client's way to it.

  `trouble` is a function called with `:before` and `:after` around each statement, a swap of one
  row being one. What it throws comes out of the call, except that an anomaly around a swap is
  the swap's answer: nobody knows then."
  (:require
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store.row :as row]
   [poz.store.rows :as rows]))

(set! *warn-on-reflection* true)

(defn table
  "A new, empty table."
  []
  {:content (atom {}) :notes (atom (sorted-map))})

(defn- swap-one! [content [key before after]]
  (let [matches? #(row/same? before (get % key row/absent))
        [old _] (swap-vals! content #(if (matches? %) (assoc % key after) %))]
    (matches? old)))

(defn- note [m alive [key version]]
  (let [[held was-alive] (get m key [-1 false])]
    (if (or (< (long held) (long version)) (and (= held version) was-alive))
      (assoc m key [version alive])
      m)))

(defn- around [trouble f]
  (trouble :before)
  (let [answer (f)]
    (trouble :after)
    answer))

(defrecord Using [content notes trouble]
  rows/Rows
  (read-rows [_ keys part]
    (around trouble
      ;; one by one: what is read of several keys is not of one moment
      #(into {} (keep (fn [k] (when-let [r (get @content k)]
                                [k (if (= :head part) (dissoc r :value :next) r)])))
         keys)))
  (read-settled [_ key] (around trouble #(get @content key)))
  (swap-rows! [_ swaps]
    (mapv (fn [swap] (error/attempt (fn [] (around trouble #(swap-one! content swap))))) swaps))
  (note-keys! [_ pairs]
    (doseq [p pairs] (around trouble #(swap! notes note true p))))
  (forget-keys! [_ pairs]
    (doseq [p pairs] (around trouble #(swap! notes note false p))))
  (noted-keys [_ kind after limit]
    (around trouble
      #(let [start [kind (or after bytes/empty)]]
         (into [] (comp (filter (fn [[[kind' _] [_ alive]]] (and alive (= kind kind'))))
                    (map first)
                    (remove (fn [k] (and after (= k start))))
                    (take limit))
           (subseq @notes >= start)))))
  (close-rows! [_] nil))

(defn using
  "The table as one client has it."
  ([table] (using table (fn [_])))
  ([{:keys [content notes]} trouble] (->Using content notes trouble)))
