(ns bench.verify
  "What a verdict costs, beside the bare signature checks that it needs, each distinct one
  once, their messages at hand and their keys known: `(run)`."
  (:require
   [bench.ratio :as ratio]
   [bench.records :as records]
   [poz.crypto :as crypto]
   [poz.identity :as identity]
   [poz.master.chain :as chain]
   [poz.signing :as signing]
   [poz.verify :as verify]
   [poz.zone :as zone])
  (:import
   (com.sun.management ThreadMXBean)
   (java.lang.management ManagementFactory)))

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

;; ## Memory

(defn- allocated-bytes
  "The bytes that a call of the thunk `f` allocates, on this thread."
  ^long [f]
  (let [^ThreadMXBean threads (ManagementFactory/getThreadMXBean)
        allocated #(.getCurrentThreadAllocatedBytes threads)
        before (long (allocated))]
    (f)
    (- (long (allocated)) before)))

(defn- print-allocation [name baseline f revisions]
  (println (format "%-44s %10d B  %10d B" name
             (quot (allocated-bytes f) (long revisions))
             (quot (allocated-bytes baseline) (long revisions)))))

;; ## Rows

(defn- row
  "`[name baseline thunk]` for `print-ratios`. Throws where the record does not verify."
  [name record providers]
  (let [all (checks record providers)
        options {:now records/now :providers providers}
        check #(run-checks all)
        verify #(verify/verify record options)]
    (when-not (and (check) (= :valid (:outcome (verify))))
      (throw (IllegalStateException. (str name ": this record does not verify."))))
    [(str name ", " (count all) " signatures") check verify]))

(defn run
  "Prints the time of each verdict beside that of the bare checks, and the ratio; and what
  is allocated for a revision of a long chain."
  []
  (let [{:keys [record providers]} (records/large)
        revisions 1000
        [_ check verify :as long-chain] (row (str "a chain of " revisions) (records/long-chain revisions) [])]
    (println "A verdict, beside the bare signature checks in it")
    (ratio/print-ratios
      [(row "a typical record" (records/typical) [])
       (row "5 zones, 20 entries, 10 revisions" record providers)
       long-chain])
    (print-allocation "allocated for each revision" check verify revisions)))
