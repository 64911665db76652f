(ns poz.integration.discover-test
  "Names to records by real components: nsd, nginx with a certificate of a test authority, and `poz serve`
  as a process. What agrees, each kind of what does not, and what is not there."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing use-fixtures]]
   [poz.asking :as asking]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.cli-world :as world]
   [poz.handles :as h]
   [poz.integration.components :as components]
   [poz.integration.processes :as processes])
  (:import
   (java.net DatagramSocket InetSocketAddress)))

(set! *warn-on-reflection* true)

(def ^:private domains
  "Good ones and bad ones; the authority is that of all."
  ["good.test" "srv.test" "two.test" "spoof.test" "absent.test" "malformed.test" "signed.test" "broken.test" "none.test"])

(def ^:private other (apply str (repeat 64 "b")))

(defn- zone-lines
  "Domain → the lines of its zone, with the `hash` of the authority and its ports."
  [hash {:keys [plain query]}]
  (let [txt #(str "_poz IN TXT \"v=poz1 h=" % "\"") srv #(str "_poz._tcp IN SRV 0 0 " % " localhost.")
        good [(txt hash) (srv plain)]]
    {"good.test" [(str "_poz IN TXT \"v=poz1 \" \"h=" hash " x=1\"") "_poz IN TXT \"something else\"" (srv query) (srv plain)]
     "srv.test" good
     "two.test" [(txt hash) (txt other) (srv plain)]
     "spoof.test" [(txt other) (srv plain)]
     "absent.test" [(srv plain)]
     "malformed.test" ["_poz IN TXT \"v=poz1 h=12\"" (srv plain)]
     "signed.test" good
     "broken.test" good
     "none.test" [(txt hash) "_poz._tcp IN SRV 0 0 0 ."]}))

(defn- zones
  "Domain → the text of its zone; of two that are signed one was changed since. Their keys go into the
  file `anchors` of the folder."
  [hash ports folder]
  (let [plain (into {} (map (fn [[name lines]] [name (components/zone name lines)])) (zone-lines hash ports))
        [signed anchor] (components/sign! folder "signed.test" (plain "signed.test"))
        [broken anchor-2] (components/sign! folder "broken.test" (plain "broken.test"))]
    (spit (io/file folder "anchors") (str anchor anchor-2))
    (assoc plain "signed.test" signed "broken.test" (str/replace broken (str "h=" hash) (str "h=" other)))))

(defn- well-known [hash {:keys [query]} noise-key]
  (str "{\"v\":\"poz1\",\"original_hash\":\"" hash "\",\"servers\":[{\"host\":\"localhost\",\"port\":" query
    ",\"encryption\":\"noise-nk\",\"public_key\":\"" noise-key "\"}]}"))

(defn- locations [{:keys [ports] :as server} folder]
  (let [hash (bytes/->hex (:hash server))]
    (spit (io/file folder "big.json") (str "{\"v\":\"poz1\",\"x\":\"" (str/join (repeat 65536 "x")) "\"}"))
    {"/good" (str "return 200 '" (well-known hash ports (bytes/->hex (:noise-key server))) "';")
     "/other" (str "return 200 '" (well-known other ports (bytes/->hex (:noise-key server))) "';")
     "/away" "return 302 https://elsewhere.test/good;"
     "/plain" "return 302 http://localhost/good;"
     "/same" "return 302 /good;"
     "/circle" "return 302 /circle;"
     "/big" (str "alias " folder "/big.json;")
     "/bad" "return 200 '{';"
     "/fault" "return 503;"}))

(def ^:private world (atom nil))

(defn- with-world
  "All of it runs: the authority with Alice's handle live, the DNS server, the web server."
  [f]
  (cli/with-folder
    (fn [at]
      (let [server (processes/serve! (into (vec domains) ["--hostname" "localhost" "--data" (at "data") "--policy" ":approve" "--plain-port" "0" "--query-port" "0" "--submit-port" "0"]))]
        (try
          (let [now (System/currentTimeMillis) alice (asking/activate! server (h/person "alice" (- now 1000)) "alice" now)]
            (components/with-components
              #(zones (bytes/->hex (:hash server)) (:ports server) %) #(locations server %)
              (fn [components]
                (reset! world (assoc components :server server :alice alice))
                (f))))
          (finally (processes/stop! server)))))))

(use-fixtures :once with-world)

(defn- at-web [path] (str "https://localhost:" (:web @world) path))

(defn- words [command name path more]
  (concat [command name "--resolver" (str "127.0.0.1:" (:dns @world)) "--ca" (:ca @world) "--allow-private" "--well-known" (at-web path)] more))

(defn- poz [command name path & more]
  (cli/run (words command name path more) {:now (System/currentTimeMillis)}))

(defn- says? [result & sentences]
  (every? #(or (str/includes? (world/said result) %) (println "not said:" % "in" (world/said result))) sentences))

(deftest agreement
  (let [hash (bytes/->hex (:hash (:server @world)))]
    (testing "the web gives the key"
      (let [result (poz "lookup" "alice@good.test" "/good")]
        (is (= 0 (:exit result)))
        (is (says? result "handle: current" "2 of 2 sources name the one record" "the user          localhost" (str "names " hash) "txt          present, agrees"))))
    (testing "the record does"
      (let [result (poz "lookup" "srv.test" "/none")]
        (is (= 0 (:exit result)))
        (is (says? result "1 of 2 sources names" "well-known   absent" "the server's key  localhost" "in the open" ", privately"))))
    (testing "a redirect on the same host" (is (= 0 (:exit (poz "lookup" "alice@good.test" "/same" "--policy" "both")))))
    (testing "as a command of its own"
      (let [{:keys [exit err]} (apply processes/poz (words "lookup" "alice@good.test" "/good" ["--pins" (str (io/file (:folder @world) "pins"))]))]
        (is (= 0 exit))
        (is (re-find #"(?s)^(Picked up [^\n]*\n)?good.test:\n  txt          present, agrees.*privately, \d+ ms\n$" err) "and nothing else is said")))))

(deftest disagreement
  (are [name path sentences] (let [result (poz "lookup" name path)] (and (= 7 (:exit result)) (apply says? result sentences)))
    "good.test" "/other" ["txt names" "; well-known names" "DISAGREES"]
    "two.test" "/none" ["txt names" " and " "DISAGREES"]
    "spoof.test" "/good" ["txt names" "; well-known names"]
    "spoof.test" "/none" ["txt names" "; record names"]
    "spoof.test" "/other" ["txt names" "; record names"]))

(deftest what-is-not-there
  (are [exit name path more] (= exit (:exit (apply poz "lookup" name path more)))
    0 "alice@good.test" "/none" []
    4 "alice@good.test" "/none" ["--require" "well-known"]
    4 "absent.test" "/none" []
    3 "malformed.test" "/none" []
    4 "bob@good.test" "/good" []
    4 "none.test" "/good" []
    4 "sub.good.test" "/good" ["--require" "txt"]
    5 "nowhere.test" "/good" ["--require" "txt"])
  (is (says? (poz "lookup" "none.test" "/good") "the domain says that it has no such service"))
  (is (says? (poz "discover" "malformed.test" "/good") "txt          failed" "h is 64 hex digits")))

(deftest what-the-web-says-badly
  (doseq [[path error] {"/away" "discover/redirect" "/plain" "discover/redirect" "/circle" "discover/redirect" "/big" "discover/too-large"
                        "/bad" "discover/well-known" "/fault" "discover/https"}
          :let [{[{:keys [sources]}] :json exit :exit} (poz "discover" "good.test" path "--json")]]
    (testing path
      (is (= [0 "failed" error] [exit (:status (second sources)) (:error (second sources))]))))
  (testing "certificates"
    (let [status #(let [{:keys [status error]} (second (:sources (first (:json (cli/run (concat ["discover" "good.test" "--json" "--resolver" (str "127.0.0.1:" (:dns @world))] %)
                                                                                 {:now (System/currentTimeMillis)})))))]
                    [status error])]
      (is (= ["failed" "discover/certificate"] (status ["--allow-private" "--well-known" (at-web "/good")])) "of an authority that nobody knows")
      (is (= ["failed" "discover/certificate"] (status ["--allow-private" "--ca" (:ca @world) "--well-known" (str "https://localhost:" (:elsewhere @world) "/good")])) "of another name")
      (is (= ["failed" "discover/address"] (status ["--ca" (:ca @world) "--well-known" (at-web "/good")])) "this machine, unasked")
      (is (= ["failed" "discover/https"] (status ["--allow-private" "--well-known" (str "https://localhost:" (components/free-port) "/")]))))))

(deftest dnssec
  (let [anchored #(poz %1 %2 %3 "--json" "--trust-anchor" (str (io/file (:folder @world) "anchors")))
        outcome #(map (juxt :status :dnssec) (remove (comp #{"well-known"} :source) (:sources (or (:report %) %))))]
    (is (= [["present" "secure"] ["present" "secure"] ["absent" "secure"]] (outcome (first (:json (anchored "discover" "signed.test" "/none"))))))
    (is (= 0 (:exit (anchored "lookup" "alice@good.test" "/good"))))
    (testing "a signature that does not hold"
      (let [{:keys [exit] [{:keys [error] :as json}] :json} (anchored "lookup" "broken.test" "/good")]
        (is (= [7 "discover/bogus"] [exit error]))
        (is (= ["failed" "bogus"] (first (outcome json))))))
    (testing "unasked, nobody validates"
      (is (= [nil nil nil] (map second (outcome (first (:json (poz "discover" "signed.test" "/none" "--json"))))))))))

(deftest a-dns-server-that-is-dead
  (with-open [silent (DatagramSocket. (InetSocketAddress. "127.0.0.1" 0))]
    (doseq [port [(.getLocalPort silent) (components/free-port)]
            :let [start (System/nanoTime)
                  ask #(cli/run (concat ["discover" "good.test" "--resolver" (str "127.0.0.1:" port) "--timeout" "2" "--ca" (:ca @world)] %) {:now (System/currentTimeMillis)})
                  result (ask [])]]
      (is (= 5 (:exit result)))
      (is (< (/ (- (System/nanoTime) start) 1e9) 10))
      (testing "the web alone will do"
        (is (= 0 (:exit (ask ["--allow-private" "--well-known" (at-web "/good")]))))))))
