(ns poz.discover-test
  "Discovery with sources that are made up: nothing here asks a network."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.discover :as discover]
   [poz.error :as error])
  (:import
   (java.util.concurrent CompletableFuture)))

(set! *warn-on-reflection* true)

(def ^:private digits (apply str (repeat 64 "a")))
(def ^:private txt {:rows [(str "v=poz1 h=" digits)]})
(defn- web [h] {:bytes (bytes/utf8 (str "{\"v\":\"poz1\",\"original_hash\":\"" h "\"}"))})

(defn- look
  ([answers] (look answers {}))
  ([answers options] (discover/discover "social.example" (merge {:now 1000 :ask (discover/fake answers)} options))))

(deftest a-report
  (let [{:keys [domain hash agreeing sources at]} (look {:txt (assoc txt :dnssec :secure) :srv {:rows [{:priority 0 :weight 0 :port 7075 :host "a."}]}})]
    (is (= ["social.example" (bytes/hex-> digits) 1 1000] [domain hash agreeing at]))
    (is (= [[:txt :present :secure] [:well-known :absent nil] [:srv :present nil] [:submit-srv :absent nil]]
          (map (juxt :source :status :dnssec) sources)))
    (is (every? #(and (<= 1000 (:at %)) (nat-int? (:took-ms %))) sources)))
  (testing "a source sees the domain"
    (is (= (bytes/hex-> digits) (:hash (look {:txt (fn [domain] (is (= "social.example" domain)) txt)}))))))

(deftest disagreement-stops
  (is (= [:discover/conflict :conflict]
        ((juxt :poz/error :poz/anomaly) (look {:txt txt :well-known (web (apply str (repeat 64 "b")))}))))
  (is (= :discover/conflict (:poz/error (look {:txt txt} {:pinned (bytes/zeros 32)}))))
  (is (= :discover/policy (:poz/error (look {:txt txt} {:policy :both}))))
  (is (= :discover/bogus (:poz/error (look {:txt (assoc (error/anomaly :discover/bogus) :dnssec :bogus) :well-known (web digits)})))))

(deftest a-silent-source-costs-its-time-only
  (let [{:keys [sources hash took-ms]} (look {:txt txt :well-known :silent} {:deadline-ms 200})]
    (is (= (bytes/hex-> digits) hash))
    (is (= :net/timeout (:poz/error (:error (second sources)))))
    (is (<= 200 took-ms 10000))))

(deftest a-source-that-breaks-is-one-that-failed
  (let [ask (discover/fake {:txt txt})]
    (are [break] (= [:failed :fault/internal]
                   ((juxt :status (comp :poz/error :error))
                    (second (:sources (discover/discover "social.example" {:now 1 :ask (fn [s d ms] (if (= :well-known s) (break) (ask s d ms)))})))))
      #(throw (IllegalStateException. "broken"))
      #(CompletableFuture/failedFuture (IllegalStateException. "broken")))))

(deftest cancelling-ends-the-asking
  (let [asked (repeatedly 4 #(CompletableFuture.)) left (atom asked)
        future (discover/discover-async "social.example" {:now 1 :ask (fn [_ _ _] (let [[f] @left] (swap! left rest) f))})]
    (is (= [] @left))
    (.cancel future true)
    (is (every? #(.isCancelled ^CompletableFuture %) asked))))

(deftest what-makes-no-sense
  (is (= :format/domain (:poz/error (discover/discover "a b" {:now 1 :ask (fn [& _] (throw (AssertionError.)))}))))
  (are [options] (thrown? IllegalArgumentException (look {} options))
    {:nope 1} {:now nil} {:policy :nope} {:require [:nope]} {:deadline-ms 0}))
