(ns poz.master.chain-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.master :as master]
   [poz.master.chain :as chain]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(defn- judged [record]
  (chain/judge-chain {:chain (chain/revisions record) :key-map (:public-key-map record) :now (v/now)
                             :hashes (signing/key-hashes (:public-key-map record))}))

(defn- problems [record]
  (mapv rules/problems (:revisions (judged record))))

(deftest revisions-and-their-lists
  (let [r (v/record-named "recovery-3") [a b c] (chain/revisions r)]
    (is (= [1 2 3] (map :serial (chain/revisions r))))
    (is (= [1] (map :serial (chain/revisions (v/record-named "recovery-1")))))
    (is (= [(:master-keys a)] (chain/lists a nil)))
    (is (= [(:master-keys a) (:master-keys b)] (chain/lists b a)))
    (is (= (:master-keys b) (:master-keys c)))
    (is (= [(:master-keys c)] (chain/lists c b)) "one list that both have counts once")
    (is (= #{1 2 3} (chain/signers b)))
    (is (chain/genesis? a))
    (is (not (chain/genesis? b)))
    (is (not (chain/draft? c)))
    (is (chain/draft? (:master-zone (v/record-named "draft"))))))

(deftest content-leaves-out-what-it-cannot-hold
  (let [{genesis :master-zone} (v/record-named "recovery-1") {later :master-zone} (v/record-named "recovery-2")]
    (doseq [r [genesis later]]
      (is (not-any? #{:current-master-hash :signatures} (keys (chain/content r)))))
    (is (= chain/zero (:original-master-hash (chain/content genesis))) "it is not known yet")
    (is (= (:original-master-hash later) (:original-master-hash (chain/content later))))))

(deftest the-hash-is-over-content-keys-and-signatures
  (let [{:keys [master-zone public-key-map]} (v/record-named "recovery-1")
        hash (fn [revision key-map] (chain/current-hash revision (chain/statement revision (signing/key-hashes key-map))))
        right (:current-master-hash master-zone)]
    (is (= right (hash master-zone public-key-map)))
    (are [revision key-map] (not= right (hash revision key-map))
      (assoc master-zone :timestamp 1) public-key-map
      (assoc master-zone :signatures []) public-key-map
      (assoc-in master-zone [:signatures 0 :signature] (bytes/zeros 64)) public-key-map
      master-zone (assoc public-key-map 1 (public-key-map 2)))
    (testing "nothing else"
      (is (= right (hash (assoc master-zone :current-master-hash chain/zero) public-key-map)))
      (is (= right (hash master-zone (conj public-key-map (v/key-of "another"))))))))

(deftest a-whole-chain-holds
  (let [{:keys [outcome complete revisions]} (judged (v/record-named "recovery-3"))]
    (is (= [:valid true] [outcome complete]))
    (is (= [[1 [0]] [2 [1 2 3]] [3 [4]]] (map (juxt :serial :signers) revisions)))
    (is (= [{:own {1 100, 2 0}} {:own {1 0, 2 120} :previous {1 0, 2 120}} {:own {1 100, 2 0} :previous {1 100, 2 0}}]
           (map :support revisions)))
    (is (every? true? (mapcat #(map :holds (:steps %)) revisions)))
    (is (= [:chain/current-hash :signature/stray :survivorship/own :signature/spare :signature/verifies]
           (map :rule (:steps (first revisions)))) "genesis has no links")
    (is (= [:chain/serial :chain/previous-hash :chain/original-hash :chain/original-timestamp :chain/timestamp
            :chain/current-hash :signature/stray :survivorship/previous :survivorship/own :signature/spare
            :signature/verifies]
           (map :rule (:steps (second revisions)))))))

(deftest a-tail-is-unknown-not-broken
  (let [{:keys [outcome complete revisions]} (judged (v/record-named "recovery-3-tail"))]
    (is (= [:unknown false] [outcome complete]))
    (is (= [:unknown :valid] (map :outcome revisions)))
    (is (= "the history from serial 1 on" (:needs (first (:steps (first revisions))))))
    (is (nil? (:previous (:support (first revisions)))))
    (is (some #{:signature/verifies} (map :rule (:steps (first revisions)))) "what can be asked is asked")))

(defn- tampered [name f] (f (v/record-named name)))

(deftest links-come-before-signatures
  (are [f found] (= found (peek (problems (tampered "recovery-3" f))))
    #(assoc-in % [:master-zone :serial] 4) [:chain/serial]
    #(assoc-in % [:master-zone :previous-master-hash] (bytes/zeros 32)) [:chain/previous-hash]
    #(assoc-in % [:master-zone :original-master-hash] (bytes/zeros 32)) [:chain/original-hash]
    #(assoc-in % [:master-zone :original-timestamp] 5) [:chain/original-timestamp]
    #(assoc-in % [:master-zone :timestamp] 5) [:chain/timestamp]
    #(assoc-in % [:master-zone :delegations] []) [:chain/current-hash]
    #(assoc-in % [:master-zone :current-master-hash] chain/zero) [:chain/draft]
    #(assoc-in % [:master-zone :signatures 0 :signature] (bytes/zeros 64)) [:chain/current-hash]))

(deftest a-break-in-the-past-shows-where-it-is
  (let [broken (tampered "recovery-3" #(assoc-in % [:zone-history 0 :timestamp] 7))]
    (is (= [[:chain/current-hash] [:chain/original-timestamp] []]
           (problems (assoc-in broken [:zone-history 0 :original-timestamp] 7))))
    (is (= :invalid (:outcome (judged broken))))))

(deftest what-a-break-says
  (let [because (fn [f] (:because (peek (:steps (peek (:revisions (judged (tampered "recovery-3" f))))))))]
    (is (= "serial 9 after 2, expected 3" (because #(assoc-in % [:master-zone :serial] 9))))
    (is (= "wrong parent: previous_master_hash is not the hash of revision 2"
           (because #(assoc-in % [:master-zone :previous-master-hash] (bytes/zeros 32)))))
    (is (re-find #"^dated 1970-01-01T00:00:00.005Z, not later than its parent, 20"
                 (because #(assoc-in % [:master-zone :timestamp] 5))))))

(deftest below-the-threshold-says-which-list-and-what-is-needed
  (let [labels ["chain a" "chain b" "chain c"]
        record (v/genesis labels [[1 0 50] [1 1 50]] [] [0 1])
        next-one (fn [signers master-keys]
                   (let [d (v/sign-draft (master/draft record {:timestamp (inc (long v/start)) :master-keys (v/values master-keys)})
                             labels signers)
                         hash (chain/current-hash (:master-zone d) (master/statement d))]
                     (assoc-in d [:master-zone :current-master-hash] hash)))
        broken (fn [signers master-keys]
                 (select-keys (peek (:steps (peek (:revisions (judged (next-one signers master-keys)))))) [:rule :because :needs]))]
    (is (= {:rule :survivorship/previous :because "revision 1's master keys are not satisfied: group 1: 50 of 100"
            :needs {:group 1 :needed 50 :from [1]}}
           (broken [0 2] [[1 2 100]])))
    (is (= {:rule :survivorship/own :because "its own master keys are not satisfied: group 1: 0 of 100"
            :needs {:group 1 :needed 100 :from [2]}}
           (broken [0 1] [[1 2 100]])))))
