(ns poz.main
  "The command line: `poz COMMAND`. A table of commands, one function that runs a command
  in a given environment (`run`), and `-main`, which makes the real one.

  Results go to standard output; progress, notes and warnings to standard error. With
  `--json` both results and failures are JSON objects, one a line, with a `version`."
  (:require
   [clojure.string :as str]
   [poz.cli.options :as options]
   [poz.cli.support :as support]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.launch :as launch]
   [poz.view.text :as text])
  (:import
   (java.io BufferedOutputStream Console FileDescriptor FileOutputStream PrintStream)
   (java.lang.reflect Method)
   (java.nio.charset StandardCharsets)
   (sun.misc Signal SignalHandler)))

(set! *warn-on-reflection* true)

(def table
  "Every command, in the order of `poz --help`: a namespace and the names of the commands in
  its `commands`. It is loaded when one of them is asked for, so that `poz verify` waits for
  no network. A new command is a map there and its name here."
  '[[poz.cli.tour "tour"]
    [poz.cli.make "new"]
    [poz.cli.inspect "show" "dump" "verify"]
    [poz.cli.keys "keys"]
    [poz.cli.view "view" "explore"]
    [poz.cli.convert "public" "armor" "dearmor"]
    [poz.cli.master "draft" "delegate" "history"]
    [poz.cli.ceremony "sign" "merge" "status" "apply"]
    [poz.cli.zones "zone list" "zone add" "zone remove" "zone deny" "zone sign-again"]
    [poz.cli.identities "request" "attest" "accept" "login challenge" "login respond" "login check"]
    [poz.cli.lookup "lookup" "discover"]
    [poz.cli.query "query" "server status"]
    [poz.cli.servers "servers"]
    [poz.cli.submit "submit"]
    [poz.cli.serve "serve"]
    [poz.cli.mirror "mirror"]
    [poz.cli.dns "dns-records"]
    [poz.cli.operator "authority list" "authority pending" "authority approve" "authority reject" "authority revoke"]
    [poz.cli.insight "simulate" "diff" "update" "fork" "rules"]
    [poz.cli.kit "fuzz" "conformance run" "conformance export" "conformance answer"]])

(defn- commands-in [ns]
  @(requiring-resolve (symbol (name ns) "commands")))

(defn commands
  "Every command (see `poz.cli.options`), in the order of `poz --help`. Loads them all."
  []
  (into [] (mapcat commands-in) (map first table)))

(def ^:private place
  "The name of a command → its namespace."
  (into {} (for [[ns & names] table, name names] [name ns])))

(defn- by-name
  "The command of that name, or nil."
  [name]
  (when-let [ns (place name)]
    (first (filter #(= name (:name %)) (commands-in ns)))))

(defn- exit-lines []
  (for [[code doc] support/exit-codes]
    (clojure.core/format "  %-4d %s" code doc)))

(defn help
  "The lines of `poz --help`."
  []
  (concat ["poz COMMAND [OPTION]... [FILE]..."
           ""
           "Portable Ownership Zones: records that anyone can verify."]
    (mapcat (fn [rows] (concat ["" (str (:group (first rows)) ":")]
                         (map (fn [{:keys [name summary]}] (str "  " (text/pad name 19) summary)) rows)))
      (partition-by :group (commands)))
    ["" "poz COMMAND --help tells more. - is standard input or output." "" "Exit codes:"]
    (exit-lines)))

(defn- say! [^PrintStream stream lines]
  (doseq [^String line lines] (.println stream line))
  (.flush stream))

(defn- server-failure [{:keys [server message problem] :poz/keys [error]}]
  (cond-> {:host (:host server) :port (:port server) :error (error/code error) :message message}
    problem (assoc :problem problem)))

(defn- json-line
  "`poz.cli.json/line`, loaded once somebody asks for JSON."
  [m]
  ((requiring-resolve 'poz.cli.json/line) m))

(defn- failure-json [{:poz/keys [anomaly error] :keys [message at path file failures details] :as a}]
  (cond-> (merge {:error (error/code error) :category anomaly :message message}
            (select-keys a [:problem :held])
            details)
    (seq failures) (assoc :servers (map server-failure failures))
    at (assoc :at at)
    (seq path) (assoc :path path)
    file (assoc :file file)
    (error/fix error) (assoc :fix (error/fix error))))

(defn- fault-lines
  "The place of the fault in a malformed file, where its bytes are at hand."
  [a env options]
  (when-let [b (:poz/bytes (meta a))]
    ((requiring-resolve 'poz.view.dump/fault) b (support/view-options env options))))

(defn- report-failure!
  ([a json? env] (report-failure! a json? env {}))
  ([a json? {:keys [stdout stderr] :as env} options]
   (if json?
     (say! stdout [(json-line (failure-json a))])
     (say! stderr (concat (:notes a)
                    [(str "poz: " (text/escape (:message a)))]
                    (fault-lines a env options)
                    (when-let [fix (error/fix a)] [(str "     " fix)]))))
   (support/exit-code a)))

(defn- report! [{:keys [exit out err json]} json? {:keys [stdout stderr]}]
  (say! stderr err)
  (say! stdout (if json? (map json-line json) out))
  exit)

(defn- run-command [command args env]
  (let [{:keys [options] :as parsed} (options/parse command args)
        json? (boolean (some #{"--json"} args))]
    (cond
      (error/anomaly? parsed) (report-failure! parsed json? env)
      (:help options) (do (say! (:stdout env) (options/help command)) 0)
      :else (let [result (error/attempt #((:run command) (assoc parsed :env env)))]
              (if (error/anomaly? result)
                (report-failure! result json? env options)
                (report! result json? env))))))

(defn- usage! [why env args]
  (report-failure! (error/anomaly :cli/usage {:message why}) (boolean (some #{"--json"} args)) env))

(defn run
  "Runs the words `args` in the environment `env` (see `poz.cli.support`; `:stdout` and
  `:stderr` are PrintStreams) and gives the exit code."
  [[word & more :as args] env]
  (cond
    (or (nil? word) (#{"--help" "-h" "help"} word))
    (if-let [command (and (= "help" word) (by-name (first more)))]
      (do (say! (:stdout env) (options/help command)) 0)
      (do (say! (if word (:stdout env) (:stderr env)) (help)) (if word 0 2)))
    (by-name (str word " " (first more))) (run-command (by-name (str word " " (first more))) (rest more) env)
    (by-name word) (run-command (by-name word) more env)
    :else (usage! (str "there is no command " word "; see poz --help") env args)))

(defn- terminal
  "The console, where there is a person at it; nil in a pipe. From JDK 22 on there is always
  one, which then tells by `isTerminal`, a method that JDK 17 has not."
  ^Console []
  (when-let [console (System/console)]
    (let [^Method asks (first (filter #(= "isTerminal" (.getName ^Method %)) (.getMethods Console)))]
      (when (or (nil? asks) (.invoke asks console (object-array 0)))
        console))))

(defn- ask-console []
  (when-let [console (terminal)]
    (fn [prompt] (some-> (.readPassword console "%s" (object-array [prompt])) (String.)))))

(defn- utf8-stream
  "A stream that writes text in UTF-8 whatever the locale says."
  ^PrintStream [descriptor]
  (PrintStream. (BufferedOutputStream. (FileOutputStream. ^FileDescriptor descriptor)) false StandardCharsets/UTF_8))

(defn- until-told
  "From now on SIGTERM and SIGINT only tell that the process is to end: what waits for that."
  []
  (let [told (promise)
        handler (reify SignalHandler (handle [_ _] (deliver told true)))]
    (doseq [signal ["TERM" "INT"]]
      (Signal/handle (Signal. signal) handler))
    #(deref told)))

(defn- address
  "`poz.net/address`, loaded as late."
  [host]
  ((requiring-resolve 'poz.net/address) host))

(defn- exchange
  "`poz.net/exchange-async`, which is loaded once somebody is asked something."
  [options request]
  ((requiring-resolve 'poz.net/exchange-async) options request))

(defn- on-class-path? [name]
  (try (Class/forName name false (.getContextClassLoader (Thread/currentThread)))
       (catch ClassNotFoundException _ nil)))

(defn- start-log
  "What `poz serve` logs with, see `poz.cli.logback`, which is loaded now; nil where there is no
  Logback, or no log is wanted."
  [stream format]
  (when (and format (on-class-path? "ch.qos.logback.classic.Logger"))
    ((requiring-resolve 'poz.cli.logback/start) stream format
     (not (contains? #{nil launch/silence} (System/getProperty "logback.configurationFile"))))))

(defn- environment []
  {:in System/in
   :stdout (utf8-stream FileDescriptor/out)
   :stderr (utf8-stream FileDescriptor/err)
   :now #(System/currentTimeMillis)
   :random crypto/random-bytes
   :exchange exchange
   :address address
   :getenv #(System/getenv ^String %)
   :ask (ask-console)
   :until-told until-told
   :start-log start-log
   :terminal (some? (terminal))
   :color (and (some? (terminal)) (str/blank? (System/getenv "NO_COLOR")))})

(defn -main
  "The command line. Ends the process with the exit code."
  [& args]
  (let [code (try (run args (environment))
                  (catch Throwable t
                    (report-failure! (error/anomaly :fault/internal {:message (str "a defect: " t)})
                      (boolean (some #{"--json"} args)) (environment))))]
    (System/exit code)))
