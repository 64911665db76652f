(ns poz.store.group
  "Many callers, of whom one at a time does the work of all that wait: group commit without a thread
  of its own.

  Who comes when nobody does *leads*: it takes all items that wait, its own among them, and hands
  them to the function of the group. Then the first of those that came meanwhile leads. So
  many share the price of one commit, and who is alone waits for no other thread, which
  takes as long as a good part of a commit."
  (:import
   (java.util ArrayDeque)
   (java.util.concurrent.atomic AtomicBoolean)))

(set! *warn-on-reflection* true)

;; Who waits is in the queue, with a promise of its turn: the answer to it, or that it is to lead. The
;; queue's monitor guards the queue, whether somebody leads, and whether the group is closed.

(defn group
  "A group whose items are done by `do-all`, a function of a vector of at most `most` of them that gives
  as many answers. It is called by one thread at a time. What it throws is thrown to each of those
  that asked for them."
  [most do-all]
  {:most most :do-all do-all :queue (ArrayDeque.) :led (AtomicBoolean.) :closed (AtomicBoolean.)})

(defn- enter!
  "Puts `waiting` into the queue: true if its thread is to lead, false if another does, nil if the group is closed."
  [{:keys [^ArrayDeque queue ^AtomicBoolean led ^AtomicBoolean closed]} waiting]
  (locking queue
    (when-not (.get closed)
      (.add queue waiting)
      (not (.getAndSet led true)))))

(defn- take-all! [{:keys [^ArrayDeque queue most]}]
  (locking queue
    (into [] (repeatedly (min (long most) (.size queue)) #(.poll queue)))))

(defn- hand-over!
  "Lets the first that waits lead."
  [{:keys [^ArrayDeque queue ^AtomicBoolean led]}]
  (locking queue
    (if-let [{:keys [turn]} (.peek queue)]
      (deliver turn ::lead)
      (do (.set led false)
          (.notifyAll queue)))))

(deftype ^:private Thrown [throwable])

(defn- answers [{:keys [do-all]} all]
  (try (do-all (mapv :item all))
       (catch Throwable t (repeat (Thrown. t)))))

(defn- lead!
  "Does all that waits, of which the caller's is the first: the answer to that."
  [group]
  (let [all (take-all! group) found (answers group all)]
    (hand-over! group)
    (run! (fn [[{:keys [turn]} answer]] (deliver turn answer)) (rest (map vector all found)))
    (first found)))

(defn- withdraw!
  "What becomes of `waiting` whose thread was interrupted: it leads if it is to. Else `e` is thrown, and
  nothing is done for it unless somebody is about to."
  [{:keys [^ArrayDeque queue]} {:keys [turn] :as waiting} ^InterruptedException e]
  (locking queue
    (when-not (= ::lead (deref turn 0 nil))
      (.remove queue waiting)
      (throw e)))
  (.interrupt (Thread/currentThread))
  ::lead)

(defn- follow! [group {:keys [turn] :as waiting}]
  (let [found (try @turn (catch InterruptedException e (withdraw! group waiting e)))]
    (if (= ::lead found) (lead! group) found)))

(defn answer
  "The answer of the group to `item`, or nil once it is closed. Throws what its function did, or
  InterruptedException."
  [group item]
  (let [waiting {:item item :turn (promise)}
        lead? (enter! group waiting)
        found (cond lead? (lead! group)
                    (false? lead?) (follow! group waiting))]
    (if (instance? Thrown found) (throw (.-throwable ^Thrown found)) found)))

(defn close!
  "Takes no more items, and waits until there are answers to those that came. Calling it again does nothing."
  [{:keys [^ArrayDeque queue ^AtomicBoolean led ^AtomicBoolean closed]}]
  (locking queue
    (.set closed true)
    (while (.get led) (.wait queue))))
