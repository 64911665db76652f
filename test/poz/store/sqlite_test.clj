(ns poz.store.sqlite-test
  "The store in a file: that it is a store, that it keeps what it holds, and how it fails."
  (:require
   [clojure.java.io :as io]
   [clojure.test :refer [deftest is testing use-fixtures]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.store :as store]
   [poz.store.compliance :as compliance]
   [poz.store.sql :as sql]
   [poz.store.sqlite :as sqlite])
  (:import
   (java.io File RandomAccessFile)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)
   (java.sql Connection DriverManager SQLException)))

(set! *warn-on-reflection* true)

;; Files

(def ^:private ^:dynamic *folder* nil)

(defn- in-a-folder [f]
  (let [folder (.toFile (Files/createTempDirectory "poz-store" (make-array FileAttribute 0)))]
    (try (binding [*folder* folder] (f))
         (finally (run! io/delete-file (reverse (file-seq folder)))))))

(use-fixtures :each in-a-folder)

(defn- path [name]
  (str (io/file *folder* name)))

(defn- opener
  "A function that opens a store on a new file each time."
  []
  (let [n (atom 0) folder *folder*]
    #(sqlite/open (str (io/file folder (str "store-" (swap! n inc)))))))

(defn- k [n]
  [:entry (bytes/wrap (byte-array [n]))])

(defn- v [text]
  (bytes/utf8 text))

(defn- failure
  "What is essential of the anomaly that the thunk throws, or its answer."
  [f]
  (let [answer (error/attempt f)]
    (if (error/anomaly? answer) (select-keys answer [:poz/anomaly :poz/error]) answer)))

(def ^:private lost {:poz/anomaly :fault :poz/error :store/lost})
(def ^:private busy {:poz/anomaly :busy :poz/error :store/busy})

;; A store

(deftest it-is-a-store
  (compliance/check (opener) {:trials 150})
  (compliance/check-closed (opener)))

(deftest one-connection-for-reading-serves-all
  (compliance/check #(sqlite/open (path (str (random-uuid))) {:readers 1}) {:trials 10}))

(deftest what-was-committed-is-there-when-it-is-opened-again
  (let [content (into {} (for [n (range 100)] [(k n) (bytes/wrap (byte-array (* n 1000) (byte n)))]))]
    (with-open [s (sqlite/open (path "a"))]
      (is (true? (store/commit! s {} content))))
    (is (= [(path "a")] (map str (filter File/.isFile (file-seq *folder*)))) "one file is left of it")
    (with-open [s (sqlite/open (path "a"))]
      (is (= content (into {} (store/scan s :entry nil 1000)))))))

(deftest two-stores-on-one-file
  (with-open [one (sqlite/open (path "a"))]
    (with-open [two (sqlite/open (path "a"))]
      (is (true? (store/commit! one {} {(k 1) (v "one")})))
      (is (= {(k 1) (v "one")} (store/fetch two [(k 1)])))
      (is (false? (store/commit! two {(k 1) nil} {(k 1) (v "two")})))
      (testing "in a race, with nothing lost"
        (let [add! (fn [s]
                     (loop [left 40]
                       (when (pos? left)
                         (let [held (get (store/fetch s [(k 2)]) (k 2))
                               more (bytes/concat (or held bytes/empty) (v "."))]
                           (recur (if (store/commit! s {(k 2) held} {(k 2) more}) (dec left) left))))))
              adding (mapv #(future (add! %)) [one two one two])]
          (is (= [nil nil nil nil] (mapv #(deref % 60000 :late) adding)))
          (is (= 160 (count (get (store/fetch one [(k 2)]) (k 2))))))))
    (is (true? (store/commit! one {} {(k 3) (v "alone again")})))))

(deftest waiting-commits-share-a-transaction
  (with-open [s (sqlite/open (path "a"))]
    (let [answers (mapv deref (mapv (fn [n] (future (store/commit! s {(k 0) nil} {(k 0) (v "taken") (k n) (v "mine")})))
                                (range 1 41)))]
      (is (= {true 1, false 39} (frequencies answers)))
      (is (= 2 (count (store/scan s :entry nil 100)))))))

;; Arguments

(deftest wrong-arguments
  (is (thrown-with-msg? IllegalArgumentException #"Unknown option :reader;" (sqlite/open (path "a") {:reader 2})))
  (is (thrown-with-msg? IllegalArgumentException #":readers is an integer of 1 to 256, not 0" (sqlite/open (path "a") {:readers 0})))
  (doseq [p [nil "" ":memory:" "file:a" "a?b" (io/file "a")]]
    (is (thrown-with-msg? IllegalArgumentException #"^The path of a store" (sqlite/open p)) p))
  (is (= [] (filter File/.isFile (file-seq *folder*))))
  (testing "they do no harm to others that wait"
    (with-open [s (sqlite/open (path "a"))]
      (is (thrown? IllegalArgumentException (store/fetch s [:entry])))
      (is (thrown? IllegalArgumentException (store/commit! s {} {(k 1) "text"})))
      (is (thrown? IllegalArgumentException (store/commit! s {(k 1) "text"} {})))
      (is (thrown? IllegalArgumentException (store/commit! s {"entry" nil} {})))
      (is (true? (store/commit! s {} {(k 1) (v "one")}))))))

(deftest options-are-described
  (doseq [[_ row] sqlite/option-rows]
    (is (= #{:doc :default :check :rule} (set (keys row))))
    (is ((:check row) (:default row)))))

;; Failures

(deftest a-file-that-is-no-store
  (testing "not a database"
    (spit (path "text") (apply str (repeat 1000 "not a database ")))
    (is (= lost (failure #(sqlite/open (path "text")))))
    (is (re-find #"not a database" (:message (error/attempt #(sqlite/open (path "text"))))))
    (is (re-find #"^not a database" (slurp (path "text"))) "it is left as it was"))
  (testing "a folder, and none"
    (is (= lost (failure #(sqlite/open (str *folder*)))))
    (is (= lost (failure #(sqlite/open (path "none/a"))))))
  (testing "a store of a later version"
    (store/close! (sqlite/open (path "a")))
    (with-open [c (DriverManager/getConnection (str "jdbc:sqlite:" (path "a"))), s (.createStatement c)]
      (.execute s "insert into migration (name) values ('9999-later')"))
    (is (= lost (failure #(sqlite/open (path "a")))))
    (is (re-find #"later version.*9999-later" (:message (error/attempt #(sqlite/open (path "a"))))))))

(deftest a-damaged-file
  (let [content (into {} (for [n (range 100)] [(k n) (bytes/zeros 5000)]))]
    (with-open [s (sqlite/open (path "a"))]
      (store/commit! s {} content))
    (with-open [f (RandomAccessFile. ^String (path "a") "rw")]
      (.seek f 8192)
      (.write f (byte-array (- (.length f) 8192) (byte 0x5a))))
    (let [answer (error/attempt #(with-open [s (sqlite/open (path "a"))] (store/fetch s (keys content))))]
      (is (= :store/lost (:poz/error answer)))
      (is (re-find #"malformed|corrupt" (:message answer))))))

(defn- failing-database
  "The description of a database on the file `a`, whose connections go through `connected`,
  a function of a connection and its role."
  [options connected]
  (update (sqlite/database (path "a") options) :connect
    (fn [connect] (fn [role] (let [c (connect role)] (connected c role) c)))))

(deftest a-database-that-goes-and-comes-back
  (let [connections (atom []) down (atom false)
        database (failing-database {} (fn [c _]
                                        (swap! connections conj c)
                                        (when @down (throw (SQLException. "down")))))]
    (with-open [s (sql/open database)]
      (is (true? (store/commit! s {} {(k 1) (v "one")})))
      (is (= {(k 1) (v "one")} (store/fetch s [(k 1)])))
      (reset! down true)
      (run! #(.close ^Connection %) @connections)
      (dotimes [_ 2]
        (is (= lost (failure #(store/commit! s {} {(k 2) (v "two")}))))
        (is (= lost (failure #(store/fetch s [(k 1)]))))
        (is (= lost (failure #(store/scan s :entry nil 10)))))
      (reset! down false)
      (is (= [[(k 1) (v "one")]] (store/scan s :entry nil 10)) "nothing of what failed was kept")
      (is (true? (store/commit! s {(k 2) nil} {(k 2) (v "two")}))))))

(deftest a-file-that-goes-does-not-come-back-empty
  (with-open [s (sqlite/open (path "a"))]
    (is (true? (store/commit! s {} {(k 1) (v "one")}))))
  (let [closing (atom nil)
        database (failing-database {} (fn [c _] (reset! closing c)))]
    (with-open [s (sql/open database)]
      (.renameTo (io/file (path "a")) (io/file (path "moved")))
      (.close ^Connection @closing)
      (is (= lost (failure #(store/commit! s {} {(k 2) (v "two")}))))
      (is (= lost (failure #(store/fetch s [(k 1)]))))
      (is (not (.exists (io/file (path "a")))))
      (.renameTo (io/file (path "moved")) (io/file (path "a")))
      (is (true? (store/commit! s {(k 1) (v "one")} {(k 2) (v "two")})))
      (is (= 2 (count (store/scan s :entry nil 10)))))))

(deftest a-file-that-is-moved-while-it-is-open
  (with-open [s (sqlite/open (path "a"))]
    (is (true? (store/commit! s {} {(k 1) (v "one")})))
    (is (= {(k 1) (v "one")} (store/fetch s [(k 1)])))
    (.renameTo (io/file (path "a")) (io/file (path "moved")))
    (dotimes [_ 2]
      (is (= lost (failure #(store/commit! s {} {(k 2) (v "two")}))) "it would be lost")
      (is (= lost (failure #(store/fetch s [(k 1)])))))
    (is (not (.exists (io/file (path "a")))))
    (.renameTo (io/file (path "moved")) (io/file (path "a")))
    (is (= {(k 1) (v "one")} (store/fetch s [(k 1)])))
    (is (true? (store/commit! s {} {(k 3) (v "three")})))))

(deftest a-full-disk
  (let [pages (atom 20)
        database (failing-database {} (fn [^Connection c _]
                                        (with-open [s (.createStatement c)]
                                          (.execute s (str "pragma max_page_count = " @pages)))))]
    (with-open [s (sql/open database)]
      (is (true? (store/commit! s {} {(k 1) (v "one")})))
      (let [answer (error/attempt #(store/commit! s {} {(k 1) (v "uno") (k 2) (bytes/zeros 200000)}))]
        (is (= :store/lost (:poz/error answer)))
        (is (re-find #"full" (:message answer))))
      (testing "all that waited with it fails or holds, and what it held is there"
        (let [answers (mapv deref (mapv (fn [n] (future [n (failure #(store/commit! s {} {(k n) (bytes/zeros (if (= n 9) 200000 1))}))]))
                                    (range 3 20)))
              held (set (map (comp first) (store/scan s :entry nil 100)))]
          (is (= lost (second (nth answers 6))))
          (doseq [[n answer] answers]
            (is (contains? #{lost true} answer))
            (is (= (contains? held (k n)) (= true answer))))))
      (is (= {(k 1) (v "one")} (store/fetch s [(k 1) (k 2)])))
      (is (false? (store/commit! s {(k 1) nil} {})) "it still answers")
      (reset! pages 1000)
      (is (= lost (failure #(store/commit! s {} {(k 2) (bytes/zeros 200000)}))) "once more on the old connection")
      (is (true? (store/commit! s {} {(k 2) (bytes/zeros 200000)}))))))

(deftest a-file-that-another-process-writes-to
  (with-open [s (sqlite/open (path "a") {:busy-timeout 50})]
    (with-open [c (DriverManager/getConnection (str "jdbc:sqlite:" (path "a"))), other (.createStatement c)]
      (.execute other "begin immediate")
      (is (= busy (failure #(store/commit! s {} {(k 1) (v "one")}))))
      (is (= {} (store/fetch s [(k 1)])) "reading goes on")
      (.execute other "rollback"))
    (is (true? (store/commit! s {} {(k 1) (v "one")})))))

(deftest closing-lets-those-that-wait-finish
  (let [s (sqlite/open (path "a"))
        answers (mapv (fn [n] (future (error/attempt #(store/commit! s {} {(k n) (v "x")})))) (range 30))]
    (Thread/sleep 5)
    (store/close! s)
    (let [answers (mapv #(deref % 20000 :late) answers)]
      (is (every? #(or (true? %) (= :store/lost (:poz/error %))) answers))
      (with-open [s (sqlite/open (path "a"))]
        (is (= (count (filter true? answers)) (count (store/scan s :entry nil 100))))))))
