(ns poz.mirror.demand
  "Getting what a client asks for before it is answered: what a cache does, and a mirror for what
  it does not hold yet.

  A cache checks a record with its server when that was last done `:refresh-ms` ago; a mirror's
  rounds do so anyway. While the server does not answer, what is held is served up to `:stale-ms`
  after its last check, then BUSY says to ask elsewhere. Several clients who ask for the same wait
  for one pull; what the server does not have is remembered for a while too."
  (:require
   [poz.authority :as authority]
   [poz.authority.state :as state]
   [poz.error :as error]
   [poz.mirror.pull :as pull]
   [poz.mirror.status :as status]
   [poz.record :as record]
   [poz.store :as store]
   [poz.zone :as zone])
  (:import
   (com.github.benmanes.caffeine.cache Cache Caffeine)
   (java.util.concurrent CompletableFuture ConcurrentHashMap TimeUnit)
   (java.util.function Function)))

(set! *warn-on-reflection* true)

(def ^:private most-misses 10000)

(defn waiting
  "What is going on for clients: `:flying`, subject → its pull, and `:misses`, what the server did
  not have within the last `ms` milliseconds."
  [ms]
  {:flying (ConcurrentHashMap.)
   :misses (.build (doto (Caffeine/newBuilder) (.maximumSize most-misses) (.expireAfterWrite (long ms) TimeUnit/MILLISECONDS)))})

;; ## One pull for all who wait

(defn- taken [{:keys [^Cache misses] :as mirror} subject {:poz/keys [error anomaly] :as outcome}]
  (cond
    (= :wire/not-found error) (do (status/answered! mirror) (.put misses subject outcome))
    (contains? #{:unreachable :busy} anomaly) (status/silent! mirror outcome)
    :else (do (status/answered! mirror) (status/taken! mirror [outcome])))
  outcome)

(defn- start! [{:keys [source] :as mirror} subject more ^CompletableFuture promised]
  (.whenComplete (.thenApply (pull/pull-async source subject (pull/providers source) more)
                   (reify Function (apply [_ outcome] (taken mirror subject outcome))))
    (fn [outcome thrown]
      (.remove ^ConcurrentHashMap (:flying mirror) subject)
      (if thrown (.completeExceptionally promised thrown) (.complete promised outcome)))))

(defn- pull!
  "The outcome of a pull of `subject`, or its anomaly; BUSY where it takes longer than one question
  may, though it goes on for who asks next."
  [{:keys [^ConcurrentHashMap flying ^Cache misses source] :as mirror} subject more]
  (or (.getIfPresent misses subject)
    (when (status/away? mirror) (error/anomaly :wire/busy))
    (let [mine (CompletableFuture.)
          ^CompletableFuture others (.putIfAbsent flying subject mine)]
      (when-not others (start! mirror subject more mine))
      (.get (.completeOnTimeout (.copy (or others mine)) (error/anomaly :wire/busy)
              (long (:deadline-ms source)) TimeUnit/MILLISECONDS)))))

;; ## What is needed

(defn- age [mirror hash]
  (when-let [at (status/checked-at mirror hash)]
    (- (long ((:now (:source mirror)))) (long at))))

(defn- fresh? [{{:keys [role refresh-ms]} :options} age]
  (and age (or (= :mirror role) (<= (long age) (long refresh-ms)))))

(defn- served? [{{:keys [stale-ms]} :options} age]
  (and age (<= (long age) (long stale-ms))))

(defn- have!
  "Has the record `hash` at hand: nil, or the anomaly to answer. Calls `before!` if it has to be pulled."
  [mirror hash before!]
  (let [age (age mirror hash)]
    (when-not (and (fresh? mirror age) (served? mirror age))
      (before!)
      (let [found (pull! mirror {:hash hash} {})]
        (when (and (error/anomaly? found) (not (served? mirror age)))
          (if (= :wire/not-found (:poz/error found)) found (error/anomaly :wire/busy)))))))

(defn- provider-first!
  "Has a mirror's own authority at hand: without its record nobody can tell whose handles are in `hash`."
  [{{:keys [role] provider :hash} :options :as mirror} hash]
  (when (and provider (= :mirror role) (not= provider hash))
    (have! mirror provider (constantly nil))))

(defn- by-hash!
  "Has the record `hash` at hand: nil, or the anomaly to answer."
  [mirror hash]
  (have! mirror hash #(provider-first! mirror hash)))

(defn- other!
  "Pulls what `subject`, not a hash, names: its original hash, or the anomaly to answer."
  [mirror subject more]
  (let [{:keys [record] :as found} (pull! mirror subject more)]
    (cond
      record (record/original-hash record)
      (#{:wire/not-found :wire/busy} (:poz/error found)) found
      :else (error/anomaly :wire/busy))))

(defn- read-of [{:keys [source]}] (pull/reader (:store source)))

(defn- of-domain!
  "The original hash of the record of `domain`: what is known, else what the server says, which from
  then on is known; or an anomaly."
  [{:keys [domains source] :as mirror} domain]
  (or (authority/hash-of-subject {:domain domain} {:domains domains} (read-of mirror))
    (let [hash (other! mirror {:domain domain} {})]
      (when-not (error/anomaly? hash)
        (store/commit! (:store source) {} (state/put-domain domain hash)))
      hash)))

(defn- holder
  "Who has the handle by what is held, unless its provider denies what it issued; or nil."
  [mirror provider handle]
  (let [{{:keys [user issue]} :live} (state/handle (read-of mirror) handle)
        zone (:identity-zone (pull/held (:source mirror) provider))]
    (when-not (contains? (some-> zone zone/denied) issue) user)))

(defn- by-handle!
  "Has the provider's record and that of who has the handle at hand: nil, or the anomaly to answer."
  [mirror {:keys [domain] :as handle}]
  (let [provider (of-domain! mirror domain)
        fault (if (error/anomaly? provider) provider (by-hash! mirror provider))]
    (or fault
      (if-let [user (holder mirror provider handle)]
        (by-hash! mirror user)
        (let [found (other! mirror {:handle handle}
                      {:providers [(pull/held (:source mirror) provider)] :provider-hash provider
                       :statuses #{:current :superseded :revoked}})]
          (when (error/anomaly? found) found))))))

(defn prepare!
  "Has at hand what the answer to `request` needs: nil, or the anomaly that is the answer. Waits for
  the server at most as long as one question may take."
  [mirror {:keys [type payload]}]
  (when-not (contains? #{:status :challenge} type)
    (let [{:keys [hash domain handle]} (:subject payload payload)]
      (cond
        hash (by-hash! mirror hash)
        handle (by-handle! mirror handle)
        domain (let [found (of-domain! mirror domain)]
                 (if (error/anomaly? found) found (by-hash! mirror found)))))))
