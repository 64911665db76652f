(ns poz.codec.spans-test
  "The tracing reader: what its spans say, and that it and the compiled reader agree."
  (:require
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.read :as read]
   [poz.codec.spans :as spans]
   [poz.record.damage :as damage]
   [poz.samples :as samples]))

(set! *warn-on-reflection* true)

(defn- codec-of [form]
  (codec/codec samples/registry form))

(defn- trace [form hex]
  (spans/trace (codec-of form) (bytes/hex-> hex)))

(defn- tiled?
  "True if the leaves of `spans` cover `size` bytes one after another."
  [spans size]
  (= size
    (reduce (fn [at leaf] (if (= at (:at leaf)) (spans/end leaf) (reduced [:gap at leaf])))
      0 (mapcat spans/leaves spans))))

(defn- agrees? [codec b options]
  (let [{:keys [spans value error]} (spans/trace codec b options)]
    (and (= (codec/decode codec b options) (or error value))
      (= (some? error) (boolean (some :broken spans)))
      (tiled? spans (count b)))))

(deftest a-tracer-for-every-kind
  (is (= (set (keys read/compilers)) (set (keys spans/tracers)))))

(deftest spans-of-a-struct
  (let [{[span & more] :spans :keys [value error]} (trace :key-names "0001000000026162")]
    (is (nil? more))
    (is (nil? error))
    (is (= [{:key 0 :name "ab"}] value (:value span)))
    (is (= {:kind :list :name :key-names :at 0 :size 8} (select-keys span [:kind :name :at :size])))
    (is (= [{:key :count :kind :u16 :at 0 :size 2 :value 1}] (butlast (:children span))))
    (is (= [{:kind :index :at 2 :size 2 :value 0 :key :key :doc "which key"}
            {:kind :text :name :name :at 4 :size 4 :value "ab" :key :name :doc "what its holder calls it"
             :children [{:kind :u16 :at 4 :size 2 :value 2 :key :length}
                        {:kind :text :at 6 :size 2 :value "ab" :key :content}]}]
          (:children (last (:children span)))))))

(deftest spans-of-an-optional
  (let [form [:struct {} [:x {:doc "x"} [:optional {} :u16]]]
        field (fn [hex] (first (:children (first (:spans (trace form hex))))))]
    (is (= {:x 258} (:value (trace form "010102"))))
    (is (= [[:present 1] [:content 258]] (map (juxt :key :value) (:children (field "010102")))))
    (is (= {} (:value (trace form "00"))))
    (is (= [[:present 0]] (map (juxt :key :value) (:children (field "00")))))
    (is (= [:format/optional 0] ((juxt :poz/error :at) (:error (trace form "02")))))))

(defn- broken-leaf [{:keys [spans]}]
  (loop [[span] (filter :broken spans)]
    (if (:error span) span (recur (filter :broken (:children span))))))

(deftest the-fault-is-on-the-innermost-span
  (doseq [[what form hex code key at size]
          [["cut in a number" :header "504f5a00000001" :format/truncated :size 4 3]
           ["cut in a count" :key-names "00" :format/truncated :count 0 1]
           ["a count that lies" :key-names "0009000000026162" :format/truncated :items 2 6]
           ["a length that lies" :name "000961" :format/truncated :content 2 1]
           ["a length out of its range" [:bytes {:prefix :u16 :max 1}] "00026162" :format/length :length 0 2]
           ["text too short" :name "0000" :format/length :content 2 0]
           ["a control character" :name "0003610062" :format/control-char :content 2 3]
           ["too few items" :key-names "0000" :format/count :count 0 2]
           ["items that repeat" :key-names "00020000000161000000016162" :format/duplicate 1 7 5]
           ["items that descend" :key-names "0002000100016100000001616200" :format/unsorted 1 7 5]
           ["a rule of a struct" :deny-digest "00000000000000000000000000000000" :format/trailing :trailing 14 2]
           ["a sized value that is too long" [:sized {:prefix :u16} :u8] "00020102" :format/trailing :trailing 3 1]
           ["a sized value that is cut" [:sized {:prefix :u16} :u16] "000101" :format/truncated :content 2 1]]]
    (testing what
      (let [{:keys [error value] :as result} (trace form hex)
            leaf (broken-leaf result)]
        (is (nil? value))
        (is (= code (:poz/error error)))
        (is (= error (:error leaf)))
        (is (= [key at size] ((juxt :key :at :size) leaf)))))))

(deftest a-rule-between-fields-breaks-its-field
  (let [form [:struct {:rules [{:code :format/consistency :field :a :rule "a is b" :check [:= :a :b]}]}
              [:a {:doc ""} :u8] [:b {:doc ""} :u8]]
        {[span] :spans :keys [error] :as result} (trace form "0102")]
    (is (= {:at 0 :path [:a] :rule "a is b" :found "1"} (select-keys error [:at :path :rule :found])))
    (is (= :a (:key (broken-leaf result))))
    (is (= [1 2] (map :value (:children span))) "both were read")
    (is (= (codec/decode (codec-of form) (bytes/hex-> "0102")) error))))

(deftest key-indexes-are-checked
  (let [codec (codec-of [:index {:use :sign}]) b (bytes/hex-> "0001")]
    (doseq [algorithms [nil [] [:ed25519] [:ed25519 :x25519] [:x25519 :ed25519] [9 9]]]
      (is (agrees? codec b {:algorithms algorithms}) (pr-str algorithms)))))

(deftest after-a-fault-the-rest-is-unread
  (let [{:keys [spans]} (trace :header "504f5b0000000008")]
    (is (= [[nil 0 3] [:unread 3 5]] (map (juxt :key :at :size) spans)))))

(defspec the-readers-agree-on-what-is-written 1000
  (prop/for-all [[type value] samples/any-value]
    (let [{:keys [codec]} (samples/types type) b (codec/encode codec value)]
      (and (agrees? codec b nil)
        (= value (:value (spans/trace codec b)))))))

(def ^:private edits
  (gen/vector (gen/tuple (gen/elements [:flip :set :step :delete :insert :cut :swap :count :splice])
                (gen/choose 0 1000000) (gen/choose 0 1000000) (gen/choose 0 65535))
    1 3))

(defspec the-readers-agree-on-damage 1000
  (prop/for-all [[type value] samples/any-value, edits edits
                 algorithms (gen/elements [nil [:ed25519 :x25519 :ml-dsa-65]])]
    (let [{:keys [codec]} (samples/types type)
          b (codec/encode codec value)]
      (agrees? codec (reduce #(damage/edit %1 b %2) b edits) {:algorithms algorithms}))))

(defspec the-readers-agree-on-noise 1000
  (prop/for-all [type (gen/elements (sort (keys samples/types)))
                 noise (gen/vector (gen/frequency [[4 (gen/choose 0 2)] [1 (gen/choose -128 127)]]) 0 120)]
    (agrees? (:codec (samples/types type)) (bytes/wrap (byte-array noise)) nil)))
