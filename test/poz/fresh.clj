(ns poz.fresh
  "What a new JVM has loaded once a form was evaluated in it, for tests."
  (:require
   [clojure.edn :as edn]
   [clojure.java.io :as io]
   [clojure.string :as str])
  (:import
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(defn- jvm
  "A new JVM with the class path of this one, which evaluates `form` and tells of every class
  that it loads."
  ^Process [form]
  (let [^java.util.List command [(str (System/getProperty "java.home") "/bin/java") "-XX:+UseSerialGC" "-XX:TieredStopAtLevel=1"
                                 "-Xlog:class+load" "-cp" (System/getProperty "java.class.path")
                                 "clojure.main" "-e" (pr-str form)]]
    (.start (ProcessBuilder. command))))

(defn- lines-of [^Process process]
  (let [deadline (future (when-not (.waitFor process 120 TimeUnit/SECONDS) (.destroyForcibly process)))
        errors (future (slurp (.getErrorStream process)))
        lines (with-open [in (io/reader (.getInputStream process))] (vec (line-seq in)))]
    @deadline
    (when-not (zero? (.exitValue process)) (throw (ex-info "The new JVM failed." {:errors @errors})))
    lines))

(defn loaded
  "What is loaded once `form` was evaluated in a new JVM: `{:namespaces :classes}`, those of poz
  as symbols, the classes as strings."
  [form]
  (let [lines (lines-of (jvm (list 'do form '(mapv ns-name (all-ns)))))
        class-name #(second (re-find #"\] (\S+) source: " %))]
    {:namespaces (into #{} (filter #(str/starts-with? (str %) "poz.")) (edn/read-string (last (remove class-name lines))))
     :classes (into #{} (keep class-name) lines)}))

(defn network?
  "True if the name of a namespace or class is one of those for servers, sockets, DNS or SQL."
  [name]
  (boolean (re-find #"^(poz\.(net|client|system|store|authority|mirror|discover|ring)\b|io\.netty\.|org\.sqlite\.|org\.postgresql\.|javax\.naming\.)"
             (str name))))
