(ns poz.net.pipeline
  "The server's side of one connection: one request in, one response out, then close
  (protocol.md §1, §3, §5).

  A connection goes through phases: `:reading`, `:shaking` and `:handling` while an executor
  computes, `:answering`, `:lingering`. The last is for what the other side may still be
  sending: closing over unread bytes would take back an answer that it has not read yet.

  What is malformed is answered and closed, a Noise failure closes without a word, and so do
  the deadline of the whole and that of idle peers. The handler never waits on an event loop.

  What needs no waiting is done on the loop itself, since going to another thread and back
  costs as much as a plain answer does: `:ready` responses, and handshakes. A handshake takes
  about 0.1 ms, and there is a loop for each processor, so that an executor could not do them
  sooner; above the caps, connections of Noise are closed without one. `:handshakes :executor`
  is for loops that have something else to do."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.net.admission :as admission]
   [poz.net.channel :as channel]
   [poz.net.link :as link]
   [poz.net.sweep :as sweep]
   [poz.net.transport :as transport]
   [poz.noise :as noise]
   [poz.wire :as wire])
  (:import
   (io.netty.channel Channel ChannelHandler ChannelHandlerContext ChannelOption ChannelPipeline)
   (io.netty.channel.group ChannelGroup DefaultChannelGroup)
   (io.netty.channel.socket ChannelInputShutdownEvent DuplexChannel)
   (io.netty.util.concurrent GlobalEventExecutor)
   (java.net InetSocketAddress)
   (java.util.concurrent Executor ForkJoinPool RejectedExecutionException)))

(set! *warn-on-reflection* true)

;; A connection is {:ctx :facts :state}: the facts are the server's, the state is a volatile
;; that only the event loop of the channel writes.

(defn- phase [{:keys [state]}] (:phase @state))

(defn- enter! [{:keys [state]} phase]
  (vswap! state assoc :phase phase))

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
          (channel/later (.eventLoop c) (min 1000 (long (-> facts :limits :idle-ms))) #(close! conn))
          (reading! conn true)))))

(defn- finish!
  "What comes after the answer. Nothing is left to read of who has sent one request and no more."
  [{:keys [state] :as conn}]
  (when (= :answering (phase conn))
    (if (:alone @state) (close! conn) (linger! conn))))

(defn- flush!
  "Writes as much of the answer as the channel takes now; ends once all is written."
  [{:keys [ctx state] :as conn}]
  (when (and (= :answering (phase conn)) (seq (:pieces @state)) (.isWritable (chan conn)))
    (let [[piece & more] (:pieces @state)]
      (vswap! state assoc :pieces more) ; before it is sent, since that may come back here
      (when (and (:alone @state) (not more)) (transport/hold! (chan conn)))
      (let [sent (channel/send! ctx piece)]
        (if more
          (recur conn)
          (channel/when-done sent (fn [_] (finish! conn))))))))

(defn- observe!
  "Tells who wants to know what has happened."
  [{:keys [facts] :as conn} k & args]
  (when-let [f (facts k)]
    (try (apply f args)
         (catch Throwable t (report! conn t)))))

(defn- answered! [{:keys [state facts address] :as conn} response]
  (when (:on-answer facts)
    (let [{:keys [request since]} @state]
      (observe! conn :on-answer (or request {:contract (:contract facts) :address address}) response
        (if since (- (System/nanoTime) (long since)) 0)))))

(defn- answer! [{:keys [state] :as conn} response]
  (answered! conn response)
  (vswap! state assoc :phase :answering :pieces (link/outgoing (:link @state) response))
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

(defn- usable [response]
  (when-not (and (bytes/bytes? response) (pos? (count response)))
    (throw (IllegalStateException. "The handler gave no bytes.")))
  response)

(defn- handled
  "The response of the handler to the `request`, FAILED where it gives none."
  [{:keys [facts] :as conn} request]
  (try (usable ((:handler facts) request))
       (catch Throwable t
         (report! conn t)
         (failure :fault/internal (:bytes request)))))

(defn- handle! [conn request]
  (enter! conn :handling)
  (try (offload! conn #(handled conn request) #(answer! conn %))
       (catch RejectedExecutionException _ (answer! conn (failure :wire/busy (:bytes request))))))

(defn- at-hand
  "The response to the `request` that is ready, or nil."
  [{:keys [facts] :as conn} request]
  (when-let [ready (:ready facts)]
    (try (some-> (ready request) usable)
         (catch Throwable t (report! conn t) nil))))

(defn- whole!
  "Answers the request `b`, after which nothing has come."
  [{:keys [state facts address] :as conn} b]
  (let [request {:bytes b :contract (:contract facts) :address address}]
    (vswap! state assoc :alone true)
    (when (:on-answer facts) (vswap! state assoc :request request :since (System/nanoTime)))
    (if-let [response (at-hand conn request)]
      (answer! conn response)
      (handle! conn request))))

;; The request

(declare advance!)

(defn- shaken! [{:keys [ctx state] :as conn} found]
  (observe! conn :on-handshake (not (error/anomaly? found)))
  (if (error/anomaly? found)
    (close! conn)
    (let [[noise message] found]
      (channel/send! ctx (noise/frame message))
      (vswap! state assoc :phase :reading :link (link/shaken (:link @state) noise))
      (advance! conn))))

(defn- responded [{:keys [state] :as conn} message]
  (try (link/respond (:noise (:link @state)) message)
       (catch Throwable t (report! conn t) (error/anomaly :fault/internal))))

(defn- shake! [{:keys [facts] :as conn} message]
  (enter! conn :shaking)
  (if (= :loop (:handshakes facts))
    (shaken! conn (responded conn message))
    (try (offload! conn #(responded conn message) #(shaken! conn %))
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
        :whole (whole! conn value)
        :malformed (refuse! conn value)
        :broken (close! conn)))))

(def ^:private ahead
  "How many bytes a peer may have sent ahead while its handshake is computed."
  (* 4 (long (:noise-message messages/limits))))

(defn- take! [{:keys [state] :as conn} b]
  (vswap! state #(assoc % :link (link/arrived (:link %) b) :reads (inc (long (:reads %)))))
  (if (< (long ahead) (long (link/unread-count (:link @state))))
    (close! conn)
    (advance! conn)))

(defn- read!
  "Takes what has arrived. What comes after the request is of no use, and there may be much of it."
  [{:keys [state] :as conn} b]
  (case (phase conn)
    (:reading :shaking) (take! conn b)
    (:handling :answering) (do (vswap! state assoc :alone false) (reading! conn false))
    nil))

;; Beginning, end and time

(defn- ended! [{:keys [state] :as conn}]
  (vswap! state assoc :ended true)
  (if (= :lingering (phase conn)) (close! conn) (advance! conn)))

(defn- signs
  "What changes whenever the other side moves; nil where it is not its turn."
  [{:keys [state] :as conn}]
  (let [{:keys [phase reads]} @state]
    (when-not (#{:shaking :handling} phase)
      [phase reads (channel/unsent (chan conn))])))

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
   :state (volatile! {:phase :reading :link (new-link facts) :reads 0})})

(defn- active!
  "Admits the connection, or not."
  [{:keys [facts address] :as conn}]
  (.add ^ChannelGroup (:channels facts) (chan conn))
  (sweep/enter! (:sweeps facts) (chan conn) #(signs conn) #(close! conn))
  (case (admission/enter! (:admission facts) address)
    :serve nil
    :busy (if (:prologue facts) (close! conn) (refuse! conn (error/anomaly :wire/busy)))
    :close (close! conn)))

(defn- inactive! [{:keys [facts address] :as conn}]
  (enter! conn :closed)
  (sweep/leave! (:sweeps facts) (chan conn))
  (admission/leave! (:admission facts) address))

(defn handler
  "The handler at the end of every connection of the server with these `facts`."
  ^ChannelHandler [facts]
  (channel/inbound
    {:begin #(connection % facts)
     :active active!
     :inactive inactive!
     :read read!
     :event (fn [conn event] (when (instance? ChannelInputShutdownEvent event) (ended! conn)))
     :writable flush!
     :failed (fn [_ ^ChannelHandlerContext ctx t]
               (when (channel/defect? t) (report! {:facts facts} t))
               (.close ctx))}))

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
   :ready "from the same to bytes at hand, or nil: then the handler is asked; on the event loop, so it must not wait"
   :static "for Noise the server's key pair {:secret :public-key}"
   :random "for Noise a function that gives n random bytes; by default the system's"
   :limits "numbers in place of those in poz.format.messages/limits"
   :handshakes "where they are computed: on the event :loop, by default, or by the :executor"
   :executor "a java.util.concurrent.Executor, where handshakes are computed and the handler runs"
   :on-error "called with what the handler threw; by default the thread's own handler is"
   :on-answer "called on the event loop with the request, as the handler gets it, without :bytes where there was no whole one, the response's bytes, and the nanoseconds between them"
   :on-handshake "called on the event loop with whether a handshake was well"})

(defn- check! [{:keys [contract handler ready handshakes static] :as given}]
  (let [unknown (remove (set (keys options)) (keys given))
        {:keys [encryption]} (contract-row contract)]
    (when (seq unknown)
      (throw (IllegalArgumentException. (str "No such option: " (first unknown)))))
    (when-not (ifn? handler)
      (throw (IllegalArgumentException. ":handler is a function.")))
    (when-not (or (nil? ready) (ifn? ready))
      (throw (IllegalArgumentException. ":ready is a function.")))
    (when-not (contains? #{nil :loop :executor} handshakes)
      (throw (IllegalArgumentException. ":handshakes is :loop or :executor.")))
    (when-not (or (= :none encryption) (and (bytes/secret? (:secret static)) (bytes/bytes? (:public-key static))))
      (throw (IllegalArgumentException. "That contract needs :static, a key pair.")))))

(defn facts
  "What the connections of one server have in common, from the `options`, with the group
  `:channels` of those that are open."
  [{:keys [contract limits random executor handshakes] :as given}]
  (check! given)
  (let [{:keys [port encryption]} (contract-row contract)
        limits (merge messages/limits limits)]
    (assoc given
      :channels (DefaultChannelGroup. GlobalEventExecutor/INSTANCE true)
      :limits limits
      :admission (admission/counts limits)
      :sweeps (sweep/sweeps limits)
      :handshakes (or handshakes :loop)
      :random (or random crypto/random-bytes)
      :executor (or executor (ForkJoinPool/commonPool))
      :prologue (when (= :noise-nk encryption) (noise/prologue port)))))

(defn transform
  "The function that makes a server's connection of a ChannelPipeline, from `facts`. A handler
  named `handler`, such as Aleph puts there, gives way."
  [facts]
  (let [handler (handler facts)]
    (fn [^ChannelPipeline pipeline]
      (when (.get pipeline "handler")
        (.remove pipeline "handler"))
      (.setOption (.config (.channel pipeline)) ChannelOption/ALLOW_HALF_CLOSURE true)
      (.addLast pipeline "poz" handler))))
