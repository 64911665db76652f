(ns poz.client.mirrors-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.client.mirrors :as mirrors]
   [poz.client.pins :as pins]))

(set! *warn-on-reflection* true)

(def ^:private hash-0 (bytes/zeros 32))
(def ^:private a {:host "a.example" :port 7075 :encryption :noise-nk :public-key (bytes/zeros 32) :priority 0 :weight 0})
(def ^:private b (assoc a :host "b.example"))
(def ^:private both (pins/mirrored pins/none hash-0 [a b] 1000))

(deftest whom-to-ask
  (is (= [a b] (mirrors/known both hash-0 [])))
  (is (= [b] (mirrors/known both hash-0 [(assoc a :priority 9 :contract :query)])) "the domain names it itself")
  (is (= [a b] (mirrors/known both hash-0 [(assoc a :port 9) (assoc b :public-key (bytes/zeros 31))])) "another server")
  (is (= [] (mirrors/known both (bytes/zeros 31) []) (mirrors/known pins/none hash-0 []))))

(deftest who-answered
  (are [expected mirrors server] (= expected (mirrors/one-of? mirrors server))
    true [a b] (assoc b :contract :query), false [a] b, false [] a, false [a] (dissoc a :public-key)))

(deftest when-to-ask-again
  (are [expected pins now] (= expected (mirrors/due? pins hash-0 now))
    true pins/none 0, false both 1000, false both 86401000, true both 86401001)
  (testing "to be told of none is to be told"
    (is (false? (mirrors/due? (pins/mirrored pins/none hash-0 [] 1000) hash-0 1000)))))

(deftest whom-to-remember
  (is (= [a] (mirrors/kept [(assoc (dissoc a :public-key) :encryption :none) a])))
  (is (= [] (mirrors/kept [])))
  (is (= (range 8) (map :port (mirrors/kept (map #(assoc a :port %) (range 255)))))))
