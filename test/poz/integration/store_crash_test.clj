(ns poz.integration.store-crash-test
  "A process that commits to a store in a file and is killed at any moment: whatever it said
  was committed is there afterwards, and whole. A kill is not a power cut: what the operating
  system has taken, it writes."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.store :as store]
   [poz.store.sqlite :as sqlite])
  (:import
   (java.io BufferedReader File)
   (java.lang ProcessBuilder$Redirect)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)
   (java.util List Random)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private rounds 10)
(def ^:private writers 4)

;; Writer `w` commits the numbers 0, 1, 2 … in turn, each as two entries of a size that the
;; number tells, and with them that it is its last, which must have been the one before.

(defn- number-bytes [w n]
  (bytes/utf8 (format "%02d-%08d" w n)))

(defn- content [w n]
  (let [size (rem (* 37 (long n)) 9000)]
    (bytes/wrap (byte-array size (unchecked-byte (+ (long w) (long n)))))))

(defn- last-key [w]
  [:last (number-bytes w 0)])

(defn- entries [w n]
  {[:one (number-bytes w n)] (content w n)
   [:two (number-bytes w n)] (content w n)})

(defn- last-of [s w]
  (let [held (get (store/fetch s [(last-key w)]) (last-key w))]
    (if held (parse-long (String. (bytes/->array held))) -1)))

(defn- write-on! [s w]
  (loop [n (inc (long (last-of s w)))]
    (let [former (when (pos? n) (bytes/utf8 (str (dec n))))]
      (when-not (store/commit! s {(last-key w) former}
                  (assoc (entries w n) (last-key w) (bytes/utf8 (str n))))
        (throw (IllegalStateException. "A commit was refused.")))
      (locking write-on! (println w n) (flush))
      (recur (inc n)))))

(defn -main
  "The process that is killed: writes to the store in the file `path` until then, and prints
  the writer and the number of each commit that was acknowledged."
  [path]
  (let [s (sqlite/open path)]
    (run! deref (mapv (fn [w] (future (write-on! s w))) (range writers)))))

;; The one that kills it

(defn- start ^Process [path]
  (let [command ["java" "-XX:+UseSerialGC" "-XX:TieredStopAtLevel=1" "-cp" (System/getProperty "java.class.path")
                 "clojure.main" "-m" "poz.integration.store-crash-test" path]]
    (.start (doto (ProcessBuilder. ^List command)
              (.redirectError ProcessBuilder$Redirect/INHERIT)))))

(defn- kill-after-a-while!
  "Kills the process some time after its first line. Returns the whole lines it has printed."
  [^Process p ^Random random]
  (with-open [^BufferedReader out (io/reader (.getInputStream p))]
    (let [line (.readLine out)
          rest-of-it (future (slurp out))]
      (is line "it writes")
      (Thread/sleep (.nextInt random 400))
      ;; by its handle, for a Process also closes the pipe, and what is in it would be lost
      (.destroyForcibly (.toHandle p))
      (is (.waitFor p 60 TimeUnit/SECONDS))
      (let [text (str line "\n" @rest-of-it)]
        (str/split-lines (subs text 0 (inc (str/last-index-of text "\n"))))))))

(defn- acknowledged
  "Writer → the last number that it printed."
  [lines]
  (into {} (map (fn [line] (mapv parse-long (str/split line #" ")))) lines))

(defn- all-of [s kind]
  (into {} (store/scan s kind nil 10000000)))

(defn- check! [s acked]
  (let [lasts (into {} (map (juxt identity #(last-of s %))) (range writers))
        whole (apply merge {} (for [[w n] lasts, i (range (inc (long n)))] (entries w i)))]
    (doseq [[w n] acked]
      (is (<= (long n) (long (lasts w)) (inc (long n))) "what was acknowledged, and at most one more"))
    (is (= whole (merge (all-of s :one) (all-of s :two))) "each is there with both its parts, and nothing else")
    (reduce + (count lasts) (vals lasts))))

(defn- round!
  "Starts and kills the process once, then looks at the store. Returns how many there are."
  [path random before]
  (let [acked (acknowledged (kill-after-a-while! (start path) random))
        after (with-open [s (sqlite/open path)] (check! s acked))]
    (is (< (long before) (long after)) "each round adds some")
    after))

(deftest nothing-acknowledged-is-lost
  (let [folder (.toFile (Files/createTempDirectory "poz-crash" (make-array FileAttribute 0)))
        seed (System/nanoTime)
        random (Random. seed)]
    (try
      (reduce (fn [before n]
                (testing (str "round " n ", seed " seed)
                  (round! (str (io/file folder "store")) random before)))
        0 (range rounds))
      (finally (run! io/delete-file (filter File/.exists (reverse (file-seq folder))))))))
