(ns poz.kit.vectors
  "The conformance vectors: questions (`poz.kit.answer`) with the answers that POZ v0 requires.

  `rows` lists them unbuilt; `built` builds one:

      {:id \"chain/serial-skips\" :what \"a serial is left out\"
       :section \"format.md §4\" :rule \"A master revision: chain/serial\"
       :question {:target :record …}
       :expect {:status :invalid :problems [\"chain/serial\"]}}

  A vector that is not valid breaks exactly one rule. `:entries` in `:expect` are the statuses
  of identity entries, `:warnings` those that must be among what is warned of."
  (:require
   [poz.error :as error]
   [poz.gen :as gen]
   [poz.kit.bases :as bases]
   [poz.kit.exchange :as exchange]
   [poz.kit.invalid :as invalid]
   [poz.kit.malformed :as malformed]
   [poz.record :as record]
   [poz.update :as update]))

(set! *warn-on-reflection* true)

;; ## Groups

(defn- zone-chapter [id]
  (condp #(re-find %1 %2) id #"^authority" "An authority" #"^grant" "A grant" #"^deny" "A deny"))

(defn- zone-section [id]
  (if (re-find #"^authority" id) "format.md §5" "format.md §6"))

(def ^:private successor-chapters
  (into {} (concat (for [{:keys [id]} update/grant-rules] [id "A grant that replaces a zone"])
             (for [{:keys [id]} update/deny-rules] [id "A deny onto a zone"]))))

(def ^:private other-sections
  {"memory" "protocol.md §6" "fork" "format.md §4" "secrets" "format.md §8"})

(def ^:private groups
  "The groups of rows: `:chapter` of `poz.rulebook` and `:section` of the specification, each a
  string or a function of a row's id and rule."
  [{:group "good" :rows invalid/good :section "format.md"}
   {:group "container" :rows malformed/container :section "format.md §2"}
   {:group "fields" :rows malformed/fields :section :path}
   {:group "text" :rows malformed/texts :section "format.md §2, text form"}
   {:group "chain" :rows invalid/chain :section "format.md §4" :chapter "A master revision"}
   {:group "zones" :rows invalid/zones :section zone-section :chapter zone-chapter}
   {:group "entries" :rows invalid/entries :section "format.md §7" :chapter "An identity entry"}
   {:group "warnings" :rows invalid/warnings :section "format.md §10" :chapter "Warnings"}
   {:group "updates" :rows exchange/updates :section "format.md §6, protocol.md §1"}
   {:group "messages" :rows exchange/messages :section "protocol.md §1"}
   {:group "logins" :rows exchange/logins :section "format.md §7, login" :chapter "A login"}
   {:group "handles" :rows exchange/handles :section "protocol.md §2" :chapter "A request for a handle"}
   {:group "others" :rows exchange/others :section #(other-sections (re-find #"^[a-z]+" %))}])

(def ^:private sections-of-fields
  {:public-key-map "§3" :master-zone "§4" :zone-history "§9" :private-key-map "§8"
   :header "§2" :toc "§2"})

(defn section-of
  "The section of the specification that tells of what the path `path` in a file leads to."
  [[section part field]]
  (str "format.md "
    (or (sections-of-fields section)
      (when (and section (re-find #"-authority$" (name section))) "§5")
      (if (= [:grant :body] [part field]) "§7" "§6"))))

(defn- said [f & args]
  (if (or (nil? f) (string? f)) f (apply f args)))

;; ## Rows

(defn- status [error]
  (case (:anomaly (error/table error))
    :malformed :malformed
    :unknown :unknown
    :invalid))

(defn- expectation [group error {:keys [entry also varies]}]
  (cond
    entry {:status :valid :problems [] :entries [entry] :entry-problem error}
    (= "warnings" group) {:status :valid :problems [] :warnings [(error/code error)]}
    (nil? error) {:status :valid :problems []}
    :else (cond-> {:status (status error) :problems (vec (sort (map error/code (cons error also))))}
            varies (assoc :problems-vary true))))

(defn- entry-question [{:keys [with under-alien]} base edits]
  (let [[file provider] (when under-alien (bases/under-alien))]
    {:target :record :now gen/now :file (or file (bases/damaged base edits))
     :with (cond provider [provider] with (with) :else [(bases/provider :provider)])}))

(defn- record-question [base edits {:keys [then entry with seal] :as options :or {seal true then identity}}]
  (if (or entry with)
    (entry-question options base edits)
    {:target :record :now gen/now :file (then (bases/damaged base edits seal))}))

(defn- exchange-row [[id error question what options]]
  {:name id :error error :what what :options options :question question})

(defn- file-row [[id error base edits what options]]
  {:name id :error error :what what :options options :path (second (first edits)) :edits edits
   :question #(record-question base edits options)})

(defn- row [{:keys [group section chapter]} tuple]
  (let [{:keys [name error options path] :as row} (if (fn? (nth tuple 2)) (exchange-row tuple) (file-row tuple))
        rule (:rule options error)
        chapter (if (= "updates" group) (successor-chapters rule) (when rule (said chapter name)))]
    (-> (dissoc row :name :options :path)
      (assoc :id (str group "/" name)
        :section (if (= :path section) (section-of path) (said section name))
        :expect (expectation group error options))
      (cond-> chapter (assoc :rule rule :chapter chapter)))))

(def rows
  "All vectors, unbuilt: `:id :what :section :error :expect`, `:rule` and `:chapter` where it is
  about a rule, and `:question`, a function of nothing."
  (vec (for [{:keys [rows] :as group} groups, tuple rows] (row group tuple))))

(def ^:private asks-of-groups {"updates" :update "logins" :login "handles" :handle})

(defn asked
  "The target of the question of a row, without building it."
  [{:keys [id]}]
  (let [[_ group kind] (re-matches #"([a-z]+)/([a-z]+).*" id)]
    (case group
      "messages" (keyword kind)
      "others" (keyword kind)
      (asks-of-groups group :record))))

(defn edits
  "The lists of edits that the vectors of files make, to be made to other files too."
  []
  (into [] (comp (keep :edits) (map vec) (distinct)) rows))

(defn built
  "The vector of a row, its question built."
  [row]
  (update row :question #(%)))

;; ## Holding an answer against it

(defn- entry-statuses [answer]
  (mapv :status (:entries answer)))

(defn- entries-differ? [{:keys [entries]} answer]
  (and entries (:entries answer)
    (not= entries (vec (take (count entries) (entry-statuses answer))))))

(defn difference
  "In what `answer` is not what a vector expects, `:status`, `:problems`, `:entries`, or nil. What
  the answer does not say is not held against it, but for the status; nor are the codes of a
  file in which a length that lies makes other bytes be read."
  [{:keys [status problems problems-vary] :as expect} answer]
  (cond
    (not= status (:status answer)) :status
    (and (:problems answer) (not problems-vary) (not= (set problems) (set (:problems answer)))) :problems
    (entries-differ? expect answer) :entries))

(defn record-of
  "The record in the vector's file, or an anomaly: what it is about, for those who look."
  [{:keys [question]}]
  (record/parse (:file question)))
