(ns poz.net
  "Requests and responses over TCP: the ports 7074, 7075 and 7076 (protocol.md §1, §3, §5).

    start               a server; it gives each request's bytes to a function
    exchange            a request's bytes → the response's, or an anomaly
    address             the address of a name
    exchange-async      the same as a CompletableFuture
    pipeline-transform  the server's side of a connection for somebody else's Netty, or Aleph

  One connection carries one request and one response. A *contract* is what a port promises:
  7074 is plain, 7075 and 7076 are Noise NK, each bound to its number wherever it listens.
  Nothing here reads more of a message than how long it is: that is `poz.wire`'s."
  (:require
   [poz.net.client :as client]
   [poz.net.pipeline :as pipeline]
   [poz.net.server :as server])
  (:import
   (java.util.concurrent CompletableFuture)))

(set! *warn-on-reflection* true)

(def server-options
  "Option of `start` → what it is."
  server/options)

(def client-options
  "Option of `exchange` → what it is."
  client/options)

(defn start
  "Starts a server with the options `server-options`, of which `:contract` and `:handler` are
  required, and `:static` for Noise:

    {:port 7075        where it listens
     :transport :epoll what carries it
     :open (fn [])     how many connections are open
     :stop (fn [])}    accepts no more, lets open ones end for :grace-ms, closes the rest;
                       calling it again does nothing

  `:handler` is called with `{:bytes request :contract 7075 :address \"192.0.2.1\"}`, the
  contract as it was given here, and only for what is framed as one request. It gives the
  bytes of the response; when it throws, the other side is told FAILED. It may block, since it
  runs on `:executor`, which by default belongs to this server; one handed in is not shut down.

  `:ready` is asked first, with the same map, on the event loop: it must not wait. The bytes
  that it gives are the response; where it gives nil, or throws, the handler is asked.

  Throws where the options are wrong or the port is not to be had."
  [options]
  (server/start options))

(defn pipeline-transform
  "A function of a ChannelPipeline of Netty that makes it the server's side of a
  connection, as for `start` with the same options, less those about listening and stopping.
  It is what Aleph's TCP server takes as `:pipeline-transform`. `:executor` is by default the
  JVM's common pool."
  [options]
  (pipeline/transform (pipeline/facts options)))

(defn exchange-async
  "A CompletableFuture of what `exchange` gives. Cancelling it closes the connection."
  ^CompletableFuture [options request]
  (client/exchange-async options request))

(defn address
  "The address of `host`, a name or an address, as text; nil where there is none. Waits."
  [host]
  (client/address host))

(defn exchange
  "The bytes of the response to the bytes of `request`, with the options `client-options`, of
  which `:host` and `:contract` are required, and `:server-key` for Noise. Or an anomaly:

    :net/unreachable  no connection
    :net/timeout      not within :deadline-ms
    :net/closed       the server hung up, as it does where Noise fails
    :noise/…          what it sent does not open
    :format/… :wire/too-large  what it sent is no response, or too long

  Waits, so it must not be called on an event loop. Wrong options throw."
  [options request]
  (let [future (exchange-async options request)]
    (try (.get future)
      (finally (.cancel future true)))))
