(ns poz.view.page.upload
  "The files in the body of a form that a browser sent, `multipart/form-data` (RFC 7578): what
  a page of `poz.view.page` with a form sends. Its size is bounded by who read it."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error])
  (:import
   (java.nio.charset StandardCharsets)))

(set! *warn-on-reflection* true)

(def ^:private most-files 16)

(defn- latin1
  "The bytes as a string with a char for each, in which offsets are those of the bytes."
  ^String [b]
  (String. ^bytes (bytes/->array b) StandardCharsets/ISO_8859_1))

(defn- file-name
  "The name of the file of a part with these headers, without folders; nil of no file."
  [headers]
  (when-let [[_ quoted] (re-find #"(?i)content-disposition:[^\r\n]*;\s*filename=\"([^\"\r\n]*)\"" headers)]
    (peek (str/split (String. (.getBytes ^String quoted StandardCharsets/ISO_8859_1) StandardCharsets/UTF_8) #"[/\\]"))))

(defn- part
  "The file in the part between these offsets, or nil."
  [b ^String s start end]
  (let [gap (.indexOf s "\r\n\r\n" (int start))]
    (when (<= 0 gap (- (long end) 4))
      (when-let [name (file-name (subs s start gap))]
        (when (seq name) {:name name :bytes (bytes/slice b (+ gap 4) end)})))))

(defn- boundary [content-type]
  (second (re-find #"(?i)^multipart/form-data;.*boundary=\"?([^\";\s]{1,70})" (or content-type ""))))

(defn- offsets
  "Where the `delimiter` stands in `s`, at most two more times than there may be files."
  [^String s ^String delimiter]
  (take (+ 2 (long most-files))
    (take-while nat-int? (iterate #(.indexOf s delimiter (inc (int %))) (.indexOf s delimiter)))))

(defn files
  "The files in the byte string `body` of a request with that content type, `[{:name :bytes}]`,
  at most 16; or an anomaly."
  [content-type body]
  (if-let [found (boundary content-type)]
    (let [s (str "\r\n" (latin1 body)) delimiter (str "\r\n--" found)
          shifted (bytes/concat (bytes/utf8 "\r\n") body)]
      (into [] (comp (keep (fn [[start end]] (part shifted s (+ (long start) (count delimiter)) end))) (take most-files))
        (partition 2 1 (offsets s delimiter))))
    (error/anomaly :wire/unsupported {:message "That was no form with files."})))
