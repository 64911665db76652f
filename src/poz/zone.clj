(ns poz.zone
  "Zones and their authorities, judged (format.md §5, §6): does the authority cite a
  revision whose delegation still stands, do grant and deny have the values they need,
  what is denied, what lives.

  A zone is named by its keyword (`:identity`, `:service` …); `sections` gives a record's
  part of it. Grant and deny are two statements: what one quorum stands for, what
  another took away."
  (:require
   [poz.codec :as codec]
   [poz.codec.ids :as ids]
   [poz.codec.source :as source]
   [poz.crypto :as crypto]
   [poz.format :as format]
   [poz.master.chain :as chain]
   [poz.master.survivorship :as survivorship]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.time :as time]))

(set! *warn-on-reflection* true)

(def names
  "The zones, in the order of their codes."
  (mapv :zone format/zones))

(defn- named
  "Zone → the keyword of its name with `suffix` behind it."
  [suffix]
  (into {} (map (fn [zone] [zone (keyword (str (name zone) suffix))])) names))

(def ^:private authority-keys (named "-authority"))
(def ^:private zone-keys (named "-zone"))
(def ^:private grant-kinds (named "-grant"))
(def ^:private deny-kinds (named "-deny"))

(defn authority-key
  "The key of a record under which the authority of `zone` is."
  [zone]
  (authority-keys zone))

(defn zone-key
  "The key of a record under which the section of `zone` is."
  [zone]
  (zone-keys zone))

(defn sections
  "`{:authority … :zone …}` of `record`'s zone, or nil where it has none."
  [record zone]
  (when-let [section (get record (zone-key zone))]
    {:authority (get record (authority-key zone)) :zone section}))

(defn zones
  "The names of the zones that `record` has."
  [record]
  (filterv #(sections record %) names))

;; ## Statements and hashes

(def ^:private deny-digest (codec/codec (:types format/format) :deny-digest))

(defn- digested
  "What a zone hash has after the grant's content and bindings: the deny, but for its signatures."
  [{:keys [deny]}]
  (if-let [source (source/of deny)]
    (source/between source :serial :denied)
    (codec/encode deny-digest (dissoc deny :signatures))))

(defn- arrived-content
  "What makes up the content of a grant or deny, as it arrived, or nil: `part` from its serial
  to the field `last`, after the hash of the record, the authority and `more`."
  [{:keys [master-zone]} {:keys [authority]} part last more]
  (let [of-authority (source/of authority) of-part (source/of part)]
    (when (and of-authority of-part)
      (-> [(:original-master-hash master-zone) (source/between of-authority :master-zone-hash :keys)]
        (into more)
        (conj (source/between of-part :serial last))))))

(defn grant-statement
  "The grant of a zone as a statement; its `:hash` is the *grant hash*, its `:whole-hash` the
  *zone hash*, by which the next grant names the zone: H(grant content, its bindings, deny
  serial, deny timestamp, denied). Signatures are not in it."
  [{:keys [master-zone] :as record} zone {:keys [authority] {:keys [grant] :as section} :zone :as parts} hashes]
  (signing/statement (grant-kinds zone)
    (assoc (dissoc grant :signatures)
      :original-master-hash (:original-master-hash master-zone)
      :authority authority)
    hashes
    (digested section)
    (arrived-content record parts grant :revoked [])))

(defn deny-statement
  "The deny of a zone as a statement, over the grant with the hash `grant-hash`."
  [{:keys [master-zone] :as record} zone {:keys [authority] {:keys [deny]} :zone :as parts} grant-hash hashes]
  (signing/statement (deny-kinds zone)
    (assoc (dissoc deny :signatures)
      :original-master-hash (:original-master-hash master-zone)
      :authority authority
      :grant-hash grant-hash)
    hashes
    nil
    (arrived-content record parts deny :denied [grant-hash])))

(def ^:private entry-lists
  "Zone → the node of the list that its entries are in."
  (into {}
    (map (fn [{:keys [zone body]}]
           (let [node (:node (codec/codec (:types format/format) body))]
             [zone (if (= :struct (:kind node)) (:node (first (:fields node))) node)])))
    format/zones))

(def ^:private entry-codecs
  (update-vals entry-lists #(codec/of-node (:item %))))

(def ^:private entry-ids
  (update-vals entry-lists #(ids/key-fn (or (:id (:props %)) (:sort (:props %))))))

(defn entry-node
  "The node of an entry of `zone`."
  [zone]
  (:item (entry-lists zone)))

(defn entry-id
  "The function that gives an entry of `zone` its id: what makes two entries \"the same one\"."
  [zone]
  (entry-ids zone))

(defn entries
  "The entries of a zone's body: of the Auth Zone its groups."
  [zone {:keys [grant]}]
  (let [body (:body grant)]
    (if (= :auth zone) (:groups body) body)))

(defn entry-hash
  "H(encoded entry): how denials and citations name it. For the Service Zone this is the
  *service hash*."
  [zone entry]
  (crypto/sha3-256 (codec/encode (entry-codecs zone) entry)))

(defn sort-entries
  "`entries` in the order in which the body of `zone` has them."
  [zone entries]
  (vec (if (= :encoding (:sort (:props (entry-lists zone))))
         (sort-by #(codec/encode (entry-codecs zone) %) entries)
         (sort-by (entry-id zone) entries))))

(def no-deny
  "The deny part of a zone of which nothing is denied since its grant."
  {:serial 0 :timestamp 0 :denied [] :signatures []})

(defn denied
  "The targets that the zone denies, a set: those in `revoked` and those in `denied`."
  [{:keys [grant deny]}]
  (into #{} (map :target) (concat (:revoked grant) (:denied deny))))

;; ## Authority

(defn delegation
  "What `revision` delegates for `zone`: the keys list that the authority must have."
  [revision zone]
  (into [] (comp (filter #(= zone (:authority %))) (map #(dissoc % :authority)))
    (:delegations revision)))

(defn- same-share? [a b]
  (and (= (:key a) (:key b)) (= (:grant a) (:grant b)) (= (:deny a) (:deny b))))

(defn- delegates?
  "True if `revision` delegates for `zone` exactly the `keys` of an authority."
  [revision zone keys]
  (= (count keys)
    (reduce (fn [i delegated]
              (cond
                (not= zone (:authority delegated)) i
                (same-share? (nth keys i nil) delegated) (inc (long i))
                :else (reduced nil)))
      0 (:delegations revision))))

(defn- cited-position
  "The index in `chain` of the revision that `authority` cites, or nil."
  [chain {:keys [master-zone-hash]}]
  (loop [i (dec (count chain))]
    (when (<= 0 i)
      (if (= master-zone-hash (:current-master-hash (nth chain i)))
        i
        (recur (dec i))))))

(defn- later-fault
  "The error of an authority whose delegation has changed in `later` revisions, or nil."
  [same? later]
  (cond
    (reduce (fn [_ revision] (or (same? revision) (reduced false))) true later) nil
    (same? (peek later)) :authority/interrupted
    :else :authority/not-current))

(defn- later-finding [same? later sentence]
  (if-let [error (later-fault same? later)]
    (rules/breaks (str "revision " (:serial (first (remove same? later))) " delegates otherwise"
                    (when (= :authority/interrupted error) ", though the current one is as before"))
      {:error error})
    sentence))

(defn- authority-finding
  "Whether `authority` holds in `chain`: its revision, which is at `i`, is in the chain, and
  that and every later one delegate exactly these keys and values."
  [{:keys [chain zone authority i]}]
  (let [same? #(delegates? % zone (:keys authority))
        complete (chain/genesis? (first chain))]
    (cond
      (and i (not (same? (chain i))))
      (rules/breaks (str "revision " (:serial (chain i)) " delegates otherwise") {:error :authority/not-as-authorised})

      i (later-finding same? (subvec chain i)
          (rules/holds #(str "revision " (:serial (chain i)) " delegates exactly these keys and values, and so does every later one")
            {:revision (:serial (chain i))}))

      complete
      (rules/breaks "no revision of this record has the hash that the authority cites" {:error :authority/unknown-revision})

      :else
      (later-finding same? chain
        (rules/unknown "the revision that the authority cites is not in the history at hand"
          {:error :authority/history-missing :needs "the history from serial 1 on"})))))

(def authority-rules
  "The rule of an authority."
  [{:id :authority/stands :doc "The cited revision and every later one delegate exactly these keys and values."
    :check authority-finding}])

;; ## Grant and deny

(defn sum
  "The sum of the values of `kind` (`:grant` or `:deny`) of those keys of the authority
  that are in `signers`."
  [{:keys [keys]} kind signers]
  (reduce (fn [total share]
            (if (contains? signers (:key share)) (+ (long total) (long (kind share))) total))
    0 keys))

(defn- sum-finding [kind error {:keys [authority signers]}]
  (let [total (sum authority kind signers)
        line #(str (name kind) " values: " total " of " survivorship/threshold)]
    (if (<= (long survivorship/threshold) (long total))
      (rules/holds line {:sum total})
      (rules/breaks line
        {:error error :numbers {:sum total}
         :needs {:needed (- (long survivorship/threshold) (long total))
                 :from (into [] (comp (filter #(pos? (long (kind %)))) (map :key) (remove signers))
                         (:keys authority))}}))))

(defn- deny-time-finding [{:keys [part grant]}]
  (if (< (long (:timestamp part)) (long (:timestamp grant)))
    (rules/breaks (str "dated " (time/iso (:timestamp part)) ", before its grant, " (time/iso (:timestamp grant)))
      {:error :zone/deny-timestamp})
    (rules/holds "not older than its grant")))

(def ^:private far-future
  {:id :time/far-future :doc "A statement is dated at most 24 hours ahead of the clock."
   :check (fn [{:keys [part now]}] (time/far-future-finding (:timestamp part) now))})

(def ^:private stray
  {:id :signature/stray :doc "Every signer is a key of the authority." :check signing/stray-finding})

(def grant-rules
  "The rules of a grant, in the order in which they are asked."
  (into [far-future stray
         {:id :zone/grant-threshold :doc "The signers' grant values sum to 100 or more."
          :check #(sum-finding :grant :zone/grant-below-threshold %)}]
    signing/signature-rules))

(def deny-rules
  "The rules of a deny, in the order in which they are asked."
  (into [far-future
         {:id :zone/deny-timestamp :doc "A deny is not older than its grant." :check deny-time-finding}
         stray
         {:id :zone/deny-threshold :doc "The signers' deny values sum to 100 or more."
          :check #(sum-finding :deny :zone/deny-below-threshold %)}]
    signing/signature-rules))

(defn- part-facts [part authority statement {:keys [key-map now]}]
  {:part part :authority authority :statement statement :key-map key-map :now now
   :signatures (:signatures part)
   :signers (into #{} (map :key) (:signatures part))
   :named (into #{} (map :key) (:keys authority))})

(defn- judge-grant [{{:keys [grant]} :zone :keys [authority]} statement context]
  (let [facts (part-facts grant authority statement context)]
    (assoc (rules/judge grant-rules facts)
      :serial (:serial grant)
      :sum (sum authority :grant (:signers facts)))))

(defn- judge-deny [{{:keys [grant deny]} :zone :keys [authority]} statement context]
  (if (zero? (long (:serial deny)))
    {:outcome :valid :steps [] :serial 0 :sum nil}
    (let [facts (assoc (part-facts deny authority statement context) :grant grant)]
      (assoc (rules/judge deny-rules facts)
        :serial (:serial deny)
        :sum (sum authority :deny (:signers facts))))))

(defn judge-authority
  "The judgement of an `authority` of `zone` in `chain`, with the `:revision` that it cites."
  [chain zone authority]
  (let [i (cited-position chain authority)]
    (assoc (rules/judge authority-rules {:chain chain :zone zone :authority authority :i i})
      :revision (when i (:serial (nth chain i))))))

(defn- revoked-keys
  "The keys of a login group whose key hashes are denied."
  [{:keys [keys]} gone hashes]
  (filterv #(contains? gone @(nth hashes %)) keys))

(defn- judge-entry [zone gone hashes entry]
  (let [h (entry-hash zone entry)
        revoked (when (and (= :auth zone) (seq gone)) (revoked-keys entry gone hashes))]
    (cond-> {:hash h :live (not (contains? gone h))}
      (seq revoked) (assoc :revoked-keys revoked))))

(defn judge-zone
  "The zone of `record` judged: `:outcome`, `:authority`, `:grant` and `:deny` (judgements),
  `:zone-hash`, and `:entries`, `({:hash :live})` in body order, with `:revoked-keys` where
  keys of a login group are denied (it cannot log in then). `context` has `:key-map`,
  `:hashes`, `:now`, `:chain`, the revisions at hand, and `:grants`, zone → its grant as a statement,
  where that is at hand."
  [record zone {:keys [hashes chain grants] :as context}]
  (let [parts (sections record zone)
        grant (delay (or (get grants zone) (grant-statement record zone parts hashes)))
        deny (delay (deny-statement record zone parts (:hash @grant) hashes))
        judged {:authority (judge-authority chain zone (:authority parts))
                :grant (judge-grant parts grant context)
                :deny (judge-deny parts deny context)}
        gone (denied (:zone parts))]
    (assoc judged
      :outcome (rules/worst (map :outcome (vals judged)))
      :zone-hash (:whole-hash @grant)
      :entries (map #(judge-entry zone gone hashes %) (entries zone (:zone parts))))))
