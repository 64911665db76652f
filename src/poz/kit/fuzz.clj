(ns poz.kit.fuzz
  "Differential fuzzing: the same question to two who should agree, over and over.

  A *case* is data, drawn for a seed and a number: a plan of a record (`poz.gen`) and a damage
  (`poz.damage`), or a message. `question` builds it and asks what the target asks. The
  first cases of a target are the conformance vectors; the others are drawn.

  - `check` a question → what is wrong with the answer, a *trouble*, or nil. Ours is held
    against itself: it may not throw, must read back what it writes, must find that a record
    that was made well holds. Another program's answer is held against ours
  - `minimised` the smallest case beside one that still gives the same trouble
  - `begin`, `step` a run: state in, state out; what it finds is in `:findings`, one for
    each kind of trouble, by its `signature`

  A trouble is `{:kind :disagrees|:crash|:hang|:garbage|:fault|:invariant :expected answer
  :got answer|text}`. Nothing here starts a process or reads a clock: who is asked is a
  function of a question, `ask`."
  (:require
   [clojure.string :as str]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.rose-tree :as rose]
   [poz.bytes :as bytes]
   [poz.damage :as damage]
   [poz.error :as error]
   [poz.gen :as made]
   [poz.kit.answer :as answer]
   [poz.kit.targets :as targets]
   [poz.kit.vectors :as vectors]
   [poz.record :as record]
   [poz.record.damage :as raw]
   [poz.record.trace :as trace]
   [poz.update :as update]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

;; ## Cases

(def ^:private vector-rows
  "Target → the rows of the vectors that it begins with."
  (memoize
    (fn [target]
      (let [asks (:asks (targets/targets target))]
        (filterv #(contains? asks (:asked %))
          (map #(assoc % :asked (vectors/asked %)) vectors/rows))))))

(def ^:private files
  (gen/hash-map :plan made/plans :damage (damage/damages (vectors/edits))))

(def ^:private texts
  (gen/fmap #(assoc-in % [:damage :text] true) files))

(def ^:private updates
  (gen/hash-map :plan made/plans :from (gen/choose 0 6) :by (gen/choose 0 6) :none (gen/frequency [[6 (gen/return false)] [1 (gen/return true)]])
    :damage (damage/damages (vectors/edits))))

(def ^:private messages
  (gen/hash-map :message (gen/one-of [(gen/fmap #(vector nil %) made/requests) made/responses])
    :contract (gen/elements [:plain :query :submit])
    :raw (gen/frequency [[1 (gen/return [])] [3 (gen/vector damage/raws 1 3)]])))

(def ^:private generators
  {:decode files :verify files :text texts :update updates :wire messages})

(defn case-tree
  "The rose tree of case `n` of `target` for `seed`: its root a case, its children smaller ones.
  `:drawn` leaves the vectors out."
  [target seed n {:keys [drawn]}]
  (let [rows (if drawn [] (vector-rows target))]
    (if (< (long n) (count rows))
      (rose/make-rose {:vector (:id (rows n))} [])
      (made/drawn (generators target) seed n))))

;; ## Questions

(def ^:private row-by-id
  (into {} (map (juxt :id identity)) vectors/rows))

(defn- file-question [{:keys [plan damage]}]
  (let [{:keys [record providers now] :as world} (made/world plan)]
    {:target :record :now now :with (mapv record/encode providers)
     :file (damage/damaged (record/encode record) world damage)
     :holds (when (and (empty? (dissoc damage :text :seal)) (not= :draft (:shape plan))) :valid)}))

(defn- update-question [{:keys [plan damage from by none]}]
  (let [{:keys [stages now] :as world} (made/world (assoc plan :shape :public))
        stage #(record/encode (nth stages (min (long %) (dec (count stages)))))]
    {:target :update :now now
     :held (when-not none (stage from))
     :file (damage/damaged (stage (+ (long from) (long by))) world (dissoc damage :raw :text))}))

(defn- message-question [{[type message] :message :keys [contract raw]}]
  (let [b (if type (wire/encode-response message type) (wire/encode-request message))]
    (merge {:file (reduce #(raw/edit %1 b %2) b raw)}
      (if type {:target :response :type type} {:target :request :contract contract}))))

(defn question
  "What the case `c` asks: a question, with `:holds` where the answer is known by the way it was made."
  [{:keys [plan from message] :as c}]
  (cond
    (:vector c) (:question (vectors/built (row-by-id (:vector c))))
    message (message-question c)
    from (update-question c)
    :else (file-question c)))

;; ## Ours held against itself

(defn- invariant [why expected got]
  {:kind :invariant :why why :expected expected :got got})

(defn- record-invariant [{:keys [file]}]
  (let [parsed (record/parse file) traced (trace/trace file)]
    (cond
      (not= parsed (or (:error traced) (:value traced)))
      (invariant "the two readers disagree" (or (:error traced) (:value traced)) parsed)
      (and (not (error/anomaly? parsed)) (not= (:bytes traced) (record/encode parsed)))
      (invariant "what is read is not written again" (:bytes traced) (record/encode parsed)))))

(defn- message-invariant [{:keys [target type file]}]
  (let [found (if (= :request target) (wire/decode-request file) (wire/decode-response file type))]
    (when-not (error/anomaly? found)
      (let [again (if (= :request target) (wire/encode-request found) (wire/encode-response found type))]
        (when (not= file again) (invariant "what is read is not written again" file again))))))

(defn- update-invariant [{:keys [held file now]}]
  (let [update (record/decode file)
        taken (when-not (error/anomaly? update) (update/apply-update (some-> held record/decode) update {:now now}))]
    (when (:record taken)
      (let [again (update/apply-update (:record taken) update {:now now})]
        (when (not= :unchanged (:outcome again)) (invariant "the same update twice is not the same" :unchanged again))))))

(defn- broken-invariant [{:keys [target holds] :as question} ours]
  (cond
    (= :fault (:status ours)) {:kind :fault :expected "an answer" :got (str (:error ours))}
    (and holds (not= holds (:status ours))) (invariant "a record that was made well does not hold" {:status holds} ours)
    :else (case target
            :record (record-invariant question)
            :update (update-invariant question)
            (:request :response) (message-invariant question)
            nil)))

(defn- ours-checked [question ours]
  (try (broken-invariant question ours)
       (catch Throwable t {:kind :fault :expected "no defect" :got (str t)})))

;; ## Another's held against ours

(defn- malformed? [{:keys [status]}] (= :malformed status))

(defn- entry-statuses [{:keys [entries]}] (map :status entries))

(defn- differs? [target codes ours theirs]
  (cond
    (= :decode target) (not= (malformed? ours) (malformed? theirs))
    (not= (:status ours) (:status theirs)) true
    (and codes (:problems theirs) (not= (set (:problems ours)) (set (:problems theirs)))) true
    :else (and (:entries ours) (:entries theirs) (not= (entry-statuses ours) (entry-statuses theirs)))))

(defn check
  "What is wrong with the answer that `ask` (nil: only ours) gives to `question`, or nil; with
  our answer: `[trouble ours]`. `ask` gives an answer, `{:status :unsupported}`, or a trouble.
  Options: `:target`; `:codes`, problem codes count too."
  [question ask {:keys [target codes]}]
  (let [ours (answer/answer question)
        wrong (ours-checked question ours)
        theirs (when (and ask (nil? wrong)) (ask question))]
    [(cond
       wrong wrong
       (or (nil? theirs) (= :unsupported (:status theirs))) nil
       (:kind theirs) (assoc theirs :expected ours)
       (differs? target codes ours theirs) {:kind :disagrees :expected ours :got theirs})
     ours]))

;; ## Making a finding small

(defn signature
  "What makes two troubles the same finding: its kind and both answers in short."
  [{:keys [kind why expected got]}]
  [kind why (:status expected) (first (:problems expected)) (:status got)])

(def ^:private most-tries 150)

(defn minimised
  "The smallest of the cases in the rose tree `tree` that is found by going to a smaller one
  while `trouble-of` (a function of a case) has a trouble of the same signature:
  `[case trouble]`. Gives up after some 150 tries; after 3 where each may take a timeout."
  [tree trouble trouble-of]
  (let [same (signature trouble)]
    (loop [tree tree trouble trouble children (rose/children tree)
           tries (if (= :hang (:kind trouble)) 3 (long most-tries))]
      (if (or (empty? children) (zero? tries))
        [(rose/root tree) trouble]
        (let [child (first children)
              found (trouble-of (rose/root child))]
          (if (and found (= same (signature found)))
            (recur child found (rose/children child) (dec tries))
            (recur tree trouble (rest children) (dec tries))))))))

;; ## A run

(defn begin
  "The state of a run of `target` before its first case. `:seed`; `:drawn`, no vectors; `:codes`."
  [target {:keys [seed drawn codes]}]
  {:target target :seed seed :drawn (boolean drawn) :codes (boolean codes)
   :next 0 :unsupported 0 :covered #{} :findings {}})

(defn- finding [{:keys [target seed] :as state} n tree trouble ask]
  (let [trouble-of (fn [c] (first (check (question c) ask state)))
        [small trouble] (minimised tree trouble trouble-of)]
    {:target target :seed seed :number n :case small :question (question small) :trouble trouble :times 1}))

(defn- covered [covered ours]
  (if (= :valid (:status ours)) covered (into covered (:problems ours))))

(defn step
  "The state after its next case."
  [{:keys [target seed next] :as state} ask]
  (let [tree (case-tree target seed next state)
        [trouble ours] (check (question (rose/root tree)) ask state)
        state (-> (update-in state [:next] inc) (update-in [:covered] covered ours))
        key (when trouble (signature trouble))]
    (cond
      (nil? trouble) state
      (get-in state [:findings key]) (update-in state [:findings key :times] inc)
      :else (assoc-in state [:findings key] (finding state next tree trouble ask)))))

(defn reachable
  "The error codes that a run of `target` can come upon: those of the vectors of such questions."
  [target]
  (let [asks (cond-> (:asks (targets/targets target)) (= :update target) (conj :record))]
    (into (sorted-set)
      (comp (filter #(contains? asks (vectors/asked %)))
        (remove (comp :entries :expect))
        (mapcat (comp :problems :expect))
        (filter #(or (not= :decode target) (str/starts-with? % "format/"))))
      vectors/rows)))

(defn coverage
  "How many of the codes that a run can come upon it has come upon: `[those all]`."
  [{:keys [target covered]}]
  (let [all (reachable target)]
    [(count (filter covered all)) (count all)]))

(defn rule-words
  "The rule that a finding is about, as a code, and where the specification tells of it."
  [{{:keys [expected]} :trouble}]
  (let [code (first (:problems expected))
        [space] (some-> code (str/split #"/"))]
    {:rule code
     :section (case space
                "format" (if (:where expected) (vectors/section-of [(:where expected)]) "format.md")
                ("chain" "survivorship") "format.md §4"
                "signature" "format.md §1"
                "authority" "format.md §5"
                ("zone" "time") "format.md §6"
                "identity" "format.md §7"
                "update" "format.md §6, protocol.md §1"
                "wire" "protocol.md §1"
                "format.md")}))
