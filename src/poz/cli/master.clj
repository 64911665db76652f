(ns poz.cli.master
  "`poz draft`, `delegate`, `history`: revisions of the master zone, begun and told."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.holder :as holder]
   [poz.cli.support :as support]
   [poz.error :as error]
   [poz.master :as master]
   [poz.master.chain :as chain]
   [poz.master.survivorship :as survivorship]
   [poz.signing :as signing]
   [poz.time :as time]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

;; ## Reading what a person wrote

(defn- pairs
  "\"K=V,K=V\" as `[[k v] …]`, or nil."
  [s]
  (let [found (map #(re-matches #"([^=,]+)=([^=,]+)" %) (str/split s #","))]
    (when (every? some? found) (mapv (comp vec rest) found))))

(defn- group-option
  "\"G:KEY=VALUE,…\" as `{:group g :members [[key value] …]}`, or nil."
  [s]
  (when-let [[_ group members] (re-matches #"(\d{1,3}):(.*)" s)]
    (let [members (pairs members)]
      (when (and members (<= (parse-long group) 255) (every? #(re-matches #"\d{1,3}" (second %)) members))
        {:group (parse-long group)
         :members (mapv (fn [[k v]] [k (parse-long v)]) members)}))))

(defn- delegation-option
  "\"ZONE:KEY=GRANT/DENY,…\" as `{:zone z :members [[key grant deny] …]}`; no members: none."
  [s]
  (when-let [[_ z members] (re-matches #"([a-z]+):(.*)" s)]
    (let [members (if (= "" members) [] (pairs members))
          shares (map #(re-matches #"(\d{1,3})/(\d{1,3})" (second %)) members)]
      (when (and members (every? some? shares) (some #{(keyword z)} zone/names))
        {:zone (keyword z)
         :members (mapv (fn [[k] [_ grant deny]] [k (parse-long grant) (parse-long deny)]) members shares)}))))

;; ## Draft

(defn- resolved
  "`members` with their keys as indexes of `record` extended by `added`, or an anomaly."
  [command record added members]
  (let [wide (update record :public-key-map into added)]
    (reduce (fn [out [word & more]]
              (if-let [i (holder/key-index wide word)]
                (conj out (into [i] more))
                (reduced (holder/usage command "there is no key " word))))
      [] members)))

(defn- with-groups [record added groups drop-groups]
  (reduce (fn [master-keys {:keys [group members]}]
            (let [found (resolved "draft" record added members)]
              (if (error/anomaly? found)
                (reduced found)
                (into (filterv #(not= group (:group %)) master-keys)
                  (map (fn [[key value]] {:group group :key key :value value})) found))))
    (filterv #(not (contains? (set drop-groups) (:group %))) (get-in record [:master-zone :master-keys]))
    groups))

(defn- with-delegations [command record added changes]
  (reduce (fn [delegations {:keys [zone members]}]
            (let [found (resolved command record added members)]
              (if (error/anomaly? found)
                (reduced found)
                (into (filterv #(not= zone (:authority %)) delegations)
                  (map (fn [[key grant deny]] {:authority zone :key key :grant grant :deny deny})) found))))
    (get-in record [:master-zone :delegations]) changes))

(defn- draft-result [draft {:keys [out]}]
  (let [status (master/status draft)]
    {:exit 0
     :err (concat [(str "draft of revision " (:serial status) (when (not= "-" out) (str " in " out)))]
            (holder/list-lines status {:former "former master keys" :own "its own master keys"}))
     :json (when (not= "-" out) [(assoc status :file out)])}))

(defn- begin [command record master-keys delegations added options env]
  (let [now (support/now options env)]
    (holder/attempt-> master-keys (constantly delegations)
      (fn [_] (error/attempt
                #(let [d (master/draft record {:timestamp now :master-keys master-keys :delegations delegations
                                               :add-keys added})]
                   (if (<= (long now) (long (get-in record [:master-zone :timestamp])))
                     (holder/usage command "the time is not later than the present revision's")
                     (holder/write-draft d options env (draft-result d options)))))))))

(defn- draft [{[file] :args {:keys [add-key group drop-group delegate] :as options} :options :keys [env]}]
  (holder/attempt-> (support/read-record file env)
    (fn [record]
      (begin "draft" record
        (with-groups record add-key group drop-group)
        (with-delegations "draft" record add-key delegate)
        add-key options env))))

(defn- delegate [{[file & changes] :args :keys [options env]}]
  (let [parsed (map delegation-option changes)]
    (if (not-every? some? parsed)
      (holder/usage "delegate" "a delegation is written ZONE:KEY=GRANT/DENY,…")
      (holder/attempt-> (support/read-record file env)
        (fn [record]
          (begin "delegate" record (get-in record [:master-zone :master-keys])
            (with-delegations "delegate" record nil parsed) nil options env))))))

;; ## History

(defn- revision-lines [{:keys [serial timestamp current-master-hash master-keys] :as revision}]
  [(str "revision " serial "  " (time/iso timestamp) "  " (subs (bytes/->hex current-master-hash) 0 16)
     (when (chain/draft? revision) "  (draft)"))
   (str "  signed by " (signing/key-list (sort (chain/signers revision)))
     "; " (survivorship/explain master-keys (chain/signers revision)))])

(defn- history [{[file] :args :keys [env]}]
  (holder/attempt-> (support/read-record file env)
    (fn [record]
      (let [chain (chain/revisions record)]
        {:exit 0
         :out (concat (mapcat revision-lines chain)
                (when-not (chain/genesis? (first chain)) ["the beginning is not at hand"]))
         :json [{:file file :complete (chain/genesis? (first chain))
                 :revisions (map #(select-keys % [:serial :timestamp :current-master-hash :previous-master-hash
                                                  :master-keys :delegations]) chain)}]}))))

(def ^:private draft-options
  [support/output-option support/force-option support/time-option])

(def commands
  "The commands of this namespace."
  [{:name "draft" :args "FILE" :arity [1 1] :group "Master zone" :run draft
    :summary "begin the next master revision"
    :doc (str "Drafts the next revision of the master zone, in text form, small enough to mail. Keys are named by their "
           "index or by the holder's name for them; a key that is added has the next index. What is not given stays as it is.")
    :options (into [holder/add-key-option
                    {:name "group" :arg "G:KEY=VALUE,..." :many true :parse group-option :doc "master group G has these keys and values"}
                    {:name "drop-group" :arg "G" :many true :parse parse-long :doc "there is no master group G any more"}
                    {:name "delegate" :arg "ZONE:KEY=GRANT/DENY,..." :many true :parse delegation-option
                     :doc "these keys are delegated for ZONE; ZONE: alone for none"}]
               draft-options)
    :examples ["poz draft alice.poz --add-key ed25519:3b6a… --group 1:4=100 --out draft.txt"]}
   {:name "delegate" :args "FILE ZONE:KEY=GRANT/DENY,..." :arity [2 nil] :group "Master zone" :run delegate
    :summary "begin a revision that delegates a zone"
    :doc "Drafts the next revision of the master zone with other keys or values delegated for the given zones."
    :options draft-options
    :examples ["poz delegate alice.poz identity:phone=50/100,laptop=50/100 --out draft.txt"]}
   {:name "history" :args "FILE" :arity [1 1] :group "Master zone" :run history
    :summary "tell the revisions of a record"
    :doc "Tells the revisions at hand, oldest first, and who signed each. It checks nothing: see verify."
    :examples ["poz history alice.poz"]}])
