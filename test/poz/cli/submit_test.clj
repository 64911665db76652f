(ns poz.cli.submit-test
  "`poz submit`, and `poz request` over the network: a handle from request to release."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.authority.operator :as operator]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.cli-world :as world]
   [poz.client-world :as w]
   [poz.discover :as discover]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.verdicts :as v])
  (:import
   (java.net ServerSocket)))

(set! *warn-on-reflection* true)

(def ^:private day 10)

(defn- poz [& words] (apply world/poz day (map str words)))

(defn- exit [result] (:exit result))

(defn- says? [result & sentences]
  (every? #(str/includes? (world/said result) %) sentences))

(defn- at [port] (str "127.0.0.1:" port))
(def ^:private server-key (bytes/->hex (:public-key w/static)))

(defn- with-files
  "Calls `(f authority path)` with an authority, and Alice's file and the provider's in a folder."
  [options f]
  (w/with-authority options
    (fn [{:keys [provider] :as authority}]
      (cli/with-folder
        (fn [path]
          (world/holder! (path "alice.poz") (:record w/alice) (:labels w/alice) [0])
          (cli/write! (path "social.poz") (record/encode (record/public-view (:record provider))))
          (f authority path))))))

(defn- request [path & more]
  (apply poz "request" (path "alice.poz") "alice@social.example" "--provider" (path "social.poz") more))

(defn- apply-entry!
  "Accepts the entry in Alice's folder, signs, applies."
  [path]
  (is (= 0 (exit (poz "accept" (path "alice.poz") (path "entry.txt") "--out" (path "draft.txt") "--force"))))
  (is (= 0 (exit (poz "sign" (path "draft.txt") (path "alice.poz")))))
  (is (= 0 (exit (poz "apply" (path "draft.txt") "--holder" (path "alice.poz") "--out" (path "alice.poz") "--force")))))

(deftest a-handle-over-the-network
  (with-files {}
    (fn [{:keys [ports provider]} path]
      (let [hash (bytes/->hex (w/hash-of provider))
            result (request path "--server" "127.0.0.1" "--out" (path "entry.txt"))
            submit #(apply poz "submit" (path "alice.poz") "--server" %&)]
        (testing "the entry comes from the server, whose key is in the provider's record"
          (is (= 0 (exit result)))
          (is (says? result "entry alice@social.example, verified" (str "answered by 127.0.0.1:" (:submit ports) ", privately"))))
        (apply-entry! path)
        (testing "a record that is not held goes as SUBMIT_SIGNED, whole"
          (let [result (submit (at (:submit ports)) "--key" server-key)]
            (is (= 0 (exit result)))
            (is (says? result "accepted, the handles are live" "revision 1" "identity grant 1, deny 0" "with identity of the zones"))))
        (is (says? (poz "query" "alice@social.example" "--server" (at (:plain ports)) "--hash" hash) "current"))
        (testing "again it is nothing that the server lacks"
          (let [{:keys [type status size]} (first (:json (submit (at (:plain ports)) "--hash" hash "--json")))]
            (is (= ["submit" "ok"] [type status]))
            (is (< (long size) 600))))
        (testing "a handle that is taken"
          (world/holder! (path "mallory.poz") (:record w/mallory) (:labels w/mallory) [0])
          (let [result (poz "request" (path "mallory.poz") "alice@social.example" "--provider" (path "social.poz") "--server" "127.0.0.1")]
            (is (= 7 (exit result)))
            (is (says? result "live or reserved for another record"))))
        (testing "what does not follow is a conflict, and tells what is held"
          (let [mine (world/record (path "alice.poz"))
                other (v/revise (:record w/alice) (:labels w/alice) {:timestamp (+ (long v/start) 7)} [0])]
            (is (= 0 (exit (submit (at (:submit ports)) "--key" server-key))))
            (cli/write! (path "other.poz") (record/encode other))
            (is (= 0 (exit (poz "submit" (path "other.poz") "--server" (at (:submit ports)) "--key" server-key))))
            (cli/write! (path "fork.poz") (record/encode (v/revise (:record w/alice) (:labels w/alice) {:timestamp (+ (long v/start) 9)} [0])))
            (is (= 7 (exit (poz "submit" (path "fork.poz") "--server" (at (:submit ports)) "--key" server-key))))
            (testing "also where it is the server that says so"
              (let [{:keys [error category held]} (first (:json (poz "submit" (path "fork.poz") "--server" (at (:submit ports)) "--key" server-key "--whole" "--json")))]
                (is (= ["wire/conflict" "conflict" 2] [error category (:serial held)]))))
            (is (= 1 (:serial (memory/of mine))))))))))

(defn- held
  "Calls `(f authority path result ticket later)` after a request that is held: `later` asks what
  became of it, with more words."
  [f]
  (with-files {:policy (constantly :hold)}
    (fn [authority path]
      (let [{:keys [out] :as result} (request path "--server" "127.0.0.1" "--out" (path "entry.txt"))
            [_ ticket] (re-matches #"ticket ([0-9a-f]{32})" (first out))]
        (f authority path result ticket
          #(apply request path "--server" "127.0.0.1" "--ticket" ticket "--out" (path "entry.txt") %&))))))

(deftest held-and-rejected
  (held
    (fn [{:keys [store]} _ result ticket later]
      (is (= 4 (exit result)))
      (is (says? result "held for later"))
      (is (= 4 (exit (later))))
      (is (= [[1 "pending" ticket]] (map (juxt :version :status :ticket) (:json (later "--json")))))
      (operator/reject! store (bytes/hex-> ticket) "no such employee")
      (is (= 6 (exit (later))))
      (is (says? (later) "the server says no: policy/refused" "no such employee"))
      (is (= [["wire/rejected" "refused" "policy/refused"]] (map (juxt :error :category (comp :code :problem)) (:json (later "--json"))))))))

(deftest held-and-approved
  (held
    (fn [{:keys [store config]} path _ ticket later]
      (operator/approve! store config (bytes/hex-> ticket) w/now)
      (is (= [[1 "issued"]] (map (juxt :version :status) (:json (later "--json")))))
      (apply-entry! path)
      (is (= 4 (exit (apply request path ["--server" "127.0.0.1" "--ticket" (apply str (repeat 32 "0"))])))))))

(deftest requests-that-are-not-sent
  (with-files {}
    (fn [{:keys [ports]} path]
      (testing "one that another must sign too"
        (let [labels ["root" "phone" "laptop"]]
          (world/holder! (path "alice.poz") (v/genesis labels [[1 0 100]] [[:identity 1 50 100] [:identity 2 50 100]] [0]) labels [1])
          (let [result (request path "--server" "127.0.0.1")]
            (is (= 1 (exit result)))
            (is (says? result "grant values: 50 of 100")))))
      (testing "to a provider whose record does not hold"
        (world/holder! (path "alice.poz") (:record w/alice) (:labels w/alice) [0])
        (cli/write! (path "forged.poz")
          (record/encode (assoc-in (world/record (path "social.poz")) [:service-zone :grant :body 0 :hosts 0 :port] 9)))
        (let [result (poz "request" (path "alice.poz") "alice@social.example" "--provider" (path "forged.poz") "--server" "127.0.0.1")]
          (is (= 1 (exit result)))
          (is (says? result "provider's record does not hold"))))
      (testing "to one that names no server"
        (cli/write! (path "bare.poz") (record/encode (:record w/social)))
        (is (= 4 (exit (poz "request" (path "alice.poz") "alice@social.example" "--provider" (path "bare.poz") "--server" "127.0.0.1"))))
        (testing "unless the key is given"
          (is (= 0 (exit (poz "request" (path "alice.poz") "alice@social.example" "--provider" (path "bare.poz") "--out" (path "entry.txt")
                           "--server" (at (:submit ports)) "--key" server-key)))))))))

(deftest command-lines-and-exit-codes
  (with-files {}
    (fn [{:keys [ports]} path]
      (let [closed (with-open [socket (ServerSocket. 0)] (.getLocalPort socket))
            submit #(apply poz "submit" (path "alice.poz") %&)]
        (are [code sentence result] (and (= code (exit result)) (says? result sentence))
          2 "--server is required" (submit)
          2 "--key or --hash is required" (submit "--server" "a")
          2 "cannot be read as TYPE" (submit "--server" "a" "--type" "query")
          2 "cannot be read as HEX" (submit "--server" "a" "--key" "00")
          2 "--server is required" (request path "--ticket" (apply str (repeat 32 "0")))
          4 "there is no such file" (poz "submit" "none.poz" "--server" "a" "--key" server-key)
          5 "no connection" (submit "--server" (at closed) "--key" server-key)
          6 "policy/refused" (submit "--server" (at (:submit ports)) "--key" server-key "--type" "submit")
          6 "request/entry-missing" (submit "--server" (at (:submit ports)) "--key" server-key)))
      (testing "a server that says it holds something else"
        (w/with-server :submit (fn [{:keys [request]}]
                                 (if (= :serial (:type request))
                                   {:status :not-found :payload {}}
                                   {:status :accepted :payload (memory/of (:record w/mallory))}))
          (fn [port]
            (let [result (poz "submit" (path "alice.poz") "--server" (at port) "--key" server-key)]
              (is (= 1 (exit result)))
              (is (says? result "what the server says it holds is not what was submitted")))))))))

(deftest secrets-stay
  (with-files {}
    (fn [_ path]
      (let [sent (atom [])]
        (w/with-server :submit (fn [{:keys [request bytes]}] (swap! sent conj bytes)
                                 (if (= :serial (:type request)) {:status :not-found :payload {}} {:status :accepted :payload (memory/of (:record w/alice))}))
          (fn [port]
            (is (= 0 (exit (poz "submit" (path "alice.poz") "--server" (at port) "--key" server-key))))
            (is (= 2 (count @sent)))
            (is (str/includes? (str (cli/read-bytes (path "alice.poz"))) (bytes/->hex (bytes/utf8 "alice"))) "the name of a key is in the file")
            (is (not-any? #(str/includes? (str %) (bytes/->hex (bytes/utf8 "alice"))) @sent) "and does not leave it")))))))

(deftest the-servers-of-a-domain
  (with-files {}
    (fn [{:keys [ports provider]} path]
      (let [srv (fn [port] {:rows [{:priority 0 :weight 0 :port port :host "127.0.0.1."}]})
            txt (fn [hash] {:rows [(str "v=poz1 h=" (bytes/->hex hash))]})
            submit (fn [sources & words]
                     (cli/run (into ["submit" (path "social.poz") "--to" "social.example"] words) {:now (world/at-day day) :sources (discover/fake sources)}))]
        (let [result (submit {:txt (txt (w/hash-of provider)) :srv (srv (:plain ports)) :submit-srv (srv (:submit ports))})]
          (is (= 0 (exit result)))
          (is (says? result (str "answered by 127.0.0.1:" (:submit ports) ", privately"))))
        (is (= 4 (exit (submit {:txt (txt (bytes/zeros 32)) :srv (srv (:plain ports))}))) "the server has no such record")
        (is (= 4 (exit (submit {}))))
        (is (= 2 (exit (submit {} "--server" "a"))))
        (testing "for a request too"
          (let [ask (fn [sources & words]
                      (cli/run (into ["request" (path "alice.poz") "alice@social.example" "--provider" (path "social.poz") "--out" (path "entry.txt")
                                      "--to" "social.example"] words)
                        {:now (world/at-day day) :getenv {"POZ_PASSPHRASE" world/phrase} :sources (discover/fake sources)}))
                result (ask {:txt (txt (w/hash-of provider)) :srv (srv (:plain ports)) :submit-srv (srv (:submit ports))})]
            (is (= 0 (exit result)))
            (is (says? result (str "answered by 127.0.0.1:" (:submit ports) ", privately")))
            (apply-entry! path)
            (is (= 4 (exit (ask {}))))
            (is (= 2 (exit (ask {} "--server" "a"))))))))))
