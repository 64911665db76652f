(ns build
  "Makes what is given to others: `dev/clj -T:build clean | jar | uber`.

  `jar` is the library, sources only, with its pom; `uber` is the command line with all it
  needs, compiled, for `java -jar target/poz.jar`, and beside it the script `target/poz` that starts
  it with its class-data archive, in less than half the time. Everything lands in `target/`."
  (:require
   [clojure.java.io :as io]
   [clojure.tools.build.api :as b]))

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

(defn- start-afresh []
  (b/delete {:path classes})
  (b/copy-dir {:src-dirs ["src" "resources"] :target-dir classes}))

(defn jar
  "Makes `target/poz-VERSION.jar`, with a pom in it. Prints and returns its name."
  [_]
  (let [file (format "target/%s-%s.jar" (name lib) version)]
    (start-afresh)
    (b/write-pom {:class-dir classes
                  :lib lib
                  :version version
                  :basis @basis
                  :src-dirs ["src"]
                  :pom-data [[:description "POZ (Portable Ownership Zone), version 0: records, keys and zones"]]})
    (b/jar {:class-dir classes :jar-file file})
    (println file)
    file))

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
    (b/uber {:class-dir classes :uber-file file :basis @program-basis :main 'poz.launch
             ;; Bouncy Castle has classes per Java version, Conscrypt a native library
             :manifest {"Multi-Release" "true" "Enable-Native-Access" "ALL-UNNAMED"}})
    (launcher!)
    (println file)
    file))
