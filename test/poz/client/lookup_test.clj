(ns poz.client.lookup-test
  "Names to records, with an authority on loopback and sources that are made up."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.authority :as authority]
   [poz.bytes :as bytes]
   [poz.client :as client]
   [poz.client-world :as w]
   [poz.client.lookup :as lookup]
   [poz.client.pins :as pins]
   [poz.discover :as discover]
   [poz.error :as error]
   [poz.fork :as fork]
   [poz.record :as record]
   [poz.verdicts :as v])
  (:import
   (java.net ServerSocket)))

(set! *warn-on-reflection* true)

(defn- with-alice
  "Calls `f` with an authority that holds Alice's record with her handle live, and her."
  [f]
  (w/with-authority {}
    (fn [{:keys [servers provider] :as authority}]
      (let [options {:servers (:submit servers) :now w/now :provider (:record provider)}
            {:keys [entry]} (client/submit {:type :submit-request :request (w/request-for w/alice provider)} options)
            alice (w/accepting w/alice entry)]
        (is (= :accepted (:status (client/submit {:type :submit-signed :record (:record alice)} options))))
        (f authority alice)))))

(defn- txt [hash] {:rows [(str "v=poz1 h=" (bytes/->hex hash))]})
(defn- srv [port] {:rows [{:priority 0 :weight 0 :port port :host "127.0.0.1."}]})

(defn- web [hash port]
  {:bytes (bytes/utf8 (str "{\"v\":\"poz1\",\"original_hash\":\"" (bytes/->hex hash) "\",\"servers\":[{\"host\":\"127.0.0.1\",\"port\":" port
                        ",\"encryption\":\"noise-nk\",\"public_key\":\"" (bytes/->hex (:public-key w/static)) "\"}]}"))})

(defn- look
  ([name sources] (look name sources {}))
  ([name sources options] (lookup/lookup name (merge {:now w/now :ask (discover/fake sources)} options))))

(defn- asked [{:keys [steps]}]
  (mapv (juxt :step (comp :encryption :server)) steps))

(defn- error-of [x] (or (:poz/error x) x))

(deftest a-handle
  (with-alice
    (fn [{:keys [ports provider]} alice]
      (let [hash (w/hash-of provider) alices (w/hash-of alice)
            check (fn [expected-steps sources]
                    (let [{:keys [name proven entry verdict report] :as found} (look "alice@social.example" sources)]
                      (is (= ["alice@social.example" true alices :current :valid hash hash]
                            [name proven (:hash found) (:status entry) (:outcome verdict) (:hash (:provider found)) (:hash report)])
                        (:message found))
                      (is (= [:valid alices] [(get-in found [:provider :verdict :outcome]) (record/original-hash (:record found))]))
                      (is (= expected-steps (asked found)))
                      (is (every? #(nat-int? (:took-ms %)) (:steps found)))))]
        (testing "the web tells the key"
          (check [[:discovery nil] [:provider :noise-nk] [:user :noise-nk]] {:well-known (web hash (:query ports))})
          (check [[:discovery nil] [:provider :noise-nk] [:user :noise-nk]]
            {:well-known (web hash (:query ports)) :txt (txt hash) :srv (srv (:query ports))}))
        (testing "the Service Zone tells the key; nothing but the domain is asked for in the open"
          (check [[:discovery nil] [:key :none] [:provider :noise-nk] [:user :noise-nk]] {:txt (txt hash) :srv (srv (:plain ports))}))
        (testing "the whole record"
          (is (= (:record alice) (:record (look "alice@social.example" {:well-known (web hash (:query ports))} {:whole true})))))
        (testing "a bare domain"
          (let [found (look "social.example" {:well-known (web hash (:query ports))})]
            (is (= [true hash :valid nil] [(:proven found) (:hash found) (:outcome (:verdict found)) (:entry found)]))
            (is (= (record/public-view (:record provider)) (:record found)))))
        (testing "nobody of that name"
          (let [found (look "bob@social.example" {:well-known (web hash (:query ports))})]
            (is (= :wire/not-found (error-of found)))
            (is (= [hash :user] [(:hash (:report found)) (:step (peek (:steps found)))]))))))))

(deftest disagreement-stops-it
  (with-alice
    (fn [{:keys [ports provider]} _]
      (let [hash (w/hash-of provider) other (bytes/zeros 32)]
        (are [sources] (let [{:keys [report] :poz/keys [error anomaly]} (look "alice@social.example" sources)]
                         (and (= [:discover/conflict :conflict] [error anomaly]) (seq (filter :hash (:sources report)))))
          {:txt (txt other) :well-known (web hash (:query ports))}
          {:txt (txt hash) :well-known (web other (:query ports))})
        (testing "the servers give another record than all sources name"
          (doseq [sources [{:txt (txt other) :well-known (web other (:query ports))} {:txt (txt other) :srv (srv (:plain ports))}]
                  :let [{:keys [report failures] :as found} (look "alice@social.example" sources)]]
            (is (= :discover/conflict (error-of found)))
            (is (str/includes? (:message found) (str "record names " (bytes/->hex hash))))
            (is (= [:record hash false] ((juxt :source :hash :agrees) (peek (:sources report)))))
            (is (seq failures))))
        (testing "nobody names it"
          (is (= :discover/policy (error-of (look "alice@social.example" {:srv (srv (:plain ports))}))))
          (is (= [false :current] ((juxt :proven (comp :status :entry)) (look "alice@social.example" {:srv (srv (:plain ports))} {:policy :any})))))
        (is (= :discover/unavailable (error-of (look "social.example" {:txt (txt hash) :srv {:rows [{:priority 0 :weight 0 :port 0 :host "."}]}}))))))))

(deftest names-that-are-none
  (are [error name] (= error (error-of (look name {})))
    :format/domain "", :format/domain "a b", :format/domain "@", :format/domain "Social.example", :discover/policy "social.example")
  (are [options] (thrown? IllegalArgumentException (look "social.example" {} options))
    {:nope 1} {:now nil} {:policy :nope} {:offline true} {:statuses #{}}))

(deftest servers-that-do-not-answer
  (let [port (with-open [s (ServerSocket. 0)] (.getLocalPort s)) hash (bytes/zeros 32)]
    (is (= :net/unreachable (error-of (look "social.example" {:well-known (web hash port)}))))
    (testing "in bounded time"
      (with-open [silent (ServerSocket. 0)]
        (let [{:keys [steps] :as found} (look "social.example" {:well-known (web hash (.getLocalPort silent))} {:deadline-ms 300})]
          (is (= :net/timeout (error-of found)))
          (is (< (long (:took-ms (peek steps))) 10000)))))))

;; What is remembered

(deftest pins-and-offline
  (with-alice
    (fn [{:keys [ports provider]} alice]
      (let [store (pins/in-memory) hash (w/hash-of provider)
            sources {:well-known (web hash (:query ports))}
            never (fn [& _] (throw (AssertionError. "the network is touched")))
            offline #(lookup/lookup % {:now (+ (long w/now) 5000) :pins store :offline true :ask never :exchange never})]
        (is (= :pins/absent (error-of (offline "alice@social.example"))))
        (is (= :new (:pinned (look "alice@social.example" sources {:pins store}))))
        (is (= :known (:pinned (look "alice@social.example" sources {:pins store}))))
        (is (= #{"alice@social.example" "social.example"} (set (keys (:names ((:pins store)))))))
        (testing "offline"
          (let [found (offline "alice@social.example")]
            (is (= [(w/hash-of alice) :current true {:at w/now :age-ms 5000} []]
                  [(:hash found) (:status (:entry found)) (:proven found) (:offline found) (:steps found)]))
            (is (= :valid (:outcome (:verdict found)))))
          (is (= hash (:hash (offline "social.example"))))
          (is (= :pins/absent (error-of (offline "bob@social.example")))))
        (testing "the key is remembered: nothing goes in the open, even where DNS names no key"
          (is (= [[:discovery nil] [:provider :noise-nk] [:user :noise-nk]]
                (asked (look "alice@social.example" {:txt (txt hash) :srv (srv (:plain ports))} {:pins store})))))
        (testing "other sources later"
          (let [found (look "alice@social.example" {:txt (txt (bytes/zeros 32))} {:pins store})]
            (is (= :discover/conflict (error-of found)))
            (is (str/includes? (:message found) (str "pin names " (bytes/->hex hash))))))
        (testing "another owner of the handle"
          (let [other (pins/in-memory)]
            ((:update! other) #(pins/noted % {:name "alice@social.example" :hash (w/hash-of w/mallory) :memory {:serial 1 :zones []}} 1) {})
            (is (= [:pins/other-record :conflict] ((juxt :poz/error :poz/anomaly) (look "alice@social.example" sources {:pins other}))))
            (is (= :new (:pinned (look "alice@social.example" sources {:pins other :forget true}))))))))))

(deftest remembered-keys-that-changed
  (with-alice
    (fn [{:keys [ports provider]} _]
      (let [store (pins/in-memory) hash (w/hash-of provider)
            stale (w/with-services w/social {:plain 1 :query 1 :submit 1})]
        ((:update! store) identity {hash (record/encode (:record stale))})
        (is (= [[:discovery nil] [:provider :noise-nk] [:key :none] [:provider :noise-nk] [:user :noise-nk] [:mirrors :noise-nk]]
              (asked (look "alice@social.example" {:txt (txt hash) :srv (srv (:plain ports))} {:pins store}))))))))

(defn- entry
  "A mirror, as MIRRORS tells of it."
  [port]
  {:hostname "127.0.0.1" :port port :encryption :noise-nk :public-key (:public-key w/static)})

(defn- naming
  "A function for `w/with-server` that names the servers at `ports` as mirrors, each in the open too, and
  else answers as `respond` does."
  [ports respond]
  (fn [{:keys [request] :as from}]
    (if (= :mirrors (:type request))
      {:status :ok :payload (vec (mapcat #(vector (entry %) {:hostname "127.0.0.1" :port % :encryption :none}) ports))}
      (respond from))))

(defn- serving
  "Looks the provider up at a server that gives `record`, with the pins of `seen` before."
  [seen record]
  (let [store (pins/in-memory) kept (atom nil)
        look #(w/with-server :query (naming [] (w/responds (w/file %)))
                (fn [port] (lookup/lookup "social.example" {:now w/now :pins (assoc store :evidence! (fn [name b] (reset! kept [name b]) name))
                                                            :ask (discover/fake {:well-known (web (record/original-hash seen) port)})})))]
    (is (:proven (look seen)))
    [(look record) @kept]))

(deftest rollback-and-fork
  (let [labels ["social"] one (:record w/social)
        two (v/revise one labels {} [0])
        other (v/revise one labels {:timestamp (+ (long v/start) 777)} [0])]
    (let [[found [name b]] (serving two one)]
      (is (= [:memory/rollback :conflict] ((juxt :poz/error :poz/anomaly) found)))
      (is (= name (:evidence found)))
      (is (= (record/public-view one) (record/decode b)) "what was served is kept"))
    (let [[found [_ b]] (serving two other)]
      (is (= [:memory/fork :conflict] ((juxt :poz/error :poz/anomaly) found)))
      (is (= 2 (:serial (fork/check b w/now))) "anybody can check it"))
    (testing "a newer one is taken"
      (is (= two (:record (first (serving one two))))))))

;; Mirrors

(defn- with-mirror
  "Calls `f` with the port of a mirror of `authority`, which goes on while that is away."
  [{:keys [store config]} f]
  (w/with-server :query
    (fn [{:keys [request]}] (authority/answer! store (assoc config :role :mirror) request {:now w/now :random w/zeros}))
    f))

(defn- answered-by [{:keys [steps]}]
  (mapv (juxt :step (comp :port :server) :mirror) steps))

(deftest the-domain-is-away
  (with-alice
    (fn [{:keys [provider store config] :as authority} alice]
      (with-mirror authority
        (fn [mirror]
          (let [pins (pins/in-memory) hash (w/hash-of provider) gone (atom nil)
                answer #(authority/answer! store config (:request %) {:now w/now :random w/zeros})
                respond (naming [mirror] answer)
                look (fn [sources options] (look "alice@social.example" sources (merge {:pins pins} options)))]
            (w/with-server :query respond
              (fn [port]
                (reset! gone port)
                (is (= [[:discovery nil nil] [:provider port nil] [:user port nil] [:mirrors port nil]]
                      (answered-by (look {:well-known (web hash port)} {}))))
                (is (= {:servers [(assoc (w/server :noise-nk mirror) :priority 0 :weight 0)] :at w/now} (pins/mirrors-of ((:pins pins)) hash))
                  "those who can be asked privately")
                (testing "once a day"
                  (is (= [:discovery :provider :user] (map :step (:steps (look {:well-known (web hash port)} {})))))
                  (is (= :mirrors (:step (peek (:steps (look {:well-known (web hash port)} {:now (+ (long w/now) 86400001)})))))))))
            (let [away {:well-known (web hash @gone)}]
              (testing "the mirror is asked, and it is told"
                (let [{:keys [proven entry pinned] :as found} (look away {})]
                  (is (= [true :current :known (w/hash-of alice)] [proven (:status entry) pinned (:hash found)]) (:message found))
                  (is (= [[:discovery nil nil] [:provider @gone nil] [:provider mirror true] [:user mirror true]] (answered-by found)))))
              (testing "where the pins alone know a key too"
                (let [{:keys [record]} (w/with-services w/social {:plain @gone :query @gone :submit @gone})]
                  ((:update! pins) identity {hash (record/encode record)})
                  (is (= [[:discovery nil nil] [:provider @gone nil] [:key @gone nil] [:provider mirror true] [:user mirror true]]
                        (answered-by (look {:txt (txt hash) :srv (srv @gone)} {}))))))
              (testing "one who does not know of it does not"
                (is (= :net/unreachable (error-of (look away {:pins (pins/in-memory)})))))
              (testing "the authority is there, but too busy"
                (w/with-server :query (w/responds {:status :busy :payload 10})
                  (fn [port]
                    (is (= [[:discovery nil nil] [:provider port nil] [:provider mirror true] [:user mirror true]]
                          (answered-by (look {:well-known (web hash port)} {:deadline-ms 1000})))))))
              (testing "a refusal is an answer, which no mirror is asked to better"
                (w/with-server :query (fn [_] (error/anomaly :policy/refused))
                  (fn [port]
                    (let [{:keys [steps] :as found} (look {:well-known (web hash port)} {})]
                      (is (= [:wire/rejected [:discovery :provider]] [(error-of found) (map :step steps)]))))))
              (testing "the authority goes away in between"
                (w/with-server :query #(if (= :record (:type (:request %))) (answer %) (error/anomaly :wire/busy))
                  (fn [port]
                    (is (= [[:discovery nil nil] [:provider port nil] [:user mirror true]]
                          (answered-by (look {:well-known (web hash port)} {:deadline-ms 2000}))))))))))))))

(deftest a-mirror-that-is-behind-or-gone
  (let [one (:record w/social) two (v/revise one ["social"] {} [0]) hash (record/original-hash one)
        store (pins/in-memory) gone (atom nil)
        look #(look "social.example" {:well-known (web hash @gone)} {:pins store})]
    (w/with-server :query (w/responds (w/file one))
      (fn [mirror]
        (w/with-server :query (naming [mirror] (w/responds (w/file two)))
          (fn [port] (reset! gone port) (is (= two (:record (look))))))
        (let [{:keys [evidence steps] :as found} (look)]
          (is (= [:memory/rollback :conflict] ((juxt :poz/error :poz/anomaly) found)))
          (is (str/includes? evidence "rollback"))
          (is (= [:provider :memory/rollback] ((juxt :step :poz/error) (peek steps)))))))
    (is (= :net/unreachable (error-of (look))))))
