(ns poz.authority.state-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.authority.state :as state]
   [poz.bytes :as bytes]
   [poz.handles :as h]
   [poz.identity.issue :as issue]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(def ^:private alice (:record (h/person "alice")))
(def ^:private request (issue/request alice {:handle "alice" :domain "social.example" :path ["staff"]} h/t0 bytes/empty))
(def ^:private id (bytes/zeros 16))

(deftest what-was-put-is-read
  (testing "records"
    (is (= (record/encode alice) (record/encode (state/record (state/put-record (h/hash-of alice) alice) (h/hash-of alice)))))
    (is (= {[:record (h/hash-of alice)] nil} (state/put-record (h/hash-of alice) nil)))
    (is (nil? (state/record {} (h/hash-of alice)))))
  (testing "tickets"
    (doseq [decision [:pending :approved :rejected]
            :let [t {:request request :user (h/hash-of alice) :decision decision :reason "a reason"}]]
      (is (= t (state/ticket (state/put-ticket id t) id))))
    (is (= {[:ticket id] nil} (state/put-ticket id nil)))
    (is (nil? (state/ticket {} id))))
  (testing "the index of tickets"
    (let [index [{:ticket id :user (h/hash-of alice) :until 7}]]
      (is (= index (state/tickets (state/put-tickets index)))))
    (is (= [nil] (vals (state/put-tickets []))))
    (is (= [] (state/tickets {}))))
  (testing "handles"
    (let [book {:reserved {["social.example" [] "alice"] {:user (h/hash-of alice) :until 9}} :live {} :former {}}
          changes (state/changes {} book [["social.example" [] "alice"]])]
      (is (= {:reserved {:user (h/hash-of alice) :until 9}} (state/handle changes {:domain "social.example" :path [] :handle "alice"})))
      (is (nil? (state/handle changes {:domain "social.example" :path ["x"] :handle "alice"})))
      (is (= {} (state/changes book book [["social.example" [] "alice"]])))
      (is (= [nil] (vals (state/changes book {} [["social.example" [] "alice"]]))) "nothing is kept of what is free"))))
