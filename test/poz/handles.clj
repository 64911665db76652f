(ns poz.handles
  "People who ask an authority for handles, for its tests: records with one key that are made of
  a label, their requests, and their updates.

  - `(person label)` is `{:secret :record}`, at the time `t0`
  - `(request person provider-hash address now)` the payload of SUBMIT_REQUEST
  - `(accepting person entry now)` and `(serving person n now)`: the person with a new Identity
    or Service Zone; `(denying person now)`: one whose identity entries are denied
  - `(update-of person)` the payload of SUBMIT and SUBMIT_SIGNED
  - `(hash-of record)`"
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.identity.issue :as issue]
   [poz.master :as master]
   [poz.pattern :as pattern]
   [poz.record :as record]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def t0
  "When everybody's record begins: 2026-01-01."
  1767225600000)

(defn person
  "A record by the pattern `sole` with its secret, made of `label` at `t0` or `now`."
  ([label] (person label t0))
  ([label now]
   (let [secret (:secret (crypto/generate :ed25519 (crypto/sha3-256 (bytes/utf8 label))))
         draft (pattern/draft (pattern/pattern "sole") [(crypto/public-key :ed25519 secret)] now)]
     {:secret secret :record (master/finish (master/sign draft 0 secret))})))

(defn hash-of
  "The original hash of `record`."
  [record]
  (record/original-hash record))

(defn- signed [{:keys [secret] :as person} record zone part]
  (assoc person :record (change/sign record zone part 0 secret)))

(defn request
  "The payload by which `person` asks the provider with the hash `provider` for `address`,
  `{:handle :domain :path}`."
  [{:keys [secret record]} provider address now]
  (-> (issue/request record address now bytes/empty)
    (issue/sign-request record provider 0 secret)))

(defn accepting
  "`person` with `entry` in the Identity Zone."
  [{:keys [record] :as person} entry now]
  (signed person (issue/accept record entry now) :identity :grant))

(defn serving
  "`person` with a web site at the port `n`."
  [{:keys [record] :as person} n now]
  (signed person
    (change/grant record :service
      {:timestamp now
       :add [{:name "" :type :https
              :hosts [{:hostname "example.org" :port n :transport :tcp :encryption :tls :priority 0 :weight 0}]}]})
    :service :grant))

(defn denying
  "`person` who denies all entries of his Identity Zone."
  [{:keys [record] :as person} now]
  (signed person
    (change/deny record :identity
      (for [e (zone/entries :identity (:identity-zone record))] {:target (zone/entry-hash :identity e) :reason :retired})
      {:timestamp now})
    :identity :deny))

(defn update-of
  "The public view of the person's record, as bytes."
  [{:keys [record]}]
  (record/encode (record/public-view record)))
