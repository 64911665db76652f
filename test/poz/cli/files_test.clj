(ns poz.cli.files-test
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as env]
   [poz.cli.files :as files]
   [poz.format :as format])
  (:import
   (java.io ByteArrayInputStream ByteArrayOutputStream InputStream)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)))

(set! *warn-on-reflection* true)

(def ^:private content (bytes/hex-> "00ff0a"))

(defn- stream [b] (ByteArrayInputStream. (bytes/->array b)))

(defn- write!
  ([path] (write! path {}))
  ([path options] (files/write-file! path content (ByteArrayOutputStream.) options)))

(def ^:private error (juxt :poz/error :poz/anomaly))

(deftest files-are-read
  (env/with-folder
    (fn [at]
      (env/write! (at "a") content)
      (is (= content (files/read-file (at "a") nil)))
      (is (= content (files/read-file "-" (stream content))) "- is the stream")
      (env/write! (at "empty") "")
      (is (= bytes/empty (files/read-file (at "empty") nil) (files/read-file "-" (stream bytes/empty)))))))

(deftest what-cannot-be-read
  (env/with-folder
    (fn [at]
      (let [a (files/read-file (at "none") nil)]
        (is (= [:file/not-found :unknown] (error a)))
        (is (= (at "none") (:file a)))
        (is (str/includes? (:message a) (at "none"))))
      (is (= [:file/unreadable :unknown] (error (files/read-file (at) nil))) "a folder")
      (is (= :file/not-found (:poz/error (files/read-file (at "none/below") nil))))
      (env/write! (at "a") content)
      (is (= :file/unreadable (:poz/error (files/read-file (at "a/below") nil))) "a file is no folder")
      (when-not (env/root?)
        (.setReadable (io/file (at "a")) false)
        (is (= :file/unreadable (:poz/error (files/read-file (at "a") nil))))))))

(deftest what-is-read-is-bounded
  (let [limit (* 2 (long (:max-file-size format/limits)))
        given (atom 0)
        endless (proxy [InputStream] []
                  (read ([] (swap! given inc) 0)
                    ([b] (swap! given + (alength ^bytes b)) (alength ^bytes b))
                    ([_ _ n] (swap! given + n) n)))]
    (is (= [:format/too-large :malformed] (error (files/read-file "-" endless))))
    (is (<= @given (+ limit 65536)) "an endless stream is not read to its end")))

(deftest files-are-written
  (env/with-folder
    (fn [at]
      (is (nil? (write! (at "a"))))
      (is (= content (env/read-bytes (at "a"))))
      (is (= ["a"] (env/names (at))) "and nothing else")
      (let [out (ByteArrayOutputStream.)]
        (is (nil? (files/write-file! "-" content out {:private true})))
        (is (= content (bytes/wrap (.toByteArray out))))))))

(deftest private-files-are-their-owners
  (when (env/posix?)
    (env/with-folder
      (fn [at]
        (write! (at "public"))
        (write! (at "private") {:private true})
        (is (= "rw-r--r--" (env/mode (at "public"))))
        (is (= "rw-------" (env/mode (at "private"))))
        (testing "also when they replace others"
          (write! (at "public") {:private true :force true})
          (is (= "rw-------" (env/mode (at "public")))))))))

(deftest nothing-is-overwritten-unless-told-to
  (env/with-folder
    (fn [at]
      (env/write! (at "a") "old")
      (is (= [:file/exists :usage] (error (write! (at "a")))))
      (is (= (bytes/utf8 "old") (env/read-bytes (at "a"))))
      (is (nil? (write! (at "a") {:force true})))
      (is (= content (env/read-bytes (at "a"))))
      (is (= ["a"] (env/names (at))))
      (testing "not even what a link names"
        (let [link (.toPath (io/file (at "link")))]
          (Files/createSymbolicLink link (.toPath (io/file (at "nowhere"))) (make-array FileAttribute 0))
          (is (= :file/exists (:poz/error (write! (at "link")))))
          (is (= ["a" "link"] (env/names (at))))
          (testing "and --force replaces the link, not what it names"
            (write! (at "link") {:force true})
            (is (= ["a" "link"] (env/names (at))))
            (is (not (Files/isSymbolicLink link)))))))))

(deftest failures-leave-nothing-behind
  (env/with-folder
    (fn [at]
      (is (= [:file/unreadable :unknown] (error (write! (at "none/a")))) "no such folder")
      (.mkdir (io/file (at "folder")))
      (env/write! (at "folder/x") "x")
      (is (= :file/exists (:poz/error (write! (at "folder")))))
      (is (= :file/unreadable (:poz/error (write! (at "folder") {:force true}))) "a folder is not replaced")
      (is (= ["folder"] (env/names (at))))
      (is (= ["x"] (env/names (at "folder"))))
      (when-not (env/root?)
        (.setWritable (io/file (at "folder")) false)
        (is (= :file/unreadable (:poz/error (write! (at "folder/y")))))))))

(deftest odd-names-are-failures-not-defects
  (doseq [name ["" "a\u0000b" "/" "." ".."]]
    (is (contains? #{:file/exists :file/unreadable :file/not-found} (:poz/error (write! name))) (pr-str name))
    (is (contains? #{:file/unreadable :file/not-found} (:poz/error (files/read-file name nil))) (pr-str name))))

(deftest what-exists
  (env/with-folder
    (fn [at]
      (env/write! (at "a") "")
      (is (files/exists? (at "a")))
      (is (files/exists? (at)))
      (is (not (files/exists? (at "b"))))
      (is (not (files/exists? "-"))))))

(deftest folders-are-made
  (env/with-folder
    (fn [at]
      (let [folder (at "one/two")]
        (is (nil? (files/make-folder! folder)))
        (is (nil? (files/make-folder! folder)) "it is there")
        (when (env/posix?) (is (= "rwx------" (env/mode folder))))
        (env/write! (at "file") content)
        (is (= [:file/unreadable :unknown] (error (files/make-folder! (at "file")))))
        (is (= [:file/unreadable :unknown] (error (files/make-folder! (at "file/below")))))))))
