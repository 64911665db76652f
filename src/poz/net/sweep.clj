(ns poz.net.sweep
  "Which connections take too long, in all or between two signs of life (protocol.md §5).

  Every event loop looks at its own connections from time to time, while it has any: a *sweep*.
  That costs a connection nothing while it lasts, where timers of its own would cost it more
  than its answer. Age is counted in sweeps, of which each comes no sooner than it is due, so
  nothing is closed early, and nothing more than two periods late."
  (:require
   [poz.net.channel :as channel])
  (:import
   (io.netty.channel Channel EventLoop)
   (java.util HashMap Map$Entry)
   (java.util.concurrent ConcurrentHashMap)
   (java.util.function Function)))

(set! *warn-on-reflection* true)

(def ^:private most-ms "The longest period." 250)

(defn- period [{:keys [exchange-ms idle-ms]}]
  (max 1 (min (long most-ms) (quot (min (long exchange-ms) (long idle-ms)) 16))))

(defn sweeps
  "The sweeps of one server with the limits `:exchange-ms` and `:idle-ms`."
  [{:keys [exchange-ms idle-ms] :as limits}]
  (let [period (period limits)
        at-least #(quot (+ (long %) (dec (long period))) (long period))]
    {:period period
     :most-age (inc (long (at-least exchange-ms))) ; the first sweep may come at once
     :most-idle (at-least idle-ms)
     :by-loop (ConcurrentHashMap.)}))

;; Of one loop, and touched by it only: {:open channel → connection, :now how many sweeps there
;; have been, :due whether the next is}. A connection is {:signs :late :born :seen}, the last the
;; signs that it gave when they last were others, and when that was.

(defn- new-loop [] {:open (HashMap.) :now (volatile! 0) :due (volatile! false)})

(defn- of-loop [{:keys [^ConcurrentHashMap by-loop]} ^EventLoop loop]
  (or (.get by-loop loop)
    (.computeIfAbsent by-loop loop (reify Function (apply [_ _] (new-loop))))))

(defn- idle-since
  "When the connection last gave another sign of life than before; now, where it need not."
  [{:keys [signs seen]} now]
  (let [found (signs) [since before] @seen]
    (if (and found (= found before))
      since
      (do (vreset! seen [now found]) now))))

(defn- late? [{:keys [most-age most-idle]} {:keys [born] :as connection} now]
  (let [now (long now)]
    (or (<= (long most-age) (- now (long born)))
      (<= (long most-idle) (- now (long (idle-since connection now)))))))

(declare due!)

(defn- sweep! [sweeps loop]
  (let [{:keys [^HashMap open now due]} (of-loop sweeps loop)
        now (vswap! now inc)
        late (into [] (filter #(late? sweeps (.getValue ^Map$Entry %) now)) open)]
    (vreset! due false)
    (run! #((:late (.getValue ^Map$Entry %))) late)
    (when-not (.isEmpty open) (due! sweeps loop))))

(defn- due! [{:keys [period] :as sweeps} loop]
  (let [{:keys [due]} (of-loop sweeps loop)]
    (when-not @due
      (vreset! due true)
      (channel/later loop period #(sweep! sweeps loop)))))

(defn enter!
  "Looks at `channel` from now on, and calls `(late)` when its time is over. `(signs)` is a
  value that is another one whenever the other side has moved, nil where it is not its turn.
  On the loop of the channel, as all that is called here."
  [sweeps ^Channel channel signs late]
  (let [loop (.eventLoop channel) {:keys [^HashMap open now]} (of-loop sweeps loop)]
    (.put open channel {:signs signs :late late :born @now :seen (volatile! [@now nil])})
    (due! sweeps loop)))

(defn leave!
  "Looks at `channel` no more."
  [sweeps ^Channel channel]
  (.remove ^HashMap (:open (of-loop sweeps (.eventLoop channel))) channel))
