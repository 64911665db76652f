(ns poz.verdicts
  "Records and verdicts to test with: those of the golden vectors, and small ones made here.

  - `records`, `record-named`, `file-record`, `statements` what records.json holds
  - `summary` a verdict in the words of records.json
  - `codes` error keywords as strings, sorted
  - `keys-of`, `secret` keys by label; a label's seed is its SHA3-256, as in the vectors
  - `genesis`, `revise`, `grant`, `deny` make signed records and zones of such keys"
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.master :as master]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; Of the vectors

(def ^:private file (delay (vectors/json "records.json")))

(defn now
  "The clock at which the vectors are verified."
  []
  (:now @file))

(defn records
  "The records of records.json, as it tells them."
  []
  (:records @file))

(defn file-record
  "The record in a file of test/vectors, decoded."
  [path]
  (record/decode (vectors/file-bytes path)))

(defn record-named
  "The record `records/NAME.poz`, decoded."
  [name]
  (file-record (str "records/" name ".poz")))

(defn seeds
  "Index → secret, of the keys of a record of records.json (or invalid.json) that has them."
  [{:keys [keys]}]
  (into {} (keep (fn [{:keys [index seed]}] (when seed [index (bytes/secret (bytes/hex-> seed))]))) keys))

;; Verdicts

(defn verdict
  "The verdict on `record` at the vectors' time, with `providers`."
  ([record] (verdict record []))
  ([record providers] (verify/verify record {:now (now) :providers providers})))

(defn codes
  "Error keywords as sorted strings."
  [keywords]
  (sort (distinct (map error/code keywords))))

(defn- entry-summary [{:keys [hash live status revoked-keys]}]
  (cond-> {:hash (bytes/->hex hash) :live live}
    status (assoc :status (name status))
    revoked-keys (assoc :revoked_keys revoked-keys)))

(defn- zone-summary [{:keys [outcome authority grant deny entries]}]
  {:status (name outcome)
   :authority {:status (name (:outcome authority)) :revision (:revision authority)}
   :grant (select-keys grant [:serial :sum])
   :deny (select-keys deny [:serial :sum])
   :entries (mapv entry-summary entries)})

(defn- revision-summary [{:keys [serial outcome signers support]}]
  {:serial serial
   :status (name outcome)
   :signers signers
   :support (update-vals support (fn [sums] (update-keys sums (comp keyword str))))})

(defn summary
  "The verdict as records.json writes what it expects."
  [{:keys [outcome chain zones problems warnings]}]
  {:status (name outcome)
   :chain (name (:outcome chain))
   :complete (:complete chain)
   :revisions (mapv revision-summary (:revisions chain))
   :zones (update-vals zones zone-summary)
   :problems (codes problems)
   :warnings (codes (map :warning warnings))})

;; Made here

(def start
  "When the records made here begin, before the vectors' time."
  1767225600000)

(defn secret
  "The secret of the key called `label`."
  [label]
  (bytes/secret (crypto/sha3-256 (bytes/utf8 label))))

(defn key-of
  "The key map's entry for the key called `label`: a string, or `[algorithm string]`."
  [label]
  (if (vector? label)
    (let [[algorithm label] label]
      {:algorithm algorithm :key (crypto/public-key algorithm (secret label))})
    {:algorithm :ed25519 :key (crypto/public-key :ed25519 (secret label))}))

(defn- label-secret [labels i]
  (let [label (nth labels i)] (secret (if (vector? label) (second label) label))))

(defn sign-draft
  "`draft` signed by the keys `signers` of `labels`."
  [draft labels signers]
  (reduce (fn [d i] (master/sign d i (label-secret labels i))) draft signers))

(defn shares
  "`{:authority :key :grant :deny}` for each `[zone key grant deny]`."
  [rows]
  (mapv #(zipmap [:authority :key :grant :deny] %) rows))

(defn values
  "`{:group :key :value}` for each `[group key value]`."
  [rows]
  (mapv #(zipmap [:group :key :value] %) rows))

(defn genesis
  "A finished record of keys called `labels`: `master` as for `values`, `delegations` as for
  `shares`, signed by `signers`."
  [labels master delegations signers]
  (-> (master/genesis {:public-key-map (mapv key-of labels) :master-keys (values master)
                       :delegations (shares delegations) :timestamp start})
    (sign-draft labels signers)
    master/finish))

(defn revise
  "`record` with its next revision, signed by `signers`. `options` as for `master/draft`,
  a day later unless told."
  [record labels options signers]
  (let [timestamp (+ 86400000 (long (get-in record [:master-zone :timestamp])))]
    (master/adopt record
      (master/finish (sign-draft (master/draft record (merge {:timestamp timestamp} options)) labels signers)))))

(defn- section-key [zone suffix] (keyword (str (name zone) suffix)))

(defn- signatures [record labels message signers]
  (reduce (fn [acc i] (signing/sign acc (:public-key-map record) message i (label-secret labels i))) [] signers))

(def no-deny
  "The deny part of a zone of which nothing is denied."
  {:serial 0 :timestamp 0 :denied [] :signatures []})

(defn grant
  "`record` with the zone `zone` of `body`, granted by `signers`. `more` may have other fields
  of the grant."
  ([record labels zone body signers] (grant record labels zone body signers {}))
  ([{:keys [master-zone] :as record} labels zone body signers more]
   (let [authority {:master-zone-hash (:current-master-hash master-zone) :keys (zone/delegation master-zone zone)}
         part (merge {:serial 1 :timestamp (+ 1000 (long (:timestamp master-zone)))
                      :previous-zone-hash (bytes/zeros 32) :body body :revoked [] :signatures []} more)
         parts {:authority authority :zone {:grant part :deny no-deny}}
         {:keys [message]} (zone/grant-statement record zone parts (signing/key-hashes (:public-key-map record)))]
     (assoc record
       (section-key zone "-authority") authority
       (section-key zone "-zone") (assoc-in (:zone parts) [:grant :signatures]
                                    (signatures record labels message signers))))))

(defn deny
  "`record` with `targets` denied in the zone `zone` by `signers`, a second after its grant."
  [record labels zone targets signers]
  (let [parts (zone/sections record zone)
        hashes (signing/key-hashes (:public-key-map record))
        timestamp (+ 1000 (long (get-in parts [:zone :grant :timestamp])))
        part {:serial 1 :timestamp timestamp :signatures []
              :denied (mapv (fn [t] {:target t :timestamp timestamp :reason :retired}) (sort targets))}
        parts (assoc-in parts [:zone :deny] part)
        {:keys [hash]} (zone/grant-statement record zone parts hashes)
        {:keys [message]} (zone/deny-statement record zone parts hash hashes)]
    (assoc record (section-key zone "-zone")
      (assoc-in (:zone parts) [:deny :signatures] (signatures record labels message signers)))))

(defn service
  "An entry of a Service Zone called `name`."
  [name]
  {:name name :type :https
   :hosts [{:hostname "www.example" :port 443 :transport :tcp :encryption :tls :priority 0 :weight 0}]})
