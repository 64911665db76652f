(ns poz.mirror.demand-test
  "A cache, and what a mirror does between its rounds: pulling what is asked for."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.authorities :as a]
   [poz.authority.operator :as operator]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.memory :as memory]
   [poz.mirror :as mirror]
   [poz.mirror-world :as w]
   [poz.record :as record])
  (:import
   (java.util.concurrent CompletableFuture CountDownLatch TimeUnit)))

(set! *warn-on-reflection* true)

(defn- with-cache [up options f]
  (let [m (w/mirror up (merge {:role :cache :list (constantly []) :refresh-ms 1000 :stale-ms 10000} options))]
    (try (f m) (finally (mirror/stop! m)))))

(defn- by-hash [person] {:type :record :payload {:hash (h/hash-of (:record person))}})
(defn- by-handle [handle] {:type :identity :payload {:handle (a/address handle)}})
(def ^:private by-domain {:type :record :payload {:domain "social.example"}})

(deftest what-is-asked-for-is-pulled-once
  (let [{:keys [alice clock] :as up} (w/upstream)]
    (with-cache up {}
      (fn [m]
        (is (= (h/update-of alice) (:payload (w/ask m (by-hash alice)))))
        (is (= [:record] (w/asked! up)))
        (is (= :ok (:status (w/ask m (by-hash alice)))))
        (is (= :ok (:status (w/ask m {:type :chain :payload {:subject {:hash (h/hash-of (:record alice))} :from 1}}))))
        (is (= [] (w/asked! up)) "it is fresh")
        (swap! clock + 1001)
        (is (= :ok (:status (w/ask m (by-hash alice)))))
        (is (= [:serial] (w/asked! up)) "and then checked")
        (testing "what has changed comes"
          (let [later (h/serving alice 443 (+ (long h/t0) 5000))]
            (w/submit! up later)
            (is (= (h/update-of alice) (:payload (w/ask m (by-hash alice)))))
            (swap! clock + 1001)
            (is (= (h/update-of later) (:payload (w/ask m (by-hash alice)))))))
        (is (= {:role :cache :records 1 :failures {}} (select-keys (mirror/status m) [:role :records :failures])))
        (is (= 0 (:lag-ms (mirror/status m))))))))

(deftest what-the-upstream-does-not-have
  (let [up (w/upstream) nobody {:type :record :payload {:hash (bytes/zeros 32)}}]
    (with-cache up {}
      (fn [m]
        (is (= [:not-found :not-found] [(:status (w/ask m nobody)) (:status (w/ask m nobody))]))
        (is (= [:record] (w/asked! up)) "it is not asked again and again")
        (is (= :not-found (:status (w/ask m (by-handle "nobody")))))
        (is (= :not-found (:status (w/ask m {:type :record :payload {:domain "other.example"}}))))))))

(deftest domains-and-handles
  (let [{:keys [alice store config clock] :as up} (w/upstream)]
    (doseq [domains [{"social.example" w/provider-hash} {}]]
      (with-cache up {:domains domains :hash nil}
        (fn [m]
          (is (= :ok (:status (w/ask m (by-handle "alice")))))
          (is (= [:record :record] (w/asked! up)) "the provider's record, and that of who has the handle")
          (is (= :ok (:status (w/ask m by-domain))))
          (is (= :ok (:status (w/ask m (by-handle "alice")))))
          (is (= [] (w/asked! up))))))
    (testing "also where the record was pulled by its hash, before its provider's"
      (with-cache up {}
        (fn [m]
          (is (= :ok (:status (w/ask m (by-hash alice)))))
          (is (= [:ok :ok] [(:status (w/ask m (by-handle "alice"))) (:status (w/ask m (by-handle "alice")))]))
          (is (= [:record :record :record] (w/asked! up))))))
    (testing "a handle that was revoked is served, for all to see; asked anew, the upstream decides who has it"
      (with-cache up {}
        (fn [m]
          (w/ask m (by-handle "alice"))
          (operator/revoke! store config (a/address "alice") :abuse (+ (long h/t0) 9000))
          (swap! clock + 1001)
          (is (= :ok (:status (w/ask m (by-handle "alice")))))
          (is (= (:payload (w/ask m (by-handle "alice")))
                (:payload (a/ask up @clock (by-handle "alice")))))
          (is (= (h/hash-of (:record alice))
                (h/hash-of (record/decode (:payload (w/ask m (by-handle "alice"))))))))))
    (testing "a domain that the config ties to another record"
      (with-cache up {:domains {"social.example" (bytes/zeros 32)} :hash nil}
        (fn [m] (is (= :not-found (:status (w/ask m by-domain)))))))))

(deftest stale-for-a-while
  (let [{:keys [alice bob how clock] :as up} (w/upstream)]
    (with-cache up {}
      (fn [m]
        (w/ask m (by-hash alice))
        (reset! how w/gone)
        (w/asked! up)
        (swap! clock + 9000)
        (is (= :ok (:status (w/ask m (by-hash alice)))) "the upstream is away")
        (is (= 1 (count (w/asked! up))))
        (is (= [:ok :ok] [(:status (w/ask m (by-hash alice))) (:status (w/ask m (by-hash alice)))]))
        (is (= [] (w/asked! up)) "and is left alone for a while")
        (is (= :busy (:status (w/ask m (by-hash bob)))) "what is not held: somebody else may have it")
        (is (= :ok (:status (w/ask m {:type :status :payload {}}))))
        (is (= :cache (:role (:payload (w/ask m {:type :status :payload {}})))))
        (swap! clock + 1001)
        (is (= :busy (:status (w/ask m (by-hash alice)))) "too old by now")
        (reset! how (constantly nil))
        (swap! clock + 60000)
        (is (= :ok (:status (w/ask m (by-hash alice)))) "and there again")))))

(deftest a-mirror-answers-between-rounds-without-asking
  (let [{:keys [alice bob how clock] :as up} (w/upstream)]
    (with-cache up {:role :mirror :list (constantly [(h/hash-of (:record alice))])}
      (fn [m]
        (mirror/round! m)
        (w/asked! up)
        (swap! clock + 5000)
        (is (= :ok (:status (w/ask m (by-hash alice)))))
        (is (= [] (w/asked! up)))
        (is (= :ok (:status (w/ask m (by-handle "bob")))) "what it does not hold it gets")
        (is (= 3 (:records (mirror/status m))))
        (reset! how w/gone)
        (swap! clock + 5001)
        (is (= [:busy :ok] [(:status (w/ask m (by-hash alice))) (:status (w/ask m (by-hash bob)))]))))))

(deftest what-contradicts-is-not-served
  (let [{:keys [bob how clock] :as up} (w/upstream)
        later (w/revised bob (+ (long h/t0) 6000))]
    (w/submit! up later)
    (with-cache up {}
      (fn [m]
        (w/ask m (by-hash bob))
        (reset! how (w/responding :serial (fn [_] (memory/of (:record bob)))))
        (swap! clock + 1001)
        (is (= (h/update-of later) (:payload (w/ask m (by-hash bob)))))
        (is (= {:memory/rollback 1} (:failures (mirror/status m))))))))

(deftest those-who-ask-at-once-share-one-pull
  (let [{:keys [alice exchange] :as up} (w/upstream)
        go (CompletableFuture.) entered (CountDownLatch. 1)]
    (with-cache up {:exchange (fn [options b]
                                (.countDown entered)
                                (.thenCompose go (fn [_] (exchange options b))))}
      (fn [m]
        (let [answers (mapv (fn [_] (future (:status (w/ask m (by-hash alice))))) (range 8))]
          (is (.await entered 30 TimeUnit/SECONDS))
          (.complete go true)
          (is (= (repeat 8 :ok) (map #(deref % 30000 :late) answers)))
          (is (= [:record] (w/asked! up))))))))

(deftest whoever-asks-does-not-wait-for-ever
  (let [{:keys [alice exchange] :as up} (w/upstream) go (CompletableFuture.)]
    (with-cache up {:deadline-ms 30 :exchange (fn [options b] (.thenCompose go (fn [_] (exchange options b))))}
      (fn [m]
        (is (= :busy (:status (w/ask m (by-hash alice)))))
        (.complete go true)))))
