(ns poz.net.raw
  "For tests, both sides of a server: servers of which nothing may remain, and clients in raw
  bytes, sockets and Noise by hand.

  A *server* is what `poz.net/start` gives, a *contract* a row of `poz.format.messages/ports`.
  Reading and waiting give up after 10 seconds."
  (:require
   [clojure.test :refer [is testing]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.format.messages :as messages]
   [poz.net :as net]
   [poz.net.transport :as transport]
   [poz.noise :as noise]
   [poz.served :as served]
   [poz.store :as store]
   [poz.wire :as wire])
  (:import
   (java.io ByteArrayOutputStream DataInputStream IOException)
   (java.net InetAddress Socket SocketTimeoutException)
   (java.util.concurrent Executors ThreadPoolExecutor)))

(set! *warn-on-reflection* true)

(def transports
  "Those that are to be had here."
  (if (transport/epoll?) [:epoll :nio] [:nio]))

(def static
  "The servers' key pair."
  (crypto/generate :x25519 (bytes/zeros 32)))

(defn eventually
  "The first true value of `(f)`, nil if there is none for 10 seconds."
  [f]
  (let [end (+ (System/nanoTime) 10000000000)]
    (loop []
      (or (f)
        (when (< (System/nanoTime) end)
          (Thread/yield)
          (recur))))))

;; Sockets

(defn connect
  "A socket to the server, from the address `from` of this machine."
  (^Socket [server] (connect server "127.0.0.1"))
  (^Socket [{:keys [port]} ^String from]
   (doto (Socket. (InetAddress/getByName "127.0.0.1") (int port) (InetAddress/getByName from) 0)
     (.setTcpNoDelay true)
     (.setSoTimeout 10000))))

(defn send!
  "Writes the byte string `b`."
  [^Socket socket b]
  (.write (.getOutputStream socket) (bytes/->array b)))

(defn end!
  "Closes this side's half."
  [^Socket socket]
  (.shutdownOutput socket))

(defn abort!
  "Closes with a reset."
  [^Socket socket]
  (.setSoLinger socket true 0)
  (.close socket))

(defn rest-of
  "All bytes until the other side closes; a reset is an end too. :open if it does not close."
  [^Socket socket]
  (let [out (ByteArrayOutputStream.)]
    (try (.transferTo (.getInputStream socket) out)
         (bytes/wrap (.toByteArray out))
         (catch SocketTimeoutException _ :open)
         (catch IOException _ (bytes/wrap (.toByteArray out))))))

;; Noise

(defn initiator
  "The state of a client of `contract`, a number, before its first message."
  [contract]
  (noise/initiator {:prologue (noise/prologue contract) :remote-static (:public-key static) :random crypto/random-bytes}))

(defn responder
  "The state of a server of `contract` before its first message."
  [contract]
  (noise/responder {:prologue (noise/prologue contract) :static static :random crypto/random-bytes}))

(defn read-frame
  "The next Noise message from `socket`."
  [^Socket socket]
  (let [in (DataInputStream. (.getInputStream socket))
        frame (byte-array (.readUnsignedShort in))]
    (.readFully in frame)
    (bytes/wrap frame)))

(defn shake
  "The state of a handshake done over `socket`."
  [socket contract]
  (let [[state message] (noise/write-message (initiator contract))]
    (send! socket (noise/frame message))
    (first (noise/read-message state (read-frame socket)))))

(defn framed
  "`[state bytes]` of `[state messages]`: the messages as they go over the wire."
  [[state messages]]
  [state (apply bytes/concat (map noise/frame messages))])

(defn decrypted
  "The plaintext of all messages from `socket` until the other side closes."
  [socket state]
  (loop [state state b (rest-of socket) plaintexts []]
    (if-let [[message more] (noise/unframe b)]
      (let [[state plaintext] (noise/decrypt state message)]
        (recur state more (conj plaintexts plaintext)))
      (apply bytes/concat plaintexts))))

(defn empty-message
  "`[state bytes]`: a message that opens to nothing, which `poz.noise/encrypt` refuses to make."
  [{:keys [send] :as state}]
  (let [seal (requiring-resolve 'poz.noise.symmetric/seal)]
    [state (noise/frame (second (seal send bytes/empty bytes/empty)))]))

;; Servers that are looked at when all is over

(def contracts
  "All of them."
  messages/ports)

(def noisy
  "Those that speak Noise."
  (remove (comp #{:none} :encryption) contracts))

(def answering
  "A handler with nothing to tell."
  (served/handler (store/memory) {:software "test"} (constantly {:now 0})))

(defn- idle? [^ThreadPoolExecutor executor]
  (and (zero? (.getActiveCount executor)) (.isEmpty (.getQueue executor))))

(defn with-server
  "Calls `f` with a server of the contract, then holds it against this: no connection is open,
  nothing is being computed, and nothing that strangers sent was a defect of ours."
  [{:keys [contract]} options f]
  (let [executor (Executors/newFixedThreadPool 4) defects (atom [])
        {:keys [stop open] :as server}
        (net/start (merge {:contract contract :port 0 :static static :handler answering :grace-ms 0
                           :executor executor :on-error #(swap! defects conj %)} options))]
    (try (f server)
         (is (eventually #(zero? (long (open)))) "no connection is open")
         (is (eventually #(idle? executor)) "nothing is being computed")
         (is (= [] @defects))
         (finally (stop) (.shutdown executor)))))

(defn on-all
  "Calls `f` with a contract and a server of it, for each of `contracts` and each transport."
  [contracts options f]
  (doseq [transport transports contract contracts]
    (testing [transport (:contract contract)]
      (with-server contract (merge {:transport transport} options) #(f contract %)))))

(defn client
  "The options of a client of the server."
  [{:keys [port]} {:keys [contract]}]
  {:host "127.0.0.1" :port port :contract contract :server-key (:public-key static)})

(def good
  "A request that every contract answers, with `good-said`."
  (wire/encode-request {:type :serial :id 7 :payload {:hash (bytes/zeros 32)}}))

(def good-said
  "See `said`."
  [:not-found 7 {}])

(defn said
  "What the response `b` says: the status, the id and the problem's code; nil where it is empty."
  [b]
  (if (and (bytes/bytes? b) (pos? (count b)))
    (let [{:keys [status id payload]} (wire/decode-response b :serial)]
      [status id (:code payload payload)])
    (when (= :open b) b)))

(defn served?
  "True if the server answers somebody who does everything right."
  [server contract]
  (= good-said (said (net/exchange (client server contract) good))))
