(ns poz.net.transport
  "Which of Netty's transports carries the connections: `:epoll` on Linux where its library
  loads, `:nio` everywhere."
  (:require
   [poz.net.epoll :as epoll])
  (:import
   (io.netty.channel Channel ChannelHandlerContext ChannelInboundHandlerAdapter IoHandlerFactory MultiThreadIoEventLoopGroup)
   (io.netty.channel.epoll Epoll EpollServerSocketChannel EpollSocketChannel)
   (io.netty.channel.nio NioIoHandler)
   (io.netty.channel.socket.nio NioServerSocketChannel NioSocketChannel)
   (io.netty.util.concurrent DefaultThreadFactory)))

(set! *warn-on-reflection* true)

(defn- reading-at-once
  "A handler of a listening channel that lets what it accepts be registered for reading, which
  with epoll takes a call of the kernel less than to ask for that afterwards."
  []
  (proxy [ChannelInboundHandlerAdapter] []
    (isSharable [] true)
    (channelRead [^ChannelHandlerContext ctx accepted]
      (.beginRead (.unsafe ^Channel accepted))
      (.fireChannelRead ctx accepted))))

(def transports
  "Name → the classes of channels, the maker of what drives them, and a handler for what
  listens, or nil."
  {:epoll {:server EpollServerSocketChannel :client EpollSocketChannel :io epoll/handlers
           :accept (reading-at-once)}
   :nio {:server NioServerSocketChannel :client NioSocketChannel :io #(NioIoHandler/newFactory)}})

(defn hold!
  "Lets what is written to `channel` from now on leave together with the end of the stream, where
  its transport can: a segment less for each side to handle."
  [^Channel channel]
  (when (instance? EpollSocketChannel channel)
    (.setTcpCork (.config ^EpollSocketChannel channel) true)))

(defn epoll?
  "Whether epoll is to be had here."
  []
  (Epoll/isAvailable))

(defn choose
  "The name of the transport for the option `wanted`, nil for the best there is. Throws
  IllegalArgumentException for one that is not to be had."
  [wanted]
  (let [best (if (epoll?) :epoll :nio)]
    (when-not (contains? #{nil :nio best} wanted)
      (throw (IllegalArgumentException. (str "There is no transport " (pr-str wanted) " here, only :nio"
                                          (when (= :epoll best) " and :epoll") "."))))
    (or wanted best)))

(defn threads
  "A factory of daemon threads that begin with `name`."
  ^DefaultThreadFactory [^String name]
  (DefaultThreadFactory. name true))

(defn loops
  "A group of `n` event loops of `transport`, on daemon threads that begin with `name`."
  ^MultiThreadIoEventLoopGroup [transport name n]
  (MultiThreadIoEventLoopGroup. (int n) (threads name) ^IoHandlerFactory ((:io (transports transport)))))
