(ns poz.integration.cli-test
  "The command line as real processes, started as a person starts it, in the project's root;
  the files are in a folder that vanishes. Every wait is bounded."
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as env]
   [poz.client-world :as w]
   [poz.record :as record])
  (:import
   (java.io File)
   (java.lang ProcessBuilder$Redirect)
   (java.util List)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private patience
  "Seconds that a process gets."
  300)

(defn- builder ^ProcessBuilder [args]
  (let [b (ProcessBuilder. ^List (list* "sh" "dev/clj" "-M:poz" args))]
    (doto (.environment b)
      (.remove "POZ_PASSPHRASE")
      (.remove "JAVA_OPTS"))
    (doto b
      (.redirectInput (io/file "/dev/null"))
      (.redirectError ProcessBuilder$Redirect/PIPE))))

(defn- finish!
  "Waits for the process: `{:exit :bytes :out :err}`."
  [^Process p]
  (let [out (future (bytes/wrap (.readAllBytes (.getInputStream p))))
        err (future (slurp (.getErrorStream p)))]
    (when-not (.waitFor p patience TimeUnit/SECONDS)
      (.destroyForcibly p)
      (throw (ex-info "poz did not end" {})))
    {:exit (.exitValue p) :bytes @out :out (String. (bytes/->array @out) "UTF-8") :err @err}))

(defn- poz [& args]
  (finish! (.start (builder args))))

(defn- pipeline
  "Starts `commands` with the output of each the input of the next; the result of the last,
  with the exit codes of all."
  [& commands]
  (let [builders (mapv builder commands)
        _ (doseq [^ProcessBuilder b (rest builders)] (.redirectInput b ProcessBuilder$Redirect/PIPE))
        results (mapv finish! (rseq (vec (ProcessBuilder/startPipeline builders))))]
    (assoc (first results) :exits (map :exit results) :errors (map :err results))))

(defn- json-lines [{:keys [out]}]
  (mapv #(json/read-str % :key-fn keyword) (str/split-lines out)))

(deftest the-tour
  (let [{:keys [exit out]} (poz "tour")]
    (is (= 0 exit))
    (is (str/includes? out "record.poz: valid"))
    (is (str/includes? out "tampered.poz: invalid"))
    (is (str/includes? out "[chain/current-hash]"))))

(deftest from-new-to-text-and-back
  (env/with-folder
    (fn [at]
      (let [alice (at "alice.poz") secret (env/write! (at "secret") "correct horse\n")]
        (testing "new"
          (let [{:keys [exit out] :as result} (poz "new" "two-devices" "--out" alice "--passphrase-file" secret "--json")
                [{:keys [version files original-master-hash]}] (json-lines result)]
            (is (= [0 1] [exit version]) out)
            (is (= ["phone" "laptop" "recovery"] (map :holder files)))
            (is (= 64 (count original-master-hash)))
            (is (every? #(.isFile ^File (io/file (:file %))) files))
            (when (env/posix?)
              (is (= ["rw-------"] (distinct (map #(env/mode (:file %)) files)))))
            (is (= #{"alice.laptop.poz" "alice.poz" "alice.recovery.poz" "secret"} (set (env/names (at)))) "no other file")))
        (testing "verify"
          (let [broken (env/write! (at "broken.poz") (bytes/slice (env/read-bytes alice) 0 100))
                {:keys [exit err] :as result} (poz "verify" "--json" alice "test/vectors/records/draft.poz" broken)]
            (is (= 3 exit) err)
            (is (= ["valid" "invalid" "malformed"] (map :outcome (json-lines result))))
            (is (= [1] (distinct (map :version (json-lines result)))))))
        (testing "keys, opened"
          (let [{:keys [exit out]} (poz "keys" "--open" alice "--passphrase-file" secret)]
            (is (= 0 exit))
            (is (= [true false false] (map #(str/includes? % "(secret here)") (rest (str/split-lines out)))))))
        (testing "public | armor | dearmor"
          (let [{:keys [exits errors] published :bytes} (pipeline ["public" alice] ["armor" "-"] ["dearmor" "-"])
                r (record/decode published)]
            (is (= [0 0 0] exits) errors)
            (is (= (record/public-view (record/decode (env/read-bytes alice))) r))
            (is (record/public? r))))))))

(deftest what-makes-no-sense
  (let [{:keys [exit out err]} (poz "verify" "--at" "2026-11-01T00:00:00Z" "--at" "2026-11-01T00:00:00Z" "-")]
    (is (= [2 ""] [exit out]))
    (is (str/includes? err "--at is given twice"))))

(deftest servers-are-asked
  (w/with-authority {}
    (fn [{:keys [ports provider]}]
      (let [server (str "127.0.0.1:" (:plain ports)) hash (bytes/->hex (w/hash-of provider))
            at ["--at" (str w/now)]]
        (testing "a record, privately with the key that is learnt in the open"
          (let [{:keys [exit err] :as result} (apply poz "query" "social.example" "--server" server "--hash" hash "--json" at)
                {:keys [proven outcome server]} (first (json-lines result))]
            (is (= [0 true "valid" (:query ports)] [exit proven outcome (:port server)]) err)))
        (testing "what is not held has its exit code"
          (let [{:keys [exit err] :as result} (apply poz "query" (apply str (repeat 64 "0")) "--server" server "--json" at)]
            (is (= 4 exit) err)
            (is (= "wire/not-found" (:error (first (json-lines result)))))))))))
