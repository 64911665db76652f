(ns poz.integration.store-cassandra-test
  "The store in Cassandra, with a node of its own. `-main` does by hand what takes three: a node
  is killed under load, and nothing that was acknowledged is lost:

      java -cp $(dev/clj -A:integration -Spath) clojure.main -m poz.integration.store-cassandra-test"
  (:require
   [clojure.set :as set]
   [clojure.test :refer [deftest is use-fixtures]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.integration.cassandra-node :as node]
   [poz.integration.two-servers :as two-servers]
   [poz.store :as store]
   [poz.store.cassandra :as cassandra]
   [poz.store.compliance :as compliance]
   [poz.store.rows :as rows])
  (:import
   (poz.store.rows RowStore)))

(set! *warn-on-reflection* true)

(def ^:private ^:dynamic *nodes* nil)

(use-fixtures :once (fn [f] (node/with-nodes 1 (fn [nodes] (binding [*nodes* nodes] (f))))))

(defn- url [] (node/url *nodes* "poz" 1))

(def ^:private kinds [:test/a :test/b :test :b :c :a :a/a :big :many :race :other])

(defn- emptied
  "The open store without what was left in it, which stays open when it is closed: tables and
  sessions are costly to make anew."
  [s]
  (doseq [kind kinds]
    (store/commit! s {} (into {} (map (fn [[k]] [k nil])) (store/scan s kind nil 10000))))
  (reify store/Store
    (fetch [_ keys] (store/fetch s keys))
    (scan [_ kind after limit] (store/scan s kind after limit))
    (commit! [_ expected changes] (store/commit! s expected changes))
    (close! [_] nil)))

(deftest it-is-a-store
  (with-open [s (cassandra/open (url))]
    (compliance/check #(emptied s) {:trials 15}))
  (compliance/check-closed #(cassandra/open (url))))

;; Death at each step

(defn- dying-at
  "The table `rows` for a client that dies at its statement `n`, before or after it happened."
  [rows n]
  (let [left (atom n)
        step! #(when (neg? (long (swap! left dec))) (throw (Error. "It died.")))
        around (fn [f] (step!) (let [answer (f)] (step!) answer))]
    (reify rows/Rows
      (read-rows [_ keys part] (around #(rows/read-rows rows keys part)))
      (read-settled [_ key] (around #(rows/read-settled rows key)))
      (swap-rows! [_ swaps] (into [] (mapcat (fn [swap] (around #(rows/swap-rows! rows [swap])))) swaps))
      (note-keys! [_ notes] (around #(rows/note-keys! rows notes)))
      (forget-keys! [_ notes] (around #(rows/forget-keys! rows notes)))
      (noted-keys [_ kind after limit] (around #(rows/noted-keys rows kind after limit)))
      (close-rows! [_] nil))))

(defn- dies?
  "True if a client that is to die at its statement `n` does, in the midst of a commit of three
  keys, of which others then find all or nothing."
  [table n]
  (let [k (fn [kind] [kind (bytes/utf8 (str "death " n))])
        before {(k :handle) bytes/empty, (k :record) bytes/empty}
        after {(k :record) (bytes/zeros 1), (k :entry) (bytes/zeros 2)}
        other (rows/store table 20)
        died (do (store/commit! other {} before)
                 (try (store/commit! (rows/store (dying-at table n) 20) before (assoc after (k :handle) nil)) false
                      (catch Error _ true)))
        found (store/fetch other (map k [:handle :record :entry]))]
    (is (contains? #{before after} found) (str "at the step " n))
    (is (true? (store/commit! other found {(k :record) (bytes/zeros 3)})) "nobody is locked out")
    died))

(deftest whoever-dies-leaves-all-or-nothing
  (with-open [s (cassandra/open (url))]
    (let [steps (count (take-while #(dies? (:rows (.-state ^RowStore s)) %) (range)))]
      (is (< 15 steps 60)))))

;; Races

(defn- number [b] (if b (parse-long (String. (bytes/->array b))) 0))

(defn- add!
  "Adds 1 to each of two entries: true, false, or an anomaly."
  [s keys]
  (error/attempt
    #(let [held (store/fetch s keys)]
       (store/commit! s (into {} (map (fn [k] [k (held k)])) keys)
         (into {} (map (fn [k] [k (bytes/utf8 (str (inc (long (number (held k))))))])) keys)))))

(deftest two-servers-share-it
  (with-open [one (cassandra/open (url)), two (cassandra/open (url))]
    (let [keys [[:record (bytes/zeros 32)] [:handle (bytes/hex-> "0102")]]
          work #(count (filter true? (repeatedly 20 (fn [] (add! % keys)))))
          done (reduce + (mapv deref (mapv #(future (work %)) [one two one two])))]
      (is (pos? (long done)))
      (is (= [done done] (map number (vals (store/fetch one keys))) (map number (vals (store/fetch two keys))))))))

(deftest two-servers-of-one-authority
  (two-servers/race (url)))

(deftest wrong-arguments
  (is (thrown-with-msg? IllegalArgumentException #"Unknown option :pool" (cassandra/open (url) {:pool 1})))
  (is (thrown-with-msg? IllegalArgumentException #"cassandra://HOST" (cassandra/open "localhost")))
  (is (= :store/lost (:poz/error (error/attempt #(cassandra/open "cassandra://127.0.0.1:1/poz?dc=datacenter1"))))))

;; By hand, with three

(defn- keep-on
  "Calls `(attempt name)` with one name after the other until `stop` is delivered: the names for
  which it was true, and how many others there were."
  [attempt writer stop]
  (loop [n 0 acknowledged [] others 0]
    (let [name (str "w" writer "-" n)]
      (cond
        (realized? stop) {:acknowledged acknowledged :others others}
        (attempt name) (recur (inc n) (conj acknowledged name) others)
        :else (recur (inc n) acknowledged (inc others))))))

(defn- pair-added?
  "True if a record and a handle of that name were committed."
  [s name]
  (let [b (bytes/utf8 name)]
    (true? (error/attempt
             #(store/commit! s {[:pair/record b] nil [:pair/handle b] nil} {[:pair/record b] (bytes/zeros 1500) [:pair/handle b] b})))))

(defn- lost
  "How many of the pairs are not there, and of how many there is one part only."
  [s names]
  (let [[records handles] (for [kind [:pair/record :pair/handle]]
                            (into #{} (map (comp second first)) (store/scan s kind nil 1000000)))]
    {:lost (count (remove (set/intersection records handles) (map bytes/utf8 names)))
     :half (count (set/difference (set/union records handles) (set/intersection records handles)))}))

(defn- sum [results]
  {:acknowledged (mapcat :acknowledged results) :others (reduce + (map :others results))})

(defn- under-load
  "What came of 15 seconds of commits and of submissions, and 15 more after one node was killed."
  [nodes s one two]
  (let [stop (promise)
        start (fn [attempt writer] (future (keep-on attempt writer stop)))
        pairs (mapv #(start (partial pair-added? s) %) [0 1])
        submissions (mapv #(start (partial two-servers/activated? %1) %2) [one two] [2 3])]
    (Thread/sleep 15000)
    (node/kill! (peek nodes))
    (Thread/sleep 15000)
    (deliver stop true)
    (let [pairs (sum (map deref pairs))
          submissions (sum (map deref submissions))]
      {:commits (merge (update pairs :acknowledged count) (lost s (:acknowledged pairs)))
       :submissions (assoc (update submissions :acknowledged count)
                      :lost (count (remove #(two-servers/live? one %) (:acknowledged submissions))))})))

(defn- killed-under-load [nodes]
  (let [url (node/url nodes "poz" 3)]
    (with-open [s (cassandra/open url)]
      (two-servers/with-servers url #(under-load nodes s %1 %2)))))

(defn -main
  "Starts three nodes and two servers, kills a node in the midst of thirty seconds of commits and
  submissions, and prints how many were acknowledged (ACCEPTED), how many not, and what of the
  former is lost or there by half."
  []
  (println (node/with-nodes 3 killed-under-load))
  (shutdown-agents))
