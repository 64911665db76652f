(ns dev
  "A world of POZ in this process, to work in: `(go)`, `(stop)`, `(reset)`.

  It has an authority for social.example, a whole server in memory on ports of loopback that are
  free, and two users with handles there: Alice, with a phone, a laptop and a recovery key, and
  Bob, with a key. `world` is all of it, a map:

      :server   the running system, see `poz.system`
      :users    {\"alice\" {:record :secrets} \"bob\" …}

  `(record \"alice\")` is what they hold, `(provider)` the authority's record, `(look-up \"alice\")`
  what the network says, verified; `(ask \"carol\")` gives another user a handle; `(deny \"bob\")`
  takes one back."
  (:require
   [poz.api :as poz]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.identity.issue :as issue]
   [poz.master :as master]
   [poz.pattern :as pattern]
   [poz.record :as record]
   [poz.tap :as tap]
   [poz.zone :as zone]
   [poz.zone.change :as change]
   [reload]))

(set! *warn-on-reflection* true)

(defonce ^{:doc "The world while it runs, or nil."} world nil)

(def domain
  "The domain of the authority."
  "social.example")

(defn now
  "The clock."
  []
  (System/currentTimeMillis))

(defn- good!
  "`x`, or its anomaly thrown."
  [x]
  (if (poz/anomaly? x) (throw (ex-info (:message x) x)) x))

;; ## Servers

(defn- place [{:keys [ports noise-key]} contract]
  {:host "127.0.0.1" :port (ports contract) :encryption :noise-nk :public-key noise-key})

(defn servers
  "Those who answer queries, as `poz/query` takes them: the authority first, then the mirror; or who takes
  submissions, the authority alone (`:submit`), or the mirror alone (`:mirror`)."
  ([] (into [(place (:server world) :query)] (map #(assoc % :priority 1)) (servers :mirror)))
  ([which]
   (let [{:keys [server mirror]} world]
     [(if (= :mirror which) (place mirror :query) (place server which))])))

(defn- submit [submission]
  (good! ((requiring-resolve 'poz.client/submit) submission {:servers (servers :submit) :now (now)})))

(defn provider
  "The authority's record, as its server gives it."
  []
  (let [{:keys [hash]} (:server world)]
    (:record (good! (poz/query {:type :record :subject {:hash hash}} {:servers (servers) :now (now) :expected-hash hash})))))

(defn- address [handle]
  {:handle handle :domain domain :path []})

(defn look-up
  "What the network, or one of `servers`, says of the handle: an answer with `:record`, `:verdict`,
  `:proven`, `:server`, or an anomaly."
  ([handle] (look-up handle (servers)))
  ([handle servers]
   (poz/query {:type :identity :subject {:handle (address handle)}}
     {:servers servers :now (now) :providers [(provider)] :provider-hash (:hash (:server world))})))

;; ## Users

(defn user
  "A new user by the pattern: `{:record :secrets}`, the secrets of the keys that sign day by day."
  [pattern-name]
  (let [{:keys [keys] :as p} (pattern/pattern pattern-name)
        pairs (mapv #(crypto/generate (:algorithm %) crypto/random-bytes) keys)
        secrets (into {} (keep-indexed (fn [i k] (when (:share k) [i (:secret (pairs i))]))) keys)
        draft (pattern/draft p (map :public-key pairs) (now))]
    {:secrets secrets :record (master/finish (reduce-kv master/sign draft secrets))}))

(defn- signed [{:keys [secrets] :as user} record part]
  (assoc user :record (reduce-kv (fn [r i secret] (change/sign r :identity part i secret)) record secrets)))

(defn- keep! [handle user]
  (alter-var-root #'world assoc-in [:users handle] user)
  (:record user))

(defn record
  "The record of a user, as held at home."
  [handle]
  (get-in world [:users handle :record]))

(defn- next-time [record]
  (change/next-time record :identity (now)))

(defn ask
  "Gives `handle` to a new user by the pattern (sole): request, entry, zone, submission. The record."
  ([handle] (ask handle "sole"))
  ([handle pattern-name]
   (let [{:keys [record secrets] :as user} (user pattern-name)
         hash (:hash (:server world))
         request (reduce-kv (fn [r i secret] (issue/sign-request r record hash i secret))
                   (issue/request record (address handle) (now) bytes/empty) secrets)
         {:keys [entry]} (submit {:type :submit-request :request request})
         holder (signed user (issue/accept record entry (next-time record)) :grant)]
     (submit {:type :submit-signed :record (poz/public-view (:record holder))})
     (good! (look-up handle (servers :mirror))) ; which pulls what it is asked for, and keeps it
     (keep! handle holder))))

(defn deny
  "Has a user take the handle back. The record."
  [handle]
  (let [{:keys [record] :as user} (get-in world [:users handle])
        targets (for [e (zone/entries :identity (:identity-zone record))]
                  {:target (zone/entry-hash :identity e) :reason :retired})
        denying (signed user (change/deny record :identity targets {:timestamp (next-time record)}) :deny)]
    (submit {:type :submit :record (poz/public-view (:record denying))})
    (keep! handle denying)))

;; ## Starting and stopping

(reload/watch!)

(defn- stop-server! [server]
  ((requiring-resolve 'poz.system/stop) server))

(defn authority-away
  "Stops the authority alone. What it had the mirror still has: see `:server` of `(look-up \"alice\")`."
  []
  (stop-server! (:server world))
  :away)

(defn stop
  "Stops the world, if there is one. Calling it again does nothing."
  []
  (when world
    (run! stop-server! (keep world [:mirror :server]))
    (alter-var-root #'world (constantly nil)))
  :stopped)

(defn- start-server!
  "A server in memory, in the `world` under `k`."
  [k options]
  (alter-var-root #'world assoc k
    (good! ((requiring-resolve 'poz.system/start)
            (merge {:domains [domain] :data nil :store :memory :plain-port 0 :query-port 0 :grace-ms 100
                    :on-event tap/server-event :log-level :debug}
              options)))))

(defn- start-mirror! []
  (let [{:keys [hash noise-key ports]} (:server world)]
    (start-server! :mirror
      {:role :mirror :refresh-ms 1000 :upstream {:host "127.0.0.1" :port (:query ports)}
       :upstream-key (bytes/->hex noise-key) :upstream-hash (bytes/->hex hash)})))

(defn- start []
  (start-server! :server {:policy :approve :submit-port 0})
  (start-mirror!)
  (ask "alice" "two-devices")
  (ask "bob"))

(defn go
  "Starts the world, or leaves the one that runs: what is there, in short."
  []
  (when-not world
    (try (start) (catch Throwable t (stop) (throw t))))
  {:domain domain :ports (:ports (:server world)) :mirror (:ports (:mirror world)) :users (keys (:users world))})

(defn reset
  "Stops the world, loads anew what has changed under src and dev, and starts another."
  []
  (stop)
  (reload/changed!)
  ((resolve 'dev/go)))
