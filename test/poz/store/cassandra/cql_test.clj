(ns poz.store.cassandra.cql-test
  "What is said to Cassandra, without one."
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.store.cassandra.cql :as cql]
   [poz.store.row :as row]))

(set! *warn-on-reflection* true)

(def ^:private b (bytes/hex-> "00ff01"))
(def ^:private value (bytes/utf8 "value"))

(deftest addresses
  (is (= {:hosts ["db1:9042" "db2:19042"] :keyspace "poz" :dc "dc1" :replicas 3}
         (cql/address "cassandra://db1,db2:19042/poz?dc=dc1&replicas=3")))
  (is (nil? (:replicas (cql/address "cassandra://db1/poz?dc=dc1"))))
  (are [url] (nil? (cql/address url))
    nil :cassandra "" "cassandra://db1/poz" "cassandra://db1/poz?" "cassandra:///poz?dc=a" "cassandra://db1/?dc=a"
    "cassandra://db1/poz?dc=" "cassandra://db1/poz?dc=a'b" "cassandra://db1/po z?dc=a" "cassandra://db1/poz?dc=a&x=1"
    "cassandra://db1/poz?dc=a&replicas=0" "cassandra://db1/poz?dc=a&replicas=x" "jdbc:postgresql://db1/poz"))

(deftest keys-have-their-tables
  (is (= ["record" b] (cql/partition-of [:record b])))
  (is (= ["handle" b] (cql/partition-of [:handle b])))
  (is (= ["entry" (bytes/hex-> "612f620000ff01")] (cql/partition-of [:a/b b])))
  (is (= ["a/b" (bytes/hex-> "00ff") b] (cql/note-of [:a/b b])))
  (is (= ["a" bytes/empty bytes/empty] (cql/note-of [:a bytes/empty]))))

(deftest keys-come-back
  (doseq [keys [[] [[:a bytes/empty]] [[:a/b b] [:record (bytes/zeros 70000)] [:ü b]]]]
    (is (= keys (cql/bytes->keys (cql/keys->bytes keys))))))

(def ^:private locked (row/locked (assoc row/absent :version 7 :value b) "t" [:a b] value))

(deftest rows-come-back
  (doseq [r [row/absent locked (row/ended locked :committed) (row/decided locked "t" nil [[:a b] [:record b]])]]
    (is (= r (update (cql/row (cql/columns r)) :done #(when % (update % :others (fn [x] (or x [])))))))))

(deftest a-swap-is-one-statement
  (is (= ["update record set lock_id = ?, lock_primary = ?, next = ? where k = ? if version = null and lock_id = null"
          ["t" (cql/keys->bytes [[:a b]]) value b]]
         (cql/swap [:record b] row/absent (row/locked row/absent "t" [:a b] value))))
  (is (= ["update record set version = ?, lock_id = ?, lock_primary = ?, next = ? where k = ? if version = ? and lock_id = ?"
          [8 nil nil nil b 7 "t"]]
         (cql/swap [:record b] locked (row/ended locked :aborted))))
  (is (= ["update entry set version = ?, value = ?, done_id = ? where k = ? if version = null and lock_id = null"
          [1 value "t" (bytes/concat (bytes/utf8 "a") (bytes/zeros 1) b)]]
         (cql/swap [:a b] row/absent (row/decided row/absent "t" value nil)))))

(deftest reading
  (is (= "select version, lock_id from record where k = ?" (cql/select "record" ["version" "lock_id"]))))
