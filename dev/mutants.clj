(ns mutants
  "Whether our tests see a fault: `dev/clj -M:mutants [OPTION]... [NAME]...`.

  A *mutant* is one fault that is put into the rules on purpose, a row of `test/poz/mutants.edn`:
  in `:file` the text `:old` becomes `:new`. It is *caught* when a unit test fails because of it.
  Each has a process of its own, whose class path has the altered source before all else; the
  rest is compiled once. The tests that mirror the source, and the row's `:tests`, are run first,
  then all others, up to the first that fails."
  (:require
   [clojure.edn :as edn]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.tools.cli :as cli]
   [poz.test-runner :as runner])
  (:import
   (java.io File)
   (java.util.concurrent Callable ExecutorService Executors Future TimeUnit)))

(set! *warn-on-reflection* true)

(defn mutants
  "The rows of `test/poz/mutants.edn`."
  []
  (edn/read-string (slurp (io/resource "poz/mutants.edn"))))

(defn occurrences
  "How often the string `part` stands in `text`."
  [^String text ^String part]
  (loop [at (.indexOf text part) n 0]
    (if (neg? at) n (recur (.indexOf text part (inc at)) (inc n)))))

(defn mutated
  "The text of the mutant's file with its fault, or nil where `:old` does not stand there once."
  [{:keys [file old new]}]
  (let [text (slurp file)]
    (when (= 1 (occurrences text old))
      (str/replace text old new))))

;; ## Which tests

(defn- file->ns [file]
  (-> file (str/replace #"^(src|test)/|\.clj$" "") (str/replace "/" ".") (str/replace "_" "-")))

(def ^:private never
  "Those that start processes and ask nothing of the rules."
  '#{poz.launcher-test poz.test-runner-test poz.mutants-test})

(defn- tests-for
  "The test namespaces for the mutant in the order in which they are run; with `few` only the
  likely ones."
  [{:keys [file tests]} all few]
  (let [mirror (symbol (str (file->ns file) "-test"))
        likely (filter (set all) (cons mirror tests))]
    (distinct (if few likely (concat likely (remove never all))))))

;; ## Processes

(def ^:private folder "target/mutants")
(def ^:private classes (str folder "/classes"))

(defn- newest [dirs]
  (transduce (comp (mapcat #(file-seq (io/file %))) (map #(.lastModified ^File %))) max 0 dirs))

(defn- compile!
  "Compiles the sources and tests to files, unless that has been done since they changed."
  [namespaces]
  (let [done (io/file folder "compiled")]
    (when (< (.lastModified done) (long (newest ["src" "test" "dev"])))
      (io/make-parents (io/file classes "x"))
      (binding [*compile-path* classes *warn-on-reflection* false]
        (run! compile (cons 'mutants.child namespaces)))
      (spit done ""))))

(defn- whole?
  "True if whoever requires the altered namespace has to be compiled anew, too: types and constants
  are compiled into them."
  [text]
  (boolean (re-find #"\(def(type|record|protocol|interface|macro)\b|\^:const|:inline" text)))

(defn- class-path [dir text]
  (str/join File/pathSeparator
    (cond-> [(str dir)]
      (not (whole? text)) (conj classes)
      true (conj (System/getProperty "java.class.path")))))

(defn- run-child
  "`[exit-code output]` of the tests `tests` beside the altered source in `dir`; `:hangs` instead of
  the code after 5 minutes."
  [dir text ns tests]
  (let [log (io/file dir "log")
        command (concat [(str (System/getProperty "java.home") "/bin/java") "-XX:+UseSerialGC" "-XX:TieredStopAtLevel=1" "-Xmx1g"
                         "-cp" (class-path dir text) "clojure.main" "-m" "mutants.child" ns]
                  (map str tests))
        process (.start (doto (ProcessBuilder. ^java.util.List (vec command))
                          (.redirectErrorStream true)
                          (.redirectOutput ^File log)))]
    (try [(if (.waitFor process 300 TimeUnit/SECONDS) (.exitValue process) :hangs) (str/trim (slurp log))]
         (finally (.destroyForcibly process)))))

(def ^:private outcomes
  {0 :survived 1 :caught :hangs :caught 3 :does-not-load})

(defn- try-out
  "What becomes of the mutant: `{:name :outcome :by :seconds}`."
  [{:keys [name file why] :as mutant} all few]
  (let [start (System/nanoTime) dir (io/file folder name) text (mutated mutant)]
    (if-not text
      {:name name :why why :outcome :does-not-apply}
      (let [target (io/file dir (str/replace file #"^src/" ""))
            _ (io/make-parents target)
            _ (spit target text)
            [code output] (run-child dir text (file->ns file) (tests-for mutant all few))]
        {:name name :why why :outcome (outcomes code code)
         :by (case code :hangs "a test that hangs" 0 "" (last (str/split-lines output)))
         :seconds (quot (- (System/nanoTime) start) 1000000000)}))))

(defn- say! [{:keys [name outcome by seconds why]}]
  (locking say!
    (println (format "%-14s %-28s %3s s  %s" (clojure.core/name outcome) name seconds (if (= :caught outcome) by (str why " " by))))
    (flush)))

(defn- try-all [rows {:keys [jobs few]} all]
  (let [^ExecutorService pool (Executors/newFixedThreadPool jobs)]
    (try (mapv #(.get ^Future %)
           (mapv (fn [row] (.submit pool ^Callable #(doto (try-out row all few) say!))) rows))
         (finally (.shutdown pool)))))

;; ## The command

(def ^:private options
  [["-j" "--jobs N" "How many at a time" :default (.availableProcessors (Runtime/getRuntime)) :parse-fn parse-long
    :validate [pos-int? "a number"]]
   ["-f" "--few" "Run the likely tests only"]
   ["-e" "--every N" "Of all mutants take each Nth" :default 1 :parse-fn parse-long :validate [pos-int? "a number"]]
   ["-l" "--list" "Print the mutants and run nothing"]
   ["-h" "--help" "Print this"]])

(defn- try-rows [rows flags]
  (let [all (remove runner/integration? (runner/find-namespaces "test"))
        _ (compile! (remove never all))
        start (System/nanoTime)
        results (try-all rows flags all)
        caught (count (filter #(= :caught (:outcome %)) results))]
    (println (format "%d of %d mutants caught in %d s" caught (count results) (quot (- (System/nanoTime) start) 1000000000)))
    (println caught "passed," (- (count results) caught) "failed")
    (if (= caught (count results)) 0 1)))

(defn- main [args]
  (let [{flags :options :keys [arguments errors summary]} (cli/parse-opts args options)
        all (mutants)
        unknown (first (remove (set (map :name all)) arguments))
        rows (if (seq arguments) (filter (comp (set arguments) :name) all) (take-nth (:every flags) all))]
    (cond
      errors (do (run! println errors) 2)
      (:help flags) (do (println (str "dev/clj -M:mutants [OPTION]... [NAME]...\n\n" summary)) 0)
      unknown (do (println (str "There is no mutant " unknown ", see --list.")) 2)
      (:list flags) (do (doseq [{:keys [name file why]} rows] (println (format "%-28s %-36s %s" name file why))) 0)
      :else (try-rows rows flags))))

(defn -main
  "Does what the command line says. Ends the process: 0, 1 where a mutant was not caught, or 2."
  [& args]
  (let [code (main args)]
    (flush)
    (shutdown-agents)
    (System/exit code)))
