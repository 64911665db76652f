(ns poz.store.row
  "One row of a table of `poz.store.rows`, as data, and what can become of it.

  A *row* is a map: `:version`, a number that grows with each change of the value and each
  end of a lock; `:value`, a byte string or nil; `:lock`, nil or `{:id :primary}`, which
  transaction has the row and the key of its *primary* row; `:next`, the value that this
  transaction sets; `:done`, nil or `{:id :others}`, the last transaction that was decided on
  this row as its primary, and the keys of the other rows that it changed.

  A transaction is *pending* as long as its primary is locked by it, *committed* when the
  primary says it is done, and else *aborted*. So it is decided by one change of one row.")

(set! *warn-on-reflection* true)

(def absent
  "The row of a key that never had one."
  {:version 0 :value nil :lock nil :next nil :done nil})

(defn lock-id
  "The id of the transaction that has the row, or nil."
  [row]
  (:id (:lock row)))

(defn locked
  "The row in the hands of the transaction `id`, which sets `value`."
  [row id primary value]
  (assoc row :lock {:id id :primary primary} :next value))

(defn decided
  "The row as the primary of the transaction `id`, which is thereby committed."
  [row id value others]
  (assoc row :version (inc (long (:version row))) :value value :lock nil :next nil
    :done {:id id :others (vec others)}))

(defn ended
  "The locked row after its transaction was `:committed` or `:aborted`."
  [row outcome]
  (assoc row :version (inc (long (:version row))) :lock nil :next nil
    :value (if (= :committed outcome) (:next row) (:value row))))

(defn fate
  "What the `primary` row says of the transaction `id`: `:pending`, `:committed`, `:aborted`."
  [primary id]
  (cond
    (= id (lock-id primary)) :pending
    (= id (:id (:done primary))) :committed
    :else :aborted))

(defn same?
  "True if nothing happened between the two states of a row."
  [a b]
  (and (= (:version a) (:version b)) (= (lock-id a) (lock-id b))))

(defn outcome
  "What became of the change from the row `before` to `after` of which nobody told, by the row
  `now`: true, false, `:not-yet`, or `:unknown` where others came since and left no trace of
  it, which matters only where it decides a transaction."
  [before after now]
  (let [deciding (not= (:id (:done before)) (:id (:done after)))]
    (cond
      (and deciding (= (:id (:done now)) (:id (:done after)))) true
      (same? now before) :not-yet
      deciding :unknown
      (lock-id after) (= (lock-id now) (lock-id after))
      :else (not= (lock-id now) (lock-id before)))))
