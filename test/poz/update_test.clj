(ns poz.update-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.histories :as h]
   [poz.master.chain :as chain]
   [poz.memory :as memory]
   [poz.proof :as proof]
   [poz.record :as record]
   [poz.samples :as samples]
   [poz.signing :as signing]
   [poz.update :as update]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.verify :as verify]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

;; The golden vectors

(defn- file [x]
  (when x
    (record/decode (if (re-find #"\.poz$" x) (vectors/file-bytes x) (bytes/hex-> x)))))

(defn- known
  "`held` as if this process had accepted it."
  [held]
  (proof/with-proof held (update/zone-hashes held)))

(defn- apply-update
  "The result, which is the same whether `held` is known to hold or not."
  ([held update] (apply-update held update (v/now)))
  ([held update now]
   (let [found (update/apply-update held update {:now now})]
     (when (and held (not= found (update/apply-update (known held) update {:now now})))
       (throw (AssertionError. "What is proven decides otherwise.")))
     found)))

(defn- holds?
  "Whether chain and changed zones of what is held after an update hold."
  [{:keys [record successors]} held]
  (let [{:keys [chain zones]} (verify/verify record {:now (v/now)})]
    (and (= :valid (:outcome chain))
      (or (nil? held) (every? #(zone/sections record %) (zone/zones held)))
      (every? (fn [[z {:keys [kind]}]] (or (= :same kind) (= :valid (:outcome (zones z))))) successors))))

(deftest updates-that-are-taken
  (let [cases (:updates (vectors/json "records.json"))]
    (is (= 46 (count cases)))
    (doseq [{:keys [what held expect warnings] u :update} cases]
      (testing what
        (let [held (file held) result (apply-update held (file u))]
          (is (= (:status expect) (name (:outcome result :refused))) (:message result))
          (is (= warnings (map #(error/code (:warning %)) (:warnings result))))
          (if (= :unchanged (:outcome result))
            (is (identical? held (:record result)))
            (is (holds? result held)))
          (is (= (:record result) (record/decode (record/encode (:record result))))
            "it is a record as a server stores it"))))))

(deftest updates-that-are-not-taken
  (let [cases (:updates (vectors/json "invalid.json"))]
    (is (= 50 (count cases)))
    (doseq [{:keys [name held oracle] u :update} cases]
      (testing name
        (let [result (apply-update (file held) (file u))]
          (is (error/anomaly? result))
          (is (= (:code oracle) (error/code (:poz/error result))))
          (is (= (= "conflict" (:status oracle)) (= :conflict (:poz/anomaly result))))
          (is (not (contains? result :record))))))))

(deftest the-arguments
  (is (thrown-with-msg? IllegalArgumentException #"Unknown option :clock"
        (update/apply-update nil (v/record-named "genesis-minimal") {:now (v/now) :clock 1}))))

(def ^:private two-services
  [{:change :add :zone :service :n 0 :version 0} {:change :add :zone :service :n 1 :version 0}])

;; What is proven is not proven again

(deftest an-accepted-record-is-proven
  (let [[a b c d] (map h/public (h/play [{:change :add :zone :auth :n 0 :version 0} {:change :add :zone :service :n 0 :version 0}
                                         {:change :add :zone :service :n 1 :version 0}]))
        {held :record} (update/apply-update b c {:now (v/now)})]
    (is (nil? (proof/of (record/decode (record/encode held)))) "what was decoded is not")
    (is (= #{:auth :service} (set (keys (:hashes (proof/of held))))))
    (is (= (update/zone-hashes c) (:hashes (proof/of held))))
    (is (= d (:record (apply-update held d))))
    (is (= d (:record (update/apply-update (:record (update/apply-update a c {:now (v/now)})) d {:now (v/now)}))))))

(deftest what-is-proven-is-not-proven-again
  (let [[_ b c] (map h/public (h/play two-services))
        break #(assoc-in % [:master-zone :signatures 0 :signature] (bytes/zeros 64))
        result #((juxt :outcome :poz/error) (update/apply-update % (break c) {:now (v/now)}))]
    (is (= [nil :chain/current-hash] (result (break b))))
    (is (= [:accepted nil] (result (known (break b)))) "whoever says so must know")
    (is (= [nil :chain/current-hash] (result (break (known b)))))))

(deftest what-is-changed-after-it-was-accepted-is-proven-no-more
  (let [[_ b c] (map h/public (h/play two-services))
        {held :record} (apply-update nil b)
        bad (assoc-in held [:master-zone :signatures 0 :signature] (bytes/zeros 64))]
    (is (some? (proof/of held)))
    (is (some? (meta bad)))
    (is (nil? (proof/of bad)))
    (is (= :accepted (:outcome (update/apply-update held c {:now (v/now)}))))
    (is (error/anomaly? (update/apply-update bad (assoc c :master-zone (:master-zone bad)) {:now (v/now)})))))

(deftest the-clock-is-asked-again
  (let [[_ b c] (map h/public (h/play two-services))
        {held :record} (apply-update nil b)
        before (- (long (:timestamp (:master-zone b))) (* 48 60 60 1000))
        [known unknown] (map #(update/apply-update % c {:now before}) [held b])]
    (is (= known unknown))
    (is (= :refused (:outcome known :refused)))))

(deftest a-revision-that-comes-after-the-proven-ones-is-judged
  (let [states (mapv h/public (h/play [{:change :add :zone :service :n 0 :version 0} {:change :revise :zone :service :share 0 :master 0}]))
        {held :record} (apply-update nil (states 1))
        next (states 2)
        bad (update-in next [:master-zone :signatures 0 :signature] (fn [_] (bytes/zeros 64)))]
    (is (< (count (chain/revisions held)) (count (chain/revisions next))))
    (is (= :accepted (:outcome (update/apply-update held next {:now (v/now)}))))
    (is (= :chain/current-hash (:poz/error (update/apply-update held bad {:now (v/now)}))))))

;; One zone after another, by hand

(defn- last-of [changes] (peek (h/play changes)))

(deftest steps-of-a-successor
  (let [[_ a b] (h/play two-services)
        {:keys [kind outcome steps]} (update/judge-successor a b :service)]
    (is (= [:grant :valid] [kind outcome]))
    (is (= [:update/grant-serial :update/previous-zone-hash :update/grant-timestamp] (map :rule steps)))
    (is (= "grant serial 2 follows 1" (:because (first steps))))
    (is (= :same (:kind (update/judge-successor b b :service)))))
  (let [[_ _ b c] (h/play (conj two-services {:change :deny :zone :service :n 0 :version 0}))
        {:keys [kind steps]} (update/judge-successor b c :service)]
    (is (= :deny kind))
    (is (= "1 more denied" (:because (last steps))))))

(deftest a-wrong-parent-says-so
  (let [[_ a] (h/play [(first two-services)])
        [_ other] (h/play [{:change :add :zone :service :n 3 :version 3}])
        next (h/step other {:change :add :zone :service :n 1 :version 0})
        result (apply-update (h/public a) (h/public next))]
    (is (= :update/previous-zone-hash (:poz/error result)))
    (is (re-find #"wrong parent" (:message result)))
    (is (not (re-find #"signature" (:message result))))))

(deftest removal-says-what-goes
  (let [b (last-of two-services)
        proposal (h/propose b {:change :remove :zone :service :n 0 :version 0})
        {:keys [steps]} (update/judge-successor b (h/sign proposal #{}) :service)
        step (first (filter #(= :update/removal-below-deny (:rule %)) steps))]
    (is (= [false {:sum 0}] ((juxt :holds :numbers) step)))
    (is (= [(first (sort (keys (h/live b :service))))] (:items step)))))

(deftest one-bad-zone-spoils-the-whole
  (let [held (last-of (conj two-services {:change :add :zone :auth :n 0 :version 0}))
        good (h/step held {:change :add :zone :service :n 2 :version 0})
        both (h/propose good {:change :add :zone :auth :n 1 :version 0})
        result (apply-update (h/public held) (h/public (h/sign both #{1})))]
    (is (= :accepted (:outcome (apply-update (h/public held) (h/public good)))))
    (is (= :accepted (:outcome (apply-update (h/public held) (h/public (h/sign both #{1 2}))))))
    (is (= [:invalid :zone/grant-below-threshold [:auth-zone :grant]]
           ((juxt :poz/anomaly :poz/error :path) result)))
    (is (= [:auth-zone :grant] (:path (apply-update (h/public held) (h/public (h/sign both #{}))))))
    (is (not (contains? result :record)) "nothing of it is taken, not even the good zone")))

(deftest a-bad-revision-spoils-a-good-zone
  (let [held (last-of two-services)
        revised (h/sign (h/propose held {:change :revise :master 1 :share 3 :zone :auth}) #{2})
        both (h/step revised {:change :add :zone :service :n 2 :version 0})]
    (is (= :survivorship/below-threshold (:poz/error (apply-update (h/public held) (h/public both)))))))

;; Properties

(def ^:private masks (gen/choose 0 31))

(defn- subset [mask]
  (into #{} (filter #(bit-test mask %)) (range 5)))

(defn- signers-of
  "The keys in `mask`; where `tidy`, those only that may sign."
  [proposal mask tidy]
  (cond->> (subset mask) tidy (into #{} (filter (h/named proposal)))))

(def ^:private refusals-of-sums
  #{:signature/stray :signature/spare :survivorship/below-threshold :zone/grant-below-threshold :zone/deny-below-threshold
    :update/removal-below-deny :update/revoked-dropped :update/revoked-added})

(def ^:private one-adds-one-removes
  "The delegation of both zones in which the quorums are different keys."
  (for [z [:service :auth]] {:change :revise :zone z :share 1 :master 0}))

(defspec authorised-if-and-only-if-the-sums-say-so 1000
  (prop/for-all [before (gen/one-of [(h/changes 0 4) (gen/fmap #(into (vec one-adds-one-removes) %) (h/changes 1 3))])
                 change h/change mask masks tidy (gen/frequency [[4 (gen/return true)] [1 (gen/return false)]])]
    (let [record (last-of before)
          proposal (h/propose record change)
          signers (signers-of proposal mask tidy)
          result (apply-update (h/public record) (h/public (h/sign proposal signers)))]
      (if (h/suffices? proposal signers)
        (= :accepted (:outcome result))
        (contains? refusals-of-sums (:poz/error result))))))

(defn- fallen [record]
  (filterv #(h/fallen? record %) (zone/zones record)))

(defspec verifier-and-successor-rule-agree 1000
  (prop/for-all [changes (h/changes 1 3)]
    (let [states (mapv h/public (h/play changes))]
      (loop [held (first states) [next & more] (rest states)]
        (if (nil? next)
          (= (if (seq (fallen held)) :refused :accepted) (:outcome (apply-update nil held) :refused))
          (let [{:keys [outcome record]} (apply-update held next)
                {:keys [chain zones]} (verify/verify record {:now (v/now)})]
            (and (= :accepted outcome)
              (= next record)
              (= :valid (:outcome chain))
              (every? (fn [[z {:keys [outcome]}]] (= outcome (if (h/fallen? record z) :invalid :valid))) zones)
              (recur record more))))))))

(defn- part-of
  "What of `next` a server needs that holds `held`: the changed zones, the end of the history."
  [held next]
  (let [same (filter #(= (zone/sections held %) (zone/sections next %)) (zone/zones next))
        serial (get-in held [:master-zone :serial])
        tail (filterv #(<= (long serial) (long (:serial %))) (:zone-history next))]
    (cond-> (apply dissoc next :zone-history (mapcat (juxt zone/authority-key zone/zone-key) same))
      (seq tail) (assoc :zone-history tail))))

(defspec a-part-is-completed-to-the-whole 1000
  (prop/for-all [before (h/changes 0 3) after (h/changes 1 1)]
    (let [states (h/play (into before after))
          next (h/public (peek states))
          held (h/public (peek (pop states)))]
      (= next (:record (apply-update held (part-of held next)))))))

(defn- signed-otherwise
  "`record` with its Service Zone signed by other keys that suffice, if there are any."
  [record]
  (let [proposal {:record record :subject [:service :grant] :needs #{:grant}}
        present (into #{} (map :key) (get-in record [:service-zone :grant :signatures]))]
    (when-let [others (first (filter #(and (h/suffices? proposal %) (not= present %)) (map subset (range 32))))]
      (h/sign proposal others))))

(defspec an-update-applied-twice-changes-nothing 1000
  (prop/for-all [changes (h/changes 1 3)]
    (let [states (h/play changes)
          next (h/public (peek states))
          {:keys [record]} (apply-update (h/public (peek (pop states))) next)
          unchanged? (fn [update]
                       (let [again (apply-update record update)]
                         (and (= :unchanged (:outcome again)) (identical? record (:record again)))))]
      (and (unchanged? next)
        (unchanged? (part-of record next))
        (or (nil? (:service-zone next)) (h/fallen? next :service) (pos? (long (get-in next [:service-zone :deny :serial])))
          (if-let [other (signed-otherwise next)] (unchanged? other) true))))))

(def ^:private not-the-successor
  "Why what does not follow is refused: conflicts, a gap, a grant that comes with later denials,
  and a zone that stopped holding on the way."
  #{:update/history-gap :update/deny-not-empty :authority/not-current :authority/interrupted})

(defn- lost
  "What of `held` is not in `record` any more: revisions, zones, serials."
  [held record]
  (concat
    (remove (into #{} (map :current-master-hash) (chain/revisions record)) (map :current-master-hash (chain/revisions held)))
    (remove (set (zone/zones record)) (zone/zones held))
    (memory/events (memory/of held) (memory/of record))))

(defn- refused-or-nothing-lost? [held update]
  (let [{:poz/keys [anomaly error] :keys [record]} (apply-update held update)]
    (if error
      (or (= :conflict anomaly) (contains? not-the-successor error))
      (empty? (lost held record)))))

(defspec old-states-and-skipped-ones-lose-nothing 1000
  (prop/for-all [changes (h/changes 2 5) i gen/nat j gen/nat]
    (let [states (mapv h/public (h/play changes))
          [a b] (map #(states (mod % (count states))) [i j])]
      (and (refused-or-nothing-lost? a b)
        (refused-or-nothing-lost? a (dissoc b :zone-history))))))

(defspec work-begun-from-a-stale-record-loses-nothing 1000
  (prop/for-all [before (h/changes 0 3) meanwhile (h/changes 1 3) change h/change whole gen/boolean]
    (let [states (h/play (into before meanwhile))
          stale (states (count before))
          held (h/public (peek states))
          mine (h/public (h/step stale change))
          update (if whole mine (part-of (h/public stale) mine))]
      (refused-or-nothing-lost? held update))))

;; What an adversary makes who holds some keys

(def ^:private forgery
  "Generates what is done to a zone, one thing after another."
  (let [n (gen/choose 0 4)
        then #(gen/vector (gen/tuple (gen/elements [:drop-entry :add-entry :change-entry :drop-revoked :add-revoked :drop-denied
                                                    :add-denied :old-authority :old-deny :no-deny]) n) 0 %)]
    (gen/one-of
      [(gen/fmap #(into [[:next-grant 0]] %) (then 2))
       (gen/fmap (fn [[n more]] (into [[:next-deny 0] [:add-denied n]] more))
         (gen/tuple n (gen/one-of [(then 1) (gen/fmap #(vector [:drop-denied %]) n)])))
       (then 3)])))

(defn- without-nth [xs n]
  (if (seq xs) (let [i (mod n (count xs))] (into (subvec xs 0 i) (subvec xs (inc (long i))))) xs))

(defn- zone-hash [record z]
  (:whole-hash (change/statement record z :grant)))

(defn- item-of [record z n]
  {:target (or (nth (sort (keys (h/live record z))) n nil) (signing/key-hash (h/key-map n)))
   :timestamp v/start :reason :unspecified})

(defn- sorted-items [items]
  (vec (vals (into (sorted-map) (map (juxt :target identity)) items))))

(defn- forge-once [states held z record [what n]]
  (let [section (zone/zone-key z) later (+ 500000 (long (get-in record [section :grant :timestamp])))
        old (states (mod n (count states)))
        entries #(update-in %1 (if (= :auth z) [section :grant :body :groups] [section :grant :body]) %2)]
    (case what
      :next-grant (update-in record [section] assoc
                    :grant (assoc (get-in record [section :grant])
                             :serial (inc (long (get-in held [section :grant :serial])))
                             :timestamp later :previous-zone-hash (zone-hash held z)
                             :revoked (update/carried-over z (zone/sections held z)))
                    :deny v/no-deny)
      :next-deny (update-in record [section :deny] assoc :timestamp later
                   :serial (inc (long (get-in held [section :deny :serial]))))
      :drop-entry (entries record #(without-nth % n))
      :add-entry (entries record #(zone/sort-entries z (conj % (h/entry z (+ 10 (long n)) 0))))
      :change-entry (entries record (fn [es] (if-let [e (nth es n nil)]
                                               (zone/sort-entries z
                                                 (assoc es n (if (= :auth z) (assoc e :keys [2 3]) (assoc-in e [:hosts 0 :port] 9999))))
                                               es)))
      :drop-revoked (update-in record [section :grant :revoked] without-nth n)
      :add-revoked (update-in record [section :grant :revoked] #(sorted-items (conj % (item-of held z n))))
      :drop-denied (update-in record [section :deny :denied] without-nth n)
      :add-denied (update-in record [section :deny :denied] #(sorted-items (conj % (item-of held z n))))
      :old-authority (if-let [{:keys [authority]} (zone/sections old z)] (assoc record (zone/authority-key z) authority) record)
      :old-deny (if-let [deny (get-in old [section :deny])] (assoc-in record [section :deny] deny) record)
      :no-deny (assoc-in record [section :deny] v/no-deny))))

(defn- resigned
  "`record` with the part signed by the adversary's keys too, where it is not what was signed."
  [held record z part signers]
  (let [message #(:message (change/statement % z part))
        present (get-in record [(zone/zone-key z) part :signatures])]
    (cond
      (and (= :deny part) (zero? (long (get-in record [(zone/zone-key z) :deny :serial]))))
      (assoc-in record [(zone/zone-key z) :deny :signatures] [])
      (= (message held) (message record)) (assoc-in record [(zone/zone-key z) part :signatures] present)
      :else (h/sign {:record record :subject [z part]} signers))))

(defn- forged
  "What the holder of `signers` makes of the last of `states` by `forgery`, as it arrives at a
  server, or an anomaly where it is no record."
  [states z forgery base signers]
  (let [held (peek states)
        start (let [old (states (mod base (count states)))]
                (if (zone/sections old z) (merge held (select-keys old [(zone/authority-key z) (zone/zone-key z)])) held))
        record (reduce #(forge-once states held z %1 %2) start forgery)]
    (error/attempt
      #(-> (resigned held record z :grant signers)
         (as-> r (resigned held r z :deny signers))
         h/public record/encode record/decode))))

(defn- attacks
  "Generates attacks on a zone that was delegated in the way `share` of the histories, with entries
  and revocations in it."
  [share]
  (gen/let [z (gen/elements [:service :auth])
            prelude (gen/elements [[[:add 1]] [[:add 1] [:deny 0]] [[:add 1] [:deny 0] [:add 2]] [[:deny-key 1] [:again 0]]])
            before (h/changes 0 2)]
    (gen/hash-map
      :before (gen/return (concat [{:change :revise :zone z :share share :master 0}]
                            (for [[change n] (cons [:add 0] prelude)] {:change change :zone z :n n :version 0})
                            before))
      :zone (gen/return z) :forgery forgery :base (gen/frequency [[6 (gen/return -1)] [1 gen/nat]]) :mask masks)))

(def ^:private deny-attacks (gen/one-of [(attacks 0) (attacks 1) (attacks 4)]))
(def ^:private grant-attacks (attacks 1))

(defn- attack
  "`[held result]` of the attack by those keys that may sign and whose `kind` values stay below 100;
  nil where it is no record."
  [{:keys [before forgery base mask] z :zone} kind]
  (let [states (h/play before)
        held (peek states)
        named (h/named {:record held :subject [z :grant]})
        signers (reduce (fn [s i] (let [more (conj s i)] (if (< (long (h/power held z kind more)) 100) more s)))
                  #{} (filter named (sort (subset mask))))
        update (forged states z forgery base signers)]
    (when-not (error/anomaly? update)
      [held (apply-update (h/public held) update)])))

(defn- accepted [[held {:keys [outcome record]}]]
  (when (= :accepted outcome) [held record]))

(defn- adds-nothing-live? [held record]
  (every? (fn [z] (every? (h/live held z) (keys (h/live record z)))) (zone/zones record)))

(defspec deny-alone-never-adds-a-live-entry 1000
  (prop/for-all [a deny-attacks]
    (if-let [[held record] (accepted (attack a :grant))]
      (adds-nothing-live? held record)
      true)))

(defn- drops-nothing?
  "No entry that lived is gone but for a new version of it, and no revocation that was carried over."
  [held record z]
  (let [id (zone/entry-id z)
        after (:zone (zone/sections record z))
        ids (into #{} (map id) (zone/entries z after))
        now-live (h/live record z)
        carried (update/carried-over z (zone/sections held z))
        entries (set (zone/entries z after))]
    (and (every? (fn [[hash e]] (and (ids (id e)) (or (not (entries e)) (now-live hash)))) (h/live held z))
      (every? (into (set (get-in after [:grant :revoked])) (get-in after [:deny :denied])) carried)
      (every? (into (set (map :target carried)) (zone/denied (:zone (zone/sections held z))))
        (map :target (get-in after [:grant :revoked]))))))

(defspec grant-alone-never-drops-an-entry-or-a-revocation 1000
  (prop/for-all [a grant-attacks]
    (if-let [[held record] (accepted (attack a :deny))]
      (every? #(drops-nothing? held record %) (zone/zones held))
      true)))

(deftest the-attacks-are-not-idle
  (doseq [[kind attacks] [[:grant deny-attacks] [:deny grant-attacks]]]
    (let [results (map #(attack % kind) (samples/sample attacks 900))]
      (is (< 20 (count (keep accepted results))) kind)
      (is (< 50 (count (filter #(:poz/error (second %)) results))) kind))))
