(ns poz.net.channel
  "What the server and the client share of Netty: byte strings in and out of channels, and
  handlers as maps of functions. Nothing here knows requests."
  (:require
   [poz.bytes :as bytes])
  (:import
   (io.netty.buffer ByteBuf Unpooled)
   (io.netty.channel Channel ChannelFuture ChannelFutureListener ChannelHandlerContext ChannelInboundHandler)
   (io.netty.util ReferenceCountUtil)
   (java.util.concurrent TimeUnit)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(defn- copied
  "The bytes of `buf`, which may be reused afterwards."
  [^ByteBuf buf]
  (let [a (byte-array (.readableBytes buf))]
    (.readBytes buf a)
    (bytes/wrap a)))

(defn buffer
  "`b` as Netty takes it, not copied."
  ^ByteBuf [^Bytes b]
  (Unpooled/wrappedBuffer ^bytes (.-array b) (.-offset b) (.-length b)))

(defn send!
  "Writes the byte string `b` and flushes: the future of that."
  ^ChannelFuture [^ChannelHandlerContext ctx b]
  (.writeAndFlush ctx (buffer b)))

(defn when-done
  "Calls `f` with `future` once it is complete, well or not."
  [^ChannelFuture future f]
  (.addListener future (reify ChannelFutureListener (operationComplete [_ future] (f future)))))

(defn later
  "Calls `f` on the event loop of `channel` in `ms` milliseconds; a future to cancel."
  [^Channel channel ms f]
  (.schedule (.eventLoop channel) ^Runnable f (long ms) TimeUnit/MILLISECONDS))

(defn soon
  "Calls `f` on the event loop of `channel`."
  [^Channel channel f]
  (.execute (.eventLoop channel) ^Runnable f))

(defn defect?
  "Whether the Throwable `t` is not merely what happens to connections."
  [t]
  (or (instance? RuntimeException t) (instance? Error t)))

(defn- received [read ctx message]
  (let [b (try (when (instance? ByteBuf message) (copied message))
               (finally (ReferenceCountUtil/release message)))]
    (when b (read ctx b))))

(defn inbound
  "A handler at the end of a pipeline. `:active` `:inactive` `:writable` take the context, `:read`
  the context and a byte string, `:event` the context and an event of Netty, `:failed` the context
  and what was thrown; one that is absent does nothing, but a failure closes the channel."
  ^ChannelInboundHandler
  [{:keys [active inactive writable read event failed]
    :or {active identity inactive identity writable identity event (fn [_ _])
         failed (fn [^ChannelHandlerContext ctx _] (.close ctx))}}]
  (reify ChannelInboundHandler
    (handlerAdded [_ _])
    (handlerRemoved [_ _])
    (channelRegistered [_ _])
    (channelUnregistered [_ _])
    (channelActive [_ ctx] (active ctx) nil)
    (channelInactive [_ ctx] (inactive ctx) nil)
    (channelRead [_ ctx message] (received read ctx message) nil)
    (channelReadComplete [_ _])
    (userEventTriggered [_ ctx e]
      (try (event ctx e) (finally (ReferenceCountUtil/release e)))
      nil)
    (channelWritabilityChanged [_ ctx] (writable ctx) nil)
    (exceptionCaught [_ ctx t] (failed ctx t) nil)))
