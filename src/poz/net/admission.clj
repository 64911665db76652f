(ns poz.net.admission
  "How many connections are open, in all and by address (protocol.md §5).

  Above a cap there is some room, a tenth, for connections that are told so; above that they
  are closed at once, since telling costs too."
  (:import
   (java.util.concurrent ConcurrentHashMap)
   (java.util.concurrent.atomic AtomicLong)
   (java.util.function BiFunction)))

(set! *warn-on-reflection* true)

(defn counts
  "The counters of one server with the caps `:connections` and `:connections-per-address`."
  [limits]
  {:caps limits :open (AtomicLong.) :by-address (ConcurrentHashMap.)})

(defn- add!
  "How many of `address` there are after one more, or one less."
  [{:keys [^ConcurrentHashMap by-address]} address ^long n]
  (.compute by-address address
    (reify BiFunction
      (apply [_ _ before]
        (let [after (+ n (long (or before 0)))]
          (when (pos? after) after))))))

(defn- verdict [n cap]
  (let [n (long n) cap (long cap)]
    (cond (<= n cap) :serve
          (<= n (+ cap (max 1 (quot cap 10)))) :busy
          :else :close)))

(defn enter!
  "Counts a connection from `address`: `:serve` it, tell it `:busy`, or `:close` it. Each needs
  one `leave!`."
  [{:keys [caps ^AtomicLong open] :as counts} address]
  (let [in-all (verdict (.incrementAndGet open) (:connections caps))
        of-address (verdict (add! counts address 1) (:connections-per-address caps))]
    (cond (or (= :close in-all) (= :close of-address)) :close
          (or (= :busy in-all) (= :busy of-address)) :busy
          :else :serve)))

(defn leave!
  "Counts a connection from `address` as closed."
  [{:keys [^AtomicLong open] :as counts} address]
  (.decrementAndGet open)
  (add! counts address -1))

(defn open
  "How many connections are open."
  [{:keys [^AtomicLong open]}]
  (.get open))
