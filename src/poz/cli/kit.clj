(ns poz.cli.kit
  "`poz fuzz`, `poz conformance`: what other implementations are tested with. The commands as data;
  what they do is loaded when one of them runs."
  (:require
   [clojure.string :as str]
   [poz.cli.support :as support]
   [poz.kit.targets :as targets]))

(set! *warn-on-reflection* true)

(defn- natural [s] (let [n (parse-long s)] (when (and n (<= 0 n)) n)))
(defn- positive [s] (let [n (parse-long s)] (when (and n (pos? n)) n)))

(defn- docs [table doc]
  (str/join "; " (map (fn [[k v]] (str (name k) ", " (doc v))) (sort-by key table))))

(def ^:private program-options
  [{:name "program" :arg "CMD" :doc "ask this shell command"}
   {:name "protocol" :arg "HOW" :doc (str "how it is asked: " (docs targets/protocols identity)) :default "lines"
    :parse #(when (contains? targets/protocols (keyword %)) %)}
   {:name "timeout" :arg "SECONDS" :doc "wait so long for an answer, and for a process to start longer" :default 10 :parse positive}
   {:name "codes" :doc "problem codes must agree too, not only the status"}])

(def ^:private fuzz
  {:name "fuzz" :args "TARGET" :arity [1 1] :group "Other implementations" :run #((requiring-resolve 'poz.cli.fuzz/run) %)
   :summary "look for inputs on which a reader or verifier is wrong"
   :doc (str "Makes records, damages them, and asks whether they hold. Without --program our own answers are held against "
          "themselves, with it the program's against ours. The conformance vectors come first. What is found is made small and told; with --out a "
          "file and a report of it are written. Exit code 0: nothing found, 1: something. Targets: "
          (docs targets/targets :doc) ".")
   :options (into program-options
              [{:name "seconds" :arg "N" :doc "stop after so long" :default 60 :parse positive}
               {:name "cases" :arg "N" :doc "stop after so many cases" :parse positive}
               {:name "seed" :arg "N" :doc "which sequence of cases" :default 1 :parse natural}
               {:name "from" :arg "N" :doc "the number of the first case" :default 0 :parse natural}
               {:name "drawn" :doc "leave the conformance vectors out"}
               {:name "out" :arg "DIR" :doc "write findings and the state of the run there"}
               {:name "resume" :arg "DIR" :doc "go on with the run whose state is there"}])
   :examples ["poz fuzz verify --seconds 30"
              "poz fuzz verify --program ./mine --out findings"
              "poz fuzz decode --program ./mine --protocol file --cases 1000"]})

(def ^:private conformance
  [{:name "conformance run" :args "[DIR]" :arity [0 1] :group "Other implementations" :run #((requiring-resolve 'poz.cli.conformance/run) %)
    :summary "put the conformance vectors to a program"
    :doc (str "Asks a program about every conformance vector, those exported to DIR or our own, and tells which it answered as POZ v0 requires. "
           "Without --program it asks ourselves. A question that the program does not support counts neither way. Exit code 0: all passed, 1: one failed.")
    :options program-options
    :examples ["poz conformance run --program ./mine" "poz conformance run --program ./mine --codes vectors"]}
   {:name "conformance export" :args "DIR" :arity [1 1] :group "Other implementations" :run #((requiring-resolve 'poz.cli.conformance/export) %)
    :summary "write the conformance vectors to a folder"
    :doc (str "Writes every conformance vector to DIR: vectors.json, the files, and a README.md for implementers. Always the same bytes.")
    :options [support/force-option]
    :examples ["poz conformance export vectors"]}
   {:name "conformance answer" :arity [0 0] :group "Other implementations" :run #((requiring-resolve 'poz.cli.conformance/answer) %)
    :summary "answer questions of the line protocol"
    :doc "Reads questions from standard input, a line each, and writes our answer to each as a line of JSON, until the input ends: what other implementers can hold theirs against."
    :examples ["poz conformance answer"]}])

(def commands
  "The commands of this namespace."
  (into [fuzz] conformance))
