(ns poz.cli.options-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.cli.options :as options]
   [poz.error :as error]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(def ^:private command
  {:name "try" :args "FILE [FILE]" :arity [1 2]
   :doc "Tries something and says what came of it, in words that are long enough to need more than one line of a terminal."
   :options [{:name "at" :arg "N" :doc "a number" :parse parse-long}
             {:name "with" :arg "FILE" :doc "another file" :many true}
             {:name "out" :arg "FILE" :doc "where to" :default "-"}
             {:name "force" :short "f" :doc "replace"}
             {:name "a-name-that-is-really-too-long" :arg "SOMETHING" :doc "an option with a name beyond its column"}]
   :examples ["poz try a.poz"]})

(def ^:private strict
  (assoc command :arity [0 nil] :options [{:name "key" :arg "K" :doc "needed" :required true}]))

(defn- parse [& args] (options/parse command args))

(defn- problem [result]
  (when (error/anomaly? result)
    (is (= [:cli/usage :usage] ((juxt :poz/error :poz/anomaly) result)))
    (:message result)))

(deftest what-is-asked-for
  (are [args asked] (= asked (apply parse args))
    ["a"] {:options {:out "-"} :args ["a"]}
    ["a" "b" "--force"] {:options {:out "-" :force true} :args ["a" "b"]}
    ["-f" "a"] {:options {:out "-" :force true} :args ["a"]}
    ["--at" "7" "a"] {:options {:out "-" :at 7} :args ["a"]}
    ["--at=0" "a"] {:options {:out "-" :at 0} :args ["a"]}
    ["--with" "x" "a" "--with" "y"] {:options {:out "-" :with ["x" "y"]} :args ["a"]}
    ["--out" "b.poz" "-"] {:options {:out "b.poz"} :args ["-"]}
    ["--json" "a"] {:options {:out "-" :json true} :args ["a"]}
    ["--" "--force"] {:options {:out "-"} :args ["--force"]}))

(deftest what-makes-no-sense
  (are [args words] (str/includes? (str (problem (apply parse args))) words)
    ["--nope" "a"] "--nope"
    ["-x" "a"] "-x"
    [] "missing FILE"
    ["a" "b" "c" "d"] "too many arguments: c d"
    ["--at" "seven" "a"] "cannot be read as N"
    ["a" "--at"] "--at"
    ["--at" "1" "--at" "1" "a"] "--at is given twice"
    ["--force" "-f" "a"] "--force is given twice"
    ["--json" "--json" "a"] "--json is given twice"
    ["--out" "a" "--out" "b" "a"] "--out is given twice"
    ["--forc" "a"] "--forc"
    ["--out" "--json" "a"] "--out")
  (is (str/starts-with? (problem (parse)) "poz try: ") "it says whose options these are")
  (is (str/includes? (problem (options/parse strict [])) "--key is required"))
  (is (= {:options {:key "k"} :args []} (options/parse strict ["--key" "k"]))))

(deftest help-comes-before-all-complaints
  (are [args] (= {:options {:help true} :args []} (apply parse args))
    ["--help"] ["-h"] ["a" "b" "c" "--help"] ["--nope" "-h"] ["--at" "x" "--help"])
  (is (= {:help true} (:options (options/parse strict ["--help"])))))

(deftest help-fits-a-terminal
  (doseq [c [command strict]]
    (is (every? #(<= (text/columns %) 80) (options/help c))))
  (let [lines (options/help command) shown (str/join "\n" lines)]
    (is (= "poz try [OPTION]... FILE [FILE]" (first lines)))
    (are [part] (str/includes? shown part)
      "--at N" "-f, --force" "(repeatable)" "--json" "-h, --help" "poz try a.poz" "--out FILE" "(-)"
      "--a-name-that-is-really-too-long SOMETHING\n")
    (is (str/includes? (str/join "\n" (options/help strict)) "needed (required)")))
  (testing "every option is in it"
    (doseq [{:keys [name doc]} (concat (:options command) options/common)]
      (is (some #(str/includes? % (str "--" name)) (options/help command)))
      (is (some #(str/includes? % doc) (options/help command))))))
