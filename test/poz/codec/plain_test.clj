(ns poz.codec.plain-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.node :as node]
   [poz.codec.plain :as plain]
   [poz.error :as error]
   [poz.format :as format]
   [poz.vectors :as vectors]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- node-of [form] (node/parse (:types format/format) form))

(deftest one-value
  (are [form x value] (= value (plain/value (node-of form) x))
    [:bytes {:size 2}] "00fF" (bytes/hex-> "00ff")
    [:bytes {:size 2}] "00f" "00f"
    [:bytes {:size 2}] "zz" "zz"
    [:bytes {:size 2}] 7 7
    [:enum {:as :u8 :codes [[1 :poz-query {}]]}] "poz-query" :poz-query
    [:enum {:as :u8 :codes [[1 :poz-query {}]]}] "poz_query" :poz-query
    [:enum {:as :u8 :codes [[1 :poz-query {}]]}] 1 :poz-query
    [:enum {:as :u8 :codes [[1 :poz-query {}]]}] 2 2
    [:enum {:as :u8 :codes [[1 :poz-query {}]]}] "nope" "nope"
    [:list {} :u8] [1 2] [1 2]
    [:list {} [:bytes {:size 1}]] '("01" "02") [(bytes/hex-> "01") (bytes/hex-> "02")]
    [:list {} :u8] "no list" "no list"
    [:optional {} [:bytes {:size 1}]] nil nil
    [:optional {} [:bytes {:size 1}]] "0a" (bytes/hex-> "0a")
    :u8 300 300))

(deftest structs
  (let [node (node-of [:struct {} [:a-b {:doc ""} :u8] [:c {:doc ""} [:optional {} [:bytes {:size 1}]]]])]
    (is (= {:a-b 1 :c (bytes/hex-> "0b")} (plain/value node {"a_b" 1 "c" "0b"}) (plain/value node {:a-b 1 :c "0b"})))
    (testing "null is no such key, where that may be absent"
      (is (= {:a-b nil} (plain/value node {"a-b" nil "c" nil}))))
    (testing "what is not known stays, for who encodes to object to"
      (is (= {:a-b 1 :extra 2} (plain/value node {"a-b" 1 "extra" 2}))))
    (is (= 5 (plain/value node 5)))))

(deftest the-vectors-as-plain-values
  (let [sections (into {} (map (juxt :zone :section)) format/zones)]
    (is (= 5 (count sections)))
    (doseq [{:keys [file decoded]} (:records (vectors/json "records.json"))
            [z x] (:zones decoded)
            :let [type (zone/zone-key (keyword z))]]
      (is (= (vectors/->value type x) (plain/value (node-of type) x)) [file z]))))

(deftest whoever-encodes-says-what-is-wrong
  (let [entry {"name" "web" "type" "https"
               "hosts" [{"hostname" "www.example" "port" 443 "transport" "tcp" "encryption" "tls" "priority" 0 "weight" 0}]}
        fault (fn [path v]
                (let [c (codec/of-node (zone/entry-node :service))]
                  (error/attempt #(codec/encode c (plain/value (:node c) (assoc-in entry path v))))))]
    (is (bytes/bytes? (fault ["name"] "web")))
    (are [path v error at] (= [error at] ((juxt :poz/error :path) (fault path v)))
      ["type"] "nonsense" :format/code [:type]
      ["hosts" 0 "port"] 70000 :format/range [:hosts 0 :port]
      ["hosts" 0 "hostname"] "WWW.example" :format/domain [:hosts 0 :hostname])))
