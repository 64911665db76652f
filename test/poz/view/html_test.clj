(ns poz.view.html-test
  "Markup as text: what is escaped, and that everything foreign is."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.shown :as shown]
   [poz.view.html :as html]))

(set! *warn-on-reflection* true)

(deftest markup-is-data
  (are [markup text] (= text (html/text markup))
    [:p] "<p></p>"
    [:p {:class "a"} "b" 1] "<p class=\"a\">b1</p>"
    [:p nil (list [:b "x"] [:i])] "<p><b>x</b><i></i></p>"
    [:br] "<br>"
    [:input {:type "checkbox" :disabled true :checked false :name nil}] "<input type=\"checkbox\" disabled>"
    [:path {:d "M 0 0"}] "<path d=\"M 0 0\"></path>"
    nil ""
    "a<b" "a&lt;b")
  (is (= "<b></b>c" (html/text [:b] "c"))))

(deftest everything-is-escaped
  (is (= "<p title=\"&quot;&#39;&lt;&gt;&amp;\">&quot;&#39;&lt;&gt;&amp;</p>" (html/text [:p {:title "\"'<>&"} "\"'<>&"])))
  (is (= "<script>a < b</script>" (html/text [:script (html/raw "a < b")]))))

(deftest what-is-no-markup-throws
  (is (thrown? IllegalArgumentException (html/text [:p :keyword])))
  (is (thrown? IllegalArgumentException (html/text {:a 1}))))

(deftest foreign-strings-are-isolated-and-visible
  (is (= "<bdi>\\u{202E}gnp.exe</bdi>" (html/text (html/foreign "\u202egnp.exe"))))
  (is (= "<bdi>שלום</bdi>" (html/text (html/foreign "שלום")))))

(defspec no-foreign-string-makes-markup 200
  (prop/for-all [s (gen/one-of [gen/string (gen/elements shown/names)
                                (gen/fmap str/join (gen/vector (gen/elements ["<" ">" "\"" "'" "&" "a" "\u202e" "\u0000"])))])]
    (let [text (html/text [:p {:title s} (html/foreign s)])]
      (and (= 4 (count (filter #{\<} text))) (= 4 (count (filter #{\>} text))) (= 2 (count (filter #{\"} text)))))))
