(ns poz.net.leaks
  "Netty's detector of leaked buffers, for tests. With `(use-fixtures :once leaks/fixture)` a
  namespace fails if there is any report by its end. Namespaces that run side by side share the
  detector, so a report may be of another one's doing."
  (:require
   [clojure.string :as str])
  (:import
   (ch.qos.logback.classic Level LoggerContext)
   (ch.qos.logback.classic.spi ILoggingEvent)
   (ch.qos.logback.core AppenderBase)
   (io.netty.buffer ByteBufAllocator)
   (io.netty.util ResourceLeakDetector ResourceLeakDetector$Level)
   (org.slf4j LoggerFactory)))

(set! *warn-on-reflection* true)

(def ^:private reports (atom []))

;; The detector tells of leaks in its log and nowhere else, which is Logback's in the tests.
(def ^:private logger
  (delay
    (let [^LoggerContext context (LoggerFactory/getILoggerFactory)
          collector (doto (proxy [AppenderBase] []
                            (append [event] (swap! reports conj (.getFormattedMessage ^ILoggingEvent event))))
                      (.setContext context)
                      (.start))]
      (doto (.getLogger context (.getName ResourceLeakDetector))
        (.setLevel Level/ERROR)
        (.setAdditive false)
        (.addAppender collector)))))

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
