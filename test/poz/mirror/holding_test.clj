(ns poz.mirror.holding-test
  "What a mirror keeps: records, who has which handle, when it looked."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.authorities :as a]
   [poz.authority.operator :as operator]
   [poz.authority.state :as state]
   [poz.bytes :as bytes]
   [poz.handles :as h]
   [poz.identity :as identity]
   [poz.identity.issue :as issue]
   [poz.mirror-world :as w]
   [poz.mirror.holding :as holding]
   [poz.mirror.pull :as pull]
   [poz.record :as record]
   [poz.redefined :as redefined]
   [poz.store :as store]
   [poz.verify :as verify]))

(set! *warn-on-reflection* true)

(def ^:private provider
  (identity/prepared (verify/assess (:record a/provider) w/now)))

(defn- providers [hash]
  (when (= hash w/provider-hash) provider))

(defn- with-handle
  "The person with an entry for `handle` that the provider issued."
  [person handle now]
  (let [entry (issue/entry (h/request person w/provider-hash (a/address handle) now) (h/hash-of (:record person)) w/provider-hash)]
    (h/accepting person (issue/sign-entry entry (:record a/provider) 0 (:secret a/provider)) now)))

(def ^:private alice (with-handle (h/person "alice") "alice" (+ (long h/t0) 100)))
(def ^:private thief (with-handle (h/person "thief") "alice" (+ (long h/t0) 100)))

(defn- public [{:keys [record]}] (record/public-view record))

(defn- outcome [person status held]
  {:outcome (if held :updated :new) :record (public person) :held (some-> held public)
   :before (some-> held public record/encode) :bindings (update-vals (holding/bindings (:record person) providers) #(assoc % :status status))})

(defn- owner [s handle]
  (get-in (state/handle (pull/reader s) (a/address handle)) [:live :user]))

(deftest bindings-are-what-providers-issued
  (is (= {["social.example" [] "alice"] {:user (h/hash-of (:record alice)) :status :current}}
         (update-vals (holding/bindings (:record alice) providers) #(dissoc % :issue))))
  (is (= {} (holding/bindings (:record alice) (constantly nil))) "nobody can tell")
  (is (= {} (holding/bindings (:record (h/person "bob")) providers)))
  (testing "not what somebody took over"
    (let [stolen (assoc (:record thief) :identity-zone (:identity-zone (:record alice)))]
      (is (= {} (holding/bindings stolen providers))))))

(deftest what-is-committed
  (let [s (store/memory) hash (h/hash-of (:record alice))]
    (is (true? (holding/commit! s [(outcome alice :current nil)] 77)))
    (is (= (public alice) (state/record (pull/reader s) hash)))
    (is (= 77 (holding/checked-at (pull/reader s) hash)))
    (is (= hash (owner s "alice")))
    (testing "only if what was held then still is"
      (holding/commit! s [(outcome (h/serving alice 443 (+ (long h/t0) 200)) :current nil)] 78)
      (is (= (public alice) (state/record (pull/reader s) hash)))
      (is (= 77 (holding/checked-at (pull/reader s) hash))))
    (testing "an entry that is gone lets its handle go"
      (holding/commit! s [(outcome (h/denying alice (+ (long h/t0) 300)) :current alice)] 79)
      (is (nil? (owner s "alice"))))
    (testing "as it came, where it came whole"
      (let [b (record/encode (public thief))]
        (holding/commit! s [(assoc (outcome thief :current nil) :bytes b)] 80)
        (is (identical? b ((pull/reader s) [:record (h/hash-of (:record thief))])))))
    (is (true? (holding/commit! s [] 81)))))

(deftest a-group-is-decided-in-its-order
  (let [s (store/memory) later (h/denying alice (+ (long h/t0) 300)) hash (h/hash-of (:record alice))]
    (holding/commit! s [(outcome alice :current nil) (outcome later :current alice)] 77)
    (is (= (public later) (state/record (pull/reader s) hash)))
    (is (nil? (owner s "alice")))))

(deftest two-who-claim-one-handle
  (let [both (fn [first-status second-status]
               (let [s (store/memory)]
                 (holding/commit! s [(outcome alice first-status nil) (outcome thief second-status nil)] 77)
                 (owner s "alice")))
        of (comp h/hash-of :record)]
    (is (= (of thief) (both :current :current)) "the later one")
    (is (= (of thief) (both :revoked :superseded)))
    (is (= (of alice) (both :current :revoked)) "a revoked one takes nobody's place")
    (is (= (of alice) (both :revoked :revoked)))))

(deftest what-is-missing-is-judged-only-where-it-may-change-something
  (let [s (store/memory) missing #(holding/missing-bindings (pull/reader s) (:record alice) %)
        issue (:hash (identity/statement (first (:body (:grant (:identity-zone (:record alice)))))))
        denying (operator/deny-issue (:record a/provider) {0 (:secret a/provider)} issue :abuse (+ (long h/t0) 200))
        revoking (constantly (identity/prepared (verify/assess denying w/now)))
        statuses #(map :status (vals %))]
    (testing "nobody has the handle"
      (is (= [:current] (statuses (missing providers))))
      (is (= [:revoked] (statuses (missing revoking))))
      (is (= {} (missing (constantly nil)))))
    (testing "it has it"
      (holding/commit! s [(outcome alice :current nil)] 77)
      (is (= {} (missing providers))))
    (testing "another has it"
      (holding/commit! s [(outcome thief :current nil)] 78)
      (is (= [:current] (statuses (missing providers))))
      (is (= {} (redefined/call-with #'identity/judge-entry (fn [& _] (throw (IllegalStateException. "judged again")))
                  #(missing revoking)))
        "what is revoked takes nobody's place"))))

(deftest domains
  (let [s (store/memory)]
    (is (nil? (state/domain (pull/reader s) "social.example")))
    (store/commit! s {} (state/put-domain "social.example" (bytes/zeros 32)))
    (is (= (bytes/zeros 32) (state/domain (pull/reader s) "social.example")))))
