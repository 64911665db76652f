(ns poz.mirror.pull-test
  "Pulling one record and many, without a network."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.handles :as h]
   [poz.mirror :as mirror]
   [poz.mirror-world :as w]
   [poz.mirror.pull :as pull]
   [poz.record :as record])
  (:import
   (clojure.lang ExceptionInfo)
   (java.util.concurrent CompletableFuture ExecutorService RejectedExecutionException TimeUnit)))

(set! *warn-on-reflection* true)

(defn- with-source [up options f]
  (let [m (w/mirror up options)]
    (try (f (:source m)) (finally (mirror/stop! m)))))

(defn- pulled [source subject more]
  (.get (pull/pull-async source subject (pull/providers source) more) 30 TimeUnit/SECONDS))

(defn- public [{:keys [record]}] (record/public-view record))

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

(deftest one-that-fails-stops-no-other
  (let [{:keys [alice bob how] :as up} (w/upstream)
        people [alice bob] hash-of (comp h/hash-of :record)
        damaged (record/encode (assoc (record/public-view (:record alice)) :public-key-map (:public-key-map (:record bob))))
        groups (atom [])]
    (reset! how (fn [{:keys [payload] :as request}]
                  (when (= (hash-of alice) (:hash payload)) ((w/responding :record (constantly damaged)) request))))
    (with-source up {}
      (fn [source]
        (is (nil? (pull/pull-all! source (into [(bytes/zeros 32)] (map hash-of) people) 1 (pull/providers source) (constantly false)
                    #(swap! groups conj %))))
        (is (= [[[:wire/not-found nil] [:chain/current-hash nil] [nil :new]]] (map #(map (juxt :poz/error :outcome) %) @groups))
          "handed over together, each for itself")
        (pull/commit! source (first @groups))
        (is (= [nil (record/public-view (:record bob))] (map #(pull/held source (hash-of %)) people)))))))

(deftest what-is-handed-over-together-is-bounded
  (let [up (w/upstream) clock (:clock up) sizes (atom []) waiting (atom [])
        hashes (mapv #(crypto/sha3-256 (bytes/utf8 (str %))) (range 600))
        all! (fn [exchange] (with-source up {:exchange exchange}
                              (fn [source]
                                (reset! sizes [])
                                (pull/pull-all! source hashes 8 (constantly nil) (constantly false) #(swap! sizes conj (count %)))
                                @sizes)))
        none (fn [_ _] (CompletableFuture/completedFuture (error/anomaly :wire/not-found)))]
    (is (= [256 256 88] (all! none)) "in number")
    (testing "and in time"
      (let [sizes (all! (fn [a b] (swap! clock + 10) (none a b)))]
        (is (= 600 (reduce + sizes)))
        (is (< (long (reduce max sizes)) 40))))
    (testing "and no more is asked while it is kept"
      (with-source up {:exchange none}
        (fn [source]
          (pull/pull-all! source (take 300 hashes) 8 (constantly nil) (constantly false) #(swap! waiting conj (count %)))
          (is (= [256 44] @waiting)))))))

(deftest what-is-long-is-pulled-after-all-others-alone
  (let [{:keys [alice bob] :as up} (w/upstream) all (w/hashes up) whole (long (:response-payload messages/limits))
        flying (atom 0) most (atom 0) groups (atom [])
        exchange (fn [{:keys [max-response] :as options} b]
                   (swap! most max (swap! flying + max-response))
                   (let [^CompletableFuture answer ((:exchange up) options b)]
                     (CompletableFuture/supplyAsync (fn [] (swap! flying - max-response) (.join answer)))))
        all! (fn [source at-once]
               (reset! groups [])
               (pull/pull-all! source all at-once (pull/providers source) (constantly false) #(swap! groups into %))
               [(map :outcome @groups) (w/asked! up)])]
    (with-source up {:exchange exchange}
      (fn [source]
        (testing "as the server announces it"
          (is (= [[:new :new] [:record :record]] (all! source 32)))
          (is (= [[:new :new] [:record :record :record :record]] (all! source (quot whole 512))) "each has room for 512 bytes"))
        (testing "as it is held: then nothing is asked beside others"
          (pull/commit! source @groups)
          (is (= [[:unchanged :unchanged] [:serial :serial]] (all! source (quot whole 512)))))
        (is (<= 1 @most whole) "all that is asked at a time has the room of one answer")
        (is (= [(public alice) (public bob)] (map #(pull/held source %) all)))))
    (testing "what is too long even so fails, once"
      (with-source up {:exchange (fn [_ _] (swap! (:asked up) conj :exchange) (CompletableFuture/completedFuture (error/anomaly :wire/too-large)))}
        (fn [source]
          (is (= [[nil nil] (repeat 4 :exchange)] (all! source 2)))
          (is (= [:wire/too-large :wire/too-large] (map :poz/error @groups))))))))

(deftest what-is-thrown-where-outcomes-are-kept-ends-it
  (let [hashes (mapv #(crypto/sha3-256 (bytes/utf8 (str %))) (range 600)) up (w/upstream)
        exchange (fn [_ _] (CompletableFuture/completedFuture (error/anomaly :wire/not-found)))]
    (with-source up {:exchange exchange}
      (fn [source]
        (doseq [at-once [1 8]]
          (is (= "full" (try (pull/pull-all! source hashes at-once (constantly nil) (constantly false) (fn [_] (throw (ex-info "full" {}))))
                             (catch ExceptionInfo e (ex-message e))))))
        (.shutdown ^ExecutorService (:executor source))
        (is (thrown? RejectedExecutionException
              (pull/pull-all! source hashes 8 (constantly nil) (constantly false) identity)))))))

(deftest many-records-so-many-at-a-time
  (let [flying (atom 0) most (atom 0) asked (atom 0)
        up (w/upstream)
        exchange (fn [_ _]
                   (swap! asked inc)
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
            (reset! asked 0)
            (is (nil? (all! #(<= 20 @asked))))
            (is (<= 20 (count @groups) 25)))
          (is (nil? (pull/pull-all! source [] 5 (constantly nil) (constantly false) #(throw (ex-info "none" {:o %}))))))))
    (testing "or nobody answers, three times in a row"
      (with-source up {:exchange (fn [_ _] (CompletableFuture/completedFuture (error/anomaly :net/timeout)))}
        (fn [source]
          (reset! groups [])
          (is (= :net/timeout (:poz/error (pull/pull-all! source hashes 1 (constantly nil) (constantly false) #(swap! groups into %)))))
          (is (= 3 (count @groups))))))))
