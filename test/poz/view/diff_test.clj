(ns poz.view.diff-test
  "Differences in words."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.diff :as diff]
   [poz.error :as error]
   [poz.record :as record]
   [poz.samples :as samples]
   [poz.vectors :as vectors]
   [poz.view.diff :as view]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(defn- golden [name]
  (record/decode (vectors/file-bytes (str "records/" name ".poz"))))

(defn- told [a b & [options]]
  (view/lines "a" "b" (diff/diff a b) (or options {})))

(deftest words
  (is (= ["a → b: 3 differences"
          "  service zone"
          "    ~ service deny 0 → 1 [deny/serial]"
          "    ~ service entry https \"old\" is denied [entry/denied]"
          "    + service denial of"
          "      17c062cdb1fe2d09e785ffdd16f1fbebc2d44c16c88ec4c6ff4d3c393a29670e added:"
          "      retired [denial/added]"]
        (told (golden "devices-grant") (golden "devices-deny"))))
  (is (= ["a → b: the same"] (told (golden "draft") (golden "draft"))))
  (is (= ["a → b: 1 difference"
          "  chain"
          "    - revision 1, 2026-01-01T00:02:00Z, signed by key 0: not at hand any more"
          "      [history/removed]"]
        (told (golden "recovery-3") (update (golden "recovery-3") :zone-history subvec 1))))
  (is (= ["a → b: 1 difference" "  master zone" "    ~ this is another record [record/other]"]
        (told (golden "hybrid") (golden "draft")))))

(deftest security-is-said-in-words
  (let [two (golden "recovery-2")
        lines (told two (assoc-in two [:master-zone :current-master-hash] (bytes/zeros 32)))
        forked (told two (assoc-in two [:master-zone :current-master-hash] (bytes/wrap (byte-array 32 (byte 1)))))]
    (is (not-any? #(str/includes? % "SECURITY") lines))
    (is (= "a → b: 2 differences, SECURITY EVENTS: 1" (first forked)))
    (is (some #(str/starts-with? % "    ! SECURITY: a fork: ") forked))))

(deftest foreign-strings-are-escaped
  (let [a (golden "all-zones")
        b (assoc-in a [:feed-zone :grant :body 0 :name] "news\u202e\u2066")
        lines (view/lines "\u001b[2Ja" "b" (diff/diff a b))]
    (is (str/starts-with? (first lines) "\\u{001B}[2Ja → b: "))
    (is (some #(str/includes? % "feed entry \"news\\u{202E}\\u{2066}\" is new") lines))
    (is (not-any? #(re-find #"[\u202e\u001b]" %) lines))))

(deftest colours-and-options
  (let [a (golden "recovery-1") b (golden "recovery-2") lines (told a b {:color true})]
    (is (= (told a b) (map text/strip lines)))
    (is (some #(str/includes? % "\u001b[") lines)))
  (is (thrown? IllegalArgumentException (told (golden "draft") (golden "draft") {:full true}))))

(deftest no-records
  (is (= ["a → b: no two records" "  the first 3 bytes are not POZ [format/magic]"]
        (view/lines "a" "b" (error/anomaly :format/magic)))))

(defspec lines-fit-and-are-safe 300
  (prop/for-all [a samples/records, b samples/records, width (gen/choose 60 120)]
    (let [b (assoc-in b [:master-zone :original-master-hash] (get-in a [:master-zone :original-master-hash]))]
      (every? (fn [line] (and (<= (text/columns line) width)
                           (not-any? text/unsafe? (iterator-seq (.iterator (.codePoints ^String line))))))
        (told a b {:width width})))))
