(ns build
  "Makes what is given to others: `dev/clj -T:build clean | jar | uber`.

  `jar` is the library, sources only, with its pom; `uber` is the command line with all it
  needs, compiled, for `java -jar target/poz.jar`. Everything lands in `target/`."
  (:require
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

(defn uber
  "Makes `target/poz.jar`, to be run with `java -jar`. Prints and returns its name."
  [_]
  (let [file "target/poz.jar"]
    (start-afresh)
    (b/compile-clj {:basis @basis :class-dir classes :src-dirs ["src"]}) ; all: poz.main loads lazily
    ;; nobody writes a log here: SLF4J, by which dnsjava logs, shall not complain of that
    (b/write-file {:path (str classes "/META-INF/services/org.slf4j.spi.SLF4JServiceProvider")
                   :string "org.slf4j.helpers.NOP_FallbackServiceProvider\n"})
    (b/uber {:class-dir classes :uber-file file :basis @basis :main 'poz.main
             ;; Bouncy Castle has classes per Java version, Conscrypt a native library
             :manifest {"Multi-Release" "true" "Enable-Native-Access" "ALL-UNNAMED"}})
    (println file)
    file))
