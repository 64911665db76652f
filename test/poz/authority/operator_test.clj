(ns poz.authority.operator-test
  "The operator's hand: requests that are held, decided, and entries that are revoked."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.authorities :as a]
   [poz.authority.operator :as operator]
   [poz.bytes :as bytes]
   [poz.handles :as h]
   [poz.record :as record]
   [poz.verify :as verify]))

(set! *warn-on-reflection* true)

(def ^:private t0 h/t0)
(def ^:private alice (h/person "alice"))
(def ^:private bob (h/person "bob"))

(defn- held
  "The ticket of a request that is put on hold."
  [world person handle now]
  (let [{:keys [status payload]} (a/ask world now (a/asking person handle now))]
    (is (= :pending status))
    payload))

(defn- status-of [world now ticket]
  (a/ask world now {:type :request-status :payload ticket}))

(defn- provider-record [world now]
  (record/decode (:payload (a/ask world now {:type :record :payload {:domain "social.example"}}))))

(defn- entry-status [world person now]
  (let [held (record/decode (:payload (a/ask world now {:type :record :payload {:hash (h/hash-of (:record person))}})))]
    (:status (first (get-in (verify/verify held {:now now :providers [(provider-record world now)]}) [:zones :identity :entries])))))

(deftest a-request-is-approved
  (let [w (a/world (constantly :hold))
        ticket (held w alice "alice" (+ t0 100))]
    (is (= [[ticket "alice" (h/hash-of (:record alice))]]
          (map (juxt :ticket (comp :user-handle :request) :user) (operator/pending (:store w)))))
    (is (= (h/hash-of (:record alice)) (:user (operator/approve! (:store w) (:config w) ticket (+ t0 200)))))
    (is (= [] (operator/pending (:store w))))
    (testing "its handle is reserved from then on"
      (is (= :conflict (:status (a/ask w (+ t0 300) (a/asking bob "alice" (+ t0 300)))))))
    (let [{:keys [status payload]} (status-of w (+ t0 400) ticket)
          accepted (h/accepting alice payload (+ t0 500))]
      (is (= :ok status))
      (is (= :accepted (:status (a/ask w (+ t0 600) {:type :submit-signed :payload (h/update-of accepted)})))))
    (testing "it is decided once"
      (is (= :wire/not-found (:poz/error (operator/approve! (:store w) (:config w) ticket (+ t0 700)))))
      (is (= :wire/not-found (:poz/error (operator/reject! (:store w) ticket "no")))))))

(deftest a-request-is-rejected
  (let [w (a/world (constantly :hold))
        ticket (held w alice "alice" (+ t0 100))]
    (is (= (h/hash-of (:record alice)) (:user (operator/reject! (:store w) ticket "not yet"))))
    (let [{:keys [status payload]} (status-of w (+ t0 200) ticket)]
      (is (= [:rejected "policy/refused"] [status (:code payload)]))
      (is (re-find #"not yet" (:message payload))))
    (testing "and may be made again"
      (is (not= ticket (held w alice "alice" (+ t0 300)))))))

(deftest no-such-ticket
  (let [w (a/world (constantly :hold))]
    (is (= :wire/not-found (:poz/error (operator/approve! (:store w) (:config w) (bytes/zeros 16) t0))))
    (is (= :wire/not-found (:poz/error (operator/reject! (:store w) (bytes/zeros 16) ""))))
    (is (= [] (operator/pending (:store w))))))

(deftest a-handle-that-was-taken-meanwhile
  (let [w (a/world (constantly :hold))
        alices (held w alice "alice" (+ t0 100))
        bobs (held w bob "alice" (+ t0 101))]
    (is (= 2 (count (operator/pending (:store w)))))
    (is (some? (:user (operator/approve! (:store w) (:config w) bobs (+ t0 200)))))
    (is (= :request/taken (:poz/error (operator/approve! (:store w) (:config w) alices (+ t0 300)))))
    (is (= [alices] (map :ticket (operator/pending (:store w)))) "it can still be rejected")))

(deftest the-former-owners-entry-is-denied-first
  (let [w (a/world (constantly :approve))
        alice (a/activated w alice "alice" (+ t0 100))
        _ (is (= :ok (:status (a/ask w (+ t0 300) {:type :submit :payload (h/update-of (h/denying alice (+ t0 200)))}))))
        w (assoc-in w [:config :policy] (constantly :hold))
        ticket (held w bob "alice" (+ t0 400))
        {:keys [denied user]} (operator/approve! (:store w) (:config w) ticket (+ t0 500))]
    (is (= (h/hash-of (:record bob)) user))
    (is (= [denied] (map :target (get-in (provider-record w (+ t0 600)) [:identity-zone :deny :denied]))))
    (is (= :valid (:outcome (verify/verify (provider-record w (+ t0 600)) {:now (+ t0 600)}))))
    (let [{:keys [status payload]} (status-of w (+ t0 700) ticket)]
      (is (= :ok status))
      (is (= (h/hash-of (:record bob)) (:user-poz-hash payload))))))

(deftest an-entry-is-revoked
  (let [w (a/world (constantly :approve))
        alice (a/activated w alice "alice" (+ t0 100))]
    (is (= :current (entry-status w alice (+ t0 200))))
    (is (= (h/hash-of (:record alice)) (:user (operator/revoke! (:store w) (:config w) (a/address "alice") :abuse (+ t0 300)))))
    (is (= :revoked (entry-status w alice (+ t0 400))))
    (testing "the handle stays with its owner"
      (is (= :ok (:status (a/ask w (+ t0 500) {:type :identity :payload {:handle (a/address "alice")}})))))
    (testing "twice, or for nobody"
      (is (= :update/deny-not-superset (:poz/error (operator/revoke! (:store w) (:config w) (a/address "alice") :abuse (+ t0 600)))))
      (is (= :wire/not-found (:poz/error (operator/revoke! (:store w) (:config w) (a/address "nobody") :abuse (+ t0 600))))))
    (testing "without the keys"
      (let [bob (a/activated w bob "bob" (+ t0 700))]
        (is (= :zone/deny-below-threshold
              (:poz/error (operator/revoke! (:store w) (assoc (:config w) :ring {}) (a/address "bob") :abuse (+ t0 800)))))
        (is (= :current (entry-status w bob (+ t0 900))))))
    (testing "a clock that is behind does not matter"
      (is (some? (:issue (operator/revoke! (:store w) (:config w) (a/address "bob") :abuse (+ t0 200))))))))

(deftest many-at-once
  (let [w (a/world (constantly :approve))
        people (mapv (fn [i] (a/activated w (h/person (str "p" i)) (str "p" i) (+ t0 1000 (* 10 (long i))))) (range 6))
        revoking (mapv (fn [i] (future (operator/revoke! (:store w) (:config w) (a/address (str "p" i)) :abuse (+ t0 5000)))) (range 6))]
    (is (every? #(some? (:issue (deref % 60000 :late))) revoking))
    (is (= (repeat 6 :revoked) (map #(entry-status w % (+ t0 6000)) people)))))
