(ns poz.store.group-test
  "One at a time does what all wait for: nothing is lost, none waits in vain, whatever throws or is interrupted."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.store.group :as group])
  (:import
   (java.util.concurrent CountDownLatch TimeUnit)
   (java.util.concurrent.atomic AtomicInteger)))

(set! *warn-on-reflection* true)

(defn- in-time [x]
  (let [found (deref x 10000 ::late)]
    (is (not= ::late found))
    found))

(defn- gate
  "A function for a group that notes each vector of items, and holds up the first until it is told to go on."
  []
  (let [calls (atom []) begun (promise) go-on (promise)]
    {:calls calls :begun begun :go-on #(deliver go-on true)
     :do-all (fn [items]
               (swap! calls conj items)
               (deliver begun true)
               (in-time go-on)
               (mapv #(if (= :throw %) (throw (ex-info "no" {})) [:done %]) items))}))

(defn- queued
  "Waits until `n` items wait in the group."
  [{:keys [^java.util.ArrayDeque queue]} n]
  (let [end (+ (System/nanoTime) 10000000000)]
    (while (and (< (long (locking queue (.size queue))) (long n)) (< (System/nanoTime) end)) (Thread/onSpinWait))
    (is (= n (locking queue (.size queue))))))

(deftest who-is-alone-does-it
  (let [thread (atom nil)
        g (group/group 10 (fn [items] (reset! thread (Thread/currentThread)) (mapv inc items)))]
    (is (= 2 (group/answer g 1)))
    (is (= (Thread/currentThread) @thread))
    (is (false? (group/answer (group/group 1 #(mapv not %)) true)) "false is an answer")))

(deftest those-that-come-meanwhile-are-done-together
  (let [{:keys [calls begun go-on do-all]} (gate) g (group/group 3 do-all)
        first-one (future (group/answer g 0)) _ (in-time begun)
        others (mapv (fn [i] (let [f (future (group/answer g i))] (queued g i) f)) (range 1 6))]
    (go-on)
    (is (= (map #(vector :done %) (range 6)) (map in-time (cons first-one others))))
    (is (= [[0] [1 2 3] [4 5]] @calls) "in the order in which they came, so many at once")))

(deftest what-is-thrown-reaches-each-that-asked-and-no-other
  (let [{:keys [begun go-on do-all]} (gate) g (group/group 10 do-all)
        first-one (future (group/answer g 0)) _ (in-time begun)
        others (mapv (fn [i x] (let [f (future (try (group/answer g x) (catch Exception e (ex-message e))))] (queued g i) f)) [1 2] [1 :throw])]
    (go-on)
    (is (= [[:done 0] "no" "no"] (map in-time (cons first-one others))))
    (is (= [:done 3] (group/answer g 3)) "and it goes on")))

(defn- asking
  "`[thread outcome]` of a thread that asks for an answer."
  [g item]
  (let [outcome (promise)
        thread (Thread. #(deliver outcome (try (group/answer g item) (catch InterruptedException _ :interrupted))))]
    (.start thread)
    [thread outcome]))

(deftest who-is-interrupted-is-not-waited-for
  (let [{:keys [calls begun go-on do-all]} (gate) g (group/group 10 do-all)
        first-one (future (group/answer g 0)) _ (in-time begun)
        [^Thread thread outcome] (asking g 1) _ (queued g 1)
        last-one (future (group/answer g 2)) _ (queued g 2)]
    (.interrupt thread)
    (is (= :interrupted (in-time outcome)))
    (go-on)
    (is (= [[:done 0] [:done 2]] (map in-time [first-one last-one])))
    (is (= [[0] [2]] @calls) "what it asked for is not done")))

(deftest closing
  (testing "with nobody there, twice"
    (let [g (group/group 1 identity)]
      (group/close! g)
      (group/close! g)
      (is (nil? (group/answer g 1)))))
  (testing "while somebody leads and others wait"
    (let [{:keys [begun go-on do-all]} (gate) g (group/group 10 do-all)
          first-one (future (group/answer g 0)) _ (in-time begun)
          waiting (future (group/answer g 1)) _ (queued g 1)
          closed (future (group/close! g) :closed)]
      (is (= :not-yet (deref closed 20 :not-yet)))
      (go-on)
      (is (= [[:done 0] [:done 1] :closed] (map in-time [first-one waiting closed])))
      (is (nil? (group/answer g 2))))))

(deftest many-at-once-interrupted-at-any-time
  (let [done (AtomicInteger.) alone (AtomicInteger.)
        g (group/group 7 (fn [items]
                           (is (= 1 (.incrementAndGet alone)) "one at a time")
                           (.addAndGet done (count items))
                           (.decrementAndGet alone)
                           items))
        threads 16 each 200 ready (CountDownLatch. threads)
        outcomes (mapv (fn [t]
                         (future
                           (.countDown ready)
                           (.await ready 10 TimeUnit/SECONDS)
                           (frequencies (for [i (range each)]
                                          (do (when (zero? (mod (+ (long t) (long i)) 5)) (.interrupt (Thread/currentThread)))
                                              (let [found (try (= [t i] (group/answer g [t i])) (catch InterruptedException _ :interrupted))]
                                                (Thread/interrupted)
                                                found))))))
                   (range threads))
        {right true wrong false interrupted :interrupted} (apply merge-with + (in-time (future (mapv deref outcomes))))]
    (is (nil? wrong))
    (is (= (* threads each) (+ (long right) (long (or interrupted 0)))))
    (is (<= (long right) (.get done) (* threads each)))))
