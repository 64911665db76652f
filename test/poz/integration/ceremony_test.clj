(ns poz.integration.ceremony-test
  "A family replaces a lost key, each of them with real processes in a folder of their own: they
  share nothing but the draft, as text. Every wait is bounded."
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as env]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.verdicts :as v])
  (:import
   (java.io File)
   (java.util List)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private patience
  "Seconds that a process gets."
  300)

(def ^:private phrase "correct horse")

(defn- poz
  "Runs `poz` with the words: `{:exit :out :err}`."
  [& words]
  (let [b (ProcessBuilder. ^List (list* "sh" "dev/clj" "-M:poz" words))]
    (doto (.environment b) (.put "POZ_PASSPHRASE" phrase) (.remove "JAVA_OPTS"))
    (let [p (.start (.redirectInput b (io/file "/dev/null")))
          out (future (slurp (.getInputStream p)))
          err (future (slurp (.getErrorStream p)))]
      (when-not (.waitFor p patience TimeUnit/SECONDS)
        (.destroyForcibly p)
        (throw (ex-info "poz did not end" {:words words})))
      {:exit (.exitValue p) :out @out :err @err})))

(def ^:private family ["mum" "dad" "sis"])

(defn- folders! [at people]
  (doseq [p people] (.mkdirs (io/file (at p))))
  (fn [person file] (str (io/file ^File (io/file (at person)) ^String file))))

(deftest the-family-replaces-a-lost-key
  (env/with-folder
    (fn [at]
      (let [path (folders! at (cons "me" family))
            copy! (fn [from to] (env/write! to (env/read-bytes from)))
            exit-of (fn [{:keys [exit out err]} expected] (is (= expected exit) (str out err)))
            new-key (bytes/->hex (:key (v/key-of "the new phone")))
            drafts (map #(path % "draft.txt") family)]
        (testing "a record, and a file for each"
          (exit-of (poz "new" "solo-family" "--out" (path "me" "me.poz")) 0)
          (doseq [[i p] (map-indexed vector family)]
            (io/copy (io/file (path "me" (str "me.family-" (inc i) ".poz"))) (io/file (path p "my.poz")))))
        (testing "one drafts, for a key that is on the new phone"
          (exit-of (poz "draft" (path "mum" "my.poz") "--add-key" (str "ed25519:" new-key) "--group" "1:4=100"
                     "--out" (first drafts)) 0)
          (is (> 4096 (count (slurp (first drafts)))) "small enough to mail")
          (doseq [d (rest drafts)] (copy! (first drafts) d)))
        (testing "each signs apart"
          (doseq [[i p] (map-indexed vector family)]
            (let [{:keys [err] :as result} (poz "sign" (path p "draft.txt") (path p "my.poz"))]
              (exit-of result 0)
              (is (str/includes? err (str "signed with key " (inc i)))))))
        (testing "one signature is not enough, and it is said who else"
          (let [{:keys [err] :as result} (poz "apply" (first drafts) "--holder" (path "mum" "my.poz") "--out" (path "mum" "new.poz"))]
            (exit-of result 1)
            (is (str/includes? err "former master keys: group 1: 0 of 100; group 2: 40 of 100; 60 still needed, from keys 2, 3"))
            (is (str/includes? err "its own master keys: "))))
        (testing "merged and applied"
          (doseq [p (rest family)] (copy! (path p "draft.txt") (path "mum" (str p ".txt"))))
          (exit-of (poz "merge" (path "mum" "draft.txt") (path "mum" "dad.txt") (path "mum" "sis.txt") "--out" (path "mum" "whole.txt")) 0)
          (exit-of (poz "apply" (path "mum" "whole.txt") "--holder" (path "mum" "my.poz") "--out" (path "mum" "new.poz")) 0))
        (testing "the record holds, under the new key, and mum's file still opens"
          (let [{:keys [out] :as result} (poz "verify" "--json" (path "mum" "new.poz"))
                record (record/decode (env/read-bytes (path "mum" "new.poz")))]
            (exit-of result 0)
            (is (= [1 "valid"] ((juxt :version :outcome) (json/read-str out :key-fn keyword))))
            (is (= {:group 1 :key 4 :value 100} (first (get-in record [:master-zone :master-keys]))))
            (is (= (v/key-of "the new phone") (get-in record [:public-key-map 4])))
            (is (= [1 2 3] (map :key (get-in record [:master-zone :signatures]))))
            (is (= [1] (keys (keyring/open record (keyring/passphrase phrase)))))))))))
