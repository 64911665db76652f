(ns poz.integration.two-servers
  "Two servers of one authority on one store, asked at the same moments: `(race url)`, within a
  test, holds that each race has one winner and that what he won is what both servers give.
  `with-servers`, `activated?` and `live?` are for others that have such servers."
  (:require
   [clojure.test :refer [is]]
   [poz.asking :as asking]
   [poz.cli-env :as cli]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.record :as record]
   [poz.system :as system])
  (:import
   (java.util.concurrent CountDownLatch)))

(set! *warn-on-reflection* true)

(defn- clock [] (System/currentTimeMillis))

(defn- options [url at]
  {:domains ["social.example"] :data (at "data") :passphrase "correct horse" :sealing {:memory-kib 8192 :passes 1 :lanes 1}
   :store url :plain-port 0 :query-port 0 :submit-port 0 :threads 8 :policy :approve :random crypto/random-bytes
   :cache-ms 0 :grace-ms 2000})

(defn- start! [options]
  (let [s (system/start options)]
    (when (error/anomaly? s) (throw (ex-info (:message s) s)))
    s))

(defn- at-once
  "The statuses of the thunks, called at one moment."
  [thunks]
  (let [gate (CountDownLatch. 1)
        running (mapv (fn [f] (future (.await gate) (f))) thunks)]
    (.countDown gate)
    (mapv #(:status (deref % 60000 nil)) running)))

(defn- begun [label] (h/person label (- (long (clock)) 1000)))

(defn- one-owner-of-a-handle [one two]
  (doseq [round (range 4)
          :let [handle (str "wanted" round)
                people (mapv #(begun (str round "-" %)) (range 4))
                statuses (at-once (map (fn [server p] #(asking/request-handle server p handle (clock))) (cycle [one two]) people))]]
    (is (= {:ok 1, :conflict 3} (frequencies statuses)))))

(defn- one-successor-of-a-record [one two]
  (let [alice (atom (asking/activate! one (begun "alice") "alice" (clock)))]
    (dotimes [round 8]
      (let [rivals (mapv #(h/serving @alice (+ 443 (* 2 round) (long %)) (clock)) [0 1])
            statuses (at-once (map (fn [server p] #(asking/submit server p)) [one two] rivals))
            winner (rivals (.indexOf ^java.util.List statuses :ok))]
        (is (= #{:ok :conflict} (set statuses)))
        (doseq [server [one two]]
          (is (= (record/public-view (:record winner)) (record/decode (:payload (asking/record-of server winner))))))
        (reset! alice winner)))))

(defn with-servers
  "Calls `f` with two servers on the store at `url`."
  [url f]
  (cli/with-folder
    (fn [at]
      (let [one (start! (options url at))
            two (start! (options url at))]
        (try (f one two)
             (finally (run! system/stop [one two])))))))

(defn activated?
  "True if a new person was ACCEPTED with `handle` at the server."
  [server handle]
  (try (some? (asking/activate! server (begun handle) handle (clock)))
       (catch clojure.lang.ExceptionInfo _ false)))

(defn live?
  "True if the server gives a record for `handle`."
  [server handle]
  (= :ok (:status (asking/by-handle server handle))))

(defn race
  "Starts two servers on the store at `url` and lets them race."
  [url]
  (with-servers url
    (fn [one two]
      (one-owner-of-a-handle one two)
      (one-successor-of-a-record one two))))
