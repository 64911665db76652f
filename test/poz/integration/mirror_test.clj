(ns poz.integration.mirror-test
  "An authority, a mirror and two caches, each a process: updates flow through, the authority is
  killed and clients go on, and whoever serves what is old or was tampered with is refused."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.asking :as asking]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.discover :as discover]
   [poz.handles :as h]
   [poz.integration.processes :as processes]
   [poz.net :as net]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(defn- clock [] (System/currentTimeMillis))

(def ^:private free-ports ["--plain-port" "0" "--query-port" "0"])

(defn- upstream [{:keys [ports noise-key]}]
  ["--upstream" (str "127.0.0.1:" (:query ports)) "--upstream-key" (bytes/->hex noise-key)])

(defn- copy-of
  "The words that serve a copy of what `from` has, without those of its ports."
  [role from {:keys [hash]} data]
  (concat ["social.example" "--role" role "--data" data "--upstream-hash" (bytes/->hex hash) "--refresh-ms" "100"] (upstream from)))

(defn- copy-words
  "The words that serve a copy of what `from` has, on ports that are free."
  [role from authority data & more]
  (concat (copy-of role from authority data) free-ports more))

(defn- addresses [& servers]
  (mapcat (fn [{:keys [ports]}] ["--server" (str "127.0.0.1:" (:query ports))]) servers))

(defn- keys-of [& servers]
  (mapcat (fn [{:keys [noise-key]}] ["--key" (bytes/->hex noise-key)]) servers))

(defn- with-servers
  "Calls `f` with a function that starts a server with words; in the end all are killed."
  [f]
  (let [started (atom [])]
    (try (f (fn [words] (let [s (processes/serve! words)] (swap! started conj s) s)))
         (finally (run! processes/kill! @started)))))

(defn- serves? [server person]
  (= (h/update-of person) (:payload (asking/record-of server person))))

(defn- says? [{:keys [out err]} & sentences]
  (let [said (str (str/join "\n" out) err)] (every? #(str/includes? said %) sentences)))

(defn- answered-by [{:keys [ports]}]
  (str "answered by 127.0.0.1:" (:query ports)))

(defn- tampering
  "A server on 7074's contract that passes requests on to `server` and changes a byte of what comes."
  [{:keys [ports]}]
  (net/start {:contract :plain :port 0
              :handler (fn [{b :bytes}]
                         (let [a (bytes/->array (net/exchange {:host "127.0.0.1" :port (:plain ports) :contract :plain} b))
                               i (- (alength a) 5)]
                           (when (< 200 (alength a)) (aset a i (unchecked-byte (bit-xor 1 (aget a i)))))
                           (bytes/wrap a)))}))

(defn- pull
  "`poz mirror` into `data`, of what `from` serves on `port` in the open."
  [port {:keys [hash]} data records]
  (processes/poz "mirror" "--server" (str "127.0.0.1:" port) "--plain" "--hash" (bytes/->hex hash) "--data" data "--records" records))

(defn- exported
  "The file with the list of the authority's records."
  [at]
  (cli/write! (at "records.txt") (str (str/join "\n" (:out (processes/poz "authority" "list" "--data" (at "authority")))) "\n")))

(defn- refuses-what-was-changed [authority at records]
  (let [{:keys [port stop]} (tampering authority)]
    (try
      (let [{:keys [exit] :as result} (pull port authority (at "tampered") records)]
        (is (= 1 exit))
        (is (says? result "0 new" "0 held")))
      (finally (stop)))))

(defn- takes-no-submissions [mirror person records at]
  (is (= #{:plain :query} (set (keys (:ports mirror)))))
  (is (= :unsupported (:status (asking/ask mirror :query {:type :submit :payload (h/update-of person)}))))
  (let [{:keys [exit err]} (processes/poz "serve" "--role" "mirror" "--upstream" "127.0.0.1" "--upstream-hash" (bytes/->hex (:hash mirror))
                             "--data" (at "never") "--records" records "--submit-port" "7076")]
    (is (= 2 exit))
    (is (str/includes? err "never opens a port for submissions"))))

(deftest copies-of-an-authority
  (cli/with-folder
    (fn [at]
      (with-servers
        (fn [start!]
          (let [authority (start! (concat ["social.example" "--data" (at "authority") "--policy" ":approve" "--submit-port" "0"] free-ports))
                alice (h/serving (asking/activate! authority (h/person "alice" (- (long (clock)) 1000)) "alice" (clock)) 443 (clock))
                submitted (asking/submit authority alice)
                records (exported at)
                first-pull (pull (:plain (:ports authority)) authority (at "stale") records)
                mirror (start! (copy-words "mirror" authority authority (at "mirror") "--records" records))
                cache-1 (start! (copy-words "cache" authority authority (at "cache-1")))
                cache-2 (start! (copy-words "cache" mirror authority (at "cache-2")))
                copies [mirror cache-1 cache-2]
                later (h/serving alice 444 (clock))]
            (is (= :ok (:status submitted)))
            (is (says? first-pull "2 new" "2 held"))
            (testing "all serve what the authority has, and what it gets"
              (doseq [c copies]
                (is (processes/eventually #(serves? c alice)))
                (is (processes/eventually #(= :ok (:status (asking/by-handle c "alice"))))))
              (is (= [:mirror :cache :cache] (map #(get-in (asking/ask % :query {:type :status :payload {}}) [:payload :role]) copies)))
              (is (= :ok (:status (asking/submit authority later))))
              (doseq [c copies] (is (processes/eventually #(serves? c later)))))
            (takes-no-submissions mirror alice records at)
            (refuses-what-was-changed authority at records)
            (processes/kill! authority)
            (testing "the authority is gone: a client goes on to the others"
              (doseq [[c & others] [[mirror] [cache-1 mirror] [cache-2]]]
                (let [result (apply processes/poz "query" "alice@social.example" "--hash" (bytes/->hex (:hash authority))
                               (concat (apply addresses authority c others) (apply keys-of authority c others)))]
                  (is (= 0 (:exit result)) (:err result))
                  (is (says? result (answered-by c) "proven")))))
            (testing "a mirror that is behind is refused by who knows better"
              (let [stale (start! (copy-words "mirror" authority authority (at "stale")))
                    known (cli/write! (at "known.poz") (record/encode (record/public-view (:record later))))
                    ask (fn [server & more] (apply processes/poz "query" (bytes/->hex (h/hash-of (:record alice)))
                                              (concat (addresses authority server) (keys-of authority server) more)))]
                (is (serves? stale alice))
                (is (= 0 (:exit (ask stale))) "nobody can tell by itself")
                (let [result (ask stale "--known" known)]
                  (is (= 7 (:exit result)))
                  (is (says? result "an older serial than was seen before")))
                (is (= 0 (:exit (ask mirror "--known" known))))
                (testing "so is it by a mirror, which keeps what it has"
                  (is (= 0 (processes/stop! mirror)))
                  (let [result (pull (:plain (:ports stale)) authority (at "mirror") records)]
                    (is (= 7 (:exit result)))
                    (is (says? result "memory/rollback" "1 unchanged, 1 failed, 2 held")))
                  (is (serves? (start! (copy-words "mirror" authority authority (at "mirror"))) later)))))))))))

;; From a name, by what a client remembers

(defn- looking-up
  "A function that runs `poz lookup alice@social.example`, with the well-known file of `authority`, and
  remembers in the folder `pins`."
  [{:keys [ports hash noise-key]} pins]
  (let [web (json/write-str {:v "poz1" :original_hash (bytes/->hex hash)
                             :servers [{:host "127.0.0.1" :port (:query ports) :encryption "noise-nk" :public_key (bytes/->hex noise-key)}]})
        sources (discover/fake {:well-known {:bytes (bytes/utf8 web)}})]
    #(cli/run ["lookup" "alice@social.example" "--whole" "--pins" pins] {:now (clock) :sources sources})))

(defn- by-mirror [{:keys [ports]}]
  (str "a mirror, 127.0.0.1:" (:query ports) ", privately"))

(deftest a-lookup-goes-on-to-the-mirror
  (cli/with-folder
    (fn [at]
      (with-servers
        (fn [start!]
          (let [words ["social.example" "--data" (at "authority") "--policy" ":approve"]
                authority (start! (concat words ["--submit-port" "0"] free-ports))
                alice (h/serving (asking/activate! authority (h/person "alice" (- (long (clock)) 1000)) "alice" (clock)) 443 (clock))
                _ (is (= :ok (:status (asking/submit authority alice))))
                mirror (start! (copy-words "mirror" authority authority (at "mirror") "--records" (exported at)))
                again (fn [s words] (start! (concat words (mapcat (fn [[k p]] [(str "--" (name k) "-port") (str p)]) (:ports s)))))
                mirrors [{:hostname "127.0.0.1" :port (:query (:ports mirror)) :encryption :noise-nk :public-key (bytes/->hex (:noise-key mirror))}]
                words (concat words ["--config" (cli/write! (at "config.edn") (pr-str {:mirrors mirrors}))])
                look (looking-up authority (at "pins"))]
            (is (processes/eventually #(serves? mirror alice)))
            (is (= 0 (processes/stop! authority)))
            (let [authority (again authority words) result (look)]
              (is (= 0 (:exit result)))
              (is (says? result "its mirrors"))
              (processes/kill! authority))
            (testing "the authority is gone"
              (let [result (look)]
                (is (= 0 (:exit result)))
                (is (says? result (by-mirror mirror) "answered by a mirror" "handle: current" "as it was remembered, or newer"))))
            (testing "a mirror that is behind what was seen is refused"
              (processes/kill! mirror)
              (let [authority (again authority words)]
                (is (= :ok (:status (asking/submit authority (h/serving alice 444 (clock))))))
                (is (= 0 (:exit (look))))
                (processes/kill! authority))
              (is (serves? (again mirror (copy-of "mirror" authority authority (at "mirror"))) alice))
              (let [result (look)]
                (is (= 7 (:exit result)))
                (is (says? result "an older serial than was seen before" "evidence: "))))))))))
