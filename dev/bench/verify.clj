(ns bench.verify
  "What a verdict costs, beside the bare checks that it needs, each distinct signature and
  each distinct key once, their messages at hand: `(run)`.

  A key is checked once and then kept (`poz.crypto`), so there are two questions. Of a record
  that nobody here has seen its keys are *new*, and checking them is part of what it needs.
  Of one that is verified again they are *known*."
  (:require
   [bench.harness :as harness]
   [bench.ratio :as ratio]
   [bench.records :as records]
   [poz.crypto :as crypto]
   [poz.identity :as identity]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.verify :as verify]
   [poz.zone :as zone])
  (:import
   (com.sun.management ThreadMXBean)
   (java.lang.management ManagementFactory)
   (java.util.concurrent ExecutorService Executors Future)))

(set! *warn-on-reflection* true)

;; ## The bare checks

(defn- checks-of
  "`[algorithm key message signature]` of each signature over `message`."
  [key-map message signatures]
  (for [{:keys [key signature]} signatures
        :let [{:keys [algorithm] public-key :key} (key-map key)]]
    [algorithm public-key message signature]))

(defn- record-checks [{:keys [public-key-map] :as record}]
  (let [hashes (signing/key-hashes public-key-map)]
    (concat
      (mapcat #(checks-of public-key-map (:message (chain/statement % hashes)) (:signatures %))
        (chain/revisions record))
      (mapcat (fn [z]
                (let [parts (zone/sections record z)]
                  (checks-of public-key-map (:message (zone/grant-statement record z parts hashes))
                    (:signatures (:grant (:zone parts))))))
        (zone/zones record)))))

(defn- entry-checks [record providers]
  (let [by-hash (into {} (map (juxt (comp :original-master-hash :master-zone) identity)) providers)]
    (for [entry (some->> (:identity-zone record) (zone/entries :identity))
          :let [provider (by-hash (:authority-hash entry))]
          :when provider
          check (checks-of (:public-key-map provider) (:message (identity/statement entry))
                  (:authority-signatures entry))]
      check)))

(defn- checks
  "All distinct signature checks that the verdict on `record` needs."
  [record providers]
  (vec (distinct (concat (record-checks record) (mapcat record-checks providers)
                   (entry-checks record providers)))))

(defn- run-checks [checks]
  (every? (fn [[algorithm key message signature]] (crypto/verify algorithm key message signature)) checks))

;; ## Verdicts

(defn- verdict
  "The verdict with all that decides in it; sentences and warnings are not read."
  [{:keys [record providers]}]
  (verify/verify record {:now records/now :providers providers}))

(defn- read-aloud
  "The verdict with everything in it read: each sentence, each hash, each warning."
  [subject]
  (doto (verdict subject) hash))

(defn- arrived
  "`record` as it is when it comes from somewhere: decoded from bytes."
  [record]
  (record/parse (record/encode record)))

(defn- subject
  "`{:record :providers :checks}` of records that arrived and verify; throws for any other."
  [{:keys [record providers]}]
  (let [record (arrived record) providers (mapv arrived providers)
        subject {:record record :providers providers :checks (checks record providers)}]
    (when-not (and (run-checks (:checks subject)) (= :valid (:outcome (verdict subject))))
      (throw (IllegalStateException. "This record does not verify.")))
    subject))

;; ## Rows

(defn- row [name {:keys [checks] :as subject} verdict]
  [(str name ", " (count checks) " signatures") #(run-checks checks) #(verdict subject)])

(defn- new-row [name {:keys [checks] :as subject}]
  (row (str name ", " (count (distinct (map second checks))) " keys") subject verdict))

;; ## Memory

(defn- allocated-bytes
  "The bytes that a call of the thunk `f` allocates, on this thread."
  ^long [f]
  (let [^ThreadMXBean threads (ManagementFactory/getThreadMXBean)
        allocated #(.getCurrentThreadAllocatedBytes threads)
        before (long (allocated))]
    (f)
    (- (long (allocated)) before)))

(defn- used-bytes ^long []
  (dotimes [_ 3] (System/gc))
  (.getUsed (.getHeapMemoryUsage (ManagementFactory/getMemoryMXBean))))

(defn- kept-bytes
  "How much more of the heap is in use while what the thunk `f` gives is held, of `n` of them."
  ^long [f n]
  (harness/median
    (repeatedly 5 (fn []
                    (let [before (used-bytes) held (vec (repeatedly n f)) after (used-bytes)]
                      (quot (- after before) (count held)))))))

(defn- print-memory [revisions]
  (let [record (arrived (records/long-chain revisions))
        judge (fn [keep] #(verify/verify record {:now records/now :keep keep}))]
    (println (format "%-44s %10d B  %10d B  %10d B" (format "a chain of %,d revisions" revisions)
               (quot (allocated-bytes (judge :all)) (long revisions))
               (kept-bytes (judge :all) 10)
               (kept-bytes (judge :faults) 200)))))

;; ## All cores

(def ^:private batch-size 10000)

(defn- seconds [f]
  (let [start (System/nanoTime)]
    (f)
    (/ (- (System/nanoTime) start) 1e9)))

(defn- print-batch
  "Prints how much sooner all cores are done with many records than one is."
  []
  (let [records (mapv arrived (records/several batch-size))
        valid! #(when-not (= :valid (:outcome (verdict {:record %}))) (throw (IllegalStateException. "not valid")))
        cores (.availableProcessors (Runtime/getRuntime))
        ^ExecutorService pool (Executors/newFixedThreadPool cores)
        one #(run! valid! records)
        all #(run! Future/.get (.invokeAll pool ^java.util.Collection (mapv (fn [part] (fn [] (run! valid! part))) (partition-all 100 records))))]
    (try
      (let [rounds (doall (repeatedly 5 (fn [] [(seconds one) (seconds all)])))
            one (harness/median (map first rounds))]
        (println (format "%,d records, each new: %.2f s on one core, %.2f× as fast on %d; %,.0f signatures per second on one"
                   batch-size one (harness/median (map (fn [[a b]] (/ a b)) rounds)) cores
                   (/ (* batch-size (count (record-checks (first records)))) one))))
      (finally (.shutdown pool)))))

(defn run
  "Prints the time of each verdict beside that of the bare checks, and the ratio; what all cores
  do; and what memory the verdict on a long chain takes."
  []
  (let [typical (subject {:record (records/typical)})
        large (subject (records/large))
        long-chain (subject {:record (records/long-chain 1000)})]
    (println "A verdict, beside the bare checks in it, of keys and of signatures: keys new")
    (ratio/print-ratios {:around crypto/with-new-keys}
      [(new-row "a typical record" typical)
       (new-row "5 zones, 20 entries, 10 revisions" large)])
    (println "The same with keys known; last with every sentence and warning read")
    (ratio/print-ratios
      [(row "a typical record" typical verdict)
       (row "5 zones, 20 entries, 10 revisions" large verdict)
       (row "a chain of 1,000 revisions" long-chain verdict)
       (row "a typical record, read" typical read-aloud)]))
  (print-batch)
  (println "Memory: allocated for each revision, kept by a verdict, kept by one with :keep :faults")
  (run! print-memory [10 100 1000]))
