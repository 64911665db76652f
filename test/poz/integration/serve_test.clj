(ns poz.integration.serve-test
  "`poz serve` as a process, asked over loopback: the two-phase flow against each store, started
  again, stopped in order, with a database that goes and comes back, with a disk that is full."
  (:require
   [clojure.java.shell :as shell]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing use-fixtures]]
   [poz.asking :as asking]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.handles :as h]
   [poz.integration.postgresql-server :as postgresql]
   [poz.integration.processes :as processes]
   [poz.record :as record]
   [poz.verify :as verify]))

(set! *warn-on-reflection* true)

(use-fixtures :once postgresql/with-server)

(defn- clock [] (System/currentTimeMillis))

(defn- begun
  "A new person whose record began a second ago."
  [label]
  (h/person label (- (long (clock)) 1000)))

(defn- words [at & more]
  (into ["example.com" "--data" (at "data") "--plain-port" "0" "--query-port" "0" "--submit-port" "0"] more))

(defn- on-postgresql []
  ["--store" (str (postgresql/url) "?user=poz")])

(defn- with-server
  "Calls `f` with a server that runs; then it is to stop by itself."
  [words f]
  (let [server (processes/serve! words)]
    (try (f server)
         (catch Throwable t (processes/kill! server) (throw t)))
    (is (= 0 (processes/stop! server)))
    (is (= ["{\"version\":1,\"event\":\"stopped\"}"] (str/split-lines @(:out server))))))

(defn- status-of
  "The status of the person's entry, as who asks both records over 7075 finds it."
  [server handle]
  (let [provider (record/decode (:payload (asking/ask server :query {:type :record :payload {:hash (:hash server)}})))
        found (record/decode (:payload (asking/by-handle server handle)))]
    (:status (first (get-in (verify/verify found {:now (+ 1000 (long (clock))) :providers [provider]}) [:zones :identity :entries])))))

;; Two phases

(defn- held-approved-live!
  "Somebody asks, is approved by the operator beside the server, and has the handle."
  [server person handle & operator-words]
  (let [{:keys [status payload]} (asking/request-handle server person handle (clock))
        ticket {:type :request-status :payload payload}]
    (is (= :pending status))
    (is (= :pending (:status (asking/ask server :submit ticket))))
    (is (= 0 (:exit (apply processes/poz "authority" "approve" (bytes/->hex payload) operator-words))))
    (let [entry (:payload (asking/ask server :submit ticket))
          live (h/accepting person entry (clock))]
      (is (= :not-found (:status (asking/by-handle server handle))) "reserved is not live")
      (is (= :accepted (:status (asking/submit-signed server live))))
      live)))

(defn- two-phases [more lasts?]
  (cli/with-folder
    (fn [at]
      (let [operator-words (into ["--data" (at "data")] more)
            live (volatile! nil) hash (volatile! nil)]
        (with-server (apply words at more)
          (fn [server]
            (vreset! hash (:hash server))
            (vreset! live (apply held-approved-live! server (begun "alice") "alice" operator-words))
            (is (= :current (status-of server "alice")))
            (is (= :conflict (:status (asking/request-handle server (begun "mallory") "alice" (clock)))))
            (is (= 0 (:exit (apply processes/poz "authority" "revoke" "alice@example.com" operator-words))))
            (is (loop [left 100]
                  (or (= :revoked (status-of server "alice"))
                    (when (pos? left) (Thread/sleep 50) (recur (dec left)))))
              "served within a second, and some")))
        (when lasts?
          (with-server (apply words at more)
            (fn [server]
              (is (= @hash (:hash server)))
              (is (= (h/update-of @live) (:payload (asking/record-of server @live))))
              (is (= :revoked (status-of server "alice"))))))))))

(deftest two-phases-on-sqlite
  (two-phases [] true))

(deftest two-phases-on-postgresql
  (two-phases (on-postgresql) true))

(deftest two-phases-in-memory
  (cli/with-folder
    (fn [at]
      (with-server (words at "--store" "memory" "--policy" ":approve")
        (fn [server]
          (let [alice (asking/activate! server (begun "alice") "alice" (clock))]
            (is (= :current (status-of server "alice")))
            (is (= :ok (:status (asking/submit server (h/serving alice 443 (clock)))))))))
      (testing "it forgets, but for who it is"
        (with-server (words at "--store" "memory")
          (fn [server]
            (is (= :not-found (:status (asking/by-handle server "alice"))))
            (is (= :ok (:status (asking/ask server :query {:type :master :payload {:domain "example.com"}}))))))))))

;; Faults

(deftest a-database-that-goes-and-comes-back
  (cli/with-folder
    (fn [at]
      (with-server (apply words at "--policy" ":approve" (on-postgresql))
        (fn [server]
          (let [alice (asking/activate! server (begun "bob") "bob" (clock))
                update (h/serving alice 443 (clock))
                absent {:type :record :payload {:hash (bytes/zeros 32)}}]
            (postgresql/stop!)
            (try
              (is (contains? #{:failed :busy} (:status (asking/ask server :query absent))))
              (is (contains? #{:failed :busy} (:status (asking/submit server update))))
              (is (= :ok (:status (asking/ask server :query {:type :status :payload {}}))))
              (finally (postgresql/start!)))
            (is (processes/eventually #(= :not-found (:status (asking/ask server :query absent)))))
            (is (processes/eventually #(= :ok (:status (asking/submit server update)))))
            (is (= (h/update-of update) (:payload (asking/record-of server update))))))))))

(defn- limit-files!
  "Sets how long a file may be that the server's process writes, in bytes or \"unlimited\"."
  [server size]
  (let [{:keys [exit err]} (shell/sh "prlimit" "--pid" (str (processes/pid server)) (str "--fsize=" size ":unlimited"))]
    (is (= 0 exit) err)))

(deftest a-disk-that-is-full
  (cli/with-folder
    (fn [at]
      (with-server (words at "--policy" ":approve")
        (fn [server]
          (let [alice (asking/activate! server (begun "alice") "alice" (clock))
                served (h/serving alice 443 (clock))]
            (limit-files! server 4096)
            (is (= :failed (:status (asking/submit server served))) "no file grows any more")
            (is (= :failed (:status (asking/request-handle server (begun "bob") "bob" (clock)))))
            (is (= (h/update-of alice) (:payload (asking/record-of server alice))) "what is there is read")
            (limit-files! server "unlimited")
            (is (processes/eventually #(= :ok (:status (asking/submit server served)))))
            (is (= (h/update-of served) (:payload (asking/record-of server served))))
            (asking/activate! server (begun "bob") "bob" (clock))))))))
