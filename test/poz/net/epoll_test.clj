(ns poz.net.epoll-test
  (:require
   [clojure.test :refer [deftest is use-fixtures]]
   [poz.bytes :as bytes]
   [poz.net.epoll :as epoll]
   [poz.net.leaks :as leaks]
   [poz.net.raw :refer [connect contracts decrypted end! framed good initiator noisy on-all read-frame rest-of send! shake]]
   [poz.noise :as noise]
   [poz.wire :as wire])
  (:import
   (io.netty.channel IoHandle IoHandler IoRegistration)
   (io.netty.channel.epoll EpollIoEvent EpollIoOps)
   (java.util.concurrent Executor)))

(set! *warn-on-reflection* true)

(use-fixtures :once leaks/fixture)

(def ^:private long-answer
  "More than a socket takes at once."
  (wire/encode-response {:status :ok :id 7 :payload (bytes/zeros 15000000)} :record))

(defn- asked-and-ended
  "The answer to `good` for somebody who closes his own half with it."
  [server {:keys [port encryption]}]
  (with-open [socket (connect server)]
    (let [state (when-not (= :none encryption) (shake socket port))
          [state b] (if state (framed (noise/encrypt-all state good)) [nil good])]
      (send! socket b)
      (end! socket)
      (if state (decrypted socket state) (rest-of socket)))))

(deftest who-ends-early-gets-all-of-a-long-answer
  (on-all contracts {:handler (constantly long-answer)}
    (fn [contract server]
      (is (= (count long-answer) (count (asked-and-ended server contract)))))))

(deftest who-ends-while-the-handshake-is-computed-is-no-defect
  (on-all noisy {}
    (fn [{:keys [port]} server]
      (dotimes [_ 20]
        (with-open [socket (connect server)]
          (send! socket (noise/frame (second (noise/write-message (initiator port)))))
          (end! socket)
          (is (= 48 (count (read-frame socket))))
          (is (= bytes/empty (rest-of socket))))))))

;; When a channel gets into epoll, told by what is called: [:register] [:submit ops] [:cancel] of
;; Netty's handler, [:handle ops] of the channel.

(def ^:private waits (.with EpollIoOps/EPOLLIN EpollIoOps/EPOLLRDHUP))

(defn- called
  "What is called when a channel is registered and `steps` are taken, functions of the registration
  each, `:read` among them where its loop comes to its tasks; `on-read` is what it does when it is read."
  [steps on-read]
  (let [calls (atom []) tasks (atom []) call! (fn [& call] (swap! calls conj (vec call)))
        in-epoll (reify IoRegistration
                   (submit [_ ops] (call! :submit ops) 0)
                   (isValid [_] true)
                   (cancel [_] (call! :cancel) true))
        netty (reify IoHandler (register [_ _] (call! :register) in-epoll))
        loop (reify Executor (execute [_ task] (swap! tasks conj task)))
        handle (reify IoHandle
                 (handle [_ registration event]
                   (call! :handle (.ops ^EpollIoEvent event))
                   (on-read registration)))
        registration (epoll/registration netty loop handle)]
    (doseq [step steps]
      (if (= :read step)
        (run! #(.run ^Runnable %) (first (reset-vals! tasks [])))
        (step registration)))
    [@calls (.isValid registration)]))

(defn- waiting [ops] (fn [^IoRegistration r] (.submit r ops)))
(defn- cancel [^IoRegistration r] (.cancel r))

(deftest who-is-read-to-the-end-at-once-is-never-in-epoll
  (is (= [[[:handle EpollIoOps/EPOLLIN]] false] (called [(waiting waits) :read :read] cancel)))
  (is (= [[] false] (called [(waiting waits) cancel :read] identity)) "closed before it was read")
  (is (= [[] false] (called [cancel (waiting waits) :read] identity)) "closed before it waited"))

(deftest who-is-not-answered-at-once-gets-into-epoll
  (let [read [:handle EpollIoOps/EPOLLIN]]
    (is (= [[read [:register] [:submit waits]] true] (called [(waiting waits) :read] identity)))
    (is (= [[read [:register] [:submit EpollIoOps/EPOLLOUT]] true]
           (called [(waiting waits) :read] (waiting EpollIoOps/EPOLLOUT))) "with what it waits for by then")
    (is (= [[read [:register] [:submit EpollIoOps/EPOLLET]] true]
           (called [(waiting waits) :read] (waiting EpollIoOps/NONE))) "for its failure at least")
    (is (= [[read [:register] [:submit waits] [:submit EpollIoOps/EPOLLET] [:cancel]] false]
           (called [(waiting waits) :read (waiting EpollIoOps/NONE) cancel cancel] identity)))))

(deftest who-waits-for-something-else-gets-into-epoll-at-once
  (is (= [[[:register] [:submit EpollIoOps/EPOLLOUT] [:submit waits]] true]
         (called [(waiting EpollIoOps/EPOLLOUT) (waiting waits) :read] identity))))
