(ns poz.integration.processes
  "`poz serve` as a process of its own, started quickly: the sources are compiled once, into a
  folder that vanishes with this JVM.

  - `(serve! words)` starts one and waits until it is ready: a server as `poz.asking` takes it,
    with its `:process`
  - `(kill! server)` with SIGKILL, `(stop! server)` with SIGTERM: the exit code
  - `(poz words)` runs another command to its end: `{:exit :out :err}`
  - `(eventually f)` waits for something that they do"
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.bytes :as bytes])
  (:import
   (java.io BufferedReader File)
   (java.lang ProcessBuilder$Redirect)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)
   (java.util List)
   (java.util.concurrent TimeUnit)
   (java.util.jar JarEntry JarOutputStream)))

(set! *warn-on-reflection* true)

(def ^:private patience "Seconds that anything gets." 300)

(def ^:private jvm-options
  ["-XX:+UseSerialGC" "-XX:TieredStopAtLevel=1" "-Xshare:auto" "-Xlog:disable" "-Dslf4j.internal.verbosity=ERROR" "--enable-native-access=ALL-UNNAMED"])

(defn- delete! [^File folder]
  (run! #(io/delete-file % true) (reverse (file-seq folder))))

(defn- await-exit [^Process p]
  (when-not (.waitFor p patience TimeUnit/SECONDS)
    (.destroyForcibly p)
    (throw (ex-info "A process did not end." {})))
  (.exitValue p))

(defn- run-java! [& words]
  (let [p (.start (doto (ProcessBuilder. ^List (vec (concat ["java"] jvm-options words)))
                    (.redirectOutput ProcessBuilder$Redirect/DISCARD)
                    (.redirectError ProcessBuilder$Redirect/DISCARD)))]
    (await-exit p)))

(defn- jar!
  "A jar at `target` of all files in `folders`."
  [^File target folders]
  (with-open [out (JarOutputStream. (io/output-stream target))]
    (doseq [^File folder folders, ^File file (file-seq folder) :when (.isFile file)]
      (.putNextEntry out (JarEntry. (str (.relativize (.toPath folder) (.toPath file)))))
      (io/copy file out)
      (.closeEntry out))))

(def ^:private environment
  "Sealing costs as little as it may: not what these tests are about."
  {"POZ_PASSPHRASE" "correct horse" "POZ_SEALING" "{:memory-kib 8192 :passes 1 :lanes 1}"})

(defn- process! ^Process [words]
  (let [b (ProcessBuilder. ^List (vec words))]
    (.putAll (.environment b) environment)
    (.start b)))

(defn- archive!
  "Has the JVM that runs `words`, a server, archive the classes that it has once it is ready."
  [archive words]
  (let [p (process! (concat ["java"] jvm-options [(str "-XX:ArchiveClassesAtExit=" archive)] words))
        err (future (slurp (.getErrorStream p)))
        out (io/reader (.getInputStream p))]
    (deref (future (.readLine ^BufferedReader out)) (* 1000 (long patience)) nil)
    (.destroy (.toHandle p))
    (when-not (zero? (long (await-exit p)))
      (throw (ex-info (str "The server did not start: " @err) {})))))

(defn- namespaces
  "All that there are in src: much is loaded when it is first called."
  []
  (for [^File f (sort (file-seq (io/file "src"))) :let [[_ path] (re-matches #"src/(.*)\.clj" (str f))] :when path]
    (symbol (str/escape path {\/ \. \_ \-}))))

(def ^:private program
  "The arguments of java that start the program quickly: compiled, in a jar, and with an archive
  of its classes as the JVM has them in memory, for which all must be in jars."
  (delay
    (let [^File folder (.toFile (Files/createTempDirectory "poz-classes" (make-array FileAttribute 0)))
          classes (doto (io/file folder "classes") .mkdir)
          entries (str/split (System/getProperty "java.class.path") (re-pattern File/pathSeparator))
          jar (io/file folder "poz.jar")
          path (str/join File/pathSeparator (cons (str jar) (filter #(str/ends-with? % ".jar") entries)))
          archive (str (io/file folder "poz.jsa"))]
      (.addShutdownHook (Runtime/getRuntime) (Thread. #(delete! folder)))
      (when-not (zero? (long (run-java! (str "-Dclojure.compile.path=" classes) "-cp" (str/join File/pathSeparator (cons (str classes) entries))
                               "clojure.main" "-e" (pr-str (list 'binding '[*compile-files* true] (list 'run! 'require (list 'quote (namespaces))))))))
        (throw (ex-info "poz does not compile." {})))
      (jar! jar [classes (io/file "resources")])
      (archive! archive ["-cp" path "poz.launch" "serve" "--json" "example.com" "--data" (str (io/file folder "data"))
                         "--plain-port" "0" "--query-port" "0" "--submit-port" "0"])
      [(str "-XX:SharedArchiveFile=" archive) "-cp" path "poz.launch"])))

(defn eventually
  "The first true value of `(f)` within a minute, or nil."
  [f]
  (let [end (+ (System/nanoTime) 60000000000)]
    (loop []
      (or (f)
        (when (< (System/nanoTime) end)
          (Thread/sleep 20)
          (recur))))))

(defn- start! ^Process [prefix words]
  (process! (concat prefix ["java"] jvm-options @program words)))

(defn poz
  "Runs `poz` with the words to its end."
  [& words]
  (let [p (start! [] words)
        out (future (slurp (.getInputStream p)))
        err (future (slurp (.getErrorStream p)))]
    {:exit (await-exit p) :out (str/split-lines @out) :err @err}))

(defn serve!
  "Starts `poz serve` with the words, behind the words `:prefix` of another program if given."
  [words & {:keys [prefix]}]
  (let [p (start! (or prefix []) (concat ["serve" "--json"] words))
        ^BufferedReader out (io/reader (.getInputStream p))
        err (future (slurp (.getErrorStream p)))
        line (deref (future (.readLine out)) (* 1000 (long patience)) nil)]
    (when-not line
      (.destroyForcibly p)
      (throw (ex-info (str "The server did not start: " @err) {:words words})))
    (when-not (str/starts-with? line "{")
      (.destroyForcibly p)
      (throw (ex-info (str "The server says: " line) {:words words})))
    (let [{:keys [ports original-hash noise-key domains]} (json/read-str line :key-fn keyword)]
      {:process p :out (future (slurp out)) :err err :ports ports :domains domains
       :hash (bytes/hex-> original-hash) :noise-key (bytes/hex-> noise-key)})))

(defn kill!
  "Ends the server at once, in the midst of what it does."
  [{:keys [^Process process]}]
  (.destroyForcibly (.toHandle process))
  (await-exit process))

(defn stop!
  "Has the server end by itself: its exit code."
  [{:keys [^Process process]}]
  (.destroy (.toHandle process))
  (await-exit process))

(defn pid
  "The id of the server's process."
  [{:keys [^Process process]}]
  (.pid process))
