(ns poz.net.client
  "The client's side: one connection, one request, one response."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.net.channel :as channel]
   [poz.net.link :as link]
   [poz.net.pipeline :as pipeline]
   [poz.net.transport :as transport]
   [poz.noise :as noise]
   [poz.wire :as wire])
  (:import
   (io.netty.bootstrap Bootstrap)
   (io.netty.channel Channel ChannelFuture ChannelHandlerContext ChannelOption)
   (io.netty.util NetUtil)
   (java.net InetAddress InetSocketAddress UnknownHostException)
   (java.util.concurrent CompletableFuture Executor Executors TimeUnit)
   (java.util.function BiConsumer)))

(set! *warn-on-reflection* true)

(def ^:private loops
  "Transport → the event loops of all clients, made when they are first needed: one for two
  processors, since what comes is judged elsewhere, and few that are busy wake less often than many. Their
  threads do not keep a JVM alive."
  (let [n (max 1 (quot (.availableProcessors (Runtime/getRuntime)) 2))]
    (into {} (map (fn [k] [k (delay (transport/loops k "poz-client" n))])) (keys transport/transports))))

(def options
  "Option → what it is: those of `exchange`."
  {:host "name or address"
   :port "its port, by default the contract's"
   :contract "7074, 7075 or 7076, or its name in poz.format.messages/ports"
   :server-key "for Noise the server's public key, a byte string of 32"
   :random "for Noise a function that gives n random bytes; by default the system's"
   :deadline-ms "for everything, by default 10 s"
   :max-response "the most bytes of payload to take, by default 16 MiB"
   :transport ":nio or :epoll, by default the better one that is to be had"})

(defn- check! [{:keys [host contract server-key] :as given} request]
  (let [unknown (remove (set (keys options)) (keys given))
        {:keys [encryption]} (pipeline/contract-row contract)]
    (when (seq unknown)
      (throw (IllegalArgumentException. (str "No such option: " (first unknown)))))
    (when-not (and (string? host) (bytes/bytes? request) (pos? (count request)))
      (throw (IllegalArgumentException. ":host is a string, the request a byte string.")))
    (when-not (or (= :none encryption) (and (bytes/bytes? server-key) (= 32 (count server-key))))
      (throw (IllegalArgumentException. "That contract needs :server-key, 32 bytes.")))))

;; An exchange is {:options :request :future :state}, once connected with :ctx; the state is
;; a volatile with the link, which only the event loop of the channel touches.

(defn- complete! [{:keys [^CompletableFuture future]} value]
  (.complete future value))

(defn- fail! [exchange error found]
  (complete! exchange (error/anomaly error (when found {:found found}))))

(defn- size-of [{:keys [max-response] :or {max-response (:response-payload messages/limits)}}]
  #(wire/response-size % {:max-payload max-response}))

(defn- initiator [{:keys [contract server-key random] :or {random crypto/random-bytes}}]
  (noise/initiator {:prologue (noise/prologue (:port (pipeline/contract-row contract)))
                    :remote-static server-key
                    :random random}))

(defn- begin-noise! [{:keys [options ctx state] :as exchange}]
  (let [found (noise/write-message (initiator options))]
    (if (error/anomaly? found)
      (complete! exchange found)
      (let [[noise message] found]
        (vreset! state (link/link {:size (size-of options) :noise noise}))
        (channel/send! ctx (noise/frame message))))))

(defn- begin-plain! [{:keys [options request ctx state]}]
  (vreset! state (link/link {:size (size-of options)}))
  (channel/send! ctx request))

(defn- begin! [{:keys [options] :as exchange}]
  (if (= :none (:encryption (pipeline/contract-row (:contract options))))
    (begin-plain! exchange)
    (begin-noise! exchange)))

(declare advance!)

(defn- confirmed!
  "Goes on with the server's `message` of the handshake: the request can leave."
  [{:keys [request ctx state] :as exchange} message]
  (let [found (link/confirm (:noise @state) message)]
    (if (error/anomaly? found)
      (complete! exchange found)
      (let [[noise messages] (noise/encrypt-all (first found) request)]
        (vswap! state link/shaken noise)
        (run! #(channel/send! ctx (noise/frame %)) messages)
        (advance! exchange)))))

(defn- advance! [{:keys [state] :as exchange}]
  (let [[event link value] (link/step @state)]
    (vreset! state link)
    (case event
      :wait nil
      :handshake (confirmed! exchange value)
      :malformed (complete! exchange (dissoc value :id))
      (:whole :broken) (complete! exchange value))))

(defn- arrived! [{:keys [^CompletableFuture future state] :as exchange} b]
  (when-not (.isDone future)
    (vswap! state link/arrived b)
    (advance! exchange)))

(defn- failed! [{:keys [^CompletableFuture future] :as exchange} ^ChannelHandlerContext ctx ^Throwable t]
  (if (channel/defect? t)
    (.completeExceptionally future t)
    (fail! exchange :net/closed (.getMessage t)))
  (.close ctx))

(defn- handler [exchange]
  (channel/inbound
    {:begin #(assoc exchange :ctx %)
     :active begin!
     :read arrived!
     :inactive #(fail! % :net/closed nil)
     :failed (fn [_ ctx t] (failed! exchange ctx t))}))

;; Connecting

(defn- bootstrap ^Bootstrap [transport exchange]
  (doto (Bootstrap.)
    (.group @(loops transport))
    (.channel (:client (transport/transports transport)))
    (.option ChannelOption/TCP_NODELAY true)
    (.handler (handler exchange))))

(defn- connected! [exchange ^ChannelFuture connecting]
  (when-not (.isSuccess connecting)
    (fail! exchange :net/unreachable (some-> (.cause connecting) .getMessage))))

(defn- connect! [{:keys [options ^CompletableFuture future] :as exchange} ^InetSocketAddress address]
  (let [^Bootstrap bootstrap (bootstrap (transport/choose (:transport options)) exchange)
        ^ChannelFuture connecting (.connect bootstrap address)
        ^Channel channel (.channel connecting)]
    (channel/when-done connecting #(connected! exchange %))
    (.whenComplete future (reify BiConsumer (accept [_ _ _] (.close channel))))))

(defn address
  "The address of `host` as text, or nil. Waits."
  [^String host]
  (try (.getHostAddress (InetAddress/getByName host))
       (catch UnknownHostException _ nil)))

(def ^:private resolver
  "Runs what asks for the address of a name, each on a thread that nothing else waits for: that may
  take long, which what is an address already does not. Threads are used again, since starting one takes longer than most names do."
  (delay (Executors/newCachedThreadPool (transport/threads "poz-resolve"))))

(defn- resolve-and-connect! [{:keys [options] :as exchange}]
  (let [{:keys [^String host port contract]} options
        port (or port (:port (pipeline/contract-row contract)))
        address (InetSocketAddress. host (int port))]
    (if (.isUnresolved address)
      (fail! exchange :net/unreachable (str "no address for " host))
      (connect! exchange address))))

(defn- address? [^String host]
  (or (NetUtil/isValidIpV4Address host) (NetUtil/isValidIpV6Address host)))

(defn- start! [{{:keys [host]} :options :keys [^CompletableFuture future] :as exchange}]
  (let [start #(try (resolve-and-connect! exchange)
                    (catch Throwable t (.completeExceptionally future t)))]
    (if (address? host) (start) (.execute ^Executor @resolver start))))

(defn exchange-async
  "See `poz.net/exchange-async`."
  ^CompletableFuture [{:keys [deadline-ms] :or {deadline-ms (:exchange-ms messages/limits)} :as options} request]
  (check! options request)
  (transport/choose (:transport options))
  (let [future (CompletableFuture.)]
    (.completeOnTimeout future (error/anomaly :net/timeout {:rule (str deadline-ms " ms")})
      (long deadline-ms) TimeUnit/MILLISECONDS)
    (start! {:options options :request request :future future :state (volatile! nil)})
    future))
