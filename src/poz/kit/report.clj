(ns poz.kit.report
  "What a run of the fuzzer is told as: lines for a person, JSON for a file, and the state of a run
  as JSON, so that it can go on another day."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.kit.answer :as answer]
   [poz.kit.fuzz :as fuzz]
   [poz.kit.targets :as targets]))

(set! *warn-on-reflection* true)

(defn json-text
  "`x` as JSON that a person can read."
  [x]
  (str (with-out-str (json/pprint x :escape-slash false)) "\n"))

(defn words
  "An answer, or what was had instead of one, in words: `\"invalid, chain/serial\"`."
  [x]
  (cond
    (error/anomaly? x) (str (error/code (:poz/error x)) (when (:at x) (str " at " (:at x))))
    (bytes/bytes? x) (str (count x) " bytes")
    (:status x) (str/join ", " (cons (name (:status x)) (or (seq (:problems x)) (map (comp name :status) (:entries x)))))
    (keyword? x) (name x)
    (string? x) x
    :else (str "a value of " (count (pr-str x)) " characters")))

(defn again
  "The command that asks the question of a finding again."
  [{:keys [target seed number]}]
  (str "poz fuzz " (name target) " --seed " seed " --from " number " --cases 1"))

(defn finding-json
  "A finding as what its report says; `file` is the name of the file beside it."
  [{:keys [target seed number case question trouble times] :as finding} file]
  (let [{:keys [rule section]} (fuzz/rule-words finding)
        {:keys [kind why expected got]} trouble]
    (array-map
      :kind (name kind) :why why :rule rule :section section
      :expected (words expected) :got (words got)
      :target (name target) :seed seed :number number :times times
      :again (again finding) :file file
      :question (answer/question->line question)
      :case (pr-str case))))

(defn finding-lines
  "A finding for a person."
  [{:keys [trouble number times] :as finding}]
  (let [{:keys [rule section]} (fuzz/rule-words finding)
        {:keys [kind why expected got]} trouble]
    [(str (name kind) (when why (str ": " why)) ", case " number (when (< 1 (long times)) (str " and " (dec (long times)) " more")))
     (str "  expected  " (words expected))
     (str "  got       " (words got))
     (str "  rule      " (or rule "none: the record holds") ", " section)
     (str "  again     " (again finding))]))

;; ## State

(defn state-json
  "The state of a run, to be read by `json->state`."
  [{:keys [target seed drawn codes next unsupported covered findings]}]
  {:version 1 :target (name target) :seed seed :drawn drawn :codes codes :next next :unsupported unsupported
   :covered (sort covered)
   :known (mapv (fn [[signature {:keys [times]}]] {:signature (pr-str signature) :times times}) findings)})

(defn json->state
  "The state in the JSON `text`, or nil where it is none. Its findings are those that are known and
  not told of again."
  [text]
  (let [{:keys [target seed next covered known] :as found} (try (json/read-str text :key-fn keyword) (catch Exception _ nil))]
    (when (and (map? found) (= 1 (:version found)) (contains? targets/targets (keyword target)) (int? seed) (nat-int? next))
      (merge (fuzz/begin (keyword target) found)
        {:next next :unsupported (or (:unsupported found) 0) :covered (set covered)
         :known (into {} (map (juxt :signature :times)) known)}))))

;; ## Progress

(def ^:private ^:const bar-width 24)

(defn progress
  "How far a run is, on one line: `share` of it done, a number up to 1 or nil, `rate` in cases a second."
  [{:keys [next findings] :as state} share rate]
  (let [[those all] (fuzz/coverage state)
        full (when share (long (* (long bar-width) (min 1.0 (double share)))))]
    (str (when full (str "[" (str/join (repeat full "#")) (str/join (repeat (- (long bar-width) (long full)) "-")) "] "))
      next " cases, " rate "/s, " those " of " all " errors come upon, " (count findings) " findings")))
