(ns poz.rules
  "The engine behind every verdict: rules as rows, run in order, every step kept.

  A rule is `{:id :doc :check :ends}`. `check` is a function of the facts of one statement
  (a plain map) that gives a *finding*: nil where the rule does not apply, or a map
  with `:holds` (true, false or :unknown), `:because` a sentence, `:numbers` the facts
  behind it, `:needs` what would make it hold, `:error` where it is not the rule's id.
  The sentence may be a function of nothing that gives it: most are never read.

  `judge` gives a *judgement*: `{:outcome :valid|:invalid|:unknown, :steps (…)}` where a
  step is a finding with its `:rule`, its sentence put in words when steps are first read.
  A statement stops at its first broken rule. What is unknown does not end it, unless the
  rule says so: if none breaks, the outcome is unknown.

  `outcome`s are ordered: malformed, invalid, unknown, valid, worst first.")

(set! *warn-on-reflection* true)

(def ^:private rank {:malformed 0 :invalid 1 :unknown 2 :valid 3})

(defn worst
  "The worst of `outcomes`; `:valid` of none."
  [outcomes]
  (reduce (fn [a b] (if (< (long (rank b)) (long (rank a))) b a)) :valid outcomes))

(defn holds
  "The finding that the rule holds, with a sentence and numbers."
  ([because] {:holds true :because because})
  ([because numbers] {:holds true :because because :numbers numbers}))

(defn breaks
  "The finding that the rule is broken."
  ([because] {:holds false :because because})
  ([because more] (merge {:holds false :because because} more)))

(defn unknown
  "The finding that nobody can tell, for want of something."
  ([because] {:holds :unknown :because because})
  ([because more] (merge {:holds :unknown :because because} more)))

(defn- findings
  "What `rules` find in `facts`, up to the one that ends it."
  [rules facts]
  (reduce (fn [found rule]
            (if-let [finding ((:check rule) facts)]
              (let [found (conj found (assoc finding :rule (:id rule)))
                    holds (:holds finding)]
                (if (or (false? holds) (and (:ends rule) (= :unknown holds))) (reduced found) found))
              found))
    [] rules))

(defn- outcome [findings]
  (reduce (fn [outcome finding]
            (case (:holds finding) true outcome false (reduced :invalid) :unknown :unknown))
    :valid findings))

(defn- in-words [{:keys [because] :as finding}]
  (if (fn? because) (assoc finding :because (because)) finding))

(defn judge
  "Runs `rules` on `facts` up to the first that is broken, or that is unknown and says
  `:ends`: without it the later ones cannot be asked."
  [rules facts]
  (let [found (findings rules facts)
        outcome (outcome found)]
    {:outcome outcome
     :steps (if (= :valid outcome) (map in-words found) (mapv in-words found))}))

(defn problem
  "The error keyword of a step that does not hold, or nil."
  [{:keys [holds error rule]}]
  (when-not (true? holds) (or error rule)))

(defn problems
  "The error keywords of the steps of a judgement that do not hold, in their order."
  [{:keys [outcome steps]}]
  (if (= :valid outcome)
    []
    (into [] (keep problem) steps)))

(defn first-break
  "The first step of a judgement that does not hold, broken or unknown; or nil."
  [{:keys [outcome steps]}]
  (when-not (= :valid outcome)
    (first (remove #(true? (:holds %)) steps))))
