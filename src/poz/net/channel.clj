(ns poz.net.channel
  "What the server and the client share of Netty: byte strings in and out of channels, and
  handlers as maps of functions. Nothing here knows requests."
  (:require
   [poz.bytes :as bytes])
  (:import
   (io.netty.buffer ByteBuf)
   (io.netty.channel Channel ChannelFuture ChannelFutureListener ChannelHandlerContext ChannelInboundHandler EventLoop)
   (io.netty.util AttributeKey ReferenceCountUtil)
   (java.util.concurrent TimeUnit)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(defn- copied
  "The bytes of `buf`, which may be reused afterwards."
  [^ByteBuf buf]
  (let [a (byte-array (.readableBytes buf))]
    (.readBytes buf a)
    (bytes/wrap a)))

(defn- buffer
  "A copy of `b` where the socket takes it from, outside of the heap."
  ^ByteBuf [^ChannelHandlerContext ctx ^Bytes b]
  (doto (.directBuffer (.alloc ctx) (.-length b))
    (.writeBytes ^bytes (.-array b) (.-offset b) (.-length b))))

(defn send!
  "Writes the byte string `b` and flushes: the future of that."
  ^ChannelFuture [^ChannelHandlerContext ctx b]
  (.writeAndFlush ctx (buffer ctx b)))

(defn when-done
  "Calls `f` with `future` once it is complete, well or not; at once, if it is."
  [^ChannelFuture future f]
  (if (.isDone future)
    (f future)
    (.addListener future (reify ChannelFutureListener (operationComplete [_ future] (f future))))))

(defn unsent
  "What tells whether the other side takes what was written: it changes with each byte."
  [^Channel channel]
  (when-let [out (.outboundBuffer (.unsafe channel))]
    [(.totalPendingWriteBytes out) (.currentProgress out)]))

(defn later
  "Calls `f` on the event loop `loop` in `ms` milliseconds; a future to cancel."
  [^EventLoop loop ms f]
  (.schedule loop ^Runnable f (long ms) TimeUnit/MILLISECONDS))

(defn soon
  "Calls `f` on the event loop of `channel`."
  [^Channel channel f]
  (.execute (.eventLoop channel) ^Runnable f))

(defn defect?
  "Whether the Throwable `t` is not merely what happens to connections."
  [t]
  (or (instance? RuntimeException t) (instance? Error t)))

(def ^:private ^AttributeKey known (AttributeKey/valueOf "poz"))

(defn- of [^ChannelHandlerContext ctx] (.get (.attr (.channel ctx) known)))

(defn- received [read ctx message]
  (let [b (try (when (instance? ByteBuf message) (copied message))
               (finally (ReferenceCountUtil/release message)))]
    (when b (read (of ctx) b))))

(defn- began [begin ^ChannelHandlerContext ctx]
  (let [x (begin ctx)]
    (.set (.attr (.channel ctx) known) x)
    x))

(defn inbound
  "A handler for the end of pipelines, of any number of channels. `:begin` gives, of the context
  of a channel that has become active, what is known of it: the argument of `:active`
  `:inactive` `:writable`, and the first one of `:read`, with a byte string, of `:event`, with an
  event of Netty, and of `:failed`, with the context and what was thrown, where it may be nil."
  ^ChannelInboundHandler
  [{:keys [begin active inactive writable read event failed]
    :or {writable identity event (fn [_ _])}}]
  (reify ChannelInboundHandler
    (handlerAdded [_ _])
    (handlerRemoved [_ _])
    (channelRegistered [_ _])
    (channelUnregistered [_ _])
    (channelActive [_ ctx] (active (began begin ctx)) nil)
    (channelInactive [_ ctx] (some-> (of ctx) inactive) nil)
    (channelRead [_ ctx message] (received read ctx message) nil)
    (channelReadComplete [_ _])
    (userEventTriggered [_ ctx e]
      (try (some-> (of ctx) (event e)) (finally (ReferenceCountUtil/release e)))
      nil)
    (channelWritabilityChanged [_ ctx] (some-> (of ctx) writable) nil)
    (exceptionCaught [_ ctx t] (failed (of ctx) ctx t) nil)))
