(ns build
  "Makes what is given to others: `dev/clj -T:build clean | jar | uber`.

  `jar` is the library with its pom, twice: sources only, and with the classifier `aot` as those of
  Clojure have it, with our own classes beside them, which load in a tenth of the time. `uber` is the
  command line with all it needs, compiled, for `java -jar target/poz.jar`, and beside it the script
  `target/poz` that starts it with its class-data archive, in less than half the time. Everything
  lands in `target/`."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.tools.build.api :as b])
  (:import
   (java.io File)))

(set! *warn-on-reflection* true)

(def lib
  "The library's name at a Maven repository."
  'io.github.poz/poz)

(def version
  "The version of this release."
  "0.1.0")

(def ^:private classes "target/classes")
(def ^:private basis (delay (b/create-basis {:project "deps.edn"})))
(def ^:private program-basis (delay (b/create-basis {:project "deps.edn" :aliases [:poz :cassandra]})))

(defn clean
  "Deletes `target/`."
  [_]
  (b/delete {:path "target"}))

(def ^:private dated
  "The time of every source in a jar, milliseconds: 1 January 2000. Clojure loads a class only where
  it is newer than its source, and a jar counts in steps of two seconds."
  946684800000)

(defn- start-afresh []
  (b/delete {:path classes})
  (b/copy-dir {:src-dirs ["src" "resources"] :target-dir classes})
  (doseq [^File f (file-seq (io/file classes)) :when (str/ends-with? (.getName f) ".clj")]
    (.setLastModified f dated)))

(def ^:private opt-in
  "The classes of namespaces that need a library which `poz` does not bring along. Their sources stay:
  a library that is missing is told as an exception from those, and as an error from classes."
  #"poz/(cli/logback|store/cassandra(?!/cql)).*\.class")

(defn- compile-own!
  "Puts the classes of our namespaces beside the sources: ours only, and with vars that can be redefined."
  []
  (b/compile-clj {:basis @program-basis :class-dir classes :src-dirs ["src"] :filter-nses '[poz]})
  (let [root (.toPath (io/file classes))]
    (doseq [^File f (file-seq (io/file classes)) :when (re-matches opt-in (str (.relativize root (.toPath f))))]
      (.delete f))))

(defn- jar! [classifier]
  (let [file (format "target/%s-%s%s.jar" (name lib) version classifier)]
    (b/jar {:class-dir classes :jar-file file})
    (println file)
    file))

(defn jar
  "Makes `target/poz-VERSION.jar` and `target/poz-VERSION-aot.jar`, each with a pom in it. Prints and
  returns their names."
  [_]
  (start-afresh)
  (b/write-pom {:class-dir classes
                :lib lib
                :version version
                :basis @basis
                :src-dirs ["src"]
                :pom-data [[:description "POZ (Portable Ownership Zone), version 0: records, keys and zones"]]})
  (let [sources (jar! "")]
    (compile-own!)
    [sources (jar! "-aot")]))

(defn- delete-sources!
  "Leaves classes only: to look for a source, and at its date, takes each namespace a millisecond."
  []
  (doseq [^File f (file-seq (io/file classes)), :let [compiled (str/replace (str f) #"\.cljc?$" "__init.class")]
          :when (and (not= compiled (str f)) (.exists (io/file compiled)))]
    (.delete f)))

(defn- launcher!
  "Puts the script that starts the jar beside it, with the archive that it makes."
  []
  (let [script (io/file "target/poz")]
    (io/copy (io/file "resources/poz/launcher.sh") script)
    (.setExecutable script true false)
    (b/process {:command-args [(.getPath script) "--make-archive"]})))

(defn uber
  "Makes `target/poz.jar`, to be run with `java -jar` or by `target/poz`. Prints and returns its name."
  [_]
  (let [file "target/poz.jar"]
    (start-afresh)
    (b/compile-clj {:basis @program-basis :class-dir classes :src-dirs ["src"] ; all: poz.main loads lazily
                    :java-opts ["-Dclojure.compiler.direct-linking=true"]})
    (delete-sources!)
    (b/uber {:class-dir classes :uber-file file :basis @program-basis :main 'poz.launch
             :exclude ["clojure/(?!core/specs/).*\\.cljc?"] ; compiled too, but for those
             ;; Bouncy Castle has classes per Java version, Conscrypt a native library
             :manifest {"Multi-Release" "true" "Enable-Native-Access" "ALL-UNNAMED"}})
    (launcher!)
    (println file)
    file))
