(ns poz.net.epoll
  "Netty's epoll, with one repair: `handlers`.

  A channel *waits* for what it has asked the kernel to tell of it. From 4.2.13 on (4.2.20 is
  the newest that was looked at) Netty takes out of epoll what waits for nothing, and fails to
  put it back: a peer that closes its own half early, as it may, would get no more of a long
  answer than its socket takes at once. So here nothing ever waits for nothing, but for news of
  its failure (EPOLLET, by itself), which the kernel tells once."
  (:import
   (io.netty.channel IoHandler IoHandlerFactory IoRegistration)
   (io.netty.channel.epoll EpollIoHandler EpollIoOps)))

(set! *warn-on-reflection* true)

(defn- waiting ^IoRegistration [^IoRegistration registration]
  (reify IoRegistration
    (attachment [_] (.attachment registration))
    (submit [_ ops] (.submit registration (if (= EpollIoOps/NONE ops) EpollIoOps/EPOLLET ops)))
    (isValid [_] (.isValid registration))
    (cancel [_] (.cancel registration))))

(defn- handler ^IoHandler [^IoHandler epoll]
  (reify IoHandler
    (initialize [_] (.initialize epoll))
    (run [_ context] (.run epoll context))
    (prepareToDestroy [_] (.prepareToDestroy epoll))
    (destroy [_] (.destroy epoll))
    (register [_ handle] (waiting (.register epoll handle)))
    (wakeup [_] (.wakeup epoll))
    (isCompatible [_ type] (.isCompatible epoll type))))

(defn handlers
  "The factory of what drives event loops by epoll."
  ^IoHandlerFactory []
  (let [factory (EpollIoHandler/newFactory)]
    (reify IoHandlerFactory
      (newHandler [_ executor] (handler (.newHandler factory executor)))
      (isChangingThreadSupported [_] (.isChangingThreadSupported factory)))))
