(ns poz.client.submission-test
  "The smallest update, and answers to submissions, without a server."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.client-world :as w]
   [poz.client.submission :as submission]
   [poz.error :as error]
   [poz.identity.issue :as issue]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.update :as update]
   [poz.verdicts :as v]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- error-of [x] (if (error/anomaly? x) (:poz/error x) x))

;; The smallest update

(def ^:private labels ["root" "device" "spare"])
(def ^:private delegations [[:feed 2 100 100] [:service 1 100 100]])
(def ^:private r1 (v/genesis labels [[1 0 100]] delegations [0]))
(def ^:private r2 (v/revise r1 labels {} [0]))
(def ^:private r3 (v/revise r2 labels {} [0]))
(def ^:private zoned (-> r3 (v/grant labels :service [(v/service "a")] [1]) (v/grant labels :feed [] [2])))
(def ^:private denied (v/deny zoned labels :service [(zone/entry-hash :service (v/service "a"))] [1]))

(deftest what-a-server-lacks
  (are [held record serials zones] (= [serials zones]
                                     (let [u (submission/smallest-update record (memory/of held))]
                                       [(mapv :serial (:zone-history u)) (zone/zones u)]))
    r1 r3 [1 2] []
    r2 r3 [2] []
    r3 r3 [] []
    r1 zoned [1 2] [:feed :service]
    r3 zoned [] [:feed :service]
    zoned denied [] [:service]
    denied denied [] [])
  (testing "with it the server comes to hold the same"
    (doseq [held [r1 r2 r3 zoned], record [r3 zoned denied]
            :when (<= (:serial (:master-zone held)) (:serial (:master-zone record)))
            :let [u (submission/smallest-update record (memory/of held))
                  after (:record (update/apply-update held u {:now (v/now)}))]]
      (is (not (error/anomaly? after)))
      (is (every? (set (:zones (memory/of after))) (:zones (memory/of record))))
      (is (= (:current-master-hash (memory/of record)) (:current-master-hash (memory/of after))))
      (is (= (record/decode (record/encode u)) u))))
  (testing "it is public, and small"
    (let [u (submission/smallest-update (assoc zoned :key-names [{:key 0 :name "x"}]) (memory/of zoned))]
      (is (record/public? u))
      (is (< (count (record/encode u)) (/ (count (record/encode zoned)) 2)))
      (is (= (:public-key-map zoned) (:public-key-map u)) "the server may cite any key"))))

(deftest what-does-not-continue-it
  (let [other (v/revise r1 labels {:timestamp (+ (long v/start) 5000)} [0])]
    (are [error record held] (= error (error-of (submission/smallest-update record (memory/of held))))
      :update/rollback r2 r3
      :update/fork r3 other
      :chain/history-missing (dissoc r3 :zone-history) r1)))

;; Answers

(def ^:private options {:now w/now :statuses #{:current}})

(defn- stored [record serials]
  (submission/check {:type :submit :record record} options :ok serials))

(deftest what-is-stored-is-what-was-submitted
  (let [serials (memory/of zoned)]
    (is (= {:type :submit :status :ok :payload serials :proven false} (stored zoned serials)))
    (testing "a part of it will do"
      (is (= :ok (:status (stored (submission/smallest-update zoned (memory/of r3)) serials))))
      (is (= :ok (:status (stored r3 serials)))))
    (are [record serials] (= :answer/other-serials (error-of (stored record serials)))
      zoned (memory/of r3)
      denied (memory/of zoned)
      r2 (memory/of r3)
      zoned (assoc serials :current-master-hash (bytes/zeros 32))
      zoned (assoc-in serials [:zones 0 :zone-hash] (bytes/zeros 32)))))

(def ^:private entry (w/entry-for w/alice w/social))
(def ^:private request {:type :submit-request :request (w/request-for w/alice w/social)})
(def ^:private asked {:type :request-status :ticket (bytes/zeros 16)
                      :asked (issue/entry (:request request) (w/hash-of w/alice) (w/hash-of w/social))})

(deftest entries-are-those-that-were-asked-for
  (doseq [submission [request asked]]
    (testing (:type submission)
      (is (= {:type (:type submission) :status :ok :payload entry :entry entry :proven true}
             (submission/check submission (assoc options :provider (:record w/social)) :ok entry)))
      (is (= [entry false] ((juxt :entry :proven) (submission/check submission options :ok entry))) "without the provider's record")
      (is (= {:type (:type submission) :status :pending :payload (bytes/zeros 16) :ticket (bytes/zeros 16) :proven false}
             (submission/check submission options :pending (bytes/zeros 16))))
      (are [error entry provider] (= error (error-of (submission/check submission (cond-> options provider (assoc :provider (:record provider))) :ok entry)))
        :answer/other-entry (assoc entry :user-handle "bob") nil
        :answer/other-entry (assoc entry :path ["staff"]) nil
        :answer/other-entry (assoc entry :user-poz-hash (w/hash-of w/mallory)) nil
        :answer/other-entry (assoc entry :authority-domain "other.example") w/social
        :answer/other-provider entry w/mallory
        :signature/bad (assoc-in entry [:authority-signatures 0 :signature] (bytes/zeros 64)) w/social
        :identity/below-threshold (assoc entry :authority-signatures []) w/social
        :identity/no-provider-zone entry (update w/social :record dissoc :identity-zone :identity-authority)))))

(deftest an-entry-by-an-earlier-delegation
  (let [after (-> (v/genesis ["office" "clerk" "new clerk"] [[1 0 100]] [[:identity 1 100 100]] [0]))
        provider (v/grant (v/revise after ["office" "clerk" "new clerk"] {:delegations (v/shares [[:identity 2 100 100]])} [0])
                   ["office" "clerk" "new clerk"] :identity [] [2])
        entry (-> (assoc entry :authority-hash (record/original-hash after) :authority-signatures [])
                (issue/sign-entry after 1 (v/secret "clerk")))
        found #(submission/check request (assoc options :provider provider :statuses %) :ok entry)]
    (is (= :answer/superseded (error-of (found #{:current}))))
    (is (= entry (:entry (found #{:current :superseded}))))))
