(ns poz.net-test
  "Servers and clients on loopback: what passes, what hostile peers get, and what remains open."
  (:require
   [clojure.test :refer [are deftest is testing use-fixtures]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.net :as net]
   [poz.net.leaks :as leaks]
   [poz.net.link :as link]
   [poz.net.raw :refer [connect decrypted empty-message end! eventually framed initiator rest-of send! shake static transports]]
   [poz.net.transport :as transport]
   [poz.noise :as noise]
   [poz.wire :as wire])
  (:import
   (io.netty.bootstrap ServerBootstrap)
   (io.netty.buffer ByteBufAllocator)
   (io.netty.channel Channel ChannelHandler ChannelInboundHandlerAdapter ChannelInitializer EventLoopGroup)
   (java.io IOException)
   (java.net InetSocketAddress Socket SocketTimeoutException)
   (java.util.concurrent CompletableFuture CountDownLatch Executor RejectedExecutionException TimeUnit)))

(set! *warn-on-reflection* true)

(use-fixtures :once leaks/fixture)

;; Servers

(def ^:private contracts [7074 7075 7076])

(def ^:private request (wire/encode-request {:type :record :id 77 :payload {:domain "example.org"}}))

(defn- answer [size]
  (wire/encode-response {:status :ok :id 77 :payload (bytes/zeros size)} :record))

(defn- with-server
  "Calls `f` with a server and the options of a client for it, then stops it."
  [options f]
  (let [{:keys [port stop] :as server}
        (net/start (merge {:contract 7074 :port 0 :static static :handler (fn [_] (answer 10)) :grace-ms 0} options))]
    (try (f server {:host "127.0.0.1" :port port :contract (:contract options 7074)
                    :server-key (:public-key static)})
         (finally (stop)))))

(defn- refused-all [_]
  (throw (AssertionError. "The handler was called.")))

(defn- by-error [x] (if (error/anomaly? x) (:poz/error x) x))

;; Raw clients

(defn- answered
  "What a server answers to raw bytes, as the anomaly's code or the status; `bytes/empty` where
  it says nothing."
  [b]
  (if (and (bytes/bytes? b) (pos? (count b)))
    (let [{:keys [status id payload]} (wire/decode-response b :record)]
      [status id (:code payload payload)])
    b))

(defn- raw
  "The answer to the byte strings sent raw, one write each."
  [server & parts]
  (with-open [socket (connect server)]
    (try (run! #(send! socket %) parts) (catch IOException _))
    (answered (rest-of socket))))

(defn- raw-ended [server b]
  (with-open [socket (connect server)]
    (send! socket b)
    (end! socket)
    (answered (rest-of socket))))

(defn- raw-noise
  "The answer, after a handshake, to what `(f state)` gives: `[state' bytes]`."
  [server contract f]
  (with-open [socket (connect server)]
    (let [[state b] (f (shake socket contract))]
      (send! socket b)
      (answered (decrypted socket state)))))

;; What passes

(deftest round-trips
  (doseq [transport transports contract contracts
          :let [seen (atom nil)]]
    (with-server {:contract contract :transport transport :handler (fn [r] (reset! seen r) (answer 10))}
      (fn [server client]
        (testing [transport contract]
          (is (= transport (:transport server)))
          (is (= (answer 10) (net/exchange (assoc client :transport transport) request)))
          (is (= {:bytes request :contract contract :address "127.0.0.1"} @seen))
          (is (eventually #(zero? (long ((:open server)))))))))))

(deftest big-messages
  (doseq [transport transports contract contracts]
    (with-server {:contract contract :transport transport
                  :handler (fn [{:keys [bytes]}] (answer (* 16 (count bytes))))}
      (fn [_ client]
        (let [full (bytes/concat (bytes/hex-> "0005000700ffff") (bytes/zeros 65535))]
          (is (= (answer (* 16 65542)) (net/exchange client full)) [transport contract])
          (is (= :wire/too-large (by-error (net/exchange (assoc client :max-response 1000000) full)))))))))

(deftest names-of-contracts-and-hosts
  (with-server {:contract :query :host "localhost"}
    (fn [_ client]
      (is (= (answer 10) (net/exchange (assoc client :host "localhost" :contract :query) request)
            (net/exchange (assoc client :contract 7075) request))))))

(deftest asynchronously
  (with-server {:contract 7075}
    (fn [_ client]
      (let [futures (doall (repeatedly 50 #(net/exchange-async client request)))]
        (is (= #{(answer 10)} (set (map #(.get ^CompletableFuture % 10 TimeUnit/SECONDS) futures))))))))

(deftest cancelled
  (let [gate (CountDownLatch. 1)]
    (with-server {:handler (fn [_] (.await gate 10 TimeUnit/SECONDS) (answer 10))}
      (fn [server client]
        (let [future (net/exchange-async client request)]
          (is (eventually #(= 1 ((:open server)))))
          (.cancel future true)
          (.countDown gate)
          (is (eventually #(zero? (long ((:open server)))))))))))

(deftest half-closed-by-the-client
  (doseq [transport transports]
    (with-server {:transport transport}
      (fn [server _]
        (is (= [:ok 77 (bytes/zeros 10)] (raw-ended server request)) transport)))
    (with-server {:transport transport :contract 7075}
      (fn [server _]
        (with-open [socket (connect server)]
          (let [[state b] (framed (noise/encrypt-all (shake socket 7075) request))]
            (send! socket b)
            (end! socket)
            (is (= [:ok 77 (bytes/zeros 10)] (answered (decrypted socket state))))))))))

;; Hostile clients

(deftest malformed
  (doseq [transport transports]
    (with-server {:transport transport :handler refused-all :limits {:request-payload 100}}
      (fn [server _]
        (are [expected parts] (= expected (apply raw server parts))
          [:malformed 77 "format/trailing"] [(bytes/concat request (bytes/zeros 1))]
          [:malformed 77 "format/trailing"] [(bytes/concat request (bytes/zeros 300000))]
          [:malformed 0 "format/code"] [(bytes/hex-> "ff")]
          [:malformed 0 "format/code"] [(bytes/utf8 "GET / HTTP/1.1\r\n\r\n")]
          [:malformed 7 "format/optional"] [(bytes/hex-> "0005000702")]
          [:too-large 7 100] [(bytes/hex-> "00050007000065")]
          [:too-large 7 100] [(bytes/hex-> "0005000700ffff") (bytes/zeros 65535)])
        (testing "the stream ends early"
          (is (= [:malformed 77 "format/truncated"] (raw-ended server (bytes/slice request 0 (dec (count request))))))
          (is (= [:malformed 0 "format/truncated"] (raw-ended server (bytes/hex-> "00"))))
          (is (= bytes/empty (raw-ended server bytes/empty))))))))

(deftest malformed-inside-noise
  (with-server {:contract 7076 :handler refused-all :limits {:request-payload 100}}
    (fn [server _]
      (are [expected plaintext] (= expected (raw-noise server 7076 #(framed (noise/encrypt-all % plaintext))))
        [:malformed 77 "format/trailing"] (bytes/concat request (bytes/zeros 1))
        [:malformed 0 "format/code"] (bytes/hex-> "ff")
        [:too-large 7 100] (bytes/hex-> "00050007000065"))
      (testing "a second message after the whole"
        (is (= [:malformed 77 "format/trailing"]
              (raw-noise server 7076 #(let [[state a] (noise/encrypt % request)
                                            [state b] (noise/encrypt state request)]
                                        (framed [state [a b]])))))
        (is (= [:malformed 77 "format/trailing"]
              (raw-noise server 7076 #(let [[state a] (noise/encrypt % request)]
                                        [state (bytes/concat (noise/frame a) (bytes/zeros 1))]))))))))

(deftest noise-failures-close-without-a-word
  (doseq [transport transports]
    (with-server {:contract 7075 :transport transport :handler refused-all}
      (fn [server _]
        (let [first-message #(noise/frame (second (apply noise/write-message (initiator %1) %&)))]
          (are [parts] (= bytes/empty (apply raw server parts))
            [(first-message 7076)]
            [(first-message 7075 (bytes/hex-> "00"))]
            [(bytes/hex-> "0000")]
            [(bytes/hex-> "ffff")]
            [(bytes/utf8 "GET / HTTP/1.1\r\n\r\n")]
            [(noise/frame (bytes/zeros 48))]
            [request])
          (is (= bytes/empty (raw-ended server (bytes/slice (first-message 7075) 0 20)))))
        (testing "after the handshake"
          (are [f] (= bytes/empty (raw-noise server 7075 f))
            empty-message
            (fn [state] [state (bytes/hex-> "0000")])
            (fn [state] [state (noise/frame (bytes/zeros 100))])
            (fn [state] (let [[state message] (noise/encrypt state (bytes/slice request 0 3))
                              twice (noise/frame message)]
                          [state (bytes/concat twice twice)]))))
        (testing "the server goes on"
          (is (eventually #(zero? (long ((:open server)))))))))))

(deftest a-client-with-the-wrong-key-or-contract
  (with-server {:contract 7075 :handler refused-all}
    (fn [_ client]
      (is (= :net/closed (by-error (net/exchange (assoc client :contract 7076) request))))
      (is (= :net/closed (by-error (net/exchange (assoc client :server-key (bytes/concat (bytes/hex-> "09") (bytes/zeros 31))) request))))
      (is (= :crypto/low-order (by-error (net/exchange (assoc client :server-key (bytes/zeros 32)) request)))))))

(defspec any-cut-of-a-message-is-the-same-message 50
  (prop/for-all [cuts (gen/vector (gen/choose 1 40) 1 60) sealed? gen/boolean]
    (let [[server-noise client-noise]
          (when sealed?
            (let [[client m1] (noise/write-message (initiator 7075))
                  [server m2] (link/respond (noise/responder {:prologue (noise/prologue 7075) :static static
                                                              :random crypto/random-bytes}) m1)]
              [server (first (link/confirm client m2))]))
          b (if sealed? (second (framed (noise/encrypt-all client-noise request))) request)
          ends (distinct (concat (take-while #(< (long %) (count b)) (reductions + cuts)) [(count b)]))
          steps (reductions (fn [[_ link] [from to]] (link/step (link/arrived link (bytes/slice b from to))))
                  [:wait (link/link {:size wire/request-size :noise server-noise})]
                  (map vector (cons 0 ends) ends))]
      (and (every? #(= :wait (first %)) (butlast steps))
        (= [:whole request] ((juxt first #(nth % 2)) (last steps)))))))

;; Time

(defn- dribble
  "How many bytes of `b` went out, one at a time and slowly, before the server closed; nil if it
  never did."
  [server b]
  (with-open [socket (connect server)]
    (.setSoTimeout socket 10)
    (try
      (loop [i 0]
        (when (< i (count b))
          (send! socket (bytes/slice b i (inc i)))
          (if (= -1 (try (.read (.getInputStream socket)) (catch SocketTimeoutException _ 0)))
            i
            (recur (inc i)))))
      (catch IOException _ 0))))

(deftest deadlines
  (doseq [transport transports contract [7074 7075]]
    (testing [transport contract]
      (with-server {:transport transport :contract contract :handler refused-all :limits {:exchange-ms 200 :idle-ms 60000}}
        (fn [server _]
          (testing "of the whole, for who sends a byte at a time"
            (is (dribble server (if (= 7074 contract)
                                  (bytes/concat (bytes/hex-> "0005000700ffff") (bytes/zeros 2000))
                                  (bytes/concat (bytes/hex-> "0030") (bytes/zeros 47))))))))
      (with-server {:transport transport :contract contract :handler refused-all :limits {:exchange-ms 60000 :idle-ms 100}}
        (fn [server _]
          (testing "of idle ones"
            (is (= bytes/empty (raw server (bytes/hex-> "00"))))
            (is (= bytes/empty (raw server)))))))))

(deftest who-does-not-read
  (doseq [transport transports contract [7074 7075]]
    (with-server {:transport transport :contract contract :handler (fn [_] (answer 15000000))
                  :limits {:exchange-ms 60000 :idle-ms 300}}
      (fn [server _]
        (with-open [socket (connect server)]
          (send! socket (if (= 7074 contract) request (second (framed (noise/encrypt-all (shake socket contract) request)))))
          (is (eventually #(= 1 ((:open server)))))
          (is (eventually #(zero? (long ((:open server))))) [transport contract]))))))

(deftest a-slow-handler-is-not-idle
  (let [gate (CompletableFuture.)]
    (with-server {:limits {:idle-ms 50} :handler (fn [_] (.get gate 10 TimeUnit/SECONDS))}
      (fn [_ client]
        (.completeOnTimeout gate (answer 10) 200 TimeUnit/MILLISECONDS)
        (is (= (answer 10) (net/exchange client request)))))))

(deftest slow-clients-keep-nobody-waiting
  (doseq [transport transports contract contracts]
    (with-server {:transport transport :contract contract :loops 1}
      (fn [server client]
        (let [slow (doall (repeatedly 30 #(doto (connect server) (send! (bytes/hex-> "00")))))]
          (try (is (eventually #(= 30 ((:open server)))))
               (is (= (answer 10) (net/exchange (assoc client :deadline-ms 5000) request)) [transport contract])
               (finally (run! #(.close ^Socket %) slow))))))))

(deftest servers-that-give-no-answer
  (with-server {:handler (fn [_] (answer 10))}
    (fn [_ client]
      (testing "to a Noise client, a plain server is one that answers with garbage"
        (is (= :noise/size (by-error (net/exchange (assoc client :contract 7075 :random (constantly (bytes/zeros 32))) request)))))))
  (with-open [socket (java.net.ServerSocket. 0)]
    (let [client {:host "127.0.0.1" :port (.getLocalPort socket) :contract 7074 :deadline-ms 100}
          {:poz/keys [anomaly error]} (net/exchange client request)]
      (is (= [:unreachable :net/timeout] [anomaly error])))))

(deftest nobody-there
  (with-open [socket (doto (java.net.Socket.) (.bind (java.net.InetSocketAddress. "127.0.0.1" 0)))] ; it does not listen
    (let [{:poz/keys [anomaly error] :keys [message]} (net/exchange {:host "127.0.0.1" :port (.getLocalPort socket) :contract 7074} request)]
      (is (= [:unreachable :net/unreachable] [anomaly error]))
      (is (re-find #"refused" message))))
  (is (#{:net/unreachable :net/timeout} (by-error (net/exchange {:host "nobody.invalid" :contract 7074} request)))))

;; What is at hand

(deftest what-is-ready-needs-no-handler
  (doseq [transport transports contract contracts
          :let [asked (atom [])]]
    (with-server {:contract contract :transport transport :handler refused-all
                  :ready (fn [r] (swap! asked conj [r (.getName (Thread/currentThread))]) (answer 1000000))}
      (fn [server client]
        (testing [transport contract]
          (is (= (answer 1000000) (net/exchange client request)))
          (is (= [{:bytes request :contract contract :address "127.0.0.1"}] (map first @asked)))
          (is (re-find #"^poz-server" (second (first @asked))) "on the event loop")
          (is (= [:malformed 77 "format/trailing"]
                (if (= 7074 contract)
                  (raw server (bytes/concat request (bytes/zeros 1)))
                  (raw-noise server contract #(framed (noise/encrypt-all % (bytes/concat request (bytes/zeros 1)))))))
            "it is asked for requests only")
          (is (= 1 (count @asked)))
          (is (eventually #(zero? (long ((:open server)))))))))))

(deftest what-is-not-ready-is-the-handlers
  (doseq [contract [7074 7075]
          [ready reported] [[(constantly nil) 0]
                            [(constantly bytes/empty) 1]
                            [(constantly "no bytes") 1]
                            [(fn [_] (throw (ex-info "secret path" {}))) 1]]
          :let [thrown (atom [])]]
    (with-server {:contract contract :ready ready :on-error #(swap! thrown conj %)}
      (fn [_ client]
        (is (= (answer 10) (net/exchange client request)))
        (is (= reported (count @thrown)))))))

(deftest handshakes-on-the-loop-or-not
  (doseq [transport transports where [:loop :executor]]
    (with-server {:contract 7075 :transport transport :handshakes where :loops 1 :ready (fn [_] (answer 10))}
      (fn [server client]
        (let [futures (doall (repeatedly 80 #(net/exchange-async client request)))]
          (is (= #{(answer 10)} (set (map #(.get ^CompletableFuture % 10 TimeUnit/SECONDS) futures))) [transport where])
          (is (eventually #(zero? (long ((:open server)))))))))))

(deftest what-comes-behind-the-request-takes-no-answer-back
  (doseq [transport transports contract [7074 7075]
          :let [gate (CountDownLatch. 1) called (promise)]]
    (with-server {:transport transport :contract contract
                  :handler (fn [_] (deliver called true) (.await gate 10 TimeUnit/SECONDS) (answer 100000))}
      (fn [server _]
        (with-open [socket (connect server)]
          (let [[state b] (if (= 7074 contract) [nil request] (framed (noise/encrypt-all (shake socket contract) request)))]
            (send! socket b)
            (is (deref called 10000 false))
            (send! socket (bytes/zeros 300000))
            (.countDown gate)
            (is (= [:ok 77 (bytes/zeros 100000)]
                  (answered (if state (decrypted socket state) (rest-of socket))))
              [transport contract])))))))

;; Caps

(deftest connection-caps
  (doseq [transport transports, cap [:connections :connections-per-address]]
    (with-server {:transport transport :limits {cap 3}}
      (fn [server client]
        (let [held (doall (repeatedly 3 #(connect server)))]
          (is (eventually #(= 3 ((:open server)))))
          (is (= [:busy 0 1000] (raw server)) "told so")
          (is (eventually #(= 3 ((:open server)))))
          (with-open [_ (connect server)]
            (is (eventually #(= 4 ((:open server)))))
            (is (= bytes/empty (raw server)) "above that, closed"))
          (run! #(.close ^Socket %) held)
          (is (eventually #(zero? (long ((:open server))))))
          (is (= (answer 10) (net/exchange client request))))))
    (with-server {:transport transport :contract 7075 :limits {cap 1}}
      (fn [server client]
        (with-open [_ (connect server)]
          (is (eventually #(= 1 ((:open server)))))
          (is (= :net/closed (by-error (net/exchange client request)))))))))

;; Handlers

(deftest handlers-that-fail
  (doseq [contract [7074 7075], bad [(fn [_] (throw (ex-info "secret path" {}))) (fn [_] nil) (fn [_] bytes/empty) (fn [_] (throw (StackOverflowError.)))]
          :let [thrown (promise)]]
    (with-server {:contract contract :handler bad :on-error #(deliver thrown %)}
      (fn [_ client]
        (is (= {:status :failed :id 77 :payload {:code "internal" :message ""}}
              (wire/decode-response (net/exchange client request) :record)))
        (is (instance? Throwable (deref thrown 10000 nil)))))))

(deftest an-executor-that-refuses
  (let [refusing (reify Executor (execute [_ _] (throw (RejectedExecutionException.))))]
    (with-server {:executor refusing :handler refused-all}
      (fn [_ client]
        (is (= {:status :busy :id 77 :payload 1000} (wire/decode-response (net/exchange client request) :record)))))
    (with-server {:executor refusing :handler refused-all :contract 7075 :handshakes :executor}
      (fn [_ client]
        (is (= :net/closed (by-error (net/exchange client request))))))))

(deftest wrong-arguments
  (let [start #(net/start (merge {:contract 7074 :port 0 :handler identity} %))]
    (are [options] (thrown? IllegalArgumentException (start options))
      {:contract 7077} {:contract 7075} {:handler nil} {:ready 1} {:handshakes :pool} {:transport :io-uring} {:prot 1}))
  (are [options b] (thrown? IllegalArgumentException (net/exchange options b))
    {:host "127.0.0.1" :contract 7075} request
    {:host "127.0.0.1" :contract 7074} bytes/empty
    {:contract 7074} request
    {:host "127.0.0.1" :contract 7074 :hots 1} request)
  (testing "a port that is taken"
    (doseq [transport transports]
      (with-server {:transport transport}
        (fn [{:keys [port]} _]
          (is (thrown? IOException (net/start {:contract 7074 :port port :handler identity :transport transport}))))))))

;; Stopping

(deftest stop-lets-open-requests-end
  (doseq [transport transports contract contracts
          :let [gate (CountDownLatch. 1) called (promise)]]
    (with-server {:transport transport :contract contract :grace-ms 10000
                  :handler (fn [_] (deliver called true) (.await gate 10 TimeUnit/SECONDS) (answer 1000000))}
      (fn [{:keys [stop]} client]
        (let [asked (net/exchange-async client request)
              _ (is (deref called 10000 false))
              stopping (future (stop))
              again (future (stop))]
          (is (eventually #(#{:net/unreachable :net/closed} (by-error (net/exchange (assoc client :deadline-ms 200) request)))) "no new ones")
          (is (not (realized? stopping)))
          (.countDown gate)
          (is (= (answer 1000000) (.get asked 10 TimeUnit/SECONDS)) [transport contract])
          (is (nil? (deref stopping 10000 :hangs)))
          (is (nil? (deref again 10000 :hangs)))
          (is (nil? (stop)) "again"))))))

(deftest stop-waits-no-longer-than-its-grace
  (let [gate (CountDownLatch. 1) called (promise)]
    (with-server {:grace-ms 50 :handler (fn [_] (deliver called true) (.await gate 10 TimeUnit/SECONDS) (answer 10))}
      (fn [{:keys [stop]} client]
        (let [asked (net/exchange-async client request)]
          (is (deref called 10000 false))
          (is (nil? (deref (future (stop)) 10000 :hangs)))
          (is (= :net/closed (by-error (.get asked 10 TimeUnit/SECONDS))))
          (.countDown gate))))))

;; Somebody else's Netty

(deftest as-a-pipeline-transform
  (let [transform (net/pipeline-transform {:contract 7075 :static static :handler (fn [_] (answer 10))})
        ^EventLoopGroup group (transport/loops :nio "poz-test" 1)
        ^ServerBootstrap bootstrap
        (doto (ServerBootstrap.)
          (.group group)
          (.channel (:server (transport/transports :nio)))
          (.childHandler (proxy [ChannelInitializer] []
                           (initChannel [^Channel channel]
                             (.addLast (.pipeline channel) "handler" ^ChannelHandler (ChannelInboundHandlerAdapter.))
                             (transform (.pipeline channel))))))]
    (try
      (let [channel (.channel (.sync (.bind bootstrap "127.0.0.1" 0)))]
        (is (= (answer 10)
              (net/exchange {:host "127.0.0.1" :port (.getPort ^InetSocketAddress (.localAddress channel))
                             :contract 7075 :server-key (:public-key static)} request))))
      (finally (.await (.shutdownGracefully group 0 1000 TimeUnit/MILLISECONDS))))))

;; The detector of leaks

(deftest leaks-are-detected
  (.touch (.directBuffer ByteBufAllocator/DEFAULT 100) leaks/on-purpose)
  (is (eventually #(seq (:on-purpose (leaks/look))))))
