(ns poz.view.tree
  "A record as a tree of readable lines for a terminal: its keys, who may change what, and
  what each zone says. It tells what a record states, not whether any of it holds: that
  is a verdict's.

  `show` is pure, gives strings, and shows foreign text escaped (see `poz.view.text`), of
  secrets only that they are there. Hashes and keys are shown by their first bytes."
  (:require
   [clojure.string :as str]
   [poz.address :as address]
   [poz.bytes :as bytes]
   [poz.format :as format]
   [poz.time :as time]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

;; A line is `[depth text]` or `[depth text style]`, wrapped and indented at the end.
;; A context holds the options and `:names`, index → what the holder calls the key.

(defn- short-hex [{:keys [full]} b]
  (let [n (count b) most 8]
    (if (or full (<= n most))
      (bytes/->hex b)
      (str (bytes/->hex (bytes/slice b 0 most)) "…"))))

(defn- counted [n thing]
  (str n " " thing (when-not (= 1 n) "s")))

(defn- listed [texts]
  (if (seq texts) (str/join ", " texts) "none"))

(defn- key-text [{:keys [names]} i]
  (str "key " i (when-let [n (names i)] (str " " (text/quoted n)))))

(defn- keys-text [context indexes]
  (listed (map #(key-text context %) indexes)))

(defn- signers [context signatures]
  (if (seq signatures)
    (str "signed by " (keys-text context (map :key signatures)))
    "not signed"))

(defn- code-name [code]
  (if (keyword? code) (name code) (str "unknown (" code ")")))

;; ## Keys

(defn- key-line [{:keys [key-hash names] :as context} i {:keys [algorithm key] :as entry}]
  [1 (str i "  " (text/pad (code-name algorithm) 13) " "
       (if key-hash
         (str "hash " (short-hex context (key-hash entry)))
         (str "key " (short-hex context key)))
       (when-let [n (names i)] (str "  " (text/quoted n))))])

(defn- key-lines [context {:keys [public-key-map]}]
  (cons [0 (str "Keys: " (count public-key-map)) :title]
    (map-indexed #(key-line context %1 %2) public-key-map)))

;; ## Master zone

(defn- group-lines [context master-keys]
  (for [[group entries] (sort-by key (group-by :group master-keys))]
    [2 (str "group " group ": "
         (listed (for [{:keys [key value]} entries] (str (key-text context key) " = " value))))]))

(defn- share-text [context {:keys [key grant deny]}]
  (str (key-text context key) " grant " grant " deny " deny))

(defn- delegation-lines [context delegations]
  (if (seq delegations)
    (cons [1 (str "delegations, " (:threshold format/limits) " of a zone's values together:")]
      (for [{:keys [zone]} format/zones
            :let [shares (filter #(= zone (:authority %)) delegations)]
            :when (seq shares)]
        [2 (str (name zone) ": " (listed (map #(share-text context %) shares)))]))
    [[1 "delegations: none"]]))

(defn- revision-text [context {:keys [serial timestamp current-master-hash]}]
  (str "serial " serial ", " (time/iso timestamp) ", "
    (if (bytes/zero-bytes? current-master-hash)
      "a draft"
      (str "hash " (short-hex context current-master-hash)))))

(defn- master-lines [context {{:keys [original-master-hash original-timestamp master-keys
                                      delegations signatures] :as master} :master-zone}]
  (concat
    [[0 "Master Zone" :title]
     [1 (str "identity " (bytes/->hex original-master-hash))]
     [1 (str "since " (time/iso original-timestamp))]
     [1 (revision-text context master)]
     [1 (signers context signatures)]
     [1 (str "master keys, " (:threshold format/limits) " in some one group:")]]
    (group-lines context master-keys)
    (delegation-lines context delegations)))

;; ## Entries

(defn- identity-lines [context {:keys [authority-hash identity-type authority-signatures] :as entry}]
  [[1 (text/escape (address/of-entry entry))]
   [2 (str (code-name identity-type) ", attested by " (short-hex context authority-hash) ", "
        (if (seq authority-signatures)
          (str "signed by its " (listed (map #(str "key " (:key %)) authority-signatures)))
          "not signed"))]])

(defn- checkpoint-line [context {:keys [type serial post timestamp]}]
  [3 (str (code-name type) " at post " serial ", " (time/iso timestamp) ", hash " (short-hex context post))])

(defn- feed-lines [context {:keys [service chains] feed :name}]
  (cons [1 (str (text/quoted feed) ", service " (short-hex context service))]
    (mapcat (fn [{:keys [chain posting-keys checkpoints]}]
              (cons [2 (str "chain " chain ": posting keys " (keys-text context posting-keys))]
                (map #(checkpoint-line context %) checkpoints)))
      chains)))

(defn- email-lines [context {:keys [guid key service] inbox :name}]
  [[1 (str (bytes/->hex guid) " " (text/quoted inbox))]
   [2 (str "encrypted to " (key-text context key) ", service " (short-hex context service))]])

(defn- group-entry-lines [context {:keys [id keys]}]
  [[1 (str "group " id ": " (keys-text context keys))]])

(defn- host-line [context {:keys [hostname port transport encryption public-key ca-key priority weight]}]
  [2 (str (text/escape hostname) ":" port " " (code-name transport) ", encryption " (code-name encryption)
       (when public-key (str ", key " (short-hex context public-key)))
       (when ca-key (str ", CA " (key-text context ca-key)))
       ", priority " priority ", weight " weight)])

(defn- service-lines [context {:keys [type hosts] service :name}]
  (cons [1 (str (code-name type) (when (seq service) (str " " (text/quoted service))))]
    (map #(host-line context %) hosts)))

(def ^:private entry-lines
  {:identity identity-lines :feed feed-lines :email email-lines
   :auth group-entry-lines :service service-lines})

(defn- body-lines [context zone body]
  (let [entries (if (map? body) (:groups body) body)]
    (concat
      (if (seq entries) (mapcat #((entry-lines zone) context %) entries) [[1 "no entries"]])
      (when-let [service (:revocation-service body)]
        [[1 (str "revocations published at service " (short-hex context service))]]))))

;; ## Zones

(defn- denial-line [context word {:keys [target timestamp reason]}]
  [1 (str word " " (short-hex context target) ", " (code-name reason) ", " (time/iso timestamp))])

(defn- deny-lines [context {:keys [serial timestamp denied signatures]}]
  (if (zero? (long serial))
    [[1 "deny 0: nothing denied since this grant"]]
    (cons [1 (str "deny " serial ", " (time/iso timestamp) ", " (signers context signatures))]
      (map #(denial-line context "denied" %) denied))))

(defn- authority-line [context {:keys [master-zone-hash keys]}]
  [1 (str "authority as of revision " (short-hex context master-zone-hash) ": "
       (listed (map #(share-text context %) keys)))])

(defn- zone-lines
  "The lines of one row of `poz.format/zones`: nil for a zone that the record has not."
  [context record {:keys [zone] zone-name :name}]
  (let [part (fn [suffix] (get record (keyword (str (name zone) suffix))))]
    (when-let [{:keys [grant deny]} (part "-zone")]
      (concat
        [[0 zone-name :title]]
        (when-let [authority (part "-authority")] [(authority-line context authority)])
        [[1 (str "grant " (:serial grant) ", " (time/iso (:timestamp grant)) ", "
              (signers context (:signatures grant)))]]
        (body-lines context zone (:body grant))
        (map #(denial-line context "revoked" %) (:revoked grant))
        (deny-lines context deny)))))

;; ## The rest

(defn- history-lines [_ {:keys [zone-history]}]
  (when-let [{:keys [serial]} (first zone-history)]
    [[0 "Zone History" :title]
     [1 (str (counted (count zone-history) "former revision") ", serial " serial " to "
          (:serial (peek zone-history)) ", " (time/iso (:timestamp (first zone-history))) " to "
          (time/iso (:timestamp (peek zone-history)))
          (if (= 1 serial) ", complete" ", a tail: it does not start at serial 1"))]]))

(defn- private-lines [_ {{:keys [kdf memory-kib passes lanes cipher sealed]} :private-key-map :keys [key-names]}]
  (when (or sealed key-names)
    (concat
      [[0 "Private, for the holder only" :title]]
      (when sealed
        [[1 (str "Private Key Map: sealed, " (counted (count sealed) "byte") " (" (name cipher) ", "
              (name kdf) " " memory-kib " KiB, passes " passes ", lanes " lanes ")")]])
      (when key-names
        [[1 (str "Key Names: " (counted (count key-names) "name"))]]))))

(defn- unknown-lines [_ {:keys [unknown-sections]}]
  (when (seq unknown-sections)
    (cons [0 "Unknown sections, kept and not trusted" :title]
      (for [[code b] unknown-sections]
        [1 (clojure.core/format "0x%04x: %s" code (counted (count b) "byte"))]))))

(defn- parts [context record]
  (concat
    [(key-lines context record) (master-lines context record)]
    (map #(zone-lines context record %) format/zones)
    (map #(% context record) [history-lines private-lines unknown-lines])))

(defn- lay-out [{:keys [width color]} [depth line style]]
  (let [indent (* 2 (long depth))]
    (map #(text/paint color style %) (text/hang line width indent (+ indent 4)))))

(def option-rows
  "The options of `show`, as `poz.view.text/option-rows`."
  (assoc text/option-rows
    :key-hash {:doc "gives the key hash of an entry {:algorithm :key} of the key map" :default nil
               :check #(or (nil? %) (ifn? %)) :rule "a function of an entry of the key map"}))

(defn show
  "The lines of a readable tree of `record`, a map as `poz.record/decode` gives.

  Options: `:color` ANSI colours (false), `:width` of the terminal (80), `:full` hashes
  and keys whole (false), `:key-hash` a function that gives the key hash of an entry of
  the key map (the key itself is shown without)."
  ([record] (show record {}))
  ([record options]
   (let [context (assoc (text/options option-rows options)
                   :names (into {} (map (juxt :key :name)) (:key-names record)))]
     (->> (parts context record)
       (filter seq)
       (map (fn [lines] (mapcat #(lay-out context %) lines)))
       (interpose [""])
       (apply concat)))))
