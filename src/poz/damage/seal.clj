(ns poz.damage.seal
  "Signing a damaged file anew, so that nothing but the damage is wrong with it.

  `seal` goes through the statements of a tree (`poz.damage.tree`) as they build on each
  other: revisions from genesis on, then each zone's grant, then its deny. For each it
  takes the bytes that stand there, whatever they are, as the content; has every signer
  that is listed sign it; computes the hash; and puts the new hash wherever the old one
  stood. Leaves that an edit has pinned stay as they are, and where that is a revision's own
  hash others cite it as it is: a wrong hash or signature is then the only thing wrong.

  `:secrets` are the record's, index → secret; `:issuers` those of providers, original
  hash → index → secret, who sign their identity entries anew."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.damage.tree :as tree]
   [poz.format :as format]
   [poz.signing :as signing]))

(set! *warn-on-reflection* true)

(def ^:private zero (bytes/zeros 32))

(defn- context [kind]
  (:context (format/statements kind)))

;; ## Keys

(defn- key-entry [node]
  (let [content #(:bytes (tree/at node %))]
    {:algorithm (tree/number (tree/at node [:algorithm]))
     :key (or (content [:key :content]) (content [:key]) bytes/empty)}))

(defn- key-map [tree]
  (let [[_ & entries] (:children (tree/at tree [:public-key-map]))]
    (mapv #(when (tree/at % [:algorithm]) (key-entry %)) entries)))

(def ^:private algorithm-key
  (into {} (map (juxt :code :key)) format/algorithms))

(defn- key-hash [{:keys [algorithm] :as entry}]
  (signing/key-hash (assoc entry :algorithm (algorithm-key algorithm algorithm))))

(defn- cited [nodes]
  (into (sorted-set)
    (comp (mapcat tree/leaves) (filter #(= :index (:kind %))) (map tree/number))
    nodes))

(defn- bindings [{:keys [hashes]} nodes]
  (bytes/join (into [] (keep #(some-> (nth hashes % nil) deref)) (cited nodes))))

;; ## Statements

(defn- signature [{:keys [secrets algorithms]} message i]
  (let [algorithm (get algorithms i)]
    (when-let [secret (get secrets i)]
      (when (contains? #{:ed25519 :ml-dsa-65} algorithm)
        (crypto/sign algorithm secret message)))))

(defn- signed
  "The signature list `node` with every signature that is not pinned made anew."
  [node keys message]
  (if (:children node)
    (update node :children
      (partial mapv
        (fn [item]
          (if-let [made (some->> (tree/at item [:key]) tree/number (signature keys message))]
            (tree/change item [:signature :content] #(if (:pinned %) % (assoc % :bytes made)))
            item))))
    node))

(defn- but
  "The children of `node` other than those with the keys `ks`, lengths and counts put right."
  [node & ks]
  (remove #(contains? (set ks) (:key %)) (:children (tree/counted node))))

(defn- sign-part
  "`node`, a part with `:signatures`, signed over `nodes`; in a vector with H(content, bindings)."
  [node kind nodes keys]
  (let [hash (crypto/sha3-256 (bytes/join (mapv tree/flat nodes)) (bindings keys nodes))]
    [(tree/change node [:signatures] #(signed % keys (signing/message (context kind) hash))) hash]))

(defn- put-unpinned [tree path b]
  (tree/change tree path #(if (:pinned %) % (assoc % :bytes b))))

(defn relinked
  "`node` with `new` in each leaf that was `old` and is not pinned."
  [{:keys [children pinned] b :bytes :as node} old new]
  (cond
    children (assoc node :children (mapv #(relinked % old new) children))
    (and (= b old) (not pinned)) (assoc node :bytes new)
    :else node))

;; ## The chain

(defn- revision-content [revision genesis?]
  (let [nodes (but revision :current-master-hash :signatures)]
    (if genesis?
      (map #(if (= :original-master-hash (:key %)) (assoc % :bytes zero) %) nodes)
      nodes)))

(defn- genesis? [revision]
  (some-> (tree/at revision [:serial]) tree/number (= 1)))

(defn- seal-revision
  "`tree` with the revision at `path` signed anew and its hash put right everywhere."
  [tree path keys]
  (let [revision (tree/at tree path)
        {old :bytes :keys [pinned was]} (tree/at revision [:current-master-hash])]
    (if old
      (let [nodes (revision-content revision (genesis? revision))
            [sealed _] (sign-part revision :master nodes keys)
            tree (tree/change tree path (constantly sealed))
            signatures (tree/flat (tree/counted (or (tree/at sealed [:signatures]) {:bytes bytes/empty})))
            hash (crypto/sha3-256 (bytes/join (mapv tree/flat nodes)) (bindings keys nodes) signatures)]
        (cond
          pinned (relinked tree was old)
          (= old zero) tree
          :else (relinked tree old hash)))
      tree)))

(defn- revision-paths [tree]
  (let [[_ & items] (:children (tree/at tree [:zone-history]))]
    (concat (map (fn [i] [:zone-history i :content]) (range (count items))) [[:master-zone]])))

;; ## Zones

(defn- seal-entry [entry issuers]
  (let [provider (get issuers (:bytes (tree/at entry [:authority-hash])))]
    (if provider
      (let [content (bytes/join (mapv tree/flat (but entry :authority-signatures)))]
        (tree/change entry [:authority-signatures]
          #(signed % {:secrets provider :algorithms (zipmap (keys provider) (repeat :ed25519))}
             (signing/message (context :identity-entry) (crypto/sha3-256 content)))))
      entry)))

(defn- seal-entries [tree issuers]
  (tree/change tree [:identity-zone :grant :body]
    (fn [body] (cond-> body (:children body) (update :children (partial mapv #(seal-entry % issuers)))))))

(defn- zone-keys [{:keys [zone]}]
  (map #(keyword (str (name zone) %)) ["-authority" "-zone" "-grant" "-deny"]))

(defn- seal-zone [tree row keys]
  (let [[authority-key zone-key grant-kind deny-kind] (zone-keys row)
        section (tree/at tree [zone-key]) grant (tree/at section [:grant])
        shared [(tree/at tree [:master-zone :original-master-hash]) (some-> (tree/at tree [authority-key]) tree/counted)]]
    (if (and (:children grant) (every? some? shared))
      (let [[grant hash] (sign-part grant grant-kind (concat shared (but grant :signatures)) keys)
            deny (tree/at section [:deny])
            nodes (concat shared [{:kind :bytes :bytes hash}] (when deny (but deny :signatures)))
            [deny _] (if (:children deny) (sign-part deny deny-kind nodes keys) [deny])]
        (-> tree
          (tree/change [zone-key :grant] (constantly grant))
          (tree/change [zone-key :deny] (constantly deny))))
      tree)))

;; ## The whole

(defn- with-keys [tree secrets]
  (let [entries (key-map tree)]
    {:secrets secrets
     :algorithms (mapv #(algorithm-key (:algorithm %)) entries)
     :hashes (mapv #(when % (delay (key-hash %))) entries)}))

(defn seal
  "`tree` with every statement signed anew by its signers. `:secrets` index → secret,
  `:issuers` original hash → index → secret, Ed25519 all of them."
  [tree {:keys [secrets issuers]}]
  (let [keys (with-keys tree secrets)]
    (as-> tree tree
      (reduce #(seal-revision %1 %2 keys) tree (revision-paths tree))
      (seal-entries tree issuers)
      (reduce #(seal-zone %1 %2 keys) tree format/zones))))
