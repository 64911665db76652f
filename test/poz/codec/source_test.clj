(ns poz.codec.source-test
  (:require
   [clojure.test :refer [deftest is]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.source :as source]
   [poz.identity :as identity]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.samples :as samples]
   [poz.signing :as signing]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private registry
  {:pair [:struct {:source true}
          [:a {:doc "one"} [:optional {} :u8]]
          [:b {:doc "two"} [:bytes {:prefix :u16}]]
          [:c {:doc "three"} :u16]]
   :plain [:struct {} [:a {:doc "one"} :u8]]
   :around [:list {} :pair]})

(defn- decoded [type hex]
  (codec/decode (codec/codec registry type) (bytes/hex-> hex)))

(defn- between [m first last]
  (bytes/->hex (source/between (source/of m) first last)))

(deftest a-decoded-struct-knows-its-bytes
  (let [m (decoded :pair "01090002aabb0102")]
    (is (= {:a 9 :b (bytes/hex-> "aabb") :c 258} m))
    (is (= "01090002aabb0102" (between m :a :c)))
    (is (= "0109" (between m :a :a)))
    (is (= "0002aabb0102" (between m :b :c))))
  (let [[m n] (decoded :around "00020000000001010700000002")]
    (is (= [{:b bytes/empty :c 1} {:a 7 :b bytes/empty :c 2}] [m n]))
    (is (= "00" (between m :a :a)) "a field that is not there has a byte that says so")
    (is (= "0107" (between n :a :a)))
    (is (= "0002" (between n :c :c)))))

(deftest only-the-very-map-that-was-decoded-has-a-source
  (let [m (decoded :pair "01090002aabb0102")]
    (is (some? (source/of m)))
    (is (nil? (source/of (assoc m :c 3))))
    (is (nil? (source/of (dissoc m :c))))
    (is (nil? (source/of (assoc m :a 8 :c 258))))
    (is (nil? (source/of (assoc (dissoc m :c) :c 258))) "equal again, and yet another map")
    (is (nil? (source/of (with-meta m nil))))
    (is (nil? (source/of (vary-meta m assoc :seen true))))
    (is (nil? (source/of {:a 9 :b (bytes/hex-> "aabb") :c 258})))
    (is (nil? (source/of (decoded :plain "01"))) "its type does not say so")
    (is (nil? (source/of nil)))))

(defn- whole
  "`statement` with its content in one piece."
  [statement]
  (update statement :content bytes/join))

(defn- statements
  "All statements of `record`, and the hashes that go over more than their contents."
  [{:keys [public-key-map] :as record}]
  (let [hashes (signing/key-hashes public-key-map)]
    (concat
      (for [r (chain/revisions record)] (whole (chain/statement r hashes :whole)))
      (for [r (chain/revisions record)] (chain/current-hash r (chain/statement r hashes)))
      (for [z (zone/zones record) :let [parts (zone/sections record z)
                                        grant (zone/grant-statement record z parts hashes)]
            statement [grant (zone/deny-statement record z parts (:hash grant) hashes)]]
        (whole statement))
      (map (comp whole identity/statement) (get-in record [:identity-zone :grant :body])))))

(defspec what-is-signed-is-the-same-by-the-bytes-that-arrived 200
  (prop/for-all [made samples/records]
    (let [arrived (record/parse (record/encode made))]
      (and (some? (source/of (:master-zone arrived)))
        (= made arrived)
        (= (statements made) (statements arrived))))))

(defn- changed
  "`arrived` with other values in it here and there."
  [arrived]
  (cond-> (update-in arrived [:master-zone :timestamp] #(inc (rem (long %) 1000)))
    (:service-zone arrived) (assoc-in [:service-authority :master-zone-hash] chain/zero)
    (:auth-zone arrived) (assoc-in [:auth-zone :grant :previous-zone-hash] chain/zero)
    (:email-zone arrived) (assoc-in [:email-zone :deny :timestamp] 0)))

(defspec what-is-signed-of-a-changed-record-is-what-it-says-now 100
  (prop/for-all [made samples/records]
    (let [arrived (record/parse (record/encode made))]
      (= (statements (changed made)) (statements (changed arrived))))))
