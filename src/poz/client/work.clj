(ns poz.client.work
  "Proof of work for a server that asks for it (protocol.md §4), in pieces, so that it shares
  an executor with others and stops soon after nobody wants it any more.

  The timestamp is always the last moment of the challenge's validity: it is in it whatever
  the clock here says. The nonces start somewhere at random, since a server may remember those
  that it saw, and the same question twice would come to the same one."
  (:require
   [poz.bytes :as bytes]
   [poz.pow :as pow]
   [poz.wire :as wire])
  (:import
   (java.util.concurrent CompletableFuture Executor)))

(set! *warn-on-reflection* true)

(def ^:private piece
  "How many nonces are tried between two looks at whether to go on."
  4096)

(defn- search!
  "Tries a piece of the nonces from `from` on, then lets the executor do the next."
  [^CompletableFuture future ^Executor executor try-nonces from]
  (when-not (.isDone future)
    (try
      (let [to (+ (long from) (long piece))]
        (if-let [found (try-nonces from to)]
          (.complete future found)
          (.execute executor #(search! future executor try-nonces to))))
      (catch Throwable t (.completeExceptionally future t)))))

(defn work-async
  "A CompletableFuture of work on `challenge` for `request`, to be its `:pow`. Cancelling it
  ends the search. `random` gives n random bytes."
  ^CompletableFuture [{:keys [type] :as request} {:keys [challenge difficulty valid-until]} executor random]
  (let [future (CompletableFuture.)
        payload (wire/payload-bytes request)
        timestamp (max 0 (dec (long valid-until)))
        try-nonces (fn [from to] (pow/solve type payload challenge difficulty timestamp [from to]))
        start (bytes/uint (random 7))]
    (.execute ^Executor executor #(search! future executor try-nonces start))
    future))
