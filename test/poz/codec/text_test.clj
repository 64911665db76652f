(ns poz.codec.text-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.text :as text]
   [poz.error :as error]
   [poz.samples :as samples]
   [poz.vectors :as vectors])
  (:import
   (java.nio.charset StandardCharsets)
   (java.util Arrays)))

(set! *warn-on-reflection* true)

(defn- with-length
  "The encoding of a text whose UTF-8 bytes, well-formed or not, are `content`."
  [content]
  (let [n (count content)]
    (bytes/concat (bytes/wrap (byte-array [(unchecked-byte (bit-shift-right n 8)) (unchecked-byte n)])) content)))

(deftest the-strings-of-the-vectors
  (doseq [{:keys [type hex accept code why]} (:strings (vectors/json "primitives.json"))
          :let [{:keys [codec]} (samples/types (keyword type))
                b (with-length (bytes/hex-> hex))
                found (codec/decode codec b)]]
    (testing (str type " " hex " " why)
      (if accept
        (do (is (string? found))
            (is (= b (codec/encode codec found))))
        (is (= [code :malformed] [(error/code (:poz/error found)) (:poz/anomaly found)]))))))

(defspec utf8-is-what-the-jdk-takes-it-for 2000
  (prop/for-all [octets (gen/vector (gen/elements [0x61 0xc3 0xa9 0xe5 0xad 0x97 0xf0 0x9f 0x98 0x80
                                                   0xc0 0xed 0xa0 0xff 0xf4 0x8f 0xbf])
                                    0 8)]
    (let [array (byte-array (map unchecked-byte octets))
          found (text/read-utf8 array 0 (alength array))
          lenient (String. array StandardCharsets/UTF_8)
          exact (Arrays/equals array (.getBytes lenient StandardCharsets/UTF_8))]
      (if exact
        (= lenient found)
        (and (int? found) (< -1 found (alength array)))))))

(deftest the-first-wrong-byte-is-named
  (are [hex index] (= index (text/read-utf8 (bytes/->array (bytes/hex-> hex)) 0 (quot (count hex) 2)))
    "61ff62" 1
    "c3a9e28261" 2
    "61eda080" 1
    "80" 0))

(deftest a-string-with-half-a-pair-has-no-bytes
  (is (nil? (text/encode-utf8 "a\ud800")))
  (is (nil? (text/encode-utf8 "\udc00a")))
  (is (= "f09f9880" (bytes/->hex (bytes/wrap (text/encode-utf8 "😀"))))))

(deftest a-fault-names-the-first-rule-that-is-broken
  (are [s props error index] (= [error index]
                               ((juxt :error :index) (text/fault s (count (bytes/utf8 s)) props)))
    "ab" {} nil nil
    "a\tb" {} :format/control-char 1
    "é\u0085" {} :format/control-char 1
    "" {:min 1} :format/length 0
    "éé" {:max 3} :format/length 0
    "a b" {:min 1 :max 9 :form :handle} :format/handle 1
    "a@b" {:min 1 :max 9 :form :handle} :format/handle 1
    "é\u3000" {:min 1 :max 9 :form :handle} :format/handle 1
    "@@@@" {:min 1 :max 3 :form :handle} :format/length 0
    "a..b" {:min 1 :max 9 :form :domain} :format/domain 0
    "a.b" {:min 1 :max 9 :form :domain} nil nil
    "-a" {:min 1 :max 9 :form :domain} :format/domain 0
    "" {:min 1 :max 9 :form :domain} :format/domain 0))

(deftest a-fault-in-bytes-points-at-the-byte
  (let [decode (fn [type hex] (codec/decode (:codec (samples/types type)) (with-length (bytes/hex-> hex))))]
    (are [type hex error at] (= [error at] ((juxt :poz/error :at) (decode type hex)))
      :string "c3a9ff" :format/utf8 4
      :string "c3a961c285" :format/control-char 5
      :handle "c3a940" :format/handle 4)))
