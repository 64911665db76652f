(ns poz.fork
  "Evidence of a fork (format.md §4): two valid revisions with one parent, as a text that
  anyone can check without trusting whoever shows it.

  The text holds the two records (key map, master zone, history), each in text form, with
  words around them. Two blocks in one text are never a record, so it cannot be taken for
  one. `evidence` makes it, `check` reads and judges it."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format :as format]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.record.text :as text]
   [poz.signing :as signing]
   [poz.verify :as verify]))

(set! *warn-on-reflection* true)

(defn- chain-only [record]
  (record/public-view (select-keys record [:public-key-map :master-zone :zone-history])))

(defn- first-difference
  "The two revisions with one serial that differ first, or nil."
  [a b]
  (first (filter (fn [[x y]] (not= (:current-master-hash x) (:current-master-hash y)))
           (map vector (chain/revisions a) (chain/revisions b)))))

(defn- fork-fault [a b now]
  (let [outcome #(get-in (verify/verify % {:now now}) [:chain :outcome])
        hash #(get-in % [:master-zone :original-master-hash])
        [x] (first-difference a b)]
    (cond
      (not= (hash a) (hash b)) "they are two different records"
      (some #(not= :valid (outcome %)) [a b]) "one of the chains does not verify from its beginning"
      ;; all before the first difference is the same, so its two sides have one parent
      (nil? x) "one continues the other")))

(defn judge
  "What the records `a` and `b` prove at the time `now`: `{:record :serial :parent :revisions
  :signed-both :same-content}`, the two revisions with one parent, the keys that signed
  both, and whether only the signatures differ; or the anomaly `:fork/none` with the reason."
  [a b now]
  (if-let [why (fork-fault a b now)]
    (error/anomaly :fork/none {:rule why})
    (let [[x y] (first-difference a b)]
      {:record (get-in a [:master-zone :original-master-hash])
       :serial (:serial x)
       :parent (:previous-master-hash x)
       :revisions (mapv #(select-keys % [:current-master-hash :timestamp :signatures]) [x y])
       :signed-both (vec (sort (filter (chain/signers x) (chain/signers y))))
       :same-content (= (chain/content x) (chain/content y))})))

(defn- words [{:keys [record serial revisions signed-both]}]
  ["Evidence of a fork: two valid revisions of one POZ record with one parent."
   (str "Record:   " (bytes/->hex record))
   (str "Revision: " serial)
   (str "One:      " (bytes/->hex (:current-master-hash (first revisions))))
   (str "Other:    " (bytes/->hex (:current-master-hash (second revisions))))
   (str "Both signed by " (signing/key-list signed-both) ".")
   "Check it with: poz fork --check FILE"
   ""])

(defn evidence
  "The text that proves that `a` and `b` are a fork; or the anomaly `:fork/none`."
  [a b now]
  (let [a (chain-only a) b (chain-only b) judged (judge a b now)]
    (if (error/anomaly? judged)
      judged
      (str (str/join "\n" (words judged))
        (record/armor (record/encode a)) "\n" (record/armor (record/encode b))))))

(defn check
  "What the evidence in the byte string `b` proves (as `judge`), or an anomaly."
  [b now]
  (error/attempt
    (fn []
      (let [files (text/dearmor-all b (:armor-line format/limits))
            records (map record/decode files)]
        (cond
          (not= 2 (count files)) (error/anomaly :fork/evidence {:found (str (count files) " records")})
          (some error/anomaly? records) (first (filter error/anomaly? records))
          :else (judge (first records) (second records) now))))))
