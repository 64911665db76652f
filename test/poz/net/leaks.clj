(ns poz.net.leaks
  "Netty's detector of leaked buffers, for tests. With `(use-fixtures :once leaks/fixture)` a
  namespace fails if there is any report by its end. Namespaces that run side by side share the
  detector, so a report may be of another one's doing."
  (:require
   [clojure.string :as str])
  (:import
   (io.netty.buffer ByteBufAllocator)
   (io.netty.util ResourceLeakDetector ResourceLeakDetector$Level)
   (java.util.logging Handler LogRecord Logger)))

(set! *warn-on-reflection* true)

(def ^:private reports (atom []))

(def ^:private collector
  (proxy [Handler] []
    (publish [^LogRecord r] (swap! reports conj (.getMessage r)))
    (flush [])
    (close [])))

;; The detector tells of leaks in its log and nowhere else. The logger is kept here, since
;; java.util.logging would forget it together with the handler.
(def ^:private logger
  (delay (doto (Logger/getLogger (.getName ResourceLeakDetector))
           (.setUseParentHandlers false)
           (.addHandler collector))))

(defn- detect! []
  (ResourceLeakDetector/setLevel ResourceLeakDetector$Level/PARANOID)
  @logger)

(def on-purpose
  "What to `touch` a buffer with that a test leaks on purpose."
  "leaked on purpose")

(defn- on-purpose? [report]
  (str/includes? report on-purpose))

(defn look
  "The reports so far: `{:found [text …] :on-purpose [text …]}`. Leaks are noticed when something
  is allocated after a collection."
  []
  (System/gc)
  (.release (.directBuffer ByteBufAllocator/DEFAULT 8))
  (let [all @reports]
    {:found (vec (remove on-purpose? all)) :on-purpose (filterv on-purpose? all)}))

(defn fixture
  "Runs the tests with the detector at its most attentive; throws if it reports anything."
  [run]
  (detect!)
  (run)
  (let [{:keys [found]} (last (repeatedly 3 look))]
    (when (seq found)
      (throw (ex-info (str "Netty reports leaks: " found) {})))))
