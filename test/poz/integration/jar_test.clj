(ns poz.integration.jar-test
  "The library as `dev/clj -T:build jar` makes it, in JVMs that have nothing else of ours: what
  is in the two jars, and who is loaded from where."
  (:require
   [clojure.edn :as edn]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]])
  (:import
   (java.io File)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)
   (java.util List)
   (java.util.concurrent TimeUnit)
   (java.util.zip ZipEntry ZipFile)))

(set! *warn-on-reflection* true)

(def ^:private patience
  "Seconds that a process gets."
  300)

(defn- run
  "What `command` prints."
  [& command]
  (let [p (.start (doto (ProcessBuilder. ^List (vec command))
                    (.redirectInput (io/file "/dev/null"))))
        errors (future (slurp (.getErrorStream p)))
        out (future (slurp (.getInputStream p)))]
    (when-not (.waitFor p patience TimeUnit/SECONDS) (.destroyForcibly p))
    (when-not (zero? (.exitValue p)) (throw (ex-info "A process failed." {:command command :errors @errors})))
    @out))

(def ^:private jars
  "The two jars, made now: `{:sources :aot}`."
  (delay (zipmap [:sources :aot] (str/split-lines (run "sh" "dev/clj" "-T:build" "jar")))))

(def ^:private libraries
  "The class path of the project without the project."
  (delay (remove #{"src" "resources"} (str/split (str/trim (run "sh" "dev/clj" "-Spath")) #":"))))

(defn- entries
  "Name → milliseconds of the files in the jar."
  [jar]
  (with-open [zip (ZipFile. (io/file jar))]
    (into {} (comp (remove #(.isDirectory ^ZipEntry %)) (map (fn [^ZipEntry e] [(.getName e) (.getTime e)])))
      (enumeration-seq (.entries zip)))))

(def ^:private from-source
  "A form: the namespaces of poz that this JVM has compiled itself."
  '(set (for [n (all-ns) :when (.startsWith (str n) "poz.")
              [_ v] (ns-interns n)
              :when (and (fn? @v) (instance? clojure.lang.DynamicClassLoader (.getClassLoader (class @v))))]
          (ns-name n))))

(defn- value
  "What `form` gives in a new JVM with the class path `paths` and the libraries."
  [paths form]
  (edn/read-string (run (str (System/getProperty "java.home") "/bin/java") "-XX:+UseSerialGC" "-XX:TieredStopAtLevel=1"
                     "-cp" (str/join ":" (concat paths @libraries)) "clojure.main" "-e" (pr-str form))))

(def ^:private verdict
  "A form: a verdict by `poz.api`, and how much it warns of, which is loaded then."
  '((juxt :outcome (comp count :warnings))
    ((resolve 'poz.api/verify) ((resolve 'poz.api/parse) ((resolve 'poz.api/file) "test/vectors/records/all-zones.poz"))
     {:now 1793491200000})))

(defn- with-folder
  "Calls `f` with a new folder that holds `text` at `path`, dated now."
  [path text f]
  (let [folder (.toFile (Files/createTempDirectory "poz jar" (make-array FileAttribute 0))) file (io/file folder path)]
    (try
      (io/make-parents file)
      (spit file text)
      (f folder)
      (finally (run! io/delete-file (reverse (file-seq folder)))))))

(defn- own-namespaces
  "The namespaces of which there are classes in the jar, and that can be loaded."
  []
  (for [path (keys (entries (:aot @jars))), :let [[_ name] (re-matches #"(poz/.*)__init\.class" path)] :when name]
    (symbol (str/replace (str/replace name "/" ".") "_" "-"))))

(deftest what-is-in-the-jars
  (let [sources (entries (:sources @jars)) aot (entries (:aot @jars))
        classes (filter #(str/ends-with? % ".class") (keys aot))]
    (is (not-any? #(str/ends-with? % ".class") (keys sources)))
    (is (= (set (keys sources)) (into #{} (remove (set classes)) (keys aot))))
    (testing "our classes, and nobody else's"
      (is (contains? (set classes) "poz/api__init.class"))
      (is (= [] (remove #(str/starts-with? % "poz/") classes))))
    (testing "each newer than its source, or Clojure would pass it over"
      (doseq [class classes :let [source (str/replace class #"(__init)?\.class" ".clj")] :when (aot source)]
        (is (< (long (aot source)) (long (aot class))) class)))))

(deftest classes-are-loaded
  (is (= [[:valid 3] #{}]
        (value [(:aot @jars)] (list 'do '(require 'poz.api) [verdict from-source]))))
  (testing "of every namespace but those for which a library is missing"
    (is (= #{}
          (value [(:aot @jars)]
            (list 'do
              (list 'run! 'require (list 'quote (own-namespaces)))
              from-source)))))
  (testing "but not of one for which a library is missing, which is still told in words"
    (is (= :store/lost
          (value [(:aot @jars)]
            '(do (require 'poz.system)
               (try ((resolve 'poz.system/open-store) {:store "cassandra://127.0.0.1:1/poz?dc=datacenter1"})
                 (catch clojure.lang.ExceptionInfo e (:poz/error (ex-data e)))))))))
  (testing "vars can be redefined"
    (is (= :other (value [(:aot @jars)] '(do (require 'poz.api) (with-redefs-fn {(resolve 'poz.record/encode) (constantly :other)}
                                                                  #((resolve 'poz.api/encode) {}))))))))

(deftest sources-are-loaded
  (testing "where there are no classes"
    (let [[found compiled] (value [(:sources @jars)] (list 'do '(require 'poz.api) [verdict from-source]))]
      (is (= [:valid 3] found))
      (is (contains? compiled 'poz.api))))
  (testing "that are newer than the classes"
    (with-folder "poz/time.clj" (str (slurp "src/poz/time.clj") "\n(def changed \"Mine.\" :mine)\n")
      (fn [folder]
        (is (= [:mine [:valid 3] '#{poz.time}]
              (value [folder (:aot @jars)]
                (list 'do '(require 'poz.api) ['@(resolve 'poz.time/changed) verdict from-source]))))))))
