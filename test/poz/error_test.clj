(ns poz.error-test
  "The table of errors against the registry of test/vectors/README.md and against what the
  sources say."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error])
  (:import
   (java.io File)))

(set! *warn-on-reflection* true)

;; The registry: `| a/x, y (note); b/z | meaning |` in parts that begin with `| **title** | |`.

(defn- qualified
  "Codes as keywords; one without a namespace has that of the one before."
  [namespace codes]
  (rest (reductions (fn [before code]
                      (if (str/includes? code "/") (keyword code) (keyword (clojure.core/namespace before) code)))
          (keyword namespace "_") codes)))

(defn- cell-codes [cell]
  (->> (str/split (str/replace cell #"\([^)]*\)" "") #"[,;]")
    (map str/trim)
    (filter #(re-matches #"[a-z0-9/-]+" %))))

(defn- registry
  "`[{:title :note :code}]` of every code in the README."
  []
  (let [lines (->> (str/split-lines (slurp (io/resource "vectors/README.md")))
                (drop-while #(not (str/starts-with? % "# Registry"))))]
    (loop [lines lines title nil out []]
      (if-let [line (first lines)]
        (let [[_ cell meaning] (re-find #"^\| (.*?) \|(.*)" line)
              [_ bold] (when cell (re-find #"\*\*(.+?)\*\*" cell))
              title (or bold title)
              cell (when cell (str/replace cell #"\*\*.+?\*\*" ""))
              notes (set (when cell (map second (re-seq #"\((\w+)\)" cell))))
              codes (when (and cell title) (qualified (when (str/includes? title "format/") "format") (cell-codes (if (and bold (str/blank? cell)) (or meaning "") cell))))]
          (recur (rest lines) title
            (into out (map (fn [c] {:title title :notes notes :code c})) codes)))
        out))))

(defn- part [rows start]
  (filter #(str/starts-with? (:title %) start) rows))

(deftest the-registry-is-read
  (let [rows (registry)]
    (is (= 25 (count (part rows "malformed"))))
    (is (= [:format/magic :format/version :format/size :format/too-large] (take 4 (map :code rows))))
    (is (= #{:chain/draft :chain/serial :chain/history-missing :signature/bad :time/far-future :signature/spare}
           (into #{} (filter #{:chain/draft :chain/serial :chain/history-missing :signature/bad :time/far-future :signature/spare})
             (map :code (part rows "the chain")))))
    (is (= #{"unknown"} (:notes (first (filter #(= :chain/history-missing (:code %)) rows)))))))

(deftest every-registered-code-is-here-with-its-category
  (let [rows (registry)
        category #(:anomaly (error/table %))]
    (testing "malformed"
      (doseq [{:keys [code]} (part rows "malformed")]
        (is (= :malformed (category code)) code)))
    (testing "chain and zones"
      (doseq [title ["the chain" "zones"], {:keys [code notes]} (part rows title)]
        (is (= (if (notes "unknown") :unknown :invalid) (category code)) code)))
    (testing "identity entries"
      (doseq [{:keys [code notes]} (part rows "identity entries")]
        (if (#{:identity/current :identity/superseded} code)
          (is (nil? (category code)) "it holds, so it is no error")
          (is (= (if (notes "unknown") :unknown :invalid) (category code)) code))))
    (testing "and those of the rest that are here"
      (doseq [title ["updates" "clients" "login" "servers"]
              {:keys [code]} (part rows title) :when (category code)]
        (is (#{:conflict :refused :invalid :malformed :unknown :busy :fault} (category code)) code)))))

(deftest nothing-else-takes-the-name-of-a-judgement
  (let [registered (conj (into #{} (map :code) (registry)) :format/type)]
    (doseq [k (keys error/table) :when (#{"format" "chain" "survivorship" "signature" "authority"} (namespace k))]
      (is (registered k) (str k " is an error that other implementations do not know")))))

;; The sources

(defn- sources []
  (filter #(str/ends-with? (.getName ^File %) ".clj") (file-seq (io/file "src"))))

(def ^:private row-ids
  "The ids of rules and warnings, which are rows `{:id :chain/serial …}`."
  (delay (into #{} (for [f (sources), [_ k] (re-seq #":id :([a-z0-9/-]+)" (slurp f))] (keyword k)))))

(deftest every-error-that-the-sources-name-is-in-the-table
  (let [namespaces #{"format" "survivorship" "signature" "keyring" "crypto" "file"}
        known (into #{:identity/current :identity/superseded} cat [(keys error/table) @row-ids])]
    (doseq [^File f (sources)
            [whole k] (re-seq #"(?:error/fail!|error/anomaly|:error|:code|fail!|fault!)[\s\w]*? :([a-z0-9-]+/[a-z0-9-]+)" (slurp f))]
      (is (error/table (keyword k)) (str (.getName f) ": " whole)))
    (doseq [^File f (sources)
            [_ k] (re-seq #"(?<![\w:/]):([a-z-]+/[a-z0-9-]+)" (slurp f))
            :when (namespaces (namespace (keyword k)))]
      (is (known (keyword k)) (str (.getName f) ": " k)))))

(deftest every-error-of-our-own-is-used
  (let [registered (into #{} (map :code) (registry))
        used (into #{} (for [^File f (sources) :when (not= "error.clj" (.getName f))
                             [_ k] (re-seq #":([a-z0-9-]+/[a-z0-9-]+)" (slurp f))]
                         (keyword k)))]
    (is (= [] (remove (some-fn registered used) (keys error/table))))))

(deftest every-row-says-what-it-means-and-what-to-do
  (doseq [[k {:keys [anomaly doc fix]}] error/table]
    (testing k
      (is (contains? error/categories anomaly))
      (is (not (str/blank? doc)))
      (is (not (str/ends-with? doc ".")) "facts follow it")
      (is (re-find #"[.?]$" fix)))))

;; Anomalies

(deftest an-anomaly-is-a-map
  (let [a (error/anomaly :format/range {:at 20 :path [:master-zone :master-keys 0] :rule "at most 100" :found 101})]
    (is (= {:poz/anomaly :malformed :poz/error :format/range :at 20 :path [:master-zone :master-keys 0]
            :rule "at most 100" :found 101}
           (dissoc a :message)))
    (is (= "a number is outside its range in master-zone master-keys 0 at offset 20: at most 100, found 101" (:message a)))
    (is (error/anomaly? a))
    (is (= a (read-string (pr-str a))) "it prints and reads back"))
  (are [facts message] (= message (:message (error/anomaly :format/count facts)))
    nil "a list has more or fewer items than its rule allows"
    {:expected 2 :found 3} "a list has more or fewer items than its rule allows: expected 2, found 3"
    {:rule "2 to 4" :expected 2} "a list has more or fewer items than its rule allows: 2 to 4; expected 2"
    {:found false} "a list has more or fewer items than its rule allows: found false"
    {:message "another sentence"} "another sentence")
  (are [x] (not (error/anomaly? x)) nil {} [] :malformed (sorted-map 1 2) {:poz/error :format/range})
  (is (thrown-with-msg? IllegalArgumentException #"No such error: :format/nope" (error/anomaly :format/nope))))

(deftest thrown-and-caught
  (is (= 7 (error/attempt (constantly 7))))
  (is (= :format/magic (:poz/error (error/attempt #(error/fail! :format/magic)))))
  (is (= {:found 3} (select-keys (error/attempt #(error/fail! :format/count {:found 3})) [:found])))
  (is (thrown-with-msg? clojure.lang.ExceptionInfo #"at offset 4" (error/fail! :format/size {:at 4})))
  (testing "a defect passes through"
    (is (thrown? ArithmeticException (error/attempt #(/ 1 (long 0)))))
    (is (thrown-with-msg? clojure.lang.ExceptionInfo #"other" (error/attempt #(throw (ex-info "other" {:x 1})))))))

(deftest codes-and-fixes
  (is (= "format/truncated" (error/code :format/truncated)))
  (is (= (error/fix :cli/usage) (error/fix (error/anomaly :cli/usage)) "See --help."))
  (is (nil? (error/fix :nope/nope))))

(deftest no-secret-in-a-message
  (let [s (bytes/secret (bytes/hex-> "c0ffee"))
        a (error/anomaly :keyring/key-mismatch {:found s :expected [s]})]
    (is (not (re-find #"c0ffee" (pr-str a))))
    (is (not (re-find #"c0ffee" (:message a))))))
