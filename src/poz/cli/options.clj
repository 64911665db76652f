(ns poz.cli.options
  "Command lines as data. A command is a map:

      {:name \"verify\" :doc \"…\" :args \"FILE...\" :arity [1 nil]
       :options [{:name \"at\" :arg \"TIME\" :doc \"…\" :parse f :many true}]
       :examples [\"poz verify alice.poz\"] :run f}

  From it come the parser, the checks and `--help`. An unknown option, one given twice
  (unless `:many`), a missing or an unreadable argument is an error that says which.
  `:parse` gives nil for what it cannot read."
  (:require
   [clojure.string :as str]
   [clojure.tools.cli :as tools]
   [poz.error :as error]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(def common
  "The options that every command has."
  [{:name "json" :doc "results and errors as JSON, one object a line"}
   {:name "help" :short "h" :doc "this text"}])

(defn- keep-once [many]
  (fn [m id v]
    (cond
      many (update m id (fnil conj []) v)
      (contains? m id) (assoc m id ::repeated)
      :else (assoc m id v))))

(defn- repeated [options]
  (some (fn [[id v]] (when (= ::repeated v) id)) options))

(defn- spec [{:keys [name arg doc parse short many]}]
  (cond-> [(when short (str "-" short)) (str "--" name (when arg (str " " arg))) doc
           :id (keyword name) :assoc-fn (keep-once many)]
    parse (into [:parse-fn #(or (parse %) ::unreadable)
                 :validate [#(not= ::unreadable %) (str "cannot be read as " arg)]])))

(defn- options-of [command]
  (into (vec (:options command)) common))

(defn- wrong-count [{:keys [args arity]} found]
  (let [[low high] arity n (count found)]
    (cond
      (< n (long low)) (str "missing " args)
      (and high (< (long high) n)) (str "too many arguments: " (str/join " " (drop high found))))))

(defn- usage [command why]
  (error/anomaly :cli/usage {:message (str "poz " (:name command) ": " why) :command (:name command)}))

(defn- required-fault [command options]
  (when-let [missing (first (filter #(and (:required %) (not (contains? options (keyword (:name %)))))
                              (:options command)))]
    (str "--" (:name missing) " is required")))

(defn- defaults [command]
  (into {} (keep (fn [{:keys [name default]}] (when (some? default) [(keyword name) default])))
    (:options command)))

(defn parse
  "What `args`, the words after the command's name, ask for: `{:options {…} :args […]}`, or
  the anomaly `:cli/usage`. With `--help` nothing else is looked at."
  [command args]
  (let [{:keys [options arguments errors]}
        (tools/parse-opts args (map spec (options-of command)) :strict true :no-defaults true)]
    (cond
      (:help options) {:options {:help true} :args []}
      (seq errors) (usage command (str/join "; " errors))
      (repeated options) (usage command (str "--" (name (repeated options)) " is given twice"))
      :else (if-let [why (or (wrong-count command arguments) (required-fault command options))]
              (usage command why)
              {:options (merge (defaults command) options) :args (vec arguments)}))))

;; ## Help

(def ^:private help-column 31)

(defn- option-words [{:keys [doc required many default]}]
  (str doc
    (when required " (required)")
    (when many " (repeatable)")
    (when (some? default) (str " (" default ")"))))

(defn- option-lines [{:keys [name arg short] :as option}]
  (let [head (str "  " (if short (str "-" short ", ") "    ") "--" name (when arg (str " " arg)))
        body (text/hang (option-words option) 80 help-column help-column)]
    (if (< (count head) (dec (long help-column)))
      (cons (str (text/pad head help-column) (str/triml (first body))) (rest body))
      (cons head body))))

(defn help
  "The lines of a command's `--help`."
  [{:keys [name args doc examples] :as command}]
  (concat
    [(str "poz " name " [OPTION]..." (when args (str " " args))) ""]
    (text/wrap doc 80)
    ["" "Options:"]
    (mapcat option-lines (options-of command))
    (when (seq examples) (into ["" "Examples:"] (map #(str "  " %)) examples))))
