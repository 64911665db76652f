(ns poz.view.discovery
  "Who said what on the way from a name to a record: the report of discovery and the steps of a
  lookup, as lines for a person and as data for JSON. Pure."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

;; ## The report

(defn- place [{:keys [host port public-key]}]
  (str host ":" port (when public-key " with its key")))

(def ^:private title-width 13)

(defn- says
  "What the source said, sentences."
  [{:keys [hash hashes servers because error]}]
  (concat
    (for [h (or hashes (when hash [hash]))] (str "names " (bytes/->hex h)))
    (map place servers)
    (remove nil? [because (:message error)])))

(defn- standing
  "How it is with the source, in a few words."
  [{:keys [source status agrees dnssec took-ms]}]
  (str/join ", "
    (remove nil? [(name status)
                  (when (some? agrees) (if agrees "agrees" "DISAGREES"))
                  (when dnssec (str "DNSSEC " (name dnssec)))
                  (when-not (= :pin source) (str took-ms " ms"))])))

(defn- source-lines [{:keys [source] :as finding}]
  (cons (str "  " (text/pad (name source) title-width) (standing finding))
    (mapcat #(text/hang (text/escape %) 80 6 6) (says finding))))

(defn- sum-line [{:keys [hash agreeing took-ms] {:keys [agree]} :policy}]
  (str "  " agreeing " of 2 sources " (if (= 1 agreeing) "names" "name") (if hash " the one record" " one record")
    ", at least " agree " asked for; " took-ms " ms"))

(defn- server-line [{:keys [source] :as server}]
  (text/escape (str "  " (text/pad "server" title-width) (place server)
                 (when (= :fallback source) ", since nobody names one"))))

(defn report-lines
  "The lines that tell the report: each source, what it said and whether it agrees."
  [{:keys [domain sources servers] :as report}]
  (concat [(str (text/escape domain) ":")]
    (mapcat source-lines sources)
    (map server-line servers)
    [(sum-line report)]))

(defn- finding-data [{:keys [error] :as finding}]
  (cond-> (select-keys finding [:source :status :hash :hashes :servers :agrees :dnssec :because :at :took-ms])
    error (assoc :error (error/code (:poz/error error)) :message (:message error))))

(defn report-data
  "The report as it goes into JSON."
  [report]
  (-> (select-keys report [:domain :hash :agreeing :servers :submit-servers :policy :at :took-ms])
    (assoc :sources (map finding-data (:sources report)))))

;; ## The steps

(def ^:private step-words
  {:discovery "discovery" :key "the server's key" :provider "the provider" :user "the user" :mirrors "its mirrors"})

(defn- step-line [{:keys [step took-ms server mirror failures] :poz/keys [error]}]
  (let [{:keys [host port encryption]} server]
    (text/escape
      (str "  " (text/pad (step-words step) 18)
        (when mirror "a mirror, ")
        (when server (str host ":" port (if (= :noise-nk encryption) ", privately, " ", in the open, ")))
        (when (seq failures) (str (count failures) " other asked in vain, "))
        took-ms " ms" (when error (str ", " (error/code error)))))))

(defn step-lines
  "The lines that tell the steps of a lookup: who was asked, how, for how long."
  [steps]
  (map step-line steps))

(defn step-data
  "The steps as they go into JSON."
  [steps]
  (for [{:keys [step took-ms server mirror failures] :poz/keys [error]} steps]
    (cond-> {:step step :took-ms took-ms}
      server (assoc :server (select-keys server [:host :port :encryption :public-key]))
      mirror (assoc :mirror true)
      (seq failures) (assoc :failures (count failures))
      error (assoc :error (error/code error)))))
