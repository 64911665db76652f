(ns poz.kit.bases
  "The records that the conformance vectors are made of: a few plans (`poz.gen`), each with a
  name, and whole enough that every rule has something to be broken in.

  `base` gives one: `{:record :secrets :stages :issuers :providers}`; `file` its bytes, or
  those of one of its stages; `damaged` the bytes after edits, signed anew."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.damage.seal :as seal]
   [poz.damage.tree :as tree]
   [poz.gen :as gen]
   [poz.identity :as identity]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn digest
  "Some 32 bytes, always the same for one `text`."
  [text]
  (crypto/sha3-256 (bytes/utf8 text)))

(defn- service [name type]
  {:name name :type type
   :hosts [{:hostname "www.example" :port 443 :transport :tcp :encryption :noise-nk
            :public-key (digest "noise") :ca-key 3 :priority 1 :weight 2}]})

(defn- feed [name]
  {:name name :service (zone/entry-hash :service (service "" :feed))
   :chains [{:chain 1 :posting-keys [0 2]
             :checkpoints [{:type :genesis :serial 1 :post (digest "one") :timestamp gen/start}
                           {:type :verified :serial 7 :post (digest "seven") :timestamp gen/start}]}]})

(def bodies
  "Zone → the body that the full records have."
  {:identity []
   :feed [(feed "art") (feed "news")]
   :email [{:guid (bytes/slice (digest "guid") 0 16) :name "inbox" :key 4 :service (digest "mail")}]
   :auth {:groups [{:id 1 :keys [0 1]} {:id 2 :keys [0 1 2 3]} {:id 3 :keys [1 2]} {:id 4 :keys [0 5]}]
          :revocation-service (digest "revocations")}
   :service [(service "" :feed) (service "shop" :https)]})

(defn- grants [& zones]
  (for [zone zones] {:do :grant :zone zone :body (bodies zone) :handle 1}))

(def ^:private second-handle {:do :grant :zone :identity :body [] :handle 2})

(def ^:private full
  {:algorithms [:ed25519 :ed25519 :ed25519 :ed25519 :x25519 200] :master 1 :share 1})

(def plans
  "Name → plan."
  {:solo {:label "solo" :algorithms [:ed25519] :master 0}
   :trio {:label "trio" :algorithms [:ed25519 :ed25519 :ed25519 200] :master 3 :share 0}
   :pair {:label "pair" :algorithms [:ed25519 :ed25519 200] :master 1 :shape :whole}
   :house (assoc full :label "house"
            :steps (vec (concat [{:do :revise :master 1} {:do :revise :master 1}]
                          (grants :identity :feed :email :auth :service)
                          [second-handle {:do :deny :zone :service :n 1} {:do :deny :zone :auth :n 1}])))
   ;; stages 3 and 4 differ by a grant, 4 and 5 by a deny, 5 and 6 too, 6 and 7 by a grant again
   :moving (assoc full :label "moving"
             :steps [{:do :grant :zone :email :body (bodies :email)} {:do :revise :master 1}
                     {:do :grant :zone :feed :body (bodies :feed)} {:do :grant :zone :feed :body [(feed "more")]}
                     {:do :deny :zone :feed :n 1} {:do :deny :zone :feed :n 3}
                     {:do :grant :zone :feed :body []} {:do :revise :master 1}])
   :hybrid {:label "hybrid" :algorithms [:ed25519 :ml-dsa-65] :master 1 :share 1
            :steps [{:do :revise :master 4} {:do :grant :zone :service :body []}]}
   :kept {:label "kept" :algorithms [:ed25519 :ed25519] :share 0 :shape :unknown}
   :named {:label "named" :algorithms [:ed25519 :ed25519] :share 0 :shape :names}
   :draft {:label "draft" :algorithms [:ed25519 :ed25519] :master 1 :share 0 :shape :draft}
   :alien {:label "alien" :algorithms [:ed25519 200] :share 0 :shape :whole
           :steps [second-handle {:do :grant :zone :feed :body []}]}
   :member {:label "member" :algorithms [:ed25519 :ed25519 200] :share 1 :zones [:identity] :shape :whole}
   :burnt (assoc full :label "burnt"
            :steps (vec (concat (grants :auth)
                          [{:do :deny :zone :auth
                            :target (signing/key-hash (gen/key-entry :ed25519 "poz.gen burnt 2"))}])))})

(def ^:private built
  (memoize (fn [name] (gen/world (plans name)))))

(defn base
  "The world of the plan `name`, or of `[name stage]` with that stage as its `:record`."
  [name]
  (if (vector? name)
    (let [[name stage] name world (built name)]
      (assoc world :record (nth (:stages world) stage)))
    (built name)))

(defn file
  "The file of a base."
  [name]
  (record/encode (:record (base name))))

(def ^:private tree-of
  (memoize (fn [name] (tree/tree (file name)))))

(defn damaged
  "The file of the base `name` after `edits` (`poz.damage.tree`), signed anew unless `seal`
  is false."
  ([name edits] (damaged name edits true))
  ([name edits seal]
   (let [world (base name)
         tree (tree/edit-all (tree-of name) edits)]
     (tree/file (if seal (seal/seal tree world) tree)))))

;; ## Providers

(def ^:private first-entry
  (delay (first (zone/entries :identity (:identity-zone (:record (base :house)))))))

(def ^:private provider-steps
  {:provider []
   :denies-issue [{:do :deny :zone :identity :target (delay (:hash (identity/statement @first-entry)))}]
   :denies-key [{:do :deny :zone :identity :target (delay (signing/key-hash (gen/key-entry :ed25519 "poz.gen provider 0")))}]
   :moved-on [{:do :revise :master 0 :share 3 :zone :identity}]})

(defn- provider-record [name]
  (:record (gen/build (update (:plan @gen/provider) :steps into
                        (map #(if (:target %) (update % :target deref) %) (provider-steps name))))))

(defn provider
  "The file of the provider of the handles after further steps, `:provider`, `:denies-issue`,
  `:denies-key`, `:moved-on`, and after edits, which nobody signs."
  ([name] (provider name []))
  ([name edits]
   (tree/file (tree/edit-all (tree/tree (record/encode (provider-record name))) edits))))

(defn under-alien
  "`[file provider]`: the house's file with its first entry issued by a provider one of whose
  signers has a key of unknown algorithm."
  []
  (let [twice (fn [path] [[:twice (conj path 0)] [:int (conj path 1 :key) 2]])
        alien (tree/edit-all (tree/tree (record/encode (provider-record :provider)))
                (concat [[:int [:public-key-map 2 :algorithm] 200]]
                  (twice [:master-zone :delegations]) (twice [:identity-authority :keys])))
        sealed (seal/seal alien {:secrets (:secrets @gen/provider)})
        hash #(:bytes (tree/at % [:master-zone :original-master-hash]))
        {:keys [issuers] :as world} (base :house)
        entry [:identity-zone :grant :body]
        house (-> (tree/tree (record/encode (:record world)))
                (seal/relinked (hash alien) (hash sealed))
                (tree/edit-all [[:twice (conj entry 0 :authority-signatures 0)]
                                [:int (conj entry 0 :authority-signatures 1 :key) 2]]))]
    [(tree/file (seal/seal house (assoc world :issuers {(hash sealed) (first (vals issuers))})))
     (tree/file sealed)]))
