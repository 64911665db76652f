(ns bench.store
  "What a store does per second: `(run)` prints it for the one in memory and the one in a
  file, which is in the folder for temporary files; its disk tells what a durable commit costs."
  (:require
   [bench.harness :as harness]
   [clojure.java.io :as io]
   [poz.bytes :as bytes]
   [poz.store :as store]
   [poz.store.sqlite :as sqlite])
  (:import
   (java.io RandomAccessFile)
   (java.nio ByteBuffer)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)))

(set! *warn-on-reflection* true)

(def ^:private entries 1000)
(def ^:private value (bytes/zeros 2048))

(defn- other-value
  "A value for each number: SQLite writes nothing where one is set to what it is."
  [n]
  (bytes/wrap (.array (.putLong (ByteBuffer/allocate 2048) (long n)))))

(defn- k [n]
  [:record (bytes/wrap (.array (.putLong (ByteBuffer/allocate 32) (long n))))])

(defn- fill! [s]
  (store/commit! s {} (into {} (map (fn [n] [(k n) value])) (range entries))))

(defn- commit-next! [s n]
  (store/commit! s {(k n) nil} {(k (rem n entries)) (other-value n)}))

(defn- rows [s]
  (let [counter (atom entries) n #(swap! counter inc)]
    [["fetch 1 of 2 KiB" #(store/fetch s [(k (rem (n) entries))])]
     ["fetch 10 of 2 KiB" #(store/fetch s (mapv k (range 10)))]
     ["scan 100 of 2 KiB" #(store/scan s :record nil 100)]
     ["commit 1 of 2 KiB if another is absent" #(commit-next! s (n))]]))

(defn- together
  "Calls the thunk `f` again and again on `threads` threads for 3 seconds: calls per second."
  [threads f]
  (let [end (+ (System/nanoTime) 3000000000)
        work #(loop [n 0] (if (< (System/nanoTime) end) (do (f) (recur (inc n))) n))]
    (/ (reduce + (mapv deref (mapv (fn [_] (future (work))) (range threads)))) 3.0)))

(defn- print-together [s]
  (doseq [threads [1 8 64]
          [name f] (map (rows s) [0 3])]
    (println (format "%-44s %12.0f /s" (str name ", " threads " threads") (together threads f)))
    (flush)))

(defn- syncing
  "A thunk that appends 2 KiB to the file and waits for the disk: the least a commit costs."
  [^RandomAccessFile file]
  #(do (.write file (bytes/->array value))
       (.sync (.getFD file))))

(defn run
  "Prints calls per second. Takes about a minute."
  []
  (let [folder (.toFile (Files/createTempDirectory "poz-bench" (make-array FileAttribute 0)))]
    (try
      (with-open [file (RandomAccessFile. (io/file folder "plain") "rw")]
        (harness/print-rates [["append 2 KiB to a file and synchronise it" (syncing file)]]))
      (doto (store/memory) (fill!) (-> rows harness/print-rates))
      (println "SQLite")
      (with-open [s (sqlite/open (str (io/file folder "store")))]
        (fill! s)
        (harness/print-rates (rows s))
        (print-together s))
      (finally (run! io/delete-file (reverse (file-seq folder)))))))
