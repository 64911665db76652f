(ns poz.cli.zones-test
  (:require
   [clojure.data.json :as data-json]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.cli-world :as world :refer [poz]]
   [poz.crypto :as crypto]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private labels ["me" "phone" "laptop"])

(def ^:private genesis
  (v/genesis labels [[1 0 100]] (for [z [:identity :feed :email :auth :service]] [z 0 100 100]) [0]))

(defn- host [name]
  {"hostname" name "port" 443 "transport" "tcp" "encryption" "tls" "priority" 0 "weight" 0})

(defn- service-json [name & hosts]
  (data-json/write-str {"name" name "type" "https" "hosts" (map host hosts)}))

(defn- with-me
  "Calls `(f at file draft!)`; `(draft! day word…)` drafts, signs and applies a change of a zone and
  gives the exit codes."
  [f]
  (world/with-people ["me"]
    (fn [at]
      (let [at #(at "me" %) file (world/holder! (at "my.poz") genesis labels [0]) d (at "draft.txt")]
        (f at file (fn [day & words]
                     (mapv :exit [(apply poz day (concat words ["--out" d "--force"]))
                                  (poz day "sign" d file)
                                  (poz day "apply" d "--holder" file "--out" file "--force")])))))))

(def ^:private done [0 0 0])

(defn- listed [file z]
  (first (:json (poz 9 "zone" "list" file z "--json"))))

(defn- valid? [file]
  (= :valid (:outcome (v/verdict (dissoc (world/record file) :private-key-map :key-names)))))

(deftest a-life-of-a-zone
  (with-me
    (fn [at file draft!]
      (let [web (cli/write! (at "web.json") (service-json "web" "www.example"))
            two (cli/write! (at "two.json") (str "[" (service-json "b" "b.example") "," (service-json "c" "c.example") "]"))
            hash-of (fn [name] (:hash (first (filter #(= name (get-in % [:entry :name])) (:entries (listed file "service"))))))]
        (testing "added, from several files of one entry or many"
          (is (= done (draft! 1 "zone" "add" file "service" web two)))
          (is (= ["b" "c" "web"] (sort (map #(get-in % [:entry :name]) (:entries (listed file "service")))))))
        (testing "replaced by its id"
          (cli/write! web (service-json "web" "other.example"))
          (is (= done (draft! 2 "zone" "add" file "service" web)))
          (is (= 3 (count (:entries (listed file "service"))))))
        (testing "denied, listed as denied"
          (let [h (hash-of "web")]
            (is (= done (draft! 3 "zone" "deny" file "service" h "--reason" "abuse")))
            (is (= [h] (:denied (listed file "service"))))
            (is (= [[h false]] (map (juxt :hash :live) (remove :live (:entries (listed file "service"))))))
            (is (some #{(str "denied  " h "  abuse")} (:out (poz 9 "zone" "list" file "service"))))
            (is (= 1 (first (draft! 3 "zone" "deny" file "service" h))) "denied already")))
        (testing "removed; what was denied leaves with the next grant"
          (is (= done (draft! 4 "zone" "remove" file "service" (hash-of "b"))))
          (is (= ["c"] (map #(get-in % [:entry :name]) (:entries (listed file "service"))))))
        (testing "signed again"
          (is (= done (draft! 5 "zone" "sign-again" file "service")))
          (is (= 4 (get-in (world/record file) [:service-zone :grant :serial]))))
        (is (valid? file))))))

(deftest denying-nothing-new
  (with-me
    (fn [at file draft!]
      (let [target (apply str (repeat 64 "a"))]
        (draft! 1 "zone" "add" file "service" (cli/write! (at "web.json") (service-json "web" "www.example")))
        (is (= done (draft! 2 "zone" "deny" file "service" target)) "a target that names nothing is inert, and allowed")
        (let [{:keys [exit] :as result} (poz 3 "zone" "deny" file "service" target)]
          (is (= 1 exit))
          (is (str/includes? (world/said result) "adds none")))))))

(deftest every-zone-from-json
  (with-me
    (fn [at file draft!]
      (let [json #(cli/write! (at "entry.json") (data-json/write-str %)) nothing (apply str (repeat 64 "0"))
            mail (bytes/->hex (crypto/public-key :x25519 (v/secret "mail")))]
        (is (= done (draft! 1 "zone" "add" file "auth" (json {"id" 1 "keys" [1 2]}))))
        (is (= done (draft! 1 "zone" "add" file "email" (json {"guid" (apply str (repeat 16 "1f")) "name" "in" "key" 3 "service" nothing})
                      "--add-key" (str "x25519:" mail))))
        (is (= done (draft! 1 "zone" "add" file "feed"
                      (json {"name" "main" "service" nothing "chains" [{"chain" 0 "posting_keys" [0] "checkpoints" []}]}))))
        (is (= ["group 1, 2 keys"] (map #(last (str/split % #"  ")) (:out (poz 9 "zone" "list" file "auth")))))
        (testing "a key of the Auth Zone is denied by its hash"
          (is (= done (draft! 2 "zone" "deny" file "auth" (bytes/->hex (signing/key-hash (v/key-of "phone"))) "--reason" "compromised")))
          (is (= [[1]] (map :revoked-keys (get-in (v/verdict (dissoc (world/record file) :private-key-map :key-names)) [:zones :auth :entries])))))
        (is (valid? file))))))

(deftest the-vectors-are-listed
  (world/with-people ["me"]
    (fn [at]
      (let [path (cli/write! (at "me" "all.poz") (vectors/file-bytes "records/all-zones.poz"))]
        (doseq [z zone/names :let [{:keys [version entries]} (listed path (name z))]]
          (is (= 1 version))
          (is (= (map #(bytes/->hex (zone/entry-hash z %)) (zone/entries z (:zone (zone/sections (v/record-named "all-zones") z))))
                 (map :hash entries))))
        (is (str/includes? (str/join (:out (poz 9 "zone" "list" path "identity"))) "alice@social.example"))))))

(deftest removing-without-the-deny-quorum
  (let [labels ["adder" "remover"]
        record (-> (v/genesis labels [[1 0 100]] [[:service 0 100 0] [:service 1 0 100]] [0])
                 (v/grant labels :service [(v/service "web")] [0]))
        h (bytes/->hex (zone/entry-hash :service (v/service "web")))]
    (world/with-people ["adder" "remover"]
      (fn [at]
        (let [file (world/holder! (at "adder" "a.poz") record labels [0]) other (world/holder! (at "remover" "r.poz") record labels [1])
              d (at "adder" "d.txt")
              {:keys [exit err]} (poz 1 "zone" "remove" file "service" h "--out" d)]
          (is (= 0 exit))
          (is (= "it removes what was not denied: the signers' deny values must reach 100 as well" (last err)))
          (poz 1 "sign" d file)
          (let [result (poz 1 "apply" d "--holder" file "--out" (at "adder" "n.poz"))]
            (is (= 1 (:exit result)))
            (is (str/includes? (world/said result) "deny values sum to 0 of 100")))
          (testing "the two together may"
            (is (= 0 (:exit (poz 1 "sign" d other))))
            (is (= 0 (:exit (poz 1 "apply" d "--holder" file "--out" (at "adder" "n.poz")))))))))))

(deftest what-travels
  (with-me
    (fn [at file draft!]
      (draft! 1 "zone" "add" file "auth" (cli/write! (at "g.json") "{\"id\":1,\"keys\":[1,2]}"))
      (let [out (at "web.txt")]
        (poz 2 "zone" "add" file "service" (cli/write! (at "web.json") (service-json "web" "www.example")) "--out" out)
        (is (= [:master-zone :public-key-map :service-authority :service-zone] (sort (keys (world/record out))))
            "the one zone, nothing private")
        (is (> 4096 (long (world/size out))))))))

(deftest a-clock-that-stands
  (with-me
    (fn [at file draft!]
      (testing "two changes at one moment are dated apart"
        (dotimes [i 3]
          (is (= done (draft! 1 "zone" "add" file "service" (cli/write! (at "web.json") (service-json (str "web" i) "www.example"))))))
        (is (= (+ 2 (long (world/at-day 1))) (get-in (world/record file) [:service-zone :grant :timestamp])))))))

(deftest errors
  (with-me
    (fn [at file draft!]
      (draft! 1 "zone" "add" file "service" (cli/write! (at "web.json") (service-json "web" "www.example")))
      (let [none (apply str (repeat 64 "0")) out (at "out.txt")
            bad #(cli/write! (at "bad.json") %)
            entry #(bad (data-json/write-str (assoc-in {"name" "x" "type" "https" "hosts" [(host "x.example")]} %1 %2)))
            try-it (fn [& words] (apply poz 2 (concat words (when-not (= "list" (second words)) ["--out" out]))))]
        (are [code sentence words] (let [result (apply try-it words)]
                                     (and (= code (:exit result)) (str/includes? (world/said result) sentence)))
          2 "there is no zone nozone; there are identity, feed, email, auth, service" ["zone" "list" file "nozone"]
          2 "there is no zone nozone" ["zone" "add" file "nozone" "x"]
          2 "there is no zone nozone" ["zone" "deny" file "nozone" none]
          4 "has no feed zone" ["zone" "list" file "feed"]
          4 "has no such zone" ["zone" "deny" file "feed" none]
          4 "no entry with that hash" ["zone" "remove" file "service" none]
          2 "a hash has 64 hex digits" ["zone" "remove" file "service" "abcd"]
          2 "a hash has 64 hex digits" ["zone" "deny" file "service" (apply str (repeat 64 "g"))]
          2 "--reason" ["zone" "deny" file "service" none "--reason" "spite"]
          4 "nowhere.json" ["zone" "add" file "service" "nowhere.json"]
          4 "nowhere.poz" ["zone" "list" "nowhere.poz" "service"]
          3 "is not JSON" ["zone" "add" file "service" (bad "{\"name\":")]
          3 "hosts 0 port" ["zone" "add" file "service" (entry ["hosts" 0 "port"] 70000)]
          3 "domain" ["zone" "add" file "service" (entry ["hosts" 0 "hostname"] "Not A Domain")]
          3 "type" ["zone" "add" file "service" (entry ["type"] "nonsense")]
          3 "unexpected" ["zone" "add" file "service" (entry ["unexpected"] 1)]
          3 "beyond the Public Key Map" ["zone" "add" file "auth" (bad "{\"id\":1,\"keys\":[1,9]}")]
          3 "more or fewer items" ["zone" "add" file "auth" (bad "{\"id\":1,\"keys\":[1]}")]
          2 "--add-key" ["zone" "add" file "service" (bad "{}") "--add-key" "rsa:00"])
        (is (not (.exists (java.io.File. ^String out))))
        (testing "JSON too, with its version"
          (is (= [[1 "zone/no-such-entry" "unknown"]]
                 (map (juxt :version :error :category) (:json (try-it "zone" "remove" file "service" none "--json"))))))))))

(deftest entries-that-are-no-maps
  (with-me
    (fn [at file _]
      (doseq [text ["5" "\"x\"" "null" "[[]]" "{}"]]
        (is (= 3 (:exit (poz 1 "zone" "add" file "service" (cli/write! (at "x.json") text) "--out" (at "o.txt")))) text)))))

(deftest a-zone-that-is-not-delegated
  (world/with-people ["me"]
    (fn [at]
      (let [file (world/holder! (at "me" "a.poz") (v/genesis ["me"] [[1 0 100]] [] [0]) ["me"] [0])
            result (poz 1 "zone" "add" file "service" (cli/write! (at "me" "w.json") (service-json "w" "w.example")))]
        (is (= 1 (:exit result)))
        (is (str/includes? (world/said result) "Delegate keys for it in a master revision first"))))))
