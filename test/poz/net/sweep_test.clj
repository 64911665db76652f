(ns poz.net.sweep-test
  "Sweeps over channels whose clock is ours."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.net.sweep :as sweep])
  (:import
   (io.netty.channel ChannelHandler)
   (io.netty.channel.embedded EmbeddedChannel)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(defn- channel ^EmbeddedChannel []
  (doto (EmbeddedChannel. ^"[Lio.netty.channel.ChannelHandler;" (make-array ChannelHandler 0))
    (.freezeTime)))

(defn- pass!
  "Lets a millisecond pass."
  [^EmbeddedChannel channel]
  (.advanceTimeBy channel 1 TimeUnit/MILLISECONDS)
  (.runScheduledPendingTasks channel))

(defn- late-after
  "After how many milliseconds the connection with these signs is late; nil if it is not in 5 seconds.
  The sweeps begin `before` earlier, by another connection."
  [limits before signs]
  (let [channel (channel) other (Object.) sweeps (sweep/sweeps limits) late (volatile! false)]
    (sweep/enter! sweeps channel (constantly other) #(sweep/leave! sweeps channel))
    (dotimes [_ before] (pass! channel))
    (sweep/enter! sweeps channel signs #(do (vreset! late true) (sweep/leave! sweeps channel)))
    (loop [ms 1]
      (pass! channel)
      (cond @late ms
            (< ms 5000) (recur (inc ms))))))

(def ^:private limits {:exchange-ms 1000 :idle-ms 320})
(def ^:private period 20)

(deftest in-time-but-not-before
  (doseq [before [0 1 7 19]
          [signs least what] [[(constantly [:reading 0]) 320 "nothing moves"]
                              [#(Object.) 1000 "something moves all the time"]
                              [(constantly nil) 1000 "it is not the other side's turn"]]]
    (testing [what before]
      (is (<= least (late-after limits before signs) (+ least (* 2 period)))))))

(deftest one-sign-of-life
  (let [asked (atom 0)
        signs #(if (< (swap! asked inc) 10) :before :after)]
    (is (<= 500 (late-after limits 0 signs) (+ 200 320 (* 2 period))))))

(deftest limits-of-all-sizes
  (doseq [ms [1 2 15 16 17 100 1000 4500]]
    (is (<= ms (late-after {:exchange-ms ms :idle-ms 60000} 0 #(Object.)) (+ ms 1 (quot ms 8))) ms)
    (is (<= ms (late-after {:exchange-ms 60000 :idle-ms ms} 0 (constantly 1)) (+ ms 2 (quot ms 8))) ms)))

(deftest who-has-left-is-not-looked-at
  (let [channel (channel) sweeps (sweep/sweeps limits) refuse #(throw (AssertionError. "Looked at."))]
    (sweep/enter! sweeps channel refuse refuse)
    (sweep/leave! sweeps channel)
    (dotimes [_ 2000] (pass! channel))
    (testing "nor is there a sweep without a connection"
      (is (= -1 (.runScheduledPendingTasks channel))))
    (testing "until there is one again"
      (let [late (volatile! 0)]
        (sweep/enter! sweeps channel (constantly 1) #(do (vswap! late inc) (sweep/leave! sweeps channel)))
        (dotimes [_ 2000] (pass! channel))
        (is (= 1 @late))))))

(deftest many-at-once
  (let [sweeps (sweep/sweeps limits) late (atom 0)
        all (vec (repeatedly 500 channel))]
    (doseq [c all] (sweep/enter! sweeps c (constantly 1) #(do (swap! late inc) (sweep/leave! sweeps c))))
    (doseq [c all _ (range 400)] (pass! c))
    (is (= 500 @late))))
