(ns poz.jazzer.fixups
  "Repairs of mutated files, so that they come as far as the verifier: what stands between
  a fuzzer's bytes and the rules is lengths, offsets, hashes and signatures, none of which
  it can guess.

  - `repacked` a file with the sections of `b`, its size, its offsets and their order right
  - `resigned` a record with every hash link and every signature right that we can make so:
    the keys are ours (`secret`), the signers are those that the lists name, and all else is
    as it was

  What is wrong with a record after that is wrong by the rules that are left: sums, serials,
  times, strays, spare signatures, delegations."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; ## The container

(defn- number-at [b at width]
  (reduce (fn [n i] (+ (* 256 (long n)) (long (nth b (+ (long at) (long i)))))) 0 (range width)))

(defn- contents
  "`[code length]` for each entry of the table of contents of `b`, as far as there is one."
  [b]
  (when (<= 10 (count b))
    (for [i (range (min 64 (long (number-at b 8 2))))
          :let [at (+ 10 (* 10 (long i)))]
          :while (<= (+ at 10) (count b))]
      [(number-at b at 2) (number-at b (+ at 6) 4)])))

(defn repacked
  "The file whose sections are as long as the table of contents of `b` says and follow each
  other, the last one having what is left; `b` itself where it has no such table."
  [b]
  (if-let [entries (seq (contents b))]
    (let [start (+ 10 (* 10 (count entries)))
          ends (rest (reductions (fn [at [_ n]] (min (count b) (+ (long at) (long n)))) start entries))
          ends (concat (butlast ends) [(count b)])]
      (if (< (count b) start)
        b
        (record/pack (into {} (map (fn [[code] from to] [code (bytes/slice b from to)]) entries (cons start ends) ends)))))
    b))

;; ## Keys

(def secret
  "The secret of our Ed25519 key number `i`."
  (memoize (fn [i] (bytes/secret (crypto/sha3-256 (bytes/utf8 (str "fuzz " i)))))))

(def ^:private public
  (memoize (fn [i] {:algorithm :ed25519 :key (crypto/public-key :ed25519 (secret i))})))

(defn- our-keys
  "`key-map` with our own key in each place where a key is that signs."
  [key-map]
  (into [] (map-indexed (fn [i k] (if (#{:ed25519 :ml-dsa-65} (:algorithm k)) (public i) k))) key-map))

(defn- signed
  "The list `signatures` with those over `message` that we can make in the place of what was there."
  [signatures key-map message]
  (reduce (fn [all {i :key}]
            (if (= :ed25519 (:algorithm (get key-map i))) (signing/sign all key-map message i (secret i)) all))
    signatures signatures))

;; ## The chain

(defn- linked [revision previous root]
  (cond-> revision
    (and previous (not (chain/draft? previous))) (assoc :previous-master-hash (:current-master-hash previous))
    root (assoc :original-master-hash root)))

(defn- rooted [revision]
  (cond-> revision (chain/genesis? revision) (assoc :original-master-hash (:current-master-hash revision))))

(defn- sign-revision [{:keys [key-map hashes]} revision]
  (let [{:keys [message] :as statement} (chain/statement revision hashes)
        revision (update revision :signatures signed key-map message)]
    (if (chain/draft? revision)
      revision
      (rooted (assoc revision :current-master-hash (chain/current-hash revision statement))))))

(defn- sign-chain
  "The `revisions`, oldest first, each the child of the one before it. A child that says that it
  is the first revision has no parent to be named, so it is left as it is."
  [context revisions]
  (reduce (fn [done revision]
            (let [previous (when-not (chain/genesis? revision) (peek done))
                  root (when (and previous (chain/genesis? (first done))) (:original-master-hash (first done)))]
              (conj done (sign-revision context (linked revision previous root)))))
    [] revisions))

;; ## Zones

(defn- our-entries
  "The Identity Zone's entries, with those about this record still about it."
  [section was now]
  (update-in section [:grant :body]
    (fn [entries]
      (zone/sort-entries :identity (mapv #(if (= was (:user-poz-hash %)) (assoc % :user-poz-hash now) %) entries)))))

(defn- sign-zone [{:keys [key-map hashes]} record z]
  (let [parts (zone/sections record z)
        {:keys [message hash]} (zone/grant-statement record z parts hashes)
        deny (zone/deny-statement record z parts hash hashes)]
    (assoc record (zone/zone-key z)
      (-> (:zone parts)
        (update-in [:grant :signatures] signed key-map message)
        (update-in [:deny :signatures] signed key-map (:message deny))))))

(defn- rebound
  "`record` with the hashes in its zones that named a revision as they are now."
  [record before after]
  (let [renamed (zipmap (map :current-master-hash before) (map :current-master-hash after))
        roots (mapv (comp :original-master-hash peek) [before after])
        record (reduce (fn [r z] (update-in r [(zone/authority-key z) :master-zone-hash] #(get renamed % %)))
                 record (zone/zones record))]
    (cond-> record (:identity-zone record) (update :identity-zone our-entries (roots 0) (roots 1)))))

(defn resigned
  "`record` with our keys, and the hashes and signatures that this makes."
  [record]
  (let [key-map (our-keys (:public-key-map record))
        context {:key-map key-map :hashes (signing/key-hashes key-map)}
        before (chain/revisions record)
        after (sign-chain context before)
        record (cond-> (assoc record :public-key-map key-map :master-zone (peek after))
                 (:zone-history record) (assoc :zone-history (pop after)))
        record (rebound record before after)]
    (reduce #(sign-zone context %1 %2) record (zone/zones record))))
