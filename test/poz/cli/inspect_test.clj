(ns poz.cli.inspect-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as env]
   [poz.record :as record]
   [poz.vectors :as vectors]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(defn- golden [name] (str "test/vectors/records/" name ".poz"))

(def ^:private hostile "a\u001b[31m\u202eb\u0007.poz")

(defn- safe? [result]
  (every? (fn [^String line] (not-any? text/unsafe? (iterator-seq (.iterator (.codePoints line)))))
    (concat (:out result) (:err result))))

;; show

(deftest show-a-record
  (let [{:keys [exit out err]} (env/run ["show" (golden "all-zones")])]
    (is (= [0 []] [exit err]))
    (is (some #(str/includes? % "Keys: 10") out))
    (is (some #(str/includes? % "alice@social.example") out))
    (is (every? #(<= (text/columns %) 80) out)))
  (is (= (:out (env/run ["show" (golden "draft")]))
         (:out (env/run ["show" "-"] {:in (vectors/file-bytes "records/draft.poz")}))
         (:out (env/run ["show" "-"] {:in (record/armor (vectors/file-bytes "records/draft.poz"))}))) "of either form, from anywhere")
  (testing "as JSON, and never the sealed secrets"
    (let [{:keys [exit json out]} (env/run ["show" "--json" (golden "holder-file")])]
      (is (= [0 1] [exit (:version (first json))]))
      (is (= [{:key 0 :name "laptop"}] (:key-names (:record (first json)))))
      (is (not (str/includes? (env/text out) "private-key-map"))))))

(deftest show-what-is-no-record
  (let [{:keys [exit out err]} (env/run ["show" "-"] {:in "nonsense"})]
    (is (= [3 []] [exit out]))
    (is (str/includes? (env/text err) "-: ")))
  (is (= [{:version 1 :error "format/magic" :category "malformed"}]
         (map #(select-keys % [:version :error :category]) (:json (env/run ["show" "--json" "-"] {:in "nonsense"}))))))

;; dump

(deftest dump-a-file
  (let [{:keys [exit out]} (env/run ["dump" (golden "genesis-minimal")])]
    (is (= 0 exit))
    (is (some #(str/starts-with? % "0000  50 4f 5a") out))
    (is (some #(str/includes? % "current-master-hash") out))
    (is (every? #(<= (text/columns %) 80) out)))
  (is (= {:version 1 :file "-" :outcome "well-formed"}
         (first (:json (env/run ["dump" "--json" "-"] {:in (vectors/file-bytes "records/draft.poz")}))))))

(deftest dump-a-broken-file
  (let [cut (bytes/slice (vectors/file-bytes "records/genesis-minimal.poz") 0 100)
        {:keys [exit out err]} (env/run ["dump" "-"] {:in cut})]
    (is (= [3 []] [exit err]))
    (is (some #(str/includes? % "^^") out))
    (is (some #(str/includes? % "format/size") out))
    (is (= [{:version 1 :file "-" :outcome "malformed" :error "format/size" :at 4}]
           (map #(dissoc % :message) (:json (env/run ["dump" "--json" "-"] {:in cut})))))))

;; verify

(deftest exit-codes-of-verify
  (are [code args] (= code (:exit (env/run (cons "verify" args))))
    0 [(golden "genesis-minimal")]
    0 [(golden "genesis-minimal") (golden "all-zones")]
    1 [(golden "draft")]
    4 [(golden "recovery-3-tail")]
    4 ["no-such-file.poz"]
    3 ["deps.edn"]
    1 [(golden "recovery-3-tail") (golden "draft") (golden "genesis-minimal")]
    3 [(golden "draft") "deps.edn" (golden "recovery-3-tail")]
    2 []
    0 ["--at" "2026-11-02T00:00:00Z" (golden "time-ahead-24h-1ms")]
    4 [(golden "time-ahead-24h-1ms")]))

(deftest verify-in-words
  (let [{:keys [out err]} (env/run ["verify" (golden "devices-grant-alone")])]
    (is (= [] err) "a verdict is a result")
    (is (= (str (golden "devices-grant-alone") ": invalid") (first out)))
    (is (some #(str/includes? % "grant values: 50 of 100 [zone/grant-below-threshold]") out)))
  (is (some #(str/includes? % "ok  its own master keys") (:out (env/run ["verify" "--steps" (golden "genesis-minimal")]))))
  (is (some #(str/includes? % "\u001b[") (:out (env/run ["verify" (golden "draft")] {:color true}))))
  (is (every? #(<= (text/columns %) 100) (:out (env/run ["verify" "--steps" "--width" "100" (golden "all-zones")])))))

(deftest verify-with-providers
  (let [statuses (fn [& args]
                   (map :status (get-in (first (:json (env/run (concat ["verify" "--json" (golden "all-zones")] args))))
                                  [:zones :identity :entries])))]
    (is (= ["unknown" "unknown" "unknown"] (statuses)))
    (is (= ["current" "current" "current"] (statuses "--with" (golden "provider-1"))))
    (is (= ["superseded" "superseded" "superseded"] (statuses "--with" (golden "provider-1") "--with" (golden "provider-2"))))
    (testing "one that cannot be read stops it"
      (let [{:keys [exit out err]} (env/run ["verify" (golden "all-zones") "--with" "no-such.poz"])]
        (is (= [4 []] [exit out]))
        (is (str/includes? (env/text err) "no-such.poz"))))))

(deftest verify-as-json
  (let [{:keys [exit json err]} (env/run ["verify" "--json" (golden "genesis-minimal") (golden "draft") "deps.edn" "none.poz"])]
    (is (= [3 []] [exit err]))
    (is (= [["valid" nil] ["invalid" "chain/draft"] ["malformed" "format/magic"] ["unknown" "file/not-found"]]
           (map (juxt :outcome :error) json)) "a line for each file, whatever befell it")
    (is (every? #(= 1 (:version %)) json))
    (is (= ["delegation/none" "master/key-rules-every-group" "master/single-key"]
           (distinct (map :warning (:warnings (first json))))))
    (is (= 0 (:at (nth json 2))))
    (is (= [0] (:signers (first (:revisions (:chain (first json)))))))))

(deftest hostile-names-and-strings-are-escaped
  (env/with-folder
    (fn [at]
      (env/write! (at hostile) (vectors/file-bytes "records/text-warnings.poz"))
      (doseq [args [["verify" (at hostile)] ["show" (at hostile)] ["dump" (at hostile)] ["keys" (at hostile)]
                    ["verify" "--steps" (at hostile) (at (str hostile "-none"))]
                    ["show" (at (str hostile "-none"))] ["keys" (at (str hostile "-none"))]
                    ["public" (at (str hostile "-none"))] ["verify" (at "x") "--with" hostile]
                    ["verify" "--json" (at hostile)] ["verify" "--json" (at (str hostile "-none"))]
                    [hostile] ["verify" (str "--" hostile)] ["show" "a" hostile]]]
        (is (safe? (env/run args)) args)))))

(deftest widths
  (are [width code] (= code (:exit (env/run ["show" "--width" width (golden "draft")])))
    "60" 0, "1000" 0, "59" 2, "1001" 2, "wide" 2, "-80" 2))
