(ns poz.codec.schema-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.node :as node]
   [poz.codec.schema :as schema]
   [poz.codec.validate :as validate]
   [poz.samples :as samples]))

(set! *warn-on-reflection* true)

(defspec every-generated-value-meets-its-schema 1000
  (prop/for-all [[type value] samples/any-value]
    (nil? (validate/explain (:schema (samples/types type)) value))))

(defspec schema-and-writer-take-the-same-values 2000
  (prop/for-all [[type value] samples/any-value
                 seed samples/seeds]
    (let [{:keys [codec schema]} (samples/types type)
          mutated (samples/mutate value seed)
          accepted (samples/accepted? #(codec/encode codec mutated))]
      (and (= accepted (validate/validate schema mutated))
           (= accepted (nil? (validate/explain schema mutated)))
           (or (not accepted)
             (= mutated (codec/decode codec (codec/encode codec mutated))))))))

(defn- problems [form value]
  (mapv (juxt :path :message)
    (validate/explain (schema/schema (node/parse samples/registry form)) value)))

(deftest the-schema-is-data-in-the-form-of-malli
  (let [s (schema/schema (node/parse samples/registry
                           [:struct {} [:serial {} [:u32 {:min 1}]] [:key {} [:optional {} :u8]]]))]
    (is (= [:map {:closed true}
            [:serial [:int {:min 1 :max 4294967295 :error/message "an integer, 1 to 4294967295"}]]
            [:key {:optional true} [:int {:min 0 :max 255 :error/message "an integer, 0 to 255"}]]]
           s))))

(deftest a-message-is-the-rule-as-a-sentence
  (are [form value found] (= found (problems form value))
    [:u8 {:max 100}] 101 [[[] "an integer, 0 to 100"]]
    :hash (bytes/zeros 31) [[[] "a byte string of 32 bytes"]]
    [:bytes {:prefix :u16 :max 8}] "00" [[[] "a byte string of 0 to 8 bytes"]]
    :handle "a@b" [[[] "none of @ / : and no white space"]]
    :handle (apply str (repeat 128 "é")) [[[] "1 to 255 bytes"]]
    :name 5 [[[] "a string"]]
    :string "\ud800" [[[] "no half of a surrogate pair"]]
    :domain "Example.org" [[[] "labels of a–z, 0–9 and -"]]
    [:enum {:as :u8 :codes [[1 :tcp {}] [2 :udp {}]]}] 1 [[[] "one of [:tcp :udp]"]]
    [:list {:counts [2 4] :sort :item} :u8] [1 2 3] [[[] "one of [2 4] items, not 3"]]
    [:list {:min 1} :u8] [] [[[] "a vector of 1 to 65535 items"]]
    [:list {:sort :item} :u8] [1 3 2 2] [[[2] "items ascend: item 2 below item 1"]
                                         [[3] "items ascend strictly: item 3 equal to item 2"]]
    [:list {:distinct true} :u8] [7 1 7] [[[2] "no two items share an id: item 2 has that of item 0"]]))

(deftest order-by-encoding-is-the-order-of-bytes
  (testing "a longer string sorts after a shorter one, whatever its letters"
    (is (= [] (problems [:list {:sort :encoding} :name] ["z" "aa"])))
    (is (= [[[1] "items ascend: item 1 below item 0"]]
           (problems [:list {:sort :encoding} :name] ["aa" "z"])))))

(deftest a-rule-between-fields-points-at-the-field
  (let [zero {:master-zone-hash (bytes/zeros 32) :keys [{:key 1 :grant 0 :deny 101}]}]
    (is (= [[[:keys 0 :deny] "an integer, 0 to 100"]] (problems :authority zero))))
  (let [deny {:serial 0 :timestamp 5 :denied [] :signatures []}
        struct [:struct {:rules [{:code :format/consistency :field :timestamp
                                  :rule "timestamp is 0 when serial is 0"
                                  :check [:implies [:= :serial 0] [:= :timestamp 0]]}]}
                [:serial {} :u32] [:timestamp {} :time]]]
    (is (= [[[:timestamp] "timestamp is 0 when serial is 0"]]
           (problems struct (select-keys deny [:serial :timestamp]))))))

(deftest what-is-not-there-is-not-nil
  (let [form [:struct {} [:a {} [:optional {} :u8]]]]
    (is (= [] (problems form {})))
    (is (= [[[:a] "an integer, 0 to 255"]] (problems form {:a nil})))))

(deftest a-literal-is-the-writers-own
  (is (= [[[:magic] "no such key, only :size"]]
         (problems [:struct {} [:magic {} [:literal {:hex "50"}]] [:size {} :u32]]
           {:magic 1 :size 3}))))

(deftest an-open-enumeration-keeps-unknown-codes-only
  (are [valid v] (= valid (empty? (problems :algorithm v)))
    true :ed25519, true 0, true 255, false 1, false 256, false -1, false :nope))

(deftest no-message-shows-a-secret
  (let [found (validate/explain (schema/schema (node/parse samples/registry :private-keys))
                [{:key 0 :secret (bytes/secret (bytes/hex-> "c0ffee"))}
                 {:key 0 :secret (bytes/hex-> "c0ffee")}])]
    (is (= [[0 :secret]] (mapv :path found)))
    (is (not-any? #(re-find #"c0ffee" (:message %)) found))
    (is (not (re-find #"c0ffee" (pr-str found))))))
