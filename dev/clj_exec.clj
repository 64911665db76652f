(ns clj-exec
  "What `dev/clj -X` and `-T` run: `[FN] [KEY-OR-PATH VALUE]... [MAP]`, each read as EDN.

  The function is FN, or the aliases' `:exec-fn`, its name completed by their `:ns-default`
  and `:ns-aliases`. Its argument is their `:exec-args`, changed by the pairs and then the map."
  (:require
   [clojure.edn :as edn]
   [clojure.string :as str]))

(set! *warn-on-reflection* true)

(defn- fail! [& words]
  (throw (ex-info (str "dev/clj: " (str/join " " words)) {::usage true})))

(defn- read-arg [arg]
  (try (edn/read-string {:default tagged-literal} arg)
       (catch Exception _ (fail! "not EDN:" arg))))

(defn- parse
  "The arguments as `{:f symbol-or-nil, :pairs [[key value]...], :more map-or-nil}`."
  [args]
  (let [args (mapv read-arg args)
        f (when (symbol? (first args)) (first args))
        args (if f (subvec args 1) args)
        more (when (and (odd? (count args)) (map? (peek args))) (peek args))
        pairs (partition-all 2 (if more (pop args) args))]
    (doseq [[k :as pair] pairs]
      (when-not (or (keyword? k) (vector? k)) (fail! "neither a keyword nor a path:" (pr-str k)))
      (when (= 1 (count pair)) (fail! "no value for" (pr-str k))))
    {:f f, :pairs pairs, :more more}))

(defn- qualify [f {:keys [ns-default ns-aliases]}]
  (cond
    (nil? f) (fail! "no function given, and no :exec-fn in the aliases")
    (namespace f) (symbol (str (get ns-aliases (symbol (namespace f)) (namespace f))) (name f))
    ns-default (symbol (str ns-default) (name f))
    :else (fail! "a function needs its namespace:" f)))

(defn- find-fn [f]
  (or (try (requiring-resolve f)
           (catch java.io.FileNotFoundException e (fail! (ex-message e))))
      (fail! "no function" f)))

(defn- put [m [k v]]
  (if (vector? k) (assoc-in m k v) (assoc m k v)))

(defn- exec [args]
  (let [basis (slurp (System/getProperty "clojure.basis"))
        argmap (:argmap (edn/read-string {:default tagged-literal} basis))
        {:keys [f pairs more]} (parse args)
        f (find-fn (qualify (or f (:exec-fn argmap)) argmap))]
    (f (merge (reduce put (:exec-args argmap) pairs) more))))

(try
  (binding [*ns* (the-ns 'user)]
    (exec *command-line-args*))
  (shutdown-agents)
  (catch clojure.lang.ExceptionInfo e
    (when-not (::usage (ex-data e)) (throw e))
    (binding [*out* *err*] (println (ex-message e)))
    (System/exit 1)))
