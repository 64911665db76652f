(ns poz.view.page.upload-test
  "Files in the body of a form."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.view.page.upload :as upload]))

(set! *warn-on-reflection* true)

(def ^:private content-type "multipart/form-data; boundary=----WebKitFormBoundaryabc")

(defn- body [& parts]
  (apply bytes/concat
    (concat (mapcat (fn [[name b]]
                      [(bytes/utf8 (str "------WebKitFormBoundaryabc\r\nContent-Disposition: form-data; name=\"file\"; filename=\""
                                     name "\"\r\nContent-Type: application/octet-stream\r\n\r\n"))
                       b (bytes/utf8 "\r\n")])
              parts)
      [(bytes/utf8 "------WebKitFormBoundaryabc--\r\n")])))

(deftest files-are-found
  (let [a (bytes/hex-> "504f5a000d0a0d0a00ff")]
    (is (= [{:name "a.poz" :bytes a}] (upload/files content-type (body ["a.poz" a]))))
    (is (= [{:name "a.poz" :bytes a} {:name "b" :bytes bytes/empty}] (upload/files content-type (body ["a.poz" a] ["b" bytes/empty]))))
    (is (= ["c.poz" "d.poz" "é.poz"] (map :name (upload/files content-type (body ["C:\\x\\c.poz" a] ["/etc/d.poz" a] ["é.poz" a])))))
    (testing "no file was chosen"
      (is (= [] (upload/files content-type (body ["" bytes/empty])))))
    (testing "no more than 16"
      (is (= 16 (count (upload/files content-type (apply body (repeat 40 ["x" a])))))))))

(deftest what-is-no-form
  (are [type] (= :wire/unsupported (:poz/error (upload/files type (body ["a" bytes/empty]))))
    nil "" "text/plain" "multipart/form-data" "multipart/form-data; boundary=")
  (are [text] (= [] (upload/files content-type (bytes/utf8 text)))
    "" "nothing" "------WebKitFormBoundaryabc" "------WebKitFormBoundaryabc------WebKitFormBoundaryabc--"
    "------WebKitFormBoundaryabc\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nfield\r\n------WebKitFormBoundaryabc--"))

(defspec bytes-come-out-as-they-went-in 100
  (prop/for-all [content gen/bytes]
    (= (bytes/wrap content) (:bytes (first (upload/files content-type (body ["x" (bytes/wrap content)])))))))

(defspec no-body-throws 100
  (prop/for-all [parts (gen/vector (gen/elements ["------WebKitFormBoundaryabc" "\r\n" "\r\n\r\n" "--" "x" "filename=\"a\""
                                                  "Content-Disposition: form-data; name=\"file\"; filename=\"a\"" "\u0000"]))]
    (vector? (upload/files content-type (bytes/utf8 (apply str parts))))))
