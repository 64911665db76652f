(ns poz.auth-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.auth :as auth]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.error :as error]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private golden (delay (:login (vectors/json "primitives.json"))))

(defn- response-of [login signatures]
  (-> (select-keys login [:site :group :time])
    (assoc :nonce (bytes/hex-> (:nonce login))
      :original-master-hash (bytes/hex-> (:original_master_hash login))
      :signatures (mapv #(update % :signature bytes/hex->) signatures))))

(defn- problem [judgement]
  (first (rules/problems judgement)))

(deftest the-golden-login
  (let [{:keys [login content message signatures]} @golden
        record (v/record-named "all-zones")
        response (response-of login signatures)
        statement (auth/statement response)
        seeds (v/seeds (first (filter #(= "records/all-zones.poz" (:file %)) (v/records))))]
    (is (= content (bytes/->hex (bytes/join (:content statement)))))
    (is (= message (bytes/->hex (:message statement))))
    (is (= response
           (reduce #(auth/sign %1 record %2 (seeds %2))
             (auth/response record (select-keys response [:site :nonce]) (:group login) (:time login)) [5 6])))
    (is (= response (codec/decode auth/response-codec (codec/encode auth/response-codec response))))))

(deftest the-golden-tries
  (let [{:keys [tries signatures record]} @golden
        record (v/file-record record)]
    (is (= 9 (count tries)))
    (doseq [{:keys [what login signers now site accept code]} tries]
      (testing what
        (let [present (filter #((set signers) (:key %)) signatures)
              judged (auth/check (response-of login present) record {:now now :site site})
              judged (if (= "another nonce" what)
                       (auth/check (assoc (response-of login present) :nonce (bytes/zeros 32)) record {:now now :site site})
                       judged)]
          (is (= accept (= :valid (:outcome judged))))
          (is (= code (some-> (problem judged) error/code))))))))

;; Groups of every size

(def ^:private labels (into ["auth root"] (map #(str "auth " %)) (range 1 10)))

(def ^:private record
  (v/grant (v/genesis labels [[1 0 100]] [[:auth 0 100 100]] [0]) labels :auth
    {:groups [{:id 2 :keys [1 2]} {:id 4 :keys [1 2 3 4]} {:id 8 :keys (vec (range 1 9))}]} [0]))

(def ^:private now (+ (long v/start) 5000))
(def ^:private challenge {:site "shop.example" :nonce (bytes/hex-> (apply str (repeat 32 "5a")))})

(defn- response [record group & signers]
  (reduce #(auth/sign %1 record %2 (v/secret (labels %2))) (auth/response record challenge group now) signers))

(defn- check
  ([response] (check response record))
  ([response record] (auth/check response record {:now now :site "shop.example" :nonce (:nonce challenge)})))

(deftest groups-of-two-four-and-eight
  (doseq [group [2 4 8] :let [members (range 1 (inc group))]]
    (is (= members (auth/missing (response record group) record)))
    (is (= :valid (:outcome (check (apply response record group members)))))
    (is (= (apply response record group members) (apply response record group (reverse members))) "in any order")
    (doseq [left-out members :let [r (apply response record group (remove #{left-out} members))]]
      (is (= [left-out] (auth/missing r record)))
      (is (= :login/not-all-keys (problem (check r)))))))

(deftest who-may-sign
  (is (= :login/not-all-keys (:poz/error (auth/sign (response record 2) record 3 (v/secret "auth 3")))))
  (is (= :login/no-such-group (:poz/error (auth/sign (response record 3) record 3 (v/secret "auth 3"))))))

(deftest what-a-site-refuses
  (let [good (response record 2 1 2)
        steps (fn [judged] (map :rule (:steps judged)))]
    (are [expected response] (= expected (problem (check response)))
      nil good
      :login/other-site (assoc good :site "evil.example")
      :login/other-challenge (assoc good :nonce (bytes/zeros 32))
      :login/other-record (assoc good :original-master-hash (bytes/zeros 32))
      :login/no-such-group (assoc good :group 3)
      :signature/bad (assoc good :time (inc now))
      :signature/bad (assoc-in good [:signatures 1 :signature] (bytes/zeros 64))
      :login/not-all-keys (update good :signatures conj {:key 3 :signature (bytes/zeros 64)})
      :login/not-all-keys (update good :signatures subvec 0 1)
      :login/not-all-keys (assoc (response record 4 1 2 3 4) :group 2))
    (testing "a response to one site is none to another"
      (is (= :login/other-site (problem (auth/check good record {:now now :site "bank.example"}))))
      (is (= :signature/bad (problem (auth/check (assoc good :site "bank.example") record {:now now :site "bank.example"})))))
    (testing "the clock"
      (are [expected at] (= expected (problem (auth/check good record {:now at :site "shop.example"})))
        nil (+ now 300000) nil (- now 300000)
        :login/time (+ now 300001) :login/time (- now 300001)))
    (is (= [:login/site :login/challenge :login/record :login/time :login/zone :login/group :login/revoked :login/keys
            :signature/verifies] (steps (check good))))
    (is (thrown-with-msg? IllegalArgumentException #"Unknown option" (auth/check good record {:now now :host "x"})))))

(deftest revoked-before-any-signature-is-looked-at
  (let [revoked (v/deny record labels :auth [(signing/key-hash (v/key-of "auth 3"))] [0])
        nonsense (fn [group] (assoc (response record group)
                               :signatures (mapv #(hash-map :key % :signature (bytes/zeros 64)) (range 1 (inc group)))))]
    (doseq [group [4 8] :let [judged (check (nonsense group) revoked)]]
      (is (= [:login/key-revoked] (rules/problems judged)))
      (is (re-find #"key 3" (:because (last (:steps judged)))))
      (is (not-any? #{:login/keys :signature/verifies} (map :rule (:steps judged)))))
    (is (= :login/key-revoked (problem (check (response record 4 1 2 3 4) revoked))) "with good ones likewise")
    (is (= :valid (:outcome (check (response record 2 1 2) revoked))) "a group without that key logs in")))

(deftest a-denied-group
  (let [group (first (filter #(= 4 (:id %)) (zone/entries :auth (:auth-zone record))))
        denied (v/deny record labels :auth [(zone/entry-hash :auth group)] [0])]
    (is (= :login/no-such-group (problem (check (response record 4 1 2 3 4) denied))))
    (is (= :valid (:outcome (check (response record 2 1 2) denied))))))

(deftest a-record-that-cannot-log-in
  (let [good (response record 2 1 2)]
    (are [record] (= :login/no-valid-zone (problem (check good record)))
      (dissoc record :auth-zone :auth-authority)
      (assoc-in record [:auth-zone :grant :signatures] [])
      (assoc-in record [:master-zone :signatures 0 :signature] (bytes/zeros 64))
      (v/revise record labels {:delegations (v/shares [[:auth 1 100 100]])} [0]))))

(deftest a-challenge-travels
  (is (= challenge (codec/decode auth/challenge-codec (codec/encode auth/challenge-codec challenge)))))
