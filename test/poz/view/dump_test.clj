(ns poz.view.dump-test
  "The hexdump: what it says of sound and broken files, and what it never lets through."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.record :as record]
   [poz.record.damage :as damage]
   [poz.record.trace :as trace]
   [poz.vectors :as vectors]
   [poz.view.dump :as dump]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(defn- golden [n]
  (vectors/file-bytes (str "records/" n ".poz")))

(defn- safe? [s]
  (not-any? text/unsafe? (iterator-seq (.iterator (.codePoints ^String s)))))

(defn- fits? [width s]
  (<= (text/columns (text/strip s)) width))

(defn- sound? [lines width]
  (every? #(and (safe? (text/strip %)) (fits? width %)) lines))

(defn- hex-of
  "The bytes that a dump shows, put together."
  [lines]
  (->> lines
    (keep #(second (re-find #"^[0-9a-f]{4,}  ((?:[0-9a-f]{2} ?){1,8})(?:  |$)" %)))
    (map #(str/replace % " " ""))
    str/join))

(deftest a-small-record
  (is (= ["Header, 8 bytes"
          "0000  50 4f 5a                 magic — \"POZ\""
          "0003  00                       version — format version"
          "0004  00 00 01 05              size 261 — bytes of the whole file, header"
          "                                 included"
          ""
          "Table of contents, 22 bytes"
          "0008  00 02                    2 items"
          "                                 [0]"
          "000a  00 00                        type 0x0000 (Public Key Map) — section type"
          "000c  00 00 00 1e                  offset 30 — counted from the file's first"
          "                                     byte"
          "0010  00 00 00 25                  length 37 — bytes"
          "                                 [1]"
          "0014  00 01                        type 0x0001 (Master Zone)"
          "0016  00 00 00 43                  offset 67"
          "001a  00 00 00 c2                  length 194"
          ""
          "Public Key Map, section 0x0000, 37 bytes: all keys; an index is a position here"
          "001e  00 01                    1 item"
          "                                 [0]"]
        (take 21 (dump/dump (golden "genesis-minimal"))))))

(deftest values-are-shown-as-what-they-mean
  (let [said (fn [b & options] (str/join "\n" (dump/dump b (into {} options))))]
    (is (str/includes? (said (golden "genesis-minimal")) "1767225600000 (2026-01-01T00:00:00Z)"))
    (is (str/includes? (said (golden "genesis-minimal")) "algorithm 1 (ed25519)"))
    (is (str/includes? (said (golden "unknown-things")) "algorithm 127 (unknown)"))
    (is (str/includes? (said (golden "unknown-things")) "Unknown section 0x7fff, 0 bytes"))
    (is (str/includes? (said (golden "all-zones")) "\"social.example\""))
    (is (str/includes? (said (golden "all-zones")) "public-key: present"))
    (is (str/includes? (said (golden "all-zones")) "ca-key: absent"))
    (is (str/includes? (said (golden "text-warnings")) "\"a\\u{200D}b\""))
    (is (str/includes? (said (golden "hybrid")) "… 1936 more bytes"))
    (is (not (str/includes? (said (golden "hybrid") [:full true]) "more bytes")))))

(deftest a-full-dump-shows-every-byte-once-in-order
  (doseq [file (vectors/record-files)
          :let [b (vectors/file-bytes file)]]
    (is (= (bytes/->hex b) (hex-of (dump/dump b {:full true}))) file)))

(deftest golden-records-fit
  (doseq [file (vectors/record-files)
          options [{:color true :full true} {:width 60}]]
    (is (sound? (dump/dump (vectors/file-bytes file) options) (:width options 80)) file)))

(deftest colour-says-nothing-that-words-do-not
  (let [b (golden "genesis-minimal")]
    (doseq [b [b (bytes/slice b 0 100)]]
      (is (= (dump/dump b) (map text/strip (dump/dump b {:color true})))))))

(deftest a-broken-file
  (let [b (bytes/slice (golden "genesis-minimal") 0 6)]
    (is (= ["Header, 6 bytes"
            "0000  50 4f 5a                 magic — \"POZ\""
            "0003  00                       version — format version"
            "0004  00 00                    size — bytes of the whole file, header included"
            "      ^^^^^                    error format/truncated: a value runs past the end"]
          (take 5 (dump/dump b))))))

(defn- with-bytes [b at hex]
  (let [middle (bytes/hex-> hex)]
    (bytes/concat (bytes/slice b 0 at) middle (bytes/slice b (+ (long at) (count middle))))))

(defn- at-caret
  "The two lines that a caret line and the one above it make, up to the bytes."
  [lines]
  (->> (partition 2 1 lines)
    (filter #(str/includes? (second %) "^"))
    (map (fn [pair] (mapv #(str/trimr (subs % 0 (min 29 (count %)))) pair)))))

(deftest carets-stand-under-the-bytes
  (let [b (golden "genesis-minimal")]
    (testing "a number out of range"
      (is (= [["0106  00" "      ^^"]] (at-caret (dump/dump (bytes/hex-> (:file (first (filter #(= "master-value-0" (:name %))
                                                                                         (:cases (vectors/json "malformed.json")))))))))))
    (testing "a magic"
      (is (= [["0000  50 4f 5b" "      ^^^^^^^^"]] (at-caret (dump/dump (with-bytes b 2 "5b"))))))
    (testing "a field that breaks a rule of its struct, amid what was read after it"
      (let [lines (dump/dump (with-bytes b 0x6a "01"))]
        (is (= 1 (count (at-caret lines))))
        (is (str/includes? (str/join lines) "error format/consistency"))))
    (testing "nothing left"
      (is (= [["0000" "      ^"]] (at-caret (dump/dump bytes/empty)))))
    (testing "no file at all"
      (is (= "Not looked at, 2 bytes" (nth (dump/dump (bytes/utf8 "hello")) 6))))))

(deftest every-malformed-case-has-one-caret-line-and-its-code
  (doseq [{:keys [name file]} (:cases (vectors/json "malformed.json"))
          :let [b (bytes/hex-> file) lines (dump/dump b)
                {:keys [error]} (trace/trace b)]]
    (testing name
      (is (sound? lines 80))
      (is (= 1 (count (at-caret lines))))
      (is (str/includes? (str/join "\n" lines) (str "error " (subs (str (:poz/error error)) 1)))))))

(deftest a-domain-that-would-turn-the-line-around
  (let [b (golden "all-zones")
        at (quot (str/index-of (bytes/->hex b) (bytes/->hex (bytes/utf8 "social.example"))) 2)
        lines (dump/dump (with-bytes b at (bytes/->hex (bytes/utf8 "so\u202eal.exampl"))))]
    (is (sound? lines 80))
    (is (str/includes? (str/join lines) "\\u{202E}"))))

(deftest options-are-checked
  (is (thrown? IllegalArgumentException (dump/dump bytes/empty {:colour true}))))

(def ^:private hostile-names
  (gen/fmap (fn [cs] (apply str (map #(Character/toString (int %)) cs)))
    (gen/vector (gen/elements [0x202e 0x2066 0x200d 0x2028 0x61c 0xad 0xfe0f 0x301 0xe0001 0xa0 0x3000
                               0x41 0x20 0x22 0x5c 0x4e2d 0x1f600 0x5d0 0x10fffd])
      1 60)))

(defspec no-name-disturbs-a-terminal 200
  (let [small (delay (record/decode (golden "genesis-minimal")))]
    (prop/for-all [n hostile-names, color gen/boolean]
      (sound? (dump/dump (record/encode (assoc @small :key-names [{:key 0 :name n}])) {:color color}) 80))))

(defspec damage-is-dumped-soundly 1000
  (let [files (delay (mapv golden ["genesis-minimal" "genesis-minimal" "holder-file" "text-warnings" "unknown-things"]))]
    (prop/for-all [b (gen/bind gen/nat #(damage/damage-generator (nth @files (mod % (count @files)))))]
      (sound? (dump/dump b) 80))))

(deftest the-place-of-a-fault
  (is (= ["0003  01                       version — format version"
          "      ^^                       format/version"]
        (rest (dump/fault (bytes/hex-> "504f5a01")))))
  (is (empty? (dump/fault (golden "all-zones"))))
  (testing "whatever is broken, the lines are among those of the whole dump, but for what the carets say"
    (doseq [at (range 0 (count (golden "all-zones")) 7)
            :let [b (let [a (bytes/->array (golden "all-zones"))] (aset-byte a at -1) (bytes/wrap a))
                  lines (dump/fault b)]]
      (is (= (boolean (seq lines)) (boolean (:error (trace/trace b)))))
      (is (sound? lines 80))
      (when (seq lines)
        (is (<= 2 (count lines) 3))
        (is (re-find #"^ +\^+ +\w+/[\w-]+$" (last lines)))
        (is (every? (set (dump/dump b)) (butlast lines)))))))

(deftest the-place-of-a-part
  (let [b (golden "all-zones")]
    (is (= {:at 1471 :size 16} (select-keys (dump/place b [:identity-zone :deny]) [:at :size])))
    (is (= "0340  01                       identity-type 1 (poz) — what kind of identity"
          (first (:dump (dump/place b [:identity-zone :grant :body 0])))))
    (is (nil? (dump/place b [:identity-zone :nope])))
    (is (nil? (dump/place b [:nope])))))
