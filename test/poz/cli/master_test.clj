(ns poz.cli.master-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.cli-world :as world :refer [poz]]
   [poz.master.chain :as chain]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(def ^:private labels ["me" "mum" "dad"])

(def ^:private genesis
  (v/genesis labels [[1 0 100] [2 1 50] [2 2 50]] [[:identity 0 100 100] [:service 0 100 100]] [0]))

(defn- with-file [f]
  (world/with-people ["ann"]
    (fn [at] (f (world/holder! (at "ann" "a.poz") genesis labels [0]) (at "ann" "draft.txt")))))

(defn- master [path] (:master-zone (world/record path)))

(def ^:private new-key (bytes/->hex (:key (v/key-of "new"))))

(deftest a-draft
  (with-file
    (fn [a out]
      (let [{:keys [exit err]} (poz 1 "draft" a "--add-key" (str "ed25519:" new-key) "--group" "1:3=100" "--out" out)
            draft (world/record out)]
        (is (= 0 exit))
        (is (= [(str "draft of revision 2 in " out)
                "  former master keys: group 1: 0 of 100; group 2: 0 of 100; 100 still needed, from key 0"
                "  its own master keys: group 1: 0 of 100; group 2: 0 of 100; 100 still needed, from key 3"
                "not complete"] err))
        (is (chain/draft? (:master-zone draft)))
        (is (= (v/values [[1 3 100] [2 1 50] [2 2 50]]) (get-in draft [:master-zone :master-keys])))
        (is (= (v/key-of "new") (get-in draft [:public-key-map 3])))
        (is (= (get-in genesis [:master-zone :delegations]) (get-in draft [:master-zone :delegations])) "what is not given stays")
        (is (= [:master-zone :public-key-map :zone-history] (sort (keys draft))) "nothing private travels")
        (is (str/starts-with? (slurp out) "-----BEGIN POZ RECORD-----\n") "in text form")
        (is (> 4096 (long (world/size out))))))))

(deftest groups-and-delegations
  (with-file
    (fn [a out]
      (poz 1 "draft" a "--drop-group" "2" "--group" "1:me=60,mum=40" "--group" "3:dad=100" "--delegate" "identity:mum=50/100,2=50/100"
        "--delegate" "service:" "--out" out)
      (is (= (v/values [[1 0 60] [1 1 40] [3 2 100]]) (:master-keys (master out))))
      (is (= (v/shares [[:identity 1 50 100] [:identity 2 50 100]]) (:delegations (master out)))))))

(deftest delegating
  (with-file
    (fn [a out]
      (let [{:keys [exit json]} (poz 1 "delegate" a "service:mum=50/100,dad=50/100" "auth:me=100/100" "--out" out "--json")]
        (is (= 0 exit))
        (is (= [[1 2 false out]] (map (juxt :version :serial :complete :file) json)))
        (is (= ["former" "own"] (map :list (:lists (first json)))))
        (is (= [100 [0]] ((juxt :needed :from) (:missing (first (:lists (first json))))))))
      (is (= (v/shares [[:identity 0 100 100] [:auth 0 100 100] [:service 1 50 100] [:service 2 50 100]]) (:delegations (master out)))
          "sorted, and the zones that are not given stay"))))

(deftest command-lines-that-make-no-sense
  (with-file
    (fn [a out]
      (are [words sentence] (let [{:keys [exit] :as result} (apply poz 1 (concat words ["--out" out]))]
                              (and (= 2 exit) (str/includes? (world/said result) sentence)))
        ["draft" a "--group" "1:nobody=100"] "there is no key nobody"
        ["draft" a "--group" "1:3=100"] "there is no key 3"
        ["draft" a "--delegate" "service:nobody=1/1"] "there is no key nobody"
        ["draft" a "--group" "1:me"] "--group"
        ["draft" a "--group" "256:me=100"] "--group"
        ["draft" a "--delegate" "nozone:me=1/1"] "--delegate"
        ["draft" a "--delegate" "service:me=1"] "--delegate"
        ["draft" a "--add-key" "rsa:00"] "--add-key"
        ["draft" a "--add-key" "ed25519:0"] "--add-key"
        ["draft" a "--drop-group" "two"] "--drop-group"
        ["delegate" a "service"] "a delegation is written"
        ["delegate" a] "missing"
        ["delegate" a "service:nobody=1/1"] "there is no key nobody"
        ["draft" a "--at" "2026-01-01T00:00:00Z"] "not later than the present revision's")
      (is (= ["a.poz"] (cli/names (str/replace a "/a.poz" ""))) "nothing was written"))))

(deftest values-that-no-file-can-hold
  (with-file
    (fn [a out]
      (let [{:keys [exit] :as result} (poz 1 "draft" a "--group" "1:me=101" "--out" out)]
        (is (= 3 exit))
        (is (str/includes? (world/said result) "a number is outside its range")))
      (is (= 3 (:exit (poz 1 "draft" a "--drop-group" "1" "--drop-group" "2" "--out" out))) "no master keys at all"))))

(deftest it-replaces-no-file
  (with-file
    (fn [a out]
      (is (= 0 (:exit (poz 1 "draft" a "--out" out))))
      (let [before (slurp out) {:keys [exit] :as result} (poz 2 "draft" a "--out" out)]
        (is (= 2 exit))
        (is (str/includes? (world/said result) "--force"))
        (is (= before (slurp out))))
      (is (= 0 (:exit (poz 2 "draft" a "--out" out "--force")))))))

(deftest to-standard-output
  (with-file
    (fn [a _]
      (let [{:keys [exit out err]} (poz 1 "draft" a)]
        (is (= 0 exit))
        (is (= "-----BEGIN POZ RECORD-----" (first out)))
        (is (= "draft of revision 2" (first err))))
      (let [{:keys [exit json]} (cli/run ["status" "-" "--json"] {:in (str/join "\n" (:out (poz 1 "draft" a)))})]
        (is (= 1 exit) "signatures are missing")
        (is (= [[1 2 false "master"]] (map (juxt :version :serial :complete :subject) json))))
      (is (= 4 (:exit (poz 1 "draft" "/nowhere.poz")))))))

(deftest history-is-told
  (world/with-people ["ann"]
    (fn [at]
      (let [r2 (v/revise genesis labels {:delegations []} [1 2])
            path (world/holder! (at "ann" "a.poz") r2 labels [0])
            tail (cli/write! (at "ann" "tail.poz") (vectors/file-bytes "records/recovery-3-tail.poz"))
            {:keys [exit out]} (poz 9 "history" path)]
        (is (= 0 exit))
        (is (= ["revision 1  2026-01-01T00:00:00Z  " "  signed by key 0; group 1: 100 of 100; group 2: 0 of 100"
                "revision 2  2026-01-02T00:00:00Z  " "  signed by keys 1, 2; group 1: 0 of 100; group 2: 50 + 50 = 100 of 100"]
               (map #(str/replace % #"[0-9a-f]{16}$" "") out)))
        (let [{:keys [json]} (poz 9 "history" path "--json")]
          (is (= [[1 true [1 2]]] (map (juxt :version :complete #(map :serial (:revisions %))) json))))
        (testing "a tail says that it is one"
          (is (= "the beginning is not at hand" (last (:out (poz 9 "history" tail)))))
          (is (= [false] (map :complete (:json (poz 9 "history" tail "--json"))))))))))
