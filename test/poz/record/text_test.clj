(ns poz.record.text-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec.gen.scalar :as scalar]
   [poz.jazzer.invariants :as invariants]
   [poz.record :as record]
   [poz.vectors :as vectors]))

(set! *warn-on-reflection* true)

(defspec armor-comes-off-again 1000
  (prop/for-all [b (gen/such-that (comp pos? count) (scalar/byte-strings 1 300))
                 before (gen/elements ["" "Hello,\n\n" "-----BEGIN POZ RECORD-----\nno end\n" "POZ\r\n"])
                 after (gen/elements ["" "-- \nbye\n" "\n\n"])
                 line-end (gen/elements ["\n" "\r\n"])]
    (let [text (str/replace (record/armor b) "\n" line-end)]
      (= b (record/dearmor (bytes/utf8 (str before text after)))))))

(deftest the-text-forms-of-the-vectors
  (let [{:keys [file text accept]} (:text_form (vectors/json "primitives.json"))
        b (vectors/file-bytes file)]
    (is (= text (record/armor b)))
    (is (= b (record/dearmor (vectors/file-bytes "records/genesis-minimal.txt"))))
    (doseq [{:keys [what text]} accept]
      (testing what
        (is (= b (record/dearmor (bytes/utf8 text))))
        (is (= (record/decode b) (record/parse (bytes/utf8 text))))))))

(def ^:private begin "-----BEGIN POZ RECORD-----\n")
(def ^:private end "-----END POZ RECORD-----\n")
(def ^:private line (str (str/join (repeat 64 "A")) "\n"))

(deftest a-block-that-is-not-written-as-it-must-be
  (are [text at] (= {:poz/anomaly :malformed :poz/error :format/text-form :at at}
                    (select-keys (record/dearmor (bytes/utf8 text)) [:poz/anomaly :poz/error :at]))
    (str begin "AAAA\n" line end) 27
    (str begin line line "AAAAA\n" end) 27
    (str begin line (subs line 0 64) "AAAA\n" end) 92
    (str begin "AA\n" end) 27
    (str begin "AB==\n" end) 27
    (str begin "AA AA===\n" end) 27
    (str begin "AAAA\r\r\n" end) 27
    (str begin "AAAA\n\n" end) 27
    (str begin "AAAA\n" end begin "AAAA\n" end) 0))

(deftest what-has-no-whole-block-is-a-file
  (are [text] (let [b (bytes/utf8 text)] (= b (record/dearmor b)))
    ""
    "hello"
    begin
    end
    (str end begin)
    (str " " begin "AAAA\n" end)
    (str begin "AAAA\n" (subs end 0 24) "x\n")))

(deftest a-line-ends-with-lf-or-crlf-and-nothing-else
  (doseq [odd ["\r" "\r\r\n" "\r\u0085\n" " \n"]
          :let [b (bytes/wrap (.getBytes (str begin "AAAA\n" (subs end 0 24) odd) "ISO-8859-1"))]]
    (is (= b (record/dearmor b)) (pr-str odd))))

(deftest text-around-a-block-takes-little-memory
  (doseq [[what text] {"empty lines" (str/join (repeat 20000 "\n")) "one line" (str/join (repeat 20000 "x"))
                       "lines that end in nothing" (str/join (repeat 5000 "\r\r\r\n"))}
          :let [b (bytes/utf8 text)]]
    (is (= b (invariants/bounded what [200000 400] (count b) #(record/dearmor b))))))

(deftest binary-is-never-searched
  (let [b (bytes/concat (bytes/hex-> "504f5a00") (bytes/utf8 (str "\n" begin "AAAA\n" end)))]
    (is (= b (record/dearmor b)))))
