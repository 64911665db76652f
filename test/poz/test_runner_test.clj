(ns poz.test-runner-test
  "The runner, on namespaces made here."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :as t :refer [deftest is testing]]
   [clojure.test.check :as tc]
   [clojure.test.check.clojure-test :as check]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.test-runner :as runner])
  (:import
   (java.io File)))

(set! *warn-on-reflection* true)

(defn- sample
  "Makes a namespace with the tests of the map `tests`, name → function, and `fixtures`, calls
  `f` with its name, and removes it. The names are unique, as namespaces run side by side."
  ([tests f] (sample tests {} f))
  ([tests fixtures f]
   (let [n (gensym "poz.sample.")
         ns (create-ns n)]
     (try
       (alter-meta! ns merge fixtures)
       (doseq [[test-name body] tests]
         (intern ns (with-meta test-name {:test body}) (fn [] nil)))
       (f n)
       (finally (remove-ns n))))))

(defn- outcome [n]
  (let [summary (runner/run-namespaces [{:ns n}])]
    (assoc (select-keys summary [:passed :failed :ok?])
           :output (:output (first (:namespaces summary))))))

(deftest passing-tests-are-counted-and-silent
  (sample {'a #(do (println "noise") (is true) (is true)) 'b #(is (= 1 1))}
          #(is (= {:passed 2 :failed 0 :ok? true :output ""} (outcome %)))))

(deftest a-failure-is-counted-and-shown
  (sample {'good #(do (println "quiet") (is true))
           'bad #(testing "in a context"
                   (println "loud")
                   (is (= 3 4) "three is four")
                   (is (= 5 6)))}
          (fn [n]
            (let [{:keys [output] :as result} (outcome n)]
              (is (= {:passed 1 :failed 1 :ok? false} (dissoc result :output)))
              (doseq [part ["FAIL in (bad) (test_runner_test.clj:" "in a context" "three is four"
                            "expected: (= 3 4)" "actual: (not (= 5 6))" "loud"]]
                (is (str/includes? output part)))
              (is (not (str/includes? output "quiet")))))))

(deftest an-exception-is-a-failure
  (sample {'boom #(throw (ex-info "no such luck" {})) 'next #(is true)}
          (fn [n]
            (let [{:keys [output] :as result} (outcome n)]
              (is (= {:passed 1 :failed 1 :ok? false} (dissoc result :output)))
              (is (str/includes? output "ERROR in (boom)"))
              (is (str/includes? output "no such luck"))))))

(deftest failures-do-not-leak-into-other-runs
  (sample {'bad #(is false)} outcome)
  (sample {'good #(is true)} #(is (:ok? (outcome %)))))

(deftest no-tests-is-a-failure
  (is (= {:passed 0 :failed 0 :ok? false}
         (select-keys (runner/run-namespaces []) [:passed :failed :ok?])))
  (sample {} #(is (= {:passed 0 :failed 0 :ok? false :output ""} (outcome %)))))

(deftest a-namespace-that-does-not-load-is-a-failure
  (let [{:keys [output] :as result} (outcome 'poz.no-such-file-test)]
    (is (= {:passed 0 :failed 1 :ok? false} (dissoc result :output)))
    (is (str/includes? output "DOES NOT LOAD: poz.no-such-file-test"))
    (is (str/includes? output "poz/no_such_file_test"))))

(deftest fixtures-run
  (let [log (atom [])
        around (fn [in out] (fn [f] (swap! log conj in) (f) (swap! log conj out)))
        say #(swap! log conj :test)]
    (sample {'a say 'b say}
            {::t/once-fixtures [(around :open :close)] ::t/each-fixtures [(around :in :out)]}
            #(is (= 2 (:passed (outcome %)))))
    (is (= [:open :in :test :out :in :test :out :close] @log))))

(deftest a-broken-fixture-is-a-failure
  (let [broken (fn [_] (throw (ex-info "bad fixture" {})))]
    (sample {'a #(is true) 'b #(is true)} {::t/each-fixtures [broken]}
            #(is (= 2 (:failed (outcome %)))))
    (sample {'a #(is true)} {::t/once-fixtures [broken]}
            #(let [{:keys [failed output]} (outcome %)]
               (is (= 1 failed))
               (is (str/includes? output "bad fixture"))))))

(deftest names-select
  (let [found '[poz.a-test poz.b-test]]
    (is (= '[{:ns poz.a-test} {:ns poz.b-test}] (runner/select found [])))
    (is (= '[{:ns poz.b-test}] (runner/select found ["poz.b-test"])))
    (is (= '[{:ns poz.b-test :tests [x y]}] (runner/select found ["poz.b-test/x" "poz.b-test/y"])))
    (is (= '[{:ns poz.b-test}] (runner/select found ["poz.b-test/x" "poz.b-test"])))
    (is (= '[{:ns poz.c-test :missing true}] (runner/select found ["poz.c-test"])))))

(deftest only-the-selected-tests-run
  (sample {'good #(is true) 'bad #(is false)}
          (fn [n]
            (let [run #(select-keys (runner/run-namespaces [%]) [:passed :failed])]
              (is (= {:passed 1 :failed 0} (run {:ns n :tests '[good]})))
              (is (= {:passed 0 :failed 1} (run {:ns n :tests '[bad]})))
              (is (= {:passed 1 :failed 1} (run {:ns n :tests '[good gone]})))
              (is (= {:passed 0 :failed 1} (run {:ns n :missing true})))))))

(defn- property-test [property]
  (fn []
    (let [options (apply concat (#'check/process-options 100))]
      (check/assert-check (apply tc/quick-check 100 property options)))))

(deftest a-failed-property-shows-its-smallest-arguments
  (sample {'small (property-test (prop/for-all [n gen/nat] (< n 5)))
           'throws (property-test (prop/for-all [n gen/nat] (or (< n 7) (throw (ex-info "big" {})))))}
          (fn [n]
            (let [{:keys [failed output]} (outcome n)]
              (is (= 2 failed))
              (doseq [part ["smallest failing arguments: [5]" "smallest failing arguments: [7]" "with seed" "big"]]
                (is (str/includes? output part)))
              (is (not (str/includes? output ":total-nodes-visited")))))))

(deftest namespaces-are-found-by-name
  (let [found (set (runner/find-namespaces "test"))]
    (is (contains? found 'poz.test-runner-test))
    (is (not (contains? found 'poz.test-runner))))
  (is (runner/integration? 'poz.integration.cli-test))
  (is (not (runner/integration? 'poz.cli-test))))

(defn- command [& args]
  (let [err (java.io.StringWriter.)
        out (java.io.StringWriter.)
        code (binding [*out* out, *err* err] (runner/run args))]
    {:code code :out (str out) :err (str err)}))

(deftest the-command
  (testing "an unknown option"
    (let [{:keys [code err]} (command "--bogus")]
      (is (= 2 code))
      (is (str/includes? err "--bogus"))))
  (testing "a name that is not there"
    (let [{:keys [code out]} (command "poz.gone-test")]
      (is (= 1 code))
      (is (str/includes? out "NO SUCH TEST NAMESPACE: poz.gone-test"))
      (is (str/ends-with? out "\n0 passed, 1 failed\n"))))
  (testing "an integration namespace without --integration"
    (is (= 1 (:code (command "poz.integration.cli-test")))))
  (testing "a run of one test"
    (let [{:keys [code out err]} (command "poz.test-runner-test/names-select")]
      (is (= 0 code))
      (is (= "1 passed, 0 failed\n" out))
      (is (re-find #"^\d+\.\d s in all; slowest: poz.test-runner-test" err))))
  (testing "help"
    (is (= 0 (:code (command "--help"))))))

(deftest what-others-call-stays-as-it-is
  (is (= []
        (for [^File file (file-seq (io/file "test/poz"))
              :when (and (.isFile file) (not (str/includes? (str file) "integration")) (not (#{"redefined.clj" "test_runner_test.clj"} (.getName file))))
              :when (re-find #"\((with-redefs|alter-var-root)" (slurp file))]
          (str file)))))
