(ns poz.view.verdict-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.record :as record]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.view.text :as text]
   [poz.view.verdict :as verdict]))

(set! *warn-on-reflection* true)

(defn- lines
  ([record] (lines record [] {}))
  ([record providers options] (verdict/lines "a.poz" record (v/verdict record providers) options)))

(deftest a-valid-record
  (is (= ["a.poz: valid"
          "  master zone       valid, 1 revision"
          "    revision 1      valid"
          "  service zone      valid"
          "    authority       valid"
          "    grant 1         valid"
          "    deny 1          valid"]
         (lines (v/record-named "devices-deny")))))

(deftest what-does-not-hold-is-told-with-rule-and-numbers
  (let [shown (str/join "\n" (lines (v/record-named "devices-grant-alone")))]
    (is (str/includes? shown "a.poz: invalid"))
    (is (str/includes? shown "NO  grant values: 50 of 100 [zone/grant-below-threshold]")))
  (let [shown (str/join "\n" (lines (v/record-named "recovery-3-no-history")))]
    (is (str/includes? shown "a.poz: unknown"))
    (is (str/includes? shown "the beginning is not at hand"))
    (is (str/includes? shown "??  the chain at hand starts at serial 3"))
    (is (str/includes? shown "[chain/history-missing]"))))

(deftest malformed-files-say-where
  (let [r (record/decode (bytes/hex-> "504f5a0100000000"))
        shown (lines r)]
    (is (= "a.poz: malformed" (first shown)))
    (is (str/includes? (str/join " " shown) "[format/version]"))
    (is (str/includes? (str/join " " (map str/trim shown)) "at offset 3"))))

(deftest anomalies-say-where-and-what-to-do
  (let [broken (bytes/hex-> "504f5a0100000000")
        shown (verdict/anomaly-lines (record/parse broken) {})]
    (is (str/includes? (str/join " " shown) "[format/version]"))
    (is (some #(str/includes? % "^^") shown))
    (is (= (error/fix (record/parse broken)) (last shown))))
  (testing "one without bytes has no place"
    (is (= ["a defect [fault/internal]" (error/fix :fault/internal)]
          (verdict/anomaly-lines (error/anomaly :fault/internal {:message "a defect"}) {})))
    (is (thrown? IllegalArgumentException (verdict/anomaly-lines (error/anomaly :fault/internal) {:steps true})))))

(deftest steps-are-shown-when-asked-for
  (let [r (v/record-named "recovery-2")
        all (lines r [] {:steps true})]
    (is (< (count (lines r)) (count all)))
    (is (some #(str/includes? % "ok  serial 2 follows 1") all))
    (is (str/includes? (str/join " " (map str/trim all)) "group 2: 40 + 40 + 40 = 120 of 100"))))

(deftest entries-have-their-own-words
  (let [shown (lines (v/record-named "all-zones") [(v/record-named "provider-denies")] {})]
    (is (some #{"    alice@social.example"} shown))
    (is (some #(= "      revoked" %) shown))
    (is (some #(str/includes? % "[identity/revoked]") shown))
    (is (= "a.poz: valid" (first shown)) "an entry's status does not change the outcome")))

(deftest warnings-come-last-and-one-is-loud
  (let [shown (lines (v/record-named "genesis-minimal"))]
    (is (some #(str/starts-with? % "  WARNING  key 0 is the only master key") shown))
    (is (some #(str/starts-with? % "  warning  no key is delegated") shown))))

(def ^:private every-verdict
  "`[record verdict]` of all golden files, good and bad."
  (delay
    (vec (for [[r providers] (concat
                               (for [{:keys [file checks]} (v/records), {:keys [providers]} checks] [(v/file-record file) providers])
                               (for [name ["invalid.json" "malformed.json"], {:keys [file providers]} (:cases (vectors/json name))]
                                 [(record/decode (bytes/hex-> file)) providers]))]
           [r (v/verdict r (map v/file-record providers))]))))

(deftest no-line-is-wider-than-asked-for
  (doseq [[r verdict] @every-verdict, width [72 80 120], steps [false true]]
    (is (= [] (filter #(< width (text/columns %)) (verdict/lines "a.poz" r verdict {:width width :steps steps}))))))

(deftest colour-says-nothing-alone
  (doseq [[r verdict] @every-verdict
          :let [plain (verdict/lines "a.poz" r verdict {:steps true})
                painted (verdict/lines "a.poz" r verdict {:steps true :color true})]]
    (is (= plain (map text/strip painted)))
    (is (not-any? #(str/includes? % "\u001b") plain)))
  (is (some #(str/includes? % "\u001b[") (lines (v/record-named "draft") [] {:color true}))))

(def ^:private hostile "a\u001b[31m\u202eb\r\n\u0007c\u200b")

(deftest hostile-names-are-escaped
  (let [labels ["view a"]
        entry {:identity-type :poz :authority-hash (bytes/zeros 32) :authority-domain "social.example"
               :path ["\u202estaff"] :user-handle "al\u200bice\u2066" :authority-signatures []}
        r (v/genesis labels [[1 0 100]] [[:identity 0 100 100]] [0])
        r (v/grant r labels :identity [(assoc entry :user-poz-hash (get-in r [:master-zone :original-master-hash]))] [0])
        shown (verdict/lines hostile r (v/verdict r) {:steps true})]
    (doseq [line (concat shown (verdict/lines hostile (record/decode bytes/empty) (v/verdict (record/decode bytes/empty))))]
      (is (not-any? text/unsafe? (iterator-seq (.iterator (.codePoints ^String line)))) line))
    (is (str/includes? (first shown) "a\\u{001B}[31m\\u{202E}b\\u{000D}\\u{000A}"))
    (is (some #(str/includes? % "al\\u{200B}ice\\u{2066}@social.example/\\u{202E}staff") shown))))

(deftest options-are-checked
  (let [r (v/record-named "draft")]
    (are [options] (thrown? IllegalArgumentException (lines r [] options))
      {:colour true} {:width 20} {:steps 1})
    (is (not (error/anomaly? r)))))

(deftest every-problem-is-shown-by-its-code
  (doseq [{:keys [file oracle providers]} (:cases (vectors/json "invalid.json"))
          :let [shown (str/join " " (map str/trim (lines (record/decode (bytes/hex-> file)) (map v/file-record providers) {})))]
          code (concat (:problems oracle) (remove #{"identity/current" "identity/superseded"} (:entries oracle)))]
    (testing code
      (is (str/includes? shown (str "[" code "]"))))))
