(ns poz.client.attempt-test
  "Asking one server after another, over a network that is made up: `:exchange` is a function."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.client.attempt :as attempt]
   [poz.client.servers :as servers]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.pow :as pow]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent CompletableFuture CountDownLatch ExecutionException ForkJoinPool ForkJoinTask TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private request {:type :status :id 7 :payload {}})
(def ^:private status {:software "x" :role :cache :time 0 :oldest 0 :newest 0})
(def ^:private good {:status :ok :payload status})

(defn- server [host] (servers/prepare {:host host :encryption :none} :status))

(defn- done [v] (CompletableFuture/completedFuture v))

(defn- network
  "An `:exchange` of host → what it answers in turn, the last for ever: a response, an anomaly, bytes,
  a future or an exception. What is asked goes to the atom `asked`."
  [asked hosts]
  (fn [{:keys [host] :as options} b]
    (let [n (count (filter #(= host (:host %)) @asked))
          [x & more] (drop (min n (dec (count (hosts host)))) (hosts host))]
      (swap! asked conj (assoc options :request (wire/decode-request b)))
      (cond
        (instance? CompletableFuture x) x
        (instance? Throwable x) (CompletableFuture/failedFuture x)
        (or (error/anomaly? x) (bytes/bytes? x)) (done x)
        :else (done (wire/encode-response (merge {:id 7} x) :status))))))

(defn- value [^CompletableFuture f] (.get f 20 TimeUnit/SECONDS))

(defn- ask-async
  [hosts & {:as options}]
  (let [asked (atom [])]
    [(attempt/ask-async (mapv server (sort (keys hosts))) request
       (merge {:executor (ForkJoinPool/commonPool) :deadline-ms 10000 :max-difficulty 12 :random crypto/random-bytes
               :exchange (network asked hosts)} (dissoc options :judge))
       (:judge options identity))
     asked]))

(defn- ask [hosts & {:as options}]
  (let [[future asked] (ask-async hosts options)]
    [(value future) (mapv :host @asked)]))

(defn- told [[found asked]]
  [(or (:poz/error found) (:status found)) asked])

(deftest the-first-that-answers
  (let [[found asked] (ask {"a" [good]})]
    (is (= [(assoc good :server (server "a") :failures []) ["a"]] [found asked])))
  (are [expected hosts] (= expected (told (ask hosts)))
    [:ok ["a" "b"]] {"a" [(error/anomaly :net/unreachable)] "b" [good]}
    [:ok ["a" "b"]] {"a" [(error/anomaly :net/closed)] "b" [good]}
    [:ok ["a" "b"]] {"a" [{:status :failed :payload {:code "internal" :message ""}}] "b" [good]}
    [:ok ["a" "b"]] {"a" [{:status :unsupported :payload {:code "wire/unsupported" :message ""}}] "b" [good]}
    [:ok ["a" "b"]] {"a" [(bytes/utf8 "HTTP/1.1")] "b" [good]}
    [:ok ["a" "b"]] {"a" [(assoc good :id 8)] "b" [good]}
    [:ok ["a" "b" "c"]] {"a" [(error/anomaly :net/timeout)] "b" [(error/anomaly :noise/decrypt)] "c" [good]}
    [:wire/other-id ["a" "b"]] {"a" [(assoc good :id 8)] "b" [(error/anomaly :net/timeout)]})
  (is (= [:net/unreachable] (map :poz/error (:failures (first (ask {"a" [(error/anomaly :net/unreachable)] "b" [good]})))))))

(deftest what-is-answered-is-not-asked-of-another
  (are [error response] (= [error ["a"]] (told (ask {"a" [response] "b" [good]})))
    :wire/not-found {:status :not-found :payload {}}
    :wire/rejected {:status :rejected :payload {:code "policy/refused" :message ""}}
    :wire/unreadable {:status :malformed :payload {:code "format/count" :message ""}}
    :wire/conflict {:status :conflict :payload {:serial 1 :current-master-hash (bytes/zeros 32) :zones []}}
    :request/taken {:status :conflict}
    :wire/too-large {:status :too-large :payload 10}))

(deftest what-is-judged
  (is (= [:signature/bad ["a" "b"]] (told (ask {"a" [good] "b" [good]} :judge (constantly (error/anomaly :signature/bad))))))
  (testing "in the executor, whoever brings the answer"
    (let [pool (ForkJoinPool. 1)
          [found] (ask {"a" [good]} :executor pool :judge (fn [_] {:pool (ForkJoinTask/getPool)}))]
      (.shutdown pool)
      (is (identical? pool (:pool found)))))
  (testing "a defect comes out as it is"
    (is (thrown-with-msg? ExecutionException #"Divide" (ask {"a" [good]} :judge (fn [_] (/ 1 (long 0))))))
    (is (thrown-with-msg? ExecutionException #"broken" (ask {"a" [(IllegalStateException. "broken")]})))))

(deftest busy-servers-wait-their-time
  (let [busy {:status :busy :id 0 :payload 1}]
    (is (= [:ok ["a" "a"]] (told (ask {"a" [busy good]}))))
    (is (= [:ok ["a" "b" "a"]] (told (ask {"a" [busy good] "b" [(error/anomaly :net/closed)]}))))
    (is (= [:wire/busy ["a"]] (told (ask {"a" [{:status :busy :payload 60000}]}))) "longer than there is time")))

(deftest one-that-hangs-leaves-time-to-the-next
  (let [[future asked] (ask-async {"a" [(CompletableFuture.)] "b" [good]} :deadline-ms 3000)
        found (value future)]
    (is (= :ok (:status found)))
    (is (= [:net/timeout] (map :poz/error (:failures found))))
    (is (= [1500 true] [(:deadline-ms (first @asked)) (< 0 (long (:deadline-ms (second @asked))) 1501)]))))

(deftest all-hang
  (let [[found asked] (ask {"a" [(CompletableFuture.)] "b" [(CompletableFuture.)]} :deadline-ms 300)]
    (is (= [:net/timeout "a"] [(:poz/error found) (first asked)]))
    (is (= #{:net/timeout} (set (map :poz/error (:failures found)))))))

;; Work

(defn- challenge [difficulty] (pow/challenge (bytes/secret (bytes/zeros 32)) bytes/empty 0 difficulty))
(defn- work-wanted [difficulty] {:status :pow-required :payload (challenge difficulty)})

(deftest work-is-done
  (let [[future asked] (ask-async {"a" [(work-wanted 8) good]})
        found (value future)
        pow (:pow (:request (second @asked)))]
    (is (= [:ok nil] [(:status found) (:pow (:request (first @asked)))]))
    (is (pow/solution? :status bytes/empty 8 pow))
    (is (= (:challenge (challenge 8)) (:challenge pow)))))

(deftest work-has-bounds
  (testing "above the most that the caller does"
    (is (= [:wire/work-required ["a"]] (told (ask {"a" [(work-wanted 13)]}))))
    (is (= [:ok ["a" "b"]] (told (ask {"a" [(work-wanted 200)] "b" [good]}))))
    (is (= [:wire/work-required ["a"]] (told (ask {"a" [(work-wanted 1)]} :max-difficulty 0)))))
  (testing "in time"
    (let [[found] (ask {"a" [(work-wanted 200)]} :max-difficulty 255 :deadline-ms 2000)]
      (is (= [:wire/work-required "200 zero bits were not found in time"] ((juxt :poz/error :rule) found)))))
  (testing "and not for ever"
    (is (= [:wire/work-required ["a" "a" "a" "a"]] (told (ask {"a" [(work-wanted 1)]}))))))

;; Cancelling

(deftest cancelled
  (testing "what is under way ends"
    (let [hanging (CompletableFuture.)
          [^CompletableFuture future] (ask-async {"a" [hanging]})]
      (.cancel future true)
      (is (.isCancelled hanging))))
  (testing "a wait ends, and nobody is asked any more"
    (let [[^CompletableFuture future asked] (ask-async {"a" [{:status :busy :payload 5000}] "b" [(CompletableFuture.)]})]
      (.cancel future true)
      (is (.isCancelled future))
      (is (>= 2 (count @asked)))))
  (testing "work ends"
    (let [started (CountDownLatch. 1)
          pool (ForkJoinPool. 1)
          [^CompletableFuture future] (ask-async {"a" [(work-wanted 250)]} :max-difficulty 255 :executor pool
                                        :random (fn [n] (.countDown started) (bytes/zeros n)))]
      (is (.await started 10 TimeUnit/SECONDS))
      (.cancel future true)
      (.shutdown pool)
      (is (.awaitTermination pool 10 TimeUnit/SECONDS)))))
