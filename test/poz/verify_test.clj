(ns poz.verify-test
  "Verdicts: the golden ones in full, sweeps of damage, and each attack by its name."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format :as format]
   [poz.identity :as identity]
   [poz.lint :as lint]
   [poz.master :as master]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.redefined :as redefined]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; The golden verdicts

(deftest every-check-of-every-record
  (doseq [{:keys [file checks]} (v/records)
          {:keys [providers expect]} checks]
    (testing [file providers]
      (is (= expect (v/summary (v/verdict (v/file-record file) (map v/file-record providers))))))))

(def ^:private invalid (delay (:cases (vectors/json "invalid.json"))))

(defn- invalid-verdict [{:keys [file providers]}]
  (v/verdict (record/decode (bytes/hex-> file)) (map v/file-record providers)))

(def ^:private invalid-verdicts
  (delay (mapv (juxt identity invalid-verdict) @invalid)))

(defn- entries [verdict]
  (get-in verdict [:zones :identity :entries]))

(deftest every-invalid-case
  (doseq [[{:keys [name expect oracle]} {:keys [outcome problems] :as verdict}] @invalid-verdicts]
    (testing name
      (is (= (:status expect "valid") (:status oracle) (clojure.core/name outcome)))
      (is (= (sort (:problems oracle)) (v/codes problems)))
      (when (:entries expect)
        (is (= (:identity (:entries expect)) (map (comp clojure.core/name :status) (entries verdict))))
        (is (= (:entries oracle) (map (comp error/code :error) (entries verdict))))))))

(deftest every-problem-is-in-the-table-of-errors
  (doseq [[_ {:keys [problems]}] @invalid-verdicts, k problems]
    (is (error/table k) k)
    (is (not (#{:valid :usage} (:anomaly (error/table k)))))))

(deftest malformed-files-have-a-verdict-too
  (doseq [{:keys [name file code]} (:cases (vectors/json "malformed.json"))
          :let [{:keys [outcome problems error warnings chain]} (verify/verify-bytes (bytes/hex-> file) {:now (v/now)})]]
    (testing name
      (is (= [:malformed [] nil] [outcome warnings chain]))
      (is (= #{(:poz/error error)} problems))
      (is (= "format" (namespace (keyword code)) (namespace (:poz/error error)))))))

;; Sweeps

(defn- outcome [b]
  (:outcome (verify/verify-bytes b {:now (v/now)})))

(defn- sweep-file [kind]
  (vectors/file-bytes (:file (first (filter #(= kind (:kind %)) (:sweeps (vectors/json "malformed.json")))))))

(deftest every-bit-flip-is-refused
  (let [b (sweep-file "every-bit-flip")]
    (doseq [at (range (count b)) bit (range 8)
            :let [array (bytes/->array b)]]
      (aset-byte array at (unchecked-byte (bit-xor (long (aget array at)) (bit-shift-left 1 (long bit)))))
      (is (#{:malformed :invalid} (outcome (bytes/wrap array))) [at bit]))))

(defn- with-size [b]
  (let [array (bytes/->array b)]
    (.putInt (java.nio.ByteBuffer/wrap array) 4 (count b))
    (bytes/wrap array)))

(deftest every-inserted-byte-is-refused
  (let [b (sweep-file "every-byte-inserted")]
    (doseq [at (range (inc (count b)))
            :let [longer (bytes/concat (bytes/slice b 0 at) (bytes/zeros 1) (bytes/slice b at))]]
      (is (#{:malformed :invalid} (outcome (if (<= 8 at) (with-size longer) longer))) at))))

;; The attacks

(def ^:private labels ["v root" "v phone" "v laptop" "v spare" "v other"])
(def ^:private shares [[:service 1 50 100] [:service 2 50 100] [:email 1 100 100] [:identity 1 100 100]])

(defn- genesis
  ([] (genesis [[1 0 100] [2 1 50] [2 2 50]] [0]))
  ([master-keys signers] (v/genesis labels master-keys shares signers)))

(defn- with-service [record] (v/grant record labels :service [(v/service "a") (v/service "b")] [1 2]))

(defn- found [record]
  ((juxt :outcome (comp v/codes :problems)) (v/verdict record)))

(defn- hashed-anew
  "`record` with current_master_hash computed over whatever the master zone now says: what
  a careless tool would make of a draft."
  [{:keys [master-zone public-key-map] :as record}]
  (let [hash (chain/current-hash master-zone (chain/statement master-zone (signing/key-hashes public-key-map)))]
    (cond-> (assoc-in record [:master-zone :current-master-hash] hash)
      (chain/genesis? master-zone) (assoc-in [:master-zone :original-master-hash] hash))))

(deftest a-spare-signature-stripped-makes-no-second-revision
  (let [draft (master/genesis {:public-key-map (mapv v/key-of labels) :master-keys (v/values [[1 0 50] [1 1 50] [1 2 50]])
                               :delegations [] :timestamp v/start})
        three (hashed-anew (v/sign-draft draft labels [0 1 2]))
        two (hashed-anew (v/sign-draft draft labels [0 1]))]
    (is (= [:invalid ["signature/spare"]] (found three)))
    (is (= [:valid []] (found two)))
    (is (= [:invalid ["chain/current-hash"]] (found (update-in two [:master-zone :signatures] pop)))
        "of what is valid no signature can be taken")
    (is (= [:invalid ["survivorship/below-threshold"]] (found (hashed-anew (v/sign-draft draft labels [0])))))))

(deftest a-key-map-swapped-under-valid-signatures
  (let [r (genesis)
        swap (fn [i j] (update r :public-key-map #(assoc % i (% j) j (% i))))]
    (is (= [:invalid ["chain/current-hash"]] (found (swap 1 2))))
    (is (= [:invalid ["chain/current-hash"]] (found (assoc-in r [:public-key-map 2] (v/key-of "v thief")))))
    (testing "with the hash computed anew it is another record, which nobody signed"
      (is (= [:invalid ["signature/bad"]] (found (hashed-anew (swap 1 2))))))
    (testing "keys that nobody cites may change"
      (is (= [:valid []] (found (assoc-in r [:public-key-map 4] (v/key-of "v thief"))))))
    (testing "under a zone that cites them"
      (let [labels (conj labels [:x25519 "v mail"])
            z (v/grant (update r :public-key-map conj (v/key-of (peek labels))) labels :email
                [{:guid (bytes/zeros 16) :name "in" :key 5 :service (bytes/zeros 32)}] [1])]
        (is (= [:valid []] (found z)))
        (is (= [:invalid ["signature/bad"]] (found (assoc-in z [:public-key-map 5] (v/key-of [:x25519 "v thief"])))))))))

(deftest a-deny-replayed-on-another-grant
  (let [target (zone/entry-hash :service (v/service "a"))
        denied (v/deny (with-service (genesis)) labels :service [target] [1])
        next-grant (v/grant denied labels :service [(v/service "a") (v/service "c")] [1 2]
                     {:serial 2 :previous-zone-hash (get-in (v/verdict denied) [:zones :service :zone-hash])})
        replayed (assoc-in next-grant [:service-zone :deny] (get-in denied [:service-zone :deny]))]
    (is (= [:valid []] (found denied) (found next-grant)))
    (is (= [:invalid ["signature/bad"]] (found replayed)))))

(deftest an-entry-for-someone-elses-hash
  (let [r (genesis)
        entry {:identity-type :poz :authority-hash (bytes/zeros 32) :authority-domain "social.example" :path []
               :user-handle "alice" :user-poz-hash (bytes/hex-> (apply str (repeat 64 "7"))) :authority-signatures []}
        verdict (v/verdict (v/grant r labels :identity [entry] [1]))]
    (is (= :valid (:outcome verdict)) "the record stands")
    (is (= [[:invalid :identity/other-record]] (map (juxt :status :error) (entries verdict))))))

(deftest a-stale-authority
  (let [moved (v/revise (with-service (genesis)) labels {:delegations (v/shares [[:service 3 100 100]])} [0])
        back (v/revise moved labels {:delegations (v/shares shares)} [0])]
    (is (= [:invalid ["authority/not-current"]] (found moved)))
    (is (= [:invalid ["authority/interrupted"]] (found back)) "it never revives")
    (is (= [:valid []] (found (with-service back))) "signed again it holds")
    (is (= [:invalid ["signature/bad"]]
           (found (assoc-in back [:service-authority :master-zone-hash] (get-in back [:master-zone :current-master-hash]))))
        "the authority is part of what is signed")))

(deftest a-partly-signed-zone
  (is (= [:invalid ["zone/grant-below-threshold"]]
         (found (v/grant (genesis) labels :service [(v/service "a")] [1])))))

(deftest a-draft-passed-off-as-a-record
  (let [draft (v/sign-draft (master/draft (genesis) {:timestamp (inc (long v/start))}) labels [0])]
    (is (:complete (master/status draft)))
    (is (= [:invalid ["chain/draft"]] (found draft)))
    (is (= [:invalid ["chain/draft"]]
           (found (assoc draft :zone-history (chain/revisions draft)
                    :master-zone (assoc (:master-zone draft) :serial 3)))) "nor in a history")))

(deftest groups-added-up
  (let [draft (master/genesis {:public-key-map (mapv v/key-of labels) :master-keys (v/values [[1 0 60] [2 1 60]])
                               :delegations [] :timestamp v/start})]
    (is (= [:invalid ["survivorship/below-threshold"]] (found (hashed-anew (v/sign-draft draft labels [0 1])))))))

(deftest a-duplicate-signature
  (let [r (v/sign-draft (master/genesis {:public-key-map (mapv v/key-of labels) :master-keys (v/values [[1 0 50] [1 1 50]])
                                         :delegations [] :timestamp v/start})
            labels [0])
        twice (update-in r [:master-zone :signatures] #(into % %))]
    (is (= :format/duplicate (:poz/error (error/attempt #(record/encode twice)))) "no file can hold it")
    (is (= [{1 50} {1 50}] (map #(get-in % [:lists 0 :sums]) [(master/status r) (master/status twice)])) "nor does it count twice")))

(deftest a-wrong-parent-never-reads-invalid-signature
  (let [a (genesis)
        b (v/revise a labels {} [0])
        other (v/revise a labels {:timestamp (+ 5 (long v/start))} [0])
        child (v/revise b labels {} [0])
        orphan (assoc child :zone-history (chain/revisions other))]
    (is (= [:valid []] (found child)))
    (is (= [:invalid ["chain/previous-hash"]] (found orphan)))
    (is (not-any? #(re-find #"signature" (:because %)) (remove #(true? (:holds %)) (verify/steps (v/verdict orphan)))))
    (is (= [:invalid ["chain/previous-hash"]]
           (found (assoc-in child [:master-zone :previous-master-hash] (bytes/hex-> (apply str (repeat 64 "5")))))))))

(deftest a-takeover-by-new-keys-alone
  (let [r (genesis)
        draft (master/draft r {:timestamp (inc (long v/start)) :master-keys (v/values [[1 4 100]])})]
    (is (= [:invalid ["survivorship/below-threshold"]] (found (hashed-anew (v/sign-draft draft labels [4])))))
    (is (= [:valid []] (found (hashed-anew (v/sign-draft draft labels [0 4])))))))

(deftest a-zone-of-another-record
  (let [r (with-service (genesis))
        other (v/genesis labels [[1 3 100]] shares [3])]
    (is (= [:invalid ["authority/unknown-revision" "signature/bad"]]
           (found (merge other (select-keys r [:service-zone :service-authority])))))
    (is (= [:invalid ["signature/bad"]]
           (found (merge other {:service-zone (:service-zone r)
                                :service-authority (assoc (:service-authority r) :master-zone-hash
                                                     (get-in other [:master-zone :current-master-hash]))}))))))

;; Providers

(defn- statuses [& providers]
  (map :status (entries (v/verdict (v/record-named "all-zones") (map v/record-named providers)))))

(deftest providers-in-any-order
  (is (= [:current :current :current] (statuses "provider-1") (statuses "provider-1" "provider-1")) "twice is once")
  (testing "the newest that verifies is asked"
    (is (= [:superseded :superseded :superseded]
           (statuses "provider-2") (statuses "provider-1" "provider-2") (statuses "provider-2" "provider-1"))))
  (testing "one that does not verify hides none that does"
    (is (= [:current :current :current]
           (statuses "provider-1" "provider-2-no-history") (statuses "provider-2-no-history" "provider-1"))))
  (testing "other records are no providers"
    (is (= [:unknown :unknown :unknown] (statuses "recovery-1" "all-zones") (statuses)))))

(deftest of-one-revision-the-newest-zone-is-asked
  (is (= [:revoked :current :current]
         (statuses "provider-denies")
         (statuses "provider-1" "provider-denies")
         (statuses "provider-denies" "provider-1")
         (statuses "provider-1-no-zone" "provider-denies" "provider-1")
         (statuses "provider-1" "provider-1-no-zone" "provider-denies")))
  (is (= (statuses "provider-carries")
         (statuses "provider-carries" "provider-denies" "provider-1")
         (statuses "provider-1" "provider-carries"))))

(deftest a-forked-provider-gives-the-same-answer-in-any-order
  (let [user-labels labels
        labels ["fork root" "fork a" "fork b"]
        provider (v/grant (v/genesis labels [[1 0 100]] [[:identity 1 100 100]] [0]) labels :identity [] [1])
        side (fn [key] (-> provider
                         (v/revise labels {:delegations (v/shares [[:identity key 100 100]])} [0])
                         (v/grant labels :identity [] [key])))
        content {:identity-type :poz :authority-hash (get-in provider [:master-zone :original-master-hash])
                 :authority-domain "social.example" :path [] :user-handle "alice"
                 :user-poz-hash (get-in (genesis) [:master-zone :original-master-hash])}
        signed (assoc content :authority-signatures
                 (signing/sign [] (:public-key-map provider) (:message (identity/statement content)) 2 (v/secret "fork b")))
        record (v/grant (genesis) user-labels :identity [signed] [1])
        ask (fn [& providers] (map (juxt :status :error) (entries (v/verdict record providers))))]
    (is (= [[:invalid :identity/below-threshold]] (ask (side 1))))
    (is (= [[:current :identity/current]] (ask (side 2))))
    (is (= (ask (side 1) (side 2)) (ask (side 2) (side 1)) (ask (side 2) provider (side 1) (side 2))))))

;; Arguments

(deftest options-are-checked
  (let [r (v/record-named "genesis-minimal")]
    (is (thrown-with-msg? IllegalArgumentException #"Unknown option :provider\b" (verify/verify r {:now 1 :provider []})))
    (is (thrown-with-msg? IllegalArgumentException #"needs :now" (verify/verify r {})))
    (is (thrown-with-msg? IllegalArgumentException #"needs :now" (verify/verify r {:now "today"})))
    (is (thrown-with-msg? IllegalArgumentException #":keep is :all or :faults, not :some" (verify/verify r {:now 1 :keep :some})))
    (is (thrown-with-msg? IllegalArgumentException #"Unknown option :max" (verify/verify-bytes bytes/empty {:now 1 :max 3})))))

(deftest bytes-of-either-form
  (let [b (vectors/file-bytes "records/genesis-minimal.poz")
        verdict (verify/verify-bytes b {:now (v/now)})]
    (is (= verdict (verify/verify-bytes (bytes/utf8 (record/armor b)) {:now (v/now)})))
    (is (= verdict (v/verdict (record/decode b))))
    (is (= :format/too-large (:poz/error (:error (verify/verify-bytes b {:now (v/now) :max-size 100})))))))

(deftest the-clock-is-an-argument
  (let [r (v/record-named "time-ahead-24h-1ms")]
    (is (= :unknown (:outcome (v/verdict r))))
    (is (= :valid (:outcome (verify/verify r {:now (inc (long (v/now)))}))))
    (is (= [:valid []] ((juxt :outcome :warnings)
                        (update (verify/verify r {:now (+ 86400001 (long (v/now)))}) :warnings
                          (fn [w] (filter #(= :time/future (:warning %)) w))))))))

;; What a verdict is

(deftest every-step-is-kept-and-says-why
  (let [verdict (v/verdict (v/record-named "devices-deny"))
        steps (verify/steps verdict)]
    (is (= #{[:chain 1] [:service :authority] [:service :grant] [:service :deny]} (set (map :part steps))))
    (is (every? #(and (:rule %) (string? (:because %)) (contains? #{true false :unknown} (:holds %))) steps))
    (is (= verdict (read-string (pr-str verdict))) "it prints and reads back"))
  (is (= #{[:identity :entry 0] [:identity :entry 1] [:identity :entry 2]}
         (set (filter #(= :entry (second %)) (map :part (verify/steps (v/verdict (v/record-named "all-zones"))))))))
  (is (= [] (verify/steps (verify/verify-bytes bytes/empty {:now 1})))))

(deftest a-verdict-may-keep-only-the-revisions-that-do-not-hold
  (let [good (v/record-named "recovery-3")
        bad (assoc-in good [:zone-history 1 :signatures 0 :signature] (bytes/zeros 64))]
    (doseq [r [good bad]
            :let [options {:now (v/now)} all (verify/verify r options)
                  faults (verify/verify r (assoc options :keep :faults))]]
      (is (= (-> all
               (update-in [:chain :revisions] #(filterv (comp seq rules/problems) %)))
            faults)))
    (is (= [[] [2]] (map #(map :serial (get-in (verify/verify % {:now (v/now) :keep :faults}) [:chain :revisions]))
                      [good bad])))))

(deftest no-signature-is-asked-after-a-bad-one
  (let [r (v/record-named "recovery-3")
        key-map (:public-key-map r)
        message (bytes/utf8 "a message")
        asked (atom [])
        signatures (mapv (fn [key] {:key key :signature (bytes/zeros 64)}) [1 2 3])
        real signing/verifies?]
    (is (false? (redefined/call-with #'signing/verifies? (fn [key-map m key signature]
                                                           (swap! asked conj key)
                                                           (real key-map m key signature))
                  #(:holds (signing/signature-finding
                             {:key-map key-map :signatures signatures :statement (delay {:message message})})))))
    (is (= [1] @asked))))

(deftest the-outcome-is-the-worst-of-its-parts
  (doseq [[_ {:keys [outcome chain zones]}] @invalid-verdicts]
    (is (= outcome (rules/worst (cons (:outcome chain) (map :outcome (vals zones))))))))

(deftest rules-have-unique-ids-and-docs
  (doseq [rows [chain/revision-rules zone/authority-rules zone/grant-rules zone/deny-rules identity/entry-rules]]
    (is (apply distinct? (map :id rows)))
    (is (every? #(re-find #"\.$" (:doc %)) rows)))
  (is (apply distinct? (map :id lint/table)))
  (is (= 100 (:threshold format/limits))))
