(ns poz.client-test
  "The client and real servers on loopback: an authority, and some that lie or fail."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.authority.operator :as operator]
   [poz.bytes :as bytes]
   [poz.client :as client]
   [poz.client-world :as w]
   [poz.error :as error]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.verdicts :as v]
   [poz.wire :as wire]
   [poz.zone :as zone]
   [poz.zone.change :as change])
  (:import
   (java.net ServerSocket)
   (java.util.concurrent CompletableFuture CountDownLatch TimeUnit)))

(set! *warn-on-reflection* true)

(defn- ask
  ([question servers] (ask question servers {}))
  ([question servers options] (client/query question (merge {:servers servers :now w/now} options))))

(defn- submit
  ([submission servers] (submit submission servers {}))
  ([submission servers options] (client/submit submission (merge {:servers servers :now w/now} options))))

(defn- error-of [x] (if (error/anomaly? x) (:poz/error x) x))

(defn- public [{:keys [record]}] (record/public-view record))

;; What passes

(deftest every-question
  (w/with-authority {}
    (fn [{:keys [servers provider]}]
      (let [subject {:hash (w/hash-of provider)} {:keys [record]} provider]
        (doseq [port [:plain :query]
                [type more sections] [[:master {} []] [:chain {:from 1} []] [:record {} [:identity :service]]
                                      [:zones {:zones [:service :identity]} [:identity :service]]]]
          (testing [port type]
            (let [answer (ask (merge {:type type :subject subject} more) (servers port))]
              (is (= [true type] [(:proven answer) (:type answer)]))
              (is (= sections (zone/zones (:record answer))))
              (is (= (dissoc (first (servers port)) :contract) (select-keys (:server answer) (keys (first (servers port)))))))))
        (doseq [port [:plain :query :submit], [type payload] [[:serial (memory/of record)] [:status {:software "poz test" :role :authoritative :time w/now :oldest 0 :newest 0}]
                                                              [:challenge {:challenge (bytes/zeros 16) :difficulty 0 :valid-until (inc (long w/now))}]]]
          (testing [port type]
            (is (= [false payload] ((juxt :proven :payload)
                                    (ask {:type type :subject subject} (map #(cond-> % (= :submit port) (assoc :contract :submit)) (servers port))))))))
        (is (= [{:hostname "127.0.0.1" :port 7 :encryption :none}] (:payload (ask {:type :mirrors :subject subject} (:plain servers)))))
        (testing "a domain, as discovery gave it or not"
          (let [question {:type :record :subject {:domain "social.example"}}]
            (is (false? (:proven (ask question (:query servers)))))
            (is (true? (:proven (ask question (:query servers) {:expected-hash (w/hash-of provider)}))))
            (is (= :answer/other-record (error-of (ask question (:query servers) {:expected-hash (bytes/zeros 32)}))))))
        (testing "nothing is held"
          (is (= {:poz/error :wire/not-found :poz/anomaly :unknown :status :not-found}
                 (select-keys (ask {:type :record :subject {:hash (bytes/zeros 32)}} (:query servers)) [:poz/error :poz/anomaly :status]))))))))

(deftest mirrors-are-asked-last
  (w/with-authority {}
    (fn [{:keys [servers provider]}]
      (let [subject {:hash (w/hash-of provider)} question {:type :record :subject subject}
            nowhere (w/server :none 1)
            mirrors (client/mirrors subject {:servers (:query servers) :now w/now})]
        (is (= [{:host "127.0.0.1" :port 7 :encryption :none :priority 0 :weight 0}] mirrors))
        (is (= :net/unreachable (error-of (client/mirrors subject {:servers [nowhere] :now w/now}))))
        (testing "whatever their priority"
          (let [asked (ask question [(assoc nowhere :priority 9)] {:mirrors (:plain servers)})]
            (is (= [[true (:port (first (:plain servers)))] [:net/unreachable]]
                   [[(:proven asked) (:port (:server asked))] (map :poz/error (:failures asked))]))))
        (testing "not where a server answers, be it that it has nothing"
          (is (= [] (:failures (ask question (:query servers) {:mirrors [nowhere]}))))
          (is (= :wire/not-found (error-of (ask {:type :record :subject {:hash (bytes/zeros 32)}} (:query servers) {:mirrors (:plain servers)})))))
        (testing "and once"
          (is (= 1 (count (:failures (ask question [nowhere] {:mirrors [nowhere]}))))))))))

(deftest a-key-is-learnt-in-the-open
  (w/with-authority {}
    (fn [{:keys [servers provider]}]
      (let [subject {:hash (w/hash-of provider)}
            {:keys [record]} (ask {:type :zones :subject subject :zones [:service]} (:plain servers))
            private (filter :public-key (client/servers-of record :poz-query))]
        (is (= 1 (count private)))
        (is (true? (:proven (ask {:type :record :subject subject} private))))
        (is (= :ok (:status (submit {:type :submit :record (public provider)} (client/servers-of record :poz-submit)))))))))

(deftest a-handle-from-request-to-release
  (w/with-authority {}
    (fn [{:keys [servers provider]}]
      (let [options {:provider (:record provider)}
            question {:type :identity :subject {:handle w/address}}
            lookup #(ask question (:query servers) (merge {:providers [(:record provider)] :provider-hash (w/hash-of provider)} %))
            {:keys [entry status proven]} (submit {:type :submit-request :request (w/request-for w/alice provider)} (:submit servers) options)
            alice (w/accepting w/alice entry)]
        (is (= [:ok true] [status proven]))
        (is (= :wire/not-found (error-of (lookup {}))))
        (testing "a second one is taken"
          (is (= [:request/taken :conflict] ((juxt :poz/error :status)
                                             (submit {:type :submit-request :request (w/request-for w/mallory provider)} (:submit servers) options)))))
        (testing "it goes live, twice as well as once"
          (dotimes [_ 2]
            (let [found (submit {:type :submit-signed :record (public alice)} (:submit servers))]
              (is (= [:accepted (memory/of (:record alice))] ((juxt :status :payload) found)))))
          (is (= [true :current (w/hash-of alice)] ((juxt :proven (comp :status :entry) (comp record/original-hash :record)) (lookup {})))))
        (testing "the provider's record may come from the server too"
          (let [provider-of (fn [hash] (:record (ask {:type :record :subject {:hash hash}} (:query servers))))]
            (is (true? (:proven (lookup {:providers provider-of}))))))
        (testing "one phone takes it back, with as little as the server lacks"
          (let [serials (:payload (ask {:type :serial :subject {:hash (w/hash-of alice)}} [(assoc (first (:submit servers)) :contract :submit)]))
                released (w/signed alice (change/deny (:record alice) :identity [{:target (zone/entry-hash :identity entry) :reason :retired}]
                                           {:timestamp (long w/now)}) :identity :deny)
                update (client/smallest-update (:record released) serials)]
            (is (= [:identity] (zone/zones update)))
            (is (= (memory/of (:record released)) (:payload (submit {:type :submit :record update} (:submit servers)))))
            (is (= :wire/not-found (error-of (lookup {}))))
            (testing "and the old one comes no more"
              (let [{:keys [status held] :poz/keys [error]} (submit {:type :submit-signed :record (public alice)} (:submit servers))]
                (is (= [:wire/conflict :conflict (memory/of (:record released))] [error status held]))))))))))

(deftest held-for-the-operator
  (w/with-authority {:policy (constantly :hold)}
    (fn [{:keys [servers provider store config]}]
      (let [options {:provider (:record provider)}
            ask #(submit {:type :submit-request :request (w/request-for % provider)} (:submit servers) options)
            {:keys [status ticket]} (ask w/alice)
            second-ticket (:ticket (ask w/mallory))
            asked (assoc (select-keys (w/entry-for w/alice provider) [:authority-domain :path :user-handle :user-poz-hash]) :type :x)
            later #(submit {:type :request-status :ticket % :asked (dissoc asked :type)} (:submit servers) options)]
        (is (= :pending status))
        (is (= [:pending ticket] ((juxt :status :ticket) (later ticket))))
        (operator/approve! store config ticket w/now)
        (is (= [:ok true (w/hash-of w/alice)] ((juxt :status :proven (comp :user-poz-hash :entry)) (later ticket))))
        (operator/reject! store second-ticket "no such employee")
        (let [{:keys [problem] :poz/keys [error anomaly]} (later second-ticket)]
          (is (= [:wire/rejected :refused "policy/refused"] [error anomaly (:code problem)]))
          (is (str/includes? (:message problem) "no such employee")))))))

(deftest what-a-server-refuses
  (w/with-authority {}
    (fn [{:keys [servers provider]}]
      (let [rejected #(get-in (submit %1 (:submit servers) %2) [:problem :code])]
        (is (= "policy/refused" (rejected {:type :submit :record (public w/alice)} {})))
        (is (= "request/timestamp" (rejected {:type :submit-request :request (assoc (w/request-for w/alice provider) :timestamp 0)} {})))))))

;; Work

(deftest work-that-a-server-checks
  (w/with-authority {:difficulty 8}
    (fn [{:keys [servers provider]}]
      (let [question {:type :record :subject {:hash (w/hash-of provider)}}]
        (is (true? (:proven (ask question (:plain servers)))))
        (is (= :ok (:status (submit {:type :submit :record (public provider)} (:submit servers)))))
        (is (= :wire/work-required (error-of (ask question (:plain servers) {:max-difficulty 7}))))))))

;; Liars

(deftest lying-servers
  (let [subject {:hash (w/hash-of w/social)} question {:type :record :subject subject}
        forged (assoc-in w/social [:record :identity-zone :grant :timestamp] (+ (long v/start) 1001))]
    (testing "an answer to another request"
      (is (= :wire/other-id (w/with-server (fn [{{:keys [id]} :request}] (assoc (w/file (:record w/social)) :id (bit-xor 1 id)))
                              (fn [port] (error-of (ask question [(w/server :none port)])))))))
    (are [error response] (= error (w/with-server (w/responds response) (fn [port] (error-of (ask question [(w/server :none port)])))))
      :answer/other-record (w/file (:record w/alice))
      :signature/bad (w/file (:record forged))
      :format/code (bytes/utf8 "HTTP/1.1 400 Bad Request\r\n\r\n")
      :format/truncated {:status :ok :payload (bytes/slice (record/encode (:record w/social)) 0 7)})))

(deftest an-older-record-and-another
  (let [labels ["root"] make #(v/genesis labels [[1 0 100]] [] [0])
        one (make) two (v/revise one labels {} [0]) other (v/revise one labels {:timestamp (+ (long v/start) 7)} [0])
        question {:type :master :subject {:hash (record/original-hash one)}}
        found (fn [served remembered]
                (w/with-server (w/responds (w/file served))
                  (fn [port] (ask question [(w/server :none port)] {:remembered (memory/of remembered)}))))]
    (is (= (memory/of two) (:memory (found two one))))
    (is (= [:memory/rollback :conflict] ((juxt :poz/error :poz/anomaly) (found one two))))
    (is (= [:memory/fork other] ((juxt :poz/error :record) (found other two))))))

(deftest the-next-server-is-asked
  (w/with-authority {}
    (fn [{:keys [servers provider]}]
      (let [question {:type :record :subject {:hash (w/hash-of provider)}}
            after (fn [response] (w/with-server (w/responds response)
                                   (fn [port] (ask question (into [(w/server :none port)] (map #(assoc % :priority 1)) (:query servers))))))
            failed (fn [answer] [(:proven answer) (map :poz/error (:failures answer))])]
        (are [error response] (= [true [error]] (failed (after response)))
          :answer/other-record (w/file (:record w/alice))
          :wire/failed {:status :failed :payload {:code "internal" :message ""}}
          :wire/unsupported {:status :unsupported :payload {:code "wire/unsupported" :message ""}}
          :format/code (bytes/utf8 "SSH-2.0")
          :wire/work-required {:status :pow-required :payload {:challenge (bytes/zeros 16) :difficulty 99 :valid-until 1}})
        (testing "nobody listens there"
          (let [port (with-open [socket (ServerSocket. 0)] (.getLocalPort socket))]
            (is (= [true [:net/unreachable]] (failed (ask question (into [(w/server :none port)] (map #(assoc % :priority 1)) (:query servers))))))))
        (testing "another key than the server's"
          (is (= [true [:net/closed]]
                 (failed (ask question (into [(assoc (first (:query servers)) :public-key (:public-key ((requiring-resolve 'poz.crypto/generate) :x25519 (bytes/hex-> (apply str (repeat 32 "17"))))))]
                                         (map #(assoc % :priority 1)) (:query servers)))))))
        (testing "one that hangs has its share of the time"
          (let [gate (CountDownLatch. 1)]
            (w/with-server (fn [_] (.await gate 20 TimeUnit/SECONDS) (w/file (:record provider)))
              (fn [port]
                (is (= [true [:net/timeout]]
                       (failed (ask question (into [(w/server :none port)] (map #(assoc % :priority 1)) (:query servers)) {:deadline-ms 5000}))))
                (.countDown gate)))))))))

(deftest what-each-server-said
  (w/with-server (w/responds (bytes/utf8 "SSH-2.0"))
    (fn [garbage]
      (w/with-server (w/responds {:status :busy :payload 60000})
        (fn [busy]
          (let [{:keys [failures message] :poz/keys [error]}
                (ask {:type :status} [(w/server :none garbage) (assoc (w/server :none busy) :priority 1)])]
            (is (= :format/code error))
            (is (= [[garbage :format/code] [busy :wire/busy]] (map (juxt (comp :port :server) :poz/error) failures)))
            (is (every? #(str/includes? message (str "127.0.0.1:" % ": ")) [garbage busy]))))))))

(deftest a-busy-server-is-asked-again
  (let [calls (atom 0)]
    (w/with-server (fn [_] (if (= 1 (swap! calls inc)) {:status :busy :payload 1} (w/file (:record w/social))))
      (fn [port]
        (is (true? (:proven (ask {:type :record :subject {:hash (w/hash-of w/social)}} [(w/server :none port)]))))
        (is (= 2 @calls))))))

;; Lying about submissions

(deftest servers-that-take-something-else
  (let [request {:type :submit-request :request (w/request-for w/alice w/social)}
        options {:provider (:record w/social)}
        found (fn [submission response]
                (w/with-server :submit (w/responds response)
                  (fn [port] (error-of (submit submission [(w/server :noise-nk port)] options)))))]
    (is (= :answer/other-serials (found {:type :submit :record (public w/social)} {:status :ok :payload (memory/of (:record w/alice))})))
    (is (= :answer/other-serials (found {:type :submit-signed :record (public w/social)} {:status :accepted :payload (memory/of (:record w/alice))})))
    (is (= :answer/other-entry (found request {:status :ok :payload (w/entry-for w/mallory w/social)})))
    (is (= :answer/other-provider (found request {:status :ok :payload (w/entry-for w/alice w/mallory)})))
    (is (= :signature/bad (found request {:status :ok :payload (assoc-in (w/entry-for w/alice w/social) [:authority-signatures 0 :signature] (bytes/zeros 64))})))))

;; Arguments

(deftest wrong-arguments-throw
  (let [options {:servers [(w/server :none 1)] :now w/now}]
    (are [sentence f] (thrown-with-msg? IllegalArgumentException sentence (f))
      #"There is no :submit here" #(client/query {:type :submit} options)
      #"There is no :record here" #(client/submit {:type :record} options)
      #"There is no nil here" #(client/query {} options)
      #"Unknown option :server;" #(client/query {:type :status} (assoc options :server 1))
      #":now is a number, and required" #(client/query {:type :status} (dissoc options :now))
      #"Requests of type :submit do not go" #(client/submit {:type :submit :record (public w/alice)} options)
      #"no such option|There is no transport" #(client/query {:type :status} (assoc options :transport :pigeon)))))

(deftest what-cannot-be-sent-is-an-anomaly
  (let [query #(error-of (ask %1 [(w/server :none 1)]))]
    (are [error question] (= error (query question))
      :format/domain {:type :record :subject {:domain "-"}}
      :format/range {:type :chain :subject {:hash (bytes/zeros 32)} :from 0}
      :format/type {:type :record})
    (is (= :update/not-public (error-of (submit {:type :submit :record (assoc (:record w/alice) :key-names [{:key 0 :name "x"}])}
                                          [(w/server :noise-nk 1)]))))
    (is (= :wire/too-large (error-of (submit {:type :submit :record (v/genesis (mapv #(vector :ml-dsa-65 (str %)) (range 40))
                                                                      [[1 0 100]] [] [0])}
                                       [(w/server :noise-nk 1)]))))
    (is (= :client/no-server (error-of (ask {:type :status} []))))))

;; Asynchronously

(deftest futures
  (w/with-authority {}
    (fn [{:keys [servers provider]}]
      (let [options {:servers (:query servers) :now w/now}
            futures (doall (repeatedly 20 #(client/query-async {:type :record :subject {:hash (w/hash-of provider)}} options)))]
        (is (= [true] (distinct (map #(:proven (.get ^CompletableFuture % 20 TimeUnit/SECONDS)) futures))))
        (is (= :ok (:status (.get (client/submit-async {:type :submit :record (public provider)} (assoc options :servers (:submit servers)))
                              20 TimeUnit/SECONDS))))))))

(deftest cancelled
  (let [asked (CountDownLatch. 1) gate (CountDownLatch. 1)]
    (w/with-server (fn [_] (.countDown asked) (.await gate 20 TimeUnit/SECONDS) (w/file (:record w/social)))
      (fn [port]
        (let [future (client/query-async {:type :record :subject {:domain "social.example"}} {:servers [(w/server :none port)] :now w/now})]
          (is (.await asked 10 TimeUnit/SECONDS))
          (.cancel future true)
          (.countDown gate)
          (is (.isCancelled future)))))))
