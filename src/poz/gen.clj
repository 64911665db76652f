(ns poz.gen
  "Records that hold, of every shape, from nothing but numbers: for those who test readers and
  verifiers, ours or another.

  A *plan* is plain data, the life of a record: its keys, who may sign, then one step after
  another, a revision, a grant or a deny. `plans` generates plans (test.check); `build`
  plays one and signs every step with keys that are made from the plan's `:label`, so
  that the same plan gives the same bytes everywhere. Plans shrink, and signatures need
  not: what a smaller plan builds is signed anew.

  - `build` plan → `{:record :secrets :stages}`; `world` with what else is needed to judge it
  - `plans`, `requests`, `responses` generators; `drawn` the value of one for a seed
  - `provider`, who issues the handles in the records

  Any plan can be built: a step that makes no sense where it stands is passed over."
  (:require
   [clojure.test.check.generators :as gen]
   [clojure.test.check.random :as random]
   [clojure.test.check.rose-tree :as rose]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.gen :as codec-gen]
   [poz.codec.node :as node]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.format.messages :as messages]
   [poz.identity.issue :as issue]
   [poz.master :as master]
   [poz.record :as record]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def start
  "When every record begins: 2026-01-01."
  1767225600000)

(def now
  "The clock by which everything built here is judged: 2026-11-01."
  1793491200000)

;; ## Keys

(defn secret
  "The secret of the key called `label`: its SHA3-256."
  [label]
  (bytes/secret (crypto/sha3-256 (bytes/utf8 label))))

(def ^:private public-key
  (memoize (fn [algorithm label] (crypto/public-key algorithm (secret label)))))

(defn key-entry
  "The key map's entry of the key called `label`; of an algorithm that is a number, any bytes."
  [algorithm label]
  {:algorithm algorithm
   :key (if (int? algorithm) (crypto/sha3-256 (bytes/utf8 label)) (public-key algorithm label))})

(defn- labels [{:keys [label algorithms]}]
  (mapv #(str "poz.gen " label " " %) (range (count algorithms))))

(def ^:private signs? #{:ed25519 :ml-dsa-65})

;; ## Who may sign
;;
;; Each way is a function of the keys that can sign, `a b c …`, the last being the spare one.

(defn- all-of [group values keys]
  (map (fn [key value] {:group group :key key :value value}) keys values))

(defn- master-keys
  "The master keys of the `way`, over the indexes `signing`."
  [way signing]
  (let [n (count signing)
        rows (case (long (mod way 5))
               0 (all-of 0 [100] signing)
               1 (all-of 0 (if (= 1 n) [100] [50 50]) signing)
               2 (if (< n 3) (all-of 1 [100] signing) (all-of 1 [34 33 33] signing))
               3 (mapcat #(all-of %1 [100] [%2]) (range 3) signing)
               4 (concat (all-of 0 (if (= 1 n) [100] [60 40]) signing) (all-of 9 [100] [(peek signing)])))]
    (vec (sort-by (juxt :group :key) rows))))

(defn- shares [way zone signing]
  (let [rows (case (long (mod way 4))
               0 [[100 100]]
               1 [[50 100] [50 100]]
               2 [[100 0] [0 100]]
               3 [[34 34] [33 33] [33 33]])
        rows (if (< (count signing) (count rows)) [[100 100]] rows)]
    (map (fn [key [grant deny]] {:authority zone :key key :grant grant :deny deny}) signing rows)))

(defn- delegated [delegations way zone signing]
  (into (filterv #(not= zone (:authority %)) delegations) (shares way zone signing)))

;; ## Signing

(defn- signed-revision [draft secrets]
  (master/finish
    (reduce (fn [draft i]
              (if (:complete (master/status draft)) (reduced draft) (master/sign draft i (secrets i))))
      draft (filter secrets (master/named draft)))))

(defn- signed-part [record zone part secrets]
  (let [named (map :key (:keys (:authority (zone/sections record zone))))]
    (reduce (fn [record i]
              (if (:complete (change/status record zone part false))
                (reduced record)
                (change/sign record zone part i (secrets i))))
      record (filter secrets named))))

;; ## Steps

(declare provider)

(defn- issued
  "The entry by which the provider gives `record` the handle `n`."
  [{{:keys [master-zone]} :record :keys [secrets] provider :record} record n]
  (let [asked {:authority-domain "social.example" :path [] :user-handle (str "user" n)}
        entry (issue/entry asked (record/original-hash record) (:original-master-hash master-zone))]
    (issue/sign-entry entry provider 0 (secrets 0))))

(defn- own-entries
  "The `entries` of an Identity Zone, as issued to `record`."
  [record entries]
  (mapv #(assoc % :user-poz-hash (record/original-hash record)) entries))

(defn- grant-options [record {:keys [zone body handle]} timestamp]
  (let [entries (if (= :auth zone) (:groups body) body)]
    (cond-> {:timestamp timestamp
             :add (if (= :identity zone) (own-entries record entries) entries)}
      (and (= :identity zone) handle) (update :add conj (issued @provider record handle))
      (and (= :auth zone) (:revocation-service body)) (assoc :revocation-service (:revocation-service body)))))

(defn- granted [record step secrets timestamp]
  (let [{:keys [zone]} step
        changed (change/grant record zone (grant-options record step timestamp))]
    (if (error/anomaly? changed) record (signed-part changed zone :grant secrets))))

(defn- target [record {:keys [zone n target]}]
  (let [entries (zone/entries zone (:zone (zone/sections record zone)))]
    (cond
      target target
      (and (seq entries) (even? n)) (zone/entry-hash zone (nth entries (mod n (count entries))))
      :else (crypto/sha3-256 (bytes/utf8 (str "denied " n))))))

(defn- standing? [record zone]
  (= (:keys (:authority (zone/sections record zone))) (zone/delegation (:master-zone record) zone)))

(defn- denied [record {:keys [zone] :as step} secrets timestamp]
  (if (and (zone/sections record zone) (standing? record zone))
    (let [changed (change/deny record zone [{:target (target record step) :reason :retired}] {:timestamp timestamp})]
      (if (error/anomaly? changed) record (signed-part changed zone :deny secrets)))
    record))

(defn- new-key [{:keys [label]} record]
  (key-entry :ed25519 (str "poz.gen " label " more " (count (:public-key-map record)))))

(defn- revised [plan record {:keys [master share zone more]} {:keys [secrets signing]} timestamp]
  (let [draft (master/draft record
                (cond-> {:timestamp timestamp
                         :master-keys (master-keys master signing)}
                  zone (assoc :delegations (delegated (:delegations (:master-zone record)) share zone signing))
                  more (assoc :add-keys [(new-key plan record)])))]
    (master/adopt record (signed-revision draft secrets))))

(defn- granted-again
  "`record` with the zone `zone` signed again where a revision has made it fall."
  [record zone secrets timestamp]
  (if (and (zone/sections record zone) (not (standing? record zone)))
    (signed-part (change/grant record zone {:timestamp timestamp}) zone :grant secrets)
    record))

(defn- play [plan {:keys [secrets] :as keys}]
  (fn [record [i {:keys [zone] :as step}]]
    (let [timestamp (+ (long start) (* 1000 (inc (long i))))]
      (case (:do step)
        :revise (granted-again (revised plan record step keys timestamp) zone secrets (+ 500 timestamp))
        :grant (granted record step secrets timestamp)
        :deny (denied record step secrets timestamp)))))

;; ## Building

(defn- genesis [{:keys [master share] :as plan} {:keys [secrets signing]} key-map]
  (signed-revision
    (master/genesis {:public-key-map key-map :timestamp start
                     :master-keys (master-keys (or master 0) signing)
                     :delegations (if share
                                    (vec (mapcat #(shares (+ (long share) (long %1)) %2 signing) (range) (or (:zones plan) zone/names)))
                                    [])})
    secrets))

(defn- dressed
  "The last stage in the shape that the plan asks for."
  [{:keys [shape]} {:keys [master-zone] :as record} {:keys [secrets]}]
  (case shape
    (:public nil) (record/public-view record)
    :whole record
    :unknown (assoc record :unknown-sections (sorted-map 0x60 (bytes/utf8 "kept") 0x9000 bytes/empty))
    :names (assoc record :key-names [{:key 0 :name "phone"}])
    :draft (let [draft (master/draft record {:timestamp (+ 1000 (long (:timestamp master-zone)))})
                 by (first (filter secrets (master/named draft)))]
             (master/sign draft by (secrets by)))))

(defn build
  "What the plan gives: `:record`, `:secrets` by index, `:stages`, the record after each
  step, public views, genesis first."
  [{:keys [algorithms steps] :as plan}]
  (let [plan (assoc plan :algorithms (assoc (vec algorithms) 0 :ed25519))
        {:keys [algorithms]} plan
        labels (labels plan)
        signing (into [] (keep-indexed (fn [i a] (when (signs? a) i))) algorithms)
        keys {:signing signing :secrets (into {} (map (fn [i] [i (secret (labels i))])) signing)}
        first-stage (genesis plan keys (mapv key-entry algorithms labels))
        stages (reductions (play plan keys) first-stage (map-indexed vector steps))]
    {:record (dressed plan (last stages) keys)
     :secrets (:secrets keys)
     :stages (mapv record/public-view stages)}))

(def ^:private provider-plan
  {:label "provider" :algorithms [:ed25519 :ed25519 :ed25519] :share 0 :zones [:identity]
   :steps [{:do :grant :zone :identity :body []}] :shape :whole})

(def provider
  "Who issues the handles: a delay of what `build` gives, with its `:plan`."
  (delay (assoc (build provider-plan) :plan provider-plan)))

(defn world
  "What `build` gives, with `:now`, `:providers`, and `:issuers` as `poz.damage.seal` takes them."
  [plan]
  (let [{:keys [record secrets]} @provider]
    (assoc (build plan) :now now :providers [record]
      :issuers {(record/original-hash record) secrets})))

;; ## Generators

(def ^:private body-nodes
  (into {} (map (fn [{:keys [zone body]}] [zone (:node (codec/codec (:types format/format) body))])) format/zones))

(defn- grant-step [algorithms]
  (gen/bind (gen/elements zone/names)
    (fn [zone]
      (if-let [bodies (codec-gen/generator (body-nodes zone) {:algorithms algorithms})]
        (gen/hash-map :do (gen/return :grant) :zone (gen/return zone) :body bodies
          :handle (gen/elements [nil 1 2]))
        (gen/return {:do :grant :zone :service :body []})))))

(def ^:private ways (gen/choose 0 4))

(defn- step [algorithms]
  (gen/frequency
    [[4 (grant-step algorithms)]
     [2 (gen/hash-map :do (gen/return :deny) :zone (gen/elements zone/names) :n (gen/choose 0 5))]
     [2 (gen/hash-map :do (gen/return :revise) :master ways :share ways
          :zone (gen/elements (conj zone/names nil)) :more gen/boolean)]]))

(def ^:private algorithms
  (gen/fmap #(assoc % 0 :ed25519)
    (gen/vector (gen/frequency [[8 (gen/return :ed25519)] [3 (gen/return :x25519)] [1 (gen/return :ml-dsa-65)]
                                [1 (gen/elements [4 200 255])]])
      1 6)))

(def plans
  "Generates plans of records that hold, and now and then of a draft."
  (gen/bind algorithms
    (fn [algorithms]
      (gen/hash-map :label (gen/choose 0 3) :algorithms (gen/return algorithms)
        :master ways :share (gen/frequency [[6 ways] [1 (gen/return nil)]])
        :steps (gen/vector (step algorithms) 0 6)
        :shape (gen/frequency [[8 (gen/return :public)] [1 (gen/return :unknown)] [1 (gen/return :names)]
                               [1 (gen/return :draft)]])))))

(def ^:private request-payloads
  (into {} (map (fn [{:keys [type payload]}] [type (codec-gen/generator (node/parse (:types format/format) payload))]))
    messages/requests))

(def ^:private proofs (codec-gen/generator (node/parse (:types format/format) :pow)))

(def requests
  "Generates requests as `poz.wire/encode-request` takes them; where the payload is a file, any bytes."
  (gen/bind (gen/elements (sort (keys request-payloads)))
    (fn [type]
      (gen/fmap (fn [m] (into {} (remove (comp nil? val)) m))
        (gen/hash-map :type (gen/return type) :id (gen/choose 0 65535)
          :pow (gen/one-of [(gen/return nil) proofs])
          :payload (request-payloads type))))))

(defn- answer-rows []
  (vec (for [{:keys [type answers]} messages/requests, [status payload] (sort-by key answers)]
         [type status (codec-gen/generator (node/parse (:types format/format) payload))])))

(def responses
  "Generates `[type response]`, an answer to a request of that type as
  `poz.wire/encode-response` takes it."
  (gen/bind (gen/elements (answer-rows))
    (fn [[type status payload]]
      (gen/fmap (fn [[id payload]] [type (cond-> {:status status :id id} (some? payload) (assoc :payload payload))])
        (gen/tuple (gen/choose 0 65535) payload)))))

(defn drawn
  "The rose tree of the value of the generator `g` for `seed` and the number `n`: the same for
  ever. Its root is the value, its children are smaller ones."
  [g seed n]
  (gen/call-gen g (random/make-random (+ (* 1000003 (long seed)) (long n))) (+ 5 (mod (long n) 45))))

(defn value
  "The value at the root of what `drawn` gives."
  [tree]
  (rose/root tree))
