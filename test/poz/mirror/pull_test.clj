(ns poz.mirror.pull-test
  "Pulling one record and many, without a network."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.mirror :as mirror]
   [poz.mirror-world :as w]
   [poz.mirror.pull :as pull]
   [poz.record :as record])
  (:import
   (java.util.concurrent CompletableFuture TimeUnit)))

(set! *warn-on-reflection* true)

(defn- with-source [up options f]
  (let [m (w/mirror up options)]
    (try (f (:source m)) (finally (mirror/stop! m)))))

(defn- pulled [source subject more]
  (.get (pull/pull-async source subject (pull/providers source) more) 30 TimeUnit/SECONDS))

(deftest one-record
  (let [{:keys [alice] :as up} (w/upstream) hash (h/hash-of (:record alice))]
    (with-source up {}
      (fn [source]
        (let [{:keys [outcome record subject before bindings]} (pulled source {:hash hash} {})]
          (is (= [:new (record/public-view (:record alice)) {:hash hash} nil {}] [outcome record subject before bindings])))
        (is (= [:wire/not-found {:hash (bytes/zeros 32)}] ((juxt :poz/error :subject) (pulled source {:hash (bytes/zeros 32)} {}))))
        (testing "kept, it is compared from then on"
          (pull/commit! source [(pulled source {:hash hash} {})])
          (is (= (record/public-view (:record alice)) (pull/held source hash)))
          (is (= :unchanged (:outcome (pulled source {:hash hash} {})))))
        (testing "by another name it is seen to be held"
          (pull/commit! source [(pulled source {:domain "social.example"} {})])
          (let [found (pulled source {:domain "social.example"} {})]
            (is (= [:updated (:record found)] [(:outcome found) (:held found)]))
            (is (some? (:before found)))))
        (testing "nothing to keep"
          (is (nil? (pull/commit! source [])))
          (is (nil? (pull/commit! source [(error/anomaly :net/timeout)]))))))))

(deftest a-defect-is-an-anomaly-and-reported
  (let [up (w/upstream) seen (atom [])]
    (with-source up {:exchange (fn [_ _] (throw (IllegalStateException. "a defect"))) :on-error #(swap! seen conj (ex-message %))}
      (fn [source]
        (is (= :fault/internal (:poz/error (pulled source {:hash (bytes/zeros 32)} {}))))
        (is (= ["a defect"] @seen))))))

(deftest many-records-so-many-at-a-time
  (let [flying (atom 0) most (atom 0)
        up (w/upstream)
        exchange (fn [_ _]
                   (swap! most max (swap! flying inc))
                   (CompletableFuture/supplyAsync (fn [] (swap! flying dec) (error/anomaly :wire/not-found))))
        hashes (mapv #(crypto/sha3-256 (bytes/utf8 (str %))) (range 200)) groups (atom [])]
    (with-source up {:exchange exchange}
      (fn [source]
        (let [all! (fn [stop?] (reset! groups []) (pull/pull-all! source hashes 5 (constantly nil) stop? #(swap! groups into %)))]
          (is (nil? (all! (constantly false))))
          (is (= (set hashes) (set (map (comp :hash :subject) @groups))))
          (is (= 200 (count @groups)))
          (is (<= 1 @most 5))
          (testing "until it is told to stop"
            (is (nil? (all! #(<= 20 (count @groups)))))
            (is (<= 20 (count @groups) 30)))
          (is (nil? (pull/pull-all! source [] 5 (constantly nil) (constantly false) #(throw (ex-info "none" {:o %}))))))))
    (testing "or nobody answers, three times in a row"
      (with-source up {:exchange (fn [_ _] (CompletableFuture/completedFuture (error/anomaly :net/timeout)))}
        (fn [source]
          (reset! groups [])
          (is (= :net/timeout (:poz/error (pull/pull-all! source hashes 1 (constantly nil) (constantly false) #(swap! groups into %)))))
          (is (= 3 (count @groups))))))))
