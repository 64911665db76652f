(ns poz.jazzer.targets
  "What is fuzzed: everything that reads bytes which strangers sent.

  `targets` is the table, a row each: `:name`; `:doc`; `:seeds`, a function that gives inputs
  to begin with, from the vectors; `:check`, a function of one input, a byte string, that
  throws where an invariant is broken (`poz.jazzer.invariants`); `:most`, the bytes of the
  longest input. A new target is a new row."
  (:require
   [clojure.string :as str]
   [poz.authorities :as authorities]
   [poz.bytes :as bytes]
   [poz.client.answer :as answer]
   [poz.codec :as codec]
   [poz.crypto :as crypto]
   [poz.discover.texts :as texts]
   [poz.error :as error]
   [poz.format :as format]
   [poz.format.messages :as messages]
   [poz.handles :as handles]
   [poz.jazzer.fixups :as fixups]
   [poz.jazzer.invariants :refer [bounded file! held! itself! malformed! readers-agree! record!]]
   [poz.jazzer.script :as script]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.served :as served]
   [poz.signing :as signing]
   [poz.update :as update]
   [poz.vectors :as vectors]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(def ^:private now (delay (:now (vectors/json "records.json"))))

;; ## Seeds

(def ^:private most-bytes "Of a record that is a seed: mutating more takes long and finds little." 3000)

(defn- small [files]
  (filter #(<= 1 (count %) (long most-bytes)) files))

(defn- records [] (small (map vectors/file-bytes (vectors/record-files))))

(defn- files-of [file k]
  (small (map (comp bytes/hex-> :file) (k (vectors/json file)))))

(defn- messages-of [k]
  (let [wire (vectors/json "wire.json")]
    (map (fn [m] [(keyword (str/lower-case (str/replace (:to m "") "_" "-"))) (bytes/hex-> (get m k))])
      (filter k (mapcat val (select-keys wire [:requests :responses :malformed]))))))

(defn- u8 [n] (bytes/wrap (byte-array [(unchecked-byte n)])))

;; ## Files

(defn- text!
  "The text form around a file, and the file in it."
  [b]
  (let [file (bounded "dearmor" [200000 400] (count b) #(record/dearmor b))]
    (cond
      (error/anomaly? file) (malformed! file (count b))
      (= file b) (malformed! (record/decode b) (count b))
      :else (do (held! (= file (record/dearmor (bytes/utf8 (record/armor file)))) "dearmor(armor(b)) = b" {:file file})
                (file! file @now)))))

(def ^:private ours
  "What is wrong with no record whose links and signatures we have just made, unless a draft,
  which has no hash, is among its revisions."
  #{:signature/bad :chain/current-hash :chain/previous-hash})

(defn- verify!
  "A file, repaired so far that its rules are what is left to break."
  [b]
  (let [found (record/decode (fixups/repacked b))]
    (when-not (error/anomaly? found)
      (let [r (fixups/resigned found)
            file (record/encode r)
            {:keys [outcome problems]} (record! r (count file) @now)]
        (held! (= r (record/decode file)) "a record comes back from its bytes" {})
        (held! (or (:chain/draft problems) (not-any? ours problems)) "what we signed verifies" {:problems problems})
        (when (and (= :valid outcome) (record/public? r))
          (held! (= :unchanged (:outcome (update/apply-update (record/public-view r) (record/public-view r) {:now @now})))
            "the same update twice changes nothing" {}))))))

;; ## The private key map

(def ^:private holder (delay (record/decode (vectors/file-bytes "records/genesis-minimal.poz"))))
(def ^:private phrase (delay (keyring/passphrase "fuzz")))

(def ^:private cheapest
  {:kdf :argon2id :memory-kib 8192 :passes 1 :lanes 1 :salt (bytes/zeros 16)
   :cipher :chacha20-poly1305 :nonce (bytes/zeros 12)})

(def ^:private sealing
  "The key and the associated data under which `sealed` seals."
  (delay [(crypto/argon2id (select-keys cheapest [:memory-kib :passes :lanes :salt]) @phrase 32)
          (bytes/concat (signing/key-hash (first (:public-key-map @holder)))
            (codec/encode (codec/codec (:types format/format) :private-key-header) cheapest))]))

(defn- sealed
  "The holder's record with the bytes `plain` sealed in it, whatever they are."
  [plain]
  (let [[key data] @sealing]
    (assoc @holder :private-key-map (assoc cheapest :sealed (crypto/seal key (:nonce cheapest) data plain)))))

(defn- opened! [plain]
  (let [found (keyring/open (sealed plain) @phrase)]
    (if (error/anomaly? found)
      (held! (#{:keyring/plaintext :keyring/key-mismatch} (:poz/error found)) "what is sealed is a keyring or refused" {:found found})
      (held! (= (map :key (take 1 (:public-key-map @holder))) (map #(crypto/public-key :ed25519 %) (vals found)))
        "every secret is that of its key" {}))))

(defn- keys!
  "A private key map: its section, or, after a first byte of 0, what is sealed in it."
  [b]
  (let [rest-of (bytes/slice b (min 1 (count b)))]
    (if (= 0 (nth b 0 nil))
      (opened! rest-of)
      (let [sections (dissoc @holder :private-key-map)
            codes #(:code (record/section-by-key %))]
        (file! (record/pack (assoc (update-vals (into {} (map (fn [k] [(codes k) k])) (keys sections))
                                     #(codec/encode-at (:codec (record/section-by-key %)) % (get sections %) {:algorithms [:ed25519]}))
                              (codes :private-key-map) rest-of))
          @now)))))

(defn- key-seeds []
  (let [plain (codec/encode (codec/codec (:types format/format) :private-keys) [{:key 0 :secret (bytes/zeros 32)}])
        section (codec/encode-at (:codec (record/section-by-key :private-key-map)) :private-key-map
                  (:private-key-map (sealed plain)) nil)]
    [(bytes/concat (u8 0) plain) (bytes/concat (u8 1) section)]))

;; ## Messages

(def ^:private request-codec (codec/codec (:types format/format) :request))
(def ^:private response-codec (codec/codec (:types format/format) :response))

(defn- size!
  "Holds what a message is said to have in bytes, by any part of it, against what it has."
  [size b whole?]
  (doseq [n (distinct [0 1 4 5 6 (quot (count b) 2) (max 0 (dec (count b)))]) :when (< (long n) (count b))
          :let [found (size (bytes/slice b 0 n))]]
    (held! (or (error/anomaly? found) (<= (long n) (long found))) "the size of a message is not less than is there"
      {:there n :found found})
    (when whole?
      (held! (and (int? found) (< (long n) (long found)) (<= (long found) (count b))) "a part of a message is not whole"
        {:there n :found found}))))

(def ^:private ^{:doc "A server that holds one record, that of social.example."} server
  (delay (let [{:keys [store config]} (authorities/world (constantly :hold))]
           (served/handler store config (constantly (authorities/facts (+ 1000 (long handles/t0))))))))

(defn- answered!
  "Holds a server of `contract` to have an answer for the bytes `b` that says what is wrong."
  [b contract]
  (let [request (wire/decode-request b {:contract contract})
        response (wire/decode-response (@server {:bytes b :contract contract}) (:type request))]
    (held! (not (error/anomaly? response)) "an answer can be read" {:response response})
    (held! (= (:id response) (:id request)) "an answer has the id of its request" {:response response})
    (held! (not= :failed (:status response)) "no request is a defect of the server" {:response response})))

(defn- request! [b]
  (let [found (bounded "decode-request" [200000 200] (count b) #(wire/decode-request b))]
    (readers-agree! request-codec b nil)
    (if (error/anomaly? found)
      (held! (contains? error/table (:poz/error found)) "what is refused has a name" {:found found})
      (itself! found b wire/encode-request))
    (size! wire/request-size b (not (error/anomaly? found)))
    (run! #(answered! b (:contract %)) messages/ports)))

(defn- questions
  "Requests to which our server has an answer that is a record."
  []
  (for [type [:master :chain :record :serial]]
    (wire/encode-request {:type type :id 1 :payload (if (= :chain type) {:subject {:domain "social.example"} :from 1} {:domain "social.example"})})))

(def ^:private types (mapv :type messages/requests))

(defn- checked!
  "Holds a client to an answer or an anomaly, whatever a server has put into `response`."
  [type {:keys [status payload]}]
  (when (and (= :ok status) payload)
    (let [record (when (bytes/bytes? payload) (record/decode payload))
          hash (when (and record (not (error/anomaly? record))) (record/original-hash record))
          found (answer/check {:type type :subject {:hash (or hash (bytes/zeros 32))} :zones [:service]}
                  {:now @now :providers []} payload)]
      (held! (or (error/anomaly? found) (map? (:subject found))) "a client has an answer or an anomaly" {:found found}))))

(defn- response!
  "A response to a request of a type: its number is the first byte."
  [b]
  (let [type (nth types (mod (long (nth b 0 0)) (count types)))
        b (bytes/slice b (min 1 (count b)))
        found (bounded "decode-response" [200000 200] (count b) #(wire/decode-response b type))]
    (readers-agree! response-codec b nil)
    (if (error/anomaly? found)
      (held! (contains? error/table (:poz/error found)) "what is refused has a name" {:found found})
      (do (itself! found b #(wire/encode-response % type))
          (checked! type found)))
    (size! wire/response-size b (not (error/anomaly? found)))))

(defn- response-seeds []
  (for [[to b] (messages-of :response) :let [i (.indexOf ^java.util.List types to)]]
    (bytes/concat (u8 i) b)))

(defn- finding!
  "Holds `found` to be the finding of a source of discovery."
  [{:keys [status hash hashes servers] :as found}]
  (held! (contains? #{:present :absent :failed} status) "a source is present, absent or failed" {:found found})
  (when (= :present status)
    (held! (every? #(= 32 (count %)) (if hash [hash] hashes)) "a source gives hashes of 32 bytes" {:found found})
    (held! (every? (comp string? :host) servers) "a server has a host" {:found found})))

;; ## The table

(def targets
  "The rows, in the order in which `all` goes through them."
  [{:name "file" :doc "a file in binary form: reading, verifying, its public view" :most 4000
    :seeds #(concat (records) (files-of "malformed.json" :cases))
    :check #(file! % @now)}
   {:name "text" :doc "the text form, and the file in it" :most 4000
    :seeds #(cons (vectors/file-bytes "records/genesis-minimal.txt") (map (comp bytes/utf8 record/armor) (small (take 12 (records)))))
    :check text!}
   {:name "verify" :doc "a file, its lengths, links and signatures made right: the rules" :most 4000
    :seeds #(concat (records) (files-of "invalid.json" :cases))
    :check verify!}
   {:name "keys" :doc "the private key map, and what is sealed in it" :most 400
    :seeds key-seeds
    :check keys!}
   {:name "request" :doc "a request, and the server's answer" :most 4000
    :seeds #(concat (map second (messages-of :request)) (questions))
    :check request!}
   {:name "response" :doc "a response, and what a client makes of it" :most 4000
    :seeds response-seeds
    :check response!}
   {:name "well-known" :doc "the well-known file of a domain" :most 4000
    :seeds #(map (comp bytes/utf8 :text) (:well_known (vectors/json "primitives.json")))
    :check #(finding! (bounded "well-known" [200000 400] (count %) (fn [] (texts/well-known %))))}
   {:name "txt" :doc "the TXT records of a domain, a line each" :most 1000
    :seeds #(map (comp bytes/utf8 (fn [t] (str/join "\n" (:texts t)))) (:txt (vectors/json "primitives.json")))
    :check #(finding! (texts/txt (str/split-lines (String. ^bytes (bytes/->array %) "UTF-8"))))}
   {:name "noise" :doc "what comes on a Noise port: handshakes, transport messages" :most 1000
    :seeds script/seeds
    :check script/check!}])

(def ^:private few "Of the seeds of each target, for `mixed`." 12)

(defn- mixed-seeds []
  (for [[i {:keys [seeds]}] (map-indexed vector targets)
        :let [all (vec (seeds)) step (max 1 (quot (count all) (long few)))]
        b (take few (take-nth step all))]
    (bytes/concat (u8 i) b)))

(def mixed
  "All targets in one process, for when there is little time: the first byte of an input says
  which."
  {:name "mixed" :doc "all of these, in one process" :most 4000
   :seeds mixed-seeds
   :check (fn [b]
            (let [{:keys [check]} (nth targets (mod (long (nth b 0 0)) (count targets)))]
              (check (bytes/slice b (min 1 (count b))))))})

(defn target
  "The row called `name`, or nil."
  [name]
  (first (filter #(= name (:name %)) (conj targets mixed))))
