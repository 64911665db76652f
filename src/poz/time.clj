(ns poz.time
  "Times as POZ writes them: milliseconds since 1970-01-01T00:00:00Z, a long. Nothing here
  reads a clock."
  (:require
   [poz.format :as format]
   [poz.rules :as rules])
  (:import
   (java.time Instant)
   (java.time.format DateTimeParseException)))

(set! *warn-on-reflection* true)

(defn iso
  "The time `ms` as ISO 8601 in UTC: \"2026-11-01T00:00:00Z\"."
  ^String [ms]
  (str (Instant/ofEpochMilli (long ms))))

(defn parse
  "The milliseconds that the string `s` means, ISO 8601 with a zone or a plain number of
  milliseconds; nil where it is neither."
  [^String s]
  (if (re-matches #"\d{1,15}" s)
    (parse-long s)
    (try (.toEpochMilli (Instant/from (.parse java.time.format.DateTimeFormatter/ISO_OFFSET_DATE_TIME s)))
         (catch DateTimeParseException _ nil)
         (catch ArithmeticException _ nil))))

(defn ahead?
  "True if `timestamp` is later than `now`."
  [timestamp now]
  (< (long now) (long timestamp)))

(defn far-future-finding
  "Unknown where a statement's `timestamp` is more than 24 hours ahead of `now`."
  [timestamp now]
  (when (< (+ (long now) (long (:far-future-ms format/limits))) (long timestamp))
    (rules/unknown (str "dated " (iso timestamp) ", more than 24 hours ahead of the clock, " (iso now))
      {:numbers {:timestamp timestamp :now now} :error :time/far-future})))
