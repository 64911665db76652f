(ns poz.system.mirror-test
  "A cache and a mirror as whole servers in this process, beside an authority, on free ports."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.asking :as asking]
   [poz.authorities :as a]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.client :as client]
   [poz.client-world :as client-world]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.keyring :as keyring]
   [poz.memory :as memory]
   [poz.mirror-world :as w]
   [poz.record :as record]
   [poz.system :as system]
   [poz.system.keys :as keys]
   [poz.system.mirror :as mirror]))

(set! *warn-on-reflection* true)

(def ^:private t0 (long h/t0))

(def ^:private base
  {:passphrase "correct horse" :sealing {:memory-kib 8192 :passes 1 :lanes 1} :threads 2 :grace-ms 0
   :plain-port 0 :query-port 0 :random crypto/random-bytes :now (constantly (+ t0 1000))})

(def ^:private in-memory {:data nil :store :memory})

(defn- started [options]
  (let [s (system/start (merge base options))]
    (if (error/anomaly? s) (throw (ex-info (:message s) s)) s)))

(defn- with-authority [f]
  (let [s (started (merge in-memory {:domains ["social.example"] :submit-port 0 :policy :approve}))]
    (try (f s) (finally (system/stop s)))))

(defn- of [{:keys [ports noise-key hash]} role]
  {:role role :domains ["social.example"] :upstream {:host "127.0.0.1" :port (:query ports)}
   :upstream-key (bytes/->hex noise-key) :upstream-hash (bytes/->hex hash)})

(defn- with-copy [authority role options f]
  (let [s (started (merge (of authority role) in-memory options))]
    (try (f s) (finally (system/stop s)))))

(defn- by-handle [handle]
  {:type :identity :payload {:handle (a/address handle)}})

(deftest a-cache-as-a-server
  (with-authority
    (fn [authority]
      (let [alice (asking/activate! authority (h/person "alice") "alice" (+ t0 1000))]
        (with-copy authority :cache {}
          (fn [{:keys [ports] :as cache}]
            (is (= #{:plain :query} (set (clojure.core/keys ports))) "it takes no submissions")
            (is (= :unsupported (:status (asking/ask cache :query {:type :submit :payload (h/update-of alice)}))))
            (doseq [port [:plain :query]]
              (is (= :ok (:status (asking/ask cache port (by-handle "alice")))))
              (is (= (h/update-of alice) (:payload (asking/ask cache port {:type :record :payload {:hash (h/hash-of (:record alice))}}))))
              (is (= :cache (get-in (asking/ask cache port {:type :status :payload {}}) [:payload :role]))))
            (is (= (:payload (asking/ask authority :query {:type :record :payload {:domain "social.example"}}))
                  (:payload (asking/ask cache :query {:type :record :payload {:domain "social.example"}}))))
            (is (= {:role :cache :records 2 :failures {}} (select-keys (system/mirror-status cache) [:role :records :failures])))
            (is (nil? (system/mirror-status authority)))
            (testing "the authority's servers are not its own"
              (is (not= (:noise-key authority) (:noise-key cache))))))))))

(defn- held-by
  "Waits until the system's mirror has done a round since this call, with these many records."
  [s n]
  (let [end (+ (System/nanoTime) 30000000000)]
    (loop []
      (let [{:keys [records last-success]} (system/mirror-status s)]
        (cond
          (and last-success (= n records)) true
          (< (System/nanoTime) end) (do (Thread/onSpinWait) (recur))
          :else [records last-success])))))

(deftest a-mirror-as-a-server-and-a-client-that-falls-back-on-it
  (with-authority
    (fn [authority]
      (cli/with-folder
        (fn [at]
          (let [alice (asking/activate! authority (h/person "alice") "alice" (+ t0 1000))
                records (cli/write! (at "records.txt") (str "# those of social.example\n\n" (bytes/->hex (h/hash-of (:record alice))) " # alice\n"))]
            (with-copy authority :mirror {:records records :refresh-ms 10}
              (fn [copy]
                (is (true? (held-by copy 2)))
                (let [server (fn [{:keys [ports noise-key]}] {:host "127.0.0.1" :port (:query ports) :encryption :noise-nk :public-key noise-key})
                      question {:type :record :subject {:hash (h/hash-of (:record alice))}}
                      ask (fn [options] (client/query question (merge {:servers [(server authority)] :mirrors [(server copy)] :now (+ t0 1000)} options)))]
                  (is (= (:port (server authority)) (get-in (ask {}) [:server :port])) "the authority first")
                  (system/stop authority)
                  (let [{:keys [server failures memory]} (ask {})]
                    (is (= [(:query (:ports copy)) [:net/unreachable]] [(:port server) (map :poz/error failures)]))
                    (testing "which is refused if it is behind what one has seen"
                      (let [later (w/revised alice (+ t0 2000))
                            found (ask {:held (:record later) :now (+ t0 3000)})]
                        (is (= [:conflict :memory/rollback] ((juxt :poz/anomaly :poz/error) found)))
                        (is (some? memory))))))))))))))

(deftest a-conflict-is-an-event
  (let [{:keys [bob how exchange clock] :as up} (w/upstream)
        hash (h/hash-of (:record bob)) older (memory/of (record/public-view (:record bob)))
        told (promise)]
    (w/submit! up (w/revised bob (+ t0 6000)))
    (client-world/with-server :query
      (fn [{:keys [bytes]}] @(exchange nil bytes))
      (fn [port]
        (cli/with-folder
          (fn [at]
            (let [records (cli/write! (at "records.txt") (str (bytes/->hex hash) "\n"))]
              (with-copy {:ports {:query port} :noise-key (:public-key client-world/static) :hash w/provider-hash} :mirror
                {:records records :refresh-ms 10 :now #(deref clock)
                 :on-event #(when (= :mirror/conflict (:event %)) (deliver told %))}
                (fn [s]
                  (is (true? (held-by s 2)))
                  (reset! how (fn [{:keys [payload] :as request}]
                                (when (= hash (:hash payload)) ((w/responding :serial (constantly older)) request))))
                  (is (= {:event :mirror/conflict :level :warn :time w/now :error :memory/rollback :hash hash} (deref told 30000 :late))))))))))))

(deftest it-is-the-same-server-after-a-restart
  (with-authority
    (fn [authority]
      (cli/with-folder
        (fn [at]
          (let [options {:data (at "copy") :store :sqlite}
                seen (volatile! nil)]
            (with-copy authority :mirror options
              (fn [s]
                (is (true? (held-by s 1)))
                (vreset! seen (:noise-key s))))
            (is (= "mirror.poz" (first (cli/names (at "copy")))))
            (is (not-any? #{"server.poz" "owner.poz"} (cli/names (at "copy"))) "none of the authority's keys")
            (testing "with its records, though its upstream is gone"
              (system/stop authority)
              (with-copy authority :mirror options
                (fn [s]
                  (is (= @seen (:noise-key s)))
                  (is (= 1 (:records (system/mirror-status s))))
                  (is (= :ok (:status (asking/ask s :query {:type :master :payload {:domain "social.example"}}))))
                  (is (str/includes? (get-in (asking/ask s :query {:type :status :payload {}}) [:payload :software]) "has not reached its upstream")))))
            (testing "its folder is not for an authority, nor the other way round"
              (is (= :system/other-role (:poz/error (system/start (merge base {:domains ["social.example"] :submit-port 0} options)))))
              (system/stop (started {:domains ["social.example"] :submit-port 0 :data (at "authority")}))
              (is (= :system/other-role (:poz/error (system/start (merge base (of authority :mirror) {:data (at "authority")})))))
              (is (= :keyring/wrong-passphrase (:poz/error (system/start (merge base (of authority :mirror) options {:passphrase "wrong"}))))))))))))

(deftest what-a-copy-must-not-be
  (let [given (merge base in-memory {:role :mirror :upstream {:host "127.0.0.1"} :upstream-hash (str/join (repeat 64 "0"))})]
    (are [options sentence] (re-find sentence (:message (system/start (merge given options))))
      {:submit-port 0} #"A mirror never opens a port for submissions"
      {:role :cache :submit-port 7076} #"A cache never opens a port for submissions"
      {:upstream nil} #"^:upstream is"
      {:upstream-hash "12"} #":upstream-hash is 64 hex digits"
      {:role :copy} #":role is :authoritative, :cache or :mirror"
      {:upstream {:host "h" :port 0}} #":upstream is HOST")
    (is (re-find #"a mirror needs the :upstream-hash|A mirror needs the :upstream-hash" (:message (system/start (dissoc given :upstream-hash)))))
    (is (re-find #"[Aa] cache needs an :upstream" (:message (system/start (assoc (dissoc given :upstream) :role :cache)))))))

(deftest lists
  (let [h (bytes/->hex (bytes/zeros 32)) read #(mirror/read-list (bytes/utf8 %))]
    (are [text n] (= n (count (read text)))
      "" 0, "\n\n# nothing\n" 0, (str h) 1, (str h "\r\n  " h "   # twice\n") 2)
    (is (= :mirror/list (:poz/error (read (str h "\nalice@social.example\n")))))))

(deftest keys-of-a-mirror
  (cli/with-folder
    (fn [at]
      (let [config (merge base {:role :mirror :data (at "data")})
            phrase (constantly (keyring/passphrase "correct horse"))
            made (mirror/keys! config phrase) found (mirror/keys! config phrase)]
        (is (= #{:noise :work} (set (clojure.core/keys made)) (set (clojure.core/keys found))))
        (is (= (:public-key (:noise made)) (:public-key (:noise found))))
        (is (= ["rw-------"] [(cli/mode (keys/mirror-file (at "data")))]))
        (is (= ["mirror.poz"] (cli/names (at "data"))))
        (is (= :cli/passphrase (:poz/error (mirror/keys! config (constantly (error/anomaly :cli/passphrase))))))))))
