(ns poz.integration.dissononce-test
  "poz.net against dissononce, a Noise library for Python, over TCP and on either side."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing use-fixtures]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.net :as net]
   [poz.wire :as wire])
  (:import
   (java.io BufferedReader Writer)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private python "/usr/bin/python3")
(def ^:private static (crypto/generate :x25519 crypto/random-bytes))
(def ^:private request (bytes/concat (bytes/hex-> "00050007004e20") (bytes/zeros 20000)))

(defn- answer [size]
  (wire/encode-response {:status :ok :id 7 :payload (bytes/zeros size)} :record))

(defn- start ^Process [& args]
  (.start (doto (ProcessBuilder. ^"[Ljava.lang.String;" (into-array String (map str args)))
            (.redirectErrorStream true))))

(defn- ended
  "The exit code of `process`, which is killed after a minute."
  [^Process process]
  (when-not (.waitFor process 60 TimeUnit/SECONDS)
    (.destroyForcibly process))
  (.waitFor process))

(defn- with-peer
  "Runs the peer with `args` and the byte string `input`: what `(f lines)` gives of the lines
  that it prints, and its exit code."
  [input args f]
  (let [^Process process (apply start python "test/poz/integration/dissononce_peer.py" args)]
    (with-open [^Writer in (io/writer (.getOutputStream process))]
      (.write in (bytes/->hex input)))
    (with-open [^BufferedReader out (io/reader (.getInputStream process))]
      [(f (line-seq out)) (ended process)])))

(defn- check-installed []
  (let [process (start python "-c" "import dissononce")]
    (when-not (zero? (long (ended process)))
      (throw (ex-info "These tests need Debian's package python3-dissononce." {})))))

(use-fixtures :once (fn [run] (check-installed) (run)))

(deftest their-client-our-server
  (doseq [contract [7075 7076] size [10 1048576]
          :let [seen (atom nil)
                {:keys [port stop]} (net/start {:contract contract :port 0 :static static
                                                :handler (fn [{:keys [bytes]}] (reset! seen bytes) (answer size))})]]
    (try
      (testing [contract size]
        (is (= [(bytes/->hex (answer size)) 0]
              (with-peer request ["ask" port contract (bytes/->hex (:public-key static))] str/join)))
        (is (= request @seen)))
      (testing "the other contract"
        (is (= ["" 3] (with-peer request ["ask" port (if (= 7075 contract) 7076 7075) (bytes/->hex (:public-key static))]
                        str/join))))
      (finally (stop)))))

(deftest our-client-their-server
  (doseq [contract [7075 7076] size [10 1048576]]
    (is (= [[(answer size) (bytes/->hex request)] 0]
          (with-peer (answer size) ["serve" contract (bytes/->hex (bytes/reveal (:secret static)))]
            (fn [lines]
              [(net/exchange {:host "127.0.0.1" :port (parse-long (first lines)) :contract contract
                              :server-key (:public-key static)} request)
               (second lines)])))
      [contract size])))
