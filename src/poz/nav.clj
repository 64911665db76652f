(ns poz.nav
  "Records and verdicts that a browser of data walks through (`clojure.datafy`, Portal, REBL,
  Morse). What is given is `=` to what was taken: only its metadata tells more.

  `datafy` of a record or verdict gives it with the way on marked in every part; `nav` then
  leads

  - from the index of a key to the key: `{:index :algorithm :key :key-hash :name}`
  - from a hash to what it names, within what is at hand: a revision, an entry, a key, a
    provider's record
  - from a step of a verdict to its bytes: the step with `:at`, `:size` and `:dump`, a hexdump

  and from all else to itself. What is an index is what the format calls one. Nothing is
  computed before somebody goes there (nor `poz.nav.walk` loaded), and nothing of a secret is
  ever reached: a record holds its secrets sealed. `:portal.viewer/default` says how Portal
  shows a thing best."
  (:require
   [clojure.core.protocols :as protocols]))

(set! *warn-on-reflection* true)

(defn shown
  "`x` with the hint that Portal shows it best with `viewer`, a keyword without namespace."
  [x viewer]
  (vary-meta x assoc :portal.viewer/default (keyword "portal.viewer" (name viewer))))

(defn- ready
  "`x`, of which the function `datafied` gives what `datafy` does, and `from` what `nav` does."
  [x datafied from]
  (vary-meta x assoc
    `protocols/datafy (fn [x] (vary-meta (datafied x) dissoc `protocols/datafy))
    `protocols/nav from))

(defn record
  "`record` ready for `datafy` and `nav`; an anomaly as it is. Options: `:providers`, records
  that a hash may lead to."
  ([r] (record r {}))
  ([r {:keys [providers]}]
   (if (:poz/anomaly r)
     r
     (ready (shown r :tree)
       (fn [r] ((requiring-resolve 'poz.nav.walk/record) r providers))
       (fn [r k v] ((requiring-resolve 'poz.nav.walk/from-record) r providers k v))))))

(defn verdict
  "The `verdict` on `record` ready for `datafy` and `nav`, with the record as `:poz/record` in
  its metadata."
  [verdict record]
  (cond-> (vary-meta (shown verdict :tree) assoc :poz/record record)
    (not= :malformed (:outcome verdict))
    (ready
      (fn [v] ((requiring-resolve 'poz.nav.walk/verdict) v record))
      (fn [v k x] ((requiring-resolve 'poz.nav.walk/from-verdict) v record k x)))))
