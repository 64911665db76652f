(ns poz.authority.answers-test
  "Ready-made answers are those that would be made anew, whatever is committed meanwhile."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.authorities :as a]
   [poz.authority :as authority]
   [poz.authority.answers :as answers]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.store :as store]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent CountDownLatch TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private t0 h/t0)
(def ^:private alice (h/person "alice"))
(def ^:private room (* 1024 1024))

(defn- with-answers
  "The world with ready-made answers in front."
  ([world] (with-answers world {:bytes room}))
  ([world options]
   (let [kept (answers/answers options)]
     (assoc world :answers kept :store (answers/watched kept (:store world))))))

(defn- asked [type id payload]
  (wire/encode-request {:type type :id id :payload payload}))

(defn- ready [{:keys [answers]} contract b]
  (answers/lookup answers {:bytes b :contract contract :address "192.0.2.1"}))

(defn- answer!
  "The bytes of the response to the request `b`."
  [{:keys [answers store config]} now b]
  (second (answers/answer! answers store config (wire/decode-request b) b (a/facts now))))

(def ^:private of-provider {:domain "social.example"})
(defn- of-hash [person] {:hash (h/hash-of (:record person))})

(deftest an-answer-is-kept-with-another-id
  (let [w (with-answers (a/world (constantly :approve)))]
    (doseq [type [:master :record :serial :mirrors]
            :let [b (asked type 1 of-provider)]]
      (testing type
        (is (nil? (ready w :query b)))
        (let [out (answer! w (+ t0 20) b)]
          (is (= out (ready w :query b)))
          (is (= (assoc (wire/decode-response out type) :id 65535)
                (wire/decode-response (ready w :plain (asked type 65535 of-provider)) type))))))
    (is (= 4 (answers/size (:answers w))))))

(deftest only-where-it-is-answered
  (let [w (with-answers (a/world (constantly :approve)))
        record (asked :record 1 of-provider) serial (asked :serial 1 of-provider)]
    (answer! w (+ t0 20) record)
    (answer! w (+ t0 20) serial)
    (are [contract b found] (= found (some? (ready w contract b)))
      :plain record true, :query record true, 7075 record true, :submit record false, 7076 record false
      :submit serial true, 7074 serial true, :nope serial false)))

(deftest what-is-not-kept
  (let [w (with-answers (a/world (constantly :approve)))
        work {:challenge (bytes/zeros 16) :timestamp 1 :nonce 1}]
    (doseq [[what b] {"the clock" (asked :status 1 {})
                      "a challenge" (asked :challenge 1 {})
                      "nothing held" (asked :record 1 (of-hash alice))
                      "with work" (wire/encode-request {:type :record :id 1 :payload of-provider :pow work})
                      "a submission" (asked :submit 1 (h/update-of alice))}]
      (testing what
        (answer! w (+ t0 20) b)
        (is (nil? (ready w :query b)))))
    (is (= 0 (answers/size (:answers w))))
    (doseq [b [bytes/empty (bytes/zeros 1) (bytes/zeros 4) (bytes/zeros 5) (bytes/zeros 100)]]
      (is (nil? (ready w :query b))))))

(deftest none-at-all
  (doseq [options [{:bytes 0} {:bytes room :ms 0}]]
    (let [w (with-answers (a/world (constantly :approve)) options) b (asked :record 1 of-provider)]
      (is (= :ok (:status (wire/decode-response (answer! w (+ t0 20) b) :record))))
      (is (nil? (ready w :query b))))))

(deftest a-commit-takes-back-what-it-changes
  (let [w (with-answers (a/world (constantly :approve)))
        alice (a/activated w alice "alice" (+ t0 100))
        of-alice (asked :record 1 (of-hash alice))
        by-handle (asked :identity 1 {:handle (a/address "alice")})
        provider (asked :record 1 of-provider)
        keep-all! #(run! (partial answer! w (+ t0 200)) [of-alice by-handle provider])]
    (keep-all!)
    (testing "his record"
      (is (= :ok (:status (a/ask w (+ t0 400) {:type :submit :payload (h/update-of (h/serving alice 1 (+ t0 300)))}))))
      (is (= [nil nil true] [(ready w :query of-alice) (ready w :query by-handle) (some? (ready w :query provider))])))
    (testing "the same update again changes nothing"
      (keep-all!)
      (is (= :ok (:status (a/ask w (+ t0 400) {:type :submit :payload (h/update-of (h/serving alice 1 (+ t0 300)))}))))
      (is (some? (ready w :query of-alice))))
    (testing "his handle, with which the record goes"
      (is (= :ok (:status (a/ask w (+ t0 600) {:type :submit :payload (h/update-of (h/denying (h/serving alice 1 (+ t0 300)) (+ t0 500)))}))))
      (is (nil? (ready w :query by-handle)))
      (is (= :not-found (:status (wire/decode-response (answer! w (+ t0 700) by-handle) :identity)))))))

(deftest room-is-bounded
  (let [w (with-answers (a/world (constantly :approve)) {:bytes 3000})]
    (dotimes [i 200]
      (answer! w (+ t0 20) (asked :chain 1 {:subject of-provider :from (inc i)})))
    (.cleanUp ^com.github.benmanes.caffeine.cache.Cache (:cache (:answers w)))
    (is (<= 1 (answers/size (:answers w)) 10))))

(deftest an-answer-ends
  (let [w (with-answers (a/world (constantly :approve)) {:bytes room :ms 1})
        b (asked :record 1 of-provider)
        end (+ (System/nanoTime) 10000000000)]
    (answer! w (+ t0 20) b)
    (is (loop [] (cond (nil? (ready w :query b)) true
                       (< (System/nanoTime) end) (do (Thread/onSpinWait) (recur)))))))

;; Races

(deftest an-answer-that-was-read-before-a-commit-and-kept-after-it-never-holds
  (let [base (a/world (constantly :approve))
        alice (a/activated base alice "alice" (+ t0 100))
        reading (CountDownLatch. 1) committed (CountDownLatch. 1)
        w (with-answers base)
        slow (reify store/Store
               (fetch [_ ks]
                 (let [found (store/fetch (:store w) ks)]
                   (.countDown reading)
                   (.await committed 30 TimeUnit/SECONDS)
                   found))
               (scan [_ kind after limit] (store/scan (:store w) kind after limit))
               (commit! [_ expected changes] (store/commit! (:store w) expected changes))
               (close! [_] nil))
        b (asked :record 1 (of-hash alice))
        reader (future (answer! (assoc w :store slow) (+ t0 200) b))]
    (is (.await reading 30 TimeUnit/SECONDS))
    (is (= :ok (:status (a/ask w (+ t0 400) {:type :submit :payload (h/update-of (h/serving alice 1 (+ t0 300)))}))))
    (.countDown committed)
    (is (= :ok (:status (wire/decode-response (deref reader 30000 nil) :record))))
    (is (nil? (ready w :query b)))))

(deftest a-commit-that-nobody-can-tell-of-takes-back-too
  (let [base (a/world (constantly :approve))
        kept (answers/answers {:bytes room})
        unsure (answers/watched kept
                 (reify store/Store
                   (fetch [_ ks] (store/fetch (:store base) ks))
                   (scan [_ _ _ _] [])
                   (commit! [_ expected changes]
                     (store/commit! (:store base) expected changes)
                     (error/fail! :store/lost))
                   (close! [_] nil)))
        w (assoc base :store unsure :answers kept)
        b (asked :record 1 of-provider)]
    (answer! w (+ t0 20) b)
    (is (some? (ready w :query b)))
    (is (= :store/lost (:poz/error (error/attempt #(store/commit! unsure {} {[:record a/provider-hash] nil})))))
    (is (nil? (ready w :query b)))))

;; Any interleaving

(def ^:private people
  "Three people with live handles, each with the updates that he may submit in turn."
  (let [w (a/world (constantly :approve))
        live (mapv (fn [i] (a/activated w (h/person (str "p" i)) (str "p" i) (+ t0 100 (* 10 (long i))))) (range 3))]
    {:content @(:content (:store w))
     :updates (mapv (fn [person]
                      (let [steps (reductions (fn [p n] (h/serving p n (+ t0 1000 (long n)))) person (range 1 5))]
                        (mapv h/update-of (conj (vec (rest steps)) (h/denying (last steps) (+ t0 2000))))))
                live)
     :hashes (mapv of-hash live)}))

(defn- world-of-people []
  (let [w (a/world (constantly :approve))]
    (store/commit! (:store w) {} (:content people))
    w))

(def ^:private gen-step
  (gen/one-of
    [(gen/tuple (gen/return :submit) (gen/choose 0 2))
     (gen/tuple (gen/elements [:record :master :serial :chain :zones :identity]) (gen/choose 0 2))]))

(defn- numbered
  "`steps`, each submission with the number of its person's update: each of them in turn, then again."
  [steps]
  (second (reduce (fn [[sent out] [type i]]
                    (if (= :submit type)
                      [(update sent i inc) (conj out [type i (rem (long (sent i)) 5)])]
                      [sent (conj out [type i])]))
            [[0 0 0] []] steps)))

(defn- step-bytes [[type i n]]
  (let [subject (get-in people [:hashes i])]
    (case type
      :submit (asked :submit 1 (get-in people [:updates i n]))
      :chain (asked :chain 1 {:subject subject :from 1})
      :zones (asked :zones 1 {:subject subject :zones [:identity :service]})
      :identity (asked :identity 1 {:handle (a/address (str "p" i))})
      (asked type 1 subject))))

(defn- kept-or-new [w now b]
  (or (ready w :query b) (answer! w now b)))

(defspec any-order-of-submissions-and-queries 10
  (prop/for-all [steps (gen/vector gen-step 0 25)]
    (let [plain (world-of-people) quick (with-answers (world-of-people))]
      (every? (fn [[step now]]
                (let [b (step-bytes step)]
                  (= (answer! plain now b) (kept-or-new quick now b))))
        (map vector (numbered steps) (iterate inc (+ t0 5000)))))))

(deftest nobody-gets-what-was-there-before-an-acknowledged-commit
  (let [w (with-answers (world-of-people))
        b (asked :serial 1 (get-in people [:hashes 0]))
        grant #(let [{:keys [payload]} (wire/decode-response % :serial)]
                 (or (some (fn [{:keys [zone grant deny]}] (when (= :service zone) (+ (long grant) (long deny)))) (:zones payload)) 0))
        acknowledged (atom 0) done (atom false)
        readers (mapv (fn [_]
                        (future
                          (loop [n 0]
                            (let [at-least @acknowledged
                                  found (grant (kept-or-new w (+ t0 6000) b))]
                              (cond
                                (< (long found) (long at-least)) [:stale at-least found]
                                @done n
                                :else (recur (inc n)))))))
                  (range 3))]
    (doseq [[n update] (map-indexed vector (take 4 (get-in people [:updates 0])))]
      (dotimes [_ 50] (kept-or-new w (+ t0 6000) b))
      (authority/answer! (:store w) (:config w) (wire/decode-request (asked :submit 1 update)) (a/facts (+ t0 6000)))
      (reset! acknowledged (inc (long n))))
    (reset! done true)
    (is (every? int? (map #(deref % 30000 :late) readers)))
    (is (= 4 (grant (kept-or-new w (+ t0 6000) b))))))
