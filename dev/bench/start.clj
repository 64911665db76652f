(ns bench.start
  "How long a new JVM takes to begin: `(run)` prints whole processes, medians of rounds in which each
  has its turn, and what each takes more than Clojure alone.

  A first verdict is `verify` of `parse` of `file`. It is there beside each `require` since what is not
  loaded by the one may be by the other. `minisign -V`, a small program in C, checks one signature of the
  same file."
  (:require
   [bench.harness :as harness]
   [bench.net.process :as process]
   [clojure.java.io :as io]
   [clojure.string :as str])
  (:import
   (java.io File)))

(set! *warn-on-reflection* true)

(def ^:private rounds 9)

(def ^:private file "test/vectors/records/all-zones.poz")

(def ^:private loading "(require 'poz.api)")

(def ^:private first-verdict
  (str loading " (when-not (= :valid (:outcome ((resolve 'poz.api/verify) ((resolve 'poz.api/parse) ((resolve 'poz.api/file) "
    (pr-str file) ")) {:now 1793491200000}))) (throw (ex-info \"no verdict\" {})))"))

;; What is started

(defn- newest
  "The time of the newest source."
  []
  (reduce max (map #(.lastModified ^File %) (file-seq (io/file "src")))))

(defn- made
  "The path of what `dev/clj -T:build TARGET` makes; it must not be older than the sources."
  [path target]
  (when (< (.lastModified (io/file path)) (long (newest)))
    (throw (ex-info (str "This needs " path " of the present sources: dev/clj -T:build " target) {:missing path})))
  path)

(defn- version
  "The version that build.clj gives a release; that file needs libraries which are not here."
  []
  (or (second (re-find #"\(def version\s+\"[^\"]*\"\s+\"([^\"]+)\"\)" (slurp "build.clj")))
      (throw (ex-info "build.clj says no version." {}))))

(defn- clojure
  "The command that evaluates the text `form` in a new JVM with the class path `paths`."
  [java paths form]
  [java "-cp" (str/join ":" paths) "clojure.main" "-e" form])

(defn- signed
  "The command with which minisign verifies a copy of the file in `folder`, which it has signed."
  [folder]
  (let [minisign (process/program! "minisign" "minisign")
        [key public message] (map #(str (io/file folder %)) ["key" "key.pub" "message"])]
    (io/copy (io/file file) (io/file message))
    (process/run!! minisign "-G" "-W" "-s" key "-p" public)
    (process/run!! minisign "-S" "-s" key "-m" message)
    [minisign "-V" "-q" "-p" public "-m" message]))

(defn- rows
  "`[[name command] …]`; Clojure alone is the first."
  [folder]
  (let [java (str (System/getProperty "java.home") "/bin/java")
        sources (str/split (str/trim (process/run!! "dev/clj" "-Spath")) #":")
        libraries (remove #{"src" "resources"} sources)
        jar #(cons (made (str "target/poz-" (version) % ".jar") "jar") libraries)]
    [["Clojure alone" (clojure java libraries "nil")]
     ["require, from source" (clojure java sources loading)]
     ["first verdict, from source" (clojure java sources first-verdict)]
     ["require, from the jar" (clojure java (jar "") loading)]
     ["first verdict, from the jar" (clojure java (jar "") first-verdict)]
     ["require, from the jar aot" (clojure java (jar "-aot") loading)]
     ["first verdict, from the jar aot" (clojure java (jar "-aot") first-verdict)]
     ["target/poz verify" [(do (made "target/poz.jar" "uber") "target/poz") "verify" file]]
     ["java -version" [java "-version"]]
     ["minisign -V" (signed folder)]]))

;; Measuring

(defn- run-once!
  "Runs the command to its end, its words thrown away."
  [command]
  (let [log (File/createTempFile "poz-bench" ".log")]
    (try
      (let [p (process/start command log)]
        (slurp (.getInputStream p))
        (when-not (zero? (.waitFor p))
          (throw (ex-info (str (str/join " " (take-last 2 command)) " failed: " (slurp log)) {}))))
      (finally (io/delete-file log)))))

(defn- seconds [command]
  (let [start (System/nanoTime)]
    (run-once! command)
    (/ (- (System/nanoTime) start) 1e9)))

(defn- round! [rows]
  (into {} (map (fn [[name command]] [name (seconds command)])) rows))

(defn- print-table [rows found]
  (let [median (fn [name] (double (harness/median (map #(get % name) found))))
        more (fn [name] (double (harness/median (map #(- (double (get % name)) (double (get % (ffirst rows)))) found))))]
    (doseq [[name] rows]
      (println (format "%-34s %7.3f s %8s" name (median name)
                 (if (re-find #"require|verdict" name) (format "+%.2f" (more name)) ""))))
    (println (format "%-34s %7.1f ×" "target/poz verify ÷ minisign -V" (/ (median "target/poz verify") (median "minisign -V"))))))

(defn run
  "Prints the table. Needs Debian's minisign, and what `dev/clj -T:build jar` and `uber` make."
  []
  (let [folder (process/folder)]
    (try
      (let [rows (rows folder)]
        (println (System/getProperty "java.vm.name") (System/getProperty "java.version") (.availableProcessors (Runtime/getRuntime)) "processors")
        (round! rows)
        (print-table rows (vec (repeatedly rounds #(round! rows)))))
      (finally (process/delete! folder)))))
