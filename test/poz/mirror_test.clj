(ns poz.mirror-test
  "Rounds of a mirror, without a network."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.authorities :as a]
   [poz.authority :as authority]
   [poz.authority.operator :as operator]
   [poz.authority.state :as state]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.fork :as fork]
   [poz.handles :as h]
   [poz.memory :as memory]
   [poz.mirror :as mirror]
   [poz.mirror-world :as w]
   [poz.mirror.pull :as pull]
   [poz.record :as record]
   [poz.store :as store]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent CountDownLatch TimeUnit)))

(set! *warn-on-reflection* true)

(defn- held [{:keys [source]} person]
  (pull/held source (h/hash-of (:record person))))

(defn- public [{:keys [record]}] (record/public-view record))

(defn- handle-owner [{:keys [source]} handle]
  (get-in (state/handle (pull/reader (:store source)) (a/address handle)) [:live :user]))

(defmacro ^:private with-mirror [[m upstream options] & body]
  `(let [~m (w/mirror ~upstream ~options)]
     (try ~@body (finally (mirror/stop! ~m)))))

(deftest a-round-copies-everything-and-the-next-little
  (let [{:keys [alice bob clock] :as up} (w/upstream)]
    (with-mirror [m up {}]
      (is (= {:role :mirror :records 0 :checked-at nil :last-success nil :lag-ms nil :failures {} :conflicts []} (mirror/status m)))
      (is (= {:new 3} (mirror/round! m)))
      (is (= {:record 3} (frequencies (w/asked! up))))
      (is (= [(public alice) (public bob)] [(held m alice) (held m bob)]))
      (is (= (h/hash-of (:record alice)) (handle-owner m "alice")))
      (is (= {:unchanged 3} (mirror/round! m)))
      (is (= {:serial 3} (frequencies (w/asked! up))))
      (testing "what changes comes with the next round"
        (let [later (h/serving alice 443 (+ (long h/t0) 5000))
              revised (w/revised bob (+ (long h/t0) 6000))]
          (is (= [:ok :ok] [(:status (w/submit! up later)) (:status (w/submit! up revised))]))
          (swap! clock + 1000)
          (is (= {:unchanged 1 :updated 2} (mirror/round! m)))
          (is (= {:serial 3 :record 1 :chain 1} (frequencies (w/asked! up))))
          (is (= [(public later) (public revised)] [(held m alice) (held m bob)]))))
      (testing "its status"
        (swap! clock + 7)
        (is (= {:role :mirror :records 3 :checked-at (+ (long w/now) 1000) :last-success (+ (long w/now) 1000) :lag-ms 7 :failures {} :conflicts []}
               (mirror/status m)))))))

(deftest it-finds-again-what-its-store-holds
  (let [{:keys [alice] :as up} (w/upstream) shared (store/memory)]
    (with-mirror [m up {:store shared}] (mirror/round! m))
    (testing "and needs no list for that"
      (with-mirror [m up {:store shared :list (constantly [])}]
        (is (= 3 (:records (mirror/status m))))
        (is (= {:unchanged 3} (mirror/round! m)))
        (is (= :ok (:status (w/ask m {:type :record :payload {:hash (h/hash-of (:record alice))}}))))))))

(deftest the-list
  (let [up (w/upstream)]
    (with-mirror [m up {:list (constantly [])}]
      (is (= {:new 1} (mirror/round! m)) "the authority's own record"))
    (with-mirror [m up {:list (constantly (conj (w/hashes up) (bytes/zeros 32) (first (w/hashes up)) w/provider-hash))}]
      (is (= {:new 3 :failed 1} (mirror/round! m)) "each once; what the server does not have is told")
      (is (= {:wire/not-found 1} (:failures (mirror/status m)))))
    (with-mirror [m up {:list (constantly (error/anomaly :mirror/list))}]
      (is (= {:new 1} (mirror/round! m)))
      (is (= {:mirror/list 1} (:failures (mirror/status m)))))))

(deftest handles-follow-their-records
  (let [{:keys [alice store config] :as up} (w/upstream)]
    (with-mirror [m up {}]
      (mirror/round! m)
      (testing "revoked, it stays: whoever asks is to see that"
        (operator/revoke! store config (a/address "alice") :abuse (+ (long h/t0) 9000))
        (mirror/round! m)
        (is (= (h/hash-of (:record alice)) (handle-owner m "alice"))))
      (testing "given up, it goes"
        (is (= :ok (:status (w/submit! up (h/denying alice (+ (long h/t0) 10000))))))
        (mirror/round! m)
        (is (nil? (handle-owner m "alice")))
        (is (some? (handle-owner m "bob")))))
    (testing "revoked before it was copied"
      (with-mirror [m up {}]
        (operator/revoke! store config (a/address "bob") :abuse (+ (long h/t0) 11000))
        (mirror/round! m)
        (is (= (h/hash-of (:record (:bob up))) (handle-owner m "bob")))))))

(deftest handles-are-found-though-the-record-came-before-its-provider
  (let [{:keys [alice how] :as up} (w/upstream) alice-hash (h/hash-of (:record alice))
        record-of-alice {:type :record :payload {:hash alice-hash}}
        handle-of-alice {:type :identity :payload {:handle (a/address "alice")}}]
    (with-mirror [m up {}]
      (reset! how #(when (= w/provider-hash (:hash (:payload %)))
                     (wire/encode-response {:status :not-found :id (:id %)} :record)))
      (is (= :ok (:status (w/ask m record-of-alice))) "before its first round")
      (is (nil? (handle-owner m "alice")) "nobody can judge that yet")
      (reset! how (constantly nil))
      (mirror/round! m)
      (is (= alice-hash (handle-owner m "alice")))
      (testing "so that it needs nobody to answer"
        (reset! how w/gone)
        (is (= :ok (:status (w/ask m handle-of-alice))))))
    (testing "at once, where the provider answers"
      (reset! how (constantly nil))
      (with-mirror [m up {}]
        (w/asked! up)
        (is (= :ok (:status (w/ask m record-of-alice))))
        (is (= [:record :record] (w/asked! up)) "its provider, then itself")
        (is (= alice-hash (handle-owner m "alice")))
        (reset! how w/gone)
        (is (= :ok (:status (w/ask m handle-of-alice))))))
    (testing "by a cache, which has no rounds"
      (reset! how (constantly nil))
      (with-mirror [m up {:role :cache :hash nil}]
        (is (= :ok (:status (w/ask m record-of-alice))))
        (is (= :ok (:status (w/ask m handle-of-alice))))
        (is (= alice-hash (handle-owner m "alice")))))))

;; What is refused

(defn- conflicts [up f]
  (let [seen (atom [])]
    (with-mirror [m up {:on-conflict #(swap! seen conj %)}]
      (mirror/round! m)
      (f m)
      [(mirror/round! m) (mirror/status m) @seen m])))

(deftest a-fork-is-refused-and-proven
  (let [{:keys [bob how] :as up} (w/upstream)
        one (w/revised bob (+ (long h/t0) 6000)) other (w/revised bob (+ (long h/t0) 6001))]
    (w/submit! up one)
    (let [[told {:keys [failures] :as status} [{:keys [evidence]} :as seen] m]
          (conflicts up
            (fn [m]
              (is (= (public one) (held m one)))
              (reset! how (fn [{:keys [payload] :as request}]
                            (when (= (h/hash-of (:record bob)) (:hash (:subject payload payload)))
                              (or ((w/responding :serial (fn [_] (memory/of (public other)))) request)
                                ((w/responding :chain (fn [_] (record/encode (select-keys (public other) [:public-key-map :master-zone :zone-history])))) request)))))))]
      (is (= {:unchanged 2 :failed 1} told))
      (is (= {:memory/fork 1} failures))
      (is (= [{:hash (h/hash-of (:record bob)) :error :memory/fork :at w/now}] (:conflicts status)))
      (is (= 1 (count seen)))
      (is (= 2 (:serial (fork/check (bytes/utf8 evidence) (+ (long w/now) 1)))))
      (is (= (public one) (held m one)) "what was held stays"))))

(deftest a-rollback-is-refused
  (let [{:keys [bob how] :as up} (w/upstream)]
    (w/submit! up (w/revised bob (+ (long h/t0) 6000)))
    (let [[told status seen] (conflicts up
                               (fn [_] (reset! how (fn [{:keys [payload] :as request}]
                                                     (when (= (h/hash-of (:record bob)) (:hash payload))
                                                       ((w/responding :serial (fn [_] (memory/of (public bob)))) request))))))]
      (is (= {:unchanged 2 :failed 1} told))
      (is (= [:memory/rollback] (map :error (:conflicts status)) (map :poz/error seen)))
      (is (= [nil] (map :evidence seen)) "an old copy proves nothing against whoever signed it"))))

(deftest what-was-tampered-with-is-not-taken
  (let [{:keys [alice how] :as up} (w/upstream)
        b (bytes/->array (h/update-of alice))
        damaged (bytes/wrap (doto (aclone b) (aset (- (alength b) 10) (byte (bit-xor 1 (aget b (- (alength b) 10)))))))]
    (reset! how (fn [{:keys [payload] :as request}]
                  (when (= (h/hash-of (:record alice)) (:hash payload))
                    ((w/responding :record (constantly damaged)) request))))
    (with-mirror [m up {}]
      (is (= {:new 2 :failed 1} (mirror/round! m)))
      (is (nil? (held m alice)))
      (is (= 1 (reduce + (vals (:failures (mirror/status m)))))))
    (testing "nor another's record"
      (reset! how (fn [{:keys [payload] :as request}]
                    (when (= (h/hash-of (:record alice)) (:hash payload))
                      ((w/responding :record (constantly (h/update-of (:bob up)))) request))))
      (with-mirror [m up {}]
        (mirror/round! m)
        (is (= {:answer/other-record 1} (:failures (mirror/status m))))))))

;; An upstream that is away

(deftest a-round-ends-when-nobody-answers
  (let [{:keys [how clock] :as up} (w/upstream) many (mapv #(crypto/sha3-256 (bytes/utf8 (str %))) (range 500))]
    (reset! how w/gone)
    (with-mirror [m up {:list (constantly many) :at-once 4}]
      (is (= :net/unreachable (:poz/error (:gone (mirror/round! m)))))
      (is (< (count (w/asked! up)) 20))
      (is (nil? (:last-success (mirror/status m))))
      (testing "and there again"
        (reset! how (constantly nil))
        (swap! clock + 1000)
        (is (= {:new 1 :failed 500} (mirror/round! m)))
        (is (= (+ (long w/now) 1000) (:last-success (mirror/status m))))))
    (testing "a mirror of one record too"
      (reset! how w/gone)
      (with-mirror [m up {:list (constantly [])}]
        (is (some? (:gone (mirror/round! m))))))))

(deftest on-its-own-it-goes-on
  (let [{:keys [how] :as up} (w/upstream)
        rounds (CountDownLatch. 4)]
    (with-mirror [m up {:refresh-ms 1 :list (fn [] (.countDown rounds) (w/hashes up))}]
      (reset! how (let [n (atom 0)] (fn [_] (when (= 1 (swap! n inc)) (throw (IllegalStateException. "a defect"))))))
      (is (identical? m (mirror/start! m)))
      (is (.await rounds 30 TimeUnit/SECONDS))
      (mirror/stop! m)
      (mirror/stop! m)
      (is (= 3 (:records (mirror/status m)))))))

(deftest a-big-round
  (let [{:keys [alice] :as up} (w/upstream) n 300
        people (mapv #(h/person (str "person " %)) (range n))]
    (doseq [p people]
      (authority/install! (:store up) (:record p) w/now))
    (with-mirror [m up {:list (constantly (mapv (comp h/hash-of :record) people))}]
      (let [seen (atom [])]
        (is (= {:new (inc n)} (mirror/round! m #(swap! seen conj (dissoc % :outcomes)))))
        (is (= {:new (inc n) :total (inc n)} (last @seen)))
        (is (= (inc n) (:records (mirror/status m))))
        (is (= (public (last people)) (held m (last people))))
        (is (nil? (held m alice)))))))

(deftest what-was-stopped-goes-on-where-it-was
  (let [up (w/upstream) shared (store/memory) asked (atom 0) n 300
        people (mapv #(h/person (str "person " %)) (range n))
        listed {:store shared :list (constantly (mapv (comp h/hash-of :record) people)) :at-once 4}]
    (doseq [p people]
      (authority/install! (:store up) (:record p) w/now))
    (with-mirror [m up listed]
      (reset! (:how up) (fn [_] (when (= 50 (swap! asked inc)) (.countDown ^CountDownLatch (:stopped m))) nil))
      (let [{:keys [new]} (mirror/round! m)]
        (is (<= 47 new 54) "what was asked is kept, and nothing more is asked")
        (is (nil? (:last-success (mirror/status m))) "it was no whole round")
        (with-mirror [m up listed]
          (is (= new (:records (mirror/status m))))
          (is (= {:unchanged new :new (- (inc n) (long new))} (mirror/round! m)))
          (is (= (inc n) (:records (mirror/status m)))))))))

(deftest arguments
  (are [options sentence] (thrown-with-msg? IllegalArgumentException sentence (mirror/mirror options))
    {:nope 1} #"Unknown option :nope"
    {:servers [] :store (store/memory) :now (constantly 0)} #":random is required")
  (is (every? #(and (string? %) (not (str/blank? %))) (vals mirror/options))))
