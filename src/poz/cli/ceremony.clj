(ns poz.cli.ceremony
  "`poz sign`, `merge`, `status`, `apply`: a draft on its way from hand to hand.

  A draft is a record in text form: either its master zone is a draft, or one of its zones
  lacks signatures. `subject` tells which part it is about."
  (:require
   [clojure.data.json :as data-json]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.holder :as holder]
   [poz.cli.json :as json]
   [poz.cli.network :as network]
   [poz.cli.servers :as servers]
   [poz.cli.support :as support]
   [poz.error :as error]
   [poz.master :as master]
   [poz.master.chain :as chain]
   [poz.master.survivorship :as survivorship]
   [poz.record :as record]
   [poz.update :as update]
   [poz.verify :as verify]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

;; ## What a draft is about

(defn- short-sum? [authority kind part]
  (< (long (zone/sum authority kind (into #{} (map :key) (:signatures part)))) (long survivorship/threshold)))

(defn- open-part [{:keys [authority] {:keys [grant deny]} :zone}]
  (cond
    (short-sum? authority :grant grant) :grant
    (and (pos? (long (:serial deny))) (short-sum? authority :deny deny)) :deny))

(defn- newest-part [{{:keys [deny]} :zone}]
  (if (pos? (long (:serial deny))) :deny :grant))

(defn subject
  "What the draft `record` is about: `:master`, `[zone part]`, or nil: nothing is open. A draft
  of a zone holds that zone alone."
  [record]
  (if (chain/draft? (:master-zone record))
    :master
    (let [zones (zone/zones record)]
      (or (some (fn [z] (when-let [part (open-part (zone/sections record z))] [z part])) zones)
        (when (= 1 (count zones)) [(first zones) (newest-part (zone/sections record (first zones)))])))))

(defn- title [subject record]
  (if (= :master subject)
    (str "master revision " (get-in record [:master-zone :serial]))
    (let [[z part] subject]
      (str (name z) " zone, " (name part) " " (get-in (zone/sections record z) [:zone part :serial])))))

(defn- status-of [subject record]
  (if (= :master subject)
    (master/status record)
    (let [[z part] subject] (change/status record z part false))))

(def ^:private list-titles
  {:former "former master keys" :own "its own master keys" :grant "grant" :deny "deny"})

(defn- status-lines [subject record]
  (cons (title subject record) (holder/list-lines (status-of subject record) list-titles)))

(defn- with-subject [record f]
  (if-let [s (subject record)]
    (f s)
    (error/anomaly :draft/applied {:message "nothing is open in this file: it is no draft"})))

;; ## sign

(defn- named-in [subject record]
  (if (= :master subject)
    (master/named record)
    (into #{} (map :key) (:keys (:authority (zone/sections record (first subject)))))))

(defn- signer [subject {:keys [random]}]
  (fn [record index secret]
    (let [options {:random (random 32)}]
      (if (= :master subject)
        (master/sign record index secret options)
        (let [[z part] subject] (change/sign record z part index secret options))))))

(defn- wanted
  "Whether a signature by `index` is still wanted: a master revision stops at its threshold."
  [subject only]
  (fn [record index]
    (and (or (nil? only) (= only index))
      (not (and (= :master subject) (:complete (status-of subject record)))))))

(defn- signed-result [subject {:keys [value signed]} {:keys [out]}]
  {:exit 0
   :err (cons (if (seq signed) (str "signed with " (holder/words (map #(str "key " %) signed))) "nothing to sign with these keys")
          (status-lines subject value))
   :json (when (not= "-" out) [(assoc (status-of subject value) :file out :signed signed)])})

(defn- sign-with-file [record subject holder-file {:keys [key] :as options} env]
  (holder/attempt-> (support/read-record holder-file env)
    (fn [holder]
      (holder/attempt-> (holder/keyring holder options env)
        (fn [ring]
          (let [only (when key (holder/key-index (merge holder (select-keys record [:public-key-map])) key))]
            (if (and key (nil? only))
              (holder/usage "sign" "there is no key " key)
              (holder/attempt-> (holder/sign-each record (holder/translate ring holder record)
                                  (named-in subject record) (wanted subject only) (signer subject env))
                (fn [signed]
                  (if (empty? (:signed signed))
                    (error/anomaly :signature/stray {:message "none of the keys in that file is still wanted for this draft"})
                    (holder/write-draft (:value signed) options env (signed-result subject signed options))))))))))))

(defn- request-of [subject record index]
  (if (= :master subject)
    (master/request record index)
    (let [[z part] subject] (change/request record z part index))))

(defn- export [record subject word]
  (if-let [i (holder/key-index record word)]
    (let [request (request-of subject record i)]
      {:exit 0 :out [(data-json/write-str (json/plain request) :escape-slash false)] :json [request]})
    (holder/usage "sign" "there is no key " word)))

(defn- import-signature [record subject {:keys [key signature]} options env]
  (holder/attempt->
    (if (= :master subject)
      (master/add-signature record {:key key :signature signature})
      (let [[z part] subject] (change/add-signature record z part {:key key :signature signature})))
    (fn [signed]
      (holder/write-draft signed options env (signed-result subject {:value signed :signed [key]} options)))))

(defn- sign [{[file holder-file] :args {:keys [export-request import out force] :as options} :options :keys [env]}]
  (let [options (assoc options :out (or out file) :force (or force (nil? out)))]
    (holder/attempt-> (support/read-record file env)
      (fn [record]
        (with-subject record
          (fn [subject]
            (cond
              export-request (export record subject export-request)
              import (import-signature record subject import options env)
              holder-file (sign-with-file record subject holder-file options env)
              :else (holder/usage "sign" "give the holder's file, or --export-request, or --import"))))))))

;; ## merge, status

(defn- merge-two [subject]
  (fn [a b]
    (if (error/anomaly? a)
      a
      (if (= :master subject)
        (master/merge-drafts a b)
        (let [[z part] subject] (change/merge-parts a b z part))))))

(defn- difference-lines [{:keys [differences] :as anomaly}]
  (cond-> anomaly
    (seq differences) (assoc :message (str (:message anomaly) ": they differ in "
                                        (holder/words (map #(apply str (interpose " " (map name (:path %)))) differences))))))

(defn- merge-drafts [{:keys [args env options]}]
  (let [records (mapv #(support/read-record % env) args)]
    (or (support/first-anomaly records)
      (with-subject (first records)
        (fn [subject]
          (let [merged (reduce (merge-two subject) records)]
            (if (error/anomaly? merged)
              (difference-lines merged)
              (holder/write-draft merged options env
                {:exit 0 :err (status-lines subject merged)
                 :json (when (not= "-" (:out options)) [(assoc (status-of subject merged) :file (:out options))])}))))))))

(defn- draft-status [file env]
  (holder/attempt-> (support/read-record file env)
    (fn [record]
      (with-subject record
        (fn [subject]
          (let [s (status-of subject record)]
            {:exit (if (:complete s) 0 1)
             :out (status-lines subject record)
             :json [(assoc s :file file :subject subject)]}))))))

(defn- status [{[file] :args :keys [options env]}]
  (let [named (:server options)]
    (cond
      (and file named) (holder/usage "status" "a draft or a --server, not both")
      file (draft-status file env)
      named (servers/look named (dissoc options :server) env)
      :else (holder/usage "status" "missing DRAFT, or --server HOST"))))

;; ## apply

(defn- applied-master [draft holder]
  (holder/attempt-> (master/finish draft)
    (fn [applied] (if holder (master/adopt holder applied) applied))))

(defn- into-holder [holder draft record z]
  (if-let [key-map (master/joined-keys (:public-key-map holder) (:public-key-map draft))]
    (merge holder {:public-key-map key-map} (select-keys record [(zone/authority-key z) (zone/zone-key z)]))
    (error/anomaly :update/key-map {:path [:public-key-map]})))

(defn- applied-zone [draft holder [z] now]
  (let [base (when holder (record/public-view holder))]
    (holder/attempt-> (update/apply-update base draft {:now now})
      (fn [{:keys [record]}] (if holder (into-holder holder draft record z) record)))))

(def ^:private short-of-signatures
  #{:survivorship/below-threshold :zone/grant-below-threshold :zone/deny-below-threshold})

(defn- with-needed
  "`x`; where it is the anomaly of missing signatures, with every list and who is still needed."
  [x subject draft]
  (if (and (short-of-signatures (:poz/error x)) (not (:complete (status-of subject draft))))
    (assoc x :message (str "signatures are missing: "
                        (str/join "; " (map str/trim (butlast (holder/list-lines (status-of subject draft) list-titles))))))
    x))

(defn- applied [draft subject holder now]
  (with-needed (if (= :master subject) (applied-master draft holder) (applied-zone draft holder subject now))
    subject draft))

(defn- fallen [record now]
  (for [[z judged] (:zones (verify/verify record {:now now})) :when (not= :valid (:outcome judged))]
    (str "the " (name z) " zone does not hold any more: have it signed again (poz zone sign-again)")))

(defn- apply-draft [{[file] :args :keys [env] {holder-file :holder :as options} :options}]
  (let [holder (when holder-file (support/read-record holder-file env))
        now (support/now options env)]
    (holder/attempt-> (or holder {}) (fn [_] (support/read-record file env))
      (fn [draft]
        (with-subject draft
          (fn [subject]
            (holder/attempt-> (applied draft subject holder now)
              (fn [record]
                (holder/write-holder record options env
                  {:exit 0
                   :err (cons (str "applied: " (title subject record)) (fallen record now))
                   :json (when (not= "-" (:out options))
                           [{:file (:out options) :applied (title subject record)
                             :original-master-hash (get-in record [:master-zone :original-master-hash])}])})))))))))

(defn- imported
  "\"KEY=HEX\" as a signature, or nil."
  [s]
  (when-let [[_ key hex] (re-matches #"(\d{1,5})=((?:[0-9a-fA-F]{2})+)" s)]
    {:key (parse-long key) :signature (bytes/hex-> hex)}))

(def commands
  "The commands of this namespace."
  [{:name "sign" :args "DRAFT [HOLDER]" :arity [1 2] :group "Ceremony" :run sign
    :summary "sign a draft with the keys of a file"
    :doc (str "Signs DRAFT with every key of HOLDER that is still wanted, in place unless --out is given. "
           "A token or another machine can sign too: --export-request prints what it needs, --import takes its signature.")
    :options [{:name "key" :arg "KEY" :doc "sign with this key only, by index or name"}
              {:name "export-request" :arg "KEY" :doc "print what an external signer of this key needs, as JSON"}
              {:name "import" :arg "KEY=HEX" :parse imported :doc "take this signature; it is verified"}
              {:name "out" :arg "FILE" :doc "where to write, - for standard output"}
              support/passphrase-option support/force-option]
    :examples ["poz sign draft.txt alice.poz" "poz sign draft.txt --export-request 2"]}
   {:name "merge" :args "DRAFT..." :arity [2 nil] :group "Ceremony" :run merge-drafts
    :summary "join drafts that were signed apart"
    :doc "Joins the signatures of drafts of one content, each verified. Drafts of different contents are refused, and the difference named. Exit code 7 then."
    :options [support/output-option support/force-option]
    :examples ["poz merge from-ann.txt from-bob.txt --out draft.txt"]}
   {:name "status" :args "[DRAFT]" :arity [0 1] :group "Ceremony" :run status
    :summary "say who has signed and who is still needed"
    :doc "Says who has signed a draft, what that sums to, and who is still needed. Exit code 1 while it is not complete. With --server, which may be given several times, it is poz servers instead."
    :options [{:name "server" :arg "HOST[:PORT]" :many true :doc "say which ports of this server are open, see poz servers"}
              network/deadline-option support/time-option]
    :examples ["poz status draft.txt" "poz status --server poz.example.com --json"]}
   {:name "apply" :args "DRAFT" :arity [1 1] :group "Ceremony" :run apply-draft
    :summary "make a record of a complete draft"
    :doc (str "Applies a complete draft: a master revision gets its hash, spare signatures dropped; a zone takes the place of the one before. "
           "With --holder the result is that file with the change, secrets included.")
    :options [{:name "holder" :arg "FILE" :doc "the holder's file to change"}
              support/output-option support/force-option support/time-option]
    :examples ["poz apply draft.txt --holder alice.poz --out alice.poz --force"]}])
