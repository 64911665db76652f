(ns poz.diff
  "What differs between two records, or two states of one: as data, with a sentence each.

  `diff` gives `{:same :changes}`, where a *change* is `{:change :path :message :before
  :after}`; one that nobody should make has `:security true`: an index that changed its
  meaning, a fork, a rollback. It compares what is stated, and judges no signature. Private
  sections count only as present or absent. What nothing else explains is told as
  `:section/changed`, so that different records are never called the same."
  (:require
   [poz.address :as address]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.error :as error]
   [poz.format :as format]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.time :as time]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- change [kind path before after & words]
  {:change kind :path path :message (apply str words) :before before :after after})

(defn- secure [change]
  (assoc change :security true))

(defn- by [f xs]
  (into {} (map (juxt f identity)) xs))

(defn- compared
  "`[[key before after] …]` of the keys of the maps `a` and `b` under which they differ."
  [a b]
  (for [k (sort (into (set (keys a)) (keys b))) :when (not= (get a k) (get b k))]
    [k (get a k) (get b k)]))

;; ## Keys

(defn- key-change [used older i a b]
  (let [kind (cond
               (nil? a) :key/added
               (nil? b) :key/removed
               (<= (long i) (long used)) :key/changed
               :else :key/replaced)]
    (cond-> (change kind [:public-key-map i] a b
              (case kind
                :key/added (str "key " i " is new")
                :key/removed (str "key " i " is gone")
                :key/changed (str "key " i " is another key: what cites it has changed its meaning")
                :key/replaced (str "key " i ", which nothing used, is another key")))
      (and a (<= (long i) (long used)) (not (and older (nil? b)))) secure)))

(defn- indexed [xs]
  (into {} (map-indexed vector) xs))

(defn- key-changes [a b]
  (let [used (reduce max -1 (record/used-keys a))
        older (apply < (map #(get-in % [:master-zone :serial]) [b a]))]
    (for [[i x y] (compared (indexed (:public-key-map a)) (indexed (:public-key-map b)))]
      (key-change used older i x y))))

;; ## Master keys and delegations

(defn- verb [before after]
  (cond (nil? before) "added" (nil? after) "removed" :else "changed"))

(defn- shift [before after]
  (cond (nil? before) (str after) (nil? after) (str "was " before) :else (str before " → " after)))

(defn- master-key-changes [a b]
  (let [values (fn [{:keys [master-keys]}] (into {} (map (juxt (juxt :group :key) :value)) master-keys))]
    (for [[[group key] x y] (compared (values a) (values b)) :let [v (verb x y)]]
      (change (keyword "master-key" v) [:master-zone :master-keys group key] x y
        "master key " key " in group " group " " v ": " (shift x y)))))

(defn- share [{:keys [grant deny]}]
  (str "grant " grant " deny " deny))

(defn- share-changes [kind path words a b]
  (for [[key x y] (compared (by :key a) (by :key b)) :let [v (verb x y)]]
    (change (keyword kind v) (conj path key) x y
      words " of key " key " " v ": " (shift (some-> x share) (some-> y share)))))

(defn revision-changes
  "What differs between the master keys and delegations of two revisions, `:master-zone`s."
  [a b]
  (into (vec (master-key-changes a b))
    (mapcat (fn [z] (share-changes "delegation" [:master-zone :delegations z]
                      (str (name z) " delegation") (zone/delegation a z) (zone/delegation b z))))
    zone/names))

;; ## The chain

(defn- known-hashes
  "Serial → hash, as the revisions at hand tell it, of themselves and of their parents."
  [revisions]
  (into {}
    (mapcat (fn [{:keys [serial] :as r}]
              (for [[n k] [[1 :original-master-hash] [(dec (long serial)) :previous-master-hash]
                           [serial :current-master-hash]]
                    :when (not= chain/zero (k r))]
                [n (k r)])))
    revisions))

(defn- fork [a b]
  (let [[x y] (map known-hashes [a b])
        at (first (sort (filter #(not= (x %) (y %)) (filter x (keys y)))))]
    (when at
      [(secure (change :chain/fork [:chain at] (x at) (y at)
                 "a fork: there are two revisions " at ", and neither chain extends the other"))])))

(defn- unconnected [a b]
  (let [[x y] (map known-hashes [a b])
        [m n] (map #(reduce max 0 (keys %)) [x y])
        at (min (long m) (long n))]
    (when (and (pos? at) (not (and (x at) (y at))))
      [(change :chain/unconnected [:chain] m n
         "nothing at hand tells whether revision " (max (long m) (long n)) " comes from revision " at)])))

(defn- told [{:keys [serial timestamp] :as revision}]
  (str (if (chain/draft? revision) "the draft of revision " "revision ") serial ", " (time/iso timestamp)
    ", signed by " (signing/key-list (sort (chain/signers revision)))))

(defn- draft-kind [x y]
  (case (mapv chain/draft? [x y])
    [true true] [:draft/changed "the draft differs"]
    [true false] (if (= (chain/content x) (chain/content y))
                   [:draft/applied "the draft was applied"]
                   [:draft/superseded "another revision took the draft's place"])
    [false true] [:draft/begun "there is a draft in place of a revision"]
    [false false] [:revision/changed "the revision differs"]))

(defn- revision-change [newest n x y]
  (let [[kind words] (cond
                       (and x y) (draft-kind x y)
                       (nil? y) [:history/removed "not at hand any more"]
                       (< (long newest) (long n)) [:revision/added "new"]
                       :else [:history/added "at hand now"])]
    (change kind [:chain n] x y (told (or y x)) ": " words)))

(defn- rollback [{a :serial :as x} {b :serial :as y}]
  (when (< (long b) (long a))
    [(secure (change :chain/rollback [:master-zone :serial] a b
               "a rollback: " (told y) ", where there was " (told x)))]))

(defn- chain-changes [a b]
  (let [[xs ys] (map chain/revisions [a b]) [x y] (map peek [xs ys])]
    (concat
      (fork xs ys)
      (unconnected xs ys)
      (rollback x y)
      (for [[n before after] (compared (by :serial xs) (by :serial ys))]
        (revision-change (:serial x) n before after))
      (revision-changes x y))))

;; ## Zones

(defn- entry-node [zone]
  (let [body (:body (first (filter #(= zone (:zone %)) format/zones)))
        {:keys [kind fields] :as node} (:node (codec/codec (:types format/format) body))]
    (if (= :struct kind) (:node (first fields)) node)))

(def ^:private id-fields
  (into {} (map (fn [z] (let [{:keys [props]} (entry-node z)] [z (or (:id props) (:sort props))]))) zone/names))

(defn- entry-name [zone entry]
  (case zone
    :identity (address/of-entry entry)
    :auth (str "group " (:id entry))
    :email (str (bytes/->hex (:guid entry)) " \"" (:name entry) "\"")
    :service (str (let [t (:type entry)] (if (keyword? t) (name t) t)) " \"" (:name entry) "\"")
    (str "\"" (:name entry) "\"")))

(defn- entry-states
  "Entry id → `{:entry :live}`."
  [z {:keys [zone]}]
  (let [gone (if zone (zone/denied zone) #{})]
    (into {} (map (fn [e] [(mapv e (id-fields z)) {:entry e :live (not (gone (zone/entry-hash z e)))}]))
      (when zone (zone/entries z zone)))))

(defn- entry-change [z id {x :entry :as before} {y :entry :as after}]
  (let [called (str (name z) " entry " (entry-name z (or y x)) " ")
        told (fn [kind x y words] (change kind [z :entries id] x y called words))
        of (fn [kind words] (told kind x y words))]
    (cond-> []
      (nil? x) (conj (of :entry/added (if (:live after) "is new" "is new, and denied")))
      (nil? y) (conj (of :entry/removed "is gone"))
      (and x y (not= x y)) (conj (of :entry/modified "has changed"))
      (and x y (:live before) (not (:live after))) (conj (told :entry/denied :live :denied "is denied"))
      (and x y (:live after) (not (:live before))) (conj (told :entry/restored :denied :live "lives again")))))

(defn- entry-changes [z a b]
  (let [[x y] (map #(entry-states z %) [a b])]
    (for [id (distinct (concat (keys x) (keys y))) c (entry-change z id (x id) (y id))] c)))

(defn- denials [{{:keys [grant deny]} :zone}]
  (into (by :target (:denied deny)) (by :target (:revoked grant))))

(defn- denial-changes [z a b]
  (for [[target x y] (compared (denials a) (denials b)) :let [v (verb x y)]]
    (change (keyword "denial" v) [z :denials target] x y
      (name z) " denial of " (bytes/->hex target) " " v ": " (shift (some-> x :reason name) (some-> y :reason name)))))

(defn- authority-changes [z {a :authority} {b :authority}]
  (when (and a b)
    (concat
      (when (not= (:master-zone-hash a) (:master-zone-hash b))
        [(change :authority/changed [z :authority :master-zone-hash] (:master-zone-hash a) (:master-zone-hash b)
           (name z) " authority cites another revision")])
      (share-changes "authority-key" [z :authority :keys] (str (name z) " authority") (:keys a) (:keys b)))))

(defn- part-change
  "The change of the grant or deny (`part`) of a zone, by serial and content. `same` tells
  if both are about the same thing, so that a lower or equal serial is a security event."
  [z part same a b]
  (let [[x y] (map :serial [a b])
        of (fn [kind before after & words]
             (apply change (keyword (name part) kind) [z part] before after (name z) " " (name part) " " words))]
    (cond
      (= a b) nil
      (= (dissoc a :signatures) (dissoc b :signatures))
      (of "signed" (:signatures a) (:signatures b) x ": other signatures")
      (and same (= x y)) (secure (of "fork" a b x ": other content under the same serial, a fork"))
      (= x y) (of "changed" a b x ": of another grant")
      (not same) (of "serial" x y x " → " y)
      (< (long y) (long x)) (secure (of "rollback" x y x " → " y ", a rollback"))
      :else (of "serial" x y x " → " y))))

(defn- statement-changes [z {a :zone x :authority} {b :zone y :authority}]
  (let [grant (part-change z :grant true (assoc (:grant a) :authority x) (assoc (:grant b) :authority y))
        same (contains? #{nil :grant/signed} (:change grant))]
    (filter some? [grant (part-change z :deny same (:deny a) (:deny b))])))

(defn- zone-changes [z a b]
  (let [[x y] (map #(zone/sections % z) [a b])]
    (when (not= x y)
      (concat
        (when-not x [(change :zone/appeared [z] nil (:zone y) "there is a zone " (name z) " now")])
        (when-not y [(change :zone/gone [z] (:zone x) nil "there is no zone " (name z) " any more")])
        (when (and x y) (statement-changes z x y))
        (authority-changes z x y)
        (entry-changes z x y)
        (denial-changes z x y)
        (let [[p q] (map #(get-in % [:zone :grant :body :revocation-service]) [x y])]
          (when (not= p q)
            [(change :auth/revocation-service [z :revocation-service] p q "auth cites another revocation service")]))))))

;; ## Sections, and the whole

(def ^:private private-keys
  (into [] (comp (filter :private) (map :key)) format/sections))

(defn- section-change [path a b what]
  (let [[kind words] (cond (nil? a) [:section/appeared "is there now"] (nil? b) [:section/gone "is gone"]
                           :else [:section/changed "has changed"])]
    (change kind path a b what " " words)))

(defn- section-changes [a b]
  (concat
    (for [k private-keys :when (not= (contains? a k) (contains? b k))]
      (let [[x y] (map #(when (contains? % k) :present) [a b])]
        (section-change [k] x y (str "the private section " (name k)))))
    (for [[code x y] (compared (:unknown-sections a) (:unknown-sections b))]
      (section-change [:unknown-sections code] x y (str "the unknown section " code)))))

(defn- unexplained [a b]
  (for [[k x y] (compared a b) :when (not-any? #{k} private-keys)]
    (section-change [k] x y (str "the section " (name k)))))

(defn- other-record? [a b]
  (let [[x y :as originals] (map #(get-in % [:master-zone :original-master-hash]) [a b])]
    (and (not= x y)
      (or (not-any? #{chain/zero} originals)
        (apply not= (map (comp chain/content first chain/revisions) [a b]))))))

(defn diff
  "What differs between the records or drafts `a` and `b`: `{:same :changes}`. Of another
  record only that is told. An anomaly in place of one of them comes back.

      (diff record record) → {:same true :changes []}"
  [a b]
  (if-let [anomaly (first (filter error/anomaly? [a b]))]
    anomaly
    (let [changes (if (other-record? a b)
                    [(change :record/other [:master-zone :original-master-hash]
                       (get-in a [:master-zone :original-master-hash])
                       (get-in b [:master-zone :original-master-hash]) "this is another record")]
                    (concat (chain-changes a b) (key-changes a b)
                      (mapcat #(zone-changes % a b) zone/names) (section-changes a b)))
          changes (vec (or (seq changes) (unexplained a b)))]
      {:same (empty? changes) :changes changes})))
