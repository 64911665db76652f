(ns poz.master.chain
  "The chain of master revisions, judged (format.md §4): each revision's links to the one
  before it, who signed it, whether that suffices, and the signatures.

  `revisions` gives the chain at hand, oldest first. `judge-chain` gives each its
  judgement, with every step, and the outcome of the whole. A chain that starts later
  than serial 1 is not broken: its beginning is unknown."
  (:require
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.source :as source]
   [poz.crypto :as crypto]
   [poz.format :as format]
   [poz.master.survivorship :as survivorship]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.time :as time]))

(set! *warn-on-reflection* true)

(def zero
  "32 zero bytes: the hash of what is not there yet."
  (bytes/zeros 32))

(def ^:private signatures-codec (codec/codec (:types format/format) :signatures))

(defn genesis?
  "True for the first revision of a record."
  [{:keys [serial]}]
  (= 1 serial))

(defn draft?
  "True for a revision that has not been applied: its current_master_hash is zero."
  [{:keys [current-master-hash]}]
  (= zero current-master-hash))

(defn content
  "What a revision's signers sign: its fields but current_master_hash and signatures, and
  at genesis with original_master_hash zero, since it is not known yet."
  [revision]
  (cond-> (dissoc revision :current-master-hash :signatures)
    (genesis? revision) (assoc :original-master-hash zero)))

(defn- arrived-content
  "What makes up the `content` of a revision, as it arrived, or nil."
  [revision]
  (when-let [source (source/of revision)]
    [(if (genesis? revision) zero (:original-master-hash revision))
     (source/between source :original-timestamp :original-timestamp)
     (source/between source :previous-master-hash :delegations)]))

(defn- encoded-signatures [revision]
  (if-let [source (source/of revision)]
    (source/between source :signatures :signatures)
    (codec/encode signatures-codec (:signatures revision))))

(defn statement
  "The revision as a statement (`poz.signing/statement`); `hashes` are the key hashes. With
  `:whole` its `:whole-hash` is what current_master_hash must be."
  ([revision hashes] (statement revision hashes nil))
  ([revision hashes whole]
   (signing/statement :master (content revision) hashes
     (when whole (encoded-signatures revision))
     (arrived-content revision))))

(defn current-hash
  "current_master_hash as it must be: H(content, bindings, encoded signatures)."
  [revision {:keys [content bindings]}]
  (apply crypto/sha3-256 (conj content bindings (encoded-signatures revision))))

(defn revisions
  "The revisions at hand in `record`, oldest first, the current one last."
  [{:keys [zone-history master-zone]}]
  (conj (vec zone-history) master-zone))

(defn signers
  "The set of key indexes that signed `revision`."
  [revision]
  (into #{} (map :key) (:signatures revision)))

(defn lists
  "The master key lists that the signers of `revision` must satisfy: that of the revision
  before it, where there is one at hand and it differs, and its own."
  [{:keys [master-keys]} previous]
  (if (or (nil? previous) (= master-keys (:master-keys previous)))
    [master-keys]
    [(:master-keys previous) master-keys]))

;; ## Rules

(defn- draft-finding [{:keys [revision]}]
  (when (draft? revision)
    (rules/breaks "current_master_hash is zero: this is a draft, not a record")))

(defn- history-finding [{:keys [revision previous]}]
  (when-not (or previous (genesis? revision))
    (rules/unknown (str "the chain at hand starts at serial " (:serial revision)
                     ": nobody can tell whose record this is")
      {:needs "the history from serial 1 on"})))

(defn- link-finding [k {:keys [revision previous]} sentence]
  (when previous
    (if (= (k revision) (k previous))
      (rules/holds sentence)
      (rules/breaks (str (name k) " differs from revision " (:serial previous))
        {:numbers {:expected (k previous) :found (k revision)}}))))

(defn- serial-finding [{:keys [revision previous]}]
  (when previous
    (let [expected (inc (long (:serial previous)))]
      (if (= expected (:serial revision))
        (rules/holds #(str "serial " expected " follows " (:serial previous)))
        (rules/breaks (str "serial " (:serial revision) " after " (:serial previous) ", expected " expected)
          {:numbers {:expected expected :found (:serial revision)}})))))

(defn- previous-hash-finding [{:keys [revision previous]}]
  (when previous
    (let [expected (:current-master-hash previous) found (:previous-master-hash revision)]
      (if (= expected found)
        (rules/holds #(str "its parent is revision " (:serial previous)))
        (rules/breaks (str "wrong parent: previous_master_hash is not the hash of revision " (:serial previous))
          {:numbers {:expected expected :found found}})))))

(defn- timestamp-finding [{:keys [revision previous]}]
  (when previous
    (let [before (:timestamp previous) now (:timestamp revision)]
      (if (< (long before) (long now))
        (rules/holds #(str "dated " (time/iso now) ", later than its parent"))
        (rules/breaks (str "dated " (time/iso now) ", not later than its parent, " (time/iso before))
          {:numbers {:parent before :found now}})))))

(defn- current-hash-finding [{:keys [revision statement]}]
  (let [expected (:whole-hash @statement) found (:current-master-hash revision)]
    (if (= expected found)
      (rules/holds "current_master_hash is the hash of content, cited keys and signatures")
      (rules/breaks "current_master_hash is not the hash of content, cited keys and signatures"
        {:numbers {:expected expected :found found}}))))

(defn- list-finding
  "Whether `signers` satisfy `master-keys`; `whose` gives words for whose keys those are."
  [whose master-keys signers sums]
  (let [line #(survivorship/explain master-keys signers)]
    (if (survivorship/reached? sums)
      (rules/holds #(str (whose) " master keys: " (line)) {:sums sums})
      (rules/breaks #(str (whose) " master keys are not satisfied: " (line))
        {:error :survivorship/below-threshold :numbers {:sums sums}
         :needs (survivorship/missing master-keys signers)}))))

(defn- previous-list-finding [{:keys [previous signers support]}]
  (when previous
    (list-finding #(str "revision " (:serial previous) "'s") (:master-keys previous) signers (:previous support))))

(defn- own-list-finding [{:keys [revision signers support]}]
  (list-finding (constantly "its own") (:master-keys revision) signers (:own support)))

(defn- spare-finding [{:keys [revision previous lists signers]}]
  (when (or previous (genesis? revision))
    (if-let [spare (seq (survivorship/spare lists signers))]
      (rules/breaks (str "it would be authorised without the signature of key " (first spare))
        {:numbers {:spare (vec spare)}})
      (rules/holds "every signature is needed"))))

(def ^:private far-future
  {:id :time/far-future :doc "A statement is dated at most 24 hours ahead of the clock."
   :check (fn [{:keys [revision now]}] (time/far-future-finding (:timestamp revision) now))})

(def revision-rules
  "The rules of one revision, in the order in which they are asked."
  (into
    [{:id :chain/draft :doc "A draft is never a record." :check draft-finding}
     {:id :chain/history-missing :doc "The chain starts at serial 1." :check history-finding}
     far-future
     {:id :chain/serial :doc "The serial is exactly one more than the parent's." :check serial-finding}
     {:id :chain/previous-hash :doc "previous_master_hash is the parent's current_master_hash." :check previous-hash-finding}
     {:id :chain/original-hash :doc "original_master_hash never changes."
      :check #(link-finding :original-master-hash % "original_master_hash is the parent's")}
     {:id :chain/original-timestamp :doc "original_timestamp never changes."
      :check #(link-finding :original-timestamp % "original_timestamp is the parent's")}
     {:id :chain/timestamp :doc "The timestamp is later than the parent's." :check timestamp-finding}
     {:id :chain/current-hash :doc "current_master_hash is H(content, bindings, signatures)." :check current-hash-finding}
     {:id :signature/stray :doc "Every signer is one of the former or of its own master keys." :check signing/stray-finding}
     {:id :survivorship/previous :doc "The signers reach 100 in one group of the former revision's master keys." :check previous-list-finding}
     {:id :survivorship/own :doc "The signers reach 100 in one group of its own master keys." :check own-list-finding}
     {:id :signature/spare :doc "No signature is spare." :check spare-finding}]
    signing/signature-rules))

;; ## The chain

(defn- support
  "The sums of `signers` in the last of `lists`, and in the first as the previous revision's."
  [lists previous signers]
  (let [own (survivorship/sums (peek lists) signers)]
    (cond
      (nil? previous) {:own own}
      (next lists) {:own own :previous (survivorship/sums (first lists) signers)}
      :else {:own own :previous own})))

(defn- revision-facts [revision previous {:keys [key-map hashes now]}]
  (let [statement (delay (statement revision hashes :whole))
        signers (signers revision)
        lists (lists revision previous)]
    {:revision revision :previous previous :now now
     :key-map key-map :statement statement
     :signatures (:signatures revision)
     :signers signers
     :lists lists
     :support (support lists previous signers)
     :named (when (or previous (genesis? revision)) (into #{} (comp cat (map :key)) lists))}))

(defn judge-revision
  "The judgement of `revision` after `previous` (nil: none at hand), with `:serial`,
  `:signers` and `:support`, the sums of its signers. `context` has `:key-map`, `:hashes`
  and `:now`."
  [revision previous context]
  (let [{:keys [support] :as facts} (revision-facts revision previous context)]
    (assoc (rules/judge revision-rules facts)
      :serial (:serial revision)
      :signers (mapv :key (:signatures revision))
      :support support)))

(defn- judge-again
  "The judgement of a `revision` that is known to hold, by what the clock can still break."
  [revision {:keys [now]}]
  (assoc (rules/judge [far-future] {:revision revision :now now})
    :serial (:serial revision)))

(defn judge-chain
  "The `:chain` of a context judged, with `:key-map`, `:hashes` and `:now`: `{:outcome :complete
  :revisions [judgement …]}`, the judgements of all revisions, or with `:keep` `:faults` of
  those that do not hold. The first `:proven` revisions are known to hold but for the clock."
  [{:keys [chain keep proven] :or {proven 0} :as context}]
  (let [kept? (if (= :faults keep) #(not= :valid (:outcome %)) any?)
        [known new] (split-at proven chain)
        judged (into [] (filter kept?)
                 (concat (map #(judge-again % context) known)
                   (map #(judge-revision %1 %2 context) new (cons (last known) new))))]
    {:outcome (rules/worst (map :outcome judged))
     :complete (genesis? (first chain))
     :revisions judged}))
