(ns bench.scale
  "What a store of many records costs, beside one of 10,000: `(run)`, or `clojure -M:bench scale N` for N records.

  Both are SQLite's, full of true records, each by another hash (`bench.records/siblings`); they are
  put in by the store's own door, since judging them is not what is measured here. A random one is
  looked up through the store, then on 7074 through `poz serve`, a process with a heap of 512 MiB, which
  keeps no ready-made answers for it; then it is started anew, asked by many at a time as it comes,
  and told what it has on its heap. Every answer is held against the one that is owed."
  (:require
   [bench.harness :as harness]
   [bench.net.load :as load]
   [bench.net.process :as process]
   [bench.records :as records]
   [bench.serve :as serve]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.authority.state :as state]
   [poz.record :as record]
   [poz.store :as store]
   [poz.store.sqlite :as sqlite])
  (:import
   (java.io File OutputStream)
   (java.nio.file Files Path)
   (java.util Random)))

(set! *warn-on-reflection* true)

(def ^:private small 10000)
(def ^:private default-large 100000)
(def ^:private at-once 500)
(def ^:private sample-size 10000)
(def ^:private java ["-Xmx512m"])

;; ## Filling

(defn- put-all! [s from to]
  (store/commit! s {} (into {} (map #(state/put-record (record/original-hash %) %)) (records/siblings from to))))

(defn fill!
  "A folder for `poz serve` with `n` records in its store."
  ^File [^File folder n]
  (.mkdirs folder)
  (with-open [s (sqlite/open (str (io/file folder "store.sqlite")))]
    (dorun (pmap #(put-all! s % (min (long n) (+ (long %) (long at-once)))) (range 0 n at-once))))
  folder)

(defn- sample
  "Some of the records 0 to `n`, any of them, in any order."
  [n]
  (let [random (Random. 1)]
    (vec (pmap (fn [_] (let [i (.nextInt random (int n))] (first (records/siblings i (inc i))))) (range sample-size)))))

;; ## Through the store

(defn- fetching
  "A thunk that looks up the next of the records in the store, and wants just that."
  [s records]
  (let [ks (mapv (fn [r] [:record (record/original-hash r)]) records)
        vs (mapv record/encode records)
        i (volatile! 0)]
    (fn []
      (let [n (rem (long (vswap! i inc)) (count ks)) k (ks n)]
        (when-not (= (vs n) (get (store/fetch s [k]) k))
          (throw (ex-info "Not the record that was put in." {:key k})))))))

(defn- read-through!
  "Has the system read the file, as it has what a server that is up for long is asked for."
  [^File file]
  (with-open [in (io/input-stream file)]
    (.transferTo in (OutputStream/nullOutputStream))))

(defn- print-row [name small large unit]
  (println (format "%-46s %9.1f %9.1f %s  %5.2f ×" name (double small) (double large) unit (/ (double large) (double small))))
  (flush))

(defn- measure-store [parts]
  (let [files (mapv #(io/file (:folder %) "store.sqlite") parts)
        _ (run! read-through! files)
        stores (mapv (comp sqlite/open str) files)]
    (try
      (let [[f g] (mapv (fn [s {:keys [records]}] (fetching s records)) stores parts)
            t (harness/measure f) ratio (harness/compare-to f g)]
        (print-row "a lookup in the store" (/ (double t) 1e3) (/ (* (double ratio) (double t)) 1e3) "µs"))
      (finally (run! store/close! stores)))))

;; ## Through the server

(def ^:private rounds 9)
(def ^:private round-requests 1500)

(defn- round-of
  "[µs per lookup, µs of the server's CPU] of one after the other on one thread."
  [{:keys [server ask]}]
  (let [cpu (process/cpu-ms (:process server)) from (System/nanoTime)]
    (dotimes [i round-requests] (ask i))
    (mapv #(/ (* 1e3 (double %)) (double round-requests))
      [(/ (- (System/nanoTime) from) 1e6) (- (process/cpu-ms (:process server)) cpu)])))

(defn- medians [rounds]
  (mapv harness/median (apply map vector rounds)))

(defn- with-servers [parts options f]
  (let [started (volatile! [])]
    (try
      (f (mapv (fn [{:keys [folder requests] :as part}]
                 (let [server (serve/serve! folder (merge {:java java} options))]
                   (vswap! started conj server)
                   (assoc part :server server :ask (serve/asking server requests))))
           parts))
      (finally (run! serve/stop! @started)))))

(defn- measure-server [parts]
  (with-servers parts {:cache-ms 0}
    (fn [parts]
      (doseq [{:keys [ask]} parts] (load/run 40000 ask))
      (let [[[t cpu] [t' cpu']] (mapv medians (apply mapv vector (repeatedly rounds #(mapv round-of parts))))]
        (print-row "a lookup on 7074, one after the other" t t' "µs")
        (print-row "the server's CPU for it" cpu cpu' "µs")))))

;; ## Heap and start

(defn- jcmd [{:keys [^Process process]} & words]
  (apply process/run!! (str (System/getProperty "java.home") "/bin/jcmd") (.pid process) words))

(defn- live-mib
  "What is alive on the heap."
  [server]
  (let [[_ bytes] (re-find #"Total\s+\d+\s+(\d+)" (jcmd server "GC.class_histogram"))]
    (/ (parse-long bytes) 1048576.0)))

(defn- resident-mib [{:keys [^Process process]}]
  (let [status (Files/readString (Path/of (str "/proc/" (.pid process) "/status") (make-array String 0)))]
    (into {} (for [k ["VmRSS" "RssAnon"]]
               [k (/ (parse-long (second (re-find (re-pattern (str k ":\\s+(\\d+)")) status))) 1024.0)]))))

(def ^:private hot-requests 30000)

(defn- started-ms
  "Milliseconds from the start of a process until it has given the first record."
  [part]
  (let [from (System/nanoTime)]
    (with-servers [part] {}
      (fn [[{:keys [ask]}]]
        (ask 0)
        (/ (- (System/nanoTime) from) 1e6)))))

(defn- hot
  "Lookups a second, the server's CPU for one and what it holds, under a load of many at a time."
  [{:keys [ask server]}]
  (load/run hot-requests ask)
  (let [from (System/nanoTime) cpu (process/cpu-ms (:process server))]
    (load/run hot-requests ask)
    (merge {:rate (/ (* 1e9 (double hot-requests)) (- (System/nanoTime) from))
            :cpu (/ (* 1e3 (- (process/cpu-ms (:process server)) cpu)) (double hot-requests))
            :live (live-mib server)}
      (resident-mib server))))

(defn- measure-process [parts]
  (let [[t t'] (mapv (fn [part] (harness/median (vec (repeatedly 5 #(started-ms part))))) parts)]
    (print-row "from the start to the first answer" t t' "ms"))
  (let [[a b] (mapv (fn [part] (with-servers [part] {} (fn [[part]] (hot part)))) parts)]
    (doseq [[k name unit] [[:rate (str "lookups a second, " load/threads " at a time") "/s"]
                           [:cpu "the server's CPU for one" "µs"]
                           [:live "alive on its heap of 512 MiB after them" "MiB"]
                           ["VmRSS" "its memory, with pages of files" "MiB"]
                           ["RssAnon" "its memory without them" "MiB"]]]
      (print-row name (a k) (b k) unit))))

;; ## All

(defn- size-of [{:keys [^File folder records]}]
  (let [files (filter #(str/starts-with? (.getName ^File %) "store.sqlite") (file-seq folder))]
    [(reduce + (map #(.length ^File %) files))
     (/ (reduce + (map (comp count record/encode) records)) (double (count records)))]))

(defn- part [folder n]
  (let [records (sample n)]
    {:folder folder :n n :records records :requests (serve/requests records)}))

(defn measure
  "Prints the table of two folders that `fill!` gave, of `n` and `m` records."
  [[folder n] [folder' m]]
  (let [parts [(part folder n) (part folder' m)]]
    (println (format "JDK %s, %d processors" (System/getProperty "java.version") (.availableProcessors (Runtime/getRuntime))))
    (print-row "records" n m "  ")
    (apply print-row "bytes of the file for one"
      (conj (mapv (fn [{:keys [n] :as part}] (/ (double (first (size-of part))) (double n))) parts) "B "))
    (println (format "%-46s %9.1f           B" "bytes of one" (second (size-of (second parts)))))
    (measure-store parts)
    (measure-server parts)
    (measure-process parts)))

(defn run
  "Prints the table for 10,000 records and `n`, 100,000 unless given; 1,000,000 take some ten minutes, most of
  which it is making them, and 2 GB of the folder for temporary files."
  ([] (run default-large))
  ([n]
   (let [folder (process/folder)]
     (try
       (measure [(fill! (io/file folder "small") small) small] [(fill! (io/file folder "large") n) n])
       (finally (process/delete! folder))))))
