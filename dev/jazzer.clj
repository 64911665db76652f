(ns jazzer
  "Coverage-guided fuzzing with Jazzer: `dev/clj -M:jazzer TARGET... | all`.

  Jazzer counts the branches of a program by rewriting its classes when they are loaded, and
  ours are made by Clojure's compiler. So `poz` and the targets are compiled to files first;
  then each target has a process of its own, in which Jazzer mutates the inputs that reached
  something new. The targets and what must hold of them are `poz.jazzer.targets`'s."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.tools.cli :as cli])
  (:import
   (java.io File)
   (java.lang ProcessBuilder$Redirect)
   (java.nio ByteBuffer)
   (java.nio.file Files OpenOption)
   (java.security MessageDigest)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private options
  [["-s" "--seconds N" "For each target" :default 60 :parse-fn parse-long :validate [pos-int? "a number of seconds"]]
   ["-r" "--runs N" "End after as many inputs" :parse-fn parse-long :validate [pos-int? "a number"]]
   ["-c" "--corpus DIR" "Inputs to begin with, and where those go that reach something new: a folder for each target"
    :default "target/jazzer/corpus"]
   ["-f" "--findings DIR" "Where findings go, which the unit tests hold from then on" :default "test/vectors/found"]
   ["-v" "--verbose" "Show what Jazzer says"]
   ["-h" "--help" "Print this"]])

;; ## What is fuzzed. It is loaded only when it is asked for, since who fuzzes has it compiled then.

(def ^:private classes "target/jazzer/classes")

(defn- compile!
  "Loads the targets and all that they need, and compiles them to files."
  []
  (.mkdirs (io/file classes))
  (binding [*compile-path* classes *warn-on-reflection* false]
    (compile 'poz.jazzer.entry)))

(defn- all-targets []
  @(requiring-resolve 'poz.jazzer.targets/targets))

(defn- target [name]
  ((requiring-resolve 'poz.jazzer.targets/target) name))

(defn- help [summary]
  (str/join "\n"
    (concat ["dev/clj -M:jazzer [OPTION]... TARGET... | all     fuzz"
             "dev/clj -M:jazzer [OPTION]... mixed               all of them at once, quickly"
             "dev/clj -M:jazzer TARGET FILE                    hold a target against one input" ""]
      (for [{:keys [name doc]} (all-targets)] (format "  %-10s %s" name doc))
      ["" summary])))

;; ## Files

(defn- file-in ^File [dir & names]
  (doto ^File (apply io/file dir names) io/make-parents))

(defn- digest [^bytes b]
  (format "%016x" (.getLong (ByteBuffer/wrap (.digest (MessageDigest/getInstance "SHA-256") b)))))

(defn- sow!
  "Puts the seeds of the target into its folder of the corpus; that folder."
  [{:keys [name seeds]} dir]
  (doseq [b (seeds) :let [b ((requiring-resolve 'poz.bytes/->array) b)]]
    (Files/write (.toPath (file-in dir name (digest b))) ^bytes b ^"[Ljava.nio.file.OpenOption;" (make-array OpenOption 0)))
  (io/file dir name))

;; ## Processes

(defn- arguments
  "What Jazzer is told: where to count, when to end; whatever takes 10 s hangs."
  [{:keys [most]} {:keys [seconds runs]} ^File corpus ^File found]
  (cond-> ["--target_class=poz.jazzer.Entry" "--instrumentation_includes=poz.**" "--custom_hook_includes=poz.**"
           "--reproducer_path=target/jazzer"
           (str "-max_total_time=" seconds) (str "-max_len=" most) (str "-artifact_prefix=" found "/")
           "-timeout=10" "-rss_limit_mb=4000" "-use_value_profile=1" "-print_final_stats=1" "-seed=1"]
    runs (conj (str "-runs=" runs))
    true (conj (str corpus))))

(defn- java [{:keys [name] :as target} options corpus found]
  (concat [(str (System/getProperty "java.home") "/bin/java") "-Xmx1500m" "-XX:+UseSerialGC" (str "-Dpoz.target=" name) "-Dpoz.slack=8"
           "-cp" (str classes File/pathSeparator (System/getProperty "java.class.path"))
           "com.code_intelligence.jazzer.Jazzer"]
    (arguments target options corpus found)))

(defn- run-process
  "`[exit-code output]` of the command; it is ended when it takes `seconds`."
  [command seconds verbose]
  (let [log (File/createTempFile "jazzer" ".log")
        builder (doto (ProcessBuilder. ^java.util.List (vec command)) (.redirectErrorStream true))
        process (.start (if verbose (.redirectOutput builder ProcessBuilder$Redirect/INHERIT) (.redirectOutput builder log)))]
    (try (if (.waitFor process seconds TimeUnit/SECONDS)
           [(.exitValue process) (slurp log)]
           [:hangs (slurp log)])
         (finally (.destroyForcibly process) (.delete log)))))

;; ## Results

(defn- figure [pattern output]
  (some-> (last (re-seq pattern output)) second parse-long))

(defn- figures
  "What Jazzer's output says: inputs, branches covered, inputs kept."
  [output]
  {:inputs (figure #"number_of_executed_units: (\d+)" output)
   :covered (figure #"cov: (\d+)" output)
   :kept (figure #"corp: (\d+)" output)})

(defn- findings [^File dir]
  (into #{} (map File/.getName) (.listFiles dir)))

(defn- fuzz!
  "Fuzzes the target; true if nothing was found."
  [{:keys [name] :as target} {:keys [corpus verbose seconds] found-dir :findings :as options}]
  (let [found (doto (io/file found-dir name) .mkdirs)
        before (findings found)
        [code output] (run-process (java target options (sow! target corpus) found) (+ 300 (long seconds)) verbose)
        new (remove before (findings found))
        {:keys [inputs covered kept]} (figures output)
        fine? (and (= 0 code) (empty? new) (or verbose (pos? (long (or inputs 0)))))]
    (when (empty? (findings found)) (.delete found))
    (println (format "%-10s %8s inputs, %6s branches, %5s kept  %s" name inputs covered kept (if fine? "" "FOUND")))
    (when-not fine?
      (println (or (re-find #"(?s)== (?:Java Exception|libFuzzer crashing|ERROR).*" output) output))
      (run! #(println (str "  dev/clj -M:jazzer " name " " (io/file found %))) new))
    (flush)
    fine?))

(defn- reproduce!
  "Holds the target against the input in `file`; the exit code."
  [{:keys [check name]} file]
  (try (check ((requiring-resolve 'poz.bytes/wrap) (Files/readAllBytes (.toPath (io/file file)))))
       (println name "holds for" file)
       0
       (catch Throwable e
         (println name "does not hold for" file)
         (.printStackTrace e)
         1)))

(defn- fuzz-all! [rows options]
  (let [results (mapv #(fuzz! % options) rows)
        passed (count (filter true? results))]
    (println passed "passed," (- (count results) passed) "failed")
    (if (= passed (count results)) 0 1)))

(defn- fuzz-named! [names options]
  (compile!)
  (if-let [unknown (first (remove #{"all"} (remove target names)))]
    (do (println (str "There is no target and no file " unknown "."))
        2)
    (fuzz-all! (if (some #{"all"} names) (all-targets) (map target names)) options)))

(defn- main [args]
  (let [{:keys [options arguments errors summary]} (cli/parse-opts args options)
        [name file & more] arguments]
    (cond
      errors (do (run! println errors) 2)
      (:help options) (do (println (help summary)) 0)
      (empty? arguments) (do (println (help summary)) 2)
      (and file (nil? more) (.isFile (io/file file)) (target name)) (reproduce! (target name) file)
      :else (fuzz-named! arguments options))))

(defn -main
  "Does what the command line says; ends the process: 0, 1 where something was found, 2 where the
  command line makes no sense."
  [& args]
  (let [code (main args)]
    (flush)
    (shutdown-agents)
    (System/exit code)))
