(ns poz.system.keys
  "The keyring files of a server, sealed under a passphrase, each readable by its owner only.

  `server.poz` is a holder's file like any other: the authority's record as it began, with
  three secrets and their names: `server`, the key that issues handles; `noise`, by which
  clients know the server; `work`, which proof of work is about. `owner.poz` and
  `recovery.poz` hold one key each of those that change the record. They are not needed to
  serve: move them off the machine.

  The *keys* of a server are `{:record :ring :noise {:secret :public-key} :work}`.

  A cache or mirror has `mirror.poz` instead: a file of the same kind with the secrets `noise` and
  `work` only. The record in it is made up and nobody can change it, for the keys that could are
  thrown away: it holds nothing of any authority's."
  (:require
   [poz.cli.files :as files]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.system.provider :as provider]))

(set! *warn-on-reflection* true)

(def ^:private names
  "The names of the keys of an authority by their index in its key map."
  ["owner" "recovery" "server" "noise" "work"])

(def ^:private held
  "File → the names of the keys whose secrets are in it, the server's last: it is only there
  once the others are."
  [["owner.poz" #{"owner"}]
   ["recovery.poz" #{"recovery"}]
   ["server.poz" #{"server" "noise" "work"}]])

(def ^:private mirror-held
  "The same for a cache or mirror."
  [["mirror.poz" #{"noise" "work"}]])

(defn- path [folder file] (str folder "/" file))

(defn server-file
  "The path of the server's own keyring file in `folder`."
  [folder]
  (path folder (first (peek held))))

(defn mirror-file
  "The path of the keyring file of a cache or mirror in `folder`."
  [folder]
  (path folder (first (peek mirror-held))))

(defn exist?
  "True if the server's keyring file is in `folder`."
  [folder]
  (files/exists? (server-file folder)))

(defn remains
  "The path of a keyring file that is in `folder` although the server's own is not, or nil: then
  keys were lost, or a first start was cut short."
  [folder]
  (when-not (exist? folder)
    (first (filter files/exists? (map #(path folder (first %)) held)))))

;; ## Making

(defn- with-private-keys
  "`record` with the keys of `pairs` behind its own and the names of all."
  [record pairs]
  (-> record
    (update :public-key-map into (map (fn [{:keys [public-key]}] {:algorithm :x25519 :key public-key})) pairs)
    (assoc :key-names (into [] (map-indexed (fn [i n] {:key i :name n})) names))))

(defn- as-keys [record ring]
  (let [index #(.indexOf ^java.util.List names %)
        noise (index "noise")]
    {:record (record/public-view record)
     :ring (select-keys ring [(index "server")])
     :noise {:secret (ring noise) :public-key (get-in record [:public-key-map noise :key])}
     :work (ring (index "work"))}))

(defn fresh
  "New keys and the record that they belong to: `{:keys :file :secrets}`, the last two for
  `write!`."
  [random now]
  (let [{:keys [record secrets]} (provider/genesis random now)
        pairs (repeatedly 2 #(crypto/generate :x25519 random))
        secrets (merge secrets (zipmap ["noise" "work"] (map :secret pairs)))
        file (with-private-keys record pairs)
        ring (into {} (map-indexed (fn [i n] [i (secrets n)])) names)]
    {:keys (as-keys file ring) :file file :ring ring}))

(defn- only [ring wanted]
  (into {} (keep-indexed (fn [i n] (when (wanted n) [i (ring i)]))) names))

(defn- write-files! [folder {:keys [file ring]} phrase options files]
  (or (files/make-folder! folder)
    (some (fn [[n wanted]]
            (files/write-file! (path folder n) (record/encode (keyring/seal file (only ring wanted) phrase options))
              nil {:private true}))
      files)))

(defn write!
  "Writes what `fresh` made to its files in `folder`, sealed under `phrase`; nil, or the anomaly
  of what could not be written. No file that is there is touched. Options: `:random`, and those
  of `poz.keyring/seal`."
  [folder made phrase options]
  (write-files! folder made phrase options held))

(defn write-mirror!
  "The same for a cache or mirror."
  [folder made phrase options]
  (write-files! folder made phrase options mirror-held))

;; ## Reading

(defn- named-right? [{:keys [key-names]}]
  (= names (map :name key-names)))

(defn- read-file [file phrase]
  (let [b (files/read-file file nil)
        r (if (error/anomaly? b) b (record/parse b))
        ring (if (error/anomaly? r) r (keyring/open r phrase))]
    (cond
      (error/anomaly? ring) ring
      (not (named-right? r)) (error/anomaly :system/keys {:found file})
      :else (as-keys r ring))))

(defn read-keys
  "The keys of the server in `folder`, opened with `phrase`; or an anomaly."
  [folder phrase]
  (read-file (server-file folder) phrase))

(defn read-mirror
  "The keys of the cache or mirror in `folder`, opened with `phrase`: `:noise` and `:work`; or an
  anomaly."
  [folder phrase]
  (let [found (read-file (mirror-file folder) phrase)]
    (if (error/anomaly? found) found (select-keys found [:noise :work]))))
