(ns poz.net.server
  "Listening and stopping; what happens on a connection is `poz.net.pipeline`'s."
  (:require
   [poz.net.admission :as admission]
   [poz.net.pipeline :as pipeline]
   [poz.net.transport :as transport])
  (:import
   (io.netty.bootstrap ServerBootstrap)
   (io.netty.channel Channel ChannelOption EventLoopGroup MultiThreadIoEventLoopGroup)
   (io.netty.channel.group ChannelGroup)
   (io.netty.channel.unix UnixChannelOption)
   (java.net InetSocketAddress)
   (java.util.concurrent ExecutorService Executors TimeUnit)))

(set! *warn-on-reflection* true)

(def options
  "Option → what it is: those of `start`, with those of `poz.net.pipeline`."
  (assoc pipeline/options
    :host "the address to listen on, by default 127.0.0.1"
    :port "the port, by default the contract's; 0 for any that is free"
    :transport ":nio or :epoll, by default the better one that is to be had"
    :loops "how many event loops, by default one for each processor"
    :grace-ms "how long stop waits for open connections, by default a whole exchange"))

(defn- processors [] (.availableProcessors (Runtime/getRuntime)))

(defn- bootstrap
  "What listens, with its connections, on the event loops of `group`."
  ^ServerBootstrap [transport ^EventLoopGroup group handler]
  (let [{:keys [server accept]} (transport/transports transport)]
    (cond-> (doto (ServerBootstrap.)
              (.group group)
              (.channel server)
              (.option ChannelOption/SO_BACKLOG (int 1024))
              (.childOption ChannelOption/ALLOW_HALF_CLOSURE true)
              (.childHandler handler))
      accept (.handler accept))))

(defn- bind ^Channel [^ServerBootstrap bootstrap host port]
  (.channel (.sync (.bind bootstrap ^String host (int port)))))

(defn- port-of [^Channel channel]
  (.getPort ^InetSocketAddress (.localAddress channel)))

(defn- free!
  "Throws where `port` is taken. Sockets that share a port would share that of another server of
  this user too, without a word."
  [bootstrap host port]
  (.sync (.close (bind bootstrap host port))))

(defn- bind-more
  "The listeners `bound` and that of `bootstrap` on the same port, the first one's if there is one."
  [host port bound bootstrap]
  (try (conj bound (bind bootstrap host (if (seq bound) (port-of (first bound)) port)))
       (catch Throwable t
         (run! #(.close ^Channel %) bound)
         (throw t))))

(defn- shared
  "A bootstrap for each loop of `group`, on one port, among which the kernel shares out
  connections; each stays on its loop."
  [bootstrap group]
  (for [loop (iterator-seq (.iterator ^MultiThreadIoEventLoopGroup group))]
    (.option ^ServerBootstrap (bootstrap loop) UnixChannelOption/SO_REUSEPORT true)))

(defn- listen
  "The listening channels, with epoll one for each loop."
  [transport group handler host port]
  (let [bootstrap #(bootstrap transport % handler)]
    (if (= :epoll transport)
      (do (when-not (zero? (long port)) (free! (bootstrap group) host port))
          (reduce #(bind-more host port %1 %2) [] (shared bootstrap group)))
      [(bind (bootstrap group) host port)])))

(defn- end-loops! [^MultiThreadIoEventLoopGroup group]
  (.await (.shutdownGracefully group 0 1000 TimeUnit/MILLISECONDS)))

(defn- stop!
  "Accepts no more, lets what is open end within `grace-ms`, closes the rest."
  [{:keys [listeners ^ChannelGroup channels group ^ExecutorService executor grace-ms]}]
  (run! #(.syncUninterruptibly (.close ^Channel %)) listeners)
  (.await (.newCloseFuture channels) (long grace-ms))
  (.await (.close channels))
  (end-loops! group)
  (some-> executor .shutdown))

(defn- executor-of-our-own ^ExecutorService []
  (Executors/newFixedThreadPool (max 4 (* 2 (long (processors)))) (transport/threads "poz-handler")))

(defn- open [{:keys [transport host port loops contract] :or {host "127.0.0.1"}} facts]
  (let [transport (transport/choose transport)
        n (or loops (processors))
        group (transport/loops transport "poz-server" n)
        handler (pipeline/handler facts)
        port (or port (:port (pipeline/contract-row contract)))]
    (try {:group group :transport transport :listeners (listen transport group handler host port)}
         (catch Throwable t
           (end-loops! group)
           (throw t)))))

(defn- facts-of [given]
  (when-let [unknown (first (remove (set (keys options)) (keys given)))]
    (throw (IllegalArgumentException. (str "No such option: " unknown))))
  (pipeline/facts (select-keys given (keys pipeline/options))))

(defn start
  "See `poz.net/start`."
  [{:keys [executor grace-ms] :as given}]
  (let [{:keys [channels] :as facts} (facts-of given)
        own (when-not executor (executor-of-our-own))
        {:keys [listeners transport] :as opened}
        (try (open given (assoc facts :executor (or executor own)))
             (catch Throwable t (some-> own .shutdown) (throw t)))
        stopped (delay (stop! (assoc opened :channels channels :executor own
                                :grace-ms (or grace-ms (-> facts :limits :exchange-ms)))))]
    {:port (port-of (first listeners))
     :transport transport
     :open #(admission/open (:admission facts))
     :stop (fn [] @stopped nil)}))
