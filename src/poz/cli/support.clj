(ns poz.cli.support
  "What the commands share: reading records, asking for a passphrase, results.

  A command's `:run` gets `{:options :args :env}` and gives a *result*: an anomaly, or

      {:exit 0          ; the exit code
       :out  [\"…\"]      ; lines for standard output
       :err  [\"…\"]      ; lines for standard error: progress, notes, warnings
       :json [{…}]      ; what --json prints instead of :out, an object a line
       :bytes b}        ; or: raw bytes for standard output

  An anomaly may have `:notes`, lines for standard error, and `:details`, a map for its JSON.

  `env` holds every effect: `:in`, `:stdout` (streams), `:now` and `:random` (functions),
  `:getenv`, `:ask` (a function of a prompt that reads a passphrase, or nil), `:color`, `:terminal`,
  `:until-told` (listens for the end of the process, and gives what waits for it), `:exchange`, what carries requests to
  servers (`poz.net/exchange-async`), `:address`, which gives the address of a host, `:sources`,
  what asks the sources of discovery where not `poz.discover/edge` does, `:start-log`, a function
  of a stream and a format (nil: no log) that gives what a server logs with
  (`{:on-event :stop}`), or nil, and `:sealing`, options for `poz.keyring/seal` where its
  defaults will not do."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.error :as error]
   [poz.record :as record]
   [poz.time :as time]))

(set! *warn-on-reflection* true)

(def exit-codes
  "Exit codes: what each says, and the categories of failure that end with it."
  [[0 "done; everything asked about holds" []]
   [1 "does not verify" [:invalid]]
   [2 "the command line makes no sense" [:usage]]
   [3 "malformed" [:malformed]]
   [4 "something needed is not at hand" [:unknown]]
   [5 "unreachable" [:unreachable :busy]]
   [6 "refused by a server" [:refused]]
   [7 "sources disagree, a rollback or a fork" [:conflict]]
   [70 "a defect, in poz or in a server" [:fault]]])

(def ^:private exit-by-category
  (into {} (mapcat (fn [[code _ categories]] (map #(vector % code) categories))) exit-codes))

(defn exit-code
  "The exit code for an anomaly."
  [{:poz/keys [anomaly]}]
  (exit-by-category anomaly))

(def time-option
  "`--at TIME`."
  {:name "at" :arg "TIME" :doc "take this as the present time, ISO 8601 or milliseconds"
   :parse time/parse})

(def passphrase-option
  "`--passphrase-file FILE`."
  {:name "passphrase-file" :arg "FILE"
   :doc "the passphrase is the first line of FILE; else POZ_PASSPHRASE, else the terminal asks"})

(def output-option
  "`--out FILE`."
  {:name "out" :arg "FILE" :doc "where to write, - for standard output" :default "-"})

(def force-option
  "`--force`."
  {:name "force" :doc "replace a file that exists"})

(def width-option
  "`--width COLUMNS`."
  {:name "width" :arg "COLUMNS" :doc "columns of the terminal (COLUMNS, else 80)"
   :parse #(let [n (parse-long %)] (when (and n (<= 60 n 1000)) n))})

(defn- columns
  "The columns that the environment says a terminal has, as far as a view can do with them; or nil."
  [{:keys [getenv]}]
  (when-let [n (some-> getenv (apply ["COLUMNS"]) parse-long)]
    (min 1000 (max 60 (long n)))))

(defn view-options
  "The options of a view for a person: colour, and width as asked for, or as the environment says."
  [{:keys [color] :as env} {:keys [width]}]
  (let [width (or width (columns env))]
    (cond-> {:color (boolean color)} width (assoc :width width))))

(defn now
  "The present time: that of `--at`, else the clock's."
  [{:keys [at]} env]
  (or at ((:now env))))

(defn read-bytes
  "The byte string in `file`, or an anomaly that names it."
  [file {:keys [in]}]
  (files/read-file file in))

(defn- named [file anomaly]
  (assoc anomaly :file file :message (str file ": " (:message anomaly))))

(defn read-record
  "The record in `file`, binary or text, or an anomaly that names the file."
  [file env]
  (let [b (read-bytes file env)]
    (if (error/anomaly? b)
      b
      (let [r (record/parse b)]
        (if (error/anomaly? r) (named file r) r)))))

(defn first-anomaly
  "The first anomaly among `xs`, or nil."
  [xs]
  (first (filter error/anomaly? xs)))

(defn- first-line [b]
  (first (str/split (String. (bytes/->array b) "UTF-8") #"\r?\n" 2)))

(defn- from-file [file env]
  (let [b (read-bytes file env)]
    (if (error/anomaly? b) b (first-line b))))

(defn- asked [{:keys [ask]} confirm]
  (when ask
    (let [p (ask "Passphrase: ")]
      (if (and confirm (not= p (ask "Again: ")))
        (error/anomaly :cli/passphrase {:message "The two passphrases differ."})
        p))))

(defn- found-passphrase [{:keys [passphrase-file]} {:keys [getenv] :as env} confirm]
  (cond
    passphrase-file (from-file passphrase-file env)
    (getenv "POZ_PASSPHRASE") (getenv "POZ_PASSPHRASE")
    :else (asked env confirm)))

(defn passphrase
  "The passphrase as `poz.keyring` takes it, from `--passphrase-file`, the environment or
  the terminal (asked twice where `confirm`); or an anomaly. An empty one is none."
  ([options env] (passphrase options env false))
  ([options env confirm]
   (let [p (found-passphrase options env confirm)]
     (cond
       (error/anomaly? p) p
       (str/blank? p) (error/anomaly :cli/passphrase)
       :else ((requiring-resolve 'poz.keyring/passphrase) p)))))

(defn sealing
  "The options with which the commands seal a keyring."
  [{:keys [random sealing]}]
  (assoc sealing :random random))

(defn write-result
  "Writes `b` to `file`; the result `done`, or an anomaly. Where the bytes went to standard
  output, its lines go to standard error."
  [file b {:keys [stdout]} options {:keys [out err] :as done}]
  (or (files/write-file! file b stdout options)
    (if (= "-" file) (-> (dissoc done :out :json) (assoc :err (concat out err))) done)))
