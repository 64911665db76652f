(ns poz.cli.mirror-test
  "`poz mirror`, `poz authority list`, `poz serve --role`, `poz query --mirrors`, on free ports."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.asking :as asking]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.cli.mirror :as mirror]
   [poz.handles :as h]
   [poz.system :as system]))

(set! *warn-on-reflection* true)

(def ^:private env {"POZ_PASSPHRASE" "correct horse"})
(def ^:private now (+ (long h/t0) 1000))
(def ^:private sealing {:memory-kib 8192 :passes 1 :lanes 1})

(defn- poz [& words]
  (cli/run (map str words) {:getenv env :now now}))

(defn- with-authority
  "Calls `f` with an authority in the folder that `at` makes paths in, Alice, and `at`."
  [f]
  (cli/with-folder
    (fn [at]
      (let [s (system/start {:domains ["social.example"] :data (at "authority") :passphrase "correct horse" :sealing sealing
                             :plain-port 0 :query-port 0 :submit-port 0 :policy :approve :threads 2 :grace-ms 0 :now (constantly now)
                             :mirrors []})]
        (try (f s (asking/activate! s (h/person "alice") "alice" now) at)
             (finally (system/stop s)))))))

(defn- server [{:keys [ports noise-key]}]
  ["--server" (str "127.0.0.1:" (:query ports)) "--key" (bytes/->hex noise-key)])

(deftest from-an-authority-to-a-mirror
  (with-authority
    (fn [{:keys [hash ports] :as s} alice at]
      (let [listed (poz "authority" "list" "--data" (at "authority"))
            _ (cli/write! (at "records.txt") (str (cli/text (:out listed)) "\n"))
            pull (fn [& more] (apply poz "mirror" "--hash" (bytes/->hex hash) "--records" (at "records.txt") "--data" (at "copy")
                                (concat (server s) more)))]
        (is (= [0 ["2 records"]] [(:exit listed) (:err listed)]))
        (is (= #{(bytes/->hex hash) (bytes/->hex (h/hash-of (:record alice)))} (set (:out listed))))
        (let [{:keys [exit out err]} (pull)]
          (is (= [0 ["2 new, 0 updated, 0 unchanged, 0 failed, 2 held"]] [exit out]))
          (is (re-find #"^2 of 2 records, \d+ a second$" (last err))))
        (testing "again, as JSON"
          (is (= {:new 0 :unchanged 2 :records 2 :complete true}
                (select-keys (first (:json (pull "--json"))) [:new :unchanged :records :complete]))))
        (testing "the record gives the key"
          (is (= 0 (:exit (poz "mirror" "--hash" (bytes/->hex hash) "--data" (at "other") "--server" (str "127.0.0.1:" (:plain ports)))))))
        (testing "and serve it, with the authority gone"
          (system/stop s)
          (is (= 5 (:exit (pull))))
          (let [served (volatile! nil)
                result (cli/run ["serve" "social.example" "--role" "mirror" "--data" (at "copy") "--upstream" "127.0.0.1:1" "--upstream-hash" (bytes/->hex hash)
                                 "--plain-port" "0" "--query-port" "0"]
                         {:getenv env :now now
                          :until-told (fn [lines]
                                        (let [[_ plain] (re-find #"ready plain=(\d+) " (last lines))]
                                          (vreset! served (poz "query" "alice@social.example" "--server" (str "127.0.0.1:" plain) "--hash" (bytes/->hex hash) "--plain"))))})]
            (is (= 0 (:exit result)) (cli/text (:err result)))
            (is (= "A mirror for social.example. The authority names it in its :mirrors:" (first (:out result))))
            (is (re-find #"^  \{:hostname \"social.example\", :port \d+, :encryption :noise-nk, :public-key \"[0-9a-f]{64}\"\}$" (nth (:out result) 2)))
            (is (= 0 (:exit @served)) (cli/text (:err @served)))
            (is (some #(str/starts-with? % "answered by 127.0.0.1:") (:err @served)))))))))

(deftest what-goes-wrong
  (with-authority
    (fn [{:keys [hash] :as s} _ at]
      (let [pull (fn [& more] (apply poz "mirror" "--hash" (bytes/->hex hash) (concat (server s) more)))]
        (is (= 2 (:exit (poz "mirror" "--server" "127.0.0.1"))) "--hash is required")
        (is (= 2 (:exit (pull "--data" (at "authority")))) "that is an authority's")
        (is (= 0 (:exit (pull "--data" (at "copy") "--records" (cli/write! (at "a.txt") (str (str/join (repeat 64 "0")) "\n"))))) "nobody has that record")
        (is (= 1 (:exit (pull "--data" (at "copy") "--records" (cli/write! (at "b.txt") "alice\n")))))
        (is (= 1 (:exit (pull "--data" (at "copy") "--records" (at "none.txt")))))
        (is (= 2 (:exit (poz "serve" "social.example" "--role" "mirror" "--data" (at "copy") "--upstream" "127.0.0.1" "--upstream-hash" (bytes/->hex hash) "--submit-port" "7076"))))))))

(deftest mirrors-are-remembered
  (with-authority
    (fn [{:keys [hash] :as s} alice at]
      (let [copy (system/start {:role :mirror :domains ["social.example"] :data nil :store :memory :plain-port :off :query-port 0 :threads 2 :grace-ms 0
                                :upstream {:host "127.0.0.1" :port (:query (:ports s)) :key (bytes/->hex (:noise-key s))}
                                :upstream-hash (bytes/->hex hash) :now (constantly now)})
            file (at "mirrors.edn")
            query (fn [& more] (apply poz "query" (bytes/->hex (h/hash-of (:record alice))) "--mirrors" file (concat (server s) more)))]
        (try
          (is (= 0 (:exit (query))))
          (is (not (some #{"mirrors.edn"} (cli/names (at)))) "the authority names none")
          (cli/write! file (pr-str [{:host "127.0.0.1" :port (:query (:ports copy)) :encryption :noise-nk :public-key (bytes/->hex (:noise-key copy))}]))
          (is (some #{(str "answered by 127.0.0.1:" (:query (:ports s)) ", privately")} (:err (query))))
          (is (= :ok (:status (asking/ask copy :query {:type :record :payload {:hash (h/hash-of (:record alice))}}))))
          (system/stop s)
          (let [{:keys [exit err]} (query)]
            (is (= 0 exit))
            (is (some #{(str "answered by 127.0.0.1:" (:query (:ports copy)) ", privately")} err))
            (is (some #(str/includes? % "no connection") err)))
          (testing "and a file that is none"
            (cli/write! file "[{:host 1}]")
            (is (= 4 (:exit (query)))))
          (finally (system/stop copy)))))))

(deftest how-far-it-is
  (are [arguments line] (= line (apply mirror/progress-line arguments))
    [0 10 1000 false] "0 of 10 records, 0 a second"
    [5 10 1000 false] "5 of 10 records, 5 a second, 1 s left"
    [10 10 2000 false] "10 of 10 records, 5 a second"
    [0 0 0 false] "0 of 1 records, 0 a second"
    [1 1000 1000 false] "1 of 1000 records, 1 a second, 16 min 39 s left"
    [5 10 1000 true] "[===============               ] 5 of 10 records, 5 a second, 1 s left"))
