(ns poz.authority.state
  "How an authority keeps its state in a store: records by hash, handles by address, tickets.

  `read` is a function of a store key that gives its bytes or nil. What is kept of a handle
  goes into a book of `poz.activation` and comes back as changes."
  (:require
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.format :as format]
   [poz.record :as record]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- compiled [type] (codec/codec (:types format/format) type))

(def ^:private address-codec (compiled :address))
(def ^:private handle-codec (compiled :handle-state))
(def ^:private ticket-codec (compiled :ticket-state))
(def ^:private index-codec (compiled :ticket-index))

;; ## Records

(defn record-key
  "Under which key the record with the original hash `hash` is kept."
  [hash]
  [:record hash])

(defn record-bytes
  "The bytes of the record with the original hash `hash`, or nil."
  [read hash]
  (read (record-key hash)))

(defn record
  "The record with the original hash `hash`, or nil."
  [read hash]
  (some-> (record-bytes read hash) record/decode))

(defn put-record
  "The change that keeps `record` (nil: that there is none) under `hash`."
  [hash record]
  {(record-key hash) (some-> record record/encode)})

(defn domain
  "The original hash of the record that belongs to `domain`, for a server that learnt it from
  another, or nil."
  [read domain]
  (read [:domain (bytes/utf8 domain)]))

(defn put-domain
  "The change that keeps `hash` for `domain`."
  [domain hash]
  {[:domain (bytes/utf8 domain)] hash})

;; ## Tickets

(defn decode-ticket
  "The ticket in the byte string `b`."
  [b]
  (codec/decode ticket-codec b))

(defn ticket
  "What is kept under the 16 bytes of `ticket`: `{:request :user :decision :reason}`, or nil."
  [read ticket]
  (some-> (read [:ticket ticket]) decode-ticket))

(defn put-ticket
  "The change that keeps `value` under `ticket`."
  [ticket value]
  {[:ticket ticket] (some->> value (codec/encode ticket-codec))})

(def ^:private index-key [:tickets bytes/empty])

(defn tickets
  "All tickets that are kept: `[{:ticket :user :until}]`."
  [read]
  (or (some->> (read index-key) (codec/decode index-codec)) []))

(defn put-tickets
  "The change that keeps `index` as what `tickets` gives."
  [index]
  {index-key (when (seq index) (codec/encode index-codec (vec index)))})

;; ## Handles

(defn handle-key
  "Under which key the handle with the `address` `[domain path handle]` is kept."
  [[domain path handle]]
  [:handle (codec/encode address-codec {:domain domain :path (vec path) :handle handle})])

(defn handle-at
  "What is kept of the handle with the `address` `[domain path handle]`: as `handle` has it."
  [read address]
  (some->> (read (handle-key address)) (codec/decode handle-codec)))

(defn handle
  "What is kept of the handle `{:domain :path :handle}`: `{:reserved :live :former}`, or nil."
  [read {:keys [domain path handle]}]
  (handle-at read [domain path handle]))

(def ^:private parts [:reserved :live :former])

(defn into-book
  "`book` with what is kept of `addresses`, `[domain path handle]` each."
  [book read addresses]
  (reduce (fn [b address]
            (reduce-kv (fn [b part v] (assoc-in b [part address] v))
              b (handle-at read address)))
    book addresses))

(defn- state-of [book address]
  (into {} (keep (fn [part] (when-let [v (get-in book [part address])] [part v]))) parts))

(defn changes
  "The changes of `addresses` from the book `before` to the book `after`."
  [before after addresses]
  (into {}
    (for [address addresses
          :let [now (state-of after address)]
          :when (not= (state-of before address) now)]
      [(handle-key address) (when (seq now) (codec/encode handle-codec now))])))

(defn addresses
  "The addresses of this provider's entries in any of `records`, as `[domain path handle]`."
  [{:keys [provider]} & records]
  (into #{}
    (for [{:keys [identity-zone]} records :when identity-zone
          {:keys [authority-hash authority-domain path user-handle]} (zone/entries :identity identity-zone)
          :when (= provider authority-hash)]
      [authority-domain path user-handle])))

(defn owned-addresses
  "The addresses that are live in `book` for the record `hash`."
  [book hash]
  (keep (fn [[address {:keys [user]}]] (when (= hash user) address)) (:live book)))
