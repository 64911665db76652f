(ns poz.cli.query-test
  "`poz query` and `poz server status` against servers on loopback."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.cli-world :as world]
   [poz.client-world :as w]
   [poz.client.pins :as pins]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.verdicts :as v])
  (:import
   (java.net ServerSocket)))

(set! *warn-on-reflection* true)

(defn- poz [& words]
  (cli/run (map str words) {:now w/now :seed (str/join " " words)}))

(defn- says? [result & sentences]
  (every? #(str/includes? (world/said result) %) sentences))

(defn- at [port] (str "127.0.0.1:" port))
(def ^:private server-key (bytes/->hex (:public-key w/static)))

(defn- with-alice
  "Calls `f` with an authority that holds Alice's record with her handle live, and her."
  [f]
  (w/with-authority {}
    (fn [{:keys [servers provider] :as authority}]
      (let [submit (requiring-resolve 'poz.client/submit)
            options {:servers (:submit servers) :now w/now :provider (:record provider)}
            {:keys [entry]} (submit {:type :submit-request :request (w/request-for w/alice provider)} options)
            alice (w/accepting w/alice entry)]
        (is (= :accepted (:status (submit {:type :submit-signed :record (:record alice)} options))))
        (f authority alice)))))

(deftest a-record-in-words
  (w/with-authority {}
    (fn [{:keys [ports provider]}]
      (let [hash (bytes/->hex (w/hash-of provider))]
        (testing "by domain, by hash, in the open and privately"
          (doseq [subject ["social.example" hash]
                  server [["--server" (at (:plain ports))] ["--server" (at (:query ports)) "--key" server-key]]]
            (let [{:keys [exit] :as result} (apply poz "query" subject server)]
              (is (= 0 exit))
              (is (says? result (str subject ": valid") "master zone       valid, 1 revision" "Keys: 1" "answered by 127.0.0.1:"))
              (is (says? result (if (= subject hash) "proven: it is the record" "not proven: nothing says yet"))))))
        (testing "--hash proves the domain and gives the server's key"
          (let [result (poz "query" "social.example" "--server" (at (:plain ports)) "--hash" hash)]
            (is (= 0 (:exit result)))
            (is (says? result "proven: it is the record" (str "answered by 127.0.0.1:" (:query ports) ", privately"))))
          (is (says? (poz "query" "social.example" "--server" (at (:plain ports)) "--hash" hash "--plain")
                "proven: it is the record" (str "answered by 127.0.0.1:" (:plain ports) ", in the open"))))
        (testing "JSON"
          (let [{:keys [version type proven outcome server record]} (first (:json (poz "query" hash "--server" (at (:plain ports)) "--json")))]
            (is (= [1 "record" true "valid" "none" 1] [version type proven outcome (:encryption server) (get-in record [:master-zone :serial])]))))
        (testing "into a file"
          (cli/with-folder
            (fn [path]
              (is (= 0 (:exit (poz "query" hash "--server" (at (:plain ports)) "--out" (path "social.poz")))))
              (is (= (record/public-view (:record provider)) (world/record (path "social.poz"))))
              (is (= 2 (:exit (poz "query" hash "--server" (at (:plain ports)) "--out" (path "social.poz")))) "it is there")
              (let [{:keys [exit bytes err]} (poz "query" hash "--server" (at (:plain ports)) "--out" "-")]
                (is (= [0 (cli/read-bytes (path "social.poz"))] [exit bytes]))
                (is (str/includes? (str/join err) "valid"))))))))))

(deftest a-handle-and-its-provider
  (with-alice
    (fn [{:keys [ports provider]} alice]
      (let [server (at (:plain ports)) hash (bytes/->hex (w/hash-of provider))]
        (testing "the provider's record comes from the server too, or from a file"
          (let [result (poz "query" "alice@social.example" "--server" server "--hash" hash)]
            (is (= 0 (:exit result)))
            (is (says? result "alice@social.example: valid" "current" "proven: it is the record")))
          (cli/with-folder
            (fn [path]
              (cli/write! (path "social.poz") (record/encode (record/public-view (:record provider))))
              (is (says? (poz "query" "alice@social.example" "--server" server "--with" (path "social.poz"))
                    "current" "not proven: nothing says yet that this provider is that of the domain")))))
        (is (= ["current" "identity"] ((juxt :status :type) (first (:json (poz "query" "alice@social.example" "--server" server "--json"))))))
        (is (= 1 (:exit (poz "query" "alice@social.example" "--server" server "--plain" "--hash" (apply str (repeat 64 "0"))))) "another provider")
        (is (= 4 (:exit (poz "query" "bob@social.example" "--server" server))))
        (testing "the other types"
          (are [sentence type more] (says? (apply poz "query" "alice@social.example" "--server" server "--type" type more) sentence)
            "nothing in this answer ties the record to the handle" "master" []
            "current" "record" []
            "current" "zones" ["--zone" "identity"]
            "revision 1" "serial" []))))))

(deftest words-of-a-server
  (w/with-authority {}
    (fn [{:keys [ports provider]}]
      (let [server (at (:plain ports)) lines #(:out (apply poz "query" %&))]
        (is (re-find #"^revision 1  [0-9a-f]{64}$" (first (lines "social.example" "--type" "serial" "--server" server))))
        (is (= [(str "127.0.0.1:7 none")] (lines "social.example" "--type" "mirrors" "--server" server)))
        (is (= ["software poz test" "role authoritative" "clock 2026-01-11T00:00:00Z" "protocol 0 to 0"] (lines "--type" "status" "--server" server)))
        (is (= "difficulty 0" (second (lines "--type" "challenge" "--server" server))))
        (is (says? (poz "query" "--type" "status" "--server" server) "not proven: this is what the server says"))
        (is (= [[1 "status" false "poz test"]]
               (map (juxt :version :type :proven (comp :software :answer)) (:json (poz "query" "--type" "status" "--server" server "--json")))))
        (testing "server status"
          (let [result (poz "server" "status" server)]
            (is (= 0 (:exit result)))
            (is (says? result "software poz test" "clock 2026-01-11T00:00:00Z, 0 ms ahead of ours" "no proof of work" "in the open")))
          (is (says? (poz "server" "status" server "--at" "2026-01-11T00:00:02Z") "2000 ms behind ours"))
          (is (says? (poz "server" "status" (at (:query ports)) "--key" server-key) "privately"))
          (is (says? (poz "server" "status" (at (:submit ports)) "--key" server-key "--submit") "privately"))
          (is (= [[1 0 "authoritative" 0]] (map (juxt :version :clock-off-ms :role :difficulty) (:json (poz "server" "status" server "--json"))))))))))

(deftest chains-and-what-is-known
  (let [labels ["root"] one (v/genesis labels [[1 0 100]] [] [0]) two (v/revise one labels {} [0])
        other (v/revise one labels {:timestamp (+ (long v/start) 7)} [0])
        hash (bytes/->hex (record/original-hash one))]
    (cli/with-folder
      (fn [path]
        (doseq [[file r] {"one" one "two" two "other" other}] (cli/write! (path file) (record/encode r)))
        (w/with-server (fn [{:keys [request]}] (w/file (if (= 1 (get-in request [:payload :from])) two (dissoc two :zone-history))))
          (fn [port]
            (let [chain #(apply poz "query" hash "--type" "chain" "--server" (at port) %&)]
              (is (says? (chain) "valid, 2 revisions"))
              (is (= 4 (:exit (chain "--from" "2"))) "the beginning is not at hand")
              (is (says? (chain "--from" "2" "--known" (path "one")) "valid, 2 revisions"))
              (is (= 7 (:exit (chain "--known" (path "other")))) "a fork"))))
        (w/with-server (w/responds (w/file one))
          (fn [port]
            (let [result (poz "query" hash "--type" "master" "--server" (at port) "--known" (path "two"))]
              (is (= 7 (:exit result)))
              (is (says? result "an older serial than was seen before")))
            (testing "what poz lookup remembers"
              (let [query #(:exit (poz "query" hash "--type" "master" "--server" (at port) "--pins" (path "pins")))]
                (is (= 0 (query)))
                ((:update! (pins/folder (path "pins"))) #(pins/noted % {:name "a.example" :hash (record/original-hash two) :memory (memory/of two)} 1) {})
                (is (= 7 (query)))
                (cli/write! (path "pins/pins.edn") "{")
                (is (= 4 (query)))))))))))

(deftest failures-and-their-exit-codes
  (let [closed (with-open [socket (ServerSocket. 0)] (.getLocalPort socket))
        hash (apply str (repeat 64 "0"))]
    (is (= 5 (:exit (poz "query" hash "--server" (at closed)))))
    (w/with-server (fn [{:keys [request]}] (if (= :status (:type request))
                                             {:status :unsupported :payload {:code "wire/unsupported" :message "\u202eno"}}
                                             (w/file (:record w/alice))))
      (fn [port]
        (is (= 6 (:exit (poz "query" "--type" "status" "--server" (at port)))))
        (is (not (says? (poz "query" "--type" "status" "--server" (at port)) "\u202e")) "nothing hidden reaches the terminal")
        (is (= 1 (:exit (poz "query" hash "--server" (at port)))))
        (testing "what each said, as JSON"
          (let [{:keys [error category servers]} (first (:json (poz "query" hash "--server" (at closed) "--server" (at port) "--json")))]
            (is (= ["answer/other-record" "invalid"] [error category]))
            (is (= [[closed "net/unreachable"] [port "answer/other-record"]] (map (juxt :port :error) servers)))))
        (testing "the next one answers"
          (is (says? (poz "query" (bytes/->hex (w/hash-of w/alice)) "--server" (at closed) "--server" (at port))
                (str "127.0.0.1:" closed ": no connection to the server") "answered by")))))))

(deftest command-lines-that-make-no-sense
  (are [sentence words] (let [result (apply poz words)] (and (= 2 (:exit result)) (says? result sentence)))
    "--server is required" ["query" "social.example"]
    "missing SUBJECT" ["query" "--server" "a"]
    "is not an address" ["query" "@" "--server" "a"]
    "takes an address" ["query" "social.example" "--type" "identity" "--server" "a"]
    "takes --zone" ["query" "social.example" "--type" "zones" "--server" "a"]
    "cannot be read as TYPE" ["query" "social.example" "--type" "nope" "--server" "a"]
    "cannot be read as HOST" ["query" "social.example" "--server" "a:b"]
    "a --key for each" ["query" "social.example" "--server" "a" "--server" "b" "--key" server-key]
    "is not HOST" ["server" "status" "a:b"]
    "takes --key" ["server" "status" "a" "--submit"])
  (is (= 4 (:exit (poz "query" "social.example" "--server" "a" "--with" "none.poz"))))
  (is (= 3 (:exit (poz "query" "a..b" "--server" "127.0.0.1:1"))))
  (w/with-server (w/responds {:status :ok :payload {:software "x" :role :cache :time 0 :oldest 0 :newest 0}})
    (fn [port] (is (says? (poz "query" "--type" "status" "--out" "x" "--server" (at port)) "--out is for records")))))
