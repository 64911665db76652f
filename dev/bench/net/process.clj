(ns bench.net.process
  "Processes and what they cost: `program!`, `start`, `stop!`, `cpu-ms` from /proc."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str])
  (:import
   (java.io File)
   (java.lang ProcessBuilder$Redirect ProcessHandle)
   (java.net ServerSocket Socket)
   (java.nio.file Files Path)
   (java.nio.file.attribute FileAttribute)
   (java.util.concurrent TimeUnit)
   (java.util.stream Stream)))

(set! *warn-on-reflection* true)

(defn folder
  "A new temporary folder that other users may read."
  ^File []
  (doto (.toFile (Files/createTempDirectory "poz-bench" (make-array FileAttribute 0)))
    (.setReadable true false)
    (.setExecutable true false)))

(defn delete!
  "Deletes the folder and all in it."
  [^File folder]
  (run! io/delete-file (reverse (file-seq folder))))

(defn free-port
  "A port of loopback that was free a moment ago."
  []
  (with-open [socket (ServerSocket. 0)] (.getLocalPort socket)))

(defn start
  "Starts `command`; its errors go to the file `log`, or to ours."
  ^Process [command log]
  (.start (doto (ProcessBuilder. ^java.util.List (map str command))
            (.redirectError (if log (ProcessBuilder$Redirect/to log) ProcessBuilder$Redirect/INHERIT)))))

(defn stop!
  "Ends the process, and waits for it."
  [^Process process]
  (.destroy process)
  (when-not (.waitFor process 5 TimeUnit/SECONDS)
    (.waitFor (.destroyForcibly process))))

(defn run!!
  "Runs `command` to its end: what it prints. Throws where it fails."
  [& command]
  (let [log (File/createTempFile "poz-bench" ".log")]
    (try (let [process (start command log)
               out (slurp (.getInputStream process))]
           (when-not (zero? (.waitFor process))
             (throw (ex-info (str (first command) " failed: " (slurp log)) {})))
           out)
         (finally (io/delete-file log)))))

(defn await-port
  "Returns once something listens on `port`. Throws after 10 seconds, or if `process` ends."
  [^Process process port log]
  (loop [left 500]
    (when-not (try (.close (Socket. "127.0.0.1" (int port))) true
                   (catch java.io.IOException _ false))
      (when (or (zero? left) (not (.isAlive process)))
        (throw (ex-info (str "Nothing listens on " port ": " (slurp log)) {})))
      (Thread/sleep 20)
      (recur (dec left)))))

(defn program
  "The path of the program `name`, or nil."
  [name]
  (first (for [folder (concat (str/split (System/getenv "PATH") #":") ["/usr/sbin"])
               :let [^File file (io/file folder name)] :when (.canExecute file)]
           (str file))))

(defn program!
  "The path of the program `name`; throws a sentence that names its Debian package."
  [name package]
  (or (program name)
    (throw (ex-info (str "This needs " name ", of the Debian package " package ": apt-get install " package) {:missing name}))))

;; CPU

(def ^:private ticks-per-second
  (delay (parse-long (str/trim (run!! "getconf" "CLK_TCK")))))

(defn- ticks [pid]
  (let [stat (Files/readString (Path/of (str "/proc/" pid "/stat") (make-array String 0)))
        fields (str/split (subs stat (+ 2 (str/last-index-of stat ")"))) #" ")]
    (+ (parse-long (fields 11)) (parse-long (fields 12)))))

(defn handle-cpu-ms
  "The milliseconds of CPU that the process of a handle and those that it has started have used so
  far, as user and as system."
  ^double [^ProcessHandle handle]
  (let [^Stream descendants (.descendants handle)
        pids (cons (.pid handle) (map #(.pid ^ProcessHandle %) (iterator-seq (.iterator descendants))))]
    (/ (* 1000.0 (reduce + (map ticks pids))) @ticks-per-second)))

(defn cpu-ms
  "The same of a process."
  ^double [^Process process]
  (handle-cpu-ms (.toHandle process)))
