(ns poz.cli.make-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as env]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.keyring :as keyring]
   [poz.pattern :as pattern]
   [poz.record :as record]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(def ^:private pass {:getenv {"POZ_PASSPHRASE" "tr0ub4dor"}})

(defn- record-at [path]
  (record/decode (env/read-bytes path)))

(defn- secrets-at [path]
  (keyring/open (record-at path) (keyring/passphrase "tr0ub4dor")))

(deftest a-record-of-one-key
  (env/with-folder
    (fn [at]
      (let [{:keys [exit out err]} (env/run ["new" "sole" "--out" (at "alice.poz")] pass)
            r (record-at (at "alice.poz"))]
        (is (= 0 exit))
        (is (= [(str "record  " (bytes/->hex (get-in r [:master-zone :original-master-hash])))
                (str "wrote   " (at "alice.poz") "  (secrets of me)")]
               out))
        (is (= :valid (:outcome (v/verdict r))))
        (is (= env/now (get-in r [:master-zone :timestamp])))
        (is (= [{:key 0 :name "me"}] (:key-names r)))
        (is (= [0] (keys (secrets-at (at "alice.poz")))))
        (testing "and the alarm is loud"
          (is (some #(str/includes? % "THERE IS NO RECOVERY") err))
          (is (some #(str/includes? % "losing it locks the record for ever") err)))
        (when (env/posix?)
          (is (= "rw-------" (env/mode (at "alice.poz")))))
        (is (= ["alice.poz"] (env/names (at))))))))

(deftest a-file-for-each-holder
  (env/with-folder
    (fn [at]
      (let [{:keys [exit out err]} (env/run ["new" "two-devices" "--out" (at "a.poz")] pass)
            files ["a.poz" "a.laptop.poz" "a.recovery.poz"]]
        (is (= [0 []] [exit err]) "nothing to warn of")
        (is (= (sort files) (env/names (at))))
        (is (= 4 (count out)))
        (is (= [[0] [1] [2]] (map #(vec (keys (secrets-at (at %)))) files)) "each has its own secrets only")
        (is (apply = (map #(dissoc (record-at (at %)) :private-key-map) files)) "of one record")
        (when (env/posix?)
          (is (= #{"rw-------"} (set (map #(env/mode (at %)) files)))))))))

(deftest names-of-the-files
  (env/with-folder
    (fn [at]
      (doseq [[out others] {"x.y.poz" ["x.y.agency.poz" "x.y.backup.poz"]
                            "d.d/z" ["d.d/z.agency" "d.d/z.backup"]}]
        (.mkdirs (.getParentFile (java.io.File. ^String (at out))))
        (is (= (map at (cons out others))
               (map :file (:files (first (:json (env/run ["new" "solo-agency" "--json" "--out" (at out)] pass)))))))))))

(deftest the-same-world-makes-the-same-record
  (env/with-folder
    (fn [at]
      (env/run ["new" "sole" "--out" (at "a")] pass)
      (env/run ["new" "sole" "--out" (at "b")] pass)
      (env/run ["new" "sole" "--out" (at "c")] (assoc pass :seed "another"))
      (is (= (env/read-bytes (at "a")) (env/read-bytes (at "b"))))
      (is (not= (env/read-bytes (at "a")) (env/read-bytes (at "c")))))))

(deftest every-pattern-as-json
  (env/with-folder
    (fn [at]
      (doseq [{:keys [name] :as p} pattern/patterns]
        (let [{:keys [exit json]} (env/run ["new" name "--json" "--out" (at name)] pass)
              {:keys [version pattern files warnings original-master-hash]} (first json)]
          (testing name
            (is (= [0 1 1 name] [exit (count json) version pattern]))
            (is (= (pattern/holders p) (map :holder files)))
            (is (= 64 (count original-master-hash)))
            (is (= (= "sole" name) (boolean (some #(= "master/single-key" (:warning %)) warnings))))
            (is (= :valid (:outcome (v/verdict (record-at (at name))))))))))))

(deftest nothing-is-overwritten-and-nothing-half-written
  (env/with-folder
    (fn [at]
      (env/write! (at "a.recovery.poz") "precious")
      (let [{:keys [exit out err]} (env/run ["new" "two-devices" "--out" (at "a.poz")] pass)]
        (is (= [2 []] [exit out]))
        (is (some #(str/includes? % "a.recovery.poz exists already; nothing was written") err)))
      (is (= ["a.recovery.poz"] (env/names (at))))
      (is (= (bytes/utf8 "precious") (env/read-bytes (at "a.recovery.poz"))))
      (testing "unless told to"
        (is (= 0 (:exit (env/run ["new" "two-devices" "--force" "--out" (at "a.poz")] pass))))
        (is (= [2] (keys (secrets-at (at "a.recovery.poz")))))))))

(deftest a-folder-that-is-not-there
  (env/with-folder
    (fn [at]
      (let [{:keys [exit out err]} (env/run ["new" "sole" "--out" (at "none/a.poz")] pass)]
        (is (= [4 []] [exit out]))
        (is (some #(str/includes? % "none/a.poz") err))))))

;; Passphrases

(deftest passphrases-from-everywhere
  (env/with-folder
    (fn [at]
      (env/write! (at "secret") "tr0ub4dor\nsecond line")
      (env/write! (at "secret-crlf") "tr0ub4dor\r\n")
      (doseq [[name args world] [["env" [] pass]
                                 ["file" ["--passphrase-file" (at "secret")] {}]
                                 ["crlf" ["--passphrase-file" (at "secret-crlf")] {}]
                                 ["before" ["--passphrase-file" (at "secret")] {:getenv {"POZ_PASSPHRASE" "other"}}]
                                 ["stdin" ["--passphrase-file" "-"] {:in "tr0ub4dor\n"}]
                                 ["asked" [] {:ask ["tr0ub4dor" "tr0ub4dor"]}]]]
        (testing name
          (is (= 0 (:exit (env/run (concat ["new" "sole" "--out" (at name)] args) world))))
          (is (= [0] (keys (secrets-at (at name))))))))))

(deftest without-a-passphrase-nothing-is-made
  (env/with-folder
    (fn [at]
      (env/write! (at "empty") "\n")
      (doseq [[args world code] [[[] {} 4]
                                 [[] {:getenv {"POZ_PASSPHRASE" ""}} 4]
                                 [[] {:ask ["one" "two"]} 4]
                                 [[] {:ask [nil nil]} 4]
                                 [["--passphrase-file" (at "empty")] {} 4]
                                 [["--passphrase-file" (at "none")] pass 4]]]
        (let [{:keys [exit out err]} (env/run (concat ["new" "sole" "--out" (at "a")] args) world)]
          (is (= [code []] [exit out]))
          (is (seq err))))
      (is (= ["empty"] (env/names (at))))
      (is (some #(str/includes? % "differ") (:err (env/run ["new" "sole" "--out" (at "a")] {:ask ["one" "two"]})))))))

(deftest no-passphrase-and-no-secret-is-ever-shown
  (env/with-folder
    (fn [at]
      (let [results [(env/run ["new" "sole" "--out" (at "a")] pass)
                     (env/run ["new" "sole" "--json" "--force" "--out" (at "a")] pass)
                     (env/run ["new" "sole" "--out" (at "a")] pass)]
            shown (env/text (mapcat (juxt (comp env/text :out) (comp env/text :err)) results))]
        (is (= [0 0 2] (map :exit results)))
        (doseq [secret (cons "tr0ub4dor" (map #(bytes/->hex (bytes/reveal %)) (vals (secrets-at (at "a")))))]
          (is (not (str/includes? shown secret))))))))

;; Keys of others

(defn- public-hex [algorithm label]
  (bytes/->hex (crypto/public-key algorithm (v/secret label))))

(deftest keys-of-others
  (env/with-folder
    (fn [at]
      (let [backup (public-hex :ed25519 "make backup")
            {:keys [exit]} (env/run ["new" "solo-agency" "--out" (at "a.poz") "--public" (str "backup=" backup)] pass)
            r (record-at (at "a.poz"))]
        (is (= 0 exit))
        (is (= backup (bytes/->hex (get-in r [:public-key-map 2 :key]))))
        (is (= ["a.agency.poz" "a.poz"] (env/names (at))) "they have their own files")
        (is (= :valid (:outcome (v/verdict r))))))))

(deftest keys-of-others-that-do-not-fit
  (env/with-folder
    (fn [at]
      (let [good (public-hex :ed25519 "make x")
            try-with (fn [pattern & public]
                       (env/run (concat ["new" pattern "--out" (at "a")] (mapcat #(vector "--public" %) public)) pass))]
        (are [words result] (let [{:keys [exit err out]} result]
                              (and (= [2 []] [exit out]) (str/includes? (env/text err) words)))
          "no key nobody" (try-with "sole" (str "nobody=" good))
          "has 32 bytes, not 1" (try-with "sole" "me=00")
          "has 1952 bytes, not 32" (try-with "hybrid" (str "me-pq=" good))
          "can never verify anything" (try-with "sole" (str "me=01" (apply str (repeat 62 "0"))))
          "given twice" (try-with "solo-agency" (str "backup=" good) (str "backup=" good))
          "cannot be read as NAME=HEX" (try-with "sole" "me=0")
          "cannot be read as NAME=HEX" (try-with "sole" "me")
          "cannot be read as NAME=HEX" (try-with "sole" "me=xyz"))
        (testing "and a genesis that nobody here can sign"
          (let [{:keys [exit err]} (try-with "sole" (str "me=" good))]
            (is (= 1 exit))
            (is (str/includes? (env/text err) "no group of the master keys reaches 100"))))
        (is (= [] (env/names (at))))))))

;; Words

(deftest what-makes-no-sense
  (env/with-folder
    (fn [at]
      (are [args words] (let [{:keys [exit out err]} (env/run args pass)]
                          (and (= [2 []] [exit out]) (str/includes? (env/text err) words)))
        ["new" "nope" "--out" (at "a")] "there is no pattern nope; there are sole, two-devices"
        ["new" "--out" (at "a")] "missing PATTERN"
        ["new" "sole"] "--out is required"
        ["new" "sole" "extra" "--out" (at "a")] "too many arguments"
        ["new" "sole" "--out" (at "a") "--out" (at "b")] "--out is given twice"
        ["new" "sole" "--out" (at "a") "--at" "tomorrow"] "cannot be read as TIME"
        ["new" "a\u001b[31mb" "--out" (at "a")] "a\\u{001B}[31mb")
      (is (= [] (env/names (at)))))))

(deftest a-time-of-ones-own
  (env/with-folder
    (fn [at]
      (env/run ["new" "sole" "--out" (at "a") "--at" "2020-02-02T00:00:00Z"] pass)
      (is (= 1580601600000 (get-in (record-at (at "a")) [:master-zone :timestamp])))
      (testing "but none that no record can hold"
        (let [{:keys [exit out]} (env/run ["new" "sole" "--out" (at "b") "--at" "999999999999999"] pass)]
          (is (= [3 []] [exit out])))
        (is (not (error/anomaly? (record-at (at "a")))))
        (is (= ["a"] (env/names (at))))))))

(deftest standard-output-is-no-holders-file
  (let [{:keys [exit bytes err]} (env/run ["new" "sole" "--out" "-"] pass)]
    (is (= 2 exit))
    (is (= bytes/empty bytes))
    (is (seq err))))
