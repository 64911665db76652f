(ns poz.integration.store-postgresql-test
  "The store in PostgreSQL, with a server of its own."
  (:require
   [clojure.test :refer [deftest is testing use-fixtures]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.integration.postgresql-server :as server]
   [poz.integration.two-servers :as two-servers]
   [poz.store :as store]
   [poz.store.compliance :as compliance]
   [poz.store.postgresql :as postgresql])
  (:import
   (java.sql DriverManager)))

(set! *warn-on-reflection* true)

(use-fixtures :once server/with-server)

;; Stores

(def ^:private options {:user "poz"})

(defn- empty-store ^java.lang.AutoCloseable []
  (with-open [c (DriverManager/getConnection (str (server/url) "?user=poz")), s (.createStatement c)]
    (.execute s "drop table if exists entry, migration"))
  (postgresql/open (server/url) options))

(def ^:private k [:entry (bytes/hex-> "00")])

(deftest it-is-a-store
  (compliance/check empty-store {:trials 150})
  (compliance/check-closed empty-store))

(deftest two-servers-share-it
  (with-open [one (empty-store), two (postgresql/open (server/url) options)]
    (let [add! (fn [s]
                 (loop [left 40]
                   (when (pos? left)
                     (let [held (get (store/fetch s [k]) k)
                           more (bytes/concat (or held bytes/empty) (bytes/zeros 1))]
                       (recur (if (store/commit! s {k held} {k more}) (dec left) left))))))
          adding (mapv #(future (add! %)) [one two one two])]
      (is (= [nil nil nil nil] (mapv #(deref % 60000 :late) adding)))
      (is (= {k (bytes/zeros 160)} (store/fetch two [k]))))))

(deftest two-servers-of-one-authority
  (.close (empty-store))
  (two-servers/race (str (server/url) "?user=poz")))

(deftest wrong-arguments
  (is (thrown-with-msg? IllegalArgumentException #"Unknown option :pool" (postgresql/open (server/url) {:pool 1})))
  (is (thrown-with-msg? IllegalArgumentException #"jdbc:postgresql:" (postgresql/open "localhost"))))

(deftest a-server-that-goes-and-comes-back
  (with-open [s (empty-store)]
    (is (true? (store/commit! s {} {k (bytes/zeros 1)})))
    (is (= {k (bytes/zeros 1)} (store/fetch s [k])))
    (server/stop!)
    (testing "meanwhile"
      (dotimes [_ 2]
        (is (= :store/lost (:poz/error (error/attempt #(store/commit! s {} {k nil})))))
        (is (= :store/lost (:poz/error (error/attempt #(store/fetch s [k])))))
        (is (= :store/lost (:poz/error (error/attempt #(postgresql/open (server/url) options)))))))
    (server/start!)
    (is (= {k (bytes/zeros 1)} (store/fetch s [k])) "what was committed outlives a server that is killed")
    (is (true? (store/commit! s {k (bytes/zeros 1)} {k nil})))))
