(ns bench.net.load
  "Load, bounded: so many connections, each with one request, from some threads at a time.

  Every answer is looked at; one that is wrong throws."
  (:require
   [bench.net.process :as process]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.noise :as noise])
  (:import
   (java.io DataInputStream InputStream)
   (java.net InetAddress Socket)
   (java.util.concurrent.atomic AtomicLong)))

(set! *warn-on-reflection* true)

(def threads
  "How many connections there are at a time."
  16)

(def ^:private loopback (InetAddress/getByName "127.0.0.1"))

(defn- connect ^Socket [port]
  (doto (Socket. ^InetAddress loopback (int port)) (.setSoTimeout 10000) (.setTcpNoDelay true)))

(defn- check! [right? answer]
  (when-not right?
    (throw (ex-info "A wrong answer." {:answer answer}))))

(defn run
  "Calls `(f i)` for each i below `n`, on the threads together."
  [n f]
  (let [next (AtomicLong.)
        work #(loop []
                (let [i (.getAndIncrement next)]
                  (when (< i (long n)) (f i) (recur))))]
    (run! deref (mapv (fn [_] (future (work))) (range threads)))))

(defn to-end
  "What is in the stream until the server closes."
  ^bytes [^InputStream in]
  (.readAllBytes in))

(defn one-frame
  "What is in the stream behind its length, a u16: so a server's answer ends that does not close."
  ^bytes [in]
  (let [in (DataInputStream. in) frame (byte-array (.readUnsignedShort in))]
    (.readFully in frame)
    frame))

(defn exchanged
  "The answer to `request`, as `read` takes it from the stream."
  ^bytes [port ^bytes request read]
  (with-open [socket (connect port)]
    (.write (.getOutputStream socket) request)
    (read (.getInputStream socket))))

(defn plain
  "A function of i for `run` that sends the i-th of the arrays `requests`, over and over, and
  wants the answer, as `read` takes it, for which `(right? answer i)`."
  [port requests read right?]
  (let [requests (vec requests) n (count requests)]
    (fn [i]
      (let [i (rem (long i) n) answer (exchanged port (requests i) read)]
        (check! (right? answer i) answer)))))

;; Noise

(defn- read-frame [in] (bytes/wrap (one-frame in)))

(defn- send! [^Socket socket message]
  (.write (.getOutputStream socket) (bytes/->array (noise/frame message))))

(defn- exchanged-privately [port server-key request]
  (with-open [socket (connect port)]
    (let [in (.getInputStream socket)
          [state message] (noise/write-message
                            (noise/initiator {:prologue (noise/prologue 7075) :remote-static server-key :random crypto/random-bytes}))
          _ (send! socket message)
          [state] (noise/read-message state (read-frame in))
          [state message] (noise/encrypt state request)
          _ (send! socket message)
          [_ answer] (noise/decrypt state (read-frame in))]
      (check! (= -1 (.read in)) answer)
      answer)))

(defn private
  "As `plain`, with a handshake of Noise NK and one transport message each way."
  [port server-key requests right?]
  (let [requests (mapv bytes/wrap requests) n (count requests)]
    (fn [i]
      (let [i (rem (long i) n) answer (exchanged-privately port server-key (requests i))]
        (check! (right? (bytes/->array answer) i) answer)))))

;; TLS

(defn tls
  "Full handshakes and a request each for a second, by some processes: how many."
  [port]
  (let [command ["openssl" "s_time" "-connect" (str "127.0.0.1:" port) "-new" "-tls1_3" "-time" "1" "-www" "/f"]
        outs (mapv deref (mapv (fn [_] (future (apply process/run!! command))) (range 4)))]
    (reduce + (map #(parse-long (second (re-find #"(\d+) connections in \d+ real seconds" %))) outs))))
