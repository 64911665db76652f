(ns poz.format.held
  "What a server keeps beside the records, as part of the table in `poz.format`: never sent,
  and free to change with the migrations of a store."
  (:require
   [poz.format.bodies :as bodies]))

(set! *warn-on-reflection* true)

(def ^:private owner
  [:struct {}
   [:user {:doc "original_master_hash of the record"} :hash]
   [:issue {:doc "issue hash of the entry"} :hash]])

(def types
  "Type name → type."
  {:address
   [:struct {}
    [:domain {:doc "the provider's domain"} :domain]
    [:path {:doc "between domain and handle"} bodies/path]
    [:handle {:doc "the name before the @"} :handle]]
   :handle-state
   [:struct {}
    [:reserved {:doc "for whom, until when"}
     [:optional {} [:struct {}
                    [:user {:doc "original_master_hash of the record"} :hash]
                    [:until {:doc "when it lapses"} :time]]]]
    [:live {:doc "who has it"} [:optional {} owner]]
    [:former {:doc "who had it"} [:optional {} owner]]]
   :ticket-state
   [:struct {}
    [:request {:doc "what was asked"} :identity-request]
    [:user {:doc "original_master_hash of who asks"} :hash]
    [:decision {:doc "what became of it"}
     [:enum {:as :u8 :codes [[0 :pending {:doc "nobody has decided"}]
                             [1 :approved {:doc "the entry is issued when it is asked for"}]
                             [2 :rejected {:doc "policy says no"}]]}]]
    [:reason {:doc "for a person"} :string]]
   :checked-state
   [:struct {}
    [:at {:doc "when a cache or mirror last found it to be what its server has"} :time]]
   :ticket-index
   [:list {}
    [:struct {}
     [:ticket {:doc "its 16 bytes"} [:bytes {:size 16}]]
     [:user {:doc "original_master_hash of who asks"} :hash]
     [:until {:doc "when it may be forgotten"} :time]]]})
