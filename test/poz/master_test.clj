(ns poz.master-test
  "Drafts, and the golden records made again, byte for byte, from their seeds."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.master :as master]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; The vectors again

(defn- sign-as
  "What `signatures` become when made again with `seeds`; one without a seed stays."
  [signatures key-map message seeds]
  (reduce (fn [acc {:keys [key signature]}]
            (if-let [secret (seeds key)]
              (signing/sign acc key-map message key secret)
              (conj acc {:key key :signature signature})))
    [] signatures))

(defn- sign-revision [{:keys [signatures] :as revision} key-map hashes seeds]
  (let [{:keys [message] :as statement} (chain/statement revision hashes)
        signed (assoc revision :signatures (sign-as signatures key-map message seeds))]
    (cond-> signed
      (not (chain/draft? revision)) (assoc :current-master-hash (chain/current-hash signed statement)))))

(defn- sign-zone [record z hashes seeds]
  (let [{:keys [authority zone] :as parts} (zone/sections record z)
        key-map (:public-key-map record)
        grant (zone/grant-statement record z parts hashes)
        deny (zone/deny-statement record z parts (:hash grant) hashes)]
    (assoc record (keyword (str (name z) "-zone"))
      (-> zone
        (update-in [:grant :signatures] sign-as key-map (:message grant) seeds)
        (update-in [:deny :signatures] sign-as key-map (:message deny) seeds)))))

(defn- signed-anew
  "`record` with every signature and current hash made again."
  [{:keys [public-key-map zone-history] :as record} seeds]
  (let [hashes (signing/key-hashes public-key-map)
        again #(sign-revision % public-key-map hashes seeds)
        record (cond-> (update record :master-zone again)
                 zone-history (update :zone-history #(mapv again %)))]
    (reduce #(sign-zone %1 %2 hashes seeds) record (zone/zones record))))

(deftest every-record-is-rebuilt-byte-for-byte
  (doseq [{:keys [file decoded] :as described} (v/records)]
    (is (= (vectors/file-bytes file)
           (record/encode (signed-anew (vectors/->record decoded) (v/seeds described))))
        file)))

(defn- finished
  "Revision `r` as `draft` becomes it when the same keys sign with `seeds`."
  [draft r seeds]
  (master/finish (reduce (fn [d {:keys [key]}] (master/sign d key (seeds key))) draft (:signatures r))))

(defn- chain-anew [record seeds]
  (let [[genesis & more] (chain/revisions record)
        first-record (finished (master/genesis {:public-key-map (:public-key-map record)
                                                :master-keys (shuffle (:master-keys genesis))
                                                :delegations (shuffle (:delegations genesis))
                                                :timestamp (:timestamp genesis)})
                       genesis seeds)]
    (reduce (fn [before r]
              (master/adopt before (finished (master/draft before (select-keys r [:timestamp :master-keys :delegations])) r seeds)))
      first-record more)))

(deftest every-chain-is-rebuilt-by-drafting-signing-and-finishing
  (doseq [{:keys [file checks] :as described} (v/records)
          :let [record (v/file-record file) {:keys [chain complete]} (:expect (first checks))]
          :when (and complete (= "valid" chain))]
    (is (= (select-keys record [:public-key-map :master-zone :zone-history])
           (chain-anew record (v/seeds described)))
        file)))

(deftest what-apply-makes-of-the-drafts
  (doseq [{:keys [file applied]} (v/records) :when applied]
    (is (= (vectors/file-bytes applied) (record/encode (master/finish (v/file-record file)))) file))
  (testing "one that lacks a signature"
    (let [{:poz/keys [error anomaly] :keys [status needs]} (master/finish (v/record-named "draft"))]
      (is (= [:survivorship/below-threshold :invalid] [error anomaly]))
      (is (= {:group 2 :needed 20 :from [3]} needs))
      (is (= [1 2] (:signers status)))))
  (testing "one that is complete"
    (let [r (master/finish (v/record-named "draft-complete"))]
      (is (= :valid (:outcome (v/verdict r))))
      (is (= #{1 2 3} (chain/signers (:master-zone r)))))))

;; Drafts

(def ^:private labels ["m a" "m b" "m c" "m spare" [:x25519 "m x"]])
(def ^:private master-rows [[1 0 50] [1 1 50] [2 2 100]])

(defn- new-draft []
  (master/genesis {:public-key-map (mapv v/key-of labels) :master-keys (v/values (reverse master-rows))
                   :delegations (v/shares [[:service 0 100 100] [:identity 1 100 100] [:service 1 0 100]])
                   :timestamp v/start}))

(defn- sign [draft & signers] (v/sign-draft draft labels signers))

(defn- genesis [] (master/finish (sign (new-draft) 0 1)))

(def ^:private later (+ (long v/start) 1000))

(deftest a-draft-of-genesis
  (let [{:keys [master-zone] :as d} (new-draft)]
    (is (= [1 v/start v/start] ((juxt :serial :timestamp :original-timestamp) master-zone)))
    (is (every? bytes/zero-bytes? ((juxt :original-master-hash :current-master-hash :previous-master-hash) master-zone)))
    (is (= master-rows (map (juxt :group :key :value) (:master-keys master-zone))) "sorted")
    (is (= [[:identity 1] [:service 0] [:service 1]] (map (juxt :authority :key) (:delegations master-zone))) "by code, not by name")
    (is (= #{0 1 2} (master/named d)))
    (is (= d (record/decode (record/encode d))) "a file like any other")
    (is (= [:invalid #{:chain/draft}] ((juxt :outcome :problems) (v/verdict d))) "but no record")))

(deftest a-draft-of-the-next-revision
  (let [r (v/grant (genesis) labels :service [] [0])
        d (master/draft (assoc r :key-names [{:key 0 :name "a"}]) {:timestamp later :add-keys [(v/key-of "m new")]})]
    (is (= #{:public-key-map :zone-history :master-zone} (set (keys d))) "no zones, nothing private")
    (is (= [(:master-zone r)] (:zone-history d)))
    (is (= 6 (count (:public-key-map d))))
    (is (= {:serial 2 :timestamp later :signatures []} (select-keys (:master-zone d) [:serial :timestamp :signatures])))
    (is (= (:current-master-hash (:master-zone r)) (:previous-master-hash (:master-zone d))))
    (is (= (map #(get-in r [:master-zone %]) [:master-keys :delegations :original-master-hash :original-timestamp])
           (map #(get-in d [:master-zone %]) [:master-keys :delegations :original-master-hash :original-timestamp])))
    (is (thrown-with-msg? IllegalArgumentException #"Unknown option :timstamp" (master/draft r {:timstamp later})))))

(deftest signing-a-draft
  (let [d (new-draft)]
    (is (= (sign d 0 1) (sign d 1 0) (sign d 0 1 0)) "in any order, once")
    (are [i error] (= error (:poz/error (master/sign d i (v/secret "m spare"))))
      3 :signature/stray
      4 :signature/stray
      9 :signature/stray)
    (is (= "keys 0, 1, 2" (:expected (master/sign d 3 (v/secret "m spare")))) "who may is said")
    (is (= :draft/applied (:poz/error (master/sign (genesis) 0 (v/secret "m a")))))
    (is (= :draft/applied (:poz/error (master/finish (genesis)))))
    (is (= :draft/applied (:poz/error (master/add-signature (genesis) {:key 0 :signature bytes/empty}))))
    (testing "the former revision's keys and its own may sign, nobody else"
      (let [d (master/draft (genesis) {:timestamp later :master-keys (v/values [[1 3 100]])})]
        (is (= #{0 1 2 3} (master/named d)))
        (is (= :signature/stray (:poz/error (master/sign d 4 (v/secret "m x")))))))))

(deftest a-wrong-secret-is-found-at-the-end
  (let [d (master/sign (sign (new-draft) 0) 1 (v/secret "another"))]
    (is (:complete (master/status d)) "sums do not look at signatures")
    (is (= :signature/bad (:poz/error (master/finish d))))))

(deftest status-tells-who-is-needed
  (let [r (genesis)
        d (master/draft r {:timestamp later :master-keys (v/values [[1 0 100] [7 3 60] [7 2 40]])})]
    (is (= {:serial 1 :signers [0] :complete false
            :lists [{:list :own :satisfied false :sums {1 50, 2 0} :line "group 1: 50 of 100; group 2: 0 of 100"
                     :missing {:group 1 :needed 50 :from [1]}}]}
           (master/status (sign (new-draft) 0))))
    (is (= [[:former false {:group 1 :needed 50 :from [1]}] [:own true nil]]
           (map (juxt :list :satisfied :missing) (:lists (master/status (sign d 0))))))
    (is (:complete (master/status (sign d 0 1))))
    (is (= "group 1: 50 + 50 = 100 of 100; group 2: 0 of 100"
           (:line (first (:lists (master/status (sign d 0 1)))))))))

(deftest drafts-signed-apart-are-merged
  (let [d (new-draft) a (sign d 0) b (sign d 1)]
    (is (= (sign d 0 1) (master/merge-drafts a b) (master/merge-drafts b a) (master/merge-drafts d a b a)))
    (is (= a (master/merge-drafts a)))
    (testing "of other content"
      (let [other (assoc-in b [:master-zone :timestamp] later)
            {:poz/keys [error] :keys [differences]} (master/merge-drafts a other)]
        (is (= :draft/different error))
        (is (= [{:path [:master-zone :timestamp] :a v/start :b later}] differences)))
      (is (= [[:public-key-map]] (map :path (master/differences a (update a :public-key-map pop))))))
    (testing "with a bad signature"
      (let [forged (assoc-in b [:master-zone :signatures 0 :signature] (get-in a [:master-zone :signatures 0 :signature]))]
        (is (= :signature/bad (:poz/error (master/merge-drafts a forged))))
        (is (= :signature/bad (:poz/error (master/merge-drafts a forged b))))))))

(deftest finishing-needs-both-thresholds
  (let [r (genesis)
        d (master/draft r {:timestamp later :master-keys (v/values [[1 3 100]])})
        outcome #(let [x (master/finish %)] (or (:poz/error x) (:outcome (v/verdict x))))]
    (are [signers found] (= found (outcome (apply sign d signers)))
      [] :survivorship/below-threshold
      [3] :survivorship/below-threshold
      [0 1] :survivorship/below-threshold
      [0 3] :survivorship/below-threshold
      [0 1 3] :valid
      [2 3] :valid)
    (is (= {:group 1 :needed 100 :from [3]} (:needs (master/finish (sign d 0 1)))) "its own list is the one that lacks")
    (is (= :chain/timestamp (outcome (sign (master/draft r {:timestamp v/start}) 0 1))))))

(deftest spare-signatures-are-dropped-highest-first
  (are [signers left] (= left (chain/signers (:master-zone (master/finish (apply sign (new-draft) signers)))))
    [0 1 2] #{0 1}
    [0 2] #{2}
    [2] #{2})
  (let [r (master/finish (sign (new-draft) 0 1 2))]
    (is (= (genesis) r))
    (is (= :valid (:outcome (v/verdict r))))))

(deftest a-holder-adopts-what-was-finished
  (let [held (assoc (v/grant (genesis) labels :service [] [0]) :key-names [{:key 0 :name "mine"}])
        applied (master/finish (sign (master/draft held {:timestamp later :add-keys [(v/key-of "m new")]}) 2))
        adopted (master/adopt held applied)]
    (is (= (select-keys held [:service-zone :service-authority :key-names])
           (select-keys adopted [:service-zone :service-authority :key-names])) "zones and private sections stay")
    (is (= applied (select-keys adopted [:public-key-map :master-zone :zone-history])))
    (is (= :valid (:outcome (v/verdict adopted))))
    (testing "only of a draft of this very revision"
      (is (= :chain/previous-hash (:poz/error (master/adopt adopted applied))))
      (is (= :chain/previous-hash (:poz/error (master/adopt (v/genesis labels [[1 0 100]] [] [0]) applied)))))
    (testing "only with the same keys, as far as they are used"
      (let [swapped (update applied :public-key-map #(assoc % 1 (% 2)))]
        (is (= :update/key-map (:poz/error (master/adopt held swapped)))))
      (is (not (error/anomaly? (master/adopt held (update applied :public-key-map #(assoc % 3 (v/key-of "m other"))))))
          "key 3 is used by nobody"))))

(deftest ml-dsa-signs-the-same-each-time
  (let [labels [[:ml-dsa-65 "m lattice"]]
        make #(v/genesis labels [[1 0 100]] [] [0])]
    (is (= (make) (make)))
    (is (= :valid (:outcome (v/verdict (make)))))))

(deftest a-draft-without-its-history-is-refused-by-name
  (let [draft (dissoc (record/decode (vectors/file-bytes "records/draft-complete.poz")) :zone-history)]
    (is (= :chain/history-missing (:poz/error (master/finish draft))))))
