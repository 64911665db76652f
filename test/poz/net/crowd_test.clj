(ns poz.net.crowd-test
  "Many strangers at once, and those who break off, dawdle or do not read: they are closed in
  time, keep nobody waiting and leave nothing behind."
  (:require
   [clojure.test :refer [deftest is testing use-fixtures]]
   [poz.bytes :as bytes]
   [poz.net :as net]
   [poz.net.leaks :as leaks]
   [poz.net.raw :refer [abort! answering client connect contracts eventually framed good good-said initiator on-all rest-of said send! served? shake with-server]]
   [poz.noise :as noise]
   [poz.wire :as wire])
  (:import
   (java.io IOException)
   (java.net Socket)
   (java.util.concurrent CompletableFuture CountDownLatch TimeUnit)))

(set! *warn-on-reflection* true)

(use-fixtures :once leaks/fixture)

(def ^:private big-answer
  (wire/encode-response {:status :ok :id 7 :payload (bytes/zeros 15000000)} :record))

(def ^:private other
  (wire/encode-request {:type :status :id 1 :payload {}}))

(defn- big-or-not
  "A handler with much to say to `good`."
  [{:keys [bytes] :as request}]
  (if (= good bytes) big-answer (answering request)))

(defn- other-served? [server {:keys [contract] :as row}]
  (= (answering {:bytes other :contract contract}) (net/exchange (client server row) other)))

(defn- plain? [{:keys [encryption]}] (= :none encryption))

(defn- hello [{:keys [port]}]
  (noise/frame (second (noise/write-message (initiator port)))))

(defn- sealed-good [state]
  (second (framed (noise/encrypt-all state good))))

(defn- ask!
  "Sends a whole request over `socket` and reads nothing of the answer."
  [socket {:keys [port] :as contract}]
  (send! socket (if (plain? contract) good (sealed-good (shake socket port)))))

(defn- open-is? [{:keys [open]} n]
  (eventually #(= n (open))))

(defn- close-all! [sockets]
  (run! #(.close ^Socket %) sockets))

;; How far a connection may have come

(def ^:private half (bytes/slice good 0 20))

(def ^:private stages
  "Where those who speak Noise break off or dawdle, as functions of socket and contract."
  {"nothing" (fn [_ _])
   "half a handshake" (fn [socket contract] (send! socket (bytes/slice (hello contract) 0 20)))
   "a handshake, its answer not read" (fn [socket contract] (send! socket (hello contract)))
   "a whole handshake" (fn [socket {:keys [port]}] (shake socket port))
   "half a message" (fn [socket {:keys [port]}] (send! socket (bytes/slice (sealed-good (shake socket port)) 0 20)))
   "half a request" (fn [socket {:keys [port]}]
                      (send! socket (second (framed (noise/encrypt-all (shake socket port) half)))))})

(def ^:private plain-stages
  {"nothing" (fn [_ _])
   "a byte" (fn [socket _] (send! socket (bytes/slice good 0 1)))
   "half a request" (fn [socket _] (send! socket half))})

(defn- stages-of [contract] (if (plain? contract) plain-stages stages))

(defn- dawdling
  "A socket for each stage, as far as the server lets it come, which then does nothing."
  [server contract]
  (mapv (fn [[_ f]]
          (let [socket (connect server)]
            (try (f socket contract) (catch IOException _))
            socket))
        (stages-of contract)))

(deftest resets-at-any-stage
  (on-all contracts {:limits {:exchange-ms 60000 :idle-ms 60000}}
    (fn [contract server]
      (doseq [[stage f] (stages-of contract)]
        (let [socket (connect server)]
          (f socket contract)
          (is (open-is? server 1) stage)
          (abort! socket)
          (is (open-is? server 0) stage)))
      (is (served? server contract)))))

(deftest resets-while-an-answer-is-made-or-sent
  (let [called (atom 0) gate (atom nil)]
    (on-all contracts {:limits {:exchange-ms 60000 :idle-ms 60000}
                       :handler (fn [request]
                                  (swap! called inc)
                                  (.await ^CountDownLatch @gate 10 TimeUnit/SECONDS)
                                  (big-or-not request))}
      (fn [contract server]
        (reset! gate (CountDownLatch. 1))
        (doseq [close! [abort! Socket/.close]]
          (let [socket (connect server) before @called]
            (ask! socket contract)
            (is (eventually #(< (long before) (long @called))) "it is being made")
            (close! socket)))
        (.countDown ^CountDownLatch @gate)
        (let [socket (connect server)]
          (ask! socket contract)
          (.read (.getInputStream socket))
          (abort! socket))
        (is (other-served? server contract))))))

(deftest the-idle-are-closed-at-any-stage
  (on-all contracts {:limits {:exchange-ms 60000 :idle-ms 100}}
    (fn [contract server]
      (let [sockets (dawdling server contract)]
        (is (open-is? server 0))
        (doseq [socket sockets]
          (let [b (rest-of socket)]
            (is (bytes/bytes? b))
            (is (contains? #{0 50} (count b)) "a handshake at most")))
        (close-all! sockets)))))

(deftest the-deadline-is-for-all-stages-together
  (on-all contracts {:limits {:exchange-ms 100 :idle-ms 60000}}
    (fn [contract server]
      (let [sockets (dawdling server contract)]
        (is (open-is? server 0))
        (is (not-any? #{:open} (map rest-of sockets)))
        (close-all! sockets)))))

;; Floods

(defn- knock
  "What a newcomer from the address `from` gets: what is said at once, nil for a close, or :served."
  [server contract from]
  (with-open [socket (connect server from)]
    (try
      (if (plain? contract)
        (do (send! socket good) (said (rest-of socket)))
        (do (send! socket (hello contract))
            (if (zero? (count (rest-of (doto socket (.shutdownOutput))))) nil :served)))
      (catch IOException _))))

(deftest a-flood-is-told-or-closed
  (doseq [[cap others] {:connections false :connections-per-address true}]
    (on-all contracts {:limits {cap 10 :exchange-ms 60000 :idle-ms 60000}}
      (fn [contract server]
        (let [held (vec (repeatedly 10 #(connect server)))]
          (is (open-is? server 10))
          (dotimes [_ 30]
            (is (= (when (plain? contract) [:busy 0 1000]) (knock server contract "127.0.0.1")))
            (is (open-is? server 10)))
          (is (= others (contains? #{:served good-said} (knock server contract "127.0.0.2")))
              "who comes from elsewhere")
          (.close ^Socket (peek held))
          (is (open-is? server 9))
          (is (served? server contract))
          (close-all! held))))))

(deftest a-flood-at-once
  (on-all contracts {:limits {:connections-per-address 10 :exchange-ms 60000 :idle-ms 60000}}
    (fn [contract server]
      (let [held (vec (repeatedly 10 #(connect server)))
            _ (is (open-is? server 10))
            flood (doall (repeatedly 200 #(net/exchange-async (client server contract) good)))
            outcomes (set (map (fn [^CompletableFuture f] (let [found (.get f 10 TimeUnit/SECONDS)]
                                                            (or (:poz/error found) (said found))))
                               flood))]
        (is (every? #{:net/closed [:busy 0 1000]} outcomes) (pr-str outcomes))
        (close-all! held)
        (is (open-is? server 0))
        (is (served? server contract))))))

;; Slow ones

(defn- endless
  "The bytes of somebody who never comes to an end, for 65,535 more."
  [contract]
  (if (plain? contract)
    (bytes/concat (bytes/hex-> "0004000700ffff") (bytes/zeros 65535))
    (bytes/concat (hello contract) (bytes/hex-> "ffff") (bytes/zeros 65535))))

(def ^:private ahead
  "How much of that they say at once: not a whole handshake."
  40)

(defn- dribble!
  "Sends each of `sockets` a byte of what it goes on to say, in turn, until `done?` says so;
  `rounds` counts. A future of how many were closed meanwhile."
  [sockets contract rounds done?]
  (let [says (mapv (fn [_] (endless contract)) sockets)]
    (run! #(send! (sockets %) (bytes/slice (says %) 0 ahead)) (range (count sockets)))
    (future
      (loop [i (long ahead) closed #{}]
        (if (done?)
          (count closed)
          (let [gone (keep (fn [j]
                             (try (send! (sockets j) (bytes/slice (says j) i (inc i))) nil
                                  (catch IOException _ j)))
                           (range (count sockets)))]
            (swap! rounds inc)
            (recur (inc i) (into closed gone))))))))

(deftest two-hundred-slow-ones-keep-nobody-waiting
  (doseq [contract contracts]
    (with-server contract {:loops 1 :limits {:connections-per-address 1000 :exchange-ms 60000 :idle-ms 60000}}
      (fn [server]
        (let [sockets (vec (repeatedly 200 #(connect server)))
              rounds (atom 0) done (atom false)
              closed (dribble! sockets contract rounds #(deref done))]
          (try
            (is (open-is? server 200))
            (dotimes [_ 5] (is (served? server contract)))
            (is (eventually #(< 15 (long @rounds))) "past the handshake too")
            (dotimes [_ 5] (is (served? server contract)))
            (is (open-is? server 200) "all of them are still at it")
            (finally (reset! done true)))
          (is (= 0 (deref closed 10000 :hangs)))
          (close-all! sockets))))))

(deftest those-who-do-not-read-keep-nobody-waiting
  (on-all contracts {:loops 1 :limits {:exchange-ms 60000 :idle-ms 60000} :handler big-or-not}
    (fn [contract server]
      (let [sockets (vec (repeatedly 8 #(doto (connect server) (ask! contract))))]
        (is (open-is? server 8))
        (dotimes [_ 10] (is (other-served? server contract)))
        (is (open-is? server 8))
        (close-all! sockets)))))
