(ns poz.main-test
  "The command line as a whole: the table of commands, help, exit codes, where things go."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.cli-env :as env]
   [poz.cli.options :as options]
   [poz.cli.support :as support]
   [poz.error :as error]
   [poz.fresh :as fresh]
   [poz.main :as main]
   [poz.view.text :as text])
  (:import
   (java.io ByteArrayOutputStream PrintStream)))

(set! *warn-on-reflection* true)

(defn- golden [name] (str "test/vectors/records/" name ".poz"))

(deftest help-tells-every-command
  (let [{:keys [exit out err]} (env/run ["--help"])]
    (is (= [0 []] [exit err]))
    (is (= out (:out (env/run ["-h"])) (:out (env/run ["help"])) (main/help)))
    (is (every? #(<= (text/columns %) 80) out))
    (doseq [{:keys [name summary]} (main/commands)]
      (is (some #(and (str/starts-with? % (str "  " name " ")) (str/ends-with? % summary)) out) name))
    (doseq [[code doc] support/exit-codes]
      (is (some #(= (str/trim %) (str code (apply str (repeat (- 5 (count (str code))) " ")) doc)) out) code))))

(deftest without-a-command
  (let [{:keys [exit out err]} (env/run [])]
    (is (= [2 []] [exit out]))
    (is (= (main/help) err))))

(deftest every-command-has-help
  (doseq [{:keys [name] :as command} (main/commands)
          :let [words (str/split name #" ") {:keys [exit out err]} (env/run (conj words "--help"))]]
    (testing name
      (is (= [0 []] [exit err]))
      (is (= out (options/help command) (:out (env/run (conj words "-h"))) (:out (env/run (conj words "x" "y" "z" "w" "--nope" "--help")))))
      (is (str/starts-with? (first out) (str "poz " name)))
      (is (= [] (filter #(< 80 (text/columns %)) (take-while #(not= "Examples:" %) out))))
      (is (some #{"Options:"} out)))
    (when (= 1 (count words))
      (is (= out (:out (env/run ["help" name]))) name))))

(deftest the-table-of-commands
  (is (= (mapcat rest main/table) (map :name (main/commands))))
  (is (apply distinct? (map :name (main/commands))))
  (doseq [{:keys [name summary doc group run arity args examples] :as command} (main/commands)]
    (testing name
      (is (every? #(not (str/blank? %)) [summary doc group]))
      (is (re-find #"\.$" doc))
      (is (not (re-find #"\.$" summary)))
      (is (fn? run))
      (is (= 2 (count arity)))
      (is (= (boolean args) (not= [0 0] arity)))
      (is (apply distinct? (map :name (concat (:options command) options/common))))
      (doseq [example examples]
        (is (str/includes? example (str "poz " name)))))))

(deftest verify-waits-for-no-network
  (let [{:keys [namespaces classes]}
        (fresh/loaded '(do (require 'poz.main)
                           (poz.main/run ["verify" "test/vectors/records/genesis-minimal.poz"]
                             {:stdout (java.io.PrintStream. (java.io.OutputStream/nullOutputStream)) :stderr (java.io.PrintStream. (java.io.OutputStream/nullOutputStream))
                              :now (constantly 1793491200000)})))]
    (is (contains? namespaces 'poz.cli.inspect))
    (is (= [] (filter fresh/network? (concat namespaces classes))))))

(deftest the-examples-make-sense
  (doseq [{:keys [name examples] :as command} (main/commands), example examples
          :let [[_ words] (re-find (re-pattern (str "poz " name "(?: ([^|>]*))?")) example)]]
    (when-not (str/includes? example "…")
      (is (not (error/anomaly? (options/parse command (remove str/blank? (str/split (or words "") #" +"))))) example))))

(deftest no-such-command
  (let [{:keys [exit out err]} (env/run ["verfiy" "a.poz"])]
    (is (= [2 []] [exit out]))
    (is (= "poz: there is no command verfiy; see poz --help" (first err))))
  (is (= [{:version 1 :error "cli/usage" :category "usage" :message "there is no command verfiy; see poz --help" :fix "See --help."}]
         (:json (env/run ["verfiy" "--json"])))))

(deftest unknown-repeated-and-missing-options
  (doseq [{:keys [name arity]} (main/commands)
          :let [words (str/split name #" ")
                needed (repeat (first arity) "x")
                usage #(let [{:keys [exit out err]} (env/run (concat words needed %))] (and (= [2 []] [exit out]) (env/text err)))]]
    (testing name
      (is (str/includes? (str (usage ["--no-such-option"])) "--no-such-option"))
      (is (= ["cli/usage"] (map :error (:json (env/run (concat words needed ["--json" "--json"]))))))
      (when (pos? (first arity))
        (is (str/includes? (env/text (:err (env/run words))) "missing")))
      (when (second arity)
        (is (str/includes? (str (usage (repeat 9 "y"))) "too many"))))))

(deftest exit-codes
  (are [code args world] (= code (:exit (env/run args world)))
    0 ["verify" (golden "genesis-minimal")] {}
    1 ["verify" (golden "draft")] {}
    2 ["verify"] {}
    3 ["verify" "deps.edn"] {}
    4 ["verify" (golden "recovery-3-tail")] {})
  (testing "every category of failure has one"
    (doseq [category (keys error/categories)]
      (is (int? (support/exit-code {:poz/anomaly category})) category)))
  (is (apply distinct? (map first support/exit-codes)))
  (testing "and so has every error"
    (doseq [k (keys error/table)]
      (is (pos? (support/exit-code (error/anomaly k))) k))))

(deftest a-defect-passes-through-for-main-to-report
  (let [out (PrintStream. (ByteArrayOutputStream.))]
    (is (thrown-with-msg? IllegalStateException #"broken"
          (main/run ["tour"] {:stdout out :stderr out :getenv {} :now #(throw (IllegalStateException. "broken"))})))))

(deftest results-and-notes-go-their-ways
  (testing "a result to standard output, notes to standard error"
    (env/with-folder
      (fn [at]
        (let [{:keys [out err]} (env/run ["new" "sole" "--out" (at "a")] {:getenv {"POZ_PASSPHRASE" "x"}})]
          (is (= 2 (count out)))
          (is (some #(str/includes? % "NO RECOVERY") err))))))
  (testing "a failure with what to do about it to standard error"
    (is (= {:exit 4 :out [] :err ["poz: none.poz: there is no such file" "     Check the path."]}
           (select-keys (env/run ["show" "none.poz"]) [:exit :out :err]))))
  (testing "a failure as JSON to standard output"
    (is (= {:exit 4 :err [] :json [{:version 1 :error "file/not-found" :category "unknown" :file "none.poz"
                                    :message "none.poz: there is no such file" :fix "Check the path."}]}
           (select-keys (env/run ["show" "--json" "none.poz"]) [:exit :err :json])))))

(deftest every-json-line-has-a-version
  (env/with-folder
    (fn [at]
      (doseq [args [["tour"] ["new" "sole" "--out" (at "a.poz")] ["show" (golden "draft")] ["dump" (golden "draft")]
                    ["verify" (golden "draft") (golden "hybrid")] ["keys" (golden "draft")]
                    ["public" (golden "draft") "--out" (at "b.poz")] ["armor" (golden "draft") "--out" (at "c.poz")]
                    ["dearmor" (golden "draft") "--out" (at "d.poz")]
                    ["new" "nope" "--out" (at "e.poz")] ["show" "none"] ["dump" "none"] ["verify" "none"] ["keys" "none"]
                    ["public" "none"] ["armor" "none"] ["dearmor" "none"] ["nope"] ["show"]]
              :let [{:keys [out json]} (env/run (concat args ["--json"]) {:getenv {"POZ_PASSPHRASE" "x"}})]]
        (testing args
          (is (seq json))
          (is (= (count out) (count json)))
          (is (every? #(= 1 (:version %)) json))
          (is (every? #(str/starts-with? % "{\"version\":1,") out))
          (is (every? map? (map json/read-str out))))))))
