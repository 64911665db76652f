(ns poz.proof
  "What this process has proven of a record, kept beside it, so that it is not proven again with
  each update of it.

  A *proof* is in the metadata of the record that `poz.update/apply-update` has accepted, which
  alone puts it there: all revisions of its chain hold, and `:hashes`, zone → `{:grant-hash
  :zone-hash}`, are those of its zones. No bytes carry one: a record that was decoded is to be proven, whoever
  wrote it and wherever it was kept. A proof is of one value, so a record that was changed since has
  none. What a rule says about the clock is never proven: it may be set back.

  `of` gives the proof of a record.")

(set! *warn-on-reflection* true)

(defn with-proof
  "`record` with a proof that its chain holds and its zones have these `hashes`."
  [record hashes]
  (with-meta record {::proof {:of (with-meta record nil) :hashes hashes}}))

(defn of
  "The proof of `record`, or nil."
  [record]
  (when-let [proof (::proof (meta record))]
    (when (= (:of proof) record) proof)))
