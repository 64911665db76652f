(ns poz.crypto.memo-test
  "The bound, the copy, and many threads."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.crypto.memo :as memo]))

(set! *warn-on-reflection* true)

(defn- counting
  "A function of byte strings that gives their size, nil for the empty one, and an atom
  with how often each was asked for."
  []
  (let [calls (atom {})]
    [(fn [b]
       (swap! calls update b (fnil inc 0))
       (when (pos? (count b)) (count b)))
     calls]))

(deftest remembers-within-its-bound
  (let [[f calls] (counting)
        g (memo/bounded 2 f)
        [a b c] (map bytes/utf8 ["a" "b" "c"])]
    (testing "each is computed once, nil too"
      (is (= [1 1 nil nil] (map g [a a bytes/empty bytes/empty])))
      (is (= {a 1 bytes/empty 1} @calls)))
    (testing "the one used last stays, the other goes"
      (run! g [a b a bytes/empty])
      (is (= {a 1 b 1 bytes/empty 2} @calls)))
    (testing "what throws is not kept"
      (let [h (memo/bounded 2 (fn [_] (throw (IllegalStateException. "no"))))]
        (is (thrown? IllegalStateException (h c)))
        (is (thrown? IllegalStateException (h c)))))))

(deftest remembers-a-copy
  (let [array (byte-array [1 2 3])
        calls (atom 0)
        g (memo/bounded 2 (fn [_] (swap! calls inc)))]
    (g (bytes/wrap array))
    (aset array 0 (byte 9))
    (is (= 1 (g (bytes/hex-> "010203"))))
    (is (= 1 @calls))))

(deftest many-threads
  (let [g (memo/bounded 8 count)
        inputs (vec (for [i (range 32)] (bytes/zeros i)))]
    (is (every? true? (apply concat
                             (pmap (fn [_] (doall (for [_ (range 200) b (shuffle inputs)]
                                                    (= (count b) (g b)))))
                                   (range 8)))))))

(deftest once
  (let [calls (atom 0)
        f (memo/once #(swap! calls inc))]
    (is (= 0 @calls))
    (is (= [1 1] [(f) (f)])))
  (testing "what throws is not kept"
    (let [calls (atom 0)
          f (memo/once #(if (= 1 (swap! calls inc)) (throw (IllegalStateException. "no")) :yes))]
      (is (thrown? IllegalStateException (f)))
      (is (= :yes (f)))))
  (testing "no call waits for another"
    (let [inside (promise) go-on (promise)
          f (memo/once #(if (realized? inside) :later (do (deliver inside true) @go-on :earlier)))
          earlier (future (f))]
      (deref inside 60000 nil)
      (is (= :later (f)))
      (deliver go-on true)
      (is (= :earlier (deref earlier 60000 nil))))))
