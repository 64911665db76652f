(ns poz.integration.serve-crash-test
  "A server that is killed at any moment under a stream of submissions: whatever it said was
  accepted is there afterwards, whole, and nothing is half there. A kill is not a power cut:
  what the operating system has taken, it writes."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.asking :as asking]
   [poz.cli-env :as cli]
   [poz.handles :as h]
   [poz.integration.processes :as processes]
   [poz.record :as record]
   [poz.verify :as verify])
  (:import
   (java.util Random)))

(set! *warn-on-reflection* true)

(def ^:private rounds 50)
(def ^:private writers 3)

(defn- clock [] (System/currentTimeMillis))

(defn- words [at]
  ["example.com" "--data" (at "data") "--plain-port" "off" "--query-port" "0" "--submit-port" "0" "--policy" ":approve"])

;; A writer is {:handle :now, the person as the server said it was taken, :next, the person whose
;; record was sent without an answer, :n, how many updates}. A newcomer is the same.

(defn- grown [{:keys [now n] :as writer}]
  (let [time (max (long (clock)) (inc (long (get-in now [:record :service-zone :grant :timestamp] 0))))]
    (assoc writer :next (h/serving now (inc (rem (long n) 60000)) time) :n (inc (long n)))))

(defn- taken [{:keys [next] :as x}]
  (-> x (assoc :now next) (dissoc :next)))

(defn- write-on
  "The writer after as many updates as the server answers; delivers `first-one` with the first."
  [server writer first-one]
  (let [{:keys [next] :as w} (grown writer)]
    (if (= :ok (:status (asking/submit server next)))
      (do (deliver first-one true)
          (recur server (taken w) first-one))
      w)))

(defn- newcomer
  "Somebody new who asks for a handle: `{:now …}` if it was accepted, `{:next …}` if nobody knows,
  nil if it was not sent."
  [server handle]
  (let [time (clock)
        person (h/person handle (- (long time) 1000))
        {:keys [status payload]} (asking/request-handle server person handle time)]
    (when (= :ok status)
      (let [x {:handle handle :next (h/accepting person payload (inc (long time)))}]
        (if (= :accepted (:status (asking/submit-signed server (:next x)))) (taken x) x)))))

(defn- newcomers
  "Those who come, one after another, until the server does not answer."
  [server prefix]
  (loop [n 0 out []]
    (let [{:keys [next] :as x} (newcomer server (str prefix "-" n))]
      (cond
        (nil? x) out
        next (conj out x)
        :else (recur (inc n) (conj out x))))))

;; Looking

(defn- valid? [file]
  (= :valid (:outcome (verify/verify (record/decode file) {:now (+ 1000 (long (clock)))}))))

(defn- settled
  "The writer or newcomer as the server has it: as it was accepted, or as it was sent last. nil for
  a newcomer of whom there is nothing."
  [server {:keys [now next handle] :as x}]
  (let [{:keys [status payload]} (asking/record-of server (or now next))
        live (:status (asking/by-handle server handle))]
    (is (= status live) "a record and its handle come together")
    (when now (is (= :ok status) "what was accepted is there"))
    (when (= :ok status)
      (is (valid? payload))
      (cond
        (and next (= payload (h/update-of next))) (taken x)
        :else (do (is (= payload (h/update-of now)) "as it was accepted, or as it was sent last")
                  (dissoc x :next))))))

(defn- begin [server]
  (mapv (fn [i] {:handle (str "writer-" i) :n 0 :now (asking/activate! server (h/person (str "writer " i) (- (long (clock)) 1000)) (str "writer-" i) (clock))})
    (range writers)))

(defn- stream-and-kill!
  "Has the writers and newcomers send to the server until it is killed, some time after its first
  answer."
  [server writers round ^Random random]
  (let [first-one (promise)
        writing (mapv #(future (write-on server % first-one)) writers)
        coming (future (newcomers server (str "round-" round)))]
    (is (deref first-one 60000 false) "it takes some")
    (Thread/sleep (.nextInt random 400))
    (processes/kill! server)
    [(mapv deref writing) @coming]))

(deftest nothing-accepted-is-lost
  (cli/with-folder
    (fn [at]
      (let [seed (System/nanoTime) random (Random. seed)
            first-server (processes/serve! (words at))]
        (loop [round 0 server first-server people (begin first-server) everybody []]
          (let [[people new] (stream-and-kill! server people round random)
                server (processes/serve! (words at))
                [people new] (testing (str "round " round ", seed " seed)
                               [(mapv #(settled server %) people) (into [] (keep #(settled server %)) new)])
                everybody (into everybody new)]
            (if (< (inc round) (long rounds))
              (recur (inc round) server people everybody)
              (do (run! #(settled server %) everybody)
                  (is (= 0 (processes/stop! server)))
                  (is (< rounds (reduce + (map :n people))) "they did send")
                  (is (seq everybody) "and somebody came")))))))))
