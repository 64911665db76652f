(ns poz.record-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec.input :as input]
   [poz.error :as error]
   [poz.record :as record]
   [poz.record.damage :as damage]
   [poz.samples :as samples]
   [poz.vectors :as vectors])
  (:import
   (com.sun.management ThreadMXBean)
   (java.lang.management ManagementFactory)))

(set! *warn-on-reflection* true)

(def ^:private ^ThreadMXBean threads
  (ManagementFactory/getThreadMXBean))

(defn- malformed? [{:poz/keys [anomaly error] :keys [path message]}]
  (and (= :malformed anomaly)
       (= "format" (namespace error))
       (vector? path)
       (string? message)))

(defn- malformed-or-itself?
  "True if the file `b` is refused as malformed, with a place in it, or decodes to a record
  of just these bytes."
  [b]
  (let [found (record/decode b)]
    (if (error/anomaly? found)
      (and (malformed? found) (<= 0 (:at found) (count b)))
      (= b (record/encode found)))))

;; ## Properties

(defspec a-record-comes-back-from-its-bytes 1000
  (prop/for-all [r samples/records]
    (= r (record/decode (record/encode r)))))

(def ^:private damaged
  (gen/bind (gen/tuple samples/records samples/records)
    (fn [[a b]] (gen/vector (damage/damage-generator (record/encode a) (record/encode b)) 5))))

(defspec a-damaged-file-is-malformed-or-itself 1000
  (prop/for-all [files damaged]
    (every? malformed-or-itself? files)))

(defn- allocated ^long [f]
  (let [before (.getCurrentThreadAllocatedBytes threads)]
    (f)
    (- (.getCurrentThreadAllocatedBytes threads) before)))

(defspec what-is-allocated-is-a-multiple-of-what-is-read 250
  (prop/for-all [files damaged]
    (every? (fn [b] (< (allocated #(record/decode b)) (+ 65536 (* 200 (count b))))) files)))

(defspec a-public-view-is-a-record-and-its-own-public-view 1000
  (prop/for-all [r samples/records]
    (let [view (record/public-view r)]
      (and (= view (record/decode (record/encode view)))
           (identical? view (record/public-view view))
           (record/public? view)
           (= (record/used-keys r) (record/used-keys view))))))

;; ## Vectors

(deftest every-record-of-the-vectors
  (doseq [{:keys [file decoded size]} (:records (vectors/json "records.json"))
          :let [b (vectors/file-bytes file)
                r (record/decode b)]]
    (testing file
      (is (= size (count b)))
      (is (= (vectors/->record decoded) r))
      (is (= b (record/encode r)))
      (is (= r (record/parse (bytes/utf8 (record/armor b))))))))

(deftest every-malformed-case-of-the-vectors
  (doseq [{:keys [name rule code code_varies file]} (:cases (vectors/json "malformed.json"))
          :let [found (record/parse (bytes/hex-> file))]]
    (testing (str name ", " rule)
      (is (malformed? found))
      (when-not code_varies
        (is (= code (error/code (:poz/error found))))))))

(defn- prefixes [b]
  (map #(bytes/slice b 0 %) (range (count b))))

(defn- section-prefixes
  "The file with one section cut, to each shorter length (every 7th of a long one)."
  [b]
  (let [{:keys [unknown-sections]} (record/decode b)
        sections (into {} (map (fn [{:keys [type offset length]}]
                                 [type (bytes/slice b offset (+ (long offset) (long length)))]))
                   (record/read-container! (input/reader b) (count b)))]
    (for [[code section] sections
          :when (not (contains? unknown-sections code))
          n (range 0 (count section) (if (< 300 (count section)) 7 1))]
      (record/pack (assoc sections code (bytes/slice section 0 n))))))

(defn- bit-flips [b]
  (for [x (range (* 8 (count b)))]
    (damage/edit b b [:flip (quot x 8) (mod x 8) 0])))

(defn- with-byte-inserted [b]
  (for [at (range (inc (count b)))
        :let [longer (bytes/concat (bytes/slice b 0 at) (bytes/zeros 1) (bytes/slice b at))
              n (count longer)]]
    (bytes/concat (bytes/slice longer 0 4)
      (bytes/wrap (byte-array (map #(unchecked-byte (bit-shift-right n %)) [24 16 8 0])))
      (bytes/slice longer 8))))

(def ^:private sweeps
  {"every-prefix" prefixes "every-section-prefix" section-prefixes
   "every-bit-flip" bit-flips "every-byte-inserted" with-byte-inserted})

(deftest every-sweep-of-the-vectors
  (doseq [{:keys [kind file expect]} (:sweeps (vectors/json "malformed.json"))
          :let [files ((sweeps kind) (vectors/file-bytes file))
                holds? (case (:status expect)
                         "malformed" (comp malformed? record/decode)
                         "refused" malformed-or-itself?)]]
    (is (< 200 (count files)))
    (is (empty? (remove holds? files)) kind)))

;; ## The container

(def ^:private genesis (vectors/file-bytes "records/genesis-minimal.poz"))

(defn- sections [more]
  (merge {0 (bytes/slice genesis 30 67) 1 (bytes/slice genesis 67)} more))

(defn- fault [b]
  (select-keys (record/decode b) [:poz/error :at :path :expected :found :rule]))

(deftest faults-of-the-container
  (let [put (fn [at hex] (bytes/concat (bytes/slice genesis 0 at) (bytes/hex-> hex)
                           (bytes/slice genesis (+ at (quot (count hex) 2)))))]
    (are [b facts] (= facts (fault b))
      (bytes/slice genesis 0 3) {:poz/error :format/truncated :at 3 :path [:header :version]
                                 :expected "1 byte" :found 0}
      (put 1 "00") {:poz/error :format/magic :at 0 :path [:header :magic] :expected "504f5a" :found "50005a"}
      (put 7 "06") {:poz/error :format/size :at 4 :path [:header :size] :expected 261 :found 262}
      (put 8 "0000") {:poz/error :format/count :at 8 :path [:toc] :rule "1 to 64 items" :found 0}
      (put 10 "0001") {:poz/error :format/duplicate :at 20 :path [:toc 1] :rule "items ascend strictly"
                       :found "item 1 equal to item 0"}
      (put 15 "1f") {:poz/error :format/gap :at 30 :path [:toc 0] :expected 30 :found 31}
      (put 25 "42") {:poz/error :format/overlap :at 67 :path [:toc 1] :expected 67 :found 66}
      (put 29 "c3") {:poz/error :format/truncated :at 67 :path [:toc 1] :expected "195 bytes" :found 194}
      (put 29 "c1") {:poz/error :format/trailing :at 260 :path [] :found "1 more bytes"})))

(deftest faults-of-presence
  (are [section-map error] (= [error 8] ((juxt :poz/error :at) (record/decode (record/pack section-map))))
    (dissoc (sections {}) 0) :format/section-missing
    (dissoc (sections {}) 1) :format/section-missing
    (sections {0x10 (bytes/zeros 34)}) :format/section-pair
    (sections {0x51 (bytes/zeros 34)}) :format/section-pair))

(deftest only-codes-are-packed
  (doseq [code [-1 0x10000 :master-zone]]
    (is (= {:poz/error :format/range :path [:toc] :found code}
           (select-keys (error/attempt #(record/pack {0 bytes/empty code bytes/empty})) [:poz/error :path :found])))))

(deftest a-fault-inside-a-section-has-the-offset-in-the-file
  (let [first-master-key (+ 32 8 32 32 4 8 2)
        at (+ 67 first-master-key 1)]
    (is (= {:poz/error :format/index :at at :path [:master-zone :master-keys 0 :key]
            :rule "a position in a map of 1 keys" :found 5}
           (fault (bytes/concat (bytes/slice genesis 0 at) (bytes/hex-> "0005")
                    (bytes/slice genesis (+ at 2))))))))

(deftest a-file-above-the-limit-is-not-read
  (is (= {:poz/error :format/too-large :at 0 :path [] :rule "at most 260 bytes" :limit 260 :found 261}
         (select-keys (record/decode genesis {:max-size 260}) [:poz/error :at :path :rule :limit :found])))
  (is (map? (:master-zone (record/decode genesis {:max-size 261})))))

(deftest unknown-sections-are-kept-byte-for-byte
  (let [r (record/decode (vectors/file-bytes "records/unknown-things.poz"))]
    (is (= {96 (bytes/hex-> "010203") 32767 bytes/empty} (:unknown-sections r)))
    (is (nil? (:unknown-sections (record/public-view r))))))

(deftest a-map-that-is-no-record-is-refused
  (let [r (record/decode genesis)]
    (are [m error path] (= [error path] ((juxt :poz/error :path) (error/attempt #(record/encode m))))
      nil :format/type []
      [] :format/type []
      (dissoc r :master-zone) :format/section-missing []
      (assoc r :maste-zone 1) :format/type []
      (assoc r :unknown-sections {1 bytes/empty}) :format/type [:unknown-sections 1]
      (assoc r :unknown-sections {96 "x"}) :format/type [:unknown-sections 96]
      (assoc r :key-names nil) :format/type [:key-names]
      (assoc-in r [:master-zone :serial] 0) :format/range [:master-zone :serial]
      (assoc-in r [:master-zone :master-keys 0 :key] 1) :format/index [:master-zone :master-keys 0 :key]
      (assoc r :identity-authority {:master-zone-hash (bytes/zeros 32) :keys []}) :format/section-pair [])))
