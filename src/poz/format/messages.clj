(ns poz.format.messages
  "The network as data (protocol.md §1, §3–§5, §7), part of the table in `poz.format`: the
  types of messages, and rows for ports, kinds of request, statuses, limits.

  A request and a response are read in two steps: the type `:request` or `:response` gives
  a payload of bytes, and the row of its `:type` or `:status` the type of those bytes."
  (:require
   [poz.format.bodies :as bodies]))

(set! *warn-on-reflection* true)

(def limits
  "Numbers of the network that are not part of any field, each written here only: bytes,
  milliseconds, characters. `:request-payload` is as much as its length can say."
  {:request-payload 65535
   :response-payload (* 16 1024 1024)
   :noise-message 65535
   :noise-tag 16
   :noise-plaintext (- 65535 16)
   :exchange-ms 10000
   :idle-ms 3000
   :connections 10000
   :connections-per-address 100
   :reservation-ms (* 24 60 60 1000)
   :tickets 1000
   :ticket-ms (* 7 24 60 60 1000)
   :busy-ms 1000
   :problem-characters 500
   :well-known (* 64 1024)
   :redirects 3})

(def pow
  "Proof of work. `:difficulty` is asked for from a share of the load on, `[share bits]`,
  greatest last: what a server does is its own choice, and this is ours."
  {:window-ms (* 2 60 1000)
   :challenge-size 16
   :spent 65536
   :difficulty [[0 0] [1/2 12] [7/10 15] [17/20 18] [19/20 20]]})

(def ports
  "The contracts, each with the port where it is looked for and the encryption. The port's
  number is also what a Noise handshake of that contract is bound to."
  [{:contract :plain :port 7074 :encryption :none :name "PLAIN"
    :doc "public queries; answers verify themselves"}
   {:contract :query :port 7075 :encryption :noise-nk :name "QUERY"
    :doc "the same queries, private"}
   {:contract :submit :port 7076 :encryption :noise-nk :name "SUBMIT"
    :doc "submissions to an authoritative server"}])

(def noise
  "The handshake of the ports with `:noise-nk`; the prologue is this text and the port of the
  contract as `:port`."
  {:protocol "Noise_NK_25519_ChaChaPoly_SHA256"
   :prologue {:text "POZ0" :port :u16}})

;; ## Types

(def ^:private nothing [:struct {}])

(def ^:private file
  [:bytes {:rest true :min 1 :max (:response-payload limits) :doc "a record's file, or a part of it"}])

(def ^:private ticket [:bytes {:size 16 :doc "what a request is asked after by"}])

(def ^:private challenge [:bytes {:size (:challenge-size pow) :doc "of the server's making"}])

(def ^:private by-handle
  [3 :handle {:doc "whom a provider gave that handle"}
   [:struct {}
    [:domain {:doc "the provider's domain"} :domain]
    [:path {:doc "between domain and handle"} bodies/path]
    [:handle {:doc "the name before the @"} :handle]]])

(def requests
  "The kinds of request. `:payload` is the type of its payload, `:answers` those of the
  statuses that it alone has, `:on` the contracts that answer it; `:free` ones never cost
  work."
  (let [queries #{:plain :query} submissions #{:submit} all (into queries submissions)
        issuing {:ok :signed-entry :pending ticket}]
    [{:code 0x01 :type :master :name "MASTER" :payload :subject :answers {:ok file} :on queries
      :doc "key map, master zone and history"}
     {:code 0x02 :type :identity :name "IDENTITY" :payload [:tagged {:as :u8} by-handle] :answers {:ok file} :on queries
      :doc "those and the Identity Zone of the record bound to the handle"}
     {:code 0x03 :type :chain :name "CHAIN" :payload :chain-request :answers {:ok file} :on queries
      :doc "those with the history from a serial on"}
     {:code 0x04 :type :serial :name "SERIAL" :payload :subject :answers {:ok :serials} :on all
      :doc "the newest serials and hashes"}
     {:code 0x05 :type :record :name "RECORD" :payload :subject :answers {:ok file} :on queries
      :doc "the whole public view"}
     {:code 0x06 :type :zones :name "ZONES" :payload :zones-request :answers {:ok file} :on queries
      :doc "some zones with their authorities"}
     {:code 0x07 :type :mirrors :name "MIRRORS" :payload :subject :answers {:ok :mirrors} :on queries
      :doc "who else serves the record"}
     {:code 0x08 :type :challenge :name "CHALLENGE" :payload nothing :answers {:ok :challenge} :on all :free true
      :doc "what to work on"}
     {:code 0x09 :type :status :name "STATUS" :payload nothing :answers {:ok :server-status} :on all :free true
      :doc "who answers, and its clock"}
     {:code 0x20 :type :submit :name "SUBMIT" :payload file :answers {:ok :serials} :on submissions
      :doc "an update of a record"}
     {:code 0x21 :type :submit-request :name "SUBMIT_REQUEST" :payload :identity-request :answers issuing :on submissions
      :doc "asks a provider for a handle"}
     {:code 0x22 :type :request-status :name "REQUEST_STATUS" :payload ticket :answers issuing :on submissions
      :doc "asks what became of it"}
     {:code 0x23 :type :submit-signed :name "SUBMIT_SIGNED" :payload file :answers {:accepted :serials} :on submissions
      :doc "an update whose Identity Zone holds the entry"}]))

(def statuses
  "The kinds of response, with the type of their payload unless the request decides it."
  [{:code 0x00 :status :ok :name "OK" :doc "the answer"}
   {:code 0x01 :status :accepted :name "ACCEPTED" :doc "stored, and the handle is live"}
   {:code 0x02 :status :pending :name "PENDING" :doc "held for later"}
   {:code 0x10 :status :malformed :name "MALFORMED" :payload :problem :doc "the bytes are no request"}
   {:code 0x11 :status :unsupported :name "UNSUPPORTED" :payload :problem :doc "not answered here"}
   {:code 0x12 :status :not-found :name "NOT_FOUND" :payload nothing :doc "nothing is held"}
   {:code 0x13 :status :rejected :name "REJECTED" :payload :problem :doc "a rule is broken, or policy says no"}
   {:code 0x14 :status :conflict :name "CONFLICT" :payload [:optional {} :serials]
    :doc "not the successor of what is held, or the handle is taken"}
   {:code 0x15 :status :pow-required :name "POW_REQUIRED" :payload :challenge :doc "work is asked for"}
   {:code 0x16 :status :too-large :name "TOO_LARGE" :payload :u32 :doc "above this many bytes"}
   {:code 0x17 :status :busy :name "BUSY" :payload :u32 :doc "milliseconds to wait"}
   {:code 0x1F :status :failed :name "FAILED" :payload :problem :doc "a defect of the server"}])

(defn- codes [rows key]
  (mapv (juxt :code key #(select-keys % [:doc])) rows))

(def ^:private version
  [:literal {:hex "00" :code :format/code}])

(def types
  "Type name → type."
  {:request
   [:struct {}
    [:version {:doc "of the protocol"} version]
    [:type {:doc "what is asked"} [:enum {:as :u8 :open true :codes (codes requests :type)}]]
    [:id {:doc "the answer has it too"} :u16]
    [:pow {:doc "proof of work"} [:optional {} :pow]]
    [:payload {:doc "as its type says"} [:bytes {:prefix :u16 :max (:request-payload limits)}]]]
   :response
   [:struct {}
    [:version {:doc "of the protocol"} version]
    [:status {:doc "how it went"} [:enum {:as :u8 :codes (codes statuses :status)}]]
    [:id {:doc "of the request; 0 where it could not be read"} :u16]
    [:payload {:doc "as its status and the request's type say"} [:bytes {:prefix :u32}]]]
   :pow
   [:struct {}
    [:challenge {:doc "the server's"} challenge]
    [:timestamp {:doc "in the challenge's validity"} :time]
    [:nonce {:doc "what was found"} :unsigned]]

   :subject
   [:tagged {:as :u8}
    [1 :domain {:doc "the record that the server is authoritative for under that domain"} :domain]
    [2 :hash {:doc "the record with that original_master_hash"} :hash]
    by-handle]
   :chain-request
   [:struct {}
    [:subject {:doc "whose"} :subject]
    [:from {:doc "the history's first serial"} [:u32 {:min 1}]]]
   :zones-request
   [:struct {}
    [:subject {:doc "whose"} :subject]
    [:zones {:doc "which, by their authority sections' codes"} [:list {:sort :item} :zone-by-authority]]]

   :serials
   [:struct {}
    [:serial {:doc "the master zone's"} [:u32 {:min 1}]]
    [:current-master-hash {:doc "of that revision"} :hash]
    [:zones {:doc "those that are held"}
     [:list {:sort [:zone]}
      [:struct {}
       [:zone {:doc "by its zone section's code"} :zone-by-section]
       [:grant {:doc "the grant's serial"} [:u32 {:min 1}]]
       [:deny {:doc "the deny's serial"} :u32]
       [:zone-hash {:doc "of both"} :hash]]]]]
   :mirrors
   [:list {}
    [:struct {}
     [:hostname {:doc "where"} :domain]
     [:port {:doc "TCP port"} [:u16 {:min 1}]]
     [:encryption {:doc "how private"} bodies/encryption]
     [:public-key {:doc "the host's Noise key"} [:optional {} [:bytes {:size 32}]]]]]
   :challenge
   [:struct {}
    [:challenge {:doc "what to work on"} challenge]
    [:difficulty {:doc "zero bits asked for"} :u8]
    [:valid-until {:doc "the first moment when it is too late"} :time]]
   :server-status
   [:struct {}
    [:software {:doc "name and version"} :string]
    [:role {:doc "what it is to the records that it serves"}
     [:enum {:as :u8 :codes [[1 :authoritative {:doc "owns records"}]
                             [2 :cache {:doc "serves what it verified"}]
                             [3 :mirror {:doc "a cache that replicates one server"}]]}]]
    [:time {:doc "the server's clock"} :time]
    [:oldest {:doc "protocol version"} :u8]
    [:newest {:doc "protocol version"} :u8]]
   :signed-entry
   [:select [:item :identity-body] [:identity-type :authority-hash :authority-domain :path
                                    :user-handle :user-poz-hash :authority-signatures]]
   :problem
   [:struct {}
    [:code {:doc "which rule"} :string]
    [:message {:doc "for a person"} :string]]

   ;; what is hashed: never sent as such
   :pow-content
   [:struct {}
    [:challenge {:doc "as sent"} challenge]
    [:timestamp {:doc "as sent"} :time]
    [:nonce {:doc "as sent"} :unsigned]
    [:type {:doc "the request's"} [:enum {:as :u8 :codes (codes requests :type)}]]
    [:payload-hash {:doc "H(payload)"} :hash]]})

(def messages
  "The rows of this table, but for the types."
  {:ports ports
   :noise noise
   :requests requests
   :statuses statuses
   :limits limits
   :pow pow})
