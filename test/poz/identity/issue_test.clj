(ns poz.identity.issue-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.identity :as identity]
   [poz.identity.issue :as issue]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

;; The golden request

(def ^:private golden
  (delay
    (let [{:keys [submit_request requests]} (vectors/json "wire.json")
          {:keys [payload]} (first (filter #(= "SUBMIT_REQUEST" (:type_name %)) requests))
          signatures (fn [xs] (mapv (fn [s] (update s :signature bytes/hex->)) xs))
          record (dissoc (v/record-named "devices-grant") :service-authority :service-zone)]
      {:expected submit_request
       :request (-> (issue/request record {:handle (:handle payload) :domain (:domain payload) :path (:path payload)}
                      (:timestamp payload) (bytes/hex-> (:proof payload)))
                  (assoc :signatures (signatures (:signatures payload))))
       :record record})))

(deftest the-golden-request
  (let [{:keys [expected request record]} @golden
        {:keys [authority_hash original_master_hash content message signatures]} expected
        user (bytes/hex-> original_master_hash)
        statement (issue/request-statement request user (bytes/hex-> authority_hash))]
    (is (= user (get-in record [:master-zone :original-master-hash])))
    (is (= content (bytes/->hex (bytes/join (:content statement)))))
    (is (= message (bytes/->hex (:message statement))))
    (is (= signatures (map #(update % :signature bytes/->hex) (:signatures request))))
    (let [judged (issue/check-request request (bytes/hex-> authority_hash) (:timestamp request))]
      (is (= :valid (:outcome judged)) (pr-str (rules/problems judged)))
      (is (= user (get-in judged [:record :master-zone :original-master-hash]))))
    (testing "signing it again gives the same signatures"
      (let [seeds (v/seeds (first (filter #(= "records/devices-grant.poz" (:file %)) (v/records))))]
        (is (= request (reduce #(issue/sign-request %1 record (bytes/hex-> authority_hash) %2 (seeds %2))
                         (assoc request :signatures []) [1 2])))))
    (is (= request (codec/decode issue/request-codec (codec/encode issue/request-codec request))))))

;; A user, a provider

(def ^:private user-labels ["i root" "i phone" "i laptop" "i stranger"])
(def ^:private provider-labels ["p root" "p one" "p two" "p three"])

(def ^:private user (v/genesis user-labels [[1 0 100]] [[:identity 1 50 100] [:identity 2 50 100]] [0]))

(defn- provider-of [shares]
  (v/genesis provider-labels [[1 0 100]] (map #(into [:identity] %) shares) [0]))

(defn- with-zone
  "`provider` with an empty Identity Zone signed by `signers`."
  [provider & signers]
  (v/grant provider provider-labels :identity [] signers))

(def ^:private provider (with-zone (provider-of [[1 100 100]]) 1))

(defn- original [record] (get-in record [:master-zone :original-master-hash]))

(def ^:private asked (+ (long v/start) 5000))

(def ^:private address {:handle "alice" :domain "social.example" :path ["staff"]})

(defn- request [& signers]
  (reduce #(issue/sign-request %1 user (original provider) %2 (v/secret (user-labels %2)))
    (issue/request user address asked (bytes/utf8 "proof")) signers))

(defn- problem [request now]
  (let [judged (issue/check-request request (original provider) now)]
    (or (:poz/error (:error judged)) (first (rules/problems judged)) (:outcome judged))))

(deftest what-a-provider-refuses
  (let [good (request 1 2)]
    (are [expected request now] (= expected (problem request now))
      :valid good asked
      :valid good (+ asked 300000)
      :valid good (- asked 300000)
      :request/timestamp good (+ asked 300001)
      :request/timestamp good (- asked 300001)
      :request/below-threshold (request 1) asked
      :request/below-threshold (request) asked
      :signature/bad (assoc good :user-handle "bob") asked
      :signature/bad (assoc good :proof bytes/empty) asked
      :signature/bad (assoc-in good [:signatures 0 :signature] (bytes/zeros 64)) asked
      :signature/stray (update good :signatures conj {:key 3 :signature (bytes/zeros 64)}) asked
      :format/magic (assoc good :record (bytes/utf8 "nothing of the kind, but long enough")) asked)
    (testing "a record that does not hold"
      (let [draft (record/encode (assoc-in user [:master-zone :signatures 0 :signature] (bytes/zeros 64)))]
        (is (= :request/record (problem (assoc good :record draft) asked)))))
    (testing "a request to one provider is none to another"
      (is (= :signature/bad (first (rules/problems (issue/check-request good (bytes/zeros 32) asked))))))))

(deftest only-delegated-keys-ask
  (let [r (request)]
    (is (= :signature/stray (:poz/error (issue/sign-request r user (original provider) 0 (v/secret "i root")))))
    (is (= (request 1 2) (request 2 1)))))

(deftest the-record-travels-without-what-is-private
  (let [r (issue/request (assoc user :key-names [{:key 0 :name "mine"}]) address asked bytes/empty)]
    (is (= (record/public-view user) (record/decode (:record r))))))

;; Attest and accept

(defn- attest [provider & signers]
  (reduce #(issue/sign-entry %1 provider %2 (v/secret (provider-labels %2)))
    (issue/entry (request 1 2) (original user) (original provider)) signers))

(defn- accepted [entry]
  (let [draft (issue/accept user entry (+ asked 1))]
    (reduce #(change/sign %1 :identity :grant %2 (v/secret (user-labels %2))) draft [1 2])))

(defn- status [record & providers]
  (let [{:keys [outcome zones]} (v/verdict record providers)]
    (is (= :valid outcome) "an entry's status never changes the record's outcome")
    (mapv :status (get-in zones [:identity :entries]))))

(deftest from-request-to-handle
  (let [entry (attest provider 1) record (accepted entry)]
    (is (= {:sum 100 :complete true} (issue/entry-status entry provider)))
    (is (= [:current] (status record provider)))
    (is (= [:unknown] (status record)))
    (is (= "alice@social.example/staff" (let [{:keys [user-handle authority-domain path]} entry]
                                          (str user-handle "@" authority-domain "/" (first path)))))
    (is (= entry (codec/decode issue/entry-codec (codec/encode issue/entry-codec entry))))))

(deftest the-provider-rotates
  (let [record (accepted (attest provider 1))
        rotated (v/revise provider provider-labels
                  {:delegations (v/shares [[:identity 2 100 100]])} [0])]
    (testing "its zone has fallen until its new key signs it again"
      (is (= [:unknown] (status record rotated))))
    (let [again (v/grant rotated provider-labels :identity [] [2]
                  {:serial 2 :timestamp (+ 1000 (long (get-in rotated [:master-zone :timestamp])))
                   :previous-zone-hash (:zone-hash (get-in (v/verdict provider) [:zones :identity]))})]
      (is (= [:superseded] (status record again)))
      (is (= [:current] (status (accepted (attest again 2)) again)))
      (testing "the issue hash knows no keys: the same one"
        (is (= (:hash (identity/statement (attest provider 1))) (:hash (identity/statement (attest again 2)))))))))

(deftest the-provider-denies
  (let [entry (attest provider 1) record (accepted entry)
        issue (:hash (identity/statement entry))
        denies (v/deny provider provider-labels :identity [issue] [1])
        denies-key (v/deny provider provider-labels :identity [(signing/key-hash (v/key-of "p one"))] [1])
        denies-hash (v/deny provider provider-labels :identity [(zone/entry-hash :identity entry)] [1])]
    (is (= [:revoked] (status record denies)))
    (is (= [:revoked] (status record denies-key)))
    (is (= [:current] (status record denies-hash)) "in a provider's zone the entry hash names nothing")
    (is (= :policy/issue-denied (:poz/error (issue/issuer-refusal denies entry))
           (:poz/error (issue/sign-entry entry denies 1 (v/secret "p one")))))
    (is (nil? (issue/issuer-refusal provider entry)))))

(deftest who-may-issue
  (let [entry (attest provider)]
    (is (= :policy/not-a-provider (:poz/error (issue/issuer-refusal (v/genesis provider-labels [[1 0 100]] [] [0]) entry))))
    (is (= :signature/stray (:poz/error (issue/sign-entry entry provider 0 (v/secret "p root")))))
    (is (= {:sum 0 :complete false} (issue/entry-status entry provider)))))

(deftest two-keys-of-a-provider
  (let [two (with-zone (provider-of [[1 50 100] [2 50 100]]) 1 2)
        half (attest two 1)]
    (is (= {:sum 50 :complete false} (issue/entry-status half two)))
    (is (= [:invalid] (status (accepted half) two)))
    (is (= {:sum 100 :complete true} (issue/entry-status (attest two 1 2) two)))
    (is (= (attest two 1 2) (attest two 2 1)))
    (is (= [:current] (status (accepted (attest two 2 1)) two)))))

(deftest an-entry-of-another-record
  (let [entry (assoc (attest provider 1) :user-poz-hash (bytes/zeros 32))]
    (is (= [:invalid :identity/other-record [:user-poz-hash]]
           ((juxt :poz/anomaly :poz/error :path) (issue/accept user entry asked))))
    (is (= [:invalid] (status (v/grant user user-labels :identity [entry] [1 2]) provider)))))

(deftest accepting-again-replaces
  (let [first-entry (attest provider 1)
        record (accepted first-entry)
        again (issue/accept record first-entry (+ asked 2))
        bob (assoc first-entry :user-handle "bob")]
    (is (= 1 (count (zone/entries :identity (:identity-zone again)))))
    (is (= 2 (count (zone/entries :identity (:identity-zone (issue/accept record bob (+ asked 2)))))))
    (is (= :zone/no-delegation
           (let [none (v/genesis user-labels [[1 0 100]] [] [0])]
             (:poz/error (issue/accept none (assoc first-entry :user-poz-hash (original none)) asked)))))))
