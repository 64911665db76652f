(ns poz.cli.convert-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as env]
   [poz.record :as record]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(defn- golden [name] (str "test/vectors/records/" name ".poz"))

(defn- file [name] (vectors/file-bytes (str "records/" name ".poz")))

(deftest there-and-back
  (doseq [name ["genesis-minimal" "holder-file" "unknown-things" "draft" "hybrid"]
          :let [armored (env/run ["armor" (golden name)])]]
    (testing name
      (is (= [0 []] ((juxt :exit :err) armored)))
      (is (= (record/armor (file name)) (String. (bytes/->array (:bytes armored)) "UTF-8")))
      (is (= (file name)
             (:bytes (env/run ["dearmor" "-"] {:in (:bytes armored)}))
             (:bytes (env/run ["dearmor" "-"] {:in (str "Dear Bob,\r\n" (str/replace (env/text (:out armored)) "\n" "\r\n") "\r\nAlice")}))
             (:bytes (env/run ["dearmor" (golden name)]))) "text around it is ignored; binary stays")
      (is (= (:bytes armored) (:bytes (env/run ["armor" "-"] {:in (:bytes armored)}))) "armor of armor is armor"))))

(deftest the-golden-text
  (is (= (vectors/file-bytes "records/genesis-minimal.txt") (:bytes (env/run ["armor" (golden "genesis-minimal")])))))

(deftest the-public-view-drops-what-is-private
  (let [public (fn [name] (record/decode (:bytes (env/run ["public" (golden name)]))))
        r (public "holder-file")]
    (is (= (v/record-named "genesis-minimal") r))
    (is (record/public? r))
    (is (= :valid (:outcome (v/verdict r))))
    (is (= [[:public-key-map 1] nil] [[:public-key-map (count (:public-key-map (public "unknown-things")))]
                                      (:unknown-sections (public "unknown-things"))]) "unused keys and unknown sections too")
    (is (= (file "all-zones") (:bytes (env/run ["public" (golden "all-zones")]))) "what is public stays as it is")
    (is (= (file "recovery-3") (:bytes (env/run ["public" "-"] {:in (record/armor (file "recovery-3"))}))))))

(deftest what-is-no-record
  (doseq [command ["public" "armor" "dearmor"]]
    (testing command
      (are [in code] (let [{:keys [exit bytes err]} (env/run [command "-"] {:in in})]
                       (and (= [3 bytes/empty] [exit bytes]) (seq err)
                         (= [code] (map :error (:json (env/run [command "--json" "-"] {:in in}))))))
        "" "format/truncated"
        "nonsense" "format/magic"
        "-----BEGIN POZ RECORD-----\n!!!!\n-----END POZ RECORD-----\n" "format/text-form")
      (is (= 4 (:exit (env/run [command "no-such-file.poz"])))))))

(deftest written-to-a-file
  (env/with-folder
    (fn [at]
      (let [{:keys [exit out]} (env/run ["public" (golden "holder-file") "--out" (at "a.poz")])]
        (is (= [0 []] [exit out]))
        (is (= (file "genesis-minimal") (env/read-bytes (at "a.poz")))))
      (is (= [{:version 1 :file (at "b.poz") :bytes 261}]
             (:json (env/run ["public" "--json" (golden "holder-file") "--out" (at "b.poz")]))))
      (let [{:keys [exit err]} (env/run ["armor" (golden "draft") "--out" (at "a.poz")])]
        (is (= 2 exit))
        (is (str/includes? (env/text err) "a.poz")))
      (is (= (file "genesis-minimal") (env/read-bytes (at "a.poz"))) "nothing is overwritten")
      (is (= 0 (:exit (env/run ["armor" (golden "draft") "--force" "--out" (at "a.poz")]))))
      (is (= ["a.poz" "b.poz"] (env/names (at)))))))

(deftest what-holds-secrets-is-its-owners
  (when (env/posix?)
    (env/with-folder
      (fn [at]
        (are [command name mode] (= mode (do (env/run [command (golden name) "--force" "--out" (at "x")])
                                             (env/mode (at "x"))))
          "armor" "holder-file" "rw-------"
          "dearmor" "holder-file" "rw-------"
          "public" "holder-file" "rw-r--r--"
          "armor" "all-zones" "rw-r--r--"
          "dearmor" "all-zones" "rw-r--r--")))))

(deftest json-and-bytes-do-not-mix
  (let [{:keys [exit bytes]} (env/run ["public" "--json" (golden "holder-file")])]
    (is (= 0 exit))
    (is (= (file "genesis-minimal") bytes))))
