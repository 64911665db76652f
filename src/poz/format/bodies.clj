(ns poz.format.bodies
  "The bodies of the five sub-zones (format.md §7), part of the table in `poz.format`.")

(set! *warn-on-reflection* true)

(def path
  "The type of what stands between a provider's domain and a handle."
  [:list {:max 8} :segment])

(def encryption
  "The type of how private a host is."
  [:enum {:as :u8 :codes [[0 :none {:doc "none"}] [1 :tls {:doc "TLS"}]
                          [2 :noise-nk {:doc "Noise NK"}]]}])

(def types
  "Type name → type."
  {:identity-body
   [:list {:sort :encoding :id [:authority-hash :path :user-handle]}
    [:struct {:source true}
     [:identity-type {:doc "what kind of identity"} [:enum {:as :u8 :codes [[1 :poz {:doc "a POZ handle"}]]}]]
     [:authority-hash {:doc "the provider's original_master_hash"} :hash]
     [:authority-domain {:doc "the provider's domain"} :domain]
     [:path {:doc "between domain and handle"} path]
     [:user-handle {:doc "the name before the @"} :handle]
     [:user-poz-hash {:doc "original_master_hash of the record it was issued to"} :hash]
     [:authority-signatures {:doc "by the provider's Identity delegation"} :foreign-signatures]]]
   :feed-body
   [:list {:sort :encoding :id [:name]}
    [:struct {}
     [:name {:doc "the feed's name"} :name]
     [:service {:doc "service hash of where it is served"} [:bytes {:size 32 :names :service}]]
     [:chains {:doc "independent chains of posts"}
      [:list {:min 1 :sort [:chain]}
       [:struct {}
        [:chain {:doc "its number"} :u16]
        [:posting-keys {:doc "keys that may post"} [:list {:sort :item} [:index {:use :sign}]]]
        [:checkpoints {:doc "posts that fix what came before"}
         [:list {:sort [:serial :type]}
          [:struct {}
           [:type {:doc "what it fixes"}
            [:enum {:as :u8 :codes [[1 :genesis {:doc "the chain's first post"}]
                                    [2 :verified {:doc "all before was checked"}]
                                    [3 :resume {:doc "read from here"}]]}]]
           [:serial {:doc "the post's serial"} :u32]
           [:post {:doc "the post's hash"} :hash]
           [:timestamp {:doc "the post's time"} :time]]]]]]]]]
   :email-body
   [:list {:sort :encoding :id [:guid]}
    [:struct {}
     [:guid {:doc "the inbox's address"} [:bytes {:size 16}]]
     [:name {:doc "for the owner's eyes"} :name]
     [:key {:doc "mail is encrypted to it"} [:index {:use :agree}]]
     [:service {:doc "service hash of the mail host"} [:bytes {:size 32 :names :service}]]]]
   :auth-body
   [:struct {}
    [:groups {:doc "all keys of a group must sign a login challenge"}
     [:list {:sort [:id]}
      [:struct {}
       [:id {:doc "the group's number"} :u8]
       [:keys {:doc "2 (BASIC), 4 (STANDARD) or 8 (SECURE) keys"}
        [:list {:counts [2 4 8] :sort :item} [:index {:use :sign}]]]]]]
    [:revocation-service {:doc "service hash of where revocations are published"}
     [:optional {} [:bytes {:size 32 :names :service}]]]]
   :service-body
   [:list {:sort :encoding :id [:type :name]}
    [:struct {}
     [:name {:doc "empty for the only one of its type"} [:text {:max 255}]]
     [:type {:doc "what is served"}
      [:enum {:as :u8 :codes [[1 :poz-query {:doc "lookups"}]
                              [2 :poz-submit {:doc "submissions"}]
                              [3 :https {:doc "HTTPS"}]
                              [4 :mail {:doc "mail"}]
                              [5 :feed {:doc "feeds"}]
                              [6 :revocation {:doc "revocations"}]
                              [255 :custom {:doc "anything else, by its name"}]]}]]
     [:hosts {:doc "in the order written"}
      [:list {:min 1}
       [:struct {}
        [:hostname {:doc "where"} :domain]
        [:port {:doc "TCP or UDP port"} [:u16 {:min 1}]]
        [:transport {:doc "how"} [:enum {:as :u8 :codes [[1 :tcp {:doc "TCP"}] [2 :udp {:doc "UDP"}]]}]]
        [:encryption {:doc "how private"} encryption]
        [:public-key {:doc "the host's Noise key"} [:optional {} [:bytes {:size 32}]]]
        [:ca-key {:doc "the key that signs the host's certificates"} [:optional {} [:index {:use :sign}]]]
        [:priority {:doc "lower first"} :u16]
        [:weight {:doc "share of the load within one priority (RFC 2782)"} :u16]]]]]]

   ;; what is signed about them outside of a zone
   :identity-request-content
   [:struct {}
    [:authority-hash {:doc "the provider's original_master_hash"} :hash]
    [:authority-domain {:doc "the provider's domain"} :domain]
    [:path {:doc "between domain and handle"} path]
    [:user-handle {:doc "the name before the @"} :handle]
    [:user-poz-hash {:doc "original_master_hash of who asks"} :hash]
    [:timestamp {:doc "when it was asked"} :time]
    [:proof {:doc "what the provider's policy wants"} [:bytes {:prefix :u16}]]]
   :identity-request
   [:struct {}
    [:record {:doc "public view of who asks"} [:bytes {:prefix :u32}]]
    [:authority-domain {:doc "the provider's domain"} :domain]
    [:path {:doc "between domain and handle"} path]
    [:user-handle {:doc "the name before the @"} :handle]
    [:timestamp {:doc "when it was asked"} :time]
    [:proof {:doc "what the provider's policy wants"} [:bytes {:prefix :u16}]]
    [:signatures {:doc "by the Identity delegation of who asks, grant values 100 or more"} :foreign-signatures]]
   :login-challenge
   [:struct {}
    [:site {:doc "who asks for a login"} :domain]
    [:nonce {:doc "random, good for one login"} [:bytes {:size 32}]]]
   :login-content
   [:struct {}
    [:site {:doc "where the login goes"} :domain]
    [:nonce {:doc "the site's challenge"} [:bytes {:size 32}]]
    [:original-master-hash {:doc "who logs in"} :hash]
    [:group {:doc "the Auth Zone's group"} :u8]
    [:time {:doc "when"} :time]]
   :login-response
   [:struct {}
    [:site {:doc "where the login goes"} :domain]
    [:nonce {:doc "the site's challenge"} [:bytes {:size 32}]]
    [:original-master-hash {:doc "who logs in"} :hash]
    [:group {:doc "the Auth Zone's group"} :u8]
    [:time {:doc "when"} :time]
    [:signatures {:doc "by all keys of the group"} :foreign-signatures]]})
