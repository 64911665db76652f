(ns poz.view.page.spans-test
  "What each byte is, packed: the same as the trace says, and nothing private."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec.spans :as codec-spans]
   [poz.record :as record]
   [poz.record.damage :as damage]
   [poz.record.trace :as trace]
   [poz.shown :as shown]
   [poz.view.page.spans :as spans])
  (:import
   (java.util Base64)))

(set! *warn-on-reflection* true)

(defn- unpacked [^String s] (bytes/wrap (.decode (Base64/getDecoder) s)))

(defn- numbers [b]
  (loop [bs (seq (bytes/->array b)) n 0 shift 0 out []]
    (if-let [[c & more] bs]
      (let [c (bit-and (long c) 255) n (bit-or n (bit-shift-left (bit-and c 127) shift))]
        (if (< c 128) (recur more 0 0 (conj out n)) (recur more n (+ shift 7) out)))
      out)))

(defn- rows
  "The spans as maps."
  [{:keys [words] packed :spans}]
  (for [[depth size name said doc] (partition 5 (numbers (unpacked packed)))]
    {:depth depth :size size :name (words name) :says (if (zero? (long said)) :hex (words (dec (long said)))) :doc (words doc)}))

(defn- packed [b] (spans/pack (trace/trace b)))

(deftest every-byte-is-in-one-span
  (doseq [b [@shown/all-zones (shown/golden "hybrid") @shown/holder @shown/broken (shown/golden "unknown-things") bytes/empty]]
    (is (= (count b) (transduce (map :size) + (rows (packed b)))))))

(deftest the-tree-is-told
  (let [found (rows (packed @shown/all-zones))]
    (is (= ["Header" "Table of contents" "Public Key Map" "Master Zone" "Identity Authority"]
           (take 5 (map :name (filter #(= 0 (:depth %)) found)))))
    (is (some #(= ["serial" "1" "1 at genesis"] ((juxt :name :says :doc) %)) found))
    (is (some #(= ["user handle" "\"alice\""] ((juxt :name :says) %)) found))
    (is (some #(= ["original master hash" :hex] ((juxt :name :says) %)) found))
    (is (= (bytes/->hex @shown/all-zones) (bytes/->hex (unpacked (:bytes (packed @shown/all-zones))))))
    (is (= [] (:withheld (packed @shown/all-zones))))))

(deftest a-broken-file-is-told-up-to-the-fault
  (let [{:keys [error withheld] :as found} (packed @shown/broken)]
    (is (= 133 (:at error)))
    (is (str/includes? (:message error) "exact length, found 33"))
    (is (= [[168 3124]] withheld))
    (is (= "Not looked at" (:name (last (rows found)))))))

(defn- contains-bytes? [b part]
  (str/includes? (bytes/->hex b) (bytes/->hex part)))

(deftest private-bytes-stay
  (let [{:keys [words] :as found} (packed @shown/holder)]
    (is (every? #(contains-bytes? @shown/holder %) (shown/secrets)) "they are in the file")
    (is (not-any? #(contains-bytes? (unpacked (:bytes found)) %) (shown/secrets)))
    (is (not-any? #(str/includes? % "Grandmother") words))
    (is (= 2 (count (:withheld found))))
    (is (some #(str/includes? % "private, not in this page") words))))

(deftest unknown-sections-stay
  (is (seq (:withheld (packed (shown/golden "unknown-things"))))))

(deftest a-fault-in-what-is-private-says-only-where
  (let [b @shown/holder
        [[start end]] (take-last 1 (spans/withheld (trace/trace b)))
        torn (shown/flipped b (+ (long start) 5))
        {:keys [error words]} (packed torn)]
    (is (= 2 (count (:withheld (packed b)))))
    (is (< (long start) (long end)))
    (testing "the length of a key's name is wrong"
      (is (<= (long start) (long (:at error)) (long end)))
      (is (not (str/includes? (str (:message error) (str/join words)) "Grandmother"))))))

(defspec damage-never-shows-what-is-private 60
  (prop/for-all [b (damage/damage-generator @shown/holder)]
    (let [traced (trace/trace b) toc (some #(when (= :toc (:key %)) %) (:spans traced))
          found (spans/pack traced)]
      ;; where the table of contents still says which sections are private
      (or (not-any? #(= (:code (record/section-by-key :key-names)) (:type %)) (:value toc))
        (not (str/includes? (pr-str (:words found)) "Grandmother"))))))

(deftest the-shown-bytes-end-with-the-last-that-is-shown
  (let [size #(count (unpacked (:bytes (packed %))))]
    (is (= 168 (size @shown/broken)))
    (is (= 3 (size (bytes/utf8 "nothing of a record"))) "what should be the magic")
    (is (= (count @shown/broken) (:size (packed @shown/broken))))))

(deftest agrees-with-the-trace
  (let [traced (trace/trace @shown/all-zones)
        leaves (mapcat codec-spans/leaves (:spans traced))]
    (is (= (filter pos? (map :size leaves))
           (filter pos? (map :size (rows (spans/pack traced))))))))
