(ns poz.damage.tree-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.damage.tree :as tree]
   [poz.record :as record]
   [poz.vectors :as vectors]))

(set! *warn-on-reflection* true)

(def ^:private all-zones (delay (vectors/file-bytes "records/all-zones.poz")))

(deftest apart-and-together
  (doseq [file (vectors/record-files) :let [b (vectors/file-bytes file)]]
    (testing file
      (is (= b (tree/file (tree/tree b))))))
  (is (thrown-with-msg? IllegalArgumentException #"well-formed" (tree/tree (bytes/hex-> "504f")))))

(defn- edited [& edits]
  (record/decode (tree/file (tree/edit-all (tree/tree @all-zones) edits))))

(defn- error [& edits] (:poz/error (apply edited edits)))

(deftest counts-and-lengths-follow
  (let [delegations #(count (get-in % [:master-zone :delegations]))]
    (is (= (dec (delegations (record/decode @all-zones))) (delegations (edited [:drop [:master-zone :delegations 0]]))))
    (is (= "a longer name" (get-in (edited [:utf8 [:email-zone :grant :body 0 :name] "a longer name"]) [:email-zone :grant :body 0 :name])))
    (is (= {0x60 (bytes/hex-> "aabb")} (:unknown-sections (edited [:section 0x60 "aabb"]))))
    (is (nil? (:email-zone (edited [:drop [:email-zone]] [:drop [:email-authority]]))))))

(deftest what-an-edit-sets-stays
  (are [code edits] (= code (apply error edits))
    :format/size [[:add [:header :size] 1]]
    :format/magic [[:flip [:header :magic] 0]]
    :format/overlap [[:add [:toc 3 :offset] -1]]
    :format/gap [[:int [:toc 3 :offset] 4294967295]]
    :format/unsorted [[:swap [:master-zone :delegations 0]]]
    :format/duplicate [[:twice [:master-zone :delegations 0]]]
    :format/unsorted [[:reverse [:master-zone :delegations]]]
    :format/trailing [[:append [:master-zone :signatures] "00"]]
    :format/trailing [[:append [:master-zone] "00"]]
    :format/range [[:put [:master-zone :serial] "00000000"]]
    :format/section-missing [[:drop [:master-zone]]]))

(deftest an-edit-that-leads-nowhere-changes-nothing
  (doseq [e [[:put [:nope] "00"] [:int [:master-zone :delegations 99 :grant] 1] [:drop [:master-zone :nope]] [:twice [:public-key-map 99]]
             [:swap [:nope 1]] [:reverse [:nope]] [:move [:master-zone :serial] [:nope]] [:append [:nope] "00"] [:flip [:nope] 3]]]
    (is (= (record/decode @all-zones) (edited e)) e)))

(deftest a-bit-counts-around-the-end
  (let [flipped (fn [n] (get-in (edited [:flip [:email-zone :grant :body 0 :guid] n]) [:email-zone :grant :body 0 :guid]))]
    (is (= (flipped 3) (flipped (+ 3 128))))
    (is (not= (flipped 3) (flipped 4)))))

(deftest numbers-in-bytes
  (are [n width hex] (= hex (bytes/->hex (tree/number-bytes n width)))
    0 1 "00"
    255 1 "ff"
    256 1 "00"
    -1 2 "ffff"
    258 4 "00000102"
    18446744073709551615N 8 "ffffffffffffffff")
  (are [hex n] (= n (tree/number {:bytes (bytes/hex-> hex)}))
    "" 0, "00" 0, "0102" 258, "ffffffffffffffff" 18446744073709551615N))

(deftest every-leaf-can-be-hit
  (let [t (tree/tree @all-zones) paths (tree/leaf-paths t)]
    (is (= (count (tree/leaves t)) (count paths)))
    (is (apply distinct? paths))
    (is (every? #(:bytes (tree/at t %)) paths))
    (is (= @all-zones (tree/flat t)))))
