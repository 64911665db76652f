(ns poz.launcher-test
  "`dev/clj` as a process, in directories made here.

  The tests that need a class path use the tools the launcher has fetched already. Where it
  has not, they say the same of the real Clojure CLI that it then must have started. The
  others put scripts in the place of Maven, Java and the CLI. Nothing here fetches anything."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing use-fixtures]])
  (:import
   (java.io File)
   (java.lang ProcessBuilder$Redirect)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)
   (java.util Map)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private launcher (.getAbsolutePath (io/file "dev" "clj")))

(def ^:private ^:dynamic *dir*
  "An empty directory, with a space in its name, for each test."
  nil)

(defn- with-dir [f]
  (let [dir (.toFile (Files/createTempDirectory "poz clj" (make-array FileAttribute 0)))]
    (binding [*dir* dir]
      (try (f)
           (finally (run! io/delete-file (reverse (file-seq dir))))))))

(use-fixtures :each with-dir)

(defn- write! ^File [path text]
  (doto (io/file *dir* path) io/make-parents (spit text)))

(defn- script! [path & lines]
  (.setExecutable (write! path (str/join "\n" (cons "#!/bin/sh" lines))) true))

(defn- dir ^String [path] (str (io/file *dir* path)))

;; Processes

(defn- set-env! [^Map env changes]
  (doseq [[k v] changes]
    (if v (.put env k v) (.remove env k))))

(defn- start! ^Process [env args]
  (let [builder (ProcessBuilder. ^java.util.List (list* "/bin/sh" launcher args))]
    (set-env! (.environment builder) env)
    (.start (doto builder
              (.directory *dir*)
              (.redirectInput (io/file "/dev/null"))
              (.redirectOutput ProcessBuilder$Redirect/PIPE)
              (.redirectError ProcessBuilder$Redirect/PIPE)))))

(defn- finish! [^Process process]
  (let [err (future (slurp (.getErrorStream process)))
        out (future (slurp (.getInputStream process)))]
    (when-not (.waitFor process 60 TimeUnit/SECONDS)
      (.destroyForcibly process)
      (throw (ex-info "dev/clj did not end within a minute" {})))
    {:code (.exitValue process) :out (str/trim @out) :err (str/trim @err)}))

(defn- clj [env & args]
  (finish! (start! env args)))

(def ^:private cache
  (let [env #(System/getenv %)]
    (or (env "POZ_CLJ_CACHE")
        (str (or (env "XDG_CACHE_HOME") (str (env "HOME") "/.cache")) "/poz-clj"))))

(def ^:private here
  "The environment in which the launcher can compute a class path without fetching its tools."
  (let [fetched? (some #(str/starts-with? % "tools.deps-") (.list (io/file cache)))]
    {"POZ_CLJ_FORCE" (when fetched? "1") "JAVA_OPTS" nil "CLJ_CONFIG" "/nonexistent"}))

;; With the real tools

(def ^:private deps
  '{:paths ["src"]
    :deps {org.clojure/clojure {:mvn/version "1.12.6"}}
    :aliases {:more {:extra-paths ["more"]}
              :main {:main-opts ["-m" "sample" "from main-opts"]
                     :jvm-opts ["-Dsample.one=1 and 2"]}
              :exec {:exec-fn sample/exec :exec-args {:a 1 :b {:c 2}} :ns-aliases {s sample}}
              :tool {:ns-default clojure.core}}})

(def ^:private source
  '[(ns sample)
    (defn -main [& args]
      (prn args (System/getProperty "sample.one") (System/getProperty "sample.two")))
    (defn exec [m] (prn m))
    (defn other [m] (prn :other m))])

(defn- project! []
  (write! "deps.edn" (pr-str deps))
  (write! "src/sample.clj" (str/join "\n" (map pr-str source))))

(deftest class-paths
  (project!)
  (let [sdeps "{:aliases {:last {:extra-paths [\"la st\"]}}}"
        paths #(str/split (:out (clj here "-Sdeps" sdeps "-A:more:last" "-Spath")) #":")
        before (paths)]
    (is (= #{"la st" "more" "src"} (set (take 3 before))))
    (is (some #(str/ends-with? % "/clojure-1.12.6.jar") before))
    (testing "computed once"
      (is (= "" (:err (clj here "-Sdeps" sdeps "-A:more:last" "-Spath")))))
    (testing "and anew when deps.edn changes"
      (write! "deps.edn" (pr-str (assoc deps :paths ["changed"])))
      (is (= #{"la st" "more" "changed"} (set (take 3 (paths))))))))

(deftest main-programs
  (project!)
  (let [{:keys [code out]} (clj here "-J-Dsample.two=x y" "-M:main" "two words" "*" "" "\"q\"" "-A")]
    (is (= 0 code))
    (is (= (pr-str '("from main-opts" "two words" "*" "" "\"q\"" "-A") "1 and 2" "x y") out))))

(deftest functions
  (project!)
  (testing "of the alias"
    (let [{:keys [code out]} (clj here "-X:exec" ":d" "\"two words\"" "[:b :c]" "3" "{:e 4}")]
      (is (= 0 code))
      (is (= "{:a 1, :b {:c 3}, :d \"two words\", :e 4}" out))))
  (testing "of the command line"
    (is (= ":other {:a 2, :b {:c 2}}" (:out (clj here "-X:exec" "s/other" ":a" "2")))))
  (testing "that is not there"
    (is (not= 0 (:code (clj here "-X:exec" "sample/gone"))))))

(deftest tools-have-paths-and-deps-of-their-own
  (project!)
  (let [{:keys [code out err]} (clj here "-T:tool:gone" "prn" ":a" "1")]
    (is (= 0 code))
    (is (= "{:a 1}" out))
    (testing "an unknown alias is a warning"
      (is (str/includes? err "WARNING: Specified aliases are undeclared"))
      (is (str/includes? err ":gone")))))

;; Which Clojure CLI

(defn- path-with [d]
  {"PATH" (str (dir d) ":" (System/getenv "PATH")) "POZ_CLJ_FORCE" nil})

(deftest a-real-cli-is-used
  (testing "a script that calls the tools"
    (script! "bin/clojure" "# -m clojure.tools.deps.script.make-classpath2" "printf '<%s>' real \"$@\"")
    (is (= "<real><-M:a><b  c>" (:out (clj (path-with "bin") "-M:a" "b  c")))))
  (testing "a wrapper that can describe itself"
    (script! "wrap/clojure" "[ \"$1\" = -Sdescribe ] && echo '{:version \"1.12\"}' || echo wrapped \"$@\"")
    (is (= "wrapped -Spath" (:out (clj (path-with "wrap") "-Spath")))))
  (testing "unless told otherwise"
    (is (= "" (:out (clj (assoc (path-with "bin") "POZ_CLJ_FORCE" "1") "-Spath"))))))

(deftest another-clojure-is-not-taken-for-it
  (script! "bin/clojure" "echo debian" "exec java -cp /usr/share/java/clojure.jar clojure.main \"$@\"")
  (script! "odd/clojure" "echo odd")
  (Files/createDirectories (.toPath (io/file *dir* "self")) (make-array FileAttribute 0))
  (Files/createSymbolicLink (.toPath (io/file *dir* "self/clojure")) (.toPath (io/file launcher))
                            (make-array FileAttribute 0))
  (doseq [bin ["bin" "odd" "self"]
          :let [{:keys [code out err]} (clj (path-with bin) "-Snope")]]
    (is (= [1 ""] [code out]) bin)
    (is (str/starts-with? err "dev/clj: -Snope: no such option") bin)))

;; Failures, each one sentence

(def ^:private forced {"POZ_CLJ_FORCE" "1" "JAVA_CMD" nil "JAVA_HOME" nil})

(defn- complains? [result sentence]
  (and (= 1 (:code result))
       (= "" (:out result))
       (= 1 (count (str/split-lines (:err result))))
       (str/includes? (:err result) sentence)))

(deftest mistakes-are-told
  (is (complains? (clj forced "-Spath") "dev/clj: no deps.edn in "))
  (is (complains? (clj forced "-Snope") "-Snope: no such option"))
  (is (complains? (clj forced "-e" "1") "-e: no such option"))
  (is (complains? (clj forced "-Sdeps") "-Sdeps requires a map"))
  (is (complains? (clj forced "-A") "-A requires an alias"))
  (is (complains? (clj (assoc forced "PATH" "/nonexistent") "-Spath") "dev/clj: no java found")))

(deftest help-needs-nothing
  (let [{:keys [code out]} (clj forced "--help")]
    (is (= 0 code))
    (is (str/includes? out "-Sforce"))))

;; With scripts instead of Maven and Java

(defn- link-tools!
  "A directory of the few programs the launcher uses, so that no other is on the PATH."
  []
  (doseq [tool ["cat" "cksum" "dirname" "grep" "head" "mkdir" "mktemp" "mv" "rm" "sed" "tr"]
          :let [found (first (filter #(.canExecute ^File %)
                                     (map #(io/file % tool) (str/split (System/getenv "PATH") #":"))))
                link (io/file *dir* "tools" tool)]]
    (io/make-parents link)
    (Files/createSymbolicLink (.toPath link) (.toPath ^File found) (make-array FileAttribute 0))))

(defn- bare
  "The environment for such a run: an empty cache and home, and only the linked programs."
  []
  (link-tools!)
  (write! "deps.edn" "{}")
  (script! "java"
           "for a; do [ \"$last\" = --cp-file ] && { printf fake >\"$a\"; exit; }; last=$a; done"
           "printf '<%s>' \"$@\"")
  (assoc forced "PATH" (dir "tools") "HOME" (dir "home") "XDG_CACHE_HOME" nil
         "POZ_CLJ_CACHE" (dir "cache") "JAVA_CMD" (dir "java")))

(deftest no-maven
  (is (complains? (clj (bare) "-Spath") "dev/clj: no mvn found")))

(deftest maven-in-vain
  (let [env (bare)]
    (script! "tools/mvn" "echo '[ERROR] repo1.maven.org: Name or service not known'" "exit 1")
    (let [{:keys [code err]} (clj env "-Spath")]
      (is (= 1 code))
      (is (str/includes? err "Maven could not fetch tools.deps"))
      (is (str/includes? err "It says: repo1.maven.org: Name or service not known")))
    (is (empty? (.list (io/file *dir* "cache"))) "nothing half-done is left")))

(deftest two-first-runs-at-once
  (let [env (bare)]
    (script! "tools/mvn"
             "for a; do case $a in -DoutputDirectory=*) d=${a#*=} ;; esac; done"
             "mkdir -p \"$d\" && echo jar >\"$d/tools.jar\"")
    (let [runs (mapv finish! (mapv #(start! env ["-M" "-e" % "a  b"]) ["1" "2"]))]
      (is (= [0 0] (map :code runs)))
      (is (str/ends-with? (:out (first runs)) "<-cp><fake><clojure.main><-e><1><a  b>")))
    (let [[tools :as all] (.list (io/file *dir* "cache"))]
      (is (= 1 (count all)))
      (is (.isFile (io/file *dir* "cache" tools "tools.jar"))))))
