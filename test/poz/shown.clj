(ns poz.shown
  "Files to show on a page: bytes of records, whole, broken, forked, large, hostile, private.

  - `all-zones`, `provider`, `broken`, `fork` (two files), `evidence` of it
  - `entries` a valid record with n services; `hostile` one whose names would do harm
  - `holder` a file with private sections, `secrets` the byte strings that must not leave it
  - `assets` what pages are made with; `now` the clock"
  (:require
   [clojure.java.io :as io]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.crypto :as crypto]
   [poz.fork :as fork]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.view.page :as page]
   [poz.view.page.spans :as spans]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def now
  "The clock, that of the golden vectors."
  cli/now)

(defn assets
  "The texts that pages are made with."
  []
  (update-vals page/asset-names #(slurp (io/resource (str "poz/page/" %)))))

(defn golden
  "The bytes of a golden record."
  [name]
  (vectors/file-bytes (str "records/" name ".poz")))

(def all-zones "A record with every zone." (delay (golden "all-zones")))

(def provider "The record of the provider of its handles." (delay (golden "provider-1")))

(defn flipped
  "The bytes `b` with the lowest bit of the byte at `offset` flipped."
  [b offset]
  (let [array (bytes/->array b)]
    (aset-byte array offset (unchecked-byte (bit-xor 1 (aget array offset))))
    (bytes/wrap array)))

(def broken "`all-zones` with a key of its map too short: no record." (delay (flipped @all-zones 134)))

(defn- fork-of [after]
  (let [labels ["shown 0" "shown 1"]
        one (v/genesis labels [[1 0 100]] [[:service 0 100 100]] [0])
        two (v/revise one labels {} [0])]
    (v/revise two labels {:master-keys (v/values after)} [0])))

(def fork
  "Two records whose third revisions have one parent."
  (delay (mapv (comp record/encode fork-of) [[[1 0 100] [2 1 100]] [[1 0 100] [3 1 100]]])))

(def evidence
  "The evidence of that fork, as bytes."
  (delay (bytes/utf8 (apply fork/evidence (conj (mapv record/decode @fork) now)))))

(defn- with-services [services]
  (let [labels ["shown 0" "shown 1"]
        record (v/genesis labels [[1 0 100] [2 1 100]] [[:identity 0 100 100] [:service 0 100 100]] [0])]
    (record/encode (v/grant record labels :service (zone/sort-entries :service services) [0]))))

(defn- service [i]
  {:name (format "service %05d" i) :type :custom
   :hosts [{:hostname (format "host-%05d.services.example" i) :port 7075 :transport :tcp :encryption :noise-nk
            :public-key (crypto/sha3-256 (bytes/utf8 (str i))) :priority 10 :weight 5}]})

(defn entries
  "A valid record with `n` services, some hundred bytes each."
  [n]
  (with-services (map service (range n))))

(def names
  "Names that would do harm where they are not escaped."
  ["<script>alert(1)</script>" "</script><script>alert(2)</script>" "<img src=x onerror=alert(3)>" "\"><svg onload=alert(4)>"
   "<!--<script>" "]]>" "&lt;b&gt;" "{{7*7}}${7*7}" "\u202egnp.exe" "a\u2066b\u2069c" "zero\u200bwidth\ufeff"
   "שלום" (apply str (repeat 255 "W")) (apply str (repeat 127 "é"))])

(def hostile "A record with services of such names." (delay (with-services (map v/service names))))

(def ^:private phrase "correct horse")

(defn- holder-with [more]
  (let [labels ["shown 0" "shown 1"]
        record (merge (v/genesis labels [[1 0 100] [2 1 100]] [[:service 0 100 100]] [0]) more)]
    (record/encode
      (keyring/seal (assoc record :key-names [{:key 0 :name "Grandmother's kitchen phone"}])
        {0 (v/secret "shown 0")} (keyring/passphrase phrase)
        {:random (cli/random "shown") :memory-kib 8192 :passes 1 :lanes 1}))))

(def holder
  "A holder's file: private keys, sealed, and names of keys."
  (delay (holder-with {})))

(defn too-large
  "A holder's file with more bytes than a page tells one by one."
  []
  (holder-with {:unknown-sections (sorted-map 0x7000 (bytes/zeros spans/most-traced))}))

(defn secrets
  "The byte strings of `holder` that must not get into a page."
  []
  (let [{:keys [private-key-map key-names]} (record/decode @holder)]
    (conj (mapv private-key-map [:salt :nonce :sealed]) (bytes/utf8 (:name (first key-names))))))
