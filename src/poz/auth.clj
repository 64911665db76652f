(ns poz.auth
  "Login with the Auth Zone (format.md §7): a site challenges, all keys of one group sign, the
  site checks against the record. BASIC groups have 2 keys, STANDARD 4, SECURE 8.

  A *response* is `{:site :nonce :original-master-hash :group :time :signatures}`. The site
  makes each nonce itself, from 32 random bytes, and takes it once: that memory is its own.
  Revoked keys and groups are refused before any signature is looked at."
  (:require
   [poz.codec :as codec]
   [poz.error :as error]
   [poz.format :as format]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.time :as time]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def challenge-codec
  "The codec of a challenge, `{:site :nonce}`."
  (codec/codec (:types format/format) :login-challenge))

(def response-codec
  "The codec of a response."
  (codec/codec (:types format/format) :login-response))

(defn- group-of [record id]
  (first (filter #(= id (:id %)) (some->> (:auth-zone record) (zone/entries :auth)))))

(defn response
  "The unsigned response of `record` to the `challenge` with the keys of `group`, at `time`."
  [record {:keys [site nonce]} group time]
  {:site site :nonce nonce :original-master-hash (record/original-hash record)
   :group group :time time :signatures []})

(defn statement
  "The response as a statement; `hashes` are the key hashes of the record."
  [response]
  (signing/statement :login (dissoc response :signatures) []))

(defn sign
  "`response` with the signature of key `index` of `record`; or an anomaly where the group
  has no such key."
  ([response record index secret] (sign response record index secret {}))
  ([response record index secret options]
   (let [{:keys [keys]} (group-of record (:group response))]
     (if (some #{index} keys)
       (update response :signatures signing/sign (:public-key-map record)
         (:message (statement response)) index secret options)
       (error/anomaly (if keys :login/not-all-keys :login/no-such-group)
         {:path [:group] :expected (signing/key-list keys) :found (str "key " index)})))))

(defn missing
  "The keys of the response's group that have not signed it yet."
  [response record]
  (let [signed (into #{} (map :key) (:signatures response))]
    (into [] (remove signed) (:keys (group-of record (:group response))))))

;; ## Checking

(defn- equal-finding [error expected found sentence]
  (when (some? expected)
    (if (= expected found)
      (rules/holds sentence)
      (rules/breaks (str "not so: " sentence) {:error error :numbers {:expected expected :found found}}))))

(defn- time-finding [{:keys [response now]}]
  (if (<= (abs (- (long now) (long (:time response)))) (long (:login-skew-ms format/limits)))
    (rules/holds "dated within 5 minutes of the clock")
    (rules/breaks (str "dated " (time/iso (:time response)) ", more than 5 minutes from " (time/iso now))
      {:error :login/time})))

(defn- zone-finding [{:keys [verdict]}]
  (if (= [:valid :valid] [(get-in verdict [:chain :outcome]) (get-in verdict [:zones :auth :outcome])])
    (rules/holds "the record's chain and Auth Zone hold")
    (rules/breaks "the record has no Auth Zone that holds" {:error :login/no-valid-zone})))

(defn- group-finding [{:keys [group live]}]
  (if (and group live)
    (rules/holds (str "group " (:id group) " needs " (signing/key-list (:keys group))))
    (rules/breaks "the Auth Zone has no such live group" {:error :login/no-such-group})))

(defn- revoked-finding [{:keys [revoked]}]
  (if (seq revoked)
    (rules/breaks (str (signing/key-list revoked) " of the group is revoked") {:error :login/key-revoked})
    (rules/holds "no key of the group is revoked")))

(defn- keys-finding [{:keys [group signatures]}]
  (let [signers (map :key signatures)]
    (if (= (:keys group) signers)
      (rules/holds (str "signed by " (signing/key-list signers)))
      (rules/breaks (str "signed by " (signing/key-list signers) ", needed are " (signing/key-list (:keys group)))
        {:error :login/not-all-keys}))))

(def login-rules
  "The rules of a login, in the order in which they are asked."
  (into
    [{:id :login/site :doc "The response is for this site."
      :check (fn [{:keys [response site]}] (equal-finding :login/other-site site (:site response) "it is for this site"))}
     {:id :login/challenge :doc "The response answers this challenge."
      :check (fn [{:keys [response nonce]}] (equal-finding :login/other-challenge nonce (:nonce response) "it answers this challenge"))}
     {:id :login/record :doc "The response is of this record."
      :check (fn [{:keys [response record]}]
               (equal-finding :login/other-record (record/original-hash record) (:original-master-hash response) "it is of this record"))}
     {:id :login/time :doc "The response is dated within 5 minutes of the clock." :check time-finding}
     {:id :login/zone :doc "The record's chain and Auth Zone hold." :check zone-finding}
     {:id :login/group :doc "The group is a live one of the Auth Zone." :check group-finding}
     {:id :login/revoked :doc "No key of the group is revoked." :check revoked-finding}
     {:id :login/keys :doc "All keys of the group have signed, and no other." :check keys-finding}]
    signing/signature-rules))

(defn- judged-group [verdict record id]
  (first (filter #(= id (:id (second %)))
           (map vector (get-in verdict [:zones :auth :entries]) (some->> (:auth-zone record) (zone/entries :auth))))))

(defn check
  "The judgement of `response` against `record`: `{:outcome :steps}`.

  Options: `:now` (required), the clock; `:site` (required), the domain of who checks;
  `:nonce`, that of the challenge, where it is at hand."
  [response record {:keys [now site nonce] :as options}]
  (verify/check-options! options #{:now :site :nonce})
  (let [verdict (verify/verify record {:now now})
        [judged group] (judged-group verdict record (:group response))]
    (rules/judge login-rules
      {:response response :record record :now now :site site :nonce nonce :verdict verdict
       :group group :live (:live judged) :revoked (:revoked-keys judged)
       :key-map (:public-key-map record) :signatures (:signatures response)
       :statement (delay (statement response))})))
