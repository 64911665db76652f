(ns poz.view.terminal-test
  "Every view of every sample on terminals of 60, 80 and 120 columns: no line over the edge, with
  colours or without, and colours never the only sign of anything."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as env]
   [poz.record :as record]
   [poz.vectors :as vectors]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(def ^:private commands
  "The commands that show a record, each with the arguments before the file's name."
  [["show"] ["dump"] ["dump" "--full"] ["verify"] ["verify" "--steps"] ["simulate"]
   ["diff" "test/vectors/records/recovery-1.poz"]])

(def ^:private files
  (mapv #(str "test/vectors/" %) (vectors/record-files)))

(defn- run [command file width options]
  (env/run (concat command [file "--width" (str width)]) options))

(defn- lines-of [{:keys [out err]}]
  (concat out err))

(defn- over [lines width]
  (remove #(<= (text/columns (text/strip %)) width) lines))

(deftest no-line-over-the-edge
  (doseq [command commands, file files, width (if (#{["show"] ["verify"]} command) [60 80 120] [80])]
    (testing (str/join " " (conj command file width))
      (is (= [] (over (lines-of (run command file width {})) width))))))

(deftest colours-only-support
  (doseq [command commands, file (take-nth 5 files)]
    (testing (str/join " " (conj command file))
      (let [plain (lines-of (run command file 80 {})) coloured (lines-of (run command file 80 {:color true}))]
        (is (= plain (map text/strip coloured)))
        (is (not-any? #(str/includes? % "\u001b") plain))))))

(def ^:private wide
  "Names of letters that take two columns, of marks that take none, and of what is invisible."
  ["汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字汉字" "ko\u0301s\u030ct\u0301ky e\u0301 e\u0301 e\u0301"
   "\u202Eevil\u202C \u200B<script>" (str/join (repeat 51 "名前は")) "🙂🙂🙂 ok" (str/join " " (repeat 40 "a word"))])

(deftest wide-letters
  (env/with-folder
    (fn [at]
      (let [r (record/parse (vectors/file-bytes "records/holder-file.poz"))]
        (doseq [[i name] (map-indexed vector wide)
                :let [clipped (if (< 255 (count (bytes/utf8 name))) (subs name 0 80) name)
                      file (env/write! (at (str i ".poz")) (record/encode (assoc r :key-names [{:key 0 :name clipped}])))]
                command commands, width [60 80]]
          (testing (str/join " " (conj command name width))
            (let [{:keys [exit] :as done} (run command file width {})]
              (is (contains? #{0 1} exit))
              (is (= [] (over (lines-of done) width))))))))))

(deftest where-it-is-broken
  (env/with-folder
    (fn [at]
      (let [b (vectors/file-bytes "records/all-zones.poz")
            file (env/write! (at "b.poz") (bytes/slice b 0 2000))]
        (doseq [command (butlast commands), width [60 80]
                :let [{:keys [exit] :as done} (run command file width {}) lines (lines-of done)]]
          (testing (str/join " " (conj command width))
            (is (= 3 exit))
            (is (= [] (remove #(str/starts-with? % "poz: ") (over lines width))))
            (is (some #(re-find #"^ +\^+ " %) lines))))))))

(deftest the-width-of-the-terminal
  (let [shown (fn [options & more] (:out (env/run (concat ["show" (last files)] more) options)))
        columns #(hash-map :getenv {"COLUMNS" %})]
    (is (= (shown {} "--width" "120") (shown (columns "120"))))
    (is (= (shown {} "--width" "60") (shown (columns "20"))) "as narrow as a view can be")
    (is (= (shown {}) (shown (columns "")) (shown (columns "many"))))
    (is (= (shown {} "--width" "70") (shown (columns "120") "--width" "70")))))
