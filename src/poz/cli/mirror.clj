(ns poz.cli.mirror
  "`poz mirror`: pulls all records of an authority once, into the data folder of a mirror, and shows
  how far it is: a bar on a terminal, else a line now and then."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.cli.holder :as holder]
   [poz.cli.network :as network]
   [poz.cli.serve :as serve]
   [poz.cli.support :as support]
   [poz.error :as error]
   [poz.mirror :as mirror]
   [poz.store :as store]
   [poz.system :as system]
   [poz.system.mirror :as parts]
   [poz.view.text :as text])
  (:import
   (java.util Locale)))

(set! *warn-on-reflection* true)

;; ## How far it is

(def ^:private bar-width 30)

(defn- seconds [ms]
  (let [s (quot (long ms) 1000)] (if (< s 60) (str s " s") (str (quot s 60) " min " (rem s 60) " s"))))

(defn progress-line
  "How far a pull is, for a person: `done` of `total` records in `ms` milliseconds."
  [done total ms bar?]
  (let [done (long done) total (max 1 (long total)) ms (max 1 (long ms))
        filled (quot (* (long bar-width) done) total)]
    (str (when bar? (str "[" (str/join (repeat filled "=")) (str/join (repeat (- (long bar-width) filled) " ")) "] "))
      done " of " total " records, " (String/format Locale/ROOT "%.0f" (object-array [(/ (* 1000.0 done) ms)])) " a second"
      (when (< 0 done total) (str ", " (seconds (/ (* ms (- total done)) (double done))) " left")))))

(defn- say! [stream s]
  (files/write-file! "-" (bytes/utf8 s) stream {}))

(defn- shower
  "A function of the counts so far that shows them: over each other on a terminal, else at each
  tenth."
  [{:keys [stderr now terminal]}]
  (let [start (long (now)) tenth (volatile! 0)]
    (fn [{:keys [total] :as counts}]
      (let [done (reduce + (vals (select-keys counts [:new :updated :unchanged :failed])))
            line (progress-line done total (- (long (now)) start) terminal)
            reached (quot (* 10 (long done)) (max 1 (long total)))]
        (cond
          terminal (say! stderr (str "\r" (text/pad line 79) (when (= done total) "\n")))
          (< (long @tenth) reached) (do (vreset! tenth reached) (say! stderr (str line "\n"))))))))

;; ## The pull

(defn- failed-lines [failures conflicts]
  (concat
    (for [[error n] (sort failures)] (str n " × " (error/code error) ": " (:doc (error/table error))))
    (for [{:keys [hash error]} conflicts] (str "conflict: " (bytes/->hex hash) " " (error/code error)))))

(defn- exit [{:keys [gone]} {:keys [failures conflicts]}]
  (cond
    (seq conflicts) 7
    gone (support/exit-code gone)
    (seq (dissoc failures :wire/not-found)) 1
    :else 0))

(defn- result [{:keys [gone] :as told} {:keys [records failures conflicts] :as status}]
  (let [counts (merge {:new 0 :updated 0 :unchanged 0 :failed 0} (select-keys told [:new :updated :unchanged :failed]))]
    {:exit (exit told status)
     :err (concat (map text/escape (failed-lines failures conflicts))
            (when gone [(str "the server does not answer any more: " (text/escape (:message gone)))]))
     :out [(str/join ", " (concat (map (fn [[k n]] (str n " " (name k))) counts) [(str records " held")]))]
     :json [(assoc counts :records records :failures failures :conflicts conflicts :complete (nil? gone))]}))

(defn- pull! [config env]
  (or (parts/other-role config)
    (some-> (:data config) files/make-folder!)
    (let [s (system/open-store config)]
      (try
        (let [m (parts/mirror config s)]
          (try (let [told (mirror/round! m (shower env))] (result told (mirror/status m)))
               (finally (mirror/stop! m))))
        (finally (store/close! s))))))

(defn- upstream [{:keys [host port public-key]}]
  (cond-> {:host host} port (assoc :port port) public-key (assoc :key (bytes/->hex public-key))))

(defn- learnt [named {:keys [plain hash key] :as options} env]
  (if (or plain (seq key)) named (network/learnt-servers named hash :poz-query options env)))

(defn- run [{:keys [options env]}]
  (holder/attempt-> (network/servers "mirror" options)
    #(learnt % options env)
    (fn [[server]]
      (serve/configuration (select-keys options [:config :data :store :records])
        {:role :mirror :upstream (upstream server) :upstream-hash (bytes/->hex (:hash options))} env))
    #(pull! (merge {:now (:now env) :random (:random env) :exchange (:exchange env)} %) env)))

(def commands
  "The commands of this namespace."
  [{:name "mirror" :arity [0 0] :group "Server" :run run
    :summary "pull all records of an authority once"
    :doc "Pulls the records of an authority into the data folder of a mirror, each verified, and shows how far it is: those in --records (see poz authority list), and those that the folder has already, of which only what changed is asked for. Serve them with poz serve --role mirror. Exit code 7 where the server contradicts what is held, which is kept; 5 where it stops answering, 1 where something does not verify."
    :options (into (filterv #(not= "passphrase-file" (:name %)) serve/config-options)
               [(assoc network/server-option :doc "the authority's server; the first is asked" :required true) network/key-option
                {:name "hash" :arg "HEX" :parse network/parse-hash :required true
                 :doc "the original hash of the authority's record: it gives the server's key too"}
                {:name "plain" :doc "ask in the open though the record would give a key"}
                {:name "records" :arg "FILE" :doc "the original hashes of the records, one a line"}
                network/deadline-option])
    :examples ["poz mirror --server poz.social.example --hash … --records records.txt --data mirror"]}])
