(ns poz.system.provider
  "The record of an authority: how a fresh one is made, and that its zones say what its server
  is.

  Its keys are three. The *owner* alone changes the record, the *recovery* key does when the
  owner's is lost; neither is needed to serve, so both belong offline. The *server*'s key
  issues handles, revokes them and names the hosts, and can do nothing else: whoever steals
  it does not have the record."
  (:require
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.master :as master]
   [poz.pattern :as pattern]
   [poz.update :as update]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def pattern
  "The pattern of an authority's record, as those of `poz.pattern`."
  {:name "authority"
   :doc "The owner, or the recovery key, changes the record; the server's key issues handles and can do nothing else."
   :keys [{:name "owner" :holder "owner" :algorithm :ed25519 :groups {1 100}}
          {:name "recovery" :holder "recovery" :algorithm :ed25519 :groups {2 100}}
          {:name "server" :holder "server" :algorithm :ed25519 :groups {} :share [100 100]}]})

(defn genesis
  "A new record with its keys: `{:record :secrets}`, the secrets by the names of their holders."
  [random now]
  (let [pairs (mapv #(crypto/generate (:algorithm %) random) (:keys pattern))
        draft (pattern/draft pattern (map :public-key pairs) now)]
    {:record (master/finish (master/sign draft 0 (:secret (first pairs))))
     :secrets (zipmap (map :holder (:keys pattern)) (map :secret pairs))}))

;; ## Zones

(defn- host [hostname port public-key]
  (cond-> {:hostname hostname :port port :transport :tcp :encryption :none :priority 0 :weight 0}
    public-key (assoc :encryption :noise-nk :public-key public-key)))

(defn services
  "The entries of the Service Zone of a server at `hostname` with the Noise key `public-key`,
  listening on `ports`, `{:plain :query :submit}`, of which some may be missing."
  [hostname {:keys [plain query submit]} public-key]
  (let [queries (cond-> [] query (conj (host hostname query public-key)) plain (conj (host hostname plain nil)))]
    (cond-> []
      (seq queries) (conj {:name "" :type :poz-query :hosts queries})
      submit (conj {:name "" :type :poz-submit :hosts [(host hostname submit public-key)]}))))

(defn- own? [{:keys [name type]}]
  (and (= "" name) (contains? #{:poz-query :poz-submit} type)))

(defn- signed [record zone ring]
  (reduce (fn [r [index secret]]
            (if (error/anomaly? r) r (change/sign r zone :grant index secret)))
    record
    (sort-by key (select-keys ring (map :key (zone/delegation (:master-zone record) zone))))))

(defn- granted [record zone ring now changes]
  (let [drafted (change/grant record zone (assoc changes :timestamp (change/next-time record zone now)))
        new (if (error/anomaly? drafted) drafted (signed drafted zone ring))
        taken (if (error/anomaly? new) new (update/apply-update record new {:now now}))]
    (if (error/anomaly? taken) taken (:record taken))))

(defn- with-identity [record ring now]
  (if (:identity-zone record) record (granted record :identity ring now {})))

(defn- with-services [record wanted ring now]
  (let [before (some->> (:service-zone record) (zone/entries :service))
        gone (remove (into #{} (map (zone/entry-id :service)) wanted)
               (map (zone/entry-id :service) (filter own? before)))
        gone (filter #(contains? (set gone) ((zone/entry-id :service) %)) before)]
    (if (and (empty? gone) (every? (set before) wanted))
      record
      (granted record :service ring now
        {:add (vec wanted) :remove (mapv #(zone/entry-hash :service %) gone)}))))

(defn current
  "`record` as its server needs it at `now`: with an Identity Zone, and with `wanted` for its
  own entries in the Service Zone; what is missing or changed is granted and signed by
  `ring`. `record` itself where nothing is; or the anomaly of what the ring cannot sign."
  [record wanted ring now]
  (let [r (with-identity record ring now)]
    (if (error/anomaly? r) r (with-services r wanted ring now))))
