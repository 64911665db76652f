(ns poz.test-runner
  "Runs the tests: `dev/clj -M:test [NAMESPACE | NAMESPACE/VAR]...`.

  A *test* is one `deftest` or `defspec`; the closing line `N passed, N failed` counts those.
  A test *fails* when one of its assertions does or when it, or a fixture around it, throws.
  A namespace that does not load, and a selected name that is not there, count as one failed
  test each. Namespaces run side by side, each on a thread of its own, so a test that
  redefines a var does so for its own thread alone (`poz.redefined`).

  What a test prints is shown only when it fails. A failed property shows its smallest
  failing arguments and its seed.

  `run-namespaces` runs tests and returns a summary, a map; `run` is the command without the
  exit; `-main` is the command. None of them watches files or retries anything."
  (:require
   [clojure.java.io :as io]
   [clojure.main :as main]
   [clojure.string :as str]
   [clojure.test :as t]
   [clojure.test.check.clojure-test :as check]
   [clojure.tools.cli :as cli])
  (:import
   (java.io File StringWriter)
   (java.util.concurrent Callable ExecutorService Executors Future)))

(set! *warn-on-reflection* true)

;; Finding

(defn- file->ns [^File root ^File file]
  (-> (str (.relativize (.toPath root) (.toPath file)))
      (str/replace #"\.clj$" "")
      (str/replace File/separator ".")
      (str/replace "_" "-")
      symbol))

(defn find-namespaces
  "The sorted names of the namespaces in `dir` whose names end in `-test`."
  [dir]
  (->> (file-seq (io/file dir))
       (filter #(str/ends-with? (.getName ^File %) "_test.clj"))
       (map #(file->ns (io/file dir) %))
       sort))

(defn integration?
  "True when the namespace `ns-name` runs only with `--integration`."
  [ns-name]
  (str/starts-with? (str ns-name) "poz.integration."))

(defn select
  "What to run, for `run-namespaces`: of the namespaces `found` those that the strings `names`
  select, or all of them. A name that is not among them becomes a selection with `:missing`."
  [found names]
  (if (empty? names)
    (map (fn [n] {:ns n}) found)
    (for [[n group] (group-by #(symbol (first (str/split % #"/" 2))) (distinct names))
          :let [tests (map #(second (str/split % #"/" 2)) group)]]
      (cond-> {:ns n}
        (every? some? tests) (assoc :tests (mapv symbol tests))
        (not-any? #{n} found) (assoc :missing true)))))

;; Running one test

(defn- property-reporter
  "Says what a failed property came down to; other events of test.check are of no interest."
  [{:keys [type num-tests seed fail shrunk]}]
  (when (= type :shrunk)
    (t/with-test-out
      (println "\nproperty failed at trial" num-tests "with seed" seed)
      (println "  smallest failing arguments:" (pr-str (vec (:smallest shrunk))))
      (println "     first failing arguments:" (pr-str (vec fail))))))

(defn- brief
  "A failure report whose actual value is a whole result of test.check, without the rest of it."
  [{:keys [actual] :as report}]
  (if (and (map? actual) (:shrunk actual))
    (assoc report :actual (select-keys actual [:result :seed]))
    report))

(defn- run-test
  "Runs the test `v` within the fixture `each`. Returns `{:failed? :output}`."
  [each v]
  (let [out (StringWriter.)
        failed? (atom false)
        report t/report]
    (binding [*out* out, *err* out, t/*test-out* out
              t/*report-counters* (ref t/*initial-report-counters*)
              check/*default-opts* {:reporter-fn property-reporter}
              t/report (fn [m]
                         (when (#{:fail :error} (:type m)) (reset! failed? true))
                         (report (brief m)))]
      (try (each #(t/test-var v))
           (catch Throwable e
             (binding [t/*testing-vars* (list v)]
               (t/do-report {:type :error :message "Thrown by a fixture."
                             :expected nil :actual e})))))
    {:failed? @failed?, :output (str out)}))

;; Running namespaces

(defn- load-ns!
  "Requires a namespace unless it is there; `require` is not for several threads at once."
  [ns-name]
  (locking clojure.lang.RT/REQUIRE_LOCK
    (or (find-ns ns-name)
        (do (require ns-name) (find-ns ns-name)))))

(defn- tests-of [ns]
  (->> (vals (ns-interns ns))
       (filter (comp :test meta))
       (sort-by (comp (juxt :line :name) meta))))

(defn- explain [e]
  (-> e Throwable->map main/ex-triage main/ex-str))

(defn- failure [& words]
  {:failed? true, :output (str "\n" (str/join " " words) "\n")})

(defn- run-tests
  "The results of the tests `vars` of the loaded namespace `ns`, within its fixtures."
  [ns vars]
  (let [results (atom [])
        {::t/keys [once-fixtures each-fixtures]} (meta ns)
        each (t/join-fixtures each-fixtures)]
    (try ((t/join-fixtures once-fixtures)
          #(doseq [v vars] (swap! results conj (run-test each v))))
         (catch Throwable e
           (swap! results conj (failure "ERROR in a :once fixture of" (ns-name ns) "\n" (explain e)))))
    @results))

(defn- run-selection [{:keys [tests] :as selection}]
  (let [ns (load-ns! (:ns selection))
        all (tests-of ns)
        known (group-by (comp :name meta) all)
        lost (remove known tests)]
    (concat (for [n lost] (failure "NO SUCH TEST:" (str (:ns selection) "/" n)))
            (run-tests ns (if tests (mapcat known tests) all)))))

(defn- results-of [selection]
  (cond
    (:missing selection) [(failure "NO SUCH TEST NAMESPACE:" (:ns selection)
                                   (if (integration? (:ns selection)) "(without --integration)" ""))]
    :else (try (vec (run-selection selection))
               (catch Throwable e
                 [(failure "DOES NOT LOAD:" (:ns selection) "\n" (explain e))]))))

(defn- run-namespace [selection]
  (let [start (System/nanoTime)
        results (results-of selection)
        failed (filter :failed? results)]
    {:ns (:ns selection)
     :passed (- (count results) (count failed))
     :failed (count failed)
     :ms (quot (- (System/nanoTime) start) 1000000)
     :output (str/join (map :output failed))}))

(defn run-namespaces
  "Runs `selections`, each `{:ns symbol, :tests symbols or nil for all}`. Returns
  `{:passed n, :failed n, :ok? boolean, :ms n, :namespaces [{:ns :passed :failed :ms :output}...]}`;
  `:ok?` is false too when no test ran.

  | option     | meaning                                                     |
  |------------|-------------------------------------------------------------|
  | `:threads` | namespaces at a time, by default the number of processors   |
  | `:done`    | called with each namespace's part of the summary at its end |"
  ([selections] (run-namespaces selections {}))
  ([selections {:keys [threads done] :or {done identity}}]
   (let [start (System/nanoTime)
         threads (or threads (.availableProcessors (Runtime/getRuntime)))
         ^ExecutorService pool (Executors/newFixedThreadPool threads)
         done (bound-fn* done)
         task (fn [selection] (doto (run-namespace selection) done))
         tasks (mapv (fn [selection] ^Callable #(task selection)) selections)
         parts (try (mapv #(.get ^Future %) (.invokeAll pool tasks))
                    (finally (.shutdown pool)))
         passed (transduce (map :passed) + parts)
         failed (transduce (map :failed) + parts)]
     {:passed passed
      :failed failed
      :ok? (and (zero? failed) (pos? passed))
      :ms (quot (- (System/nanoTime) start) 1000000)
      :namespaces parts})))

;; The command

(def ^:private options
  [[nil "--integration" "Run the namespaces under poz.integration, and only those"]
   [nil "--list" "Print the names of the tests and run none"]
   ["-h" "--help" "Print this"]])

(defn- seconds [ms]
  (format "%.1f s" (/ ms 1000.0)))

(defn- print-part [{:keys [output]}]
  (locking print-part
    (print output)
    (flush)))

(defn- print-summary [{:keys [passed failed ms namespaces]}]
  (let [slowest (take 3 (sort-by (comp - :ms) namespaces))]
    (binding [*out* *err*]
      (when (zero? (+ passed failed)) (println "No tests ran."))
      (println (str (seconds ms) " in all; slowest: "
                    (str/join ", " (map #(str (:ns %) " " (seconds (:ms %))) slowest))))))
  (println passed "passed," failed "failed"))

(defn- print-list [found]
  (doseq [n found, v (tests-of (load-ns! n))]
    (println (str n "/" (:name (meta v))))))

(defn run
  "The command: prints what `-main` prints and returns its exit code, 0 when every test
  passed, 1 when one failed or none ran, 2 when the arguments make no sense."
  [args]
  (let [{:keys [errors summary arguments] flags :options} (cli/parse-opts args options)
        wanted? (if (:integration flags) integration? (complement integration?))
        found (filter wanted? (find-namespaces "test"))]
    (cond
      errors (binding [*out* *err*] (run! println errors) 2)
      (:help flags) (do (println "[OPTION]... [NAMESPACE | NAMESPACE/TEST]...\n") (println summary) 0)
      (:list flags) (do (print-list found) 0)
      :else (let [result (run-namespaces (select found arguments) {:done print-part})]
              (print-summary result)
              (if (:ok? result) 0 1)))))

(defn -main
  "Runs the tests that `args` select, prints the failures and, last, `N passed, N failed`;
  exits with what `run` returns."
  [& args]
  (let [code (run args)]
    (flush)
    (shutdown-agents)
    (System/exit code)))
