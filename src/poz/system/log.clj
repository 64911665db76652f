(ns poz.system.log
  "Events of a server as log lines: `consumer` gives a function for its `:on-event`, which hands
  each to tools.logging as one line, under the logger `poz.server`; where that goes is up to the
  application. What is told at all, `poz.system.events` says."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [clojure.tools.logging :as log]
   [clojure.tools.logging.impl :as impl]
   [poz.cli.json :as plain]
   [poz.time :as time]))

(set! *warn-on-reflection* true)

(def logger
  "The name of the logger."
  "poz.server")

(defn- ordered
  "The pairs of the event, the common ones first."
  [{:keys [event level details] :as e}]
  (concat [[:time (time/iso (:time e))] [:level level] [:event event]]
    (sort-by key (dissoc e :time :level :event :details))
    (sort-by key details)))

(defn json-line
  "The event as one line of JSON."
  [event]
  (json/write-str (apply array-map (mapcat (fn [[k v]] [(plain/plain k) (plain/plain v)]) (ordered event)))
    :escape-slash false))

(defn- word [v]
  (let [v (plain/plain v)]
    (if (and (string? v) (re-matches #"[\w.:/@+-]+" v)) v (json/write-str v :escape-slash false))))

(defn text-line
  "The event as one line for a person."
  [event]
  (let [[[_ at] [_ level] [_ event] & more] (ordered event)]
    (str at " " (str/upper-case (name level)) " " (plain/plain event)
      (str/join (map (fn [[k v]] (str " " (name k) "=" (word v))) (remove (comp nil? val) more))))))

(defn consumer
  "A function of an event that logs it, as JSON unless `:format` is `:text`."
  [{:keys [format]}]
  (let [line (if (= :text format) text-line json-line)
        to (impl/get-logger log/*logger-factory* logger)]
    (fn [{:keys [level] :as event}]
      (log/log* to level nil (line event)))))
