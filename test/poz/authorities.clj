(ns poz.authorities
  "An authority in memory, without a network, for tests: `(world policy)` has its `:store`,
  `:config` and `:provider`; `ask` asks it, `activated` gives somebody a handle."
  (:require
   [poz.authority :as authority]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.handles :as h]
   [poz.store :as store]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def provider
  "The provider of social.example."
  (let [{:keys [record secret] :as p} (h/person "social")]
    (assoc p :record (-> (change/grant record :identity {:timestamp (+ (long h/t0) 1)})
                       (change/sign :identity :grant 0 secret)))))

(def provider-hash
  "Its original hash."
  (h/hash-of (:record provider)))

(defn address
  "The address of `handle` at social.example."
  [handle]
  {:handle handle :domain "social.example" :path []})

(defn config
  "The config of an authority with `policy`, a function."
  [policy]
  {:provider provider-hash :ring {0 (:secret provider)} :domains {"social.example" provider-hash}
   :mirrors [] :software "poz test" :policy policy})

(defn world
  "A new authority with `policy`; options go into its config."
  ([policy] (world policy {}))
  ([policy options]
   (let [s (store/memory)]
     (authority/install! s (:record provider) (+ (long h/t0) 10))
     {:store s :config (merge (config policy) options) :provider provider})))

(defn facts
  "The facts of a decision at `now`."
  [now]
  {:now now :random #(bytes/slice (crypto/sha3-256 (bytes/utf8 (str now))) 0 %)
   :challenge {:challenge (bytes/zeros 16) :difficulty 0 :valid-until (+ (long now) 1)}})

(defn ask
  "The response of the authority to `request` at `now`."
  [{:keys [store config]} now request]
  (authority/answer! store config (assoc request :id 7) (facts now)))

(defn asking
  "The request of `person` for `handle` at `now`."
  [person handle now]
  {:type :submit-request :payload (h/request person provider-hash (address handle) now)})

(defn activated
  "`person` with `handle` live at the authority, asked for at `now` and submitted 2 ms later."
  [world person handle now]
  (let [{:keys [payload]} (ask world now (asking person handle now))
        accepted (h/accepting person payload (inc (long now)))]
    (assert (= :accepted (:status (ask world (+ 2 (long now)) {:type :submit-signed :payload (h/update-of accepted)}))))
    accepted))
