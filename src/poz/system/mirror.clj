(ns poz.system.mirror
  "The parts of a system (`poz.system`) whose `:role` is `:cache` or `:mirror`: its keys, the mirror
  that it runs (`poz.mirror`), the list of records, where evidence of conflicts goes.

  It has a Noise key of its own and none of the authority's. Evidence is a file in the data
  folder, `conflict-HASH.txt`: what proves a fork (`poz fork --check`), or else the record that
  the upstream gave; the first of each record is kept."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.error :as error]
   [poz.mirror :as mirror]
   [poz.system.keys :as keys]
   [poz.time :as time]))

(set! *warn-on-reflection* true)

(defn mirrors?
  "True if the config is that of a cache or mirror."
  [{:keys [role]}]
  (contains? #{:cache :mirror} role))

;; ## Keys

(defn other-role
  "The anomaly of a data folder that is that of a server with another role, or nil."
  [{:keys [data] :as config}]
  (let [other (when data (if (mirrors? config) (keys/server-file data) (keys/mirror-file data)))]
    (when (and other (files/exists? other))
      (error/anomaly :system/other-role {:found other}))))

(defn- fresh! [{:keys [data sealing now random]} phrase]
  (let [made (keys/fresh random (now))]
    (or (when data (keys/write-mirror! data made phrase (assoc sealing :random random)))
      (select-keys (:keys made) [:noise :work]))))

(defn keys!
  "The keys, `:noise` and `:work`, made on the first start; or an anomaly. `passphrase` is a function
  that gives it, or an anomaly."
  [{:keys [data] :as config} passphrase]
  (let [phrase (when data (passphrase))]
    (cond
      (error/anomaly? phrase) phrase
      (and data (files/exists? (keys/mirror-file data))) (keys/read-mirror data phrase)
      :else (fresh! config phrase))))

;; ## The list of records

(defn read-list
  "The original hashes in the byte string `b`, one a line, 64 hex digits, with blank lines and
  comments after # between; or an anomaly."
  [b]
  (let [lines (map #(str/trim (str/replace % #"#.*" "")) (str/split-lines (String. (bytes/->array b) "UTF-8")))
        wrong (first (remove #(or (= "" %) (re-matches #"[0-9a-fA-F]{64}" %)) lines))]
    (if wrong
      (error/anomaly :mirror/list {:found (subs wrong 0 (min 80 (count wrong)))})
      (into [] (comp (remove #{""}) (map bytes/hex->)) lines))))

(defn- listed [{:keys [records]}]
  (let [b (if records (files/read-file records nil) bytes/empty)]
    (if (error/anomaly? b) b (read-list b))))

;; ## The mirror

(defn- server [{{:keys [host port key]} :upstream :keys [upstream-key]}]
  (let [key (or key upstream-key)]
    (cond-> {:host host :encryption (if key :noise-nk :none)}
      port (assoc :port port)
      key (assoc :public-key (bytes/hex-> key)))))

(defn- domain-hashes [{:keys [domains upstream-hash]}]
  (if upstream-hash (into {} (map #(vector % (bytes/hex-> upstream-hash))) domains) {}))

(defn- keep-evidence! [{:keys [data]} {:keys [evidence] {:keys [hash]} :subject}]
  (when (and data evidence hash)
    (files/write-file! (str data "/conflict-" (bytes/->hex hash) ".txt") (bytes/utf8 evidence) nil {})))

(defn mirror
  "The mirror that the config describes, over `store`."
  [{:keys [role upstream-hash refresh-ms stale-ms pulls pull-ms now random on-error on-conflict] :as config} store]
  (mirror/mirror
    (cond-> {:role role :servers [(server config)] :store store :domains (domain-hashes config)
             :list #(listed config) :refresh-ms refresh-ms :stale-ms stale-ms :at-once pulls :deadline-ms pull-ms
             :now now :random random :on-conflict (fn [conflict]
                                                    (keep-evidence! config conflict)
                                                    (when on-conflict (on-conflict conflict)))}
      upstream-hash (assoc :hash (bytes/hex-> upstream-hash))
      on-error (assoc :on-error on-error))))

(defn- software
  "What STATUS calls a mirror: the protocol has no other place to say that its upstream is away."
  [software {:keys [refresh-ms]} mirror]
  (let [{:keys [last-success lag-ms]} (mirror/status mirror)]
    (cond
      (nil? last-success) (str software ", has not reached its upstream yet")
      (< (* 3 (long refresh-ms)) (long lag-ms)) (str software ", last reached its upstream at " (time/iso last-success))
      :else software)))

(defn authority-config
  "The config of `poz.authority` of a server that is none: it answers queries out of its store."
  [{:keys [role mirrors] :as config} name mirror]
  {:role role :software #(software name config mirror) :domains (domain-hashes config) :mirrors mirrors})
