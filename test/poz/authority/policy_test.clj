(ns poz.authority.policy-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.authority.policy :as policy]
   [poz.bytes :as bytes]
   [poz.handles :as h]))

(set! *warn-on-reflection* true)

(def ^:private alice (:record (h/person "alice")))
(def ^:private alice-hash (bytes/->hex (h/hash-of alice)))

(defn- answer [form address]
  ((policy/policy form) {:request {} :record alice :address address}))

(deftest names
  (are [form expected] (= expected (answer form ["example.com" [] "alice"]))
    :approve :approve
    :manual :hold
    :reject {:reject "no handles are given out here"}))

(deftest lists
  (are [rules address expected] (= expected (answer {:approve rules} address))
    [] ["example.com" [] "alice"] :hold
    ["alice@example.com"] ["example.com" [] "alice"] :approve
    ["alice@example.com"] ["example.com" ["staff"] "alice"] :hold
    ["alice@example.com"] ["example.com" [] "alice2"] :hold
    ["alice@example.com"] ["examplexcom" [] "alice"] :hold
    ["*@example.com"] ["example.com" [] "anybody"] :approve
    ["*@example.com"] ["example.com" ["staff"] "anybody"] :hold
    ["*@example.com/staff/*"] ["example.com" ["staff" "eu"] "bob"] :approve
    ["*@example.com/staff/*"] ["example.com" ["staff" "eu" "x"] "bob"] :hold
    ["a*z@example.com"] ["example.com" [] "abcz"] :approve
    ["no@example.com" "alice@example.com"] ["example.com" [] "alice"] :approve
    ["(a|b)+@example.com"] ["example.com" [] "a"] :hold)
  (testing "bound to a record"
    (is (= :approve (answer {:approve [{:address "alice@example.com" :record alice-hash}]} ["example.com" [] "alice"])))
    (is (= :hold (answer {:approve [{:address "alice@example.com" :record (apply str (repeat 64 "0"))}]} ["example.com" [] "alice"]))))
  (testing "everybody else"
    (is (= :hold (answer {:approve [] :else :manual} ["example.com" [] "alice"])))
    (is (= [:reject] (keys (answer {:approve [] :else :reject} ["example.com" [] "alice"]))))))

(deftest a-function-of-ones-own
  (is (= {:reject "example.com"} (answer (fn [{[domain] :address}] {:reject domain}) ["example.com" [] "alice"]))))

(deftest faults
  (are [form sentence] (re-find sentence (policy/fault form))
    :sometimes #"no policy is called :sometimes"
    "approve" #"a keyword, a map or a function"
    nil #"a keyword, a map or a function"
    {:approve [] :deny []} #"not :deny"
    {} #":approve is a list"
    {:approve ["alice"]} #"not \"alice\""
    {:approve [{:address "alice@example.com"}]} #"a rule is"
    {:approve [{:address "alice@example.com" :record "00"}]} #"a rule is"
    {:approve [] :else :hold} #":else is")
  (is (nil? (policy/fault {:approve ["*@example.com"] :else :reject})))
  (is (thrown-with-msg? IllegalArgumentException #"no policy is called" (policy/policy :sometimes))))
