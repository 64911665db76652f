(ns poz.cli.logback
  "The log of `poz serve`: Logback, writing lines to a stream, JSON or text. It is loaded for that
  command alone, so that no other one waits for it.

  Lines of `poz.server` are whole as they come (`poz.system.log`); what the libraries warn of is made
  into such a line. A log that nobody reads stops nobody: lines are handed over by a queue, and
  left out while that is full.

  Who has a configuration of his own for Logback keeps it: `own`."
  (:require
   [clojure.data.json :as json]
   [poz.system.log :as log]
   [poz.time :as time])
  (:import
   (ch.qos.logback.classic AsyncAppender Level Logger LoggerContext)
   (ch.qos.logback.classic.spi ILoggingEvent IThrowableProxy)
   (ch.qos.logback.core LayoutBase OutputStreamAppender)
   (ch.qos.logback.core.encoder LayoutWrappingEncoder)
   (java.nio.charset StandardCharsets)
   (org.slf4j LoggerFactory)))

(set! *warn-on-reflection* true)

(defn- foreign
  "What another logger has to say, as an event."
  [^ILoggingEvent e]
  (let [^IThrowableProxy thrown (.getThrowableProxy e)]
    (cond-> {:event :library/warning :level (str (.toLowerCase (str (.getLevel e)))) :time (.getTimeStamp e)
             :logger (.getLoggerName e) :message (.getFormattedMessage e)}
      thrown (assoc :exception (.getClassName thrown)))))

(defn line
  "The line of a Logback event."
  [^ILoggingEvent e format]
  (cond
    (= log/logger (.getLoggerName e)) (.getFormattedMessage e)
    (= :text format) (log/text-line (foreign e))
    :else (log/json-line (foreign e))))

(defn- layout [context format]
  (doto (proxy [LayoutBase] []
          (doLayout [e] (str (line e format) "\n")))
    (.setContext context)
    (.start)))

(defn- encoder [context format]
  (doto (LayoutWrappingEncoder.)
    (.setContext context)
    (.setCharset StandardCharsets/UTF_8)
    (.setLayout (layout context format))
    (.start)))

(defn- appender
  "Writes to `stream`, which it does not close."
  [context stream format]
  (doto ^OutputStreamAppender (proxy [OutputStreamAppender] [] (closeOutputStream []))
    (.setContext context)
    (.setEncoder (encoder context format))
    (.setOutputStream stream)
    (.start)))

(defn- queue ^AsyncAppender [context inner]
  (doto (AsyncAppender.)
    (.setContext context)
    (.setQueueSize 4096)
    (.setDiscardingThreshold 0)
    (.setNeverBlock true)
    (.setMaxFlushTime 2000)
    (.addAppender inner)
    (.start)))

(defn configure!
  "Sends the log to `stream`, as `:json` or `:text`. Events of poz are all let through: what of them
  is told, the server decides."
  [^LoggerContext context stream format]
  (.reset context)
  (doto (.getLogger context Logger/ROOT_LOGGER_NAME)
    (.setLevel Level/WARN)
    (.addAppender (queue context (appender context stream format))))
  (.setLevel (.getLogger context ^String log/logger) Level/ALL))

(defn start
  "`{:on-event :stop}`: a function of an event that logs it to `stream`, unless `own`, and one that
  writes what is under way and ends the log."
  [stream format own]
  (let [^LoggerContext context (LoggerFactory/getILoggerFactory)]
    (when-not own
      (configure! context stream format))
    {:on-event (log/consumer {:format format})
     :stop #(.stop context)}))
