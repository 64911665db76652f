(ns bench.serve
  "`poz serve` as a process of its own, the program that `dev/clj -T:build uber` makes:

  - `(serve! folder options)` starts one, with its keys in `folder`, and waits until it is ready
  - `(stop! server)` ends it
  - `requests` are what to ask it for records, with the answers that it owes

  A *server* is a map as `poz.asking` takes it, with its `:process`."
  (:require
   [bench.net.load :as load]
   [bench.net.process :as process]
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.authority.files :as files]
   [poz.bytes :as bytes]
   [poz.record :as record]
   [poz.wire :as wire])
  (:import
   (java.io BufferedReader)
   (java.lang ProcessBuilder$Redirect)
   (java.util Arrays List)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private program "target/poz")

(defn- program! []
  (when-not (.canExecute (io/file program))
    (throw (ex-info (str "This needs " program ": dev/clj -T:build uber") {:missing program})))
  program)

(defn- start! ^Process [folder {:keys [java] :as options}]
  (let [settings (dissoc options :java)
        ^List command [(program!) "serve" "bench.example" "--json" "--data" (str folder)]
        builder (ProcessBuilder. command)
        environment (.environment builder)]
    (.redirectError builder (ProcessBuilder$Redirect/appendTo (io/file folder "log")))
    (doseq [[k v] (merge {:plain-port 0 :query-port :off :submit-port :off :connections-per-address 1000} settings)]
      (.put environment (str "POZ_" (str/upper-case (str/replace (name k) "-" "_"))) (if (keyword? v) (name v) (str v))))
    (doto environment
      (.put "POZ_PASSPHRASE" "correct horse")
      (.put "POZ_JAVA_OPTS" (str/join " " java))
      (.remove "JAVA_TOOL_OPTIONS"))
    (.start builder)))

(defn serve!
  "A server, its files in `folder`, with the `options` of `poz.system.config`; `:java` are options of
  its JVM."
  [folder options]
  (.mkdirs (io/file folder))
  (let [p (start! folder options)
        line (.readLine ^BufferedReader (io/reader (.getInputStream p)))]
    (let [{:keys [event ports domains original-hash noise-key]} (some-> line (json/read-str :key-fn keyword))]
      (when-not (= "ready" event)
        (process/stop! p)
        (throw (ex-info (str "The server did not start: " line (slurp (io/file folder "log"))) {})))
      {:process p :ports ports :domains domains :hash (bytes/hex-> original-hash) :noise-key (bytes/hex-> noise-key)})))

(defn stop!
  "Ends the server, which gets 20 seconds for it."
  [{:keys [^Process process]}]
  (.destroy process)
  (when-not (.waitFor process 20 TimeUnit/SECONDS)
    (process/stop! process)))

;; ## Asking

(defn requests
  "`[request response]` in arrays for each of the records: MASTER, by hash, with the id 0."
  [records]
  (vec (for [r records]
         (mapv bytes/->array
           [(wire/encode-request {:type :master :id 0 :payload {:hash (record/original-hash r)}})
            (wire/encode-response {:status :ok :id 0 :payload (files/master r)} :master)]))))

(defn asking
  "A function of i for `bench.net.load/run` that asks the server on 7074 for the i-th of `requests`, and
  wants what it owes, byte for byte."
  [{:keys [ports]} requests]
  (let [owed (mapv second requests)]
    (load/plain (:plain ports) (mapv first requests) load/to-end
      (fn [answer i] (Arrays/equals ^bytes answer ^bytes (owed i))))))
