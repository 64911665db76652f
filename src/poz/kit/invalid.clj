(ns poz.kit.invalid
  "Vectors of well-formed files that break one rule, correctly signed otherwise, and of
  identity entries and warnings: rows `[id error base edits what & options]`, as
  `poz.kit.vectors` reads them."
  (:require
   [clojure.string :as str]
   [poz.gen :as gen]
   [poz.kit.bases :as bases]))

(set! *warn-on-reflection* true)

(def ^:private hour 3600000)
(def ^:private far (+ (long gen/now) (* 25 hour)))

(defn- m [& path] (into [:master-zone] path))

(def chain
  "The chain of revisions."
  [["draft" :chain/draft :draft [] "a draft is no record"]
   ["history-missing" :chain/history-missing :house [[:drop [:zone-history 0]]] "genesis is not at hand"]
   ["far-future" :time/far-future :house [[:int (m :timestamp) far]] "a revision of 25 hours hence"]
   ["serial-skips" :chain/serial :house [[:add (m :serial) 1]] "a serial is left out"]
   ["serial-repeats" :chain/serial :house [[:add (m :serial) -1]] "a serial comes twice"]
   ["other-parent" :chain/previous-hash :house [[:flip (m :previous-master-hash) 5]] "a parent that is not there"]
   ["grandparent" :chain/previous-hash :house [[:move (m :previous-master-hash) [:zone-history 0 :content :current-master-hash]]] "the parent is one before"]
   ["other-original" :chain/original-hash :house [[:flip (m :original-master-hash) 5]] "another original hash"]
   ["other-original-time" :chain/original-timestamp :house [[:add (m :original-timestamp) 1]] "another original timestamp"]
   ["same-time" :chain/timestamp :house [[:move (m :timestamp) [:zone-history 1 :content :timestamp]]] "dated as its parent"]
   ["other-hash" :chain/current-hash :house [[:flip (m :current-master-hash) 5]] "a hash that is none"]
   ["stray-signer" :signature/stray :house [[:int (m :signatures 1 :key) 2]] "signed by a key that is no master key"]
   ["x25519-signer" :signature/stray :house [[:int (m :signatures 1 :key) 4]] "signed by an X25519 key"]
   ["below-former" :survivorship/below-threshold :house [[:drop (m :signatures 1)]] "too few of the former master keys"
    {:rule :survivorship/previous}]
   ["below-former-alone" :survivorship/below-threshold :house [[:drop (m :signatures 1)] [:int (m :master-keys 0 :value) 100]]
    "one key makes itself enough" {:rule :survivorship/previous}]
   ["taken-over" :survivorship/below-threshold :house
    (for [i [0 1] list [:master-keys :signatures]] [:int (m list i :key) (+ 2 (long i))])
    "new keys that the former ones did not sign for" {:rule :survivorship/previous}]
   ["below-own" :survivorship/below-threshold :house [[:int (m :master-keys 0 :value) 49]] "its own master keys sum to 99"
    {:rule :survivorship/own}]
   ["groups-combined" :survivorship/below-threshold :house [[:int (m :master-keys 1 :group) 1]] "50 in each of two groups"
    {:rule :survivorship/own}]
   ["spare" :signature/spare :trio [[:twice (m :signatures 0)] [:int (m :signatures 1 :key) 1]] "either signature would do"]
   ["bad" :signature/bad :house [[:flip (m :signatures 0 :signature :content) 9]] "a signature with one bit changed"
    {:rule :signature/verifies}]
   ["signature-empty" :signature/bad :house [[:put (m :signatures 0 :signature :content) ""]] "a signature of no bytes"
    {:rule :signature/verifies}]
   ["signature-65" :signature/bad :house [[:put (m :signatures 0 :signature :content) (str/join (repeat 65 "01"))]] "a signature of 65 bytes"
    {:rule :signature/verifies}]
   ["signature-of-another" :signature/bad :house [[:move (m :signatures 0 :signature :content) [:zone-history 1 :content :signatures 0 :signature :content]]]
    "the signature of another revision" {:rule :signature/verifies}]
   ["unknown-algorithm" :signature/unknown-algorithm :pair [[:int (m :master-keys 1 :key) 2] [:int (m :signatures 1 :key) 2]]
    "a signer of unknown algorithm" {:rule :signature/known-algorithm}]])

(defn- alien-deny
  "The feed of the alien record with a deny that key 0 and the alien key sign."
  [path]
  [[:twice (conj path 0)] [:int (conj path 1 :key) 1]])

(def ^:private feed-fell [:move [:feed-authority :master-zone-hash] [:zone-history 1 :content :current-master-hash]])

(def zones
  "Authorities, grants and denies."
  [["authority-unknown" :authority/unknown-revision :house [[:flip [:feed-authority :master-zone-hash] 0]] "the cited revision is not in the chain"
    {:rule :authority/stands}]
   ["authority-other-value" :authority/not-as-authorised :house [[:int [:feed-authority :keys 1 :deny] 99]] "the cited revision delegates 100"
    {:rule :authority/stands}]
   ["authority-key-more" :authority/not-as-authorised :house
    [[:twice [:feed-authority :keys 1]] [:int [:feed-authority :keys 2 :key] 2]] "the cited revision delegates to two keys" {:rule :authority/stands}]
   ["authority-not-current" :authority/not-current :house [feed-fell [:int (m :delegations 3 :deny) 99]] "the current revision delegates otherwise"
    {:rule :authority/stands}]
   ["authority-interrupted" :authority/interrupted :house
    [[:move [:feed-authority :master-zone-hash] [:zone-history 0 :content :current-master-hash]]
     [:int [:zone-history 1 :content :delegations 3 :deny] 99]] "a revision between delegates otherwise" {:rule :authority/stands}]
   ["authority-history" :authority/history-missing :house
    [[:move [:feed-authority :master-zone-hash] [:zone-history 0 :content :current-master-hash]] [:drop [:zone-history 0]]]
    "the cited revision is not at hand" {:rule :authority/stands :also [:chain/history-missing]}]
   ["grant-far-future" :time/far-future :house [[:int [:feed-zone :grant :timestamp] far]] "a grant of 25 hours hence"]
   ["grant-stray" :signature/stray :house [[:int [:feed-zone :grant :signatures 0 :key] 3]] "granted by a key that is not delegated"]
   ["grant-by-deny-key" :zone/grant-below-threshold :house [[:int [:feed-zone :grant :signatures 0 :key] 1]] "granted by a key that may only deny"
    {:rule :zone/grant-threshold}]
   ["grant-half" :zone/grant-below-threshold :house [[:drop [:service-zone :grant :signatures 0]]] "grant values sum to 50"
    {:rule :zone/grant-threshold}]
   ["grant-unsigned" :zone/grant-below-threshold :house [[:drop [:email-zone :grant :signatures 0]]
                                                         [:drop [:email-zone :grant :signatures 0]]
                                                         [:drop [:email-zone :grant :signatures 0]]] "a grant that nobody signed"
    {:rule :zone/grant-threshold}]
   ["grant-bad" :signature/bad :house [[:flip [:email-zone :grant :signatures 2 :signature :content] 200]] "a grant's signature with one bit changed"
    {:rule :signature/verifies}]
   ["grant-of-another-zone" :signature/bad :house
    [[:move [:auth-zone :grant :signatures 0 :signature :content] [:feed-zone :grant :signatures 0 :signature :content]]]
    "the signature of another zone's grant" {:rule :signature/verifies}]
   ["grant-changed" :signature/bad :house [[:int [:service-zone :grant :body 0 :hosts 0 :port] 444]] "an entry changed after it was signed"
    {:rule :signature/verifies :seal false}]
   ["grant-unknown-algorithm" :signature/unknown-algorithm :alien
    (concat (alien-deny (m :delegations)) [[:twice (m :delegations 2)] [:int (m :delegations 3 :key) 1]]
      (alien-deny [:feed-authority :keys]) (alien-deny [:identity-authority :keys])
      (alien-deny [:feed-zone :grant :signatures])) "a grant signed by a key of unknown algorithm too"
    {:rule :signature/known-algorithm}]
   ["deny-far-future" :time/far-future :house [[:int [:service-zone :deny :timestamp] far]] "a deny of 25 hours hence"]
   ["deny-early" :zone/deny-timestamp :house [[:int [:service-zone :deny :timestamp] gen/start]] "a deny that is older than its grant"]
   ["deny-stray" :signature/stray :house [[:int [:service-zone :deny :signatures 0 :key] 3]] "denied by a key that is not delegated"]
   ["deny-unsigned" :zone/deny-below-threshold :house [[:drop [:service-zone :deny :signatures 0]]] "a deny that nobody signed"
    {:rule :zone/deny-threshold}]
   ["deny-half" :zone/deny-below-threshold :house
    (into [[:int [:auth-authority :keys 0 :deny] 50]]
      (for [revision [(m) [:zone-history 0 :content] [:zone-history 1 :content]]] [:int (conj revision :delegations 7 :deny) 50]))
    "deny values sum to 50" {:rule :zone/deny-threshold}]
   ["deny-bad" :signature/bad :house [[:flip [:service-zone :deny :signatures 0 :signature :content] 0]] "a deny's signature with one bit changed"
    {:rule :signature/verifies}]
   ["deny-unknown-algorithm" :signature/unknown-algorithm :house
    (concat
      (mapcat (fn [revision] [[:int (conj revision :delegations 9 :key) 5]])
        [(m) [:zone-history 0 :content] [:zone-history 1 :content]])
      [[:int [:service-authority :keys 1 :key] 5] [:int [:service-zone :grant :signatures 1 :key] 5]
       [:twice [:service-zone :deny :signatures 0]] [:int [:service-zone :deny :signatures 1 :key] 5]])
    "a grant and a deny signed by a key of unknown algorithm too" {:rule :signature/known-algorithm}]])

(def ^:private entry [:identity-zone :grant :body 0])
(def ^:private signers (conj entry :authority-signatures))

(defn- from [name & edits]
  (fn [] [(bases/provider name edits)]))

(def entries
  "Identity entries: the file holds; `:entry` is the status of its first entry."
  [["entry-current" nil :house [] "two entries that the provider issued" {:entry :current}]
   ["entry-superseded" :identity/superseded :house [] "the provider has since moved to other keys" {:entry :superseded :with (from :moved-on)}]
   ["entry-of-another" :identity/other-record :house [[:flip (conj entry :user-poz-hash) 3]] "issued to another record"
    {:entry :invalid :rule :identity/record}]
   ["entry-no-provider" :identity/no-provider-record :house [] "the provider's record is not at hand" {:entry :unknown :rule :identity/provider :with (constantly [])}]
   ["entry-no-provider-zone" :identity/no-provider-zone :house [] "the provider's Identity Zone is not at hand"
    {:entry :unknown :rule :identity/provider :with (from :provider [:drop [:identity-authority]] [:drop [:identity-zone]])}]
   ["entry-provider-broken" :identity/provider-not-verified :house [] "the provider's chain does not hold"
    {:entry :unknown :rule :identity/provider :with (from :provider [:flip (m :signatures 0 :signature :content) 0])}]
   ["entry-provider-zone-broken" :identity/provider-zone-not-valid :house [] "the provider's Identity Zone does not hold"
    {:entry :unknown :rule :identity/provider :with (from :provider [:flip [:identity-zone :grant :signatures 0 :signature :content] 0])}]
   ["entry-no-such-key" :signature/no-such-key :house [[:int (conj signers 0 :key) 9]] "signed by a key that the provider does not have"
    {:entry :invalid :rule :identity/no-such-key}]
   ["entry-below" :identity/below-threshold :house [[:int (conj signers 0 :key) 1]] "signed by a key that the provider does not delegate"
    {:entry :invalid :rule :identity/delegation}]
   ["entry-unsigned" :identity/below-threshold :house [[:drop (conj signers 0)]] "signed by nobody" {:entry :invalid :rule :identity/delegation}]
   ["entry-stray" :signature/stray :house [[:twice (conj signers 0)] [:int (conj signers 1 :key) 1]] "signed by a key too that the provider does not delegate"
    {:entry :invalid :rule :identity/delegation}]
   ["entry-bad" :signature/bad :house [[:flip (conj signers 0 :signature :content) 77]] "a signature with one bit changed"
    {:entry :invalid :rule :signature/verifies}]
   ["entry-issue-denied" :identity/revoked :house [] "the provider denies that it issued this" {:entry :revoked :rule :identity/issue :with (from :denies-issue)}]
   ["entry-signer-denied" :identity/signer-revoked :house [] "the provider denies the key that signed" {:entry :revoked :rule :identity/signers :with (from :denies-key)}]
   ["entry-unknown-algorithm" :signature/unknown-algorithm :house [] "signed by a key of unknown algorithm too"
    {:entry :unknown :rule :signature/known-algorithm :under-alien true}]])

(def warnings
  "Files that hold, and of which somebody should know something: `error` is the warning."
  [["single-key" :master/single-key :solo [] "one master key, no recovery"]
   ["group-unreachable" :master/group-unreachable :trio [[:int (m :master-keys 2 :value) 50]] "a group of 50"]
   ["key-in-every-group" :master/key-in-every-group :trio [[:int (m :master-keys 1 :key) 0] [:drop (m :master-keys 2)]] "a key in both groups"]
   ["key-rules-every-group" :master/key-rules-every-group :trio [[:int (m :master-keys 1 :key) 0] [:drop (m :master-keys 2)]] "a key that suffices in both groups"]
   ["no-delegation" :delegation/none :solo [] "no delegation"]
   ["grant-unreachable" :delegation/grant-unreachable :trio [[:int (m :delegations 0 :grant) 99]] "grant values that sum to 99"]
   ["deny-unreachable" :delegation/deny-unreachable :trio [[:int (m :delegations 0 :deny) 99]] "deny values that sum to 99"]
   ["deny-below-grant" :delegation/deny-below-grant :house [] "a key that grants 100 and denies 0"]
   ["dangling" :service/dangling :house [] "services that no entry has"]
   ["future" :time/future :house [[:int [:feed-zone :grant :timestamp] (+ (long gen/now) hour)]] "a grant of an hour hence"]
   ["denial-far-future" :time/future :house [[:int [:service-zone :deny :denied 0 :timestamp] (* 2 far)]] "a denial in a list, dated far ahead"]
   ["superseded" :identity/superseded :house [] "an entry by a provider's former keys" {:with (from :moved-on)}]
   ["domain-unproven" :identity/domain-unproven :house [] "a domain that nobody has looked up"]
   ["not-nfc" :text/not-nfc :house [[:utf8 [:email-zone :grant :body 0 :name] "e\u0301"]] "a name that is not in NFC"]
   ["format-character" :text/format-character :house [[:utf8 [:email-zone :grant :body 0 :name] "a\u200bb"]] "a name with U+200B"]
   ["never-verifies" :key/never-verifies :house [[:put [:public-key-map 3 :key :content] (str "01" (str/join (repeat 31 "00")))]] "a key that is the identity"]
   ["unknown-key" :key/unknown-algorithm :house [] "a key of unknown algorithm"]
   ["unknown-section" :section/unknown :kept [] "sections that nobody knows"]])

(def good
  "Files that hold."
  (for [[id base what] [["solo" :solo "one key, one revision"] ["trio" :trio "three master groups"] ["pair" :pair "two of two"]
                        ["house" :house "all five zones, a history, denials"] ["moving" :moving "a chain whose zones were granted and denied in turn"]
                        ["hybrid" :hybrid "Ed25519 and ML-DSA-65 in one group"] ["kept" :kept "sections of unknown type"]
                        ["named" :named "Key Names"] ["burnt" :burnt "login groups with a revoked key"]
                        ["alien" :alien "a key of unknown algorithm that signs nothing"]]]
    [id nil base [] what]))
