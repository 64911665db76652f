(ns poz.activation-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.activation :as activation]
   [poz.identity :as identity]
   [poz.identity.issue :as issue]
   [poz.record :as record]
   [poz.verdicts :as v]
   [poz.verify :as verify]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def ^:private provider-labels ["a provider root" "a provider key"])

(def ^:private provider
  (v/grant (v/genesis provider-labels [[1 0 100]] [[:identity 1 100 100]] [0]) provider-labels :identity [] [1]))

(defn- user-of [label] (v/genesis [(str label " root") (str label " key")] [[1 0 100]] [[:identity 1 100 100]] [0]))

(def ^:private ann (user-of "ann"))
(def ^:private bob (user-of "bob"))

(defn- original [record] (get-in record [:master-zone :original-master-hash]))

(defn- entry
  ([record handle] (entry record handle "social.example"))
  ([record handle domain]
   (issue/sign-entry
     {:identity-type :poz :authority-hash (original provider) :authority-domain domain :path [] :user-handle handle
      :user-poz-hash (original record) :authority-signatures []}
     provider 1 (v/secret "a provider key"))))

(def ^:private start (long v/start))
(def ^:private day 86400000)

(defn- change
  "`record` of `label` with the next grant of its Identity Zone at `time` by `options`, signed."
  [record label time options]
  (change/sign (change/grant record :identity (assoc options :timestamp time)) :identity :grant 1 (v/secret (str label " key"))))

(defn- with-entries [record label time & entries]
  (change record label time {:add entries}))

(defn- assessed [provider now] (verify/assess provider now))

(defn- activate [book record now]
  (activation/activate book (record/public-view record) (delay (assessed (:provider book) now)) now))

(def ^:private empty-book (activation/book provider ["social.example"]))

(def ^:private address ["social.example" [] "alice"])

(defn- problem [x] (:poz/error x))

(deftest reserving
  (let [alice (entry ann "alice")
        book (activation/reserve empty-book alice start day)]
    (is (= {address {:user (original ann) :until (+ start day)}} (:reserved book)))
    (is (= (dissoc empty-book :reserved) (dissoc book :reserved)) "reserved, not live")
    (testing "for another it is taken, until it lapses"
      (are [expected now] (= expected (problem (activation/reserve book (entry bob "alice") now day)))
        :request/taken start
        :request/taken (+ start day)
        nil (+ start day 1)))
    (testing "the same record may ask again, which prolongs it"
      (is (= (+ start 5 day) (get-in (activation/reserve book alice (+ start 5) day) [:reserved address :until]))))
    (testing "another handle is free"
      (is (= 2 (count (:reserved (activation/reserve book (entry bob "bob") start day))))))
    (is (= [:refused :policy/domain]
           ((juxt :poz/anomaly :poz/error) (activation/reserve book (entry ann "alice" "elsewhere.example") start day))))))

(deftest lapsing
  (let [book (-> empty-book (activation/reserve (entry ann "alice") start 1000) (activation/reserve (entry bob "bob") start 2000))]
    (is (= book (activation/lapse book (+ start 1000))))
    (is (= [["social.example" [] "bob"]] (keys (:reserved (activation/lapse book (+ start 1001))))))
    (is (= {} (:reserved (activation/lapse book (+ start 2001)))))))

(def ^:private alice-entry (entry ann "alice"))
(def ^:private ann-live (with-entries ann "ann" (+ start 10) alice-entry))
(def ^:private reserved (activation/reserve empty-book alice-entry start day))
(def ^:private live (activate reserved ann-live (+ start 20)))

(deftest going-live
  (is (= {address {:user (original ann) :issue (:hash (identity/statement alice-entry))}} (:live live)))
  (is (= {} (:reserved live)))
  (is (= {(original ann) (record/public-view ann-live)} (:records live)))
  (testing "the same update again changes nothing"
    (is (= live (activate live ann-live (+ start 30))))
    (is (= live (activation/activate live (record/public-view ann-live) (delay (throw (IllegalStateException.))) (+ start 30)))
      "who has no new handle needs no provider"))
  (testing "it is taken for everyone else"
    (is (= :request/taken (problem (activation/reserve live (entry bob "alice") (+ start 30) day))))))

(deftest what-does-not-go-live
  (are [expected book record now] (= expected (problem (activate book record now)))
    :request/not-reserved empty-book ann-live (+ start 20)
    :request/not-reserved reserved ann-live (+ start day 1)
    :request/not-reserved reserved (with-entries bob "bob" (+ start 10) (entry bob "alice")) (+ start 20)
    :request/entry-missing reserved ann (+ start 20)
    :request/entry-missing reserved (with-entries ann "ann" (+ start 10)) (+ start 20)
    :request/entry-missing reserved (with-entries ann "ann" (+ start 10) (assoc alice-entry :authority-signatures [])) (+ start 20)
    :zone/grant-below-threshold reserved (assoc-in ann-live [:identity-zone :grant :signatures] []) (+ start 20))
  (testing "one entry that may not go live stops the whole update"
    (let [both (with-entries ann "ann" (+ start 10) alice-entry (entry ann "second"))]
      (is (= :request/not-reserved (problem (activate reserved both (+ start 20)))))
      (is (= 2 (count (:live (activate (activation/reserve reserved (entry ann "second") start day) both (+ start 20))))))))
  (testing "entries of other providers are no business of this one"
    (let [foreign (assoc (entry ann "elsewhere") :authority-hash (original bob))]
      (is (= [address] (keys (:live (activate reserved (with-entries ann "ann" (+ start 10) alice-entry foreign) (+ start 20)))))))))

(defn- denied [record label time]
  (change/sign (change/deny record :identity [{:target (zone/entry-hash :identity alice-entry)}] {:timestamp time})
    :identity :deny 1 (v/secret (str label " key"))))

(deftest release
  (doseq [[how record] {"removed" (change ann-live "ann" (+ start 40) {:remove [(zone/entry-hash :identity alice-entry)]})
                        "denied by its owner" (denied ann-live "ann" (+ start 40))}]
    (testing how
      (let [released (activate live record (+ start 50))]
        (is (= {} (:live released)))
        (is (= {address (get-in live [:live address])} (:former released)))
        (testing "the next owner has to wait until the provider denies the former entry"
          (is (= :policy/former-entry-not-denied (problem (activation/reserve released (entry bob "alice") (+ start 60) day)))))
        (testing "the former owner has not"
          (is (nil? (problem (activation/reserve released alice-entry (+ start 60) day)))))
        (let [issue (:hash (identity/statement alice-entry))
              denying (assoc released :provider (v/deny provider provider-labels :identity [issue] [1]))
              next-owner (activation/reserve denying (entry bob "alice") (+ start 60) day)]
          (is (= :policy/issue-denied (problem (activation/reserve denying alice-entry (+ start 60) day))))
          (is (= (original bob) (get-in next-owner [:reserved address :user])))
          (let [book (activate next-owner (with-entries bob "bob" (+ start 70) (entry bob "alice")) (+ start 80))]
            (is (= (original bob) (get-in book [:live address :user])))
            (is (= {} (:former book)))
            (testing "and the former owner cannot come back with the old entry"
              (let [back (with-entries record "ann" (+ start 90) alice-entry)]
                (is (= :request/not-reserved (problem (activate book back (+ start 100)))))))))))))

(deftest a-modified-record-keeps-its-handle
  (let [more (with-entries ann-live "ann" (+ start 40) (entry ann "second"))
        book (activation/reserve live (entry ann "second") (+ start 41) day)
        both (activate book more (+ start 50))]
    (is (= #{address ["social.example" [] "second"]} (set (keys (:live both)))))
    (is (= {} (:former both)))))

(deftest a-zone-that-fell-keeps-its-handles
  (let [rotated (v/revise ann-live ["ann root" "ann key"] {:delegations (v/shares [[:identity 0 100 100]])} [0])
        book (activate live rotated (+ start day day))]
    (is (= (:live live) (:live book)))
    (is (= 2 (get-in book [:records (original ann) :master-zone :serial])))))

(deftest nothing-changes-where-it-fails
  (let [stale (activate live ann (+ start 20))]
    (is (nil? (problem stale)) "an update without the zone leaves it as it is")
    (is (= (:live live) (:live stale)))
    (is (= (:records live) (:records stale)))))
