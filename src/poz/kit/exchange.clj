(ns poz.kit.exchange
  "Vectors of what is no single file: updates, messages of the network, logins, requests for a
  handle, what a client remembers, evidence of a fork, sealed secrets. Rows `[id error
  question what & options]`; the question is a function of nothing that gives one
  (`poz.kit.answer`), so that nothing is built before it is wanted."
  (:require
   [clojure.string :as str]
   [poz.auth :as auth]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.damage.tree :as tree]
   [poz.gen :as gen]
   [poz.identity.issue :as issue]
   [poz.keyring :as keyring]
   [poz.kit.bases :as bases]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(def ^:private now gen/now)

;; ## Updates

(defn- update-of
  "A server that holds the base `held` (nil: nothing) is sent the base `name` after `edits`."
  ([held name] (update-of held name []))
  ([held name edits] (update-of held name edits now))
  ([held name edits now]
   (fn [] {:target :update :now now :held (when held (bases/file held)) :file (bases/damaged name edits)})))

(def ^:private deny-0 [:feed-zone :deny :denied 0])

(def updates
  "A server holds one record and is sent another. `[:moving n]` is that record's stage n."
  [["import" nil (update-of nil :house) "nothing is held"]
   ["unchanged" nil (update-of :house :house) "the same again"]
   ["revision" nil (update-of [:moving 1] [:moving 2]) "a new revision"]
   ["grant" nil (update-of [:moving 3] [:moving 4]) "a new grant"]
   ["deny" nil (update-of [:moving 4] [:moving 5]) "a first deny"]
   ["deny-more" nil (update-of [:moving 5] [:moving 6]) "a second deny"]
   ["grant-after-deny" nil (update-of [:moving 6] [:moving 7]) "a grant that carries revocations over"]
   ["rollback" :update/rollback (update-of :moving [:moving 1]) "an older revision"]
   ["fork" :update/fork (update-of :moving :moving [[:add [:master-zone :timestamp] 1]]) "another revision of the same serial"]
   ["not-public" :update/not-public (update-of nil :named) "a section that never leaves its holder"]
   ["other-record" :update/other-record (update-of :solo :house) "another record"]
   ["draft" :chain/draft (update-of nil :draft) "a draft" {:rule :chain/draft}]
   ["history-gap" :update/history-gap (update-of [:moving 0] :moving [[:drop [:zone-history]]]) "the history does not reach back"]
   ["key-map" :update/key-map (update-of [:moving 1] [:moving 1] [[:flip [:public-key-map 4 :key :content] 0]]) "a key that is cited is another"]
   ["timestamp-ahead" :update/timestamp-ahead (update-of [:moving 3] [:moving 4] [] (- (+ (long gen/start) 4000) 300001)) "a grant that is dated 5 minutes and 1 ms ahead"]
   ["timestamp-not-ahead" nil (update-of [:moving 3] [:moving 4] [] (- (+ (long gen/start) 4000) 300000)) "a grant that is dated 5 minutes ahead"]
   ["grant-serial" :update/grant-serial (update-of [:moving 3] [:moving 4] [[:add [:feed-zone :grant :serial] 1]]) "a grant's serial is left out"]
   ["previous-zone-hash" :update/previous-zone-hash (update-of [:moving 3] [:moving 4] [[:flip [:feed-zone :grant :previous-zone-hash] 0]]) "a grant that replaces another zone"]
   ["grant-timestamp" :update/grant-timestamp (update-of [:moving 3] [:moving 4] [[:int [:feed-zone :grant :timestamp] (+ (long gen/start) 3000)]])
    "a grant dated as what it replaces"]
   ["deny-not-empty" :update/deny-not-empty (update-of [:moving 3] [:moving 5]) "a grant that comes with a deny"]
   ["removal-below-deny" :update/removal-below-deny (update-of [:moving 3] [:moving 4] [[:drop [:feed-zone :grant :body 0]]])
    "an entry goes, and only a key that may grant has signed"]
   ["revoked-dropped" :update/revoked-dropped (update-of [:moving 6] [:moving 7] [[:drop [:feed-zone :grant :revoked 0]]]) "a revocation is not carried over"]
   ["revoked-added" :update/revoked-added
    (update-of [:moving 6] [:moving 7] [[:twice [:feed-zone :grant :revoked 1]] [:put [:feed-zone :grant :revoked 2 :target] (str/join (repeat 64 "f"))]])
    "a revocation is new"]
   ["deny-serial" :update/deny-serial (update-of [:moving 4] [:moving 5] [[:add [:feed-zone :deny :serial] 1]]) "a deny's serial is left out"]
   ["deny-timestamp" :update/deny-timestamp (update-of [:moving 5] [:moving 6] [[:int [:feed-zone :deny :timestamp] (+ (long gen/start) 5000)]])
    "a deny dated as the one before"]
   ["deny-not-superset" :update/deny-not-superset
    (update-of [:moving 5] [:moving 6] [[:int (conj deny-0 :reason) 4] [:int [:feed-zone :deny :denied 1 :reason] 4]]) "a denial is changed"]])

;; ## Messages

(defn- request
  "The bytes of a request after the function `f` of their hex."
  ([contract message] (request contract message identity))
  ([contract message f]
   (fn [] {:target :request :contract contract
           :file (bytes/hex-> (f (bytes/->hex (wire/encode-request message))))})))

(defn- response
  ([type message] (response type message identity))
  ([type message f]
   (fn [] {:target :response :type type
           :file (bytes/hex-> (f (bytes/->hex (wire/encode-response message type))))})))

(defn- at-byte
  "A function that puts the hex `x` in place of the byte `n`."
  [n x]
  (fn [hex] (str (subs hex 0 (* 2 (long n))) x (subs hex (* 2 (inc (long n)))))))

(def ^:private by-domain {:type :record :id 7 :payload {:domain "example.org"}})
(def ^:private status {:type :status :id 7 :payload {}})
(def ^:private by-handle {:type :identity :id 7 :payload {:handle {:domain "example.org" :path ["team"] :handle "alice"}}})
(def ^:private zones {:type :zones :id 7 :payload {:subject {:hash (bases/digest "who")} :zones [:identity :service]}})
(def ^:private worked (assoc by-domain :pow {:challenge (bytes/zeros 16) :timestamp now :nonce 1}))

(def messages
  "Requests and responses."
  [["request-domain" nil (request :plain by-domain) "RECORD by domain"]
   ["request-handle" nil (request :query by-handle) "IDENTITY by handle"]
   ["request-zones" nil (request :plain zones) "ZONES of two zones"]
   ["request-work" nil (request :plain worked) "a request with proof of work"]
   ["request-status" nil (request :submit status) "STATUS where submissions are taken"]
   ["request-version" :format/code (request :plain by-domain (at-byte 0 "01")) "version 1"]
   ["request-type" :wire/unsupported (request :plain by-domain (at-byte 1 "7f")) "a type that there is not"]
   ["request-port" :wire/unsupported (request :submit by-domain) "a query where submissions are taken"]
   ["request-pow-flag" :format/optional (request :plain by-domain (at-byte 4 "02")) "the flag of proof of work is 2"]
   ["request-short" :format/truncated (request :plain by-domain #(subs % 0 (- (count %) 2))) "the last byte is missing"]
   ["request-long" :format/trailing (request :plain by-domain #(str % "00")) "a byte after the message"]
   ["request-payload-long" :format/trailing (request :plain status (fn [hex] (str (subs hex 0 10) "000100"))) "a payload where there is none"]
   ["request-subject" :format/code (request :plain by-domain (at-byte 7 "04")) "a subject of unknown kind"]
   ["request-domain-upper" :format/domain (request :plain by-domain (at-byte 10 "45")) "a domain in upper case"]
   ["request-zones-descend" :format/unsorted (request :plain zones #(str (subs % 0 (- (count %) 8)) "00500010")) "zones that descend"]
   ["request-zone-code" :format/code (request :plain zones #(str (subs % 0 (- (count %) 8)) "00100060")) "a zone that there is not"]
   ["response-status" nil (response :status {:status :ok :id 7 :payload {:software "x" :role :cache :time now :oldest 0 :newest 0}}) "STATUS"]
   ["response-not-found" nil (response :record {:status :not-found :id 7 :payload {}}) "nothing is held"]
   ["response-code" :format/code (response :record {:status :not-found :id 7 :payload {}} (at-byte 1 "77")) "a status that there is not"]
   ["response-ok-empty" :format/truncated (response :record {:status :not-found :id 7 :payload {}} (at-byte 1 "00")) "a file of no bytes"]
   ["response-too-large" :wire/too-large (response :record {:status :not-found :id 7 :payload {}} #(str (subs % 0 8) "01000001")) "a payload of 16 MiB and a byte announced"]])

;; ## Logins

(def ^:private nonce (bases/digest "nonce"))

(defn- login-response [name group signers]
  (let [{:keys [record secrets]} (bases/base name)
        unsigned (auth/response record {:site "site.example" :nonce nonce} group now)]
    (reduce (fn [r i]
              (if (secrets i)
                (update r :signatures signing/sign (:public-key-map record) (:message (auth/statement r)) i (secrets i))
                (update r :signatures conj {:key i :signature (bytes/zeros 64)})))
      unsigned signers)))

(defn- login
  "A login with a group, signed by `signers`; `asked` goes into the question."
  ([group signers] (login group signers {}))
  ([group signers {:keys [of against edits response] :or {of :house edits []} :as asked}]
   (fn []
     (merge {:target :login :now now :site "site.example" :nonce nonce :held (bases/damaged (or against of) edits)
             :file (codec/encode auth/response-codec (merge (login-response of group signers) response))}
       (dissoc asked :of :against :edits :response)))))

(def logins
  "Login responses."
  [["login" nil (login 1 [0 1]) "all keys of a BASIC group"]
   ["login-standard" nil (login 2 [0 1 2 3]) "all keys of a STANDARD group"]
   ["login-site" :login/other-site (login 1 [0 1] {:site "other.example"}) "signed for another site" {:rule :login/site}]
   ["login-challenge" :login/other-challenge (login 1 [0 1] {:nonce (bases/digest "another")}) "signed over another nonce" {:rule :login/challenge}]
   ["login-record" :login/other-record (login 1 [0 1] {:against :moving}) "signed for another record" {:rule :login/record}]
   ["login-late" :login/time (login 1 [0 1] {:now (+ (long now) 300001)}) "5 minutes and 1 ms old" {:rule :login/time}]
   ["login-zone" :login/no-valid-zone (login 1 [0 1] {:edits [[:drop [:auth-zone :grant :signatures 0]]]}) "the Auth Zone does not hold" {:rule :login/zone}]
   ["login-group" :login/no-such-group (login 9 [0 1]) "a group that there is not" {:rule :login/group}]
   ["login-revoked" :login/key-revoked (login 3 [1 2] {:of :burnt}) "a key of the group is revoked" {:rule :login/revoked}]
   ["login-keys" :login/not-all-keys (login 2 [0 1 2]) "three of four keys" {:rule :login/keys}]
   ["login-stray" :login/not-all-keys (login 1 [0 1 2]) "a key too many" {:rule :login/keys}]
   ["login-bad" :signature/bad (login 1 [0 1] {:response {:time (dec (long now))}}) "dated otherwise than signed" {:rule :signature/verifies}]
   ["login-unknown-algorithm" :signature/unknown-algorithm (login 4 [0 5]) "a key of unknown algorithm in the group" {:rule :signature/known-algorithm}]
   ["login-short" :format/truncated (login 1 [0 1] {:file (bytes/hex-> "000c")}) "bytes that end too soon" {:rule nil}]])

;; ## Requests for a handle

(def ^:private provider (delay (record/original-hash (:record @gen/provider))))

(defn- signed-by [request record secrets signers]
  (reduce (fn [r i]
            (if (secrets i)
              (update r :signatures signing/sign (:public-key-map record)
                (:message (issue/request-statement r (record/original-hash record) @provider)) i (secrets i))
              (update r :signatures conj {:key i :signature (bytes/zeros 64)})))
    request signers))

(defn- asks
  "The member asks for a handle; `asked` goes into the question."
  ([signers] (asks signers {}))
  ([signers {:keys [edits seal request] :or {edits [] seal true} :as asked}]
   (fn []
     (let [{:keys [secrets]} (bases/base :member)
           file (bases/damaged :member edits seal)
           record (record/decode file)
           unsigned (assoc (issue/request record {:handle "alice" :domain "social.example" :path []} now bytes/empty) :record file)]
       (merge {:target :handle :now now :provider @provider
               :file (codec/encode issue/request-codec (merge (signed-by unsigned record secrets signers) request))}
         (dissoc asked :edits :seal :request))))))

(def handles
  "Requests for a handle, as a provider checks them."
  [["handle" nil (asks [0 1]) "signed by both keys"]
   ["handle-late" :request/timestamp (asks [0 1] {:now (+ (long now) 300001)}) "5 minutes and 1 ms old"]
   ["handle-record" :request/record (asks [0 1] {:edits [[:flip [:master-zone :signatures 0 :signature :content] 0]] :seal false}) "the record that asks does not hold"]
   ["handle-stray" :signature/stray (asks [0 1 2] {:edits [[:int [:public-key-map 2 :algorithm] 1]]}) "signed by a key that is not delegated"]
   ["handle-below" :request/below-threshold (asks [0]) "signed by one of two" {:rule :request/threshold}]
   ["handle-bad" :signature/bad (asks [0 1] {:request {:user-handle "mallory"}}) "another handle than was signed" {:rule :signature/verifies}]
   ["handle-unknown-algorithm" :signature/unknown-algorithm
    (asks [0 1 2] {:edits [[:twice [:master-zone :delegations 1]] [:int [:master-zone :delegations 2 :key] 2]]}) "a key of unknown algorithm signs too"
    {:rule :signature/known-algorithm}]])

;; ## The rest

(defn- seen [before after]
  (fn [] {:target :memory :held (before) :file (after)}))

(defn- of ([name] #(bases/file name)) ([name edits] #(bases/damaged name edits)))

(def ^:private forked [[:add [:master-zone :timestamp] 1]])

(defn- evidence [a b]
  (bytes/utf8 (str (record/armor a) "\n" (record/armor b))))

(defn- prove [f]
  (fn [] {:target :fork :now now :file (f)}))

(def ^:private passphrase "open sesame")

(defn- sealed
  "The file of a base with its secrets sealed, after edits."
  [name edits]
  (let [{:keys [record secrets]} (bases/base name)
        numbers (fn [n] (bytes/slice (bases/digest "salt and nonce") 0 n))
        costs {:random numbers :memory-kib 8192 :passes 1 :lanes 1}
        file (record/encode (keyring/seal record secrets (keyring/passphrase passphrase) costs))]
    (tree/file (tree/edit-all (tree/tree file) edits))))

(defn- opens [phrase name edits]
  (fn [] {:target :secrets :passphrase (bytes/utf8 phrase) :file (sealed name edits)}))

(def others
  "What a client remembers, evidence of a fork, sealed secrets."
  [["memory" nil (seen (of [:moving 3]) (of :moving)) "a newer record than was seen"]
   ["memory-rollback" :memory/rollback (seen (of :moving) (of [:moving 3])) "an older record than was seen"]
   ["memory-fork" :memory/fork (seen (of :moving) (of :moving forked)) "another revision of the serial that was seen"]
   ["fork" nil (prove #(evidence (bases/file [:moving 2]) (bases/damaged [:moving 2] forked))) "two revisions with one parent"]
   ["fork-none" :fork/none (prove #(evidence (bases/file [:moving 1]) (bases/file [:moving 2]))) "one continues the other"]
   ["fork-evidence" :fork/evidence (prove #(bytes/utf8 (record/armor (bases/file :moving)))) "one record alone"]
   ["secrets" nil (opens passphrase :pair []) "the passphrase"]
   ["secrets-wrong" :keyring/wrong-passphrase (opens "open barley" :pair []) "another passphrase"]
   ["secrets-changed" :keyring/wrong-passphrase (opens passphrase :pair [[:flip [:private-key-map :sealed :content] 3]]) "a sealed byte changed"]
   ["secrets-mismatch" :keyring/key-mismatch (opens passphrase :pair [[:flip [:public-key-map 1 :key :content] 3]]) "a secret of another key"]
   ["secrets-absent" :keyring/absent (fn [] {:target :secrets :passphrase (bytes/utf8 passphrase) :file (bases/file :solo)}) "a record without secrets"]])
