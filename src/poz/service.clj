(ns poz.service
  "Reading zones by what they are for: the hosts of a service, an inbox, a feed.

  A citation is a service hash: `resolve-hash` gives the entry that it names. Only live
  entries count. Functions of a verified record; nothing here connects to anything."
  (:require
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn live
  "The live entries of `record`'s `zone`: those whose hash is not denied."
  [record zone]
  (when-let [section (:zone (zone/sections record zone))]
    (let [gone (zone/denied section)]
      (remove #(contains? gone (zone/entry-hash zone %)) (zone/entries zone section)))))

(defn resolve-hash
  "The live Service Zone entry of `record` whose service hash is `hash`, or nil."
  [record hash]
  (first (filter #(= hash (zone/entry-hash :service %)) (live record :service))))

(defn of-type
  "The live services of `record` of the given type (`:poz-query`, `:https` …)."
  [record type]
  (filter #(= type (:type %)) (live record :service)))

(defn- pick
  "One of `hosts` by weight: `r` is a number from 0 up to 1. Hosts of weight 0 have a small
  chance, as RFC 2782 wants."
  [hosts r]
  (let [hosts (sort-by :weight hosts)
        total (transduce (map :weight) + 0 hosts)
        target (long (* (double r) (inc (long total))))]
    (loop [[host & more] hosts sum 0]
      (let [sum (+ sum (long (:weight host)))]
        (if (or (empty? more) (<= target sum)) host (recur more sum))))))

(defn- shuffle-weighted [hosts random]
  (loop [left (vec hosts) out []]
    (if (empty? left)
      out
      (let [host (pick left (random))
            i (first (keep-indexed (fn [i h] (when (identical? h host) i)) left))]
        (recur (into (subvec left 0 i) (subvec left (inc (long i)))) (conj out host))))))

(defn order-hosts
  "The hosts of a service in the order in which to try them: lower priority first, within
  one by weight at random (RFC 2782). `random` is a function that gives a number from 0
  up to 1."
  [{:keys [hosts]} random]
  (mapcat (fn [[_ group]] (shuffle-weighted group random)) (sort-by key (group-by :priority hosts))))

(defn inbox
  "Where mail for the inbox `guid` of `record` goes: `{:name :public-key :service}`, its name,
  the X25519 key to encrypt to and the service entry (nil where nothing is cited well); or
  nil where there is no such live inbox."
  [record guid]
  (when-let [{:keys [name key service]} (first (filter #(= guid (:guid %)) (live record :email)))]
    {:name name
     :public-key (get-in record [:public-key-map key :key])
     :service (resolve-hash record service)}))

(defn feed
  "The live feed `name` of `record`: `{:service :chains}`, each chain with the public keys that
  may post and its newest checkpoint; or nil."
  [record name]
  (when-let [{:keys [service chains]} (first (filter #(= name (:name %)) (live record :feed)))]
    {:service (resolve-hash record service)
     :chains (mapv (fn [{:keys [chain posting-keys checkpoints]}]
                     {:chain chain
                      :posting-keys (mapv #(get-in record [:public-key-map %]) posting-keys)
                      :newest (peek checkpoints)})
               chains)}))
