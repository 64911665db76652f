(ns poz.histories
  "Made-up lives of a record, for properties: valid sequences of changes of a master zone, a
  Service Zone and an Auth Zone, signed with five real Ed25519 keys.

  - `changes` generates a list of changes, plain maps; `change` one of them
  - `play` gives the records after each of them, the holder's, genesis first
  - `propose` what a change makes of a record, unsigned; `sign` puts signatures there;
    `named` and `suffices?` say, by counting and nothing else, who may sign and who suffices
  - `live` the live entries of a zone by hash, `fallen?` whether it stopped holding"
  (:require
   [clojure.test.check.generators :as gen]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.master :as master]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.verdicts :as v]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

;; Keys and what they may do

(def ^:private labels (mapv #(str "history " %) (range 5)))

(def ^:private secrets (mapv v/secret labels))

(def key-map
  "The five keys."
  (mapv v/key-of labels))

(def ^:private signature
  (memoize (fn [i message] (crypto/sign :ed25519 (secrets i) message))))

(defn signatures
  "The signatures of the keys `signers` over `message`."
  [message signers]
  (mapv (fn [i] {:key i :signature (signature i message)}) (sort signers)))

(def ^:private master-lists
  (mapv v/values
    [[[0 0 100]]
     [[0 0 50] [0 1 50] [1 2 100]]
     [[0 0 34] [0 1 33] [0 2 33] [1 3 60] [1 4 60]]]))

(def ^:private shares
  "Ways to delegate a zone: key, grant, deny. All the keys together reach 100 of both."
  [[[1 50 100] [2 50 100]]
   [[1 100 0] [2 0 100]]
   [[1 34 34] [2 33 33] [3 33 33]]
   [[3 100 100]]
   [[1 60 100] [2 40 0] [3 0 50] [4 40 50]]])

(defn- delegate [delegations zone i]
  (vec (sort-by (juxt #({:auth 0 :service 1} (:authority %)) :key)
         (into (filterv #(not= zone (:authority %)) delegations)
           (v/shares (map #(into [zone] %) (shares i)))))))

(defn- with-hash [{:keys [master-zone public-key-map] :as record}]
  (let [hash (chain/current-hash master-zone (chain/statement master-zone (signing/key-hashes public-key-map)))]
    (assoc-in record [:master-zone :current-master-hash] hash)))

(def genesis
  "Where each life begins."
  (let [draft (master/genesis {:public-key-map key-map :master-keys (master-lists 0)
                               :delegations (delegate (delegate [] :auth 0) :service 0) :timestamp v/start})]
    (master/finish (assoc-in draft [:master-zone :signatures]
                     (signatures (:message (master/statement draft)) [0])))))

;; Facts, by counting

(defn live
  "Hash → entry of the live entries of the zone."
  [record zone]
  (when-let [section (:zone (zone/sections record zone))]
    (let [gone (into #{} (map :target) (concat (get-in section [:grant :revoked]) (get-in section [:deny :denied])))]
      (into {} (for [e (zone/entries zone section) :let [h (zone/entry-hash zone e)] :when (not (gone h))] [h e])))))

(defn- rows [revision zone]
  (for [{:keys [authority] :as row} (:delegations revision) :when (= zone authority)] (dissoc row :authority)))

(defn fallen?
  "True if a revision from the one that the zone's authority cites on delegates otherwise."
  [record zone]
  (let [{:keys [master-zone-hash keys]} (:authority (zone/sections record zone))
        since (drop-while #(not= master-zone-hash (:current-master-hash %)) (chain/revisions record))]
    (boolean (some #(not= keys (rows % zone)) since))))

(defn power
  "The sum of the values of `kind` that the present revision delegates to `signers`."
  [record zone kind signers]
  (reduce + 0 (for [row (rows (:master-zone record) zone) :when (contains? signers (:key row))] (kind row))))

(defn- carries? [master-keys signers]
  (boolean (some (fn [group]
                   (<= 100 (long (reduce + 0 (for [row master-keys :when (and (= group (:group row)) (contains? signers (:key row)))]
                                               (:value row))))))
             (map :group master-keys))))

(defn- master-lists-of [record]
  [(:master-keys (peek (:zone-history record))) (get-in record [:master-zone :master-keys])])

(defn named
  "The keys that may sign what is proposed."
  [{:keys [record subject]}]
  (into #{} (map :key)
    (if (= :master subject)
      (apply concat (master-lists-of record))
      (rows (:master-zone record) (first subject)))))

(defn suffices?
  "True if exactly these `signers` carry what is proposed."
  [{:keys [record subject needs] :as proposal} signers]
  (and (every? (named proposal) signers)
    (if (= :master subject)
      (let [enough? (fn [s] (every? #(carries? % s) (master-lists-of record)))]
        (and (enough? signers) (not-any? #(enough? (disj signers %)) signers)))
      (every? #(<= 100 (long (power record (first subject) % signers))) needs))))

(defn- subset [mask]
  (into #{} (filter #(bit-test mask %)) (range (count key-map))))

(def ^:private subsets
  (sort-by count (map subset (range 32))))

(defn- sufficient [proposal]
  (first (filter #(suffices? proposal %) subsets)))

;; Changes

(def ^:private zones [:service :auth])

(defn entry
  "The entry `n` of `zone` in its `version`: `n` makes its id."
  [zone n version]
  (case zone
    :service (assoc-in (v/service (str "service " n)) [:hosts 0 :port] (inc (long version)))
    :auth {:id n :keys ([[0 1] [1 2] [0 2]] (mod version 3))}))

(def change
  "Generates a change."
  (let [small (gen/choose 0 3)]
    (gen/frequency
      [[3 (gen/hash-map :change (gen/return :revise) :master (gen/choose 0 2) :share (gen/choose 0 4)
            :zone (gen/elements (conj zones nil)))]
       [12 (gen/hash-map :change (gen/elements [:add :add :deny :deny :deny-key :remove :again :forgive :impose])
             :zone (gen/elements zones) :n small :version small)]])))

(defn changes
  "Generates lists of `low` to `high` changes."
  [low high]
  (gen/vector change low high))

(defn- newest [record]
  (reduce max (get-in record [:master-zone :timestamp])
    (for [z zones :let [{{:keys [grant deny]} :zone} (zone/sections record z)] :when grant
          part [grant deny]]
      (:timestamp part))))

(defn- revise [record {:keys [master share zone]} timestamp]
  (let [draft (master/draft record {:timestamp timestamp :master-keys (master-lists master)
                                    :delegations (cond-> (get-in record [:master-zone :delegations])
                                                   zone (delegate zone share))})]
    {:subject :master :record (merge record draft)}))

(defn- grant [record zone options timestamp & needs]
  {:subject [zone :grant] :needs (into #{:grant} needs)
   :record (change/grant record zone (assoc options :timestamp timestamp))})

(defn- again [record zone timestamp]
  (grant record zone {:drop-denied false} timestamp))

(defn- with-revoked [proposal zone f]
  (update-in proposal [:record (zone/zone-key zone) :grant :revoked] f))

(defn- target [text]
  (crypto/sha3-256 (bytes/utf8 text)))

(defn- pick [xs n]
  (when (seq xs) (nth xs (mod n (count xs)))))

(defn- deny [record zone target timestamp]
  (let [denied (change/deny record zone [{:target target :reason :retired}] {:timestamp timestamp})]
    (if (:poz/error denied)
      (again record zone timestamp)
      {:subject [zone :deny] :needs #{:deny} :record denied})))

(defn- zone-change [record {:keys [change zone n version]} timestamp]
  (let [revoked (get-in record [(zone/zone-key zone) :grant :revoked])
        item {:target (target (str "imposed " n)) :timestamp timestamp :reason :abuse}]
    (case change
      :add (grant record zone {:add [(entry zone n version)]} timestamp)
      :again (again record zone timestamp)
      :remove (if-let [h (pick (sort (keys (live record zone))) n)]
                (grant record zone {:remove [h]} timestamp :deny)
                (again record zone timestamp))
      :forgive (if-let [gone (pick revoked n)]
                 (with-revoked (grant record zone {} timestamp :deny) zone #(filterv (fn [item] (not= gone item)) %))
                 (again record zone timestamp))
      :impose (with-revoked (grant record zone {} timestamp :deny) zone
                #(vec (sort-by :target (conj (filterv (fn [i] (not= (:target item) (:target i))) %) item))))
      :deny (deny record zone (or (pick (sort (keys (live record zone))) n) (target (str "denied " n))) timestamp)
      :deny-key (deny record zone (signing/key-hash (key-map n)) timestamp))))

(defn propose
  "What `change` makes of the holder's `record`: `{:record :subject :needs}`, the record with the
  unsigned revision, grant or deny, what is to be signed, and the values that must reach 100. A
  change that makes no sense yet is another one."
  [record {:keys [zone] :as change}]
  (let [timestamp (+ 1000 (long (newest record)))
        change (cond
                 (= :revise (:change change)) change
                 (nil? (zone/sections record zone)) (assoc change :change :add)
                 (and (fallen? record zone) (#{:deny :deny-key} (:change change))) (assoc change :change :again)
                 :else change)]
    (if (= :revise (:change change)) (revise record change timestamp) (zone-change record change timestamp))))

(defn sign
  "The record proposed, signed by exactly `signers`, whether they suffice or not."
  [{:keys [record subject]} signers]
  (if (= :master subject)
    (with-hash (assoc-in record [:master-zone :signatures] (signatures (:message (master/statement record)) signers)))
    (let [[z part] subject]
      (assoc-in record [(zone/zone-key z) part :signatures]
        (signatures (:message (change/statement record z part)) signers)))))

(defn step
  "The holder's `record` after `change`, signed by those who suffice."
  [record change]
  (let [proposal (propose record change)]
    (sign proposal (sufficient proposal))))

(defn play
  "The holder's records after each of `changes`, genesis first."
  [changes]
  (vec (reductions step genesis changes)))

(defn public
  "What travels of the holder's `record`."
  [record]
  (record/public-view record))
