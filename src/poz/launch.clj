(ns poz.launch
  "Where the program begins: `-main` settles who may log, then loads `poz.main` and runs it.

  Libraries ask for a logger while they are loaded, so this comes before all of them. No command
  but `serve` logs anything, and none waits for a logger that it has no use for; `serve` is silent
  until its log is there (`poz.cli.logback`). Who sets `slf4j.provider` or
  `logback.configurationFile` has settled it already.

  While this thread loads namespaces, which is what takes a short command longest, another one has
  the libraries of cryptography make themselves ready."
  (:import
   (org.bouncycastle.crypto.digests SHA3Digest)
   (org.conscrypt Conscrypt))
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

(defn- prepare-cryptography!
  "Initialises the classes that `poz.crypto` will ask for, by the calls with which it does, so that the
  two threads cannot meet in different orders. What does not load here is told there."
  []
  (SHA3Digest. 256)
  (try (Conscrypt/checkAvailability)
       (Conscrypt/newProvider)
       (catch LinkageError _ nil)))

(defn -main
  "Runs the command line and ends the process."
  [& args]
  (when-not (or (System/getProperty "slf4j.provider") (System/getProperty "logback.configurationFile"))
    (doseq [[k v] (settings args)] (System/setProperty k v)))
  (doto (Thread. ^Runnable prepare-cryptography!) (.setDaemon true) (.start))
  (apply (requiring-resolve 'poz.main/-main) args))
