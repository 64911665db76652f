(ns poz.client.answer-test
  "Answers held against their questions, without a server."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.client-world :as w]
   [poz.client.answer :as answer]
   [poz.error :as error]
   [poz.master.chain :as chain]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.verdicts :as v]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def ^:private options {:now (v/now) :statuses #{:current} :providers []})

(defn- check
  ([question record] (check question record {}))
  ([question record more]
   (answer/check question (merge options more) (if (map? record) (record/encode record) record))))

(defn- error-of [x] (if (error/anomaly? x) (:poz/error x) x))

(defn- by-hash [record] {:hash (record/original-hash record)})

(defn- base [record] (select-keys record [:public-key-map :master-zone :zone-history]))

(defn- zones-of [record & zones]
  (select-keys record (into [:public-key-map :master-zone :zone-history] (mapcat (juxt zone/authority-key zone/zone-key)) zones)))

;; A record of three revisions, and a zone

(def ^:private labels ["root" "device"])
(def ^:private first-revision (v/genesis labels [[1 0 100]] [[:service 1 100 100]] [0]))
(def ^:private second-revision (v/revise first-revision labels {} [0]))
(def ^:private third-revision (v/revise second-revision labels {} [0]))
(def ^:private zoned (v/grant third-revision labels :service [(v/service "a")] [1]))
(def ^:private forked (v/revise first-revision labels {:timestamp (+ (long v/start) 5000)} [0]))
(def ^:private forked-on (v/revise (v/revise forked labels {} [0]) labels {} [0]))

(deftest records-that-verify-and-are-tied
  (let [{:keys [record verdict proven memory payload because]} (check {:type :record :subject (by-hash zoned)} zoned)]
    (is (= [zoned :valid true nil] [record (:outcome verdict) proven because]))
    (is (= (memory/of zoned) memory))
    (is (= (record/encode zoned) payload)))
  (testing "each type has its sections"
    (are [question record] (true? (:proven (check (assoc question :subject (by-hash zoned)) record)))
      {:type :master} (base zoned)
      {:type :chain :from 1} (base zoned)
      {:type :zones :zones [:service]} zoned
      {:type :zones :zones [:service :feed]} zoned
      {:type :zones :zones [:service]} (base zoned))))

(deftest a-domain-takes-discovery
  (let [question {:type :record :subject {:domain "example.org"}}]
    (is (= [false "nothing says yet that this is the record of that domain: discovery gives its hash"]
           ((juxt :proven :because) (check question zoned))))
    (testing "and is not remembered before"
      (is (not (contains? (check question zoned) :memory)))
      (is (= (memory/of second-revision) (:memory (check question zoned {:remembered (memory/of second-revision)})))))
    (is (= [true (memory/of zoned)] ((juxt :proven :memory) (check question zoned {:expected-hash (record/original-hash zoned)}))))
    (is (= :answer/other-record (error-of (check question zoned {:expected-hash (bytes/zeros 32)}))))))

(deftest answers-that-are-refused
  (let [subject (by-hash zoned) whole {:type :record :subject subject}
        forged (assoc-in zoned [:service-zone :grant :body 0 :name] "b")]
    (are [error question record] (= error (error-of (check question record)))
      :answer/other-record whole (:record w/alice)
      :answer/other-sections {:type :master :subject subject} zoned
      :answer/other-sections {:type :chain :from 1 :subject subject} zoned
      :answer/other-sections {:type :zones :zones [:feed] :subject subject} zoned
      :answer/other-sections whole (assoc zoned :key-names [{:key 0 :name "root"}])
      :answer/other-sections whole (assoc zoned :unknown-sections (sorted-map 0x8123 (bytes/zeros 1)))
      :answer/other-sections {:type :master :subject subject} (assoc (base zoned) :unknown-sections (sorted-map 0x123 (bytes/zeros 1)))
      :signature/bad whole forged
      :signature/bad {:type :zones :zones [:service] :subject subject} forged
      :signature/bad {:type :zones :zones [:service] :subject subject}
      (assoc-in zoned [:service-zone :grant :signatures 0 :signature] (bytes/zeros 64))
      :chain/current-hash whole (assoc-in zoned [:master-zone :timestamp] (+ (long v/start) 999999999))
      :chain/history-missing whole (dissoc zoned :zone-history)
      :chain/history-missing {:type :chain :from 3 :subject subject} (dissoc (base zoned) :zone-history)
      :format/truncated whole (bytes/slice (record/encode zoned) 0 7)
      :format/magic whole (bytes/utf8 "HTTP/1.1 200 OK"))
    (testing "sections that nobody knows yet are no reason in a whole record"
      (is (true? (:proven (check whole (assoc zoned :unknown-sections (sorted-map 0x123 (bytes/zeros 1))))))))
    (testing "the anomaly tells where and why"
      (is (= [[:service-zone :grant] "the signature of key 1 does not verify"] ((juxt :path :rule) (check whole forged)))))))

(def ^:private zoned-file (record/encode zoned))

(defspec no-changed-byte-gets-through 150
  (prop/for-all [at (gen/choose 0 (dec (count zoned-file))), flip (gen/choose 1 255)]
    (let [array (bytes/->array zoned-file)]
      (aset-byte array at (unchecked-byte (bit-xor (long flip) (aget array at))))
      (error/anomaly? (check {:type :record :subject (by-hash zoned)} (bytes/wrap array))))))

(deftest a-zone-that-fell-is-answered-when-asked-for
  (let [fallen (v/revise zoned labels {:delegations (v/shares [[:service 0 100 100]])} [0])
        zones {:type :zones :zones [:service] :subject (by-hash zoned)}
        found (check zones fallen)]
    (is (= [true #{:service}] ((juxt :proven :fallen) found)))
    (is (= :invalid (get-in found [:verdict :zones :service :outcome])) "whoever looks sees that it does not hold")
    (is (= :authority/not-current (error-of (check {:type :record :subject (by-hash zoned)} fallen))))
    (is (= :signature/bad (error-of (check zones (assoc-in fallen [:service-zone :grant :body 0 :name] "b")))))))

;; Chains

(defn- tail [record from]
  (let [history (filterv #(<= from (:serial %)) (:zone-history record))]
    (cond-> (select-keys record [:public-key-map :master-zone]) (seq history) (assoc :zone-history history))))

(deftest tails-continue-what-is-held
  (let [question {:type :chain :from 2 :subject (by-hash zoned)}
        found #(check question (tail third-revision %1) {:held %2})]
    (doseq [from [1 2 3], held [first-revision second-revision third-revision zoned]
            :when (<= from (inc (:serial (:master-zone held))))]
      (testing [from (:serial (:master-zone held))]
        (let [{:keys [record verdict proven memory]} (found from held)]
          (is (= [true :valid] [proven (:outcome verdict)]))
          (is (= (chain/revisions third-revision) (chain/revisions record)))
          (is (= (if (= held zoned) (memory/of zoned) (memory/of third-revision)) memory) "no zone is forgotten"))))
    (testing "a gap"
      (is (= :chain/serial (error-of (found 3 first-revision)))))
    (testing "an older one, another one, another record"
      (is (= :memory/rollback (error-of (check question second-revision {:held third-revision}))))
      (is (= :memory/fork (error-of (check question (tail forked-on 2) {:held second-revision}))))
      (is (= :memory/fork (error-of (check question (tail forked 2) {:held second-revision}))))
      (is (= :answer/other-record (error-of (check question third-revision {:held (:record w/alice)})))))
    (testing "a forged tail is no fork"
      (let [forged (assoc-in (tail forked 2) [:master-zone :signatures 0 :signature] (bytes/zeros 64))]
        (is (= :chain/current-hash (error-of (check question forged {:held second-revision}))))))))

(deftest key-maps-that-were-cut
  (let [more (conj (:public-key-map zoned) (v/key-of "another"))
        question {:type :chain :from 4 :subject (by-hash zoned)}
        fourth-revision (v/revise zoned labels {:delegations []} [0])
        found #(check question (assoc (tail fourth-revision 4) :public-key-map %) {:held zoned})]
    (are [given expected] (= expected (:public-key-map (:record (found given))))
      (:public-key-map zoned) (:public-key-map zoned)
      (subvec (:public-key-map zoned) 0 1) (:public-key-map zoned)
      more more)
    (is (= :update/key-map (error-of (found [(v/key-of "other")]))))))

;; Memory

(deftest rollbacks-and-forks
  (let [question {:type :record :subject (by-hash zoned)}
        found #(check question %1 {:remembered (memory/of %2)})]
    (is (= (memory/of zoned) (:memory (found zoned second-revision))))
    (is (= (memory/of zoned) (:memory (found third-revision zoned))) "a zone that is not there is remembered")
    (are [error record before] (= error (error-of (found record before)))
      :memory/rollback second-revision third-revision
      :memory/fork forked second-revision
      :memory/fork forked-on second-revision)
    (testing "the record is kept as evidence"
      (is (= forked (:record (found forked second-revision)))))
    (testing "of a zone"
      (let [denied (v/deny zoned labels :service [(zone/entry-hash :service (v/service "a"))] [1])]
        (is (= :memory/rollback (error-of (found zoned denied))))))
    (testing "the record that is held will do"
      (is (= :memory/rollback (error-of (check question second-revision {:held third-revision})))))))

(deftest the-word-of-a-server
  (let [serials (memory/of zoned) question {:type :serial :subject (by-hash zoned)}]
    (is (= {:type :serial :subject (by-hash zoned) :payload serials :proven false
            :because "this is what the server says, and nothing proves it"}
           (answer/check question options serials)))
    (testing "it speaks against what is remembered, and is not remembered"
      (is (= (memory/of second-revision) (:memory (answer/check question (assoc options :remembered (memory/of second-revision)) serials))))
      (is (= :memory/rollback (error-of (answer/check question (assoc options :remembered serials) (memory/of second-revision)))))
      (is (nil? (:record (answer/check question (assoc options :remembered serials) (memory/of second-revision))))))
    (doseq [[type payload] {:mirrors [] :challenge {:challenge (bytes/zeros 16) :difficulty 0 :valid-until 1}
                            :status {:software "x" :role :cache :time 0 :oldest 0 :newest 0}}]
      (is (= [false payload] ((juxt :proven :payload) (answer/check {:type type} options payload))) type))))

;; Handles

(def ^:private social w/social)
(def ^:private alice (w/accepting w/alice (w/entry-for w/alice social)))
(def ^:private question {:type :identity :subject {:handle w/address}})

(defn- asked
  ([person more] (asked question person more))
  ([question {:keys [record]} more]
   (check question (if (= :identity (:type question)) (zones-of record :identity) record)
     (merge {:now w/now :providers [(:record social)] :provider-hash (w/hash-of social)} more))))

(deftest a-handle-that-a-verified-provider-issued
  (let [{:keys [proven entry record]} (asked alice {})]
    (is (= [true :current (w/entry-for w/alice social)] [proven (:status entry) (:entry entry)]))
    (is (= (w/hash-of alice) (record/original-hash record))))
  (testing "a function may give the providers"
    (let [wanted (atom []) found (asked alice {:providers (fn [h] (swap! wanted conj h) (:record social))})]
      (is (= [true [(w/hash-of social)]] [(:proven found) @wanted]))
      (is (= [:current] (map :status (get-in found [:verdict :zones :identity :entries]))))))
  (testing "whose domain it is, discovery tells"
    (let [unproven? #(some #{:identity/domain-unproven} (map :warning (get-in (asked alice %) [:verdict :warnings])))]
      (is (not (unproven? {})))
      (is (unproven? {:provider-hash nil})))
    (is (= [false "nothing says yet that this provider is that of the domain: discovery gives its hash"]
           ((juxt :proven :because) (asked alice {:provider-hash nil})))))
  (testing "the whole record will do, and ZONES with the Identity Zone"
    (is (true? (:proven (asked (assoc question :type :record) alice {}))))
    (is (true? (:proven (asked (assoc question :type :zones :zones [:identity]) alice {})))))
  (testing "without that zone nothing ties it"
    (let [bare (update alice :record base) master (assoc question :type :master)]
      (is (= [false "nothing in this answer ties the record to the handle: IDENTITY does"]
             ((juxt :proven :because) (asked master bare {}))))
      (is (true? (:proven (asked master bare {:expected-hash (w/hash-of alice)})))))))

(deftest handles-that-are-not-proven
  (let [other (w/grant (w/person "other provider") :identity {:timestamp (+ (long v/start) 1000)})
        entry (w/entry-for w/alice social)
        denied (w/signed social (change/deny (:record social) :identity
                                  [{:target (:hash ((requiring-resolve 'poz.identity/statement) entry)) :reason :abuse}]
                                  {:timestamp (+ (long v/start) 2000)}) :identity :deny)
        released (w/signed alice (change/deny (:record alice) :identity [{:target (zone/entry-hash :identity entry) :reason :retired}]
                                   {:timestamp (- (long w/now) 500)}) :identity :deny)]
    (are [error person more] (= error (error-of (asked person more)))
      :answer/no-entry w/social {}
      :answer/no-entry (w/accepting w/alice (-> (assoc (w/entry-for w/alice social) :user-handle "bob"))) {}
      :answer/no-entry released {}
      :answer/other-provider alice {:provider-hash (w/hash-of other)}
      :answer/other-provider (w/accepting w/alice (w/entry-for w/alice other)) {:providers [(:record other)]}
      :identity/no-provider-record alice {:providers []}
      :identity/no-provider-record alice {:providers (constantly nil)}
      :identity/no-provider-record alice {:providers (constantly (error/anomaly :net/timeout))}
      :identity/no-provider-record alice {:providers (constantly (:record other))}
      :identity/no-provider-zone alice {:providers [(base (:record social))]}
      :identity/revoked alice {:providers [(:record denied)]}
      :signature/bad (w/accepting w/alice (assoc-in entry [:authority-signatures 0 :signature] (bytes/zeros 64))) {})
    (testing "somebody who shows the entry of another"
      (is (= :identity/other-record (error-of (asked (w/grant w/mallory :identity {:timestamp (- (long w/now) 1000) :add [entry]}) {})))))))

(deftest an-earlier-delegation
  (let [labels ["office" "clerk" "new clerk"]
        before (v/genesis labels [[1 0 100]] [[:identity 1 100 100]] [0])
        after (v/grant (v/revise before labels {:delegations (v/shares [[:identity 2 100 100]])} [0])
                labels :identity [] [2])
        entry (-> (w/entry-for w/alice social)
                (assoc :authority-hash (record/original-hash before) :authority-signatures [])
                ((requiring-resolve 'poz.identity.issue/sign-entry) before 1 (v/secret "clerk")))
        found #(asked (w/accepting w/alice entry) (merge {:providers [after] :provider-hash nil} %))]
    (is (= :answer/superseded (error-of (found {}))))
    (is (= :superseded (get-in (found {:statuses #{:current :superseded}}) [:entry :status])))))

(deftest an-identity-zone-that-fell
  (let [labels ["alice"]
        fallen (update alice :record v/revise labels {:delegations []} [0])
        zones (assoc question :type :zones :zones [:identity])]
    (is (= [false #{:identity}] ((juxt :proven :fallen) (asked zones fallen {}))))
    (is (= :authority/not-current (error-of (asked fallen {}))))))
