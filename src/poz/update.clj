(ns poz.update
  "What may follow what (format.md §3, §6, protocol.md §1): whether an update is the
  successor of the record that is held.

  An *update* is a public view or a part of one: the key map and the master zone always, any
  zone that changed with its authority, and a history that reaches back to the revision
  that is held. It is completed from what is held, then checked as a whole: it is taken
  whole or not at all. A zone that the update leaves alone may stop holding by it; it is
  kept, since its successor needs it.

  - `apply-update` gives `{:outcome :accepted|:unchanged :record … :warnings […]}`, or the
    anomaly of the first rule that is broken; category `:conflict` where the update is not
    the successor of what is held
  - `judge-successor` tells whether one zone may replace another, step by step"
  (:require
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format :as format]
   [poz.master.chain :as chain]
   [poz.master.survivorship :as survivorship]
   [poz.proof :as proof]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.time :as time]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; ## One zone after another

(defn- newest [{:keys [grant deny]}]
  (max (long (:timestamp grant)) (long (:timestamp deny))))

(defn- serial-finding [part {:keys [held next]}]
  (let [expected (inc (long (get-in held [:zone part :serial])))
        found (get-in next [:zone part :serial])]
    (if (= expected found)
      (rules/holds #(str (name part) " serial " found " follows " (dec expected)))
      (rules/breaks (str (name part) " serial " found ", expected " expected)
        {:numbers {:expected expected :found found}}))))

(defn- parent-finding [{:keys [held-hash next]}]
  (let [found (get-in next [:zone :grant :previous-zone-hash])]
    (if (= held-hash found)
      (rules/holds "it replaces the zone that is held")
      (rules/breaks "wrong parent: previous_zone_hash is not the hash of the zone that is held"
        {:numbers {:expected held-hash :found found}}))))

(defn- later-finding [before now]
  (if (< (long before) (long now))
    (rules/holds #(str "dated " (time/iso now) ", later than what it replaces"))
    (rules/breaks (str "dated " (time/iso now) ", not later than what it replaces, " (time/iso before)))))

(defn- no-deny-finding [{:keys [next]}]
  (when-not (zero? (long (get-in next [:zone :deny :serial])))
    (rules/breaks "a new grant has no denials yet")))

(defn- deny-sum-finding
  "Breaks where `items` is not empty and the signers' deny values do not reach 100."
  [items sentence {:keys [deny-sum]}]
  (when (seq items)
    (if (<= (long survivorship/threshold) (long deny-sum))
      (rules/holds (str sentence "; the signers' deny values reach " deny-sum) {:items (vec items)})
      (rules/breaks (str sentence ", and the signers' deny values sum to " deny-sum " of " survivorship/threshold)
        {:numbers {:sum deny-sum} :items (vec items)}))))

(defn- removed [{:keys [zone held next]}]
  (let [kept (into #{} (map (zone/entry-id zone)) (zone/entries zone (:zone next)))
        denied (zone/denied (:zone held))]
    (for [entry (zone/entries zone (:zone held))
          :when (not (or (kept ((zone/entry-id zone) entry)) (denied (zone/entry-hash zone entry))))]
      (zone/entry-hash zone entry))))

(defn carried-over
  "The items that the grant after the zone `parts` must have in `revoked`: those it has,
  and those of `denied` whose target is no entry of its body."
  [zone {{:keys [grant deny] :as z} :zone}]
  (if-let [denied (seq (:denied deny))]
    (let [body (into #{} (map #(zone/entry-hash zone %)) (zone/entries zone z))
          there (into #{} (map :target) (:revoked grant))]
      (vec (sort-by :target
             (into (:revoked grant) (remove #(or (body (:target %)) (there (:target %)))) denied))))
    (:revoked grant)))

(defn- dropped [{:keys [zone held next]}]
  (remove (set (get-in next [:zone :grant :revoked])) (carried-over zone held)))

(defn- added [{:keys [held next]}]
  (let [{:keys [grant deny]} (:zone held)]
    (remove (into (set (:revoked grant)) (:denied deny)) (get-in next [:zone :grant :revoked]))))

(def grant-rules
  "What a new grant owes the zone that it replaces."
  [{:id :update/grant-serial :doc "The grant's serial is one more." :check #(serial-finding :grant %)}
   {:id :update/previous-zone-hash :doc "previous_zone_hash is the zone hash of what it replaces." :check parent-finding}
   {:id :update/grant-timestamp :doc "The grant is later than grant and deny of what it replaces."
    :check (fn [{:keys [held next]}] (later-finding (newest (:zone held)) (get-in next [:zone :grant :timestamp])))}
   {:id :update/deny-not-empty :doc "A new grant has no denials." :check no-deny-finding}
   {:id :update/removal-below-deny :doc "An entry that goes was denied, or the signers' deny values reach 100."
    :check #(deny-sum-finding (removed %) "entries go that were not denied" %)}
   {:id :update/revoked-dropped :doc "Every revocation is carried over, or the signers' deny values reach 100."
    :check #(deny-sum-finding (dropped %) "revocations are not carried over" %)}
   {:id :update/revoked-added :doc "No revocation is new, or the signers' deny values reach 100."
    :check #(deny-sum-finding (added %) "revocations are new" %)}])

(defn- deny-time-finding [{:keys [held next]}]
  (let [{:keys [serial timestamp]} (get-in held [:zone :deny])]
    (when (pos? (long serial))
      (later-finding timestamp (get-in next [:zone :deny :timestamp])))))

(defn- superset-finding [{:keys [held next]}]
  (let [before (get-in held [:zone :deny :denied]) now (set (get-in next [:zone :deny :denied]))]
    (cond
      (not-every? now before) (rules/breaks "a denial that is held is missing or changed")
      (= (count before) (count now)) (rules/breaks "it denies nothing new")
      :else (rules/holds (str (- (count now) (count before)) " more denied")))))

(def deny-rules
  "What a new deny owes the one that it replaces."
  [{:id :update/deny-serial :doc "The deny's serial is one more." :check #(serial-finding :deny %)}
   {:id :update/deny-timestamp :doc "The deny is later than the one that it replaces." :check deny-time-finding}
   {:id :update/deny-not-superset :doc "Denials are only ever added." :check superset-finding}])

(defn- grant-of
  "The grant of `record`'s `zone` as a statement."
  [record zone]
  (zone/grant-statement record zone (zone/sections record zone) (signing/key-hashes (:public-key-map record))))

(defn- hashes [{:keys [hash whole-hash]}]
  {:grant-hash hash :zone-hash whole-hash})

(defn- hashes-of [record zone]
  (or (get (:hashes (proof/of record)) zone) (hashes (grant-of record zone))))

(defn zone-hashes
  "Zone → `{:grant-hash :zone-hash}` of `record`."
  [record]
  (into {} (map (fn [z] [z (hashes-of record z)])) (zone/zones record)))

(defn judge-successor
  "Whether the `zone` of `record` may replace that of `held`: `{:kind :same|:grant|:deny,
  :outcome :steps :grant}`, the last its grant as a statement. Both records have the zone. Signatures
  are not looked at."
  [held record zone]
  (let [grant (grant-of record zone)
        before (hashes-of held zone) now (hashes grant)
        next (zone/sections record zone)
        facts {:zone zone :held (zone/sections held zone) :next next :held-hash (:zone-hash before)
               :deny-sum (zone/sum (:authority next) :deny
                           (into #{} (map :key) (get-in next [:zone :grant :signatures])))}]
    (assoc
      (cond
        (= (:zone-hash before) (:zone-hash now)) {:kind :same :outcome :valid :steps []}
        (= (:grant-hash before) (:grant-hash now)) (assoc (rules/judge deny-rules facts) :kind :deny)
        :else (assoc (rules/judge grant-rules facts) :kind :grant))
      :grant grant)))

;; ## The chain

(defn- refuse! [error facts] (error/fail! error facts))

(defn not-public
  "The anomaly `:update/not-public` of a record with sections that a server never takes, or nil."
  [record]
  (when-not (and (record/public? record) (not-any? #(<= 0x8000 (long %)) (keys (:unknown-sections record))))
    (error/anomaly :update/not-public {:path []})))

(defn- check-public! [update]
  (some->> (not-public update) (refuse! :update/not-public)))

(defn- check-same-record! [held update]
  (let [hash #(get-in % [:master-zone :original-master-hash])]
    (when (and held (not= (hash held) (hash update)))
      (refuse! :update/other-record {:path [:master-zone] :expected (bytes/->hex (hash held)) :found (bytes/->hex (hash update))}))))

(defn- check-not-draft! [update]
  (when (chain/draft? (:master-zone update))
    (refuse! :chain/draft {:path [:master-zone]})))

(defn- forked-at [held-chain update-chain]
  (let [by-serial (into {} (map (juxt :serial identity)) held-chain)]
    (some (fn [{:keys [serial current-master-hash]}]
            (when-let [h (by-serial serial)]
              (when (not= current-master-hash (:current-master-hash h)) serial)))
      update-chain)))

(defn- joined-chain
  "The chain that holds both, or a thrown anomaly: a fork, a rollback or a gap."
  [held update]
  (let [ours (chain/revisions held) theirs (chain/revisions update)
        last-serial (long (:serial (peek ours)))
        serial (long (:serial (peek theirs)))]
    (when-let [at (forked-at ours theirs)]
      (refuse! :update/fork {:path [:master-zone] :found (str "another revision " at)}))
    (when (< serial last-serial)
      (refuse! :update/rollback {:path [:master-zone :serial] :expected (str last-serial " or more") :found serial}))
    (when-not (<= (long (:serial (first theirs))) last-serial)
      (refuse! :update/history-gap {:path [:zone-history] :expected (str "revision " last-serial)
                                    :found (str "revision " (:serial (first theirs)) " as the first")}))
    (into ours (filter #(< last-serial (long (:serial %)))) theirs)))

(defn- check-key-map! [held update]
  (let [used (record/used-part held)]
    (when (not= used (take (count used) (:public-key-map update)))
      (refuse! :update/key-map {:path [:public-key-map] :rule (str "keys 0 to " (dec (count used)) " as they are held")}))))

;; ## The whole

(defn- with-chain [record chain]
  (cond-> (assoc (dissoc record :zone-history) :master-zone (peek chain))
    (next chain) (assoc :zone-history (pop chain))))

(defn- zone-sections [record zone]
  (let [{:keys [authority zone] :as parts} (zone/sections record zone)]
    (when parts [authority zone])))

(defn- put-zone [record zone [authority section]]
  (assoc record (zone/authority-key zone) authority (zone/zone-key zone) section))

(defn- successors
  "Zone of `update` → its judgement as a successor. Both key maps agree where `held` cites or signs, so
  that a zone with the same content is the same without a look at its hash."
  [held update]
  (into {}
    (map (fn [z]
           (let [before (zone/sections held z)]
             [z (cond
                  (nil? before) {:kind :new :outcome :valid :steps [] :grant (grant-of update z)}
                  (= before (zone/sections update z)) {:kind :same :outcome :valid :steps []}
                  :else (judge-successor held update z))])))
    (zone/zones update)))

(defn- merged
  "`update` completed from `held`: its chain joined, the zones that it has not, or has the
  same, as they are held."
  [held update chain judged]
  (reduce (fn [r z]
            (if (and (zone/sections held z) (contains? #{nil :same} (:kind (judged z))))
              (put-zone r z (zone-sections held z))
              r))
    (with-chain (dissoc update :unknown-sections) chain) zone/names))

(defn- too-far-ahead [now timestamp]
  (< (+ (long now) (long (:server-skew-ms format/limits))) (long timestamp)))

(defn- changed
  "The zones that are not as they are held."
  [judged]
  (for [[z {:keys [kind]}] judged :when (not= :same kind)] z))

(defn- new-times [held update judged]
  (let [known (if held (get-in held [:master-zone :serial]) 0)]
    (concat
      (for [{:keys [serial timestamp]} (chain/revisions update) :when (< (long known) (long serial))]
        [[:master-zone] timestamp])
      (for [z (changed judged), part [:grant :deny]]
        [[(zone/zone-key z) part] (get-in (zone/sections update z) [:zone part :timestamp])]))))

(defn- check-times! [held update judged now]
  (doseq [[path timestamp] (new-times held update judged) :when (too-far-ahead now timestamp)]
    (refuse! :update/timestamp-ahead {:path path :expected (str "at most " (time/iso (+ (long now) (long (:server-skew-ms format/limits)))))
                                      :found (time/iso timestamp)})))

(defn- check-judgement! [path judgement]
  (when-not (= :valid (:outcome judgement))
    (let [step (rules/first-break judgement)]
      (refuse! (rules/problem step) {:path path :rule (:because step)}))))

(defn- check-chain! [{:keys [chain]}]
  (doseq [{:keys [serial] :as judgement} (:revisions chain)]
    (check-judgement! [:master-zone serial] judgement)))

(defn- check-zones! [verdict judged]
  (doseq [z (changed judged)]
    (check-judgement! [(zone/zone-key z)] (judged z))
    (doseq [part [:authority :grant :deny]]
      (check-judgement! [(zone/zone-key z) part] (get-in verdict [:zones z part])))))

(defn- with-zones
  "`record` with no other zones than `zones`: the others were judged when they came."
  [record zones]
  (apply dissoc record (mapcat (juxt zone/authority-key zone/zone-key) (remove (set zones) zone/names))))

(defn- regranted [held record judged]
  (for [[z {:keys [kind]}] judged :when (= :grant kind)
        :let [gone (zone/denied (:zone (zone/sections held z)))]
        :when (seq gone)
        :let [section (:zone (zone/sections record z)) still (zone/denied section)]
        entry (zone/entries z section)
        :let [h (zone/entry-hash z entry)]
        :when (and (gone h) (not (still h)))]
    {:warning :deny/regranted :zone z :message (str "an entry of the " (name z) " zone that was denied lives again")}))

(defn- proven
  "The `record` that is accepted with its proof: zones are as `judged`, or as they are held."
  [record held judged]
  (proof/with-proof record
    (into {}
      (map (fn [z] [z (if-let [grant (:grant (judged z))] (hashes grant) (hashes-of held z))]))
      (zone/zones record))))

(defn- assess
  "The verdict on `record`'s chain and `judged` zones; what is proven of `held`, whose revisions it begins with,
  is not proven again."
  [held record judged now]
  (verify/assess (with-zones record (changed judged)) now
    {:keep :faults
     :proven (if (proof/of held) (count (chain/revisions held)) 0)
     :grants (into {} (keep (fn [[z {:keys [grant]}]] (when grant [z grant]))) judged)}))

(defn- accept [held update now]
  (check-public! update)
  (check-same-record! held update)
  (check-not-draft! update)
  (let [chain (if held (joined-chain held update) (chain/revisions update))
        _ (when held (check-key-map! held update))
        judged (successors held update)
        record (merged held update chain judged)
        _ (check-times! held update judged now)
        verdict (assess held record judged now)]
    (check-chain! verdict)
    (check-zones! verdict judged)
    (if (and held (= (peek chain) (:master-zone held)) (empty? (changed judged)))
      {:outcome :unchanged :record held :warnings []}
      {:outcome :accepted :record (proven (record/public-view record) held judged)
       :warnings (vec (regranted held record judged)) :successors judged})))

(defn apply-update
  "What becomes of `held` (a public record, nil: nothing is held) when `update` comes at the
  time `:now`: `{:outcome :accepted|:unchanged :record :warnings}`, or the anomaly of the
  first rule that is broken. A record that is accepted carries a proof (`poz.proof`), which spares the next
  update of that very record what was proven here."
  [held update {:keys [now] :as options}]
  (verify/check-options! options #{:now})
  (error/attempt #(accept held update now)))
