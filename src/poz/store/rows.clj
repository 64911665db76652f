(ns poz.store.rows
  "A store over a table whose rows change one at a time: `store` makes it of anything that
  does `Rows`, such as Apache Cassandra (`poz.store.cassandra`).

  Such a table can compare and set one row, and nothing across two. What a store promises is
  more: several keys change at one moment, and are read at one. It is made so (the states of
  a row are in `poz.store.row`):

  1. *Read* all keys, none of them locked, and hold them against what is expected.
  2. *Lock* each row that changes, if it is still as it was read: first the primary, the
     least of them, then the others. The lock carries the new value, and names the primary.
  3. *Check* that the rows which were only read have the versions they had, and no lock.
  4. *Decide*: the primary gets its value, loses its lock and says that the transaction is
     done, by one change of that row, which only happens if it is still locked by us.
  5. *Finish*: the other rows get their values and lose their locks.

  One key alone needs no lock: it is read and decided, by one change.

  Whoever finds a lock asks the primary what became of the transaction. If it is done, he
  does step 5 for the row he found; if the primary knows nothing of it, it was aborted, and he
  takes the lock away; if it is pending, he waits, and aborts it where that takes too long, by
  taking the lock from the primary: then step 4 fails. So a process may die after any step, and
  what it left is completed or undone by the next who comes by. A row tells what was done on
  it last until something else is, before which those other rows are finished.

  Why it is right: at the moment between the steps 2 and 3 all rows of a transaction are as it
  expects them, and nobody who reads sees any row it changes until it is decided, since no
  one passes a lock. Several keys are read twice; with no lock and the same versions both times
  there was a moment between when all of it was so. A version never comes back, an aborted
  lock costs one too, so that a request that was delayed on its way finds nothing to do.

  No one waits while he has a lock: who finds another's gives up his own first, waits a random
  time and begins anew. It throws `:store/busy` where that goes on for too long."
  (:refer-clojure :exclude [swap!])
  (:require
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store :as store]
   [poz.store.row :as row])
  (:import
   (java.util UUID)
   (java.util.concurrent ThreadLocalRandom)))

(set! *warn-on-reflection* true)

(defprotocol Rows
  (read-rows [rows keys part]
    "A map of those of `keys` that have a row to it, `part` of it: `:all`, or `:head` where the
    values are not needed. What was acknowledged before is seen.")
  (read-settled [rows key]
    "The row of `key`, or nil, with no change under way that could still come true unless it is
    asked for again.")
  (swap-rows! [rows swaps]
    "Of each of `swaps`, `[key before after]`, in turn or side by side: makes the row `after` if its version
    and lock are those of `before`. A vector of true, false, or an anomaly if nobody knows.")
  (note-keys! [rows notes]
    "Takes the keys of `notes`, `[key version]`, into the list of keys, unless it was taken from
    there with a version as great.")
  (forget-keys! [rows notes]
    "Takes them from the list, unless noted with a greater version.")
  (noted-keys [rows kind after limit]
    "Up to `limit` keys of `kind` in the list, in the order of their bytes, those after `after`.")
  (close-rows! [rows] "Ends the use of the table."))

;; ## Waiting

(def ^:private longest-pause 64)
(def ^:private longest-wait "Milliseconds of pauses, then it is busy." 10000)

(defn- busy! []
  (error/fail! :store/busy {:message "Others change the same entries of the store again and again."}))

(defn- pause!
  "Sleeps for a random time that grows with `waited`, the milliseconds up to now: their new sum."
  [waited]
  (let [most (min (long longest-pause) (inc (long waited)))
        ms (.nextLong (ThreadLocalRandom/current) 1 (inc most))]
    (Thread/sleep ms)
    (+ (long waited) ms)))

;; ## One row

(defn- one-row [rows key]
  (get (read-rows rows [key] :all) key row/absent))

(defn- throw! [anomaly]
  (throw (ex-info (:message anomaly) anomaly)))

(defn- learn!
  "The answer for a swap of which nobody knows: asks, and tries again where it did not happen."
  [{:keys [rows patience]} [key before after :as swap] anomaly]
  (loop [waited 0 anomaly anomaly]
    (when (< (long patience) waited) (throw! anomaly))
    (let [now (error/attempt #(or (read-settled rows key) row/absent))
          outcome (if (error/anomaly? now) now (row/outcome before after now))]
      (case outcome
        (true false) outcome
        :unknown (throw! anomaly)
        :not-yet (let [[answer] (swap-rows! rows [swap])]
                   (or (true? answer) (recur (long (pause! waited)) (or answer anomaly))))
        (recur (+ 100 (long (pause! waited))) outcome)))))

(defn- swap-all!
  "Answers of the swaps, true or false each. Throws where nobody can tell in time."
  [{:keys [rows] :as state} swaps]
  (mapv (fn [swap answer] (if (boolean? answer) answer (learn! state swap answer)))
    swaps (swap-rows! rows swaps)))

(defn- swap! [state key before after]
  (first (swap-all! state [[key before after]])))

;; ## What others left

(defn- settle!
  "Ends the lock of `row` if its transaction is decided, or was waited for `waited` ms."
  [{:keys [rows patience] :as state} key row waited]
  (let [{:keys [id primary]} (:lock row)
        decider (one-row rows primary)
        fate (row/fate decider id)]
    (cond
      (not= :pending fate) (swap! state key row (row/ended row fate))
      (<= (long patience) (long waited)) (swap! state primary decider (row/ended decider :aborted)))))

(defn- settle-all!
  "Settles the locked rows, key → row; the milliseconds each was waited for, by transaction."
  [state waits rows]
  (doseq [[key row] rows] (settle! state key row (get waits (row/lock-id row) 0)))
  (let [ids (into #{} (map row/lock-id) (vals rows))
        least (reduce min (map #(get waits % 0) ids))
        more (- (long (pause! least)) (long least))]
    (reduce (fn [m id] (update m id (fnil + 0) more)) waits ids)))

(defn- unlocked
  "The rows of `keys`, none of which is locked. `part` as in `read-rows`."
  [{:keys [rows] :as state} keys part]
  (loop [waits {}]
    (let [found (read-rows rows keys part)
          locked (into [] (comp (filter (comp :lock val)) (map key)) found)]
      (if (empty? locked)
        found
        (let [whole (into {} (filter (comp :lock val)) (read-rows rows locked :all))]
          (recur (if (seq whole) (settle-all! state waits whole) waits)))))))

(defn- version [rows key] (:version (get rows key row/absent)))

(defn- still?
  "True if the rows of `keys` have the versions that they have in `before`, and no lock."
  [{:keys [rows]} before keys]
  (let [now (when (seq keys) (read-rows rows keys :head))]
    (every? #(and (= (version before %) (version now %)) (nil? (:lock (get now %)))) keys)))

(defn- at-one-moment [state keys]
  (loop [waited 0]
    (let [found (unlocked state keys :all)]
      (cond
        (or (nil? (next keys)) (still? state found keys)) found
        (< (long longest-wait) waited) (busy!)
        :else (recur (long (pause! waited)))))))

(defn- finish-former!
  "Finishes what was decided last on the row `primary`, which is about to say something else."
  [{:keys [rows] :as state} {{:keys [id others]} :done}]
  (when (seq others)
    (let [heads (read-rows rows others :head)
          left (filterv #(= id (row/lock-id (heads %))) others)]
      (when (seq left)
        (swap-all! state (for [[key row] (read-rows rows left :all) :when (= id (row/lock-id row))]
                           [key row (row/ended row :committed)]))
        (recur state {:done {:id id :others left}})))))

;; ## Committing

(defn- lock! [state found id primary changes keys]
  (let [swaps (for [k keys, :let [row (get found k row/absent)]]
                [k row (row/locked row id primary (changes k))])]
    (every? true? (swap-all! state swaps))))

(defn- attempt-all!
  "Makes what can be made of the swaps. What cannot is made by whoever meets it."
  [{:keys [rows]} swaps]
  (error/attempt #(swap-rows! rows swaps)))

(defn- abort!
  "Takes the locks of the transaction away: the primary's, which aborts it, then the others'."
  [{:keys [rows] :as state} id primary others]
  (let [left (fn [keys] (for [[k row] (read-rows rows keys :all) :when (= id (row/lock-id row))]
                          [k row (row/ended row :aborted)]))]
    (error/attempt
      #(do (swap-all! state (left [primary]))
           (attempt-all! state (left others))))))

(defn- locked-row [found id primary changes k]
  (row/locked (get found k row/absent) id primary (changes k)))

(defn- decide-locked!
  "Steps 2 to 5: true, or false where another was in the way and nothing was changed."
  [state found id changes primary others only-read]
  (let [mine #(locked-row found id primary changes %)
        ready (try
                (and (lock! state found id primary changes [primary])
                  (lock! state found id primary changes others)
                  (still? state found only-read))
                (catch Throwable t (abort! state id primary others) (throw t)))]
    (if (and ready (swap! state primary (mine primary)
                     (row/decided (mine primary) id (changes primary) others)))
      (do (attempt-all! state (for [k others] [k (mine k) (row/ended (mine k) :committed)]))
          true)
      (do (abort! state id primary others) false))))

(defn- decide!
  "Makes the changes if the rows are as they were found: true or false."
  [state found changes only-read]
  (let [[primary & others] (sort (keys changes))
        id (str (UUID/randomUUID))
        row (get found primary row/absent)]
    (finish-former! state row)
    (if (or (seq others) (seq only-read))
      (decide-locked! state found id changes primary others only-read)
      (swap! state primary row (row/decided row id (changes primary) nil)))))

(defn- notes
  "`[key version]` of the changes that `pick?`, with the versions that they get."
  [found changes pick?]
  (for [[k v] changes, :let [row (get found k row/absent)] :when (pick? (:value row) v)]
    [k (inc (long (:version row)))]))

(defn- try-once!
  "True or false as `commit!` has it, or `:again` where another was in the way."
  [{:keys [rows] :as state} expected changes]
  (let [only-read (remove #(contains? changes %) (keys expected))
        found (unlocked state (concat only-read (keys changes)) :all)
        holds (every? (fn [[k v]] (= v (:value (get found k)))) expected)]
    (cond
      (not holds) false
      (empty? changes) (or (nil? (next only-read)) (still? state found only-read) :again)
      :else (do (note-keys! rows (notes found changes (fn [old new] (and (nil? old) new))))
                (if (decide! state found changes only-read)
                  (do (error/attempt #(forget-keys! rows (notes found changes (fn [old new] (and old (nil? new))))))
                      true)
                  :again)))))

(defn- commit-changes! [state expected changes]
  (loop [waited 0]
    (let [answer (try-once! state expected changes)]
      (cond
        (not= :again answer) answer
        (< (long longest-wait) waited) (busy!)
        :else (recur (long (pause! waited)))))))

;; ## Scanning

(def ^:private most-at-once 1000)

(defn- page
  "`[pairs last-key]` of the next `n` keys in the list; those with no entry leave it."
  [{:keys [rows] :as state} kind after n]
  (let [keys (noted-keys rows kind after n)
        found (unlocked state keys :all)
        {here true gone false} (group-by #(some? (:value (get found %))) keys)]
    (when (seq gone) (forget-keys! rows (mapv (juxt identity #(version found %)) gone)))
    [(mapv (juxt identity #(:value (found %))) here) (when (= n (count keys)) (peek keys))]))

(defn- pages [state kind after limit]
  (loop [after after out []]
    (let [left (- (long limit) (count out))]
      (if (pos? left)
        (let [[pairs [_ last-key]] (page state kind after (min left (long most-at-once)))
              out (into out pairs)]
          (if last-key (recur last-key out) out))
        out))))

;; ## The store

(defn- check-key! [k]
  (when-not (store/key? k)
    (throw (IllegalArgumentException. (str "Not a key of a store: " (pr-str k))))))

(defn- check-value! [v]
  (when-not (or (nil? v) (bytes/bytes? v))
    (throw (IllegalArgumentException. "A value of a store is a byte string, or nil for none."))))

(deftype RowStore [state]
  store/Store
  (fetch [_ keys]
    (run! check-key! keys)
    (into {} (keep (fn [[k {:keys [value]}]] (when value [k value])))
      (at-one-moment state (distinct keys))))
  (scan [_ kind after limit] (pages state kind after limit))
  (commit! [_ expected changes]
    (run! check-key! (concat (keys expected) (keys changes)))
    (run! check-value! (concat (vals expected) (vals changes)))
    (commit-changes! state expected changes))
  (close! [_] (close-rows! (:rows state)))
  java.lang.AutoCloseable
  (close [this] (store/close! this)))

(defn store
  "The store over `rows`, which does `Rows`. A transaction that stays pending is aborted by who
  waits `patience` milliseconds for it."
  ^java.lang.AutoCloseable [rows patience]
  (->RowStore {:rows rows :patience patience}))
