(ns poz.authority.transaction
  "Deciding over a store: read, decide by a pure function, and make its changes if nothing
  that was read has changed meanwhile, else decide anew."
  (:require
   [poz.error :as error]
   [poz.store :as store]))

(set! *warn-on-reflection* true)

(def ^:private attempts 16)

(defn- reader
  "A function of a store key that gives its value or nil, and notes both in `seen`. What was
  read once stays so."
  [store seen]
  (fn [k]
    (if (contains? @seen k)
      (get @seen k)
      (let [v (get (store/fetch store [k]) k)]
        (vswap! seen assoc k v)
        v))))

(defn- real-changes
  "`changes` without those that set what is there."
  [changes seen]
  (into {} (remove (fn [[k v]] (and (contains? seen k) (= v (get seen k))))) changes))

(defn- still?
  "True if the store still has what was seen, in one moment; one value was read in one."
  [store seen]
  (or (< (count seen) 2)
    (let [now (store/fetch store (keys seen))]
      (every? (fn [[k v]] (= v (get now k))) seen))))

(defn transact!
  "What `decide` gives, a map with `:changes {key value-or-nil}`, once these are made in
  `store` and all that it read through its argument, a function of a key, was there at one
  moment. The anomaly `:wire/busy` where others were faster, again and again."
  [store decide]
  (loop [left attempts]
    (let [seen (volatile! {})
          {:keys [changes] :as decided} (decide (reader store seen))
          changes (real-changes changes @seen)]
      (cond
        (zero? (long left)) (error/anomaly :wire/busy)
        (if (seq changes) (store/commit! store @seen changes) (still? store @seen)) decided
        :else (recur (dec (long left)))))))
