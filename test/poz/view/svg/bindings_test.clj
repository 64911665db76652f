(ns poz.view.svg.bindings-test
  "Handles and their providers as a figure."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is]]
   [poz.bytes :as bytes]
   [poz.view.html :as html]
   [poz.view.svg.bindings :as bindings]))

(set! *warn-on-reflection* true)

(defn- binding-of [domain handle status live]
  {:entry {:authority-hash (bytes/zeros 32) :authority-domain domain :user-handle handle :path []} :status status :live live})

(defn- drawn [f] (html/text (:nodes f)))

(deftest each-provider-has-its-handles
  (let [f (bindings/figure [(binding-of "a.example" "alice" :current true) (binding-of "b.example" "al" :unknown true)
                            (binding-of "a.example" "ally" :superseded true) (binding-of "a.example" "gone" :current false)])]
    (is (= "4 handles of this record, by provider" (:title f)))
    (is (= 2 (count (re-seq #"L \d+ \d+ L \d+ \d+ L \d+ \d+ Z" (drawn f)))) "two diamonds")
    (is (= 4 (count (re-seq #"class=\"mark " (drawn f)))))
    (is (str/includes? (:doc f) "alice@a.example is current"))
    (is (str/includes? (:doc f) "gone@a.example is denied"))
    (is (str/includes? (drawn f) "edge dashed") "a superseded one has another line")
    (is (str/includes? (drawn f) "edge dotted"))))

(deftest many-are-cut
  (let [f (bindings/figure (for [i (range 1000)] (binding-of "a.example" (str "h" i) :current true)))]
    (is (= 12 (count (re-seq #"class=\"mark " (drawn f)))))
    (is (str/includes? (drawn f) "… 988 more"))))

(deftest hostile-names-do-no-harm
  (let [f (bindings/figure [(binding-of "a.example" "<script>\u202e" :current true)])]
    (is (str/includes? (drawn f) "&lt;script&gt;\\u{202E}"))
    (is (not (str/includes? (drawn f) "<script>")))))

(deftest none-is-a-figure-too
  (is (= "0 handles of this record, by provider" (:title (bindings/figure [])))))
