(ns poz.cli.holder
  "What the commands that change something share: a holder's file and its secrets, key
  names, drafts in text form, and signing with every key at hand."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.cli.support :as support]
   [poz.error :as error]
   [poz.format :as format]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.record.text :as text]
   [poz.signing :as signing]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn attempt->
  "`x` through the functions `fs` in turn, as long as none gives an anomaly."
  [x & fs]
  (reduce (fn [v f] (if (error/anomaly? v) (reduced v) (f v))) x fs))

(defn usage
  "The anomaly of a command line that makes no sense."
  [command & words]
  (error/anomaly :cli/usage {:message (str "poz " command ": " (apply str words))}))

;; ## Keys

(defn key-index
  "The index of the key that `word` names in `record`: a number, or a name of the holder's;
  nil where there is none."
  [record word]
  (let [i (if (re-matches #"\d{1,5}" word)
            (parse-long word)
            (:key (first (filter #(= word (:name %)) (:key-names record)))))]
    (when (and i (< (long i) (count (:public-key-map record)))) i)))

(defn- key-option
  "\"ALGORITHM:HEX\" as an entry of the key map, or nil."
  [s]
  (when-let [[_ algorithm hex] (re-matches #"([a-z0-9-]+):((?:[0-9a-fA-F]{2})+)" s)]
    (when (some #(= algorithm (name (:key %))) format/algorithms)
      {:algorithm (keyword algorithm) :key (bytes/hex-> hex)})))

(def add-key-option
  "`--add-key ALGORITHM:HEX`."
  {:name "add-key" :arg "ALGORITHM:HEX" :many true :parse key-option
   :doc "append this key to the key map"})

(defn keyring
  "The keyring of the holder's `record`, opened; or an anomaly."
  [record options env]
  (if (:private-key-map record)
    (attempt-> (support/passphrase options env) #(keyring/open record %))
    (error/anomaly :keyring/absent)))

(defn translate
  "The keyring `ring` of `holder` by the indexes of another record: the same public keys."
  [ring holder record]
  (let [where (into {} (map-indexed (fn [i k] [k i])) (:public-key-map record))]
    (into {}
      (keep (fn [[i secret]] (when-let [j (where (nth (:public-key-map holder) i))] [j secret])))
      ring)))

(defn sign-each
  "`x` signed by `(f x index secret)` with each key of `ring` that is in `named`, in order,
  while `(open? x)`: `{:value x :signed [index …]}`, or an anomaly."
  [x ring named open? f]
  (reduce (fn [{:keys [value signed] :as acc} index]
            (if (and (named index) (open? value index))
              (let [v (f value index (ring index))]
                (if (error/anomaly? v) (reduced v) {:value v :signed (conj signed index)}))
              acc))
    {:value x :signed []} (sort (keys ring))))

;; ## Files

(def ^:private line-width (:armor-line format/limits))

(defn write-text
  "Writes the text form of the byte string `b` under `label` to `--out`; `result`, or an
  anomaly. A draft is replaced in place when `--out` is the file that it came from."
  [b label {:keys [out force]} {:keys [stdout]} result]
  (or (files/write-file! out (bytes/utf8 (text/armor b line-width label)) stdout {:force force})
    result))

(defn write-draft
  "Writes `record`, a draft, in text form; `result` or an anomaly."
  [record options env result]
  (write-text (record/encode record) "RECORD" options env result))

(defn read-block
  "What the one block with `label` in `file` decodes to by `decode`; or an anomaly."
  [file label env decode]
  (attempt-> (support/read-bytes file env)
    (fn [b] (error/attempt #(text/block b line-width label)))
    decode
    (fn [v] v)))

(defn write-holder
  "Writes the holder's record to `--out`, readable by its owner only; `result` or an anomaly."
  [record {:keys [out force]} {:keys [stdout]} result]
  (or (files/write-file! out (record/encode record) stdout {:private true :force force}) result))

;; ## Zones

(defn alone
  "The public view of `record` with the one zone `z`: what travels."
  [record z]
  (let [others (mapcat (juxt zone/authority-key zone/zone-key) (remove #{z} zone/names))]
    (apply dissoc record :key-names :private-key-map :unknown-sections others)))

(defn next-time
  "The time for a new statement: now, or a millisecond after what it replaces if that is later."
  [record z options env]
  (let [{:keys [grant deny]} (:zone (zone/sections record z))]
    (max (long (support/now options env))
      (inc (long (:timestamp grant -1))) (inc (long (:timestamp deny -1))))))

;; ## Words

(defn needed-line
  "Who is still needed, for a person: \"20 still needed, from key 3\"; or nil."
  [{:keys [missing]}]
  (when missing
    (str (:needed missing) " still needed, from " (signing/key-list (:from missing)))))

(defn list-lines
  "The lines of a status: each list's sums and who is still needed."
  [{:keys [lists complete]} titles]
  (concat
    (for [{:keys [line] :as l} lists]
      (str "  " (titles (or (:list l) (:kind l))) ": " line
        (when-let [n (needed-line l)] (str "; " n))))
    [(if complete "complete: it can be applied" "not complete")]))

(defn words
  "`xs` joined by commas, or \"none\"."
  [xs]
  (if (seq xs) (str/join ", " xs) "none"))
