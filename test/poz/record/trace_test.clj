(ns poz.record.trace-test
  "Traced files: golden ones, malformed ones, damaged ones and noise."
  (:require
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec.spans :as spans]
   [poz.record :as record]
   [poz.record.damage :as damage]
   [poz.record.trace :as trace]
   [poz.samples :as samples]
   [poz.vectors :as vectors]))

(set! *warn-on-reflection* true)

(def ^:private golden
  (delay (mapv (juxt identity vectors/file-bytes) (vectors/record-files))))

(defn- tiled? [{:keys [spans bytes]}]
  (= (count bytes)
    (reduce (fn [at leaf] (if (= at (:at leaf)) (spans/end leaf) (reduced [:gap at leaf])))
      0 (mapcat spans/leaves spans))))

(defn- agrees?
  "True if trace and parse say the same of the file `b`, and the spans cover it."
  [b]
  (let [{:keys [spans value error] :as traced} (trace/trace b)]
    (and (= (record/parse b) (or error value))
      (= error (some spans/error-of spans))
      (tiled? traced))))

(deftest golden-records
  (doseq [[file b] @golden]
    (testing file
      (let [{:keys [value error spans]} (trace/trace b)]
        (is (nil? error))
        (is (= (record/decode b) value))
        (is (= [:header :toc] (map :key (take 2 spans))))
        (is (= (count (:value (second spans))) (count (drop 2 spans))))
        (is (agrees? b))))))

(deftest unknown-sections-are-raw
  (let [{:keys [spans value]} (trace/trace (vectors/file-bytes "records/unknown-things.poz"))]
    (is (= (:unknown-sections value)
          (into {} (comp (filter #(int? (:key %))) (map (juxt :key :value))) spans)))
    (is (every? #{:raw} (map :kind (filter #(int? (:key %)) spans))))))

(deftest malformed-cases
  (doseq [{:keys [name file code code_varies]} (:cases (vectors/json "malformed.json"))
          :let [b (bytes/hex-> file)
                {:keys [error value]} (trace/trace b)]]
    (testing name
      (is (nil? value))
      (is (agrees? b))
      (when-not code_varies
        (is (= (keyword code) (:poz/error error)))))))

(deftest every-prefix
  (let [b (vectors/file-bytes "records/genesis-minimal.poz")]
    (is (every? #(agrees? (bytes/slice b 0 %)) (range (count b))))))

(deftest where-the-container-is-broken
  (let [b (vectors/file-bytes "records/genesis-minimal.poz")
        broken (fn [b] (loop [[span] (filter :broken (:spans (trace/trace b))) keys []]
                         (if (:error span)
                           (conj keys (:key span))
                           (recur (filter :broken (:children span)) (conj keys (:key span))))))
        with (fn [at & vs] (bytes/concat (bytes/slice b 0 at) (bytes/wrap (byte-array vs))
                             (bytes/slice b (+ at (count vs)))))]
    (is (= [:header :magic] (broken bytes/empty)))
    (is (= [:header :size] (broken (bytes/slice b 0 (dec (count b))))))
    (is (= [:toc :count] (broken (with 8 0 0))))
    (is (= [:toc 0 :offset] (broken (with 12 0 0 0 29))))
    (is (= [:toc 1 :length] (broken (with 26 0 0 1 0))))
    (is (= [:trailing] (broken (with 26 0 0 0 (dec (nth b 29)))))
      "what the last section leaves is a span of its own")))

(deftest text-form
  (let [b (vectors/file-bytes "records/genesis-minimal.poz")
        text (bytes/utf8 (record/armor b))]
    (is (= (trace/trace b) (trace/trace text)))
    (testing "two blocks"
      (let [two (bytes/concat text text)
            {:keys [spans error value]} (trace/trace two)]
        (is (= :format/text-form (:poz/error error)))
        (is (nil? value))
        (is (= [[:unread 0 (count two) error]] (map (juxt :key :at :size :error) spans)))))))

(deftest a-limit
  (let [b (vectors/file-bytes "records/genesis-minimal.poz")]
    (is (= (record/decode b {:max-size 100}) (:error (trace/trace b {:max-size 100}))))
    (is (= [:unread] (map :key (:spans (trace/trace b {:max-size 100})))))))

(def ^:private damaged
  (let [file (gen/frequency [[3 (gen/fmap #(second (nth @golden (mod % (count @golden)))) gen/nat)]
                             [1 (gen/fmap record/encode samples/records)]])]
    (gen/bind (gen/tuple file file)
      (fn [[a b]] (damage/damage-generator a b)))))

(defspec the-readers-agree-on-damaged-files 1000
  (prop/for-all [b damaged]
    (agrees? b)))

(defspec noise-is-traced 1000
  (prop/for-all [noise gen/bytes, start (gen/elements ["" "504f5a00" "504f5a00000000160001"])]
    (agrees? (bytes/concat (bytes/hex-> start) (bytes/wrap noise)))))
