(ns poz.cli.kit-test
  "`poz fuzz` and `poz conformance`, run as commands."
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.kit.vectors :as vectors])
  (:import
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)))

(set! *warn-on-reflection* true)

(defn- folder []
  (str (Files/createTempDirectory "poz-kit" (make-array FileAttribute 0))))

(def ^:private yes-man "while read q; do echo valid; done")

;; fuzz

(deftest nothing-is-found-in-ours
  (let [{:keys [exit out]} (cli/run ["fuzz" "decode" "--cases" "25" "--drawn"])]
    (is (= 0 exit))
    (is (re-find #"^25 cases, \d+/s, \d+ of \d+ errors come upon, 0 findings$" (peek out)))))

(deftest a-yes-man-is-found-out
  (let [dir (folder)
        {:keys [exit out err]} (cli/run ["fuzz" "decode" "--cases" "12" "--program" yes-man "--out" dir])]
    (is (= 1 exit))
    (is (str/includes? (cli/text err) "  expected  malformed, format/magic\n  got       valid\n  rule      format/magic, format.md"))
    (is (str/includes? (cli/text out) "again     poz fuzz decode --seed 1 --from 10 --cases 1"))
    (testing "a file and a report of each"
      (let [reports (filter #(re-find #"finding-.*json" (str %)) (.listFiles (io/file dir)))
            {:strs [file kind expected again question]} (json/read-str (slurp (str dir "/finding-10.json")))]
        (is (= 2 (count reports)))
        (is (= ["disagrees" "malformed, format/magic" "poz fuzz decode --seed 1 --from 10 --cases 1"] [kind expected again]))
        (is (str/includes? question (bytes/->hex (bytes/wrap (Files/readAllBytes (.toPath (io/file dir file)))))))))
    (testing "and it can be asked again"
      (is (= 1 (:exit (cli/run ["fuzz" "decode" "--seed" "1" "--from" "10" "--cases" "1" "--program" yes-man])))))
    (testing "the run goes on where it stopped, and tells only of what is new"
      (let [{:keys [exit out]} (cli/run ["fuzz" "decode" "--cases" "3" "--program" yes-man "--resume" dir])]
        (is (= 1 exit))
        (is (re-find #"^15 cases" (peek out)))
        (is (= 15 (get (json/read-str (slurp (str dir "/state.json"))) "next")))
        (is (not-any? #(str/includes? % "format/magic") out))))))

(deftest progress-on-a-terminal
  (let [{:keys [err]} (cli/run ["fuzz" "wire" "--cases" "3"] {:color true})]
    (is (str/includes? (cli/text err) "\u001b[K"))))

(deftest findings-as-json
  (let [{:keys [exit json]} (cli/run ["fuzz" "decode" "--cases" "12" "--program" yes-man "--json"])]
    (is (= 1 exit))
    (is (= "disagrees" (:kind (first json))))
    (is (= 12 (:next (peek json))))))

(deftest fuzz-makes-no-sense
  (doseq [[args why] [[["fuzz"] "missing TARGET"]
                      [["fuzz" "nope"] "there is no target nope; there are decode, text, update, verify, wire"]
                      [["fuzz" "decode" "--protocol" "smoke"] "cannot be read as HOW"]
                      [["fuzz" "decode" "--seconds" "0"] "cannot be read as N"]
                      [["fuzz" "decode" "--resume" "a" "--out" "b"] "leave --out out"]]]
    (let [{:keys [exit err]} (cli/run args)]
      (is (= 2 exit) args)
      (is (str/includes? (cli/text err) why) args)))
  (testing "no state"
    (is (= 4 (:exit (cli/run ["fuzz" "decode" "--resume" "/nowhere/at/all"]))))
    (let [dir (folder)]
      (spit (str dir "/state.json") "{}")
      (is (= 2 (:exit (cli/run ["fuzz" "decode" "--resume" dir]))))
      (cli/run ["fuzz" "wire" "--cases" "1" "--out" dir])
      (is (str/includes? (cli/text (:err (cli/run ["fuzz" "decode" "--resume" dir]))) "that run was of the target wire")))))

;; conformance

(deftest we-conform
  (let [{:keys [exit out]} (cli/run ["conformance" "run" "--codes"])]
    (is (= 0 exit))
    (is (= (str (count vectors/rows) " passed, 0 failed") (peek out)))))

(deftest a-yes-man-does-not
  (let [{:keys [exit out]} (cli/run ["conformance" "run" "--program" yes-man])]
    (is (= 1 exit))
    (is (re-find #"^\d+ passed, 1\d\d failed$" (peek out)))
    (is (str/includes? (cli/text out) "chain/serial-skips: a serial is left out (format.md §4, chain/serial)\n  expected  invalid, chain/serial\n  got       valid")))
  (testing "who supports nothing has not passed"
    (is (= 1 (:exit (cli/run ["conformance" "run" "--program" "while read q; do echo unsupported; done"]))))))

(deftest exported-and-run
  (let [dir (str (folder) "/vectors") {:keys [exit out]} (cli/run ["conformance" "export" dir])]
    (is (= 0 exit))
    (is (= [(str "wrote " (count vectors/rows) " vectors to " dir)] out))
    (is (.exists (io/file dir "files/chain/serial-skips.poz")))
    (is (= (str (count vectors/rows) " passed, 0 failed") (peek (:out (cli/run ["conformance" "run" "--codes" dir])))))
    (testing "nothing is replaced unless told"
      (is (= 2 (:exit (cli/run ["conformance" "export" dir]))))
      (is (= 0 (:exit (cli/run ["conformance" "export" dir "--force"])))))
    (testing "a folder without vectors"
      (spit (str dir "/vectors.json") "[]")
      (is (= 2 (:exit (cli/run ["conformance" "run" dir]))))
      (is (= 4 (:exit (cli/run ["conformance" "run" (folder)])))))))

(deftest questions-answered
  (let [{:keys [exit out]} (cli/run ["conformance" "answer"] {:in "record 1793491200000 504f\nnonsense\nrecord 1 -"})]
    (is (= 0 exit))
    (is (= ["{\"status\":\"malformed\",\"problems\":[\"format/truncated\"]}"
            "{\"status\":\"unsupported\",\"problems\":[\"cli/usage\"]}"
            "{\"status\":\"malformed\",\"problems\":[\"format/truncated\"]}"]
           out)))
  (is (= [] (:out (cli/run ["conformance" "answer"] {:in ""})))))
