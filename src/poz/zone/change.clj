(ns poz.zone.change
  "Changing a zone: draft a grant or a deny, collect its signatures, see who is still
  needed (format.md §6). A holder's record with a zone that lacks signatures is a draft
  of that zone: it travels as a file and is merged like one of the master zone. Whoever
  verifies it refuses it until the quorum has signed.

  - `grant` drafts the next grant: entries added, replaced or removed, revocations kept
  - `deny` drafts the next deny of the zone as it stands
  - `sign`, `add-signature`, `merge-parts` collect; `status` tells who is still needed

  A *part* is `:grant` or `:deny`. Failures are anomalies."
  (:require
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.master.chain :as chain]
   [poz.master.survivorship :as survivorship]
   [poz.signing :as signing]
   [poz.update :as update]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; ## Drafting

(defn- authority [record zone]
  {:master-zone-hash (get-in record [:master-zone :current-master-hash])
   :keys (zone/delegation (:master-zone record) zone)})

(defn- zone-hash [record zone parts]
  (:whole-hash (zone/grant-statement record zone parts (signing/key-hashes (:public-key-map record)))))

(defn next-time
  "`now`, or the moment after the newest statement of `record`'s `zone` if that is later: the
  earliest time that the next one may have."
  [record zone now]
  (let [{:keys [grant deny]} (:zone (zone/sections record zone))]
    (max (long now) (inc (long (:timestamp grant -1))) (inc (long (:timestamp deny -1))))))

(defn- refusal [record zone]
  (cond
    (chain/draft? (:master-zone record)) (error/anomaly :chain/draft {:path [:master-zone]})
    (empty? (zone/delegation (:master-zone record) zone))
    (error/anomaly :zone/no-delegation {:path [:master-zone :delegations] :found (name zone)})))

(defn- changed-entries
  "The entries of `before` without those whose hash is in `remove`, and with `add`, which
  replace those of their ids; sorted as the format asks."
  [zone before {:keys [add remove]}]
  (let [id (zone/entry-id zone)
        replaced (into #{} (map id) add)]
    (zone/sort-entries zone
      (into (vec add)
        (clojure.core/remove #(or (replaced (id %)) (contains? (set remove) (zone/entry-hash zone %))))
        before))))

(defn- unknown-hash [zone before {:keys [remove]}]
  (let [there (into #{} (map #(zone/entry-hash zone %)) before)]
    (first (clojure.core/remove there remove))))

(defn- body [zone entries before-body {:keys [revocation-service]}]
  (if (= :auth zone)
    (cond-> {:groups entries}
      (or revocation-service (:revocation-service before-body))
      (assoc :revocation-service (or revocation-service (:revocation-service before-body))))
    entries))

(def ^:private grant-options #{:timestamp :add :remove :drop-denied :revocation-service})

(defn- next-grant [record zone {:keys [timestamp drop-denied] :as changes}]
  (let [parts (zone/sections record zone)
        before (when parts (zone/entries zone (:zone parts)))
        gone (when parts (zone/denied (:zone parts)))
        kept (if drop-denied (clojure.core/remove #(contains? gone (zone/entry-hash zone %)) before) before)]
    {:serial (inc (long (get-in parts [:zone :grant :serial] 0)))
     :timestamp timestamp
     :previous-zone-hash (if parts (zone-hash record zone parts) chain/zero)
     :body (body zone (changed-entries zone kept changes) (get-in parts [:zone :grant :body]) changes)
     :revoked (if parts (update/carried-over zone parts) [])
     :signatures []}))

(defn grant
  "`record` with the draft of the next grant of `zone`, under the present delegation; or an
  anomaly. With no changes this signs the zone again, as after a change of delegation.

  Options: `:timestamp` (required, later than the zone's newest); `:add`, entries, each of
  which replaces one with its id; `:remove`, entry hashes (unless denied before, removing
  takes the deny quorum too); `:drop-denied`, leave out what is denied (true unless
  given); `:revocation-service`, of the Auth Zone."
  [record zone {:keys [timestamp] :as options}]
  (verify/check-options! options grant-options)
  (or (refusal record zone)
    (when-let [h (unknown-hash zone (some->> (zone/sections record zone) :zone (zone/entries zone)) options)]
      (error/anomaly :zone/no-such-entry {:path [(zone/zone-key zone)] :found (bytes/->hex h)}))
    (assoc record
      (zone/authority-key zone) (authority record zone)
      (zone/zone-key zone) {:grant (next-grant record zone (merge {:drop-denied true} options))
                            :deny zone/no-deny})))

(defn deny
  "`record` with the draft of the next deny of `zone`: `items`, a list of `{:target
  :reason}`, denied at `:timestamp` beside what is denied already; or an anomaly."
  [record zone items {:keys [timestamp] :as options}]
  (verify/check-options! options #{:timestamp})
  (let [{:keys [deny] :as section} (:zone (zone/sections record zone))
        there (into #{} (map :target) (:denied deny))
        new (for [{:keys [target reason]} items :when (not (there target))]
              {:target target :timestamp timestamp :reason (or reason :unspecified)})]
    (cond
      (nil? section) (error/anomaly :zone/absent {:path [(zone/zone-key zone)]})
      (empty? new) (error/anomaly :update/deny-not-superset {:path [(zone/zone-key zone) :deny]})
      :else (assoc-in record [(zone/zone-key zone) :deny]
              {:serial (inc (long (:serial deny)))
               :timestamp timestamp
               :denied (vec (sort-by :target (into (:denied deny) new)))
               :signatures []}))))

;; ## Collecting

(defn statement
  "What the signers of a part sign (`poz.signing/statement`)."
  [record zone part]
  (let [parts (zone/sections record zone)
        hashes (signing/key-hashes (:public-key-map record))
        grant (zone/grant-statement record zone parts hashes)]
    (case part
      :grant grant
      :deny (zone/deny-statement record zone parts (:hash grant) hashes))))

(defn request
  "What an external signer needs to sign the part with key `index`."
  [record zone part index]
  (signing/request (statement record zone part) (:public-key-map record) index))

(defn- signer-refusal [record zone index]
  (let [named (into (sorted-set) (map :key) (get-in record [(zone/authority-key zone) :keys]))]
    (when-not (contains? named index)
      (error/anomaly :signature/stray {:path [(zone/zone-key zone)]
                                       :expected (signing/key-list named) :found (str "key " index)}))))

(defn- signatures-path [zone part] [(zone/zone-key zone) part :signatures])

(defn sign
  "`record` with the signature of key `index` under the part; or an anomaly. Options:
  `:random`, see `poz.signing/sign`."
  ([record zone part index secret] (sign record zone part index secret {}))
  ([record zone part index secret options]
   (or (signer-refusal record zone index)
     (update-in record (signatures-path zone part) signing/sign
       (:public-key-map record) (:message (statement record zone part)) index secret options))))

(defn add-signature
  "`record` with a signature `{:key :signature}` made elsewhere, verified first; or an
  anomaly."
  [record zone part {:keys [key] :as signature}]
  (or (signer-refusal record zone key)
    (let [path (signatures-path zone part)
          signatures (signing/add-signature (get-in record path) (:public-key-map record)
                       (:message (statement record zone part)) signature)]
      (if (error/anomaly? signatures) signatures (assoc-in record path signatures)))))

(defn- content [record zone part]
  [(get record (zone/authority-key zone))
   (update-in (get record (zone/zone-key zone)) [part] dissoc :signatures)])

(defn merge-parts
  "`a` with the signatures of `b` under the same part of the same zone, each verified; or
  the anomaly `:draft/different`."
  [a b zone part]
  (if (not= (content a zone part) (content b zone part))
    (error/anomaly :draft/different {:path [(zone/zone-key zone) part]})
    (reduce (fn [r signature]
              (let [r (add-signature r zone part signature)]
                (if (error/anomaly? r) (reduced r) r)))
      a (get-in b (signatures-path zone part)))))

;; ## Status

(defn- needed-kinds
  "The values that must reach 100 for the part: of a grant that removes, deny too."
  [removes part]
  (case part :deny [:deny] :grant (if removes [:grant :deny] [:grant])))

(defn- kind-status [authority kind signers]
  (let [sum (long (zone/sum authority kind signers))
        needed (- (long survivorship/threshold) sum)]
    (cond-> {:kind kind :sum sum :satisfied (<= needed 0)
             :line (str (name kind) " values: " sum " of " survivorship/threshold)}
      (pos? needed)
      (assoc :missing {:needed needed
                       :from (into [] (comp (filter #(pos? (long (kind %)))) (map :key) (remove signers))
                               (:keys authority))}))))

(defn status
  "Who has signed the part and who is still needed: `{:signers :complete :lists}`, a list for
  each of grant and deny values that must reach 100. `removes`: the grant takes the deny
  quorum too, since it removes what was not denied."
  [record zone part removes]
  (let [{:keys [authority] section :zone} (zone/sections record zone)
        signers (into #{} (map :key) (get-in section [part :signatures]))
        lists (mapv #(kind-status authority % signers) (needed-kinds removes part))]
    {:signers (vec (sort signers)) :complete (every? :satisfied lists) :lists lists}))
