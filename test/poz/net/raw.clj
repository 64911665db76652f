(ns poz.net.raw
  "The other side of a server in raw bytes, for tests: sockets, Noise by hand, waiting.

  A *server* is a map with `:port`. Reading gives up after 10 seconds."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.net.transport :as transport]
   [poz.noise :as noise])
  (:import
   (java.io ByteArrayOutputStream DataInputStream IOException)
   (java.net InetAddress Socket SocketTimeoutException)))

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
  (let [b (rest-of socket)]
    (loop [state state b b out bytes/empty]
      (if-let [[message more] (noise/unframe b)]
        (let [[state plaintext] (noise/decrypt state message)]
          (recur state more (bytes/concat out plaintext)))
        out))))

(defn empty-message
  "`[state bytes]`: a message that opens to nothing, which `poz.noise/encrypt` refuses to make."
  [{:keys [send] :as state}]
  (let [seal (requiring-resolve 'poz.noise.symmetric/seal)]
    [state (noise/frame (second (seal send bytes/empty bytes/empty)))]))
