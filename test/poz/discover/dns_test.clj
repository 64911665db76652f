(ns poz.discover.dns-test
  "Answers of DNS read, as a resolver that is made up gives them, and a server that is silent."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.discover.dns :as dns]
   [poz.error :as error])
  (:import
   (java.net DatagramPacket DatagramSocket InetSocketAddress SocketException)
   (java.util.concurrent CompletableFuture CompletionStage Executor ForkJoinPool)
   (org.xbill.DNS CNAMERecord DClass Flags Message Name Rcode Record Resolver SRVRecord Section TXTRecord)))

(set! *warn-on-reflection* true)

(defn- ask [resolver kind name]
  (.join (dns/ask-async resolver kind name (ForkJoinPool/commonPool))))

(defn- gives
  "A resolver that gives the `records` with the code `rcode`."
  [rcode & records]
  (reify Resolver
    (^CompletionStage sendAsync [_ ^Message message ^Executor _]
      (let [answer (Message. (.getID (.getHeader message)))]
        (.setRcode (.getHeader answer) (int rcode))
        (.addRecord answer (.getQuestion message) Section/QUESTION)
        (doseq [r records] (.addRecord answer ^Record r Section/ANSWER))
        (CompletableFuture/completedFuture answer)))))

(defn- owner ^Name [s] (Name/fromString s))
(defn- txt [name & strings] (TXTRecord. (owner name) DClass/IN 60 ^java.util.List (vec strings)))
(defn- cname [name to] (CNAMERecord. (owner name) DClass/IN 60 (owner to)))

(deftest rows
  (are [expected records] (= expected (:rows (ask (apply gives Rcode/NOERROR records) :txt "_poz.a.example")))
    [] []
    ["one two" "x"] [(txt "_poz.a.example." "one " "two") (txt "_poz.A.example." "x")]
    ["x"] [(cname "_poz.a.example." "b.example.") (cname "b.example." "c.example.") (txt "c.example." "x")]
    [] [(txt "b.example." "somebody else's")]
    [] [(cname "_poz.a.example." "b.example.") (cname "b.example." "_poz.a.example.")])
  (is (= [{:priority 1 :weight 2 :port 7075 :host "poz.a.example."}]
        (:rows (ask (gives Rcode/NOERROR (SRVRecord. (owner "_poz._tcp.a.example.") DClass/IN 60 1 2 7075 (owner "Poz.A.example."))) :srv "_poz._tcp.a.example"))))
  (testing "nobody validated" (is (= [:rows] (keys (ask (gives Rcode/NOERROR) :txt "a.example"))))))

(deftest failures
  (is (= [] (:rows (ask (gives Rcode/NXDOMAIN) :txt "a.example"))))
  (doseq [rcode [Rcode/SERVFAIL Rcode/REFUSED]]
    (is (= :discover/dns (:poz/error (ask (gives rcode) :txt "a.example")))))
  (is (= :discover/dns (:poz/error (ask (reify Resolver (^CompletionStage sendAsync [_ ^Message _ ^Executor _] (CompletableFuture/failedFuture (java.io.IOException. "broken")))) :txt "a.example"))))
  (is (= :discover/dns (:poz/error (ask (gives Rcode/NOERROR) :txt (apply str (repeat 64 "a")))))))

(deftest a-silent-server
  (with-open [silent (DatagramSocket. (InetSocketAddress. "127.0.0.1" 0))]
    (let [start (System/nanoTime)]
      (is (error/anomaly? (ask (dns/resolver {:host "127.0.0.1" :port (.getLocalPort silent)} nil 300) :txt "a.example")))
      (is (< (/ (- (System/nanoTime) start) 1e6) 5000)))))

(defn- answer-failures!
  "Answers each question that comes to `socket` with SERVFAIL, until it is closed."
  [^DatagramSocket socket]
  (let [packet (DatagramPacket. (byte-array 4096) 4096)]
    (try
      (loop []
        (.setLength packet 4096)
        (.receive socket packet)
        (let [question (Message. (java.util.Arrays/copyOf (.getData packet) (.getLength packet)))
              answer (Message. (.getID (.getHeader question)))]
          (.setFlag (.getHeader answer) Flags/QR)
          (.setRcode (.getHeader answer) Rcode/SERVFAIL)
          (.addRecord answer (.getQuestion question) Section/QUESTION)
          (let [b (.toWire answer)]
            (.send socket (DatagramPacket. b (alength b) (.getSocketAddress packet)))))
        (recur))
      (catch SocketException _))))

(deftest a-server-that-fails-is-no-forger
  (with-open [socket (DatagramSocket. (InetSocketAddress. "127.0.0.1" 0))]
    (let [server {:host "127.0.0.1" :port (.getLocalPort socket)}
          answering (future (answer-failures! socket))]
      (doseq [anchors [nil dns/root-anchors]]
        (is (= [:discover/dns "SERVFAIL" nil] (map (ask (dns/resolver server anchors 2000) :txt "a.example") [:poz/error :rule :dnssec]))))
      (.close socket)
      (is (nil? (deref answering 5000 :late))))))

(deftest anchors
  (is (some? (dns/resolver {:host "127.0.0.1" :port 1} dns/root-anchors 100)))
  (is (thrown? IllegalArgumentException (dns/resolver {:host "127.0.0.1" :port 1} "no zone lines" 100))))
