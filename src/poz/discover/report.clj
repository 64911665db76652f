(ns poz.discover.report
  "What the sources of discovery amount to, and whether that will do (protocol.md §6). Pure.

  A *source* is `:txt`, `:well-known`, `:srv`, `:submit-srv`; `:pin`, the hash that is remembered
  from before; or `:record`, what the servers gave. A *report* is

      {:domain \"social.example\" :at ms :took-ms ms
       :sources [{:source :txt :status :present :hash … :agrees true :at … :took-ms … :dnssec …} …]
       :hash …        ; the one that all name who name one, or nil
       :agreeing 1    ; how many of TXT and the well-known file name it
       :servers […] :submit-servers […] :policy {…}}

  `:status` is `:present`, `:absent` or `:failed`, which has an `:error`. Absent is absent: it agrees with
  nothing. `verdict` gives the report where its policy takes it, else an anomaly that carries it."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

;; ## Policies

(def sources
  "The sources that discovery asks → what each is."
  {:txt "the TXT record _poz, which names the record"
   :well-known "the web server's /.well-known/poz, which names the record and its servers"
   :srv "the SRV record _poz._tcp, which names the servers"
   :submit-srv "the SRV record _poz-submit._tcp, which names the servers for submissions"})

(def policies
  "The policies that have names: how many sources must name the record, `:agree`; which may be
  absent; which may fail."
  (let [all (set (keys sources))]
    {:default {:doc "one source names the record, and none another"
               :agree 1 :may-be-absent all :may-fail all}
     :both {:doc "DNS and the web server name the record, and none another"
            :agree 2 :may-be-absent #{:srv :submit-srv} :may-fail #{:srv :submit-srv}}
     :any {:doc "nobody has to name the record: what the servers give is taken, unless somebody names another"
           :agree 0 :may-be-absent all :may-fail all}}))

(defn policy
  "The policy `p`, a map or a key of `policies`, with the sources `required` of which none may be
  absent or fail. Throws IllegalArgumentException where it is none."
  [p required]
  (let [{:keys [agree may-be-absent may-fail] :as found} (if (keyword? p) (policies p) p)]
    (when-not (and (map? found) (int? agree) (<= 0 (long agree) 2) (set? may-be-absent) (set? may-fail))
      (throw (IllegalArgumentException. (str "There is no policy " (pr-str p)))))
    (when-let [other (first (remove sources (concat required may-be-absent may-fail)))]
      (throw (IllegalArgumentException. (str "There is no source " (pr-str other) "; known are " (sort (keys sources))))))
    (-> (select-keys found [:agree :may-be-absent :may-fail])
      (update :may-be-absent #(reduce disj % required))
      (update :may-fail #(reduce disj % required)))))

;; ## The report

(defn- hashes-of [{:keys [hash hashes]}]
  (if hash [hash] hashes))

(defn- all-hashes [findings]
  (distinct (mapcat hashes-of findings)))

(defn- judged
  "`finding` with whether it agrees with all the others, where it names a record."
  [finding hashes]
  (cond-> finding (hashes-of finding) (assoc :agrees (= 1 (count hashes)))))

(defn- counting
  "How many of the sources that discovery asks name the record."
  [findings]
  (count (filter #(and (#{:txt :well-known} (:source %)) (:agrees %)) findings)))

(defn- by-source [findings source]
  (first (filter #(= source (:source %)) findings)))

(def ^:private fallback-ports [[7075 :noise-nk] [7074 :none]])

(defn- fallback [domain]
  (vec (map-indexed (fn [i [port encryption]] {:host domain :port port :encryption encryption :priority i :weight 0 :source :fallback})
         fallback-ports)))

(defn- from [source servers]
  (map #(assoc % :source source) servers))

(defn- decided-against? [{:keys [status servers]}]
  (and (= :present status) (empty? servers)))

(defn- query-servers
  "The servers that DNS and the well-known file name; those of the domain itself where nobody names
  one (protocol.md §6.4)."
  [domain findings]
  (let [srv (by-source findings :srv)
        named (concat (from :well-known (:servers (by-source findings :well-known))) (from :srv (:servers srv)))]
    (cond
      (decided-against? srv) []
      (seq named) (vec named)
      :else (fallback domain))))

(defn- with-hashes
  "`report` with what its sources' hashes come to."
  [{:keys [sources] :as report}]
  (let [hashes (all-hashes sources)
        sources (mapv #(judged % hashes) sources)]
    (assoc report :sources sources :agreeing (counting sources)
      :hash (when (= 1 (count hashes)) (first hashes)))))

(defn report
  "The report on `domain` of `findings`, a list of findings as in `poz.discover.texts`, each with its
  `:source`, `:at` and `:took-ms`; `facts` are `:at` and `:took-ms` of the whole, and `:policy`."
  [domain findings facts]
  (with-hashes
    (assoc facts :domain domain :sources (vec findings)
      :servers (query-servers domain findings)
      :submit-servers (vec (from :submit-srv (:servers (by-source findings :submit-srv)))))))

(defn saying
  "`report` with one more source: `finding`, such as the record that the servers gave."
  [report finding]
  (with-hashes (update report :sources conj finding)))

;; ## The verdict

(defn- said [{:keys [source] :as finding}]
  (str (name source) " names " (str/join " and " (map bytes/->hex (hashes-of finding)))))

(defn- conflict [{:keys [sources]}]
  (let [naming (filter hashes-of sources)]
    (when (next (all-hashes naming))
      (error/anomaly :discover/conflict {:rule (str/join "; " (map said naming))}))))

(defn- bogus [{:keys [sources]}]
  (when-let [{:keys [source because]} (first (filter #(= :bogus (:dnssec %)) sources))]
    (error/anomaly :discover/bogus {:rule (str (name source) (when because (str ": " because)))})))

(defn- refused-status
  "The first source whose status the policy does not take."
  [{{:keys [may-be-absent may-fail]} :policy :keys [sources]}]
  (first (filter (fn [{:keys [source status]}]
                   (case status
                     :absent (not (may-be-absent source))
                     :failed (not (may-fail source))
                     false))
           sources)))

(defn- status-fault [{:keys [sources] :as report}]
  (when-let [{:keys [source status error]} (refused-status report)]
    (or error (error/anomaly :discover/policy {:rule (str (name source) " is " (name status) ", and required")}))))

(defn- count-fault [{{:keys [agree]} :policy :keys [agreeing sources]}]
  (when (< (long agreeing) (long agree))
    (or (when (zero? (long agreeing)) (some :error sources))
      (error/anomaly :discover/policy {:expected (str "at least " agree) :found agreeing}))))

(defn verdict
  "`report` where its policy takes it; else the anomaly of why not, with the `:report`: sources that
  name different records, an answer whose DNSSEC signature does not hold, or too few that agree."
  [report]
  (if-let [anomaly (or (conflict report) (bogus report) (status-fault report) (count-fault report))]
    (assoc anomaly :report report)
    report))
