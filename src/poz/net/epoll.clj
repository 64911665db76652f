(ns poz.net.epoll
  "Netty's epoll, with one repair and one saving: `handlers`.

  A channel *waits* for what it has asked the kernel to tell of it. From 4.2.13 on (4.2.20 is
  the newest that was looked at) Netty takes out of epoll what waits for nothing, and fails to
  put it back: a peer that closes its own half early, as it may, would get no more of a long
  answer than its socket takes at once. So here nothing ever waits for nothing, but for news of
  its failure (EPOLLET, by itself), which the kernel tells once.

  A channel that waits for something to read from the start, as one does that was accepted, is
  read once before the kernel is asked: the request has mostly come by then. What is answered
  and closed at once, as most are, is never in epoll, which spares a lookup two calls of the
  kernel and a round of the loop: 2 of 33 µs."
  (:import
   (io.netty.channel IoHandle IoHandler IoHandlerFactory IoOps IoRegistration)
   (io.netty.channel.epoll EpollIoEvent EpollIoHandler EpollIoOps)
   (java.util.concurrent Executor)))

(set! *warn-on-reflection* true)

(def ^:private readable
  (reify EpollIoEvent (ops [_] EpollIoOps/EPOLLIN)))

(defn- submit! [^IoRegistration in-epoll ops]
  (.submit in-epoll ^IoOps (if (= EpollIoOps/NONE ops) EpollIoOps/EPOLLET ops)))

(defprotocol ^:private InEpoll
  (in-epoll! [_] "The registration with Netty's handler, from now on if not before."))

;; Of a handle, on its loop, and only there but for isValid. `wanted` is what it waits for while it is yet to be read.
(deftype ^:private Registration [^IoHandler epoll ^Executor loop ^IoHandle handle
                                 ^:unsynchronized-mutable ^IoRegistration in-epoll
                                 ^:unsynchronized-mutable wanted
                                 ^:volatile-mutable valid]
  InEpoll
  (in-epoll! [_]
    (or in-epoll (set! in-epoll (.register epoll handle))))

  Runnable
  (run [this]
    (when valid (.handle handle this readable))
    (when (and valid (nil? in-epoll)) (submit! (in-epoll! this) wanted)))

  IoRegistration
  (attachment [this]
    (.attachment ^IoRegistration (in-epoll! this)))
  (submit [this ops]
    (cond
      (not valid) -1
      in-epoll (submit! in-epoll ops)
      wanted (do (set! wanted ops) (.value ^EpollIoOps ops))
      (.contains ^EpollIoOps ops EpollIoOps/EPOLLIN) (do (set! wanted ops) (.execute loop this) (.value ^EpollIoOps ops))
      :else (submit! (in-epoll! this) ops)))
  (isValid [_] valid)
  (cancel [_]
    (let [before valid]
      (set! valid false)
      (when (and before in-epoll) (.cancel in-epoll))
      before)))

(defn registration
  "How `handle` is registered with `epoll`, Netty's, on `loop`."
  ^IoRegistration [^IoHandler epoll ^Executor loop ^IoHandle handle]
  (Registration. epoll loop handle nil nil true))

(defn- handler ^IoHandler [^IoHandler epoll loop]
  (reify IoHandler
    (initialize [_] (.initialize epoll))
    (run [_ context] (.run epoll context))
    (prepareToDestroy [_] (.prepareToDestroy epoll))
    (destroy [_] (.destroy epoll))
    (register [_ handle] (registration epoll loop handle))
    (wakeup [_] (.wakeup epoll))
    (isCompatible [_ type] (.isCompatible epoll type))))

(defn handlers
  "The factory of what drives event loops by epoll."
  ^IoHandlerFactory []
  (let [factory (EpollIoHandler/newFactory)]
    (reify IoHandlerFactory
      (newHandler [_ loop] (handler (.newHandler factory loop) loop))
      (isChangingThreadSupported [_] (.isChangingThreadSupported factory)))))
