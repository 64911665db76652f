(ns poz.authority.held-test
  "What is remembered of records, and that a submission finds nothing else than what is held."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.authorities :as a]
   [poz.authority.held :as held]
   [poz.authority.state :as state]
   [poz.bytes :as bytes]
   [poz.handles :as h]
   [poz.proof :as proof]
   [poz.record :as record]
   [poz.store :as store]))

(set! *warn-on-reflection* true)

(def ^:private t0 h/t0)

(defn- file [person] [(h/hash-of (:record person)) (h/update-of person)])

(def ^:private alice (h/person "alice"))
(def ^:private alice-2 (h/serving alice 443 (+ (long t0) 5)))

(deftest bytes-are-decoded-unless-they-are-known
  (let [memory (held/held 100000) [hash b] (file alice) [_ b-2] (file alice-2)
        marked (vary-meta (record/decode b) assoc ::kept true)
        kept? #(::kept (meta (held/record memory hash %)))]
    (is (= (record/decode b) (held/record nil hash b) (held/record memory hash b)))
    (held/keep! nil b marked)
    (held/keep! memory b marked)
    (is (kept? b))
    (is (kept? (bytes/copy-of (bytes/->array b))))
    (is (not (kept? b-2)) "what another process has put in its place is not known")
    (is (= (record/decode b-2) (held/record memory hash b-2)))
    (is (= :malformed (:poz/anomaly (held/record memory hash (bytes/slice b 0 100)))))
    (held/keep! memory b-2 (record/decode b-2))
    (is (= [false 1] [(boolean (kept? b)) (held/size memory)]) "one record takes one place")))

(deftest the-room-is-bounded
  (let [memory (held/held 20000)]
    (doseq [i (range 200) :let [p (h/person (str i))]]
      (held/keep! memory (h/update-of p) (:record p)))
    (is (< 10 (long (held/size memory)) 100))
    (let [tiny (held/held 10)]
      (held/keep! tiny (h/update-of alice) (:record alice))
      (is (= 0 (held/size tiny))))))

;; At an authority

(defn- submit [w person now]
  (:status (a/ask w now {:type :submit :payload (h/update-of person)})))

(defn- stored [{:keys [store]} person]
  (let [k (state/record-key (h/hash-of (:record person)))]
    (get (store/fetch store [k]) k)))

(defn- found
  "The record that the authority finds for what it holds of `person`."
  [{:keys [config] :as w} person]
  (held/record (:held config) (h/hash-of (:record person)) (stored w person)))

(defn- world []
  (a/world (constantly :approve) {:held (held/held 100000)}))

(deftest what-was-taken-is-known
  (let [w (world)
        p (a/activated w alice "alice" (+ (long t0) 1000))
        next (h/serving p 443 (+ (long t0) 2000))]
    (is (some? (proof/of (found w p))))
    (is (= :ok (submit w next (+ (long t0) 3000))))
    (is (some? (proof/of (found w p))))
    (is (= (record/decode (stored w p)) (found w p) (record/decode (h/update-of next))))
    (is (= 1 (held/size (:held (:config w)))))))

(deftest what-was-refused-is-not
  (let [w (world)
        p (a/activated w alice "alice" (+ (long t0) 1000))
        next (h/serving p 443 (+ (long t0) 2000))
        broken (fn [zone] (assoc-in next [:record zone :signatures 0 :signature] (bytes/zeros 64)))
        bad (assoc-in next [:record :service-zone :grant :signatures 0 :signature] (bytes/zeros 64))
        before (found w p)
        ask #(submit w % (+ (long t0) 3000))]
    (is (some? (proof/of before)))
    (is (= :rejected (ask bad)))
    (is (identical? before (found w p)))
    (is (= :rejected (ask bad)) "again")
    (is (= :ok (ask (broken :master-zone))) "the revision that is held is kept, whatever came")
    (is (= (:record next) (found w p)))
    (is (= :conflict (ask (h/serving p 445 (+ (long t0) 2500)))))
    (is (= (:record next) (found w p)))))

(deftest what-another-process-put-there-is-proven-anew
  (let [w (world)
        p (a/activated w alice "alice" (+ (long t0) 1000))
        one (h/serving p 443 (+ (long t0) 2000))
        two (h/serving one 444 (+ (long t0) 4000))
        k (state/record-key (h/hash-of (:record p)))]
    (store/commit! (:store w) {} {k (h/update-of one)})
    (is (nil? (proof/of (found w p))))
    (is (= :ok (submit w two (+ (long t0) 5000))))
    (is (some? (proof/of (found w p))))
    (testing "a record that does not hold is not taken from there either"
      (let [broken (assoc-in (:record two) [:master-zone :signatures 0 :signature] (bytes/zeros 64))]
        (store/commit! (:store w) {} {k (record/encode broken)})
        (is (= :rejected (submit w (h/serving two 445 (+ (long t0) 6000)) (+ (long t0) 7000))))))))
