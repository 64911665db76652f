(ns poz.codec.ids-test
  "Which item is found to share its id with one before it, and that nobody can choose ids of one hash."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.codec.ids :as ids]
   [poz.codec.node :as node]
   [poz.samples :as samples]))

(set! *warn-on-reflection* true)

(defn- first-shared
  "The first position in `items` whose item shares its id with one before it. Items that are
  numbers have a byte each."
  [form items]
  (let [{:keys [seen shares-id?]} (ids/id-check (node/parse samples/registry form))
        n (count items) known (seen (object-array items) n 0)
        array (byte-array (if (number? (first items)) items []))]
    (first (filter #(shares-id? known array % (inc (long %))) (range n)))))

(deftest the-first-item-that-shares-an-id-is-found
  (doseq [n [3 8 9 200]
          :let [services (mapv (fn [i] {:type :mail :name (str i) :hosts [i]}) (range n))
                unsorted [:list {:id [:type :name]} (peek (:service-body samples/registry))]
                numbers (mapv #(- (long %) 100) (range n))]]
    (is (nil? (first-shared unsorted services)))
    (is (= 2 (first-shared unsorted (assoc services 2 {:type :mail :name "0" :hosts []}))) n)
    (is (nil? (first-shared unsorted (assoc services 2 {:type :feed :name "0" :hosts [0]}))) n)
    (is (= (dec n) (first-shared [:list {:distinct true} :u8] (assoc numbers (dec n) -100))) n)
    (is (nil? (first-shared [:list {:distinct true} :u8] numbers)) n))
  (is (nil? (ids/id-check (node/parse {} [:list {} :u8])))))

(deftest of-sorted-items-that-begin-with-their-id-neighbours-are-compared
  (let [services [{:name "a" :type :mail :hosts [1]} {:name "a" :type :feed :hosts [1]} {:name "a" :type :feed :hosts [2]}]]
    (is (= 2 (first-shared :service-body services)))
    (is (= 1 (first-shared :service-body (subvec services 1))))
    (is (nil? (first-shared :service-body (subvec services 0 2))))
    (is (nil? (first-shared :service-body []))))
  (let [entry (fn [path domain] {:authority-hash 1 :authority-domain domain :path path :user-handle "x"})]
    (is (= 2 (first-shared :identity-body [(entry [] "a") (entry ["p"] "b") (entry [] "c")]))
      "an id that is not what an item begins with, also where it is apart")))

(deftest what-no-two-items-share
  (let [id (fn [form] (ids/id-fn (node/parse samples/registry form)))]
    (is (= "main" ((id :feed-body) {:name "main" :chains []})))
    (is (= [:mail "x"] ((id :service-body) {:name "x" :type :mail})))
    (is (= {:a 1} ((id [:list {:distinct true} :u8]) {:a 1})))
    (is (nil? (id [:list {} :u8])))))

(defn- words
  "2^`n` strings, or byte strings by `f`, of one hash in Java and in Clojure."
  [n f]
  (mapv #(f (apply str (map (fn [bit] (if (bit-test % bit) "Aa" "BB")) (range n)))) (range (bit-shift-left 1 n))))

(deftest nobody-can-choose-ids-of-one-hash
  (let [hash-of (#'ids/hash-fields [:a :b])
        distinct-hashes (fn [items] (count (into #{} (map hash-of) items)))]
    (doseq [f [identity (comp bytes/utf8 str/reverse) vector] :let [all (words 10 f)]]
      (is (= 1 (count (set (map hash all)))) "as they are")
      (is (= 1024 (distinct-hashes (map #(hash-map :a 1 :b %) all)) (distinct-hashes (map #(hash-map :a % :b 1) all)))))
    (testing "where one part ends and the next begins is told too"
      (is (= 3 (distinct-hashes [{:a "ab" :b "c"} {:a "a" :b "bc"} {:a "abc" :b ""}])))
      (is (= 3 (distinct-hashes [{:a ["ab" "c"]} {:a ["a" "bc"]} {:a ["abc"]}]))))
    (is (= 1 (distinct-hashes [{:a 7 :b (bytes/utf8 "abcde")} {:a (int 7) :b (bytes/slice (bytes/utf8 "xabcde") 1)}]))
      "what is equal has one hash")))

(deftest the-hash-is-the-polynomial
  (let [p (.subtract (.shiftLeft BigInteger/ONE 61) BigInteger/ONE)
        big (fn [n] (BigInteger/valueOf (long n)))]
    (doseq [h [0 1 5 (dec (.longValueExact p))] x [1 2 0x123456789abcdef (dec (.longValueExact p))] word [0 1 0xffffffff]]
      (is (= (.longValueExact (.mod (.add (.multiply ^BigInteger (big h) (big x)) (big word)) p))
             (#'ids/absorb h x word))))))
