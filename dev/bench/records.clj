(ns bench.records
  "Records to measure with, each signed with keys of its own, made of nothing but its
  parameters: `typical`, `large` with the providers of its entries, `long-chain`.

  A *holder* is `{:record :secrets}`, the secrets by key index."
  (:require
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.identity :as identity]
   [poz.master :as master]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private start 1767225600000)

(def now
  "A time later than every statement here."
  1793491200000)

(defn- checked
  "`x`, unless it is an anomaly: that is thrown."
  [x]
  (if (error/anomaly? x) (throw (ex-info (:message x) x)) x))

;; ## Master zone

(defn- key-pair [label algorithm i]
  (assoc (crypto/generate algorithm (crypto/sha3-256 (bytes/utf8 (str label "/" i))))
    :algorithm algorithm))

(defn- finished
  "The record that `draft` becomes when the keys `signers` have signed it."
  [draft signers secrets]
  (checked (master/finish (reduce #(checked (master/sign %1 %2 (secrets %2))) draft signers))))

(defn- holder
  "A holder with the `algorithms` of its keys, of which the first two are its master keys,
  both needed, and with one signing key for each zone, the third."
  [label algorithms]
  (let [pairs (map-indexed #(key-pair label %2 %1) algorithms)
        secrets (mapv :secret pairs)
        draft (master/genesis
                {:public-key-map (mapv (fn [{:keys [algorithm public-key]}] {:algorithm algorithm :key public-key}) pairs)
                 :master-keys (for [key [0 1]] {:group 1 :key key :value 50})
                 :delegations (for [z zone/names] {:authority z :key 2 :grant 100 :deny 100})
                 :timestamp start})]
    {:record (finished draft [0 1] secrets) :secrets secrets}))

(defn- revised
  "The holder after `n` more revisions, with their whole history."
  [{:keys [record secrets] :as holder} n]
  (assoc holder :record
    (reduce (fn [record i]
              (let [draft (master/draft record {:timestamp (+ (long start) (* 1000 (inc (long i))))})]
                (merge record (finished draft [0 1] secrets))))
      record (range n))))

;; ## Zones

(defn- sorted-by-encoding [zone entries]
  (let [item (:item (:node (codec/codec (:types format/format) (keyword (str (name zone) "-body")))))]
    (vec (sort-by #(codec/encode (codec/of-node item) %) entries))))

(defn- granted
  "The holder with `zone` over `body`, granted by its third key."
  [{:keys [record secrets] :as holder} zone body]
  (let [authority {:master-zone-hash (:current-master-hash (:master-zone record))
                   :keys (zone/delegation (:master-zone record) zone)}
        grant {:serial 1 :timestamp (+ (long start) 100000000) :previous-zone-hash (bytes/zeros 32)
               :body body :revoked [] :signatures []}
        unsigned {:grant grant :deny {:serial 0 :timestamp 0 :denied [] :signatures []}}
        {:keys [message]} (zone/grant-statement record zone {:authority authority :zone unsigned}
                            (signing/key-hashes (:public-key-map record)))]
    (assoc holder :record
      (assoc record
        (keyword (str (name zone) "-authority")) authority
        (keyword (str (name zone) "-zone"))
        (assoc-in unsigned [:grant :signatures]
          (signing/sign [] (:public-key-map record) message 2 (secrets 2)))))))

(defn- original-hash [{:keys [record]}]
  (:original-master-hash (:master-zone record)))

(defn- identity-entry
  "The handle number `i` that `provider` issues to `holder`."
  [provider holder i]
  (let [entry {:identity-type :poz :authority-hash (original-hash provider)
               :authority-domain "provider.example" :path (if (even? (long i)) [] ["staff"])
               :user-handle (str "ada.lovelace-" i) :user-poz-hash (original-hash holder)}
        {:keys [message]} (identity/statement entry)]
    (assoc entry :authority-signatures
      (signing/sign [] (:public-key-map (:record provider)) message 2 ((:secrets provider) 2)))))

(defn- service-entry [i]
  {:type ([:https :poz-query :poz-submit :feed :mail :revocation] (rem (long i) 6))
   :name (str "service " i)
   :hosts [{:hostname (str "host-" i ".ada.example") :port 443 :transport :tcp :encryption :tls
            :priority 10 :weight 50}
           {:hostname (str "fallback-" i ".ada.example") :port 7443 :transport :tcp :encryption :noise-nk
            :public-key (crypto/sha3-256 (bytes/utf8 (str "host key " i))) :ca-key 2 :priority 20 :weight 50}]})

(defn- bodies
  "Bodies of all zones: `n` identities of `provider` and `n` entries in each other one."
  [holder provider n]
  (let [services (sorted-by-encoding :service (map service-entry (range n)))
        service (zone/entry-hash :service (first services))
        label #(crypto/sha3-256 (bytes/utf8 (str %1 %2)))]
    {:identity (sorted-by-encoding :identity (map #(identity-entry provider holder %) (range n)))
     :feed (sorted-by-encoding :feed
             (for [i (range n)]
               {:name (str "feed " i) :service service
                :chains [{:chain 0 :posting-keys [2]
                          :checkpoints [{:type :genesis :serial 1 :post (label "post" i) :timestamp start}]}]}))
     :email (sorted-by-encoding :email
              (for [i (range n)]
                {:guid (bytes/slice (label "inbox" i) 0 16) :name (str "inbox " i) :key 3 :service service}))
     :auth {:groups (vec (for [i (range n)] {:id i :keys [0 1]})) :revocation-service service}
     :service services}))

;; ## Records

(def ^:private algorithms [:ed25519 :ed25519 :ed25519 :x25519 :ed25519 :ed25519])

(defn- provider []
  (granted (holder "provider" algorithms) :identity []))

(defn typical
  "A record of about 1.5 KiB: six keys, five delegations, an Identity Zone with three
  handles, a Service Zone with two services."
  []
  (let [ada (holder "ada" algorithms)
        {:keys [identity]} (bodies ada (provider) 3)
        {:keys [service]} (bodies ada (provider) 2)]
    (:record (-> ada (granted :identity identity) (granted :service service)))))

(defn several
  "`n` records without zones, each of other keys."
  [n]
  (mapv #(:record (holder (str "holder " %) algorithms)) (range n)))

(defn large
  "`{:record :providers}`: a record with five zones of four entries each, and ten
  revisions; and the one provider of its identities."
  []
  (let [ada (revised (holder "ada" algorithms) 9)
        provider (provider)]
    {:record (:record (reduce-kv granted ada (bodies ada provider 4)))
     :providers [(:record provider)]}))

(defn long-chain
  "A record of `n` revisions and without zones."
  [n]
  (:record (revised (holder "ada" algorithms) (dec (long n)))))

(defn people
  "`{:records :provider}`: the records of people numbered `from` to `to`, each of other keys, with a
  handle of the one provider and two services."
  [from to]
  (let [provider (provider)]
    {:provider (:record provider)
     :records (vec (for [i (range from to)
                         :let [person (holder (str "person " i) algorithms)
                               entry (identity-entry provider person i)]]
                     (:record (-> person
                                (granted :identity [entry])
                                (granted :service (sorted-by-encoding :service (map service-entry (range 2))))))))}))

(defn siblings
  "The records numbered `from` to `to`, with four services each, all by the keys of one holder and so
  cheap to make: they are dated apart, which makes each another record, as true as any."
  [from to]
  (let [ada (holder "ada" algorithms)
        parts (merge (select-keys (:record ada) [:public-key-map])
                (select-keys (:master-zone (:record ada)) [:master-keys :delegations]))
        services (sorted-by-encoding :service (map service-entry (range 4)))]
    (vec (for [i (range from to)
               :let [draft (master/genesis (assoc parts :timestamp (+ (long start) (long i))))]]
           (:record (granted (assoc ada :record (finished draft [0 1] (:secrets ada))) :service services))))))

(defn with-services
  "A record with `n` services in its Service Zone."
  [n]
  (let [ada (holder "ada" algorithms)]
    (:record (granted ada :service (sorted-by-encoding :service (map service-entry (range n)))))))

(defn of-size
  "A record of about `size` bytes, 1,024 at least: it has keys of an algorithm that nobody here
  knows, of up to 8 KiB each."
  [size]
  (let [{:keys [record secrets]} (holder "ada" algorithms)
        room (- (long size) (count (record/encode record)))
        lengths (remove zero? (conj (vec (repeat (quot room 8192) 8189)) (max 0 (- (rem room 8192) 3))))
        keys (map-indexed (fn [i n] {:algorithm 99 :key (bytes/join [(crypto/sha3-256 (bytes/utf8 (str i))) (bytes/zeros (max 0 (- (long n) 32)))])})
               lengths)
        draft (master/genesis (-> {:public-key-map (into (:public-key-map record) keys) :timestamp start}
                                (merge (select-keys (:master-zone record) [:master-keys :delegations]))))]
    (finished draft [0 1] secrets)))
