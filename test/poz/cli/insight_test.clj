(ns poz.cli.insight-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.cli-world :as world :refer [poz]]
   [poz.error :as error]
   [poz.record :as record]
   [poz.rulebook :as rulebook]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(defn- with-me [f]
  (world/with-people ["me"] (fn [at] (f #(at "me" %)))))

(defn- vector! [at name]
  (cli/write! (at (str name ".poz")) (vectors/file-bytes (str "records/" name ".poz"))))

(deftest the-rules
  (let [{:keys [exit out]} (poz 1 "rules")]
    (is (= 0 exit))
    (is (every? #(<= (count %) 80) out))
    (doseq [{:keys [title rules]} rulebook/chapters]
      (is (some #{title} out))
      (doseq [{:keys [id]} rules]
        (is (some #(str/starts-with? % (str "  " (error/code id) " ")) out) id))))
  (let [{:keys [json]} (poz 1 "rules" "--json")]
    (is (= (mapcat (fn [{:keys [title rules]}] (map (fn [{:keys [id doc]}] {:version 1 :chapter title :rule (error/code id) :doc doc}) rules))
             rulebook/chapters)
           json)))
  (is (= 2 (:exit (poz 1 "rules" "surplus")))))

(deftest updates
  (with-me
    (fn [at]
      (let [[r1 r2 grant deny regrant] (map #(vector! at %) ["recovery-1" "recovery-2" "devices-grant" "devices-deny" "devices-grant-2"])
            out (at "out.poz")
            update (fn [held new & more] (cli/run (into ["update" held new "--force" "--out" out] more)))]
        (testing "accepted"
          (let [result (update r1 r2)]
            (is (= 0 (:exit result)))
            (is (= ["accepted"] (:err result)))
            (is (= (record/public-view (v/record-named "recovery-2")) (world/record out)))))
        (testing "unchanged"
          (is (= ["unchanged: there is nothing new in it"] (:err (update deny deny)))))
        (testing "a conflict has exit code 7, a broken rule 1"
          (are [code error held new] (let [{:keys [exit json]} (update held new "--json")]
                                       (and (= code exit) (= [1 error] ((juxt :version :error) (first json)))))
            7 "update/rollback" r2 r1
            7 "update/grant-serial" regrant grant
            7 "update/deny-serial" deny grant
            1 "update/other-record" r1 grant
            1 "update/not-public" r1 (vector! at "holder-file")
            1 "chain/draft" (vector! at "recovery-1") (vector! at "draft")))
        (testing "warnings"
          (let [{:keys [held] u :update} (first (filter #(seq (:warnings %)) (:updates (vectors/json "records.json"))))
                path #(if (re-find #"\.poz$" %2) (cli/write! (at %1) (vectors/file-bytes %2)) (cli/write! (at %1) (bytes/hex-> %2)))
                {:keys [exit json]} (update (path "h.poz" held) (path "u.poz" u) "--json")]
            (is (= 0 exit))
            (is (= [[1 "accepted" ["deny/regranted"] 1]]
                   (map (juxt :version :outcome #(map :warning (:warnings %)) :serial) json)))))
        (testing "nothing is replaced without --force, and nothing written when it is refused"
          (let [before (slurp out)]
            (is (= 2 (:exit (cli/run ["update" r1 r2 "--out" out]))))
            (is (= 7 (:exit (update r2 r1))))
            (is (= before (slurp out)))))
        (testing "far ahead of the clock"
          (is (= 1 (:exit (cli/run ["update" r1 r2 "--at" "2026-01-01T00:00:00Z" "--out" out "--force"])))))
        (is (= 4 (:exit (update r1 "/nowhere.poz"))))))))

(def ^:private labels ["me" "other"])

(def ^:private genesis (v/genesis labels [[1 0 100] [2 1 100]] [] [0]))

(defn- revised [n] (v/revise genesis labels {:delegations (v/shares [[:service 0 n n]])} [0]))

(deftest forks
  (with-me
    (fn [at]
      (let [file #(cli/write! (at %1) (record/encode %2))
            [g a b] [(file "g.poz" genesis) (file "a.poz" (revised 1)) (world/holder! (at "b.poz") (revised 2) labels [0])]
            out (at "evidence.txt")
            made (poz 9 "fork" a b "--out" out)]
        (is (= 7 (:exit made)))
        (is (= [(str "evidence of a fork in " out)] (:err made)))
        (testing "anyone can check it"
          (let [{:keys [exit] :as result} (poz 9 "fork" "--check" out)]
            (is (= 7 exit))
            (is (= (str "fork of " (bytes/->hex (get-in genesis [:master-zone :original-master-hash]))) (first (:out result))))
            (is (= ["  both signed by key 0" "  their contents differ"] (take-last 2 (:out result)))))
          (let [{:keys [version error serial same-content revisions] :as found} (first (:json (poz 9 "fork" "--check" out "--json")))]
            (is (= [1 "update/fork" 2 false] [version error serial same-content]))
            (is (= (map #(bytes/->hex (get-in (revised %) [:master-zone :current-master-hash])) [1 2])
                   (map :current-master-hash revisions)))
            (is (= [0] (:signed-both found)))))
        (testing "nothing private is in it"
          (is (not (str/includes? (slurp out) (bytes/->base64 (bytes/slice (:sealed (:private-key-map (world/record b))) 0 24))))))
        (testing "JSON of the making"
          (is (= [[1 "update/fork" out]] (map (juxt :version :error :file) (:json (poz 9 "fork" a b "--out" out "--force" "--json"))))))
        (testing "to standard output"
          (is (= (slurp out) (str (str/join "\n" (:out (poz 9 "fork" a b))) "\n"))))
        (testing "what is none"
          (are [code sentence words] (let [result (apply poz 9 "fork" words)]
                                       (and (= code (:exit result)) (str/includes? (world/said result) sentence)))
            1 "one continues the other" [g a]
            1 "one continues the other" [a a]
            3 "two records in text form" ["--check" a]
            2 "give two records" [a]
            2 "give two records" ["--check" a b]
            4 "nowhere" ["nowhere.poz" a]
            4 "nowhere" ["--check" "nowhere.txt"]
            2 "--force" [a b "--out" out]))
        (testing "tampered with"
          (let [text (slurp out) i (+ 40 (.indexOf text "-----BEGIN POZ RECORD-----\n"))]
            (cli/write! out (str (subs text 0 i) (if (= \A (nth text i)) "B" "A") (subs text (inc i))))
            (is (#{1 3} (:exit (poz 9 "fork" "--check" out))))))))))
