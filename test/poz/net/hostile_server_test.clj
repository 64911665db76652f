(ns poz.net.hostile-server-test
  "Our client of servers that are wrong in every way: an anomaly or a timeout, and it hangs up."
  (:require
   [clojure.test :refer [deftest is testing use-fixtures]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.net :as net]
   [poz.net.leaks :as leaks]
   [poz.net.link :as link]
   [poz.net.raw :refer [abort! contracts empty-message end! framed good noisy read-frame responder rest-of send! static transports]]
   [poz.noise :as noise]
   [poz.wire :as wire])
  (:import
   (java.io IOException)
   (java.net InetAddress ServerSocket Socket)))

(set! *warn-on-reflection* true)

(use-fixtures :once leaks/fixture)

;; Servers of one connection

(defn- plain? [{:keys [encryption]}] (= :none encryption))

(defn- serve-one
  "Accepts one connection on `listener`, does `(f socket)`, and then reads until the client closes;
  nil where the listener is closed before anybody came."
  [^ServerSocket listener f]
  (when-let [^Socket accepted (try (.accept listener) (catch IOException _))]
    (with-open [socket accepted]
      (.setTcpNoDelay socket true)
      (.setSoTimeout socket 10000)
      (try (f socket) (catch IOException _))
      (when-not (.isClosed socket)
        (rest-of socket)))))

(defn- found
  "What our client makes of a server that does `(f socket)`: its response, or the anomaly's error."
  [transport {:keys [contract]} options f]
  (with-open [listener (ServerSocket. 0 1 (InetAddress/getByName "127.0.0.1"))]
    (let [served (future (serve-one listener f))
          found (net/exchange (merge {:host "127.0.0.1" :port (.getLocalPort listener) :contract contract
                                      :transport transport :server-key (:public-key static)} options)
                  good)]
      (.close listener)
      (is (not= :open (deref served 20000 :open)) "the client hangs up")
      (if (error/anomaly? found) (:poz/error found) found))))

(defn- shaken
  "The state of a server's handshake over `socket`."
  [socket {:keys [port]}]
  (let [[state reply] (link/respond (responder port) (read-frame socket))]
    (send! socket (noise/frame reply))
    state))

(defn- saying
  "What a server does that reads a whole request and says the byte strings `parts`."
  [contract & parts]
  (fn [^Socket socket]
    (if (plain? contract)
      (do (.readNBytes (.getInputStream socket) (count good))
          (run! #(send! socket %) parts))
      (let [[state] (noise/decrypt (shaken socket contract) (read-frame socket))]
        (reduce (fn [state part]
                  (let [[state b] (framed (noise/encrypt-all state part))] (send! socket b) state))
          state parts)))))

(defn- then [f g] (fn [socket] (f socket) (g socket)))

;; Responses

(def ^:private response
  (wire/encode-response {:status :ok :id 7 :payload (bytes/zeros 30)} :record))

(defn- singles [b]
  (map #(bytes/slice b % (inc (long %))) (range (count b))))

(defn- put [b i x]
  (bytes/concat (bytes/slice b 0 i) (bytes/wrap (byte-array [(unchecked-byte x)])) (bytes/slice b (inc (long i)) (count b))))

(defn- flipped [b i]
  (put b i (bit-xor 1 (long (nth b i)))))

(deftest responses
  (doseq [transport transports contract contracts
          :let [found #(found transport contract %1 %2) say #(apply saying contract %&)]]
    (testing [transport (:contract contract)]
      (is (= response (found {} (say response))))
      (is (= response (found {} (apply say (singles response)))) "a byte at a time")
      (is (= :format/trailing (found {} (say (bytes/concat response (bytes/zeros 1))))))
      (is (= :format/code (found {} (say (put response 0 1)))) "another version")
      (is (= :format/code (found {} (say (put response 1 0x99)))) "no such status")
      (is (= :wire/too-large (found {} (say (bytes/hex-> "00000007ffffffff")))) "four gigabytes")
      (is (= :wire/too-large (found {:max-response 29} (say response))))
      (is (= response (found {:max-response 30} (say response))))
      (testing "that end early"
        (is (= :net/closed (found {} end!)))
        (is (contains? #{:net/closed :net/unreachable} (found {} abort!)))
        (is (= :net/closed (found {} (then (say) end!))))
        (is (= :net/closed (found {} (then (say (bytes/slice response 0 20)) end!))))
        (is (= :net/closed (found {} (then (say (bytes/slice response 0 20)) abort!)))))
      (testing "that never end"
        (is (= :net/timeout (found {:deadline-ms 50} (say))))
        (is (= :net/timeout (found {:deadline-ms 50} (say (bytes/slice response 0 20)))))))))

;; Noise

(defn- handshake-answered
  "What a server does that answers the handshake with what `f` makes of the true answer."
  [{:keys [port]} f]
  (fn [socket]
    (let [[_ reply] (link/respond (responder port) (read-frame socket))]
      (send! socket (f reply)))))

(defn- other-server [{:keys [port]}]
  (let [other (noise/responder {:prologue (noise/prologue port) :random crypto/random-bytes
                                :static (crypto/generate :x25519 crypto/random-bytes)})]
    (fn [socket]
      (is (error/anomaly? (link/respond other (read-frame socket))) "it cannot even read the first message")
      (send! socket (noise/frame (bytes/concat (:public-key static) (bytes/zeros 16)))))))

(deftest handshakes
  (doseq [transport transports contract noisy
          :let [answered #(found transport contract {} (handshake-answered contract %))]]
    (testing [transport (:contract contract)]
      (is (= :noise/decrypt (found transport contract {} (other-server contract))))
      (is (= :noise/decrypt (answered #(noise/frame (flipped % 47)))))
      (is (= :noise/decrypt (answered #(noise/frame (flipped % 0)))))
      (is (= :crypto/low-order (answered #(noise/frame (bytes/concat (bytes/zeros 32) (bytes/slice % 32))))))
      (doseq [b [(bytes/hex-> "0000") (bytes/hex-> "002f") (bytes/hex-> "0031") (bytes/hex-> "ffff")
                 response (bytes/utf8 "HTTP/1.1 400 Bad Request\r\n\r\n")]]
        (is (= :noise/size (answered (constantly b)))))
      (is (= :net/closed (found transport contract {} (then (handshake-answered contract #(bytes/slice (noise/frame %) 0 20)) end!)))))))

(defn- answered-with
  "What a server does that says, after the request, the bytes that `f` makes of its state."
  [contract f]
  (fn [socket]
    (let [[state] (noise/decrypt (shaken socket contract) (read-frame socket))]
      (send! socket (f state)))))

(deftest transport-messages
  (doseq [transport transports contract noisy
          :let [answered #(found transport contract {} (answered-with contract %))
                sealed #(second (framed (noise/encrypt-all % response)))]]
    (testing [transport (:contract contract)]
      (is (= response (answered sealed)))
      (is (= :noise/empty (answered (comp second empty-message))))
      (is (= :noise/size (answered (constantly (bytes/hex-> "0000")))))
      (is (= :noise/size (answered (constantly (noise/frame (bytes/zeros 15))))))
      (is (= :noise/decrypt (answered (constantly (noise/frame (bytes/zeros 16))))))
      (is (= :noise/decrypt (answered (comp #(flipped % 5) sealed))) "tampered with")
      (is (= :noise/decrypt (answered (fn [state]
                                        (let [[_ b] (noise/encrypt state (bytes/slice response 0 9))]
                                          (bytes/concat (noise/frame b) (noise/frame b))))))
          "a message twice")
      (is (= :format/trailing (answered #(bytes/concat (sealed %) (bytes/zeros 1))))))))
