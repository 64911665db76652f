(ns poz.record.schema-test
  (:require
   [clojure.test :refer [are deftest is]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec.validate :as validate]
   [poz.record :as record]
   [poz.record.schema :as record-schema]
   [poz.samples :as samples]
   [poz.vectors :as vectors]))

(set! *warn-on-reflection* true)

(def ^:private schema (record-schema/record-schema))

(defn- genesis []
  (record/decode (vectors/file-bytes "records/genesis-minimal.poz")))

(defn- problems [record]
  (mapv (juxt :path :message) (validate/explain schema record)))

(defspec every-generated-record-meets-the-schema 1000
  (prop/for-all [record samples/records]
    (validate/validate schema record)))

(defn- changed
  "A record that differs from `record` at one place, but for the map of unknown sections;
  its key map stays a vector, which the encoder asks for before it looks at anything."
  [record seed]
  (let [mutated (samples/mutate (dissoc record :unknown-sections) seed)]
    (if (and (map? mutated) (not (vector? (get mutated :public-key-map []))))
      record
      mutated)))

(defspec schema-and-encoder-take-the-same-records 1500
  (prop/for-all [record samples/records
                 seed samples/seeds]
    (let [mutated (changed record seed)
          accepted (samples/accepted? #(record/encode mutated))]
      (and (= accepted (validate/validate schema mutated))
           (or (not accepted) (= mutated (record/decode (record/encode mutated))))))))

(deftest every-vector-meets-the-schema
  (doseq [file (vectors/record-files)]
    (is (= [] (problems (record/decode (vectors/file-bytes file)))) file)))

(deftest what-only-the-whole-record-can-tell
  (are [change found] (= found (problems (change (genesis))))
    #(dissoc % :master-zone)
    [[[:master-zone] "a value is needed here"]]

    #(assoc % :feed-authority {:master-zone-hash (bytes/zeros 32) :keys []})
    [[[:feed-zone] "the Feed Authority comes with the Public Feed Zone"]]

    #(assoc-in % [:master-zone :master-keys 0 :key] 1)
    [[[:master-zone :master-keys 0 :key] "a position in a map of 1 keys, not 1"]]

    #(assoc-in % [:public-key-map 0 :algorithm] :x25519)
    [[[:master-zone :master-keys 0 :key] "a key that signs, not key 0, x25519"]]

    #(assoc % :key-names [{:key 0 :name "a"} {:key 7 :name "b"}])
    [[[:key-names 1 :key] "a position in a map of 1 keys, not 7"]]))

(deftest unknown-sections-are-codes-and-bytes
  (are [sections valid] (= valid (validate/validate schema (assoc (genesis) :unknown-sections sections)))
    {96 (bytes/zeros 3), 65535 bytes/empty} true
    {} false
    nil false
    [] false
    {96 "bytes"} false
    {1 bytes/empty} false
    {65536 bytes/empty} false
    {-1 bytes/empty} false
    (zipmap (range 100 162) (repeat bytes/empty)) true
    (zipmap (range 100 163) (repeat bytes/empty)) false))
