(ns poz.view.simulate-test
  "A simulation in words."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.error :as error]
   [poz.record :as record]
   [poz.samples :as samples]
   [poz.simulate :as simulate]
   [poz.vectors :as vectors]
   [poz.view.simulate :as view]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(defn- golden [name]
  (record/decode (vectors/file-bytes (str "records/" name ".poz"))))

(defn- told [record & [options view-options]]
  (view/lines "a.poz" record (simulate/simulate record (or options {})) (or view-options {})))

(deftest words
  (is (= ["a.poz: who can do what"
          "  findings"
          "    DANGER: any one of keys 0, 1: losing it locks the record for ever"
          "      [master/loss-locks]"
          "  who can, each line a smallest set of keys that suffices"
          "    change the master zone:"
          "      keys 0–1"
          "    grant in service:"
          "      keys 0–1"
          "    deny in service:"
          "      key 0"
          "      key 1"
          "    Who can change the master zone can delegate anew, and so controls every"
          "      zone."
          "  if one key is lost"
          "    one of keys 0–1"
          "      the record is LOCKED for ever; lost: change the master zone; grant in"
          "        service"
          "      left: deny in service"
          "  if two keys are lost"
          "    keys 0–1"
          "      the record is LOCKED for ever; lost: change the master zone; grant in"
          "        service; deny in service"
          "      left: nothing"
          "  if one key is stolen"
          "    one of keys 0–1"
          "      the thief can: deny in service"
          "  if two keys are stolen"
          "    keys 0–1"
          "      the thief can: change the master zone; grant in service; deny in service"
          "      and so controls the record, every zone included"]
        (told (golden "hybrid")))))

(defn- says? [lines s]
  (str/includes? (str/replace (str/join " " lines) #" +" " ") s))

(deftest what-if
  (let [lines (told (golden "devices-grant") {:without #{0} :stolen #{1}})]
    (is (says? lines "without key 0"))
    (is (says? lines "a thief has key 1 the thief can: deny in identity, auth, service")))
  (is (says? (told (golden "draft")) "who can do what once this draft is applied"))
  (is (says? (told (golden "alien-signs-master")) "it takes a key of unknown algorithm"))
  (is (says? (told (golden "edge-sizes")) "nobody can")))

(deftest long-lists
  (let [record (golden "group-of-65-enough")]
    (is (says? (told record) "keys 1–62, 64–65"))
    (is (says? (told record) "and 22 more"))
    (is (says? (told record {:limit 20}) "and 12 or more"))
    (is (says? (told record {:limit 3}) "and more"))
    (is (not (says? (told record {} {:full true}) "and 22 more")))))

(deftest names
  (let [record (assoc (golden "recovery-1") :key-names [{:key 0 :name "phone"} {:key 2 :name "\u202egran\u001b[1m \"x"}])
        lines (told record)]
    (is (says? lines "key 0 \"phone\""))
    (is (says? lines "keys 1, 2 \"\\u{202E}gran\\u{001B}[1m \\\"x\", 3"))
    (is (not-any? #(re-find #"[\u202e\u001b]" %) lines))))

(deftest colours-and-options
  (let [record (golden "hybrid") lines (told record {} {:color true})]
    (is (= (told record) (map text/strip lines)))
    (is (some #(str/includes? % "\u001b[") lines)))
  (is (thrown? IllegalArgumentException (told (golden "hybrid") {} {:colour true})))
  (is (thrown? IllegalArgumentException (told (golden "hybrid") {} {:width 10}))))

(deftest no-record
  (is (= ["a\\u{202E}: no record" "  the first 3 bytes are not POZ [format/magic]"]
        (view/lines "a\u202e" nil (error/anomaly :format/magic)))))

(def ^:private names-gen
  (gen/vector (gen/fmap #(apply str %) (gen/vector (gen/frequency [[3 gen/char-alphanumeric]
                                                                   [1 (gen/fmap char (gen/choose 0 0x2fff))]]) 1 40))
    8))

(defspec lines-fit-and-are-safe 200
  (prop/for-all [record samples/records, names names-gen, width (gen/choose 60 120)]
    (let [record (assoc record :key-names (map-indexed (fn [i n] {:key i :name n}) names))]
      (every? (fn [line] (and (<= (text/columns line) width)
                           (not-any? text/unsafe? (iterator-seq (.iterator (.codePoints ^String line))))))
        (told record {} {:width width})))))
