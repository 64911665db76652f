(ns poz.identity-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.identity :as identity]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(deftest issue-hashes-of-the-vectors
  (let [entries (zone/entries :identity (:identity-zone (v/record-named "all-zones")))
        {:keys [issue_hashes]} (first (filter #(= "identity" (:zone %)) (:entries (vectors/json "primitives.json"))))]
    (is (= issue_hashes (map #(bytes/->hex (:hash (identity/statement %))) entries)))
    (is (every? (comp zero? count :bindings identity/statement) entries) "it binds to no keys")))

;; A provider of two keys, 50 each, and one of 100

(def ^:private provider-labels ["p root" "p one" "p two" "p all" "p new"])
(def ^:private shares [[:identity 1 50 0] [:identity 2 50 0] [:identity 3 100 100]])

(defn- provider
  "The provider with an empty Identity Zone; `targets` are denied in it."
  ([] (provider []))
  ([targets]
   (let [r (v/grant (v/genesis provider-labels [[1 0 100]] shares [0]) provider-labels :identity [] [3])]
     (if (seq targets) (v/deny r provider-labels :identity targets [3]) r))))

(defn- rotated
  "The provider after its key 3 has been replaced by key 4."
  ([] (rotated []))
  ([targets]
   (let [r (-> (provider)
             (v/revise provider-labels {:delegations (v/shares [[:identity 4 100 100]])} [0])
             (v/grant provider-labels :identity [] [4]))]
     (if (seq targets) (v/deny r provider-labels :identity targets [4]) r))))

(def ^:private user-labels ["u root"])

(defn- user [] (v/genesis user-labels [[1 0 100]] [[:identity 0 100 100]] [0]))

(defn- original [record] (get-in record [:master-zone :original-master-hash]))

(defn- entry
  "The entry for alice in the record `user`, signed by the provider's keys `signers`."
  [user signers]
  (let [content {:identity-type :poz :authority-hash (original (provider)) :authority-domain "social.example"
                 :path [] :user-handle "alice" :user-poz-hash (original user)}
        {:keys [message]} (identity/statement content)]
    (assoc content :authority-signatures
      (reduce (fn [acc i] (signing/sign acc (mapv v/key-of provider-labels) message i (v/secret (provider-labels i))))
        [] signers))))

(defn- status
  "Status and error of the entry, in a verdict on the user's record with `providers` at hand."
  [entry & providers]
  (let [record (v/grant (user) user-labels :identity [entry] [0])
        verdict (v/verdict record providers)]
    (is (= :valid (:outcome verdict)) "no entry spoils a record")
    ((juxt :status :error) (first (:entries (:identity (:zones verdict)))))))

(deftest who-may-issue
  (are [signers found] (= found (status (entry (user) signers) (provider)))
    [3] [:current :identity/current]
    [1 2] [:current :identity/current]
    [1 3] [:current :identity/current]
    [1] [:invalid :identity/below-threshold]
    [] [:invalid :identity/below-threshold]
    [0] [:invalid :identity/below-threshold]
    [3 0] [:invalid :signature/stray]
    [4] [:invalid :identity/below-threshold]))

(deftest what-the-content-signs
  (are [k value] (= [:invalid :signature/bad] (status (assoc (entry (user) [3]) k value) (provider)))
    :user-handle "alicia"
    :authority-domain "other.example"
    :path ["staff"])
  (is (= [:invalid :identity/other-record]
         (status (entry (provider) [3]) (provider))) "an entry for someone else's hash")
  (is (= [:unknown :identity/no-provider-record]
         (status (assoc (entry (user) [3]) :authority-hash (bytes/zeros 32)) (provider))) "another provider's")
  (is (= [:invalid :signature/bad]
         (status (assoc-in (entry (user) [3]) [:authority-signatures 0 :signature] (bytes/zeros 64)) (provider))))
  (doseq [beyond [(count provider-labels) 77]]
    (is (= [:invalid :signature/no-such-key]
           (status (assoc-in (entry (user) [3]) [:authority-signatures 0 :key] beyond) (provider))))))

(deftest what-is-unknown-of-the-provider
  (let [e (entry (user) [3])]
    (is (= [:unknown :identity/no-provider-record] (status e)))
    (is (= [:unknown :identity/no-provider-zone] (status e (dissoc (provider) :identity-zone :identity-authority))))
    (is (= [:unknown :identity/provider-not-verified] (status e (dissoc (rotated) :zone-history))))
    (is (= [:unknown :identity/provider-not-verified] (status e (assoc-in (provider) [:master-zone :timestamp] 5))))
    (is (= [:unknown :identity/provider-zone-not-valid]
           (status e (assoc-in (provider) [:identity-zone :grant :timestamp] 5))))
    (testing "but another record's entry is invalid whatever is at hand"
      (is (= [:invalid :identity/other-record] (status (entry (provider) [3])))))
    (testing "and what is unknown is asked before signatures"
      (is (= [:unknown :identity/no-provider-record] (status (assoc e :authority-signatures [])))))))

(deftest what-the-provider-takes-back
  (let [e (entry (user) [3]) issue (:hash (identity/statement e))]
    (is (= [:revoked :identity/revoked] (status e (provider [issue]))))
    (is (= [:revoked :identity/revoked] (status (entry (user) [1 2]) (provider [issue]))) "whoever signed")
    (is (= [:revoked :identity/signer-revoked] (status e (provider [(signing/key-hash (v/key-of "p all"))]))))
    (is (= [:revoked :identity/signer-revoked] (status (entry (user) [1 3]) (provider [(signing/key-hash (v/key-of "p one"))])))
        "though the other signer would do")
    (is (= [:current :identity/current] (status e (provider [(signing/key-hash (v/key-of "p one"))]))))
    (is (= [:current :identity/current] (status e (provider [(zone/entry-hash :identity e)]))) "an entry hash is no target there")))

(deftest what-is-taken-back-is-told-without-a-signature
  (let [e (entry (user) [3]) issue (:hash (identity/statement e))
        told #(identity/taken-back? %1 (identity/prepared (verify/assess (provider %2) (v/now))))]
    (are [entry denied told?] (= told? (told entry denied))
      e [] false
      e [issue] true
      (assoc e :authority-signatures []) [issue] true
      e [(signing/key-hash (v/key-of "p all"))] true
      e [(signing/key-hash (v/key-of "p one"))] false
      (assoc-in e [:authority-signatures 0 :key] 77) [(signing/key-hash (v/key-of "p all"))] false)
    (is (false? (identity/taken-back? e nil)) "nobody can tell")))

(deftest a-rotated-key
  (let [e (entry (user) [3])]
    (is (= [:superseded :identity/superseded] (status e (rotated))))
    (is (= [:current :identity/current] (status (entry (user) [4]) (rotated))))
    (is (= [:invalid :signature/stray] (status (entry (user) [3 4]) (rotated))) "no one revision names both")
    (is (= [:revoked :identity/signer-revoked] (status e (rotated [(signing/key-hash (v/key-of "p all"))])))
        "a retired key whose hash is denied signs nothing any more")))

(deftest a-denied-entry-of-ones-own-is-not-live
  (let [e (entry (user) [3])
        r (-> (user) (v/grant user-labels :identity [e] [0])
            (v/deny user-labels :identity [(zone/entry-hash :identity e)] [0]))
        {:keys [live status]} (first (:entries (:identity (:zones (v/verdict r [(provider)])))))]
    (is (= [false :current] [live status]) "its owner took it out; the provider still stands by it")))

(deftest the-steps-say-why
  (let [e (entry (user) [1])
        r (v/grant (user) user-labels :identity [e] [0])
        {:keys [steps]} (first (:entries (:identity (:zones (v/verdict r [(rotated)])))))]
    (is (= [:identity/record :identity/provider :identity/delegation] (map :rule steps)))
    (is (= "no revision of the provider delegates 100 to key 1" (:because (peek steps))))
    (is (= {:sums [50 0]} (:numbers (peek steps))))))
