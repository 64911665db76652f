(ns poz.view.text-test
  "What reaches a terminal: escapes, columns, wrapping, colours, options."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(deftest what-is-escaped
  (doseq [[shown s] [["alice" "alice"]
                     ["Zoë 中 😀" "Zoë 中 😀"]
                     ["a\\u{202E}b" "a\u202eb"]
                     ["\\u{001B}[31m" "\u001b[31m"]
                     ["\\u{0000}\\u{007F}\\u{009B}" "\u0000\u007f\u009b"]
                     ["\\u{200D}\\u{2066}\\u{FEFF}" "\u200d\u2066\ufeff"]
                     ["a\\u{00A0}b\\u{3000}c" "a\u00a0b\u3000c"]
                     ["\\u{2028}\\u{2029}" "\u2028\u2029"]
                     ["\\u{E0041}" (str (Character/toString 0xe0041))]
                     ["\\u{E000}\\u{D800}" "\ue000\ud800"]
                     ["e\u0301" "e\u0301"]
                     ["\\u{0301}x" "\u0301x"]
                     ["e\u0301\u0301\\u{0301}" "e\u0301\u0301\u0301"]
                     ["\\\\u{202E}" "\\u{202E}"]]]
    (is (= shown (text/escape s))))
  (is (= "\"say \\\"\\\\\\\"\"" (text/quoted "say \"\\\""))))

(def ^:private strings
  (gen/fmap (fn [cs] (apply str (map #(Character/toString (int %)) cs)))
    (gen/vector (gen/frequency [[3 (gen/choose 0x20 0x7e)]
                                [1 (gen/choose 0 0x10ffff)]
                                [1 (gen/choose 0x2000 0x206f)]
                                [1 (gen/elements [0x5c 0x75 0x7b 0x301 0x5d0 0x4e2d 0x1f600 0xfe0f])]])
      0 60)))

(defn- unescape [s]
  (str/replace s #"\\(\\|u\{([0-9A-F]+)\})"
    (fn [[_ escaped hex]] (if hex (Character/toString (Integer/parseInt hex 16)) escaped))))

(defspec nothing-unsafe-and-nothing-lost 1000
  (prop/for-all [s strings]
    (let [shown (text/escape s)]
      (and (not-any? text/unsafe? (iterator-seq (.iterator (.codePoints shown))))
        (= s (unescape shown))))))

(deftest columns
  (doseq [[n s] [[0 ""] [3 "abc"] [4 "中文"] [2 "😀"] [1 "e\u0301"] [1 "—"]]]
    (is (= n (text/columns s)) s))
  (is (= "中   |" (str (text/pad "中" 5) "|"))))

(defspec wrapped-lines-fit 1000
  (prop/for-all [s strings, width (gen/choose 2 40)]
    (let [lines (text/wrap (text/escape s) width)]
      (and (every? #(<= (text/columns %) width) lines)
        (= (str/replace (text/escape s) " " "") (str/replace (str/join lines) " " ""))))))

(deftest hanging
  (is (= ["  one two" "    three"] (text/hang "one two three" 11 2 4))))

(deftest colours
  (is (= "a" (text/paint false :error "a") (text/paint true nil "a") (text/strip (text/paint true :error "a"))))
  (is (= "\u001b[1;31ma\u001b[0m" (text/paint true :error "a"))))

(deftest options
  (is (= {:color false :width 80 :full false} (text/options text/option-rows {})))
  (is (= 100 (:width (text/options text/option-rows {:width 100}))))
  (testing "a sentence for what will not do"
    (is (thrown-with-msg? IllegalArgumentException #"There is no option :colour. There are: :color :full :width\."
          (text/options text/option-rows {:colour true})))
    (is (thrown-with-msg? IllegalArgumentException #"Option :width is an integer of 60 to 1000, not 10\."
          (text/options text/option-rows {:width 10})))
    (is (thrown? IllegalArgumentException (text/options text/option-rows {:full nil})))))

(deftest lines-print-as-lines
  (is (= "a\nb \"c\"" (pr-str (text/lines ["a" "b \"c\""]))))
  (is (= "" (pr-str (text/lines nil)) (pr-str (text/lines []))))
  (is (= ["a"] (text/lines ["a"])))
  (is (= "(\"a\")" (pr-str (map identity (text/lines ["a"]))))))
