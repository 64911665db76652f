(ns poz.client.pins-test
  "What is remembered: joined, taken out, kept in files by many at once."
  (:require
   [clojure.java.io :as io]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.client.pins :as pins]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

(def ^:private a (bytes/zeros 32))
(def ^:private b (bytes/hex-> (apply str (repeat 64 "b"))))
(defn- memory ([serial] (memory serial a)) ([serial hash] {:serial serial :current-master-hash hash :zones []}))
(defn- saw ([hash serial] (saw "alice@social.example" hash serial)) ([name hash serial] {:name name :hash hash :memory (memory serial)}))

(deftest joining
  (let [one (pins/noted pins/none (saw a 2) 10)]
    (is (= [a (memory 2)] [(pins/hash-of one "alice@social.example") (pins/memory-of one a)]))
    (is (= 20 (get-in (pins/noted one (saw a 2) 20) [:names "alice@social.example" :at])))
    (is (= (memory 3) (pins/memory-of (pins/noted one (saw a 3) 20) a)))
    (is (= :memory/rollback (:poz/error (pins/noted one (saw a 1) 20))))
    (is (= :memory/fork (:poz/error (pins/noted one (assoc (saw a 2) :memory (memory 2 b)) 20))))
    (is (= [:pins/other-record :conflict] ((juxt :poz/error :poz/anomaly) (pins/noted one (saw b 2) 20))))
    (testing "mirrors"
      (let [with-one (pins/mirrored one a [{:host "m.example"}] 15)]
        (is (= {:servers [{:host "m.example"}] :at 15} (pins/mirrors-of with-one a) (pins/mirrors-of (pins/noted with-one (saw a 3) 20) a)))
        (is (= [nil (memory 2)] [(pins/mirrors-of one a) (pins/memory-of with-one a)]))))
    (testing "forgetting"
      (is (= pins/none (pins/forgotten one "alice@social.example")))
      (let [both (pins/noted one (saw "al@social.example" a 2) 10)]
        (is (= (memory 2) (pins/memory-of (pins/forgotten both "alice@social.example") a)) "the other name still has it"))
      (is (= one (pins/forgotten one "nobody"))))))

(defn- any-store [{:keys [pins record update! evidence!]}]
  (is (= pins/none (pins)))
  (is (nil? (record a)))
  (is (= (memory 2) (pins/memory-of (update! #(pins/noted % (saw a 2) 10) {a (bytes/utf8 "r")}) a)))
  (is (= (bytes/utf8 "r") (record a)))
  (is (= :memory/rollback (:poz/error (update! #(pins/noted % (saw a 1) 10) {a (bytes/utf8 "old")}))))
  (is (= [(memory 2) (bytes/utf8 "r")] [(pins/memory-of (pins) a) (record a)]) "as it was")
  (is (string? (evidence! "fork-1.txt" (bytes/utf8 "e")))))

(deftest in-memory
  (any-store (pins/in-memory)))

(deftest in-a-folder
  (cli/with-folder
    (fn [at]
      (any-store (pins/folder (at "pins")))
      (is (= [(str (bytes/->hex a) ".poz") "fork-1.txt" "lock" "pins.edn"] (cli/names (at "pins"))))
      (is (= (memory 2) (pins/memory-of ((:pins (pins/folder (at "pins")))) a)) "opened again")
      (when (cli/posix?) (is (= "rwx------" (cli/mode (at "pins"))))))))

(deftest at-a-repl-that-cuts-short
  (cli/with-folder
    (fn [at]
      (let [names (mapv #(str "n" % "@social.example") (range 5)) {:keys [pins update!]} (pins/folder (at "pins"))]
        (binding [*print-length* 1 *print-level* 1 *print-meta* true *print-readably* false]
          (update! (fn [p] (reduce #(pins/noted %1 (saw %2 a 1) 1) p names)) {}))
        (is (= (set names) (set (keys (:names (pins))))))))))

(deftest many-writers
  (cli/with-folder
    (fn [at]
      (let [names (map #(str "n" % "@social.example") (range 40))]
        (run! deref
          (mapv (fn [n] (future ((:update! (pins/folder (at "pins"))) #(pins/noted % (saw n a 1) 1) {}))) names))
        (is (= (set names) (set (keys (:names ((:pins (pins/folder (at "pins")))))))))))))

(deftest what-cannot-be-read
  (cli/with-folder
    (fn [at]
      (.mkdirs (io/file (at "pins")))
      (doseq [text ["" "{" "{:version 2 :names {} :records {}}" "[]" "{:version 1}"]]
        (cli/write! (at "pins/pins.edn") text)
        (let [{:keys [pins update!]} (pins/folder (at "pins"))]
          (is (= :pins/unreadable (:poz/error (pins))) text)
          (is (= :pins/unreadable (:poz/error (update! (fn [_] pins/none) {}))) text)
          (is (= text (slurp (at "pins/pins.edn"))) "and is not overwritten")))
      (cli/write! (at "file") "x")
      (is (error/anomaly? ((:update! (pins/folder (at "file"))) (fn [_] pins/none) {}))))))
