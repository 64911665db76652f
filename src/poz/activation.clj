(ns poz.activation
  "Two-phase activation of handles as pure steps (protocol.md §2): a provider *reserves* a
  handle when it issues an entry, and it goes *live* in the same step in which the user's
  signed zone is taken. Until then everyone gets the former zone.

  A *book* is the provider's state, a plain map:

      {:hash      hash              ; the provider's
       :provider  record            ; its own, with its Identity Zone: what reserving asks
       :domains   #{\"social.example\"}
       :records   {hash record}     ; what is held, by original hash
       :reserved  {address {:user hash :until ms}}
       :live      {address {:user hash :issue hash}}
       :former    {address {:user hash :issue hash}}}   ; released, for the next owner

  An *address* is `[domain path handle]`. `reserve` and `activate` give a new book, or an
  anomaly and no change at all: whoever stores books makes each step one transaction."
  (:require
   [poz.error :as error]
   [poz.identity :as identity]
   [poz.update :as update]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn book-of
  "The empty book of the provider with the original `hash`, in which nothing can be reserved."
  [hash]
  {:hash hash :records {} :reserved {} :live {} :former {}})

(defn book
  "The empty book of `provider` for `domains`."
  [provider domains]
  (assoc (book-of (get-in provider [:master-zone :original-master-hash]))
    :provider provider :domains (set domains)))

(defn address
  "The address of an identity entry or of a request."
  [{:keys [authority-domain path user-handle]}]
  [authority-domain path user-handle])

(defn- issue-hash [entry]
  (:hash (identity/statement entry)))

(defn- denied-by-provider? [{:keys [provider]} issue]
  (contains? (some-> (:identity-zone provider) zone/denied) issue))

(defn- reserved-for [{:keys [reserved]} address now]
  (let [{:keys [user until]} (reserved address)]
    (when (and until (<= (long now) (long until))) user)))

(defn- taken? [{:keys [live] :as book} address user now]
  (let [owner (or (:user (live address)) (reserved-for book address now))]
    (and owner (not= owner user))))

(defn- undenied-former? [{:keys [former] :as book} address user]
  (let [{issue :issue owner :user} (former address)]
    (and issue (not= owner user) (not (denied-by-provider? book issue)))))

(defn reserve
  "The book with the handle of `entry` reserved for the record that it is issued to, from
  `now` for `ttl` milliseconds; or `:policy/domain`, `:policy/issue-denied`, `:request/taken`,
  `:policy/former-entry-not-denied`."
  [{:keys [domains] :as book} entry now ttl]
  (let [address (address entry) user (:user-poz-hash entry)]
    (cond
      (not (domains (:authority-domain entry))) (error/anomaly :policy/domain {:found (:authority-domain entry)})
      (denied-by-provider? book (issue-hash entry)) (error/anomaly :policy/issue-denied)
      (taken? book address user now) (error/anomaly :request/taken)
      (undenied-former? book address user) (error/anomaly :policy/former-entry-not-denied)
      :else (assoc-in book [:reserved address] {:user user :until (+ (long now) (long ttl))}))))

(defn lapse
  "The book without the reservations that have ended before `now`."
  [book now]
  (clojure.core/update book :reserved
    (fn [reserved] (into {} (filter (fn [[_ {:keys [until]}]] (<= (long now) (long until)))) reserved))))

(defn- live-entries
  "Address → entry of the live entries of `record` that this provider issued."
  [book record]
  (let [section (:identity-zone record)
        gone (when section (zone/denied section))]
    (into {}
      (comp (filter #(= (:hash book) (:authority-hash %)))
        (if (empty? gone) identity (remove #(contains? gone (zone/entry-hash :identity %))))
        (map (juxt address identity)))
      (when section (zone/entries :identity section)))))

(defn- entry-fault
  "Why the newly live `entry` of the record `hash` may not go live, an anomaly, or nil."
  [book assessed hash now [address entry]]
  (let [status (:status (identity/judge-entry entry hash @assessed))]
    (cond
      (not= hash (reserved-for book address now)) (error/anomaly :request/not-reserved {:found (pr-str address)})
      (not= :current status) (error/anomaly :request/entry-missing {:found (name status)}))))

(defn- owned [{:keys [live]} hash]
  (into #{} (keep (fn [[address {:keys [user]}]] (when (= hash user) address))) live))

(defn- release [book addresses]
  (reduce (fn [b address]
            (-> b
              (assoc-in [:former address] (get-in b [:live address]))
              (clojure.core/update :live dissoc address)))
    book addresses))

(defn- go-live [book hash entries]
  (reduce (fn [b [address entry]]
            (-> b
              (assoc-in [:live address] {:user hash :issue (issue-hash entry)})
              (clojure.core/update :reserved dissoc address)
              (clojure.core/update :former dissoc address)))
    book entries))

(defn activate
  "The book after the update `update-record` (with its Identity Zone) is taken at `now`, all
  at once: the record stored, handles that it newly holds live, handles that it no longer
  holds released; or the anomaly of what stands against it. `assessed` is a delay of the provider
  as `poz.identity` takes it (`poz.verify/assess`): only new entries ask for it."
  [book update-record assessed now]
  (let [hash (get-in update-record [:master-zone :original-master-hash])
        held (get-in book [:records hash])
        {:keys [record] :as taken} (update/apply-update held update-record {:now now})]
    (if (error/anomaly? taken)
      taken
      (let [entries (live-entries book record)
            before (owned book hash)
            new (remove (comp before key) entries)]
        (or (some #(entry-fault book assessed hash now %) new)
          (when (and (nil? held) (empty? new)) (error/anomaly :request/entry-missing))
          (-> book
            (assoc-in [:records hash] record)
            (release (remove (set (keys entries)) before))
            (go-live hash new)))))))
