(ns poz.authority.transaction-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.authority.transaction :as transaction]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store :as store]))

(set! *warn-on-reflection* true)

(defn- k [s] [:k (bytes/utf8 s)])
(defn- v [n] (bytes/utf8 (str n)))

(defn- counting
  "`store` that notes its commits in `commits` and calls `(before n)` ahead of the n-th."
  [store commits before]
  (reify store/Store
    (fetch [_ ks] (store/fetch store ks))
    (scan [_ kind after limit] (store/scan store kind after limit))
    (commit! [_ expected changes]
      (before (count (swap! commits conj changes)))
      (store/commit! store expected changes))
    (close! [_] (store/close! store))))

(deftest changes-are-made
  (let [s (store/memory)]
    (is (= {:n 1 :changes {(k "a") (v 1)}}
          (transaction/transact! s (fn [read] {:n (if (read (k "a")) 0 1) :changes {(k "a") (v 1)}}))))
    (is (= {(k "a") (v 1)} (store/fetch s [(k "a")])))))

(deftest what-is-there-is-not-set-again
  (let [s (store/memory) commits (atom [])]
    (store/commit! s {} {(k "a") (v 1)})
    (doseq [changes [{(k "a") (v 1)} {} nil]]
      (is (some? (transaction/transact! (counting s commits identity) (fn [read] (read (k "a")) {:changes changes})))))
    (is (= [] @commits))
    (testing "unless it was not read"
      (transaction/transact! (counting s commits identity) (fn [_] {:changes {(k "a") (v 1)}}))
      (is (= 1 (count @commits))))))

(deftest somebody-else-is-faster
  (let [s (store/memory) commits (atom [])
        racing (counting s commits (fn [n] (when (< (long n) 4) (store/commit! s {} {(k "a") (v (str "other " n))}))))
        decided (transaction/transact! racing
                  (fn [read] (let [seen (read (k "a"))] {:seen seen :changes {(k "a") (bytes/concat (or seen bytes/empty) (v "!"))}})))]
    (is (= 4 (count @commits)))
    (is (= (v "other 3") (:seen decided)))
    (is (= {(k "a") (v "other 3!")} (store/fetch s [(k "a")]))))
  (testing "again and again"
    (let [s (store/memory)
          racing (counting s (atom []) (fn [n] (store/commit! s {} {(k "a") (v n)})))]
      (is (= :wire/busy (:poz/error (transaction/transact! racing (fn [read] (read (k "a")) {:changes {(k "a") (v "mine")}}))))))))

(deftest what-is-only-read-is-of-one-moment
  (let [s (store/memory) times (atom 0)]
    (store/commit! s {} {(k "a") (v 0) (k "b") (v 0)})
    (is (= [(v 1) (v 1)]
          (:seen (transaction/transact! s
                   (fn [read]
                     (let [a (read (k "a"))]
                       (when (= 1 (swap! times inc)) (store/commit! s {} {(k "a") (v 1) (k "b") (v 1)}))
                       {:seen [a (read (k "b"))]}))))))
    (is (= 2 @times))))

(deftest what-is-read-twice-is-the-same
  (let [s (store/memory)]
    (store/commit! s {} {(k "a") (v 0)})
    (transaction/transact! s
      (fn [read]
        (let [before (read (k "a"))]
          (store/commit! s {} {(k "a") (v 1)})
          (is (= before (read (k "a"))))
          {})))))

(deftest a-failure-of-the-store-passes-through
  (is (= :store/lost
        (:poz/error (error/attempt
                      #(transaction/transact!
                         (counting (store/memory) (atom []) (fn [_] (error/fail! :store/lost)))
                         (fn [_] {:changes {(k "a") (v 1)}})))))))
