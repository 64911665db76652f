(ns poz.record.text
  "The text form of a file (format.md §2): base64 in lines between two marker lines, for
  mail and chat. A grammar of lines, so plain functions and no table.

  Written with LF, read with LF or CRLF. Both markers start at a line's start and are
  that whole line. Exactly one whole block, text around it ignored; what has no whole
  block is taken as a file."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error])
  (:import
   (java.nio.charset StandardCharsets)
   (java.util Base64)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(def ^:private record-label "RECORD")

(defn- begin [label] (str "-----BEGIN POZ " label "-----"))
(defn- end [label] (str "-----END POZ " label "-----"))

(defn armor
  "The text form of the byte string `b` in lines of `width` characters; `label` says what
  it is, RECORD unless given."
  (^String [b width] (armor b width record-label))
  (^String [b width label]
   (let [lines (map #(apply str %) (partition-all width (bytes/->base64 b)))]
     (str (str/join "\n" (concat [(begin label)] lines [(end label)])) "\n"))))

(defn- binary? [b]
  (= (bytes/hex-> "504f5a00") (bytes/slice b 0 (min 4 (count b)))))

(defn- lines
  "`([offset line] …)` of the bytes of `b`, read byte for byte as characters: one after another,
  so that text around a block takes no memory."
  [^Bytes b]
  (let [s (String. ^bytes (.-array b) (.-offset b) (.-length b) StandardCharsets/ISO_8859_1)]
    (letfn [(from [^long at]
              (lazy-seq
                (let [nl (.indexOf s (int \newline) (int at))
                      end (if (neg? nl) (count s) nl)
                      crlf? (and (< at end) (nat-int? nl) (= \return (.charAt s (dec end))))]
                  (cons [at (subs s at (if crlf? (dec end) end))]
                    (when (nat-int? nl) (from (inc nl)))))))]
      (from 0))))

(defn- blocks
  "The whole blocks among `lines`, each the `[offset line]` pairs between its markers."
  [lines label]
  (let [begin (begin label) end (end label)]
    (loop [lines lines open nil found []]
      (if-let [[_ text :as line] (first lines)]
        (cond
          (= text begin) (recur (rest lines) [] found)
          (and open (= text end)) (recur (rest lines) nil (conj found open))
          open (recur (rest lines) (conj open line) found)
          :else (recur (rest lines) nil found))
        found))))

(defn- fail! [at rule found]
  (error/fail! :format/text-form (cond-> {:at at :path [] :rule rule} found (assoc :found found))))

(defn- check-lines! [block width]
  (let [n (count block)]
    (doseq [[i [at line]] (map-indexed vector block)]
      (let [last? (= (inc (long i)) n)]
        (when-not (if last? (<= 1 (count line) width) (= width (count line)))
          (fail! at (if last?
                      (str "a last line of 1 to " width " characters")
                      (str "lines of " width " characters"))
            (count line)))))))

(defn- decode-block [block width]
  (check-lines! block width)
  (let [at (ffirst block)
        text (str/join (map second block))
        b (try (bytes/wrap (.decode (Base64/getDecoder) ^String text))
               (catch IllegalArgumentException e
                 (fail! at "base64 with padding (RFC 4648 §4)" (ex-message e))))]
    (when-not (= text (bytes/->base64 b))
      (fail! at "base64 with padding and without stray bits" nil))
    b))

(defn dearmor-all
  "The bytes of every whole block of `b`, in order. Throws the anomaly of one that is not
  written as it must be."
  [b width]
  (mapv #(decode-block % width) (blocks (lines b) record-label)))

(defn- one-block [found width]
  (if (= 1 (count found))
    (decode-block (first found) width)
    (fail! 0 "exactly one whole block" (str (count found) " blocks"))))

(defn block
  "The bytes in the one whole block of `b` with this `label`. Throws the anomaly where there
  is none, or another."
  [b width label]
  (one-block (blocks (lines b) label) width))

(defn dearmor
  "The bytes in the one whole block of `b`, or `b` where it is binary or has no whole
  block. Throws the anomaly of two blocks or of one that is not written as it must be."
  [b width]
  (let [found (when-not (binary? b) (blocks (lines b) record-label))]
    (if (empty? found) b (one-block found width))))
