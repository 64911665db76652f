(ns poz.view.svg-test
  "Shapes and documents."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is]]
   [poz.shown :as shown]
   [poz.view.svg :as svg])
  (:import
   (java.io ByteArrayInputStream)
   (javax.xml.parsers DocumentBuilderFactory)))

(set! *warn-on-reflection* true)

(defn well-formed?
  "True if the text is XML; throws where it is not."
  [^String text]
  (some? (.parse (.newDocumentBuilder (DocumentBuilderFactory/newInstance))
           (ByteArrayInputStream. (.getBytes text "UTF-8")))))

(deftest strings-are-cut
  (are [most s cut] (= cut (svg/fit most s))
    8 "short" "short"
    8 "exactly8" "exactly8"
    8 "more than 8" "more\u00a0th…"
    8 "" ""
    20 "\u202e" "\\u{202E}"))

(deftest neighbours-have-other-fills
  (is (= [nil "url(#poz-fill-1)" "url(#poz-fill-2)" "url(#poz-fill-3)" nil] (map svg/fill (range 5)))))

(deftest a-document-is-xml-with-its-words
  (let [figure {:title "T<" :doc "D&" :width 16 :height 8 :nodes [(svg/words "" 0 8 "]]><script>") (svg/mark :valid 8 8)]}
        text (svg/document figure "/* style */")]
    (is (well-formed? text))
    (is (str/includes? text "<title>T&lt;</title><desc>D&amp;</desc>"))
    (is (not (str/includes? text "<script>")))
    (is (well-formed? (svg/document figure (:figure (shown/assets)))))))

(deftest figures-are-stacked
  (let [f (fn [w h] {:title "f" :width w :height h :nodes []})]
    (is (= [132 86] ((juxt :width :height) (svg/below "all" 24 16 [(f 100 10) (f 50 20)]))))
    (is (= 32 (:width (svg/below "none" 24 16 []))))))
