(ns poz.cli.inspect
  "`poz show`, `dump`, `verify`: what a file says and whether it holds. What only one of them needs
  is loaded by that one."
  (:require
   [clojure.string :as str]
   [poz.cli.support :as support]
   [poz.error :as error]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.time :as time]
   [poz.verify :as verify]
   [poz.view.text :as text]
   [poz.view.verdict :as verdict]))

(set! *warn-on-reflection* true)

;; ## show, dump

(defn- show [{[file] :args :keys [options env]}]
  (let [r (support/read-record file env)]
    (if (error/anomaly? r)
      r
      {:exit 0 :out ((requiring-resolve 'poz.view.tree/show) r (assoc (support/view-options env options) :key-hash signing/key-hash))
       :json [{:file file :record (dissoc r :private-key-map)}]})))

(defn- dump [{[file] :args {:keys [full] :as options} :options :keys [env]}]
  (let [b (support/read-bytes file env)]
    (if (error/anomaly? b)
      b
      (let [plain (record/dearmor b)
            r (if (error/anomaly? plain) plain (record/decode plain))]
        {:exit (if (error/anomaly? r) (support/exit-code r) 0)
         :out ((requiring-resolve 'poz.view.dump/dump) b (cond-> (support/view-options env options) full (assoc :full true)))
         :json [(cond-> {:file file :outcome (if (error/anomaly? r) :malformed :well-formed)}
                  (error/anomaly? r) (assoc :error (error/code (:poz/error r)) :at (:at r) :message (:message r)))]}))))

;; ## verify

(def ^:private outcome-exit {:valid 0 :invalid 1 :malformed 3 :unknown 4})

(defn- verdict-json [file {:keys [outcome error problems warnings chain zones]}]
  (cond-> {:file file
           :outcome outcome
           :error (cond error (error/code (:poz/error error))
                        (seq problems) (error/code (first problems)))
           :problems (map error/code problems)
           :warnings (map #(select-keys % [:warning :message]) warnings)}
    error (assoc :message (:message error) :at (:at error))
    chain (assoc :chain chain :zones zones)))

(defn- as-of
  "`record` as it was at `then`, `[:serial n]` or `[:time ms]`, and the clock of that time."
  [record [kind n :as then] options]
  (cond
    (or (nil? then) (error/anomaly? record)) [record options]
    (= :serial kind) [((requiring-resolve 'poz.past/at-revision) record n) options]
    :else [((requiring-resolve 'poz.past/at-time) record n) (assoc options :now n)]))

(defn- verify-file [file env then policy options]
  (let [b (support/read-bytes file env)]
    (if (error/anomaly? b)
      (assoc b :file file)
      (let [[r options] (as-of (record/parse b) then options)]
        (if (= :past/before (:poz/error r))
          (assoc r :file file)
          (let [verdict (verify/verify r options)]
            {:file file :record r :verdict verdict
             :decision (when policy ((requiring-resolve 'poz.policy/decide) verdict policy))}))))))

(defn- file-lines [{:keys [file verdict record message decision]} options]
  (if verdict
    (concat (verdict/lines file record verdict options)
      (when decision
        [(str "  policy: " (if (:accept decision) "taken" (str "not taken: " (:because decision))))]))
    [(text/escape (if (str/starts-with? message file) message (str file ": " message)))]))

(defn- file-json [{:keys [file verdict decision] :as result}]
  (if verdict
    (cond-> (verdict-json file verdict) decision (assoc :policy decision))
    {:file file :outcome :unknown :error (error/code (:poz/error result)) :message (:message result)}))

(defn- worst-exit [results]
  (let [code (outcome-exit (rules/worst (map #(get-in % [:verdict :outcome] :unknown) results)))]
    (if (some #(false? (get-in % [:decision :accept])) results) (max 1 (long code)) code)))

(defn- parse-then
  "A serial or a time as `[:serial n]`, `[:time ms]`; nil for anything else."
  [s]
  (if (re-matches #"\d{1,9}" s)
    [:serial (parse-long s)]
    (when-let [ms (time/parse s)] [:time ms])))

(defn- verify [{:keys [args env] {:keys [with steps policy] then :as-of :as options} :options}]
  (let [providers (mapv #(support/read-record % env) with)]
    (or (support/first-anomaly providers)
      (let [now (support/now options env)
            results (mapv #(verify-file % env then policy {:now now :providers providers}) args)
            view (assoc (support/view-options env options) :steps (boolean steps))]
        {:exit (worst-exit results)
         :out (mapcat #(file-lines % view) results)
         :json (map file-json results)}))))

(def commands
  "The commands of this namespace."
  [{:name "show" :args "FILE" :arity [1 1] :group "Records" :run show
    :summary "show a record as a tree"
    :doc "Shows what a record says, as a tree: keys, master zone, zones, entries. Checks nothing but the form."
    :options [support/width-option]
    :examples ["poz show alice.poz" "curl -s https://example.com/alice.poz | poz show -"]}
   {:name "dump" :args "FILE" :arity [1 1] :group "Records" :run dump
    :summary "show every byte with its meaning"
    :doc "Shows every byte of a file with the field it belongs to. A broken file is shown up to the fault, with the reason. Exit code 3 where it is malformed."
    :options [{:name "full" :doc "show long byte strings whole"} support/width-option]
    :examples ["poz dump alice.poz"]}
   {:name "verify" :args "FILE..." :arity [1 nil] :group "Records" :run verify
    :summary "say whether records hold, and why"
    :doc (str "Verifies each FILE, binary or text, and says which rule decided what. Exit code 0 when all are valid, "
           "3 when one is malformed, else 1 when one is invalid, else 4 when something needed is not at hand.")
    :options [support/time-option
              {:name "with" :arg "FILE" :many true :doc "a provider's record, to check identity entries against"}
              {:name "as-of" :arg "SERIAL|TIME" :doc "verify the record as it was at that revision or time" :parse parse-then}
              {:name "policy" :arg "POLICY" :doc "what to take: default, strict or lenient; else exit code 1"
               :parse #(some #{(keyword %)} (keys @(requiring-resolve 'poz.policy/policies)))}
              {:name "steps" :doc "show every step, not only those that do not hold"}
              support/width-option]
    :examples ["poz verify alice.poz --with social.poz"
               "poz verify --json --at 2026-11-01T00:00:00Z *.poz"]}])
