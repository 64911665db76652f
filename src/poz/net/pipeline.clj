(ns poz.net.pipeline
  "The server's side of one connection: one request in, one response out, then close
  (protocol.md §1, §3, §5).

  A connection goes through phases: `:reading`, `:shaking` and `:handling` while an executor
  computes, `:answering`, `:lingering`. The last is for what the other side may still be
  sending: closing over unread bytes would take back an answer that it has not read yet.

  What is malformed is answered and closed, a Noise failure closes without a word, and so do
  the deadline of the whole and that of idle peers. The handler never waits on an event loop."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.net.admission :as admission]
   [poz.net.channel :as channel]
   [poz.net.link :as link]
   [poz.noise :as noise]
   [poz.wire :as wire])
  (:import
   (io.netty.channel Channel ChannelHandler ChannelHandlerContext ChannelOption ChannelPipeline)
   (io.netty.channel.group ChannelGroup DefaultChannelGroup)
   (io.netty.channel.socket ChannelInputShutdownEvent DuplexChannel)
   (io.netty.handler.timeout IdleStateEvent IdleStateHandler)
   (io.netty.util.concurrent GlobalEventExecutor)
   (java.net InetSocketAddress)
   (java.util.concurrent Executor ForkJoinPool Future RejectedExecutionException TimeUnit)))

(set! *warn-on-reflection* true)

;; A connection is {:ctx :facts :state}: the facts are the server's, the state is a volatile
;; that only the event loop of the channel writes.

(defn- phase [{:keys [state]}] (:phase @state))

(defn- enter! [{:keys [state]} phase & kvs]
  (vswap! state #(apply assoc % :phase phase kvs)))

(defn- chan ^Channel [{:keys [^ChannelHandlerContext ctx]}] (.channel ctx))

(defn- close! [{:keys [^ChannelHandlerContext ctx] :as conn}]
  (enter! conn :closed)
  (.close ctx))

(defn- reading! [conn on?]
  (.setAutoRead (.config (chan conn)) on?))

(defn- report! [{:keys [facts]} t]
  (if-let [f (:on-error facts)]
    (f t)
    (let [thread (Thread/currentThread)]
      (.uncaughtException (.getUncaughtExceptionHandler thread) thread t))))

(defn- offload!
  "Computes `(work)` on the executor, then calls `done` with that on the event loop; neither, once
  the connection is closed. Throws RejectedExecutionException where the executor does."
  [{:keys [facts] :as conn} work done]
  (.execute ^Executor (:executor facts)
    (fn []
      (when-not (= :closed (phase conn))
        (let [value (work)]
          (try (channel/soon (chan conn) #(when-not (= :closed (phase conn)) (done value)))
               (catch RejectedExecutionException _))))))) ; the server has stopped

;; The answer

(defn- linger! [{:keys [state facts] :as conn}]
  (let [c (chan conn)]
    (if (or (:ended @state) (not (instance? DuplexChannel c)))
      (close! conn)
      (do (enter! conn :lingering)
          (channel/when-done (.shutdownOutput ^DuplexChannel c) identity)
          (channel/later c (min 1000 (long (-> facts :limits :idle-ms))) #(close! conn))
          (reading! conn true)))))

(defn- flush!
  "Writes as much of the answer as the channel takes now; lingers once all is written."
  [{:keys [ctx state] :as conn}]
  (when (and (= :answering (phase conn)) (seq (:pieces @state)) (.isWritable (chan conn)))
    (let [[piece & more] (:pieces @state)]
      (vswap! state assoc :pieces more) ; before it is sent, since that may come back here
      (let [sent (channel/send! ctx piece)]
        (if more
          (recur conn)
          (channel/when-done sent (fn [_] (when (= :answering (phase conn)) (linger! conn)))))))))

(defn- answer! [{:keys [state] :as conn} response]
  (enter! conn :answering :pieces (link/outgoing (:link @state) response))
  (reading! conn false)
  (flush! conn))

(defn- refuse!
  "Answers with what is said of `anomaly`."
  [conn anomaly]
  (answer! conn (wire/encode-response (wire/failure anomaly) nil)))

;; The handler

(defn- about
  "The error, to the id of the request in `b`."
  [error b]
  (assoc (error/anomaly error) :id (:id (wire/decode-request b) 0)))

(defn- failure [error b]
  (wire/encode-response (wire/failure (about error b)) nil))

(defn- handled
  "The response of the handler to the request `b`, FAILED where it gives none."
  [{:keys [facts address] :as conn} b]
  (try (let [response ((:handler facts) {:bytes b :contract (:contract facts) :address address})]
         (when-not (and (bytes/bytes? response) (pos? (count response)))
           (throw (IllegalStateException. "The handler gave no bytes.")))
         response)
       (catch Throwable t
         (report! conn t)
         (failure :fault/internal b))))

(defn- handle! [conn b]
  (enter! conn :handling)
  (reading! conn false)
  (try (offload! conn #(handled conn b) #(answer! conn %))
       (catch RejectedExecutionException _ (answer! conn (failure :wire/busy b)))))

;; The request

(declare advance!)

(defn- shaken! [{:keys [ctx state] :as conn} found]
  (if (error/anomaly? found)
    (close! conn)
    (let [[noise message] found]
      (channel/send! ctx (noise/frame message))
      (enter! conn :reading :link (link/shaken (:link @state) noise))
      (reading! conn true)
      (advance! conn))))

(defn- shake! [{:keys [state] :as conn} message]
  (let [noise (:noise (:link @state))]
    (enter! conn :shaking)
    (reading! conn false)
    (try (offload! conn
           #(try (link/respond noise message)
                 (catch Throwable t (report! conn t) (error/anomaly :fault/internal)))
           #(shaken! conn %))
         (catch RejectedExecutionException _ (close! conn)))))

(defn- starved! [{:keys [state] :as conn}]
  (when (:ended @state)
    (if-let [b (link/leftover (:link @state))]
      (refuse! conn (wire/decode-request b))
      (close! conn))))

(defn- advance! [{:keys [state] :as conn}]
  (when (= :reading (phase conn))
    (let [[event link value] (link/step (:link @state))]
      (vswap! state assoc :link link)
      (case event
        :wait (starved! conn)
        :handshake (shake! conn value)
        :whole (handle! conn value)
        :malformed (refuse! conn value)
        :broken (close! conn)))))

(def ^:private ahead
  "How many bytes a peer may have sent ahead while its handshake is computed."
  (* 4 (long (:noise-message messages/limits))))

(defn- read! [{:keys [state] :as conn} b]
  (when (contains? #{:reading :shaking} (phase conn))
    (vswap! state update :link link/arrived b)
    (if (< (long ahead) (long (link/unread-count (:link @state))))
      (close! conn)
      (advance! conn))))

;; Beginning, end and time

(defn- ended! [{:keys [state] :as conn}]
  (vswap! state assoc :ended true)
  (if (= :lingering (phase conn)) (close! conn) (advance! conn)))

(defn- event! [conn event]
  (cond
    (instance? ChannelInputShutdownEvent event) (ended! conn)
    (and (instance? IdleStateEvent event) (not (#{:shaking :handling} (phase conn)))) (close! conn)))

(defn- remote [^ChannelHandlerContext ctx]
  (let [address (.remoteAddress (.channel ctx))]
    (if (instance? InetSocketAddress address)
      (.getHostAddress (.getAddress ^InetSocketAddress address))
      (str address))))

(defn- size-of [{:keys [limits]}]
  (let [options {:max-payload (:request-payload limits)}]
    #(wire/request-size % options)))

(defn- new-link [{:keys [static random prologue] :as facts}]
  (link/link {:size (size-of facts)
              :noise (when prologue (noise/responder {:prologue prologue :static static :random random}))}))

(defn- connection [ctx facts]
  {:ctx ctx :facts facts :address (remote ctx)
   :state (volatile! {:phase :reading :link (new-link facts)})})

(defn- active!
  "Admits the connection, or not."
  [{:keys [state facts address] :as conn}]
  (.add ^ChannelGroup (:channels facts) (chan conn))
  (vswap! state assoc :deadline (channel/later (chan conn) (-> facts :limits :exchange-ms) #(close! conn)))
  (case (admission/enter! (:admission facts) address)
    :serve nil
    :busy (if (:prologue facts) (close! conn) (refuse! conn (error/anomaly :wire/busy)))
    :close (close! conn)))

(defn- inactive! [{:keys [state facts address] :as conn}]
  (enter! conn :closed)
  (when-let [^Future deadline (:deadline @state)]
    (.cancel deadline false)
    (admission/leave! (:admission facts) address)))

(defn- handler ^ChannelHandler [facts]
  (let [conn (volatile! nil)]
    (channel/inbound
      {:active (fn [ctx] (active! (vreset! conn (connection ctx facts))))
       :inactive (fn [_] (some-> @conn inactive!))
       :read (fn [_ b] (read! @conn b))
       :event (fn [_ event] (some-> @conn (event! event)))
       :writable (fn [_] (some-> @conn flush!))
       :failed (fn [^ChannelHandlerContext ctx t]
                 (when (channel/defect? t) (report! {:facts facts} t))
                 (.close ctx))})))

(defn- idle-handler ^ChannelHandler [{:keys [limits]}]
  (IdleStateHandler. true 0 0 (long (:idle-ms limits)) TimeUnit/MILLISECONDS))

(defn contract-row
  "The row of `poz.format.messages/ports` for a contract by its name or its port. Throws
  IllegalArgumentException where there is none."
  [contract]
  (or (some #(when (#{(:contract %) (:port %)} contract) %) messages/ports)
    (throw (IllegalArgumentException. (str "There is no contract " (pr-str contract) ".")))))

(def options
  "Option → what it is: those of `transform`."
  {:contract "7074, 7075 or 7076, or its name in poz.format.messages/ports"
   :handler "from {:bytes :contract :address} to the bytes of a response"
   :static "for Noise the server's key pair {:secret :public-key}"
   :random "for Noise a function that gives n random bytes; by default the system's"
   :limits "numbers in place of those in poz.format.messages/limits"
   :executor "a java.util.concurrent.Executor, where handshakes are computed and the handler runs"
   :on-error "called with what the handler threw; by default the thread's own handler is"})

(defn- check! [{:keys [contract handler static] :as given}]
  (let [unknown (remove (set (keys options)) (keys given))
        {:keys [encryption]} (contract-row contract)]
    (when (seq unknown)
      (throw (IllegalArgumentException. (str "No such option: " (first unknown)))))
    (when-not (ifn? handler)
      (throw (IllegalArgumentException. ":handler is a function.")))
    (when-not (or (= :none encryption) (and (bytes/secret? (:secret static)) (bytes/bytes? (:public-key static))))
      (throw (IllegalArgumentException. "That contract needs :static, a key pair.")))))

(defn facts
  "What the connections of one server have in common, from the `options`, with the group
  `:channels` of those that are open."
  [{:keys [contract limits random executor] :as given}]
  (check! given)
  (let [{:keys [port encryption]} (contract-row contract)
        limits (merge messages/limits limits)]
    (assoc given
      :channels (DefaultChannelGroup. GlobalEventExecutor/INSTANCE true)
      :limits limits
      :admission (admission/counts limits)
      :random (or random crypto/random-bytes)
      :executor (or executor (ForkJoinPool/commonPool))
      :prologue (when (= :noise-nk encryption) (noise/prologue port)))))

(defn transform
  "The function that makes a server's connection of a ChannelPipeline, from `facts`. A handler
  named `handler`, such as Aleph puts there, gives way."
  [facts]
  (fn [^ChannelPipeline pipeline]
    (when (.get pipeline "handler")
      (.remove pipeline "handler"))
    (.setOption (.config (.channel pipeline)) ChannelOption/ALLOW_HALF_CLOSURE true)
    (doto pipeline
      (.addLast "poz-idle" (idle-handler facts))
      (.addLast "poz" (handler facts)))))
