(ns poz.cli.zones
  "`poz zone list|add|remove|deny|sign-again`: what the five zones say, and drafts of changes."
  (:require
   [clojure.data.json :as data-json]
   [clojure.string :as str]
   [poz.address :as address]
   [poz.bytes :as bytes]
   [poz.cli.holder :as holder]
   [poz.cli.support :as support]
   [poz.codec.plain :as plain]
   [poz.error :as error]
   [poz.format :as format]
   [poz.update :as update]
   [poz.view.text :as text]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(defn- zone-name [command word]
  (or (some #{(keyword word)} zone/names)
    (holder/usage command "there is no zone " word "; there are " (str/join ", " (map name zone/names)))))

;; ## list

(defn- entry-title [z {:keys [guid name type id keys] :as entry}]
  (case z
    :identity (text/escape (address/of-entry entry))
    :email (str (bytes/->hex guid) " " (text/quoted name))
    :feed (text/quoted name)
    :auth (str "group " id ", " (count keys) " keys")
    :service (str (clojure.core/name type) (when (seq name) (str " " (text/quoted name))))))

(defn- entry-rows [record z]
  (let [section (:zone (zone/sections record z))
        gone (zone/denied section)]
    (for [entry (zone/entries z section) :let [h (zone/entry-hash z entry)]]
      {:hash h :live (not (contains? gone h)) :title (entry-title z entry) :entry entry})))

(defn- denial-lines [record z]
  (let [{:keys [grant deny]} (:zone (zone/sections record z))]
    (for [[where items] [["revoked" (:revoked grant)] ["denied" (:denied deny)]]
          {:keys [target reason]} items]
      (str where "  " (bytes/->hex target) "  " (name reason)))))

(defn- list-zone [record z file]
  (if-not (zone/sections record z)
    (error/anomaly :zone/absent {:message (str file " has no " (name z) " zone")})
    {:exit 0
     :out (concat (for [{:keys [hash live title]} (entry-rows record z)]
                    (str (if live "live    " "denied  ") (bytes/->hex hash) "  " title))
            (denial-lines record z))
     :json [{:file file :zone z
             :entries (map #(dissoc % :title) (entry-rows record z))
             :denied (zone/denied (:zone (zone/sections record z)))}]}))

(defn- list-entries [{[file word] :args :keys [env]}]
  (holder/attempt-> (zone-name "zone list" word)
    (fn [z] (holder/attempt-> (support/read-record file env) #(list-zone % z file)))))

;; ## Drafts

(defn- removal-note [record drafted z]
  (when (and (zone/sections record z) (zone/sections drafted z))
    (let [{:keys [steps]} (update/judge-successor record drafted z)]
      (when (some #(= :update/removal-below-deny (:rule %)) steps)
        "it removes what was not denied: the signers' deny values must reach 100 as well"))))

(defn- drafted-result [record drafted z part {:keys [out]}]
  (let [status (change/status drafted z part false)
        note (removal-note record drafted z)]
    {:exit 0
     :err (concat [(str "draft of the " (name z) " zone, " (name part) " "
                     (get-in (zone/sections drafted z) [:zone part :serial]))]
            (holder/list-lines status {:grant "grant" :deny "deny"})
            (when note [note]))
     :json (when (not= "-" out) [(assoc status :file out :zone z :part part)])}))

(defn- write-drafted [record drafted z part options env]
  (holder/attempt-> drafted
    (fn [d] (error/attempt #(holder/write-draft (holder/alone d z) options env (drafted-result record d z part options))))))

(defn- change-zone
  "Reads FILE and ZONE and writes the draft that `(f record zone time)` makes of `part`."
  [command {[file word] :args :keys [options env]} part f]
  (holder/attempt-> (zone-name command word)
    (fn [z]
      (holder/attempt-> (support/read-record file env)
        (fn [record]
          (let [record (cond-> record (:add-key options) (update-in [:public-key-map] into (:add-key options)))]
            (write-drafted record (f record z (holder/next-time record z options env)) z part options env)))))))

(def ^:private entry-nodes
  (into {} (map (fn [{:keys [zone]}] [zone (zone/entry-node zone)])) format/zones))

(defn- parse-json [b file]
  (try (data-json/read-str (String. (bytes/->array b) "UTF-8"))
       (catch Exception _ (error/anomaly :cli/entry {:message (str file " is not JSON")}))))

(defn- read-entries [z files env]
  (reduce (fn [out file]
            (let [x (holder/attempt-> (support/read-bytes file env) #(parse-json % file))]
              (if (error/anomaly? x)
                (reduced x)
                (into out (map #(plain/value (entry-nodes z) %)) (if (sequential? x) x [x])))))
    [] files))

(defn- add [{[_ word & files] :args :keys [env] :as context}]
  (holder/attempt-> (zone-name "zone add" word)
    (fn [z]
      (holder/attempt-> (read-entries z files env)
        (fn [entries]
          (change-zone "zone add" context :grant
            (fn [record z time] (change/grant record z {:timestamp time :add entries}))))))))

(defn- hash-of [word]
  (when (re-matches #"[0-9a-fA-F]{64}" word) (bytes/hex-> word)))

(defn- hashes-of [command words]
  (let [found (map hash-of words)]
    (if (every? some? found) (vec found) (holder/usage command "a hash has 64 hex digits"))))

(defn- remove-entries [{[_ _ & words] :args :as context}]
  (holder/attempt-> (hashes-of "zone remove" words)
    (fn [hashes]
      (change-zone "zone remove" context :grant
        (fn [record z time] (change/grant record z {:timestamp time :remove hashes}))))))

(defn- deny [{[_ _ & words] :args {:keys [reason]} :options :as context}]
  (holder/attempt-> (hashes-of "zone deny" words)
    (fn [hashes]
      (change-zone "zone deny" context :deny
        (fn [record z time]
          (change/deny record z (map #(hash-map :target % :reason reason) hashes) {:timestamp time}))))))

(defn- sign-again [context]
  (change-zone "zone sign-again" context :grant
    (fn [record z time] (change/grant record z {:timestamp time :drop-denied false}))))

(def ^:private reasons
  [:unspecified :compromised :superseded :retired :abuse])

(def ^:private draft-options [support/output-option support/force-option support/time-option])

(defn- command [action summary doc arity args run options]
  {:name (str "zone " action) :args args :arity arity :group "Zones" :run run :summary summary :doc doc
   :options options})

(def commands
  "The commands of this namespace."
  [(command "list" "list the entries of a zone" "Lists the entries of ZONE with their hashes, and what it denies."
     [2 2] "FILE ZONE" list-entries [])
   (assoc (command "add" "draft a grant that adds entries"
            "Drafts the next grant of ZONE with the entries in the JSON files added; an entry replaces the one with its id."
            [3 nil] "FILE ZONE ENTRY.json..." add (conj draft-options holder/add-key-option))
     :examples ["poz zone add alice.poz service web.json --out draft.txt"])
   (command "remove" "draft a grant that removes entries"
     "Drafts the next grant of ZONE without the entries that have these hashes. What was not denied before takes the deny quorum too."
     [3 nil] "FILE ZONE HASH..." remove-entries draft-options)
   (assoc (command "deny" "draft a deny"
            "Drafts the next deny of ZONE: entries by their hash; keys by theirs in the Auth Zone; issue hashes and keys in a provider's Identity Zone."
            [3 nil] "FILE ZONE HASH..." deny
            (conj draft-options {:name "reason" :arg "REASON" :doc (str "one of " (str/join ", " (map name reasons)))
                                 :parse #(some #{(keyword %)} reasons)}))
     :examples ["poz zone deny alice.poz auth 4bf5… --reason compromised --out draft.txt"])
   (command "sign-again" "draft a grant that changes nothing"
     "Drafts the next grant of ZONE with the same entries under the present delegation, as is needed after that has changed."
     [2 2] "FILE ZONE" sign-again draft-options)])
