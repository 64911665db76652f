(ns poz.format
  "POZ version 0 as one piece of data: every section, field, code and limit.

  `format` is the whole table. Everything else in poz that knows a number or a field
  got it from here: reader, writer, size bounds, schema, generators, hexdump, docs.

  A type is a keyword (a scalar such as `:u16`, or a name in `:types`) or a vector
  `[kind props & arguments]`, the shape that Malli uses. A struct lists its fields in
  the order of their bytes: `[key {:doc …} type]`. What each kind and property means
  is told in `poz.codec.node`. Rules that hold between the fields of one struct are
  small expressions: a keyword is that field's value, a vector an operation.

  Rules that need a hash, a signature or a sum are not here: see `poz.verify`."
  (:refer-clojure :exclude [format])
  (:require
   [clojure.string :as str]
   [poz.format.bodies :as bodies]
   [poz.format.held :as held]
   [poz.format.messages :as messages]))

(set! *warn-on-reflection* true)

(def limits
  "Numbers that are not part of any field, each written here only."
  {:max-file-size (* 16 1024 1024)
   :threshold 100
   :max-signatures 64
   :far-future-ms (* 24 60 60 1000)
   :server-skew-ms (* 5 60 1000)
   :login-skew-ms (* 5 60 1000)
   :armor-line 64
   :argon2id {:memory-kib 65536 :passes 3 :lanes 4 :salt-size 16 :nonce-size 12 :key-size 32}})

(def algorithms
  "The signature and agreement algorithms. Sizes in bytes; `:use` is what an index of
  such a key may be cited for."
  [{:code 0x01 :key :ed25519 :use :sign :key-size 32 :signature-size 64 :secret-size 32
    :doc "Ed25519 (RFC 8032), verified strictly"}
   {:code 0x02 :key :x25519 :use :agree :key-size 32 :secret-size 32
    :doc "X25519 (RFC 7748)"}
   {:code 0x03 :key :ml-dsa-65 :use :sign :key-size 1952 :signature-size 3309 :secret-size 32
    :doc "ML-DSA-65 (FIPS 204), pure, empty context; the secret is the seed ξ"}])

(def zones
  "The five sub-zones: the codes of their authority and zone sections, and their bodies."
  [{:zone :identity :authority 0x0010 :section 0x0011 :name "Identity Zone" :body :identity-body
    :doc "handles that providers attest"}
   {:zone :feed :authority 0x0020 :section 0x0021 :name "Public Feed Zone" :body :feed-body
    :doc "feeds, the keys that post to them, checkpoints"}
   {:zone :email :authority 0x0030 :section 0x0031 :name "Email Zone" :body :email-body
    :doc "inboxes, addressed by GUID only"}
   {:zone :auth :authority 0x0040 :section 0x0041 :name "Auth Zone" :body :auth-body
    :doc "groups of keys that log in together"}
   {:zone :service :authority 0x0050 :section 0x0051 :name "Service Zone" :body :service-body
    :doc "hosts and their keys"}])

(defn- codes [rows code value]
  (mapv (juxt code value #(select-keys % [:doc])) rows))

(defn- sized-by-algorithm [field size]
  {:code :format/length
   :field field
   :rule (str "the " (name field) " of a known algorithm has its exact length")
   :check [:= [:count field] [:lookup (into {} (map (juxt :key size)) algorithms)
                              :algorithm [:count field]]]})

(defn- zone-type
  "A zone section: what the grant quorum stands for, what the deny quorum took away."
  [body]
  [:struct {}
   [:grant {:doc "what the grant quorum stands for"}
    [:struct {:source true
              :rules [{:code :format/consistency
                       :field :previous-zone-hash
                       :rule "previous_zone_hash is zero iff serial is 1"
                       :check [:iff [:= :serial 1] [:zero :previous-zone-hash]]}]}
     [:serial {:doc "1, then +1 per grant"} [:u32 {:min 1}]]
     [:timestamp {:doc "when this grant was made"} :time]
     [:previous-zone-hash {:doc "zone hash of the zone that this one replaces; zero iff serial is 1"} :hash]
     [:body {:doc "the entries"} body]
     [:revoked {:doc "revocations that outlive a grant"} :denials]
     [:signatures {:doc "grant values sum to 100 or more"} :signatures]]]
   [:deny {:doc "what the deny quorum has since taken away"}
    [:struct {:source true
              :rules [{:code :format/consistency
                       :field :timestamp
                       :rule "timestamp is 0 when serial is 0"
                       :check [:implies [:= :serial 0] [:= :timestamp 0]]}
                      {:code :format/consistency
                       :field :denied
                       :rule "denied is empty iff serial is 0"
                       :check [:iff [:= :serial 0] [:= [:count :denied] 0]]}
                      {:code :format/consistency
                       :field :signatures
                       :rule "there are no signatures when serial is 0"
                       :check [:implies [:= :serial 0] [:= [:count :signatures] 0]]}]}
     [:serial {:doc "0: nothing denied since this grant"} :u32]
     [:timestamp {:doc "when this deny was made; 0 when serial is 0"} :time]
     [:denied {:doc "what no longer counts; empty iff serial is 0"} :denials]
     [:signatures {:doc "deny values sum to 100 or more"} :signatures]]]])

(defn- zone-code
  "The type of a zone that is told by the code of one of its two sections."
  [section]
  [:enum {:as :u16 :codes (codes zones section :zone)}])

(def ^:private types
  {:zone-by-authority (zone-code :authority)
   :zone-by-section (zone-code :section)
   :hash [:bytes {:size 32 :doc "SHA3-256 (FIPS 202)"}]
   :time [:u64 {:max 253402300799999 :doc "milliseconds since 1970-01-01T00:00:00Z, below year 10000"}]
   :string [:text {:max 65535}]
   :name [:text {:min 1 :max 255}]
   :handle [:text {:min 1 :max 255 :form :handle}]
   :segment [:text {:min 1 :max 63 :form :handle}]
   :domain [:text {:min 1 :max 253 :form :domain}]
   :share [:u8 {:max 100}]

   :header
   [:struct {}
    [:magic {:doc "\"POZ\""} [:literal {:hex "504f5a" :code :format/magic}]]
    [:version {:doc "format version"} [:literal {:hex "00" :code :format/version}]]
    [:size {:doc "bytes of the whole file, header included"} :u32]]
   :toc
   [:list {:min 1 :max 64 :sort [:type]}
    [:struct {}
     [:type {:doc "section type"} :u16]
     [:offset {:doc "counted from the file's first byte"} :u32]
     [:length {:doc "bytes"} :u32]]]

   :algorithm [:enum {:as :u8 :open true :codes (codes algorithms :code :key)}]
   :public-key-map
   [:list {:min 1 :max 1024 :distinct true}
    [:struct {:rules [(sized-by-algorithm :key :key-size)]}
     [:algorithm {:doc "what the key is for; an unknown one is kept"} :algorithm]
     [:key {:doc "the public key"} [:bytes {:prefix :u16 :min 1 :max 8192}]]]]

   :signatures
   [:list {:max (:max-signatures limits) :sort [:key]}
    [:struct {}
     [:key {:doc "who signed"} :index]
     [:signature {:doc "over context ‖ 0x00 ‖ H(content, bindings)"} [:bytes {:prefix :u16}]]]]
   :foreign-signatures
   [:list {:max (:max-signatures limits) :sort [:key]}
    [:struct {}
     [:key {:doc "index in the provider's Public Key Map"} :u16]
     [:signature {:doc "over context ‖ 0x00 ‖ H(content)"} [:bytes {:prefix :u16}]]]]

   :master-zone
   [:struct {:source true
             :rules [{:code :format/consistency
                      :field :previous-master-hash
                      :rule "previous_master_hash is zero iff serial is 1"
                      :check [:iff [:= :serial 1] [:zero :previous-master-hash]]}
                     {:code :format/consistency
                      :field :original-timestamp
                      :rule "at serial 1 original_timestamp is timestamp"
                      :check [:implies [:= :serial 1] [:= :original-timestamp :timestamp]]}
                     {:code :format/consistency
                      :field :original-master-hash
                      :rule "at serial 1 original_master_hash is current_master_hash"
                      :check [:implies [:= :serial 1]
                              [:= :original-master-hash :current-master-hash]]}]}
    [:original-master-hash {:doc "the permanent identity: genesis's current_master_hash"} :hash]
    [:original-timestamp {:doc "genesis's timestamp"} :time]
    [:current-master-hash {:doc "H(content, bindings, encoded signatures); zero in a draft"} :hash]
    [:previous-master-hash {:doc "the former revision's; zero iff serial is 1"} :hash]
    [:serial {:doc "1 at genesis"} [:u32 {:min 1}]]
    [:timestamp {:doc "this revision's"} :time]
    [:master-keys {:doc "who may change the master zone: in some one group, values of 100 or more"}
     [:list {:min 1 :sort [:group :key]}
      [:struct {}
       [:group {:doc "groups never combine"} :u8]
       [:key {:doc "a key that signs"} [:index {:use :sign}]]
       [:value {:doc "its weight in this group"} [:u8 {:min 1 :max 100}]]]]]
    [:delegations {:doc "who may grant and deny in each sub-zone"}
     [:list {:sort [:authority :key]}
      [:struct {:rules [{:code :format/range
                         :field :grant
                         :rule "grant and deny are not both 0"
                         :check [:< 0 [:+ :grant :deny]]}]}
       [:authority {:doc "the zone, by its authority section's code"}
        (zone-code :authority)]
       [:key {:doc "a key that signs"} [:index {:use :sign}]]
       [:grant {:doc "its weight in a grant"} :share]
       [:deny {:doc "its weight in a deny"} :share]]]]
    [:signatures {:doc "by the former revision's master keys and by its own"} :signatures]]

   :authority
   [:struct {:source true}
    [:master-zone-hash {:doc "current_master_hash of the revision that delegated"} :hash]
    [:keys {:doc "exactly the keys and values that it delegated"}
     [:list {:sort [:key]}
      [:struct {}
       [:key {:doc "a key that signs"} [:index {:use :sign}]]
       [:grant {:doc "its weight in a grant"} :share]
       [:deny {:doc "its weight in a deny"} :share]]]]]

   :denials
   [:list {:sort [:target]}
    [:struct {}
     [:target {:doc "entry hash; also a key hash, a provider's issue hash"} :hash]
     [:timestamp {:doc "when it was denied"} :time]
     [:reason {:doc "why"}
      [:enum {:as :u8 :error :format/range
              :codes [[0 :unspecified {:doc "not told"}]
                      [1 :compromised {:doc "in the wrong hands"}]
                      [2 :superseded {:doc "replaced"}]
                      [3 :retired {:doc "no longer used"}]
                      [4 :abuse {:doc "misused"}]]}]]]]

   :private-key-map
   [:struct {:rules [{:code :format/range
                      :field :memory-kib
                      :rule "memory_kib is at least 8 per lane"
                      :check [:<= [:* 8 :lanes] :memory-kib]}
                     {:code :format/range
                      :field :passes
                      :rule "memory_kib × passes is at least 8192"
                      :check [:<= 8192 [:* :memory-kib :passes]]}]}
    [:kdf {:doc "how the passphrase becomes a key"}
     [:enum {:as :u8 :codes [[1 :argon2id {:doc "Argon2id v0x13 (RFC 9106)"}]]}]]
    [:memory-kib {:doc "Argon2id memory, KiB"} [:u32 {:max 1048576}]]
    [:passes {:doc "Argon2id passes"} [:u32 {:min 1 :max 32}]]
    [:lanes {:doc "Argon2id lanes"} [:u8 {:min 1 :max 16}]]
    [:salt {:doc "fresh each time it is written"} [:bytes {:size 16}]]
    [:cipher {:doc "what seals the secrets"}
     [:enum {:as :u8 :codes [[1 :chacha20-poly1305 {:doc "ChaCha20-Poly1305 (RFC 8439)"}]]}]]
    [:nonce {:doc "fresh each time it is written"} [:bytes {:size 12}]]
    [:sealed {:doc "ciphertext ‖ tag of the secrets"} [:bytes {:prefix :u32 :min 16}]]]
   :private-key-header
   [:select :private-key-map [:kdf :memory-kib :passes :lanes :salt :cipher :nonce]]
   :private-keys
   [:list {:min 1 :sort [:key]}
    [:struct {}
     [:key {:doc "whose secret"} :index]
     [:secret {:doc "seed or scalar"} [:bytes {:prefix :u16}]]]]

   :zone-history [:list {:min 1} [:sized {:prefix :u32} :master-zone]]
   :key-names
   [:list {:min 1 :sort [:key]}
    [:struct {}
     [:key {:doc "which key"} :index]
     [:name {:doc "what its holder calls it"} :name]]]

   ;; what is signed and hashed: parts of the sections, never stored as such
   :master-content
   [:select :master-zone [:original-master-hash :original-timestamp :previous-master-hash
                          :serial :timestamp :master-keys :delegations]]
   :identity-content
   [:select [:item :identity-body] [:identity-type :authority-hash :authority-domain
                                    :path :user-handle :user-poz-hash]]
   :deny-content
   [:struct {}
    [:original-master-hash {:doc "whose zone"} :hash]
    [:authority {:doc "the whole authority section"} :authority]
    [:grant-hash {:doc "the grant that this deny is about"} :hash]
    [:serial {:doc "as in the deny"} :u32]
    [:timestamp {:doc "as in the deny"} :time]
    [:denied {:doc "as in the deny"} :denials]]
   :deny-digest
   [:struct {}
    [:serial {:doc "as in the deny"} :u32]
    [:timestamp {:doc "as in the deny"} :time]
    [:denied {:doc "as in the deny"} :denials]]})

(defn- grant-content [body]
  [:struct {}
   [:original-master-hash {:doc "whose zone"} :hash]
   [:authority {:doc "the whole authority section"} :authority]
   [:serial {:doc "as in the grant"} [:u32 {:min 1}]]
   [:timestamp {:doc "as in the grant"} :time]
   [:previous-zone-hash {:doc "as in the grant"} :hash]
   [:body {:doc "as in the grant"} body]
   [:revoked {:doc "as in the grant"} :denials]])

(defn- section-key [zone suffix] (keyword (str (name zone) suffix)))

(def ^:private zone-types
  (into {} (mapcat (fn [{:keys [zone body]}]
                     [[(section-key zone "-zone") (zone-type body)]
                      [(section-key zone "-grant-content") (grant-content body)]]))
    zones))

(def sections
  "The 15 section types in the order of their codes: `:code`, the `:key` under which a
  record map holds it, its `:type`; `:private` ones never leave their holder."
  (-> [{:code 0x0000 :key :public-key-map :type :public-key-map :required true
        :name "Public Key Map" :doc "all keys; an index is a position here"}
       {:code 0x0001 :key :master-zone :type :master-zone :required true
        :name "Master Zone" :doc "the root of authority"}]
    (into (mapcat (fn [{:keys [zone authority section body doc] zone-name :name}]
                    [{:code authority :key (section-key zone "-authority") :type :authority
                      :pair (section-key zone "-zone")
                      :name (str (str/capitalize (name zone)) " Authority")
                      :doc (str "who may grant and deny in the " zone-name)}
                     {:code section :key (section-key zone "-zone") :type (section-key zone "-zone")
                      :pair (section-key zone "-authority") :body body :name zone-name :doc doc}]))
      zones)
    (into [{:code 0x8002 :key :private-key-map :type :private-key-map :private true
            :name "Private Key Map" :doc "secrets, sealed under a passphrase"}
           {:code 0x8003 :key :zone-history :type :zone-history
            :name "Zone History" :doc "former revisions of the Master Zone, oldest first"}
           {:code 0x8004 :key :key-names :type :key-names :private true
            :name "Key Names" :doc "what the holder calls the keys"}])))

(def statements
  "What is ever signed: the context that names it and the type of its content."
  (into {:master {:context "POZ0 master" :content :master-content}
         :identity-entry {:context "POZ0 identity entry" :content :identity-content}
         :identity-request {:context "POZ0 identity request" :content :identity-request-content}
         :login {:context "POZ0 login" :content :login-content}}
    (mapcat (fn [{:keys [zone]}]
              [[(section-key zone "-grant") {:context (str "POZ0 " (name zone) " grant")
                                             :content (section-key zone "-grant-content")}]
               [(section-key zone "-deny") {:context (str "POZ0 " (name zone) " deny")
                                            :content :deny-content}]]))
    zones))

(def format
  "The whole table."
  {:version 0
   :limits limits
   :algorithms algorithms
   :zones zones
   :sections sections
   :statements statements
   :messages messages/messages
   :types (merge types bodies/types held/types messages/types zone-types)})
