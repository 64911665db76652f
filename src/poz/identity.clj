(ns poz.identity
  "Identity entries, judged (format.md §7): did this provider issue this handle to this
  record, with keys that it had delegated, and has it taken that back?

  An entry's *status* is `:current`, `:superseded` (only an earlier delegation of the
  provider reached 100), `:revoked`, `:invalid` or `:unknown`. It never changes the
  zone's outcome. It says nothing about the domain: that takes discovery.

  A *provider* here is what `poz.verify` made of the provider's record:
  `{:record … :chain judgement, :zones {:identity judgement}}`."
  (:require
   [poz.codec.source :as source]
   [poz.master.chain :as chain]
   [poz.master.survivorship :as survivorship]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn statement
  "The entry as a statement; its `:hash` is the *issue hash*, which binds to no keys."
  [entry]
  (signing/statement :identity-entry (dissoc entry :authority-signatures) []
    nil
    (when-let [source (source/of entry)] [(source/between source :identity-type :user-poz-hash)])))

(defn- record-finding [{:keys [entry original-master-hash]}]
  (if (= original-master-hash (:user-poz-hash entry))
    (rules/holds "it was issued to this record")
    (rules/breaks "it was issued to another record"
      {:error :identity/other-record
       :numbers {:expected original-master-hash :found (:user-poz-hash entry)}})))

(defn- provider-finding [{:keys [provider]}]
  (let [unknown (fn [because error needs] (rules/unknown because {:error error :needs needs}))]
    (cond
      (nil? provider)
      (unknown "the provider's record is not at hand" :identity/no-provider-record "the provider's record")
      (not= :valid (:outcome (:chain provider)))
      (unknown "the provider's chain does not verify" :identity/provider-not-verified "the provider's whole record")
      (nil? (:identity (:zones provider)))
      (unknown "the provider's Identity Zone is not at hand" :identity/no-provider-zone "the provider's Identity Zone")
      (not= :valid (:outcome (:identity (:zones provider))))
      (unknown "the provider's Identity Zone does not hold" :identity/provider-zone-not-valid "a zone that its keys signed again")
      :else (rules/holds "the provider's chain and Identity Zone hold"))))

(defn- map-finding [{:keys [signatures key-map]}]
  (when-let [{beyond :key} (signing/first-of #(<= (count key-map) (long (:key %))) signatures)]
    (rules/breaks (str "the provider has no key " beyond)
      {:error :signature/no-such-key :numbers {:key beyond :keys (count key-map)}})))

(defn- reaches? [delegation signers]
  (<= (long survivorship/threshold) (long (zone/sum {:keys delegation} :grant signers))))

(defn- carries?
  "True if one revision's `delegation` names all `signers` and they reach 100 in it."
  [delegation signers]
  (and (reaches? delegation signers)
    (every? (fn [signer] (some #(= signer (:key %)) delegation)) signers)))

(defn- delegation-finding [{:keys [signers] {:keys [delegations]} :issuer}]
  (cond
    (some #(carries? % signers) (rseq delegations))
    (rules/holds #(str "the provider delegated 100 to " (signing/key-list (sort signers))))
    (some #(reaches? % signers) delegations)
    (rules/breaks "no one revision of the provider names all signers" {:error :signature/stray})
    :else
    (rules/breaks (str "no revision of the provider delegates 100 to " (signing/key-list (sort signers)))
      {:error :identity/below-threshold
       :numbers {:sums (mapv #(zone/sum {:keys %} :grant signers) delegations)}})))

(defn- denied-signer
  "The first of the keys `signers` that the provider denies, or nil."
  [{:keys [denied hashes]} signers]
  (when (seq denied) (first (filter #(contains? denied @(nth hashes %)) (sort signers)))))

(defn- issue-finding [{:keys [statement] {:keys [denied]} :issuer}]
  (if (contains? denied (:hash @statement))
    (rules/breaks "the provider denies that it issues this" {:error :identity/revoked})
    (rules/holds "the provider does not deny it")))

(defn- signer-finding [{:keys [signers issuer]}]
  (if-let [key (denied-signer issuer signers)]
    (rules/breaks (str "the provider denies its key " key ", which signed this")
      {:error :identity/signer-revoked :numbers {:key key}})
    (rules/holds "the provider denies no signer")))

(def entry-rules
  "The rules of an identity entry, in the order in which they are asked. What is unknown
  of the provider ends it: without the provider's keys nothing more can be said."
  (let [[verifies known] signing/signature-rules]
    [{:id :identity/record :doc "It was issued to this record." :check record-finding}
     {:id :identity/provider :doc "The provider's chain and Identity Zone are at hand and hold." :check provider-finding :ends true}
     {:id :identity/no-such-key :doc "Every signer is a key of the provider." :check map-finding}
     {:id :identity/delegation :doc "One revision of the provider names all signers and delegates 100 to them." :check delegation-finding}
     verifies
     {:id :identity/issue :doc "The provider does not deny the issue hash." :check issue-finding}
     {:id :identity/signers :doc "The provider does not deny the key hash of a signer." :check signer-finding}
     known]))

(def ^:private revocations #{:identity/revoked :identity/signer-revoked})

(defn- status [{:keys [outcome] :as judgement} {:keys [signers] {:keys [delegations]} :issuer}]
  (case outcome
    :valid (if (carries? (peek delegations) signers) :current :superseded)
    :invalid (if (some revocations (rules/problems judgement)) :revoked :invalid)
    :unknown))

(defn- issuer
  "What the rules ask of a provider, whatever the entry."
  [{:keys [record]}]
  {:hashes (signing/key-hashes (:public-key-map record))
   :denied (when-let [z (:identity-zone record)] (zone/denied z))
   :delegations (mapv #(zone/delegation % :identity) (chain/revisions record))})

(defn prepared
  "`provider` with what `judge-entry` derives from it, for those who judge many entries."
  [provider]
  (assoc provider :issuer (issuer provider)))

(defn- facts [entry original-master-hash provider]
  (let [signatures (:authority-signatures entry)]
    {:entry entry :original-master-hash original-master-hash
     :provider provider :issuer (or (:issuer provider) (when provider (issuer provider)))
     :key-map (:public-key-map (:record provider))
     :signatures signatures :signers (into #{} (map :key) signatures)
     :statement (delay (statement entry))}))

(defn taken-back?
  "True if `provider`, which is `prepared`, denies that it issues `entry`, or a key that signed it. Such an
  entry is revoked at best, and it takes no signature to tell."
  [{:keys [authority-signatures] :as entry} {{:keys [denied hashes] :as issuer} :issuer}]
  (boolean
    (when (seq denied)
      (or (contains? denied (:hash (statement entry)))
        (denied-signer issuer (filter #(< (long %) (count hashes)) (map :key authority-signatures)))))))

(def ^:private status-errors
  "Status → the error that tells of it where no rule does."
  {:current :identity/current :superseded :identity/superseded :unknown :identity/unknown
   :revoked :identity/revoked :invalid :identity/invalid})

(defn judge-entry
  "The judgement of one identity `entry` of the record with `original-master-hash`, against
  `provider` or nil, with its `:status` and the `:error` that decided it, if any."
  [entry original-master-hash provider]
  (let [facts (facts entry original-master-hash provider)
        judgement (rules/judge entry-rules facts)
        status (status judgement facts)]
    (assoc judgement
      :status status
      :error (or (peek (rules/problems judgement)) (status-errors status)))))
