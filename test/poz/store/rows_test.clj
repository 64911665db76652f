(ns poz.store.rows-test
  "A store over rows that change one at a time: it does what every store does, whoever dies at
  whatever step, and whether or not it is told what became of a statement."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store :as store]
   [poz.store.compliance :as compliance]
   [poz.store.rows :as rows]
   [poz.store.rows-in-memory :as memory])
  (:import
   (java.util Random)))

(set! *warn-on-reflection* true)

(defn- k [kind n] [kind (bytes/wrap (byte-array [n]))])
(defn- v [n] (bytes/utf8 (str n)))
(defn- number [b] (parse-long (String. (bytes/->array b))))

(defn- client
  ([table] (client table (fn [_])))
  ([table trouble] (rows/store (memory/using table trouble) 20)))

(deftest it-is-a-store
  (compliance/check #(client (memory/table)) {:trials 200}))

(deftest wrong-arguments
  (let [s (client (memory/table))]
    (is (thrown? IllegalArgumentException (store/fetch s ["a"])))
    (is (thrown? IllegalArgumentException (store/commit! s {} {:a nil})))
    (is (thrown? IllegalArgumentException (store/commit! s {} {(k :a 1) "text"})))))

;; Death at each step

(defn- dying-at
  "Trouble that ends the client with its statement `n`: nothing it does after that happens."
  [n]
  (let [left (atom n)]
    (fn [_] (when (neg? (long (swap! left dec))) (throw (Error. "It died."))))))

(def ^:private before {(k :handle 1) (v 0), (k :record 1) (v 10), (k :record 2) (v 20)})
(def ^:private changes {(k :handle 1) nil, (k :handle 2) (v 1), (k :record 1) (v 11), (k :record 3) (v 30)})
(def ^:private after (into {} (filter val) (merge before changes)))
(def ^:private all-keys (keys (merge before changes)))

(defn- everything [s]
  (into {} (mapcat #(store/scan s % nil 10)) [:handle :record]))

(defn- left-by-the-dead
  "What another client finds after one died at the step `n` of a commit; nil if it lived."
  [n]
  (let [table (memory/table)
        other (client table)]
    (store/commit! other {} before)
    (when (try (store/commit! (client table (dying-at n)) before changes) nil
               (catch Error _ :died))
      other)))

(deftest whoever-dies-leaves-all-or-nothing
  (let [found (doall (for [n (range), :let [s (left-by-the-dead n)] :while s]
                       (testing (str "at the step " n)
                         (let [content (store/fetch s all-keys)]
                           (is (contains? #{before after} content))
                           (is (= content (everything s)) "the list of keys has them")
                           (is (true? (store/commit! s content {(k :record 1) (v 12)})) "and nobody is locked out")
                           content))))]
    (is (= #{before after} (set found)))
    (is (= [before after] (dedupe found)) "it becomes true at one step")
    (is (< 20 (count found)))))

(deftest who-comes-by-may-die-too
  (doseq [n (range 8 40 2), :let [s (left-by-the-dead n)] :when s
          m (range 0 30 3)]
    (let [table (:rows (.-state ^poz.store.rows.RowStore s))]
      (try (store/fetch (client table (dying-at m)) all-keys) (catch Error _ nil))
      (is (contains? #{before after} (store/fetch s all-keys)) (str n " and " m)))))

(deftest what-is-decided-outlives-the-next-on-its-primary
  (doseq [n (range 60), :let [s (left-by-the-dead n)] :when s]
    (let [primary (k :handle 1)]
      ;; touches the primary alone, which may be all that tells what was decided
      (is (true? (store/commit! s {} {primary (v 7)})))
      (is (true? (store/commit! s {} {primary (v 8)})))
      (is (contains? (set (map #(dissoc % primary) [before after]))
            (dissoc (store/fetch s all-keys) primary))))))

;; Statements of which nobody knows

(defn- losing
  "Trouble that answers some statements with an anomaly, whether they happened or not."
  [seed share]
  (let [random (Random. seed)]
    (fn [_] (when (< (.nextDouble random) (double share))
              (error/fail! :store/busy)))))

(defn- add! [s keys]
  (let [held (store/fetch s keys)
        more (into {} (for [key keys] [key (v (inc (long (if-let [b (held key)] (number b) 0))))]))]
    (store/commit! s (into {} (map (fn [key] [key (held key)])) keys) more)))

(deftest no-answer-is-no-loss
  (let [table (memory/table)
        keys [(k :a 1) (k :b 1)]
        work (fn [seed]
               (let [s (client table (losing seed 0.02))]
                 (frequencies (repeatedly 100 #(let [a (error/attempt (fn [] (add! s keys)))]
                                                 (if (boolean? a) a (:poz/error a)))))))
        answers (apply merge-with + (mapv deref (mapv #(future (work %)) (range 4))))
        sums (map number (vals (store/fetch (client table) keys)))]
    (is (apply = sums))
    (is (= #{true false :store/busy} (into #{:store/busy false} (clojure.core/keys answers))))
    (is (<= (answers true) (first sums) (+ (long (answers true)) (long (answers :store/busy 0)))))))

;; Races

(def ^:private accounts (mapv #(k (if (even? (long %)) :a :b) %) (range 5)))

(defn- sum [content] (reduce + (map (comp number val) content)))

(defn- transfer!
  "Moves 1 from one account to two others, of which it takes 2, if a fourth has something."
  [s ^Random random]
  (let [[from to looked-at] (let [l (java.util.ArrayList. ^java.util.Collection accounts)]
                              (java.util.Collections/shuffle l random) l)
        held (store/fetch s [from to looked-at])]
    (store/commit! s held {from (v (dec (number (held from)))) to (v (inc (number (held to))))})))

(deftest sums-stay
  (let [table (memory/table)
        s (client table)
        _ (store/commit! s {} (zipmap accounts (repeat (v 100))))
        work (fn [n] (let [random (Random. n)]
                       (dotimes [i 25]
                         (try (transfer! (client table (if (= 0 (rem i 5)) (dying-at (.nextInt random 20)) (fn [_]))) random)
                              (catch Error _ nil)))))
        working (mapv #(future (work %)) (range 4))
        seen (loop [seen []]
               (if (every? realized? working) seen (recur (conj seen (sum (store/fetch s accounts))))))]
    (run! deref working)
    (is (= #{500} (set (conj seen (sum (store/fetch s accounts))))))))

(deftest what-was-only-read-stays-so
  (testing "of two that each take the last if the other has not, one does"
    (dotimes [_ 50]
      (let [table (memory/table) a (k :a 1) b (k :b 1)
            take! (fn [mine other] (store/commit! (client table) {mine nil other nil} {mine (v 1)}))
            answers (mapv deref [(future (take! a b)) (future (take! b a))])]
        (is (= [false true] (sort answers)))))))
