(ns poz.cli.insight
  "`poz simulate`, `diff`, `update`, `fork`, `rules`: who can do what, what changed, what may
  follow what, who signed twice, what is asked."
  (:require
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.cli.holder :as holder]
   [poz.cli.support :as support]
   [poz.diff :as diff]
   [poz.error :as error]
   [poz.fork :as fork]
   [poz.record :as record]
   [poz.rulebook :as rulebook]
   [poz.signing :as signing]
   [poz.simulate :as simulate]
   [poz.update :as update]
   [poz.view.diff :as diff-view]
   [poz.view.simulate :as simulate-view]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

;; ## rules

(defn- rule-lines [{:keys [title rules]}]
  (concat ["" title]
    (mapcat (fn [{:keys [id doc]}]
              (let [[one & more] (text/hang doc 80 36 36)]
                (cons (str "  " (text/pad (error/code id) 34) (subs one 36)) more)))
      rules)))

(defn- rules [_]
  {:exit 0
   :out (rest (mapcat rule-lines rulebook/chapters))
   :json (for [{:keys [title rules]} rulebook/chapters {:keys [id doc]} rules]
           {:chapter title :rule (error/code id) :doc doc})})

;; ## update

(defn- update-result [{:keys [outcome record warnings]} {:keys [out]}]
  {:exit 0
   :err (cons (case outcome :accepted "accepted" :unchanged "unchanged: there is nothing new in it")
          (map :message warnings))
   :json (when (not= "-" out)
           [{:outcome outcome :warnings (map #(select-keys % [:warning :message]) warnings) :file out
             :serial (get-in record [:master-zone :serial])}])})

(defn- apply-update [{[held-file update-file] :args {:keys [out force] :as options} :options :keys [env]}]
  (let [records (mapv #(support/read-record % env) [held-file update-file])]
    (or (support/first-anomaly records)
      (holder/attempt->
        (update/apply-update (record/public-view (first records)) (second records) {:now (support/now options env)})
        (fn [result]
          (support/write-result out (record/encode (:record result)) env {:force force}
            (update-result result options)))))))

;; ## fork

(defn- fork-lines [{:keys [record serial revisions signed-both same-content]}]
  [(str "fork of " (bytes/->hex record))
   (str "  revision " serial ": " (bytes/->hex (:current-master-hash (first revisions))))
   (str "          and: " (bytes/->hex (:current-master-hash (second revisions))))
   (str "  both signed by " (signing/key-list signed-both))
   (str "  " (if same-content
               "their contents are the same: only the signatures differ"
               "their contents differ"))])

(defn- proven [{:keys [serial] :as judged}]
  {:exit 7 :out (fork-lines judged) :json [(assoc judged :error "update/fork" :serial serial)]})

(defn- check-evidence [file options env]
  (holder/attempt-> (support/read-bytes file env)
    #(fork/check % (support/now options env))
    proven))

(defn- make-evidence [[a b] {:keys [out force] :as options} {:keys [stdout] :as env}]
  (let [records (mapv #(support/read-record % env) [a b])
        now (support/now options env)]
    (or (support/first-anomaly records)
      (holder/attempt-> (fork/evidence (first records) (second records) now)
        (fn [evidence]
          (or (files/write-file! out (bytes/utf8 evidence) stdout {:force force})
            (assoc (proven (fork/judge (first records) (second records) now))
              :out [] :err [(str "evidence of a fork" (when (not= "-" out) (str " in " out)))]
              :json (when (not= "-" out) [{:file out :error "update/fork"}]))))))))

(defn- fork [{:keys [args env] {:keys [check] :as options} :options}]
  (case [(boolean check) (count args)]
    [true 1] (check-evidence (first args) options env)
    [false 2] (make-evidence args options env)
    (holder/usage "fork" "give two records, or --check and one file of evidence")))

;; ## simulate, diff

(defn- key-set [record words]
  (reduce (fn [found word]
            (if-let [i (holder/key-index record word)]
              (conj found i)
              (reduced (holder/usage "simulate" "there is no key " word))))
    #{} words))

(defn- simulate [{[file] :args {:keys [without stolen] :as options} :options :keys [env]}]
  (holder/attempt-> (support/read-record file env)
    (fn [record]
      (holder/attempt-> (key-set record without)
        (fn [lost]
          (holder/attempt-> (key-set record stolen)
            (fn [thief]
              (let [found (simulate/simulate record (cond-> {} (seq lost) (assoc :without lost) (seq thief) (assoc :stolen thief)))]
                {:exit 0
                 :out (simulate-view/lines file record found (support/view-options env options))
                 :json [(assoc found :file file)]}))))))))

(defn- diff [{[a b] :args :keys [options env]}]
  (let [records (mapv #(support/read-record % env) [a b])]
    (or (support/first-anomaly records)
      (let [found (diff/diff (first records) (second records))]
        {:exit (cond (some :security (:changes found)) 7 (:same found) 0 :else 1)
         :out (diff-view/lines a b found (support/view-options env options))
         :json [(assoc found :files [a b])]}))))

(def ^:private write-options [support/output-option support/force-option support/time-option])

(def commands
  "The commands of this namespace."
  [{:name "simulate" :args "FILE" :arity [1 1] :group "Insight" :run simulate
    :summary "say who can do what, and what a loss or a theft means"
    :doc "Says which sets of keys can change the master zone, grant and deny in each zone, what is left after losing any one or two keys, and what a thief of any one or two could do. Works on drafts too, before anything is signed."
    :options [{:name "without" :arg "KEY" :many true :doc "as if this key were lost"}
              {:name "stolen" :arg "KEY" :many true :doc "as if a thief had this key"}
              support/width-option]
    :examples ["poz simulate alice.poz" "poz simulate draft.txt --stolen phone"]}
   {:name "diff" :args "FILE FILE" :arity [2 2] :group "Insight" :run diff
    :summary "say what changed from one record to another"
    :doc "Says what changed from the first record to the second. Exit code 0 when they say the same, 1 when they differ, 7 for a fork, a rollback or a key whose index changed its meaning."
    :options [support/width-option]
    :examples ["poz diff before.poz after.poz"]}
   {:name "update" :args "HELD UPDATE" :arity [2 2] :group "Insight" :run apply-update
    :summary "say whether one record may follow another"
    :doc "Checks whether UPDATE is the successor of HELD, as a server does, and writes what is held afterwards. Exit code 7 for a rollback, a fork or another conflict."
    :options write-options
    :examples ["poz update held.poz new.poz --out held.poz --force"]}
   {:name "fork" :args "RECORD RECORD | --check FILE" :arity [1 2] :group "Insight" :run fork
    :summary "make or check evidence of a fork"
    :doc "Writes evidence that two records are a fork, two valid revisions with one parent, as a text that anyone can check. Exit code 7 where the fork is proven, 1 where it is not."
    :options (conj write-options {:name "check" :doc "the one file is evidence: check it"})
    :examples ["poz fork mine.poz served.poz --out evidence.txt" "poz fork --check evidence.txt"]}
   {:name "rules" :arity [0 0] :group "Insight" :run rules
    :summary "list every rule and warning"
    :doc "Lists every rule in the order in which it is asked, and every warning."}])
