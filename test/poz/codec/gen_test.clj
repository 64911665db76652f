(ns poz.codec.gen-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [clojure.test.check.random :as random]
   [clojure.test.check.rose-tree :as rose]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.gen :as codec-gen]
   [poz.codec.node :as node]
   [poz.samples :as samples]))

(set! *warn-on-reflection* true)

(defn- generator [form & [algorithms]]
  (codec-gen/generator (node/parse samples/registry form) {:algorithms algorithms}))

(defn- some-of [form n & [algorithms]]
  (set (samples/sample (generator form algorithms) n)))

(defspec the-writer-takes-every-value 2000
  (prop/for-all [[type value] samples/any-value]
    (bytes/bytes? (codec/encode (:codec (samples/types type)) value))))

(defspec with-algorithms-every-index-fits 1000
  (let [algorithms [:x25519 :ed25519 200 :ml-dsa-65 :x25519]
        kinds (into {} (for [t [:master-zone :authority :feed-zone :email-zone :auth-zone :service-zone :key-names]]
                         [t [(codec/codec samples/registry t) (generator t algorithms)]]))]
    (prop/for-all [[type value] (gen/bind (gen/elements (sort (keys kinds)))
                                  (fn [t] (gen/tuple (gen/return t) (second (kinds t)))))]
      (bytes/bytes? (codec/encode (first (kinds type)) value {:algorithms algorithms})))))

(deftest what-needs-a-key-that-is-not-there
  (testing "has no generator"
    (are [form algorithms] (nil? (generator form algorithms))
      [:index {:use :sign}] [:x25519]
      [:index {:use :agree}] [:ed25519 :ml-dsa-65 9]
      :index []
      :master-zone [:x25519 :x25519]
      [:struct {} [:key {} [:index {:use :agree}]]] [:ed25519]))
  (testing "or leaves a list empty, an optional out"
    (is (= #{[]} (some-of :signatures 20 [])))
    (is (= #{[]} (some-of [:list {:sort :item} [:index {:use :sign}]] 20 [:x25519])))
    (is (= #{{}} (some-of [:struct {} [:k {} [:optional {} [:index {:use :sign}]]]] 20 [:x25519])))
    (is (= #{[]} (some-of :email-body 20 [:ed25519]))))
  (testing "or leaves the counts that are not possible"
    (is (= #{2 4} (set (map count (some-of [:list {:counts [2 4 8] :sort :item} [:index {:use :sign}]] 60
                                    [:ed25519 :x25519 :ed25519 :ed25519 3 4])))))))

(deftest ends-of-ranges-come-up
  (let [found (some-of [:u32 {:min 5 :max 90000}] 200)]
    (is (contains? found 5))
    (is (contains? found 90000)))
  (is (some #(= 253 (count %)) (some-of :domain 200)))
  (is (some #(re-find #"xn--" %) (some-of :domain 100)))
  (is (some #(= 255 (count (bytes/utf8 %))) (some-of :handle 100)))
  (is (some #(re-find #"[^\u0000-\u007f]" %) (some-of :handle 50)))
  (is (some #(= "" %) (some-of :string 300)))
  (is (some bytes/zero-bytes? (some-of :hash 200)))
  (is (some int? (some-of :algorithm 100)))
  (is (= #{0 8} (into #{} (filter #{0 8}) (map count (some-of [:list {:max 8} :segment] 300))))))

(deftest genesis-and-later-revisions-come-up
  (let [serials (map :serial (some-of :master-zone 300))]
    (is (some #{1} serials))
    (is (some #(< 1 (long %)) serials)))
  (let [denies (map #(get-in % [:deny :serial]) (some-of :email-zone 200))]
    (is (some zero? denies))
    (is (some pos? denies))))

(defn- smallest
  "What the first value of a generator shrinks to where every smaller one fails too."
  [form]
  (loop [tree (gen/call-gen (generator form) (random/make-random 7) 30)]
    (if-let [smaller (first (rose/children tree))]
      (recur smaller)
      (rose/root tree))))

(deftest values-shrink-to-simple-ones
  (are [form value] (= value (smallest form))
    [:u8 {:min 3}] 3
    :handle "a"
    :domain "a"
    :hash (bytes/zeros 32)
    :algorithm :ed25519
    :denials []))
