(ns poz.pattern
  "Ways to begin: who holds which keys of a new record, and what each may do.

  A pattern is data. Each of its keys has a `:name`, the `:holder` in whose file its secret
  goes, an `:algorithm`, `:groups` (master group → value) and, where it is delegated for
  the five zones, its `:share`, `[grant deny]`. `draft` makes the genesis draft."
  (:require
   [poz.master :as master]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- ed25519 [name groups & [share]]
  (cond-> {:name name :holder name :algorithm :ed25519 :groups groups} share (assoc :share share)))

(defn- hybrid
  "The two keys of one holder, neither of which suffices without the other."
  [holder group & [share]]
  (let [half (fn [name algorithm]
               (cond-> {:name name :holder holder :algorithm algorithm :groups {group 50}}
                 share (assoc :share share)))]
    [(half holder :ed25519) (half (str holder "-pq") :ml-dsa-65)]))

(def patterns
  "The patterns, simplest first."
  [{:name "sole"
    :doc "One key does everything. There is no recovery: losing it locks the record for ever."
    :keys [(ed25519 "me" {1 100} [100 100])]}
   {:name "two-devices"
    :doc "Two devices: either revokes, both must agree to add or to change the master zone. A third key, kept offline, recovers the record when a device is lost."
    :keys [(ed25519 "phone" {1 50} [50 100])
           (ed25519 "laptop" {1 50} [50 100])
           (ed25519 "recovery" {2 100})]}
   {:name "solo-family"
    :doc "One person, and three of the family who together can replace a lost key. No two of them can."
    :keys [(ed25519 "me" {1 100} [100 100])
           (ed25519 "family-1" {2 40})
           (ed25519 "family-2" {2 40})
           (ed25519 "family-3" {2 40})]}
   {:name "solo-agency"
    :doc "One person; an agency and an offline key of one's own can replace a lost key together. The agency alone can do nothing."
    :keys [(ed25519 "me" {1 100} [100 100])
           (ed25519 "agency" {2 50})
           (ed25519 "backup" {2 50})]}
   {:name "multi-sig"
    :doc "Three keys of 34, 33 and 33, all of which must sign; any of them revokes. An offline key recovers."
    :keys [(ed25519 "first" {1 34} [34 100])
           (ed25519 "second" {1 33} [33 100])
           (ed25519 "third" {1 33} [33 100])
           (ed25519 "recovery" {2 100})]}
   {:name "hybrid"
    :doc "Ed25519 and ML-DSA-65, 50 each: whoever breaks one of the two has nothing. Recovery likewise."
    :keys (into (hybrid "me" 1 [50 100]) (hybrid "recovery" 2))}])

(defn pattern
  "The pattern called `name`, or nil."
  [name]
  (first (filter #(= name (:name %)) patterns)))

(defn holders
  "The holders of the pattern's keys, in order."
  [{:keys [keys]}]
  (distinct (map :holder keys)))

(defn- master-keys [keys]
  (for [[i {:keys [groups]}] (map-indexed vector keys) [group value] groups]
    {:group group :key i :value value}))

(defn- delegations [keys]
  (for [z zone/names [i {[grant deny] :share}] (map-indexed vector keys) :when grant]
    {:authority z :key i :grant grant :deny deny}))

(defn draft
  "The genesis draft of a record by `pattern`, with `public-keys` in the order of its keys,
  at the time `timestamp`."
  [{:keys [keys]} public-keys timestamp]
  (master/genesis {:public-key-map (mapv (fn [{:keys [algorithm]} key] {:algorithm algorithm :key key})
                                     keys public-keys)
                   :master-keys (master-keys keys)
                   :delegations (delegations keys)
                   :timestamp timestamp}))

(defn recoverable?
  "True if some group can change the record without the holder of the first key."
  [{:keys [keys]}]
  (let [first-holder (:holder (first keys))]
    (boolean (some #(and (not= first-holder (:holder %)) (not-any? #{1} (clojure.core/keys (:groups %)))) keys))))
