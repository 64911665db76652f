(ns poz.mirror.status-test
  "What a mirror knows of itself."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.mirror :as mirror]
   [poz.mirror-world :as w]
   [poz.mirror.holding :as holding]
   [poz.mirror.pull :as pull]
   [poz.mirror.status :as status]
   [poz.store :as store]))

(set! *warn-on-reflection* true)

(defn- with-mirror [options f]
  (let [up (w/upstream) m (w/mirror up options)]
    (try (f m up) (finally (mirror/stop! m)))))

(deftest a-check-is-kept-now-and-then
  (with-mirror {:stale-ms 8000}
    (fn [{:keys [source] :as m} {:keys [clock]}]
      (let [kept #(holding/checked-at (pull/reader (:store source)) w/provider-hash)
            round! (fn [ms] (swap! clock + ms) (mirror/round! m))]
        (round! 0)
        (is (= [w/now w/now] [(kept) (status/checked-at m w/provider-hash)]))
        (round! 999)
        (is (= [w/now (+ (long w/now) 999)] [(kept) (status/checked-at m w/provider-hash)]) "not at each check")
        (round! 1)
        (is (= (+ (long w/now) 1000) (kept)) "but an eighth of :stale-ms later")
        (is (nil? (status/checked-at m (bytes/zeros 32))))
        (testing "and found again"
          (let [again (status/state (:store source))]
            (is (= (+ (long w/now) 1000) (status/checked-at again w/provider-hash)))
            (is (= 3 (count (status/hashes again))))))))))

(deftest many-are-found-again
  (let [s (store/memory) hashes (mapv #(crypto/sha3-256 (bytes/utf8 (str %))) (range 2500))]
    (store/commit! s {} (into {} (map-indexed (fn [i h] (holding/put-checked h i))) hashes))
    (let [found (status/state s)]
      (is (= (set hashes) (set (status/hashes found))))
      (is (= 2400 (status/checked-at found (hashes 2400)))))))

(deftest a-server-that-is-silent-is-left-alone
  (with-mirror {}
    (fn [m {:keys [clock]}]
      (is (false? (status/away? m)))
      (status/silent! m (error/anomaly :net/timeout))
      (is (true? (status/away? m)))
      (swap! clock + 60000)
      (is (false? (status/away? m)))
      (status/silent! m (assoc (error/anomaly :wire/busy) :wait-ms 100000))
      (swap! clock + 99999)
      (is (true? (status/away? m)) "as long as it asked for")
      (status/answered! m)
      (is (false? (status/away? m))))))

(deftest conflicts-are-bounded
  (let [seen (atom 0)]
    (with-mirror {:on-conflict (fn [_] (swap! seen inc))}
      (fn [m _]
        (dotimes [i 250]
          (status/failed! m (assoc (error/anomaly :memory/fork) :subject {:hash (crypto/sha3-256 (bytes/utf8 (str (rem i 200))))})))
        (status/failed! m (error/anomaly :net/timeout))
        (let [{:keys [conflicts failures]} (mirror/status m)]
          (is (= 100 (count conflicts) (count (distinct (map :hash conflicts)))))
          (is (= {:memory/fork 250 :net/timeout 1} failures))
          (is (= 250 @seen)))))))
