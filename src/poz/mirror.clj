(ns poz.mirror
  "A server's part as a *cache* or a *mirror* (protocol.md §7): it holds copies of records that it
  pulled from another server, its *upstream*, and verified before anybody is given them.

  A cache pulls what it is asked for (`poz.mirror.demand`). A mirror replicates one authority: it
  pulls in rounds, of all that it holds and of all on its *list*, a SERIAL each and more only where
  that differs (`poz.mirror.plan`), and between them what it is asked for and does not hold yet.

  Where the list comes from: nothing in the protocol tells which records a server holds, and
  rightly so, since it would tell the handles of everybody to anybody. A provider's Identity Zone
  lists what it denies, not what it issued. So the operator of the authority exports the original
  hashes, `poz authority list`, and gives the mirror the file, by whatever way files go. It
  needs no trust: each record is asked for by its hash and verifies itself, so a bad list can
  only leave something out, or name what does not exist. Handles come with the records. A
  record that is not on the list yet is pulled when it is first asked for, and kept.

  What contradicts what is held is never taken: an older serial (a rollback), another hash under
  the same serial (a fork). It is counted, and handed to `:on-conflict` with its evidence. What is
  held goes on being served.

    mirror   makes one, which does nothing yet
    round!   pulls all of it once
    start!   has a mirror do rounds until `stop!`, backing off while the upstream does not answer
    prepare! gets what a request needs: for `:before` of `poz.authority.server`
    status   what it holds, how old that is, what went wrong"
  (:require
   [poz.error :as error]
   [poz.mirror.demand :as demand]
   [poz.mirror.plan :as plan]
   [poz.mirror.pull :as pull]
   [poz.mirror.status :as status])
  (:import
   (java.util.concurrent CountDownLatch ExecutorService Executors ThreadFactory TimeUnit)))

(set! *warn-on-reflection* true)

(def options
  "Option of `mirror` → what it is. `:servers`, `:store`, `:now` and `:random` are required."
  {:role ":cache or :mirror; by default :mirror"
   :servers "the upstream, as poz.client.servers describes a server; several if it has several"
   :store "a poz.store/Store of its own"
   :hash "the original hash of the authority's record, which is pulled first; a mirror's rounds need it to tell whose handles are whose"
   :domains "domain → original hash of its record; other domains are taken on the upstream's word, once"
   :list "a function of nothing: the original hashes on the list, or an anomaly"
   :refresh-ms "how long after a check a record is checked again; by default a minute"
   :stale-ms "how long after a check it is served, if the upstream does not answer; by default a week"
   :at-once "questions to the upstream at a time; by default 32"
   :deadline-ms "for each of them; by default 5 s"
   :now "a function: the clock in milliseconds"
   :random "a function of n: n random bytes"
   :exchange "what carries requests, as poz.net/exchange-async does"
   :on-conflict "a function of an anomaly with the :subject and :evidence, a text to keep"
   :on-error "a function of a Throwable: a defect"})

(def ^:private defaults
  {:role :mirror :domains {} :list (constantly []) :refresh-ms 60000 :stale-ms (* 7 24 60 60 1000)
   :at-once 32 :deadline-ms 5000 :on-conflict (fn [_]) :on-error (fn [_])})

(defn- check! [given]
  (when-let [k (first (remove options (keys given)))]
    (throw (IllegalArgumentException. (str "Unknown option " k "; known are " (sort (keys options))))))
  (when-let [k (first (remove given [:servers :store :now :random]))]
    (throw (IllegalArgumentException. (str "The option " k " is required")))))

(defn- executor ^ExecutorService []
  (Executors/newFixedThreadPool (.availableProcessors (Runtime/getRuntime))
    (reify ThreadFactory
      (newThread [_ task] (doto (Thread. ^Runnable task "poz-mirror") (.setDaemon true))))))

(defn mirror
  "A cache or mirror with the options `options`. It holds what its store holds, and does nothing
  before it is told to; `stop!` ends it, but does not close the store."
  [given]
  (check! given)
  (let [{:keys [store refresh-ms domains] :as whole} (merge defaults given)
        source (assoc (select-keys whole [:servers :store :now :random :exchange :deadline-ms :on-error])
                 :executor (executor))]
    (merge (status/state store) (demand/waiting (min 30000 (long refresh-ms)))
      {:source source :options whole :domains domains :round (atom nil)})))

;; ## Rounds

(defn- listed [{:keys [options] :as mirror}]
  (let [found ((:list options))]
    (if (error/anomaly? found)
      (do (status/failed! mirror found) [])
      found)))

(defn- took! [mirror told outcomes]
  (status/taken! mirror outcomes)
  (when-not (every? #(contains? #{:unreachable :busy} (:poz/anomaly %)) outcomes)
    (status/answered! mirror))
  (swap! told #(merge-with + % (frequencies (map (fn [o] (:outcome o :failed)) outcomes)))))

(defn- pull! [{:keys [source options] :as mirror} told progress hashes]
  (pull/pull-all! (assoc source :held? #(some? (status/checked-at mirror %)))
    hashes (:at-once options) (pull/providers source)
    #(status/stopped? mirror)
    (fn [outcomes]
      (took! mirror told outcomes)
      (progress (assoc @told :outcomes outcomes)))))

(defn- ended! [{:keys [state source] :as mirror} gone]
  (if gone
    (status/silent! mirror gone)
    (when-not (status/stopped? mirror) (swap! state assoc :last-success ((:now source))))))

(defn round!
  "Pulls everything once, the authority's own record first: `{:new :updated :unchanged :failed}`,
  how many records each, with `:gone`, the anomaly of an upstream that does not answer any more.
  `progress`, if given, is called as it goes with the counts so far, `:total` and `:outcomes`, the
  last ones."
  ([mirror] (round! mirror (fn [_])))
  ([{:keys [options state source] :as mirror} progress]
   (let [first-one (:hash options)
         others (remove #{first-one} (distinct (concat (listed mirror) (status/hashes mirror))))
         told (atom {}) total (+ (count others) (if first-one 1 0))
         progress #(progress (assoc % :total total))]
     (swap! state assoc :checked-at ((:now source)))
     (let [gone (or (when first-one (pull! mirror told progress [first-one]))
                  (pull! mirror told progress others))]
       (ended! mirror gone)
       (cond-> @told gone (assoc :gone gone))))))

;; ## On its own

(defn- wait! [{:keys [^CountDownLatch stopped]} ms]
  (.await stopped (long ms) TimeUnit/MILLISECONDS))

(defn- pause
  "Milliseconds until the next round."
  [{:keys [options state source]} {:keys [gone]}]
  (if gone
    (plan/back-off (:silent @state) (:wait-ms gone) (:random source))
    (:refresh-ms options)))

(defn- round-or-defect! [{:keys [options] :as mirror}]
  (try (round! mirror)
       (catch Throwable t
         ((:on-error options) t)
         {:gone (error/anomaly :fault/internal)})))

(defn start!
  "Has a mirror do rounds on a thread of its own; a cache needs none. The mirror."
  [{:keys [options round] :as mirror}]
  (when (= :mirror (:role options))
    (reset! round
      (doto (Thread. ^Runnable (fn [] (while (not (status/stopped? mirror))
                                        (wait! mirror (pause mirror (round-or-defect! mirror)))))
              "poz-mirror-rounds")
        (.setDaemon true)
        (.start))))
  mirror)

(defn stop!
  "Ends the mirror's rounds: none begins any more, and one under way ends with the questions that
  were asked. Calling it again does nothing."
  [{:keys [^CountDownLatch stopped round source]}]
  (.countDown stopped)
  (some-> ^Thread @round (.join (* 2 (long (:deadline-ms source)))))
  (.shutdown ^ExecutorService (:executor source)))

(defn prepare!
  "Has at hand what the answer to `request` needs: nil, or the anomaly that is the answer."
  [mirror request]
  (demand/prepare! mirror request))

(defn status
  "What the mirror is at present: its `:role`; `:records`, how many it holds; `:checked-at`, when the
  last round began; `:last-success`, when the upstream last answered, for a mirror a whole round;
  `:lag-ms`, how long ago that was (nil: never); `:failures`, error keyword → how often; `:conflicts`,
  the records that the upstream contradicted, `{:hash :error :at}`."
  [{:keys [options state source] :as mirror}]
  (let [{:keys [checked-at last-success answered-at failures conflicts]} @state
        success (if (= :mirror (:role options)) last-success answered-at)]
    {:role (:role options) :records (count (status/hashes mirror)) :checked-at checked-at
     :last-success success :lag-ms (when success (- (long ((:now source))) (long success)))
     :failures failures :conflicts conflicts}))
