(ns poz.store.compliance
  "What every store has to do. `check` holds a store against all of it, within a test of
  `clojure.test`; `check-closed` adds what a store with files, connections or threads does
  when it is closed.

  Both take `make-store`, a function of no arguments that gives a new, empty store, and
  close what they open."
  (:require
   [clojure.test :refer [is testing]]
   [clojure.test.check :as tc]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store :as store])
  (:import
   (java.util.concurrent CountDownLatch)))

(set! *warn-on-reflection* true)

(defn- k
  "The key of kind `:test/a` with the bytes of the hex digits."
  [hex]
  [:test/a (bytes/hex-> hex)])

(defn- v [text]
  (bytes/utf8 text))

(defn- put! [store content]
  (is (true? (store/commit! store {} content))))

(defn- parallel
  "The results of the thunks, called at one moment on a thread each."
  [thunks]
  (let [gate (CountDownLatch. 1)
        running (mapv (fn [f] (future (.await gate) (f))) thunks)]
    (.countDown gate)
    (mapv #(deref % 120000 ::late) running)))

;; One thread

(defn- an-empty-store [s]
  (is (= {} (store/fetch s [])))
  (is (= {} (store/fetch s [(k "00") (k "")])))
  (is (= [] (store/scan s :test/a nil 10)))
  (is (= [] (store/scan s :test/a bytes/empty 10))))

(defn- what-is-set-is-there [s]
  (put! s {(k "01") (v "one"), (k "02") (v "two"), [:b (bytes/hex-> "01")] (v "other kind")})
  (is (= {(k "01") (v "one"), [:b (bytes/hex-> "01")] (v "other kind")}
         (store/fetch s [(k "01") (k "03") [:b (bytes/hex-> "01")] [:c (bytes/hex-> "01")] (k "01")])))
  (put! s {(k "01") (v "uno")})
  (is (= {(k "01") (v "uno"), (k "02") (v "two")} (store/fetch s [(k "01") (k "02")]))))

(defn- nothing-is-not-absent [s]
  (put! s {(k "") bytes/empty})
  (is (= {(k "") bytes/empty} (store/fetch s [(k "")])))
  (is (= [[(k "") bytes/empty]] (store/scan s :test/a nil 10)))
  (is (false? (store/commit! s {(k "") nil} {(k "01") (v "x")})))
  (is (true? (store/commit! s {(k "") bytes/empty} {(k "") nil})))
  (is (= {} (store/fetch s [(k "")]))))

(defn- removal [s]
  (put! s {(k "01") (v "one"), (k "02") (v "two")})
  (put! s {(k "01") nil, (k "09") nil})
  (is (= [[(k "02") (v "two")]] (store/scan s :test/a nil 10))))

(defn- a-slice-is-its-bytes [s]
  (let [whole (bytes/hex-> "00010203")]
    (put! s {[:test/a (bytes/slice whole 1 2)] (bytes/slice whole 2)})
    (is (= {(k "01") (bytes/hex-> "0203")} (store/fetch s [(k "01")])))))

(defn- big-values [s]
  (let [big (fn [n] (bytes/wrap (byte-array 1048576 (map unchecked-byte (range n 255)))))
        content (into {} (for [n (range 4)] [[:big (bytes/wrap (byte-array [n]))] (big n)]))]
    (put! s content)
    (is (= content (store/fetch s (keys content))))
    (is (= content (into {} (store/scan s :big nil 10))))
    (is (true? (store/commit! s content (update-vals content (constantly nil)))))))

(defn- expectations [s]
  (put! s {(k "01") (v "one"), (k "02") (v "two")})
  (testing "a wrong one changes nothing"
    (doseq [expected [{(k "01") (v "two")} {(k "01") nil} {(k "03") (v "")}
                      {(k "01") (v "one"), (k "02") (v "no")}
                      {(k "01") (v "one"), (k "03") nil, (k "02") nil}]]
      (is (false? (store/commit! s expected {(k "01") (v "x"), (k "02") nil, (k "03") (v "y")})))))
  (is (= [[(k "01") (v "one")] [(k "02") (v "two")]] (store/scan s :test/a nil 10)))
  (testing "right ones do"
    (is (true? (store/commit! s {(k "01") (v "one"), (k "03") nil} {(k "01") nil, (k "03") (v "three")})))
    (is (= [[(k "02") (v "two")] [(k "03") (v "three")]] (store/scan s :test/a nil 10))))
  (testing "with nothing to change it is a question"
    (is (true? (store/commit! s {(k "02") (v "two")} {})))
    (is (false? (store/commit! s {(k "02") nil} {})))))

(defn- order [s]
  (let [sorted (mapv k ["" "00" "0000" "0001" "01" "0100" "7f" "7fff" "80" "8000" "fe" "ff" "ff00" "ffff"])]
    (put! s (into {[:test/b (bytes/hex-> "80")] (v ""), [:test (bytes/hex-> "80")] (v "")}
              (map (fn [[_ b :as key]] [key b])) (shuffle sorted)))
    (is (= sorted (mapv first (store/scan s :test/a nil 100))))
    (doseq [i (range (count sorted)), n [0 1 3 100]]
      (is (= (take n (drop (inc i) sorted)) (map first (store/scan s :test/a (second (sorted i)) n)))))
    (testing "from between two keys, and from the end"
      (is (= [(k "80")] (mapv first (store/scan s :test/a (bytes/hex-> "7fffff") 1))))
      (is (= [] (store/scan s :test/a (bytes/hex-> "ffffff") 1))))))

(defn- pages [s n]
  (loop [after nil out []]
    (let [page (store/scan s :many after n)]
      (if (empty? page) out (recur (second (first (peek page))) (into out page))))))

(defn- many-keys [s]
  (let [content (into {} (for [i (range 5000)]
                           [[:many (bytes/wrap (.toByteArray (biginteger (* 7919 (long i)))))] (v (str i))]))]
    (put! s content)
    (is (= (sort (map second (keys content))) (map (comp second first) (store/scan s :many nil 9999))))
    (is (= content (into {} (pages s 700))))
    (is (= 5000 (count (pages s 1250))) "also where the last page is full")
    (is (= content (store/fetch s (keys content))))))

;; Many threads

(defn- increment! [s key]
  (loop []
    (let [held (get (store/fetch s [key]) key)
          n (if held (parse-long (String. (bytes/->array held))) 0)]
      (when-not (store/commit! s {key held} {key (v (str (inc (long n))))})
        (recur)))))

(defn- no-increment-is-lost [s]
  (let [results (parallel (repeat 8 #(dotimes [_ 50] (increment! s (k "00")))))]
    (is (= (repeat 8 nil) results))
    (is (= {(k "00") (v "400")} (store/fetch s [(k "00")])))))

(defn- one-winner [s]
  (doseq [round (range 25)
          :let [key [:race (bytes/wrap (byte-array [round]))]
                answers (parallel (for [i (range 6)] #(store/commit! s {key nil} {key (v (str i))})))]]
    (is (= {true 1, false 5} (frequencies answers)))
    (is (= {key (v (str (.indexOf ^java.util.List answers true)))} (store/fetch s [key])))))

(defn- all-or-nothing-is-seen
  "While one thread sets two keys to the same value again and again, others never see two."
  [s]
  (let [keys [(k "01") [:other (bytes/hex-> "ff")]]
        set-both! #(dotimes [i 150] (store/commit! s {} (zipmap keys (repeat (v (str i))))))
        writer (future (set-both!) :done)
        reader #(loop [seen []]
                  (if (realized? writer)
                    seen
                    (recur (conj seen (count (set (vals (store/fetch s keys))))))))
        seen (apply concat (parallel (repeat 2 reader)))]
    (is (= :done @writer))
    (is (every? #{0 1} seen))))

;; Anything against a map

(def ^:private gen-key
  (gen/tuple (gen/elements [:a :b :a/a])
             (gen/fmap bytes/hex-> (gen/elements ["" "00" "0000" "01" "7f" "80" "80ff" "ff"]))))

(def ^:private gen-value
  (gen/fmap v (gen/elements ["" "x" "y" "z"])))

(def ^:private gen-maybe
  (gen/frequency [[3 gen-value] [1 (gen/return nil)]]))

(def ^:private gen-operation
  (gen/one-of
    [(gen/tuple (gen/return :fetch) (gen/vector gen-key 0 6))
     (gen/tuple (gen/return :scan) (gen/elements [:a :b :a/a :none])
                (gen/one-of [(gen/return nil) (gen/fmap second gen-key)]) (gen/choose 0 6))
     ;; the keys whose present values are expected, expectations at random, changes
     (gen/tuple (gen/return :commit) (gen/vector gen-key 0 3)
                (gen/frequency [[3 (gen/return {})] [1 (gen/map gen-key gen-maybe {:max-elements 2})]])
                (gen/map gen-key gen-maybe {:max-elements 4}))]))

(defn- expected-by [model known guessed]
  (merge (into {} (map (fn [key] [key (get model key)])) known) guessed))

(defn- in-model
  "`[model answer]` of the operation on a plain map."
  [model [op a b c]]
  (case op
    :fetch [model (select-keys model a)]
    :scan [model (->> (sort-by (comp second key) model)
                   (filter (fn [[[kind key]]] (and (= kind a) (or (nil? b) (pos? (compare key b))))))
                   (take c))]
    :commit (let [expected (expected-by model a b)]
              (if (every? (fn [[key value]] (= value (get model key))) expected)
                [(into {} (filter val) (merge model c)) true]
                [model false]))))

(defn- in-store [store model [op a b c]]
  (case op
    :fetch (store/fetch store a)
    :scan (store/scan store a b c)
    :commit (store/commit! store (expected-by model a b) c)))

(defn- wipe! [store]
  (doseq [kind [:a :b :a/a]]
    (store/commit! store {} (into {} (map (fn [[key]] [key nil])) (store/scan store kind nil 1000)))))

(defn- agrees? [store operations]
  (wipe! store)
  (loop [model {} [op & more] operations]
    (or (nil? op)
        (let [[after answer] (in-model model op)]
          (and (= answer (in-store store model op)) (recur after more))))))

(defn- like-a-map [trials]
  (fn [store]
    (let [property (prop/for-all [operations (gen/vector gen-operation 0 20)] (agrees? store operations))
          {:keys [pass? shrunk seed]} (tc/quick-check trials property)]
      (is pass? (pr-str {:seed seed :smallest (:smallest shrunk)})))))

;; All of it

(def ^:private checks
  [["an empty store" an-empty-store]
   ["what is set is there" what-is-set-is-there]
   ["a value of no bytes is not an absent one" nothing-is-not-absent]
   ["removal" removal]
   ["a slice is its bytes" a-slice-is-its-bytes]
   ["values of a mebibyte" big-values]
   ["expectations" expectations]
   ["keys are in the order of unsigned bytes" order]
   ["many keys, in pages" many-keys]
   ["increments by several threads" no-increment-is-lost]
   ["one winner of a race" one-winner]
   ["several keys change at one moment" all-or-nothing-is-seen]])

(defn- with-store [make-store f]
  (let [s (make-store)]
    (try (f s) (finally (store/close! s) (store/close! s)))))

(defn check
  "Asserts all that holds for any store, each part on a new one.

  | option    | meaning                                                       |
  |-----------|---------------------------------------------------------------|
  | `:trials` | sequences of operations that are compared with a map, or 1000 |"
  ([make-store] (check make-store {}))
  ([make-store {:keys [trials] :or {trials 1000}}]
   (doseq [[name f] (conj checks ["it does what a map does" (like-a-map trials)])]
     (testing name (with-store make-store f)))))

(defn check-closed
  "Asserts that a store from `make-store` answers with anomalies once it is closed."
  [make-store]
  (let [s (make-store)]
    (put! s {(k "01") (v "one")})
    (store/close! s)
    (store/close! s)
    (doseq [f [#(store/fetch s [(k "01")]) #(store/scan s :test/a nil 1) #(store/commit! s {} {(k "01") nil})]
            :let [answer (error/attempt f)]]
      (is (= :store/lost (:poz/error answer)))
      (is (re-find #"closed" (:message answer))))))
