(ns poz.tap-test
  "What is told to those who watch, and that nobody is told anything unless asked."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.api :as poz]
   [poz.asking :as asking]
   [poz.bytes :as bytes]
   [poz.system :as system]
   [poz.tap :as tap])
  (:import
   (java.util.concurrent LinkedBlockingQueue TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private file "test/vectors/records/all-zones.poz")

(defn- events
  "The events that the thunk `f` gives rise to."
  [f]
  (let [queue (LinkedBlockingQueue.)
        listener #(when (or (= ::end %) (:poz/event %)) (.put queue %))]
    (add-tap listener)
    (try
      (f)
      (loop [] (when-not (tap> ::end) (recur)))
      (loop [found []]
        (let [x (.poll queue 30 TimeUnit/SECONDS)]
          (if (or (nil? x) (= ::end x)) found (recur (conj found x)))))
      (finally (remove-tap listener) (tap/off!)))))

(defn- work []
  (poz/verify (poz/parse (poz/file file)) {:now 1793491200000})
  (poz/verify (poz/parse (poz/hex "504f5a01")) {:now 0})
  (poz/query {:type :status} {:now 0 :servers [{:host "127.0.0.1" :port 1 :encryption :none}]})
  (tap/server-event {:event :answered :ms 2 :type :record :path "/etc/x" :key (bytes/zeros 32) :secret (bytes/secret (bytes/zeros 32))}))

(deftest off-until-asked
  (is (= [] (events work)))
  (is (false? (tap/on?))))

(deftest what-is-told
  (is (= [{:poz/event :parse :size 3124 :outcome :well-formed}
          {:poz/event :verify :record (:original-master-hash (:master-zone (poz/parse (poz/file file)))) :serial 1 :outcome :valid :problems #{}}
          {:poz/event :parse :size 4 :outcome :malformed :error :format/version :at 3 :path [:header :version]}
          {:poz/event :verify :outcome :malformed :problems #{:format/version}}
          {:poz/event :query :type :status :outcome :unreachable :error :net/unreachable :host "127.0.0.1" :port 1}
          {:poz/event :server :event :answered :ms 2 :type :record}]
        (events #(do (poz/tap true) (work) (poz/tap false) (work))))))

(defn- serve
  "Has a server that tells `server-event` answer one request."
  []
  (let [s (system/start {:domains ["social.example"] :data nil :store :memory :grace-ms 0 :plain-port 0 :query-port 0 :submit-port 0
                         :on-event tap/server-event :log-level :debug})]
    (try (asking/by-handle s "alice")
         (finally (system/stop s)))))

(deftest what-a-server-tells
  (let [told (events #(do (tap/on!) (serve)))
        answered (first (filter (comp #{:request/answered} :event) told))]
    (is (= [:server/listening :server/listening :server/listening :server/started :request/answered :server/stopped] (map :event told)))
    (is (= {:poz/event :server :level :debug :port :query :type :identity :status :not-found :request 1}
          (select-keys answered [:poz/event :level :port :type :status :request])))
    (is (not-any? string? (mapcat vals told)) "no name of anybody")
    (is (not (re-find #"alice|social" (pr-str told)))))
  (is (= [] (events serve)) "off until asked"))
