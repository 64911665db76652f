(ns poz.mirror-world
  "An authority in memory and mirrors of it, without a network, for tests.

  - `(upstream)` an authority for social.example with Alice and Bob: `:store`, and `:exchange`, what
    carries requests to it, which notes their types in `:asked`; `:how` is an atom of what else it
    does: a function of the request that gives an anomaly or the bytes of a response, or nil
  - `(mirror upstream options)` a mirror of it with a store of its own
  - `(ask mirror request)` the response of a server that has that mirror
  - `(submit! upstream person)` an update"
  (:require
   [poz.authorities :as a]
   [poz.authority :as authority]
   [poz.authority.server :as server]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.master :as master]
   [poz.mirror :as mirror]
   [poz.served :as served]
   [poz.store :as store]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent CompletableFuture)))

(set! *warn-on-reflection* true)

(def now
  "The clock where it begins."
  (+ (long h/t0) 100000))

(def provider-hash
  "The authority's original hash."
  a/provider-hash)

(defn upstream
  "An authority in memory; see the namespace."
  []
  (let [{:keys [store config] :as world} (a/world (constantly :approve))
        alice (a/activated world (h/person "alice") "alice" (+ (long h/t0) 1000))
        bob (a/activated world (h/person "bob") "bob" (+ (long h/t0) 2000))
        clock (atom now) asked (atom []) how (atom (constantly nil))
        handler (served/handler store config #(a/facts @clock))]
    (assoc world :alice alice :bob bob :clock clock :asked asked :how how
      :exchange (fn [_ b]
                  (let [request (wire/decode-request b {:contract :plain})]
                    (swap! asked conj (:type request))
                    (CompletableFuture/completedFuture
                      (or (@how request) (handler {:bytes b :contract :plain}))))))))

(defn gone
  "What a server does that is not there."
  [_]
  (error/anomaly :net/unreachable))

(defn responding
  "What a server does that answers the requests of `type` with OK and `(payload request)`."
  [type payload]
  (fn [request]
    (when (= type (:type request))
      (wire/encode-response {:status :ok :id (:id request) :payload (payload request)} type))))

(defn asked!
  "The types of the requests that were sent since the last call."
  [{:keys [asked]}]
  (first (swap-vals! asked (constantly []))))

(defn hashes
  "The original hashes of all whose records the authority holds."
  [{:keys [alice bob]}]
  (mapv (comp h/hash-of :record) [alice bob]))

(defn mirror
  "A mirror of `upstream`, which names the two people in its list."
  [{:keys [exchange clock] :as upstream} options]
  (mirror/mirror
    (merge {:servers [{:host "upstream" :encryption :none}] :store (store/memory) :hash provider-hash
            :domains {"social.example" provider-hash} :list #(hashes upstream)
            :exchange exchange :now #(deref clock) :random crypto/random-bytes}
      options)))

(defn ask
  "The response to `request` of a server that answers with `mirror`."
  [{:keys [source domains options] :as mirror} {:keys [type] :as request}]
  (let [server (server/server {:store (:store source) :config {:role (:role options) :software "poz test" :domains domains :mirrors []}
                               :answers nil :secret (bytes/secret (bytes/zeros 32)) :load (constantly 0) :now (:now source) :random (:random source)
                               :on-error #(throw %) :before #(mirror/prepare! mirror %)})
        b (server/handle server {:bytes (wire/encode-request (assoc request :id 3)) :contract :plain :address "192.0.2.1"})]
    (wire/decode-response b type)))

(defn submit!
  "Has the authority take the update of `person`."
  [{:keys [store config clock]} person]
  (authority/answer! store config {:type :submit :id 1 :payload (h/update-of person)} (a/facts @clock)))

(defn revised
  "`person` after another master revision at `now`, signed by the one key."
  [{:keys [record secret] :as person} now]
  (assoc person :record
    (merge record (master/finish (master/sign (master/draft record {:timestamp now}) 0 secret)))))
