(ns poz.mirror.holding
  "What a cache or mirror keeps in its store, in the places where an authority keeps its own
  (`poz.authority.state`), so that the same code answers out of it: records by hash, who has which
  handle, which record belongs to a domain; and when each record was last checked.

  A handle is noted for a record once an entry of its Identity Zone is verified against the
  provider's record, be it revoked since: whoever asks is to see that. All functions are pure but
  `commit!` and `provider-of`; `read` is a function of a store key."
  (:require
   [poz.authority.state :as state]
   [poz.codec :as codec]
   [poz.error :as error]
   [poz.format :as format]
   [poz.identity :as identity]
   [poz.record :as record]
   [poz.store :as store]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private checked-codec (codec/codec (:types format/format) :checked-state))

(defn checked-at
  "When the record `hash` was last checked with its server, as far as the store knows, or nil."
  [read hash]
  (some->> (read [:checked hash]) (codec/decode checked-codec) :at))

(defn put-checked
  "The change that keeps `at` as when the record `hash` was checked."
  [hash at]
  {[:checked hash] (codec/encode checked-codec {:at at})})

;; ## Handles

(defn- live-entries [{:keys [identity-zone]}]
  (when identity-zone
    (let [gone (zone/denied identity-zone) entries (zone/entries :identity identity-zone)]
      (if (empty? gone)
        entries
        (remove #(gone (zone/entry-hash :identity %)) entries)))))

(defn- address [{:keys [authority-domain path user-handle]}]
  [authority-domain path user-handle])

(defn- bindings-of [user entries providers]
  (into {}
    (for [entry entries
          :let [provider (providers (:authority-hash entry))
                status (when provider (:status (identity/judge-entry entry user provider)))]
          :when (#{:current :superseded :revoked} status)]
      [(address entry) {:user user :issue (:hash (identity/statement entry)) :status status}])))

(defn bindings
  "Address → `{:user :issue :status}` of the live entries of `record` that their providers issued."
  [record providers]
  (bindings-of (record/original-hash record) (live-entries record) providers))

(defn- missing?
  "True if the judgement of `entry`, of the record of `user`, may give it a handle that it does not have. Where
  another has it, what its provider takes back does not."
  [read user providers entry]
  (let [owner (:user (:live (state/handle-at read (address entry))))]
    (and (not= user owner)
      (or (nil? owner) (not (identity/taken-back? entry (providers (:authority-hash entry))))))))

(defn missing-bindings
  "Those of the `bindings` of `record`, which is held, by which it does not have the handle and may have it: it
  was taken when nobody could judge them for want of the provider, or another had it."
  [read record providers]
  (let [user (record/original-hash record)]
    (bindings-of user (filter #(missing? read user providers %) (live-entries record)) providers)))

(defn- bound
  "The `live` handles after those of one record, `found`: a revoked one takes nobody's place."
  [live user found addresses]
  (reduce (fn [live a]
            (let [{:keys [status] :as new} (found a) owner (:user (live a))]
              (cond
                (and new (or (nil? owner) (= user owner) (not= :revoked status))) (assoc live a (dissoc new :status))
                (and (nil? new) (= user owner)) (dissoc live a)
                :else live)))
    live addresses))

(defn- concerned
  "The addresses that change hands, or may: those of the entries of `held` that `record` has not any
  more, and of its proven `bindings`."
  [held record bindings]
  (let [now (into #{} (map address) (live-entries record))]
    (distinct (concat (remove now (map address (live-entries held))) (keys bindings)))))

(defn- handle-changes
  "The changes of handles when `record`, with the proven `bindings`, takes the place of `held`.
  What nobody could judge for want of the provider stays as it is."
  [read held record bindings]
  (let [addresses (concerned held record bindings)
        before (state/into-book {} read addresses)
        after (assoc before :live (bound (:live before {}) (record/original-hash record) bindings addresses))]
    (state/changes before after addresses)))

;; ## Changes

(defn- put-record [hash record b]
  (if b {(state/record-key hash) b} (state/put-record hash record)))

(defn changes
  "The changes that keep what an `outcome` found (`poz.mirror.plan`), checked at `now`: with
  `:before`, the bytes that were held when the pull began, and the `:bindings` to make. None
  where something else is held by now."
  [read {:keys [outcome record held before bindings] b :bytes} now]
  (let [hash (record/original-hash record)]
    (when (= before (read (state/record-key hash)))
      (merge (put-checked hash now)
        (when (not= :unchanged outcome) (put-record hash record b))
        (handle-changes read held record bindings)))))

(defn- keys-read
  "The keys that `changes` reads for an outcome."
  [{:keys [record held bindings]}]
  (cons (state/record-key (record/original-hash record))
    (map state/handle-key (concerned held record bindings))))

(defn- fetched
  "The values of `ks` in `store`, read at one moment; nil under a key that is not there."
  [store ks]
  (merge (zipmap ks (repeat nil)) (store/fetch store ks)))

(defn commit!
  "Makes the changes of several `outcomes` in `store` in one commit: true, or false where others
  changed meanwhile what was read."
  [store outcomes now]
  (let [seen (fetched store (into [] (comp (mapcat keys-read) (distinct)) outcomes))]
    (store/commit! store seen
      (reduce (fn [made outcome] (into made (changes #(get made % (seen %)) outcome now))) {} outcomes))))

(defn provider-of
  "A function for `providers`: what the store holds, judged at `now` by `assess`, each once."
  [store assess]
  (let [read #(get (store/fetch store [%]) %)]
    (memoize (fn [hash]
               (when-let [r (state/record read hash)]
                 (let [assessed (error/attempt #(assess r))]
                   (when-not (error/anomaly? assessed) (identity/prepared assessed))))))))
