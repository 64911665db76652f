(ns poz.view.html
  "Markup as data, and as text: `[:tag {:attribute value} child …]` is an element of HTML or
  SVG, a string is text, a sequence is its items, nil nothing, a number its digits.

  All text and every attribute is escaped; only `raw` is not, and no foreign string may go
  into it. Strings of a record go through `foreign`: what could hide or reorder text is shown
  as `\\u{202E}` (`poz.view.text/escape`), and letters that run from right to left are kept to
  themselves. Pure: `text` gives a string."
  (:require
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(deftype ^:private Raw [^String text])

(defn raw
  "`s` as it is, for the style sheets and scripts of a page. Never for a foreign string."
  [^String s]
  (Raw. s))

(defn foreign
  "The element that shows the string `s` of somebody's record, harmlessly."
  [s]
  [:bdi (text/escape s)])

(def ^:private void-tags
  "Tags of HTML that have no end."
  #{:meta :input :br :hr :link})

(defn- escape! [^StringBuilder out ^String s]
  (dotimes [i (.length s)]
    (let [c (.charAt s i)]
      (case c
        \& (.append out "&amp;")
        \< (.append out "&lt;")
        \> (.append out "&gt;")
        \" (.append out "&quot;")
        \' (.append out "&#39;")
        (.append out c)))))

(defn- attribute! [^StringBuilder out k v]
  (when (or (true? v) (and v (not (false? v))))
    (.append (.append out " ") (name k))
    (when-not (true? v)
      (.append out "=\"")
      (escape! out (if (keyword? v) (name v) (str v)))
      (.append out "\""))))

(declare node!)

(defn- element! [^StringBuilder out [tag & [attributes :as more]]]
  (let [tag-name (name tag) attributes? (map? attributes)]
    (.append (.append out "<") tag-name)
    (when attributes? (run! (fn [[k v]] (attribute! out k v)) attributes))
    (.append out ">")
    (when-not (void-tags tag)
      (run! #(node! out %) (if attributes? (rest more) more))
      (.append (.append (.append out "</") tag-name) ">"))))

(defn- node! [^StringBuilder out x]
  (cond
    (nil? x) nil
    (string? x) (escape! out x)
    (instance? Raw x) (.append out (.text ^Raw x))
    (number? x) (.append out (str x))
    (and (vector? x) (keyword? (first x))) (element! out x)
    (sequential? x) (run! #(node! out %) x)
    :else (throw (IllegalArgumentException. (str "No markup: " (pr-str x))))))

(defn text
  "The text of the markup `nodes`."
  ^String [& nodes]
  (let [out (StringBuilder.)]
    (node! out nodes)
    (str out)))
