(ns poz.kit.program
  "Another implementation as a process that answers questions (`poz.kit.answer`), however badly
  it behaves: each answer is waited for so long and no longer, what it says is bounded, and
  after a crash, a hang or garbage it is started again.

  `start` gives a program: `:ask`, a function of a question that gives an answer or a trouble
  (`poz.kit.fuzz`), and `:stop`. Protocols:

  - `:lines` one process for many questions: a question a line on standard input, an answer a
    line on standard output
  - `:stdin`, `:file` one process for each file, on standard input or under the name that is
    put in place of `{}` (or after the command): exit code 0 valid, 1 invalid, 3 malformed,
    4 unknown, or an answer on standard output. Only files can be asked about so;
    the clock is in the environment as POZ_NOW, in milliseconds"
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.kit.answer :as answer])
  (:import
   (java.io BufferedInputStream ByteArrayOutputStream File InputStream OutputStream)
   (java.lang ProcessBuilder$Redirect ProcessHandle)
   (java.nio.charset StandardCharsets)
   (java.nio.file Files OpenOption)
   (java.nio.file.attribute FileAttribute)
   (java.util List Map)
   (java.util.concurrent Callable ExecutionException ExecutorService Executors Future ThreadFactory TimeUnit TimeoutException)))

(set! *warn-on-reflection* true)

(def ^:private ^:const longest-answer
  "Bytes of an answer that are taken at most."
  1048576)

(def ^:private exit-statuses {0 :valid 1 :invalid 3 :malformed 4 :unknown})

;; ## Processes

(defn- spawn ^Process [command env]
  (let [builder (ProcessBuilder. ^List (vec ["sh" "-c" command]))]
    (.putAll ^Map (.environment builder) ^Map env)
    (.redirectError builder ProcessBuilder$Redirect/DISCARD)
    (.start builder)))

(defn- end! [^Process process]
  (with-open [below (.descendants process)]
    (doseq [^ProcessHandle p (iterator-seq (.iterator below))] (.destroyForcibly p)))
  (.destroyForcibly process)
  (.waitFor process 5 TimeUnit/SECONDS))

(defn- write! [^Process process b]
  (try
    (let [^OutputStream out (.getOutputStream process)]
      (.write out ^bytes (bytes/->array b))
      (.flush out))
    (catch java.io.IOException _ nil)))

(defn- read-line!
  "The bytes up to the end of the line, as text; nil where there is no whole line. Reads no more
  than an answer may have."
  [^InputStream in]
  (let [line (ByteArrayOutputStream.)]
    (loop []
      (let [b (.read in)]
        (cond
          (= 10 b) (.toString line StandardCharsets/UTF_8)
          (or (neg? b) (< (long longest-answer) (.size line))) (when (pos? (.size line)) (.toString line StandardCharsets/UTF_8))
          :else (do (.write line b) (recur)))))))

(defn- cut [^String s]
  (if (< 200 (count s)) (str (subs s 0 200) "…") s))

(defn- within
  "The value of the thunk `f` on the thread of `executor`, or `late` after `ms`, which `on-late` is
  told first."
  [^ExecutorService executor ms f on-late late]
  (let [^Future task (.submit executor ^Callable f)]
    (try (.get task (long ms) TimeUnit/MILLISECONDS)
         (catch TimeoutException _
           (on-late)
           (try (.get task 5 TimeUnit/SECONDS) (catch Exception _ nil))
           late)
         (catch ExecutionException e (throw (.getCause e))))))

(defn- hang [ms] {:kind :hang :got (str "no answer within " ms " ms")})

(defn- exit-words [^Process process]
  (if (.waitFor process 1 TimeUnit/SECONDS)
    (str "it ended with " (.exitValue process) " and without an answer")
    "it closed its standard output without an answer"))

(def ^:private unsupported #"(?s)\s*(?:unsupported|\{\s*\"status\"\s*:\s*\"unsupported\".*)")

(defn- understood [line]
  (cond
    (re-matches unsupported line) {:status :unsupported}
    :else (or (answer/json->answer line) {:kind :garbage :got (cut line)})))

;; ## Lines

(defn- millis-since [began]
  (quot (- (System/nanoTime) (long began)) 1000000))

(defn- lines-asker
  "Asks one process after another. The first answer of one may take as long as it starts: `startup`,
  and once one has started, thrice what that took."
  [command executor {:keys [timeout startup]}]
  (let [running (atom nil)
        allowed (atom startup)
        stop! (fn [] (let [{:keys [process]} @running] (reset! running nil) (when process (end! process))))
        process (fn [] (or @running
                         (let [p (spawn command {})]
                           (reset! running {:process p :in (BufferedInputStream. (.getInputStream ^Process p))}))))
        exchange (fn [{:keys [process in]} line]
                   (write! process (bytes/utf8 (str line "\n")))
                   (if-let [said (read-line! in)]
                     (understood said)
                     {:kind :crash :got (exit-words process)}))]
    {:stop stop!
     :ask (fn [question]
            (let [fresh (nil? @running)
                  current (process)
                  ms (if fresh (max (long timeout) (long @allowed)) timeout)
                  began (System/nanoTime)
                  found (within executor ms #(exchange current (answer/question->line question)) stop! (hang ms))]
              (cond
                (:kind found) (stop!)
                fresh (reset! allowed (min (long @allowed) (* 3 (long (millis-since began))))))
              found))}))

;; ## One process for each file

(defn- with-file
  "What `f` gives of the name of a file that holds `b` as long as it lasts."
  [b f]
  (let [path (Files/createTempFile "poz" ".poz" (make-array FileAttribute 0))
        name (str path)]
    (try
      (Files/write path ^bytes (bytes/->array b) ^"[Ljava.nio.file.OpenOption;" (into-array OpenOption []))
      (f name)
      (finally (.delete (File. name))))))

(defn- close-input! [^Process process]
  (try (.close (.getOutputStream process)) (catch java.io.IOException _ nil)))

(defn- verdict [^Process process]
  (let [said (read-line! (BufferedInputStream. (.getInputStream process)))
        code (do (.waitFor process) (.exitValue process))
        told (when said (answer/json->answer said))
        status (exit-statuses code)]
    (cond
      (and told (or (nil? status) (= status (:status told)))) told
      status {:status status}
      :else {:kind :crash :got (str "it ended with " code)})))

(defn- run-once [executor timeout command env input]
  (let [process (spawn command env)
        found (within executor timeout
                #(do (when input (write! process input)) (close-input! process) (verdict process))
                #(end! process) (hang timeout))]
    (end! process)
    found))

(defn- file-command [^String command name]
  (if (str/includes? command "{}") (str/replace command "{}" name) (str command " " name)))

(defn- single-asker [command protocol executor timeout]
  {:stop (fn [])
   :ask (fn [{:keys [target now file]}]
          (let [env {"POZ_NOW" (str now)}]
            (cond
              (not= :record target) {:status :unsupported}
              (= :stdin protocol) (run-once executor timeout command env file)
              :else (with-file file #(run-once executor timeout (file-command command %) env nil)))))})

;; ## The program

(defn- daemon [^Runnable task]
  (doto (Thread. task "poz foreign program") (.setDaemon true)))

(defn start
  "The program of the shell command `command`: `{:ask :stop}`. Options: `:protocol`, a key of
  `poz.kit.targets/protocols`; in milliseconds `:timeout` for each answer, and `:startup` for the first of a
  process of many."
  [command {:keys [protocol timeout startup] :or {protocol :lines timeout 10000 startup 120000}}]
  (let [executor (Executors/newSingleThreadExecutor (reify ThreadFactory (newThread [_ task] (daemon task))))
        {:keys [ask stop]} (if (= :lines protocol)
                             (lines-asker command executor {:timeout timeout :startup startup})
                             (single-asker command protocol executor timeout))]
    {:ask ask
     :stop (fn [] (stop) (.shutdownNow executor) nil)}))
