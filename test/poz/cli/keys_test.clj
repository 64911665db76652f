(ns poz.cli.keys-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.cli-env :as env]
   [poz.error :as error]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(defn- golden [name] (str "test/vectors/records/" name ".poz"))

(deftest keys-of-a-record
  (let [{:keys [exit out]} (env/run ["keys" (golden "holder-file")])]
    (is (= 0 exit))
    (is (= 2 (count out)))
    (is (str/includes? (second out) "laptop"))
    (is (not (str/includes? (second out) "secret here"))))
  (let [{:keys [out]} (env/run ["keys" (golden "unknown-things")])]
    (is (str/includes? (last out) "(unused)"))
    (is (str/includes? (last out) "127"))))

(deftest keys-opened
  (let [open (fn [phrase & args] (env/run (concat ["keys" "--open" (golden "holder-file")] args) {:getenv {"POZ_PASSPHRASE" phrase}}))]
    (is (str/includes? (last (:out (open "correct horse battery staple"))) "(secret here)"))
    (is (= [true] (map :secret (:keys (first (:json (open "correct horse battery staple" "--json")))))))
    (testing "with a wrong passphrase"
      (let [{:keys [exit out err]} (open "incorrect horse")]
        (is (= [1 []] [exit out]))
        (is (str/includes? (env/text err) "the passphrase does not open"))
        (is (not (str/includes? (env/text err) "incorrect"))))
      (is (= ["keyring/wrong-passphrase"] (map :error (:json (open "incorrect horse" "--json"))))))
    (testing "nobody is asked twice for an old one"
      (is (= 0 (:exit (env/run ["keys" "--open" (golden "holder-file")] {:ask ["correct horse battery staple"]})))))
    (is (= 4 (:exit (env/run ["keys" "--open" (golden "holder-file")]))) "nobody to ask")
    (is (= 4 (:exit (env/run ["keys" "--open" (golden "genesis-minimal")] {:getenv {"POZ_PASSPHRASE" "x"}}))) "nothing to open")))

(deftest a-new-passphrase
  (env/with-folder
    (fn [at]
      (env/write! (at "a.poz") (vectors/file-bytes "records/holder-file.poz"))
      (env/write! (at "new") "battery staple\n")
      (let [change (fn [phrase & args]
                     (env/run (concat ["keys" (at "a.poz") "--new-passphrase-file" (at "new")] args)
                       {:getenv {"POZ_PASSPHRASE" phrase}}))
            before (env/read-bytes (at "a.poz"))]
        (is (= 1 (:exit (change "wrong" "--force"))))
        (is (= 2 (:exit (change "correct horse battery staple"))) "the file is there")
        (is (= before (env/read-bytes (at "a.poz"))) "nothing is written")
        (is (= [0 [(str "changed the passphrase of " (at "a.poz"))]] ((juxt :exit :out) (change "correct horse battery staple" "--force"))))
        (let [r (record/decode (env/read-bytes (at "a.poz")))]
          (is (not (error/anomaly? (keyring/open r (keyring/passphrase "battery staple")))))
          (is (= :keyring/wrong-passphrase (:poz/error (keyring/open r (keyring/passphrase "correct horse battery staple")))))
          (is (= :valid (:outcome (v/verdict r)))))
        (when (env/posix?)
          (is (= "rw-------" (env/mode (at "a.poz")))))
        (is (= ["a.poz" "new"] (env/names (at))))))))

(deftest a-new-passphrase-for-standard-input
  (env/with-folder
    (fn [at]
      (env/write! (at "new") "battery staple\n")
      (let [{:keys [exit err] written :bytes} (env/run ["keys" "-" "--new-passphrase-file" (at "new")]
                                                {:in (vectors/file-bytes "records/holder-file.poz")
                                                 :getenv {"POZ_PASSPHRASE" "correct horse battery staple"}})]
        (is (= [0 ["changed the passphrase of -"]] [exit err]))
        (is (= [0] (keys (keyring/open (record/decode written) (keyring/passphrase "battery staple"))))
            "the record and nothing else")))))
