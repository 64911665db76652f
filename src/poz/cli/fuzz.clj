(ns poz.cli.fuzz
  "`poz fuzz`: our own reader and verifier, or another program, asked about one case after another
  until time is up."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.error :as error]
   [poz.kit.fuzz :as fuzz]
   [poz.kit.program :as program]
   [poz.kit.report :as report]
   [poz.kit.targets :as targets]))

(set! *warn-on-reflection* true)

(defn- usage [& words]
  (error/anomaly :cli/usage {:message (apply str "poz fuzz: " words)}))

;; ## Files of a run

(defn- state-file [folder] (str folder "/state.json"))

(defn- write! [folder name text env]
  (files/write-file! (str folder "/" name) (if (string? text) (bytes/utf8 text) text) (:stdout env) {:force true}))

(defn- save-state! [{:keys [folder]} state env]
  (when folder
    (write! folder "state.json" (report/json-text (report/state-json state)) env)))

(defn- save-finding!
  "Writes the file and the report of a finding; nil, or an anomaly."
  [{:keys [folder]} {:keys [number question] :as finding} env]
  (when folder
    (let [name (str "finding-" number) file (str name ".poz")]
      (or (write! folder file (:file question) env)
        (write! folder (str name ".json") (report/json-text (report/finding-json finding file)) env)))))

(defn- resumed [folder env]
  (let [b (files/read-file (state-file folder) (:in env))]
    (if (error/anomaly? b)
      b
      (or (report/json->state (String. (bytes/->array b) "UTF-8"))
        (usage (state-file folder) " is not the state of a run")))))

;; ## The loop

(def ^:private ^:const tick-ms 10000)
(def ^:private ^:const terminal-tick-ms 250)

(defn- rate [{:keys [began first-case]} state now]
  (quot (* 1000 (- (long (:next state)) (long first-case))) (max 1 (- (long now) (long began)))))

(defn- share [{:keys [began seconds cases first-case]} state now]
  (max (/ (- (long now) (long began)) (* 1000.0 (long seconds)))
    (if cases (/ (- (long (:next state)) (long first-case)) (double (max 1 (long cases)))) 0.0)))

(defn- say! [text {:keys [stderr]}]
  (files/write-file! "-" (bytes/utf8 text) stderr {}))

(defn- show-progress! [run state now {:keys [color] :as env}]
  (let [line (report/progress state (when color (share run state now)) (rate run state now))]
    (say! (if color (str "\r" line "\u001b[K") (str line "\n")) env)))

(defn- clear-progress! [{:keys [color] :as env}]
  (when color (say! "\r\u001b[K" env)))

(defn- known? [{:keys [known]} [signature _]]
  (contains? known (pr-str signature)))

(defn- new-findings
  "The findings of `state` that `before` did not have and no earlier run told of."
  [before state]
  (remove #(known? state %) (apply dissoc (:findings state) (keys (:findings before)))))

(defn- tell! [run found env]
  (clear-progress! env)
  (say! (str (str/join "\n" (report/finding-lines found)) "\n") env)
  (save-finding! run found env))

(defn- loop! [{:keys [tick] :as run} state ask {:keys [now] :as env}]
  (loop [state state shown (:began run)]
    (let [at (long (now))]
      (if (<= 1.0 (double (share run state at)))
        state
        (let [after (fuzz/step state ask)
              failed (first (keep (fn [[_ found]] (tell! run found env)) (new-findings state after)))
              due (<= (long tick) (- at (long shown)))]
          (when due
            (show-progress! run after at env)
            (save-state! run after env))
          (if failed failed (recur after (if due at shown))))))))

(defn- result [run state {:keys [now] :as env}]
  (let [fresh (remove #(known? state %) (:findings state))
        findings (sort-by :number (map val fresh))
        total (+ (count fresh) (count (:known state)))]
    (clear-progress! env)
    {:exit (if (zero? total) 0 1)
     :out (concat (mapcat report/finding-lines findings)
            [(report/progress (assoc state :findings (zipmap (range total) (repeat nil))) nil (rate run state (now)))])
     :json (conj (mapv #(report/finding-json % (when (:folder run) (str "finding-" (:number %) ".poz"))) findings)
             (report/state-json state))}))

;; ## The command

(defn- first-state [target {:keys [resume seed from drawn codes]} env]
  (if resume
    (resumed resume env)
    (merge (fuzz/begin (keyword target) {:seed seed :drawn drawn :codes codes})
      {:next from :known {}})))

(defn- target-fault [target {:keys [resume out]} state]
  (cond
    (not (contains? targets/targets (keyword target)))
    (usage "there is no target " target "; there are " (str/join ", " (sort (map name (keys targets/targets)))))
    (and resume out) (usage "--resume goes on writing where it did: leave --out out")
    (error/anomaly? state) state
    (not= (keyword target) (:target state)) (usage "that run was of the target " (name (:target state)))))

(defn- fuzz! [state {:keys [program protocol timeout seconds cases out resume]} {:keys [now color] :as env}]
  (let [run {:folder (or resume out) :began (now) :first-case (:next state) :seconds seconds :cases cases
             :tick (if color terminal-tick-ms tick-ms)}
        {:keys [ask stop]} (when program (program/start program {:protocol (keyword protocol) :timeout (* 1000 (long timeout))}))]
    (try
      (let [end (loop! run state ask env)]
        (or (when (error/anomaly? end) end)
          (save-state! run end env)
          (result run end env)))
      (finally (when stop (stop))))))

(defn run
  "What `poz fuzz` does: see its row in `poz.cli.kit`."
  [{[target] :args :keys [options env]}]
  (let [state (when (contains? targets/targets (keyword target)) (first-state target options env))]
    (or (target-fault target options state)
      (when-let [folder (:out options)] (files/make-folder! folder))
      (fuzz! state options env))))
