(ns poz.cli.serve-test
  "`poz serve` in this process, on free ports: what it prints, where its options come from, what
  it refuses."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.net :as net]
   [poz.record :as record]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(def ^:private free-ports ["--plain-port" "0" "--query-port" "0" "--submit-port" "0"])
(def ^:private env {"POZ_PASSPHRASE" "correct horse"})

(defn- serve
  "Runs `poz serve` with the words; `f` gets the lines that it printed while it runs."
  ([words f] (serve words f {}))
  ([words f options]
   (cli/run (into ["serve"] words) (merge {:getenv env :until-told f} options))))

(defn- never [_] (throw (AssertionError. "It serves.")))

(defn- status [port]
  (wire/decode-response (net/exchange {:host "127.0.0.1" :port port :contract :plain}
                          (wire/encode-request {:type :status :id 1 :payload {}})) :status))

(deftest it-says-what-belongs-into-dns-and-when-it-is-ready
  (cli/with-folder
    (fn [at]
      (let [seen (volatile! nil)
            {:keys [exit out err]} (serve (into ["example.com" "--data" (at "data")] free-ports)
                                     (fn [lines]
                                       (let [[_ plain] (re-find #"^ready plain=(\d+) query=\d+ submit=\d+ hash=[0-9a-f]{64} noise-key=[0-9a-f]{64}$" (last lines))]
                                         (vreset! seen [(count lines) (:status (status (parse-long plain)))]))))
            [_ hash] (re-find #"hash=([0-9a-f]{64})" (last out))]
        (is (= 0 exit))
        (is (= [7 :ok] @seen))
        (is (= ["  _poz._tcp.example.com. IN SRV 0 0 N example.com."
                "  _poz-submit._tcp.example.com. IN SRV 0 0 N example.com."
                (str "  _poz.example.com. IN TXT \"v=poz1 h=" hash "\"")]
              (map #(str/replace % #" 0 0 \d+ " " 0 0 N ") (filter #(str/starts-with? % "  _poz") out))))
        (is (= hash (bytes/->hex (record/original-hash (record/decode (cli/read-bytes (str (at "data") "/server.poz")))))))
        (is (= "stopped" (last err)))
        (is (some #(str/includes? % "owner.poz") err))
        (testing "and where it was before, as JSON"
          (let [lines (volatile! nil)
                {:keys [json err]} (serve (into ["example.com" "--json" "--data" (at "data")] free-ports) #(vreset! lines %))
                [ready stopped] json]
            (is (= "ready" (:event ready)) err)
            (is (= hash (:original-hash ready)))
            (is (= #{:plain :query :submit} (set (keys (:ports ready)))))
            (is (= 3 (count (:dns ready))))
            (is (= 1 (count @lines)))
            (is (= ready (json/read-str (first @lines) :key-fn keyword)))
            (is (= "stopped" (:event stopped)))))))))

(deftest options-come-from-three-places
  (cli/with-folder
    (fn [at]
      (let [file (cli/write! (at "poz.edn") "{:domains [\"file.example\"] :hostname \"poz.file.example\" :plain-port 0 :query-port 0 :submit-port 0 :store :memory}")
            ready (fn [words options] (first (:json (serve (into ["--json" "--data" (at "data") "--config" file] words) identity options))))]
        (is (= [["file.example"] "poz.file.example"] ((juxt :domains :hostname) (ready [] {}))))
        (is (= "env.example" (:hostname (ready [] {:getenv (assoc env "POZ_HOSTNAME" "env.example")}))))
        (is (= [["a.example" "b.example"] "line.example"]
              ((juxt :domains :hostname)
               (ready ["a.example" "b.example" "--hostname" "line.example"] {:getenv (assoc env "POZ_HOSTNAME" "env.example")}))))
        (is (= [:query] (keys (:ports (ready ["--plain-port" "off" "--submit-port" "off"] {})))))))))

(deftest the-passphrase-may-be-asked-for
  (cli/with-folder
    (fn [at]
      (let [words (into ["example.com" "--data" (at "data")] free-ports)
            with (fn [ask] (serve words identity {:getenv {} :ask ask}))]
        (is (= 4 (:exit (with nil))))
        (is (= 4 (:exit (with ["one" "two"]))) "a new one, twice")
        (is (= [] (remove #{"data"} (cli/names (at)))) "and nothing else is made")
        (is (= 0 (:exit (with ["one" "one"]))))
        (is (= 1 (:exit (with ["two"]))))
        (is (= 0 (:exit (with ["one"]))))
        (is (= 0 (:exit (serve (into words ["--passphrase-file" (cli/write! (at "secret") "one\nmore\n")]) identity {:getenv {}}))))))))

(deftest what-makes-no-sense
  (cli/with-folder
    (fn [at]
      (let [file #(cli/write! (at "poz.edn") %)]
        (are [words exit sentence] (let [found (serve (into ["--data" (at "data")] words) never)]
                                     (and (= exit (:exit found)) (re-find sentence (str/join "\n" (:err found)))))
          [] 2 #":domains is a list"
          ["Example.com"] 2 #":domains is a list of domain names in lower case"
          ["example.com" "--query-port" "http"] 2 #"cannot be read as PORT"
          ["example.com" "--policy" ":never"] 2 #"no policy is called :never"
          ["example.com" "--config" (at "nope.edn")] 4 #"nope.edn: there is no such file"
          ["example.com" "--config" (file "{:domains")] 2 #"is not EDN"
          ["example.com" "--config" (file "[]")] 2 #"holds one map"
          ["example.com" "--config" (file "{:ports 1 :threads 0}")] 2 #"There is no option :ports\. :threads is"
          ["example.com" "--store" "mysql"] 2 #":store is :sqlite, :memory"
          ["example.com" "--nope"] 2 #"--nope"))
      (is (not-any? #{"data"} (cli/names (at)))))))

(defn- exec-start
  "The words behind `poz` of the unit's ExecStart, %S and %d being folders."
  [unit state credentials]
  (let [[_ line] (re-find #"(?m)^ExecStart=(.*)$" unit)
        [before after] (str/split line #"/poz\.jar ")]
    (is (str/starts-with? before "/usr/bin/java "))
    (map #(-> % (str/replace "%S" state) (str/replace "%d" credentials)) (str/split after #" "))))

(deftest the-unit-of-systemd
  (let [{:keys [exit out json]} (cli/run ["serve" "--systemd-unit"])
        unit (cli/text out)]
    (is (= 0 exit))
    (is (= unit (str/trimr (:unit (first (:json (cli/run ["serve" "--systemd-unit" "--json"])))))))
    (is (nil? json))
    (testing "what it starts is a command of ours, which serves"
      (cli/with-folder
        (fn [at]
          (cli/write! (at "passphrase") "correct horse\n")
          (let [file (cli/write! (at "poz.edn") "{:domains [\"example.com\"] :plain-port 0 :query-port 0 :submit-port 0}")
                [command & words] (map #(if (= "/etc/poz/poz.edn" %) file %) (exec-start unit (at) (at)))
                ready (volatile! nil)]
            (is (= "serve" command))
            (is (= 0 (:exit (serve words #(vreset! ready (last %)) {:getenv {}}))))
            (is (str/starts-with? (str @ready) "ready "))
            (is (= ["owner.poz" "recovery.poz" "server.poz"] (take 3 (cli/names (at "poz")))))))))))

(deftest no-secret-is-printed
  (cli/with-folder
    (fn [at]
      (let [{:keys [out err]} (serve (into ["example.com" "--data" (at "data")] free-ports) identity)
            again (cli/run ["serve" "example.com" "--data" (at "data") "--query-port" "99999"] {:getenv env})]
        (is (not (re-find #"correct|horse" (str out err again))))))))
