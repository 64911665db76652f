(ns poz.launch
  "Where the program begins: `-main` settles who may log, then loads `poz.main` and runs it.

  Libraries ask for a logger while they are loaded, so this comes before all of them. No command
  but `serve` logs anything, and none waits for a logger that it has no use for; `serve` is silent
  until its log is there (`poz.cli.logback`). Who sets `slf4j.provider` or
  `logback.configurationFile` has settled it already."
  (:gen-class))

(set! *warn-on-reflection* true)

(def silence
  "The configuration of Logback, a resource, that writes nothing."
  "poz/logback.xml")

(defn settings
  "The system properties to set before the command line `args` is run."
  [[command]]
  (if (= "serve" command)
    {"logback.configurationFile" silence}
    {"slf4j.provider" "org.slf4j.helpers.NOP_FallbackServiceProvider"
     "slf4j.internal.verbosity" "WARN"}))

(defn -main
  "Runs the command line and ends the process."
  [& args]
  (when-not (or (System/getProperty "slf4j.provider") (System/getProperty "logback.configurationFile"))
    (doseq [[k v] (settings args)] (System/setProperty k v)))
  (apply (requiring-resolve 'poz.main/-main) args))
