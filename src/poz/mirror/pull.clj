(ns poz.mirror.pull
  "Pulling records from a server: the asynchronous part of a cache or mirror, one record or many.

  A *source* says from where and into what: `:servers` (as `poz.client` takes them), `:store`,
  `:executor` on which answers are verified, `:now` and `:random` (functions), `:deadline-ms` for
  a record's question, `:exchange`, what carries it, if not `poz.net`'s, and `:held?`, a function of
  an original hash, false where the store needs not be asked for it.

  `pull-async` gives the outcome of `poz.mirror.plan` for one subject, with what `commit!` needs of
  it; `pull-all!` pulls many, so many at a time, and hands over what came in groups, such that
  the store takes a group in one commit, while the next ones are on their way. An anomaly that contradicts what is held has
  `:evidence`, a text to keep: of a fork one that proves it (`poz.fork`), else the other record."
  (:require
   [poz.authority.state :as state]
   [poz.client :as client]
   [poz.error :as error]
   [poz.fork :as fork]
   [poz.format.messages :as messages]
   [poz.mirror.holding :as holding]
   [poz.mirror.plan :as plan]
   [poz.record :as record]
   [poz.store :as store]
   [poz.verify :as verify])
  (:import
   (java.util.concurrent CompletableFuture ExecutionException Executor)
   (java.util.function Function Supplier)))

(set! *warn-on-reflection* true)

;; ## One record

(defn reader
  "The function of a store key that gives its value or nil."
  [store]
  #(get (store/fetch store [%]) %))

(defn providers
  "A function of an original hash that gives the provider as `poz.identity` takes it, out of the
  source's store, each judged once; or nil."
  [{:keys [store now]}]
  (holding/provider-of store #(verify/assess % (now))))

(defn- query-options [{:keys [now] :as source} {:keys [held]} more]
  (cond-> (merge (select-keys source [:servers :executor :random :exchange :deadline-ms :transport])
            {:now (now)} more)
    held (assoc :held held)))

(defn- evidence
  "What to keep of `record`, which contradicts `held`: the proof of a fork, or the record itself."
  [held record now]
  (let [proof (fork/evidence held record now)]
    (if (error/anomaly? proof) (record/armor (record/encode (record/public-view record))) proof)))

(defn- ended
  "The outcome of `pull`, for `holding/commit!`: what was held, and the handles that are proven."
  [{:keys [now store]} {:keys [held] :as pull} before providers]
  (let [{:keys [outcome record] :as found} (plan/outcome pull)]
    (cond
      (and (error/anomaly? found) held record) (-> (dissoc found :record) (assoc :evidence (evidence held record (now))))
      (error/anomaly? found) (dissoc found :record)
      (= :unchanged outcome) (assoc found :before before :bindings (holding/missing-bindings (reader store) record providers))
      :else (assoc found :before before :bindings (holding/bindings record providers)))))

(defn- continue
  ^CompletableFuture [source pull more]
  (if-let [question (plan/next-question pull)]
    (.thenCompose (client/query-async question (query-options source pull more))
      (reify Function
        (apply [_ answer] (continue source (plan/answered pull question answer) more))))
    (CompletableFuture/completedFuture pull)))

(defn- defect [on-error ^Throwable t]
  (let [cause (or (.getCause t) t)]
    (or (when (error/anomaly? (ex-data cause)) (ex-data cause))
      (do (when on-error (on-error cause))
          (error/anomaly :fault/internal)))))

(defn- held-bytes [{:keys [store held?] :or {held? any?}} hash]
  (when (and hash (held? hash)) ((reader store) (state/record-key hash))))

(defn- settled
  "`[pull before]`: the ended `pull` and the bytes of what was held when it began. Where the subject
  was no hash, only now is it seen what was."
  [source {:keys [record held] :as pull} {:keys [hash]} before]
  (if (or hash held (nil? record))
    [pull before]
    (let [b (held-bytes source (record/original-hash record))]
      [(if b (plan/onto pull (record/decode b)) pull) b])))

(defn- begun
  "The pull of `subject`, of which `b` is held; throws the anomaly where that is longer than what may come."
  [subject b {:keys [max-response]}]
  (when (and max-response (< (long max-response) (count b)))
    (error/fail! :wire/too-large {:limit max-response :found (count b)}))
  (plan/begin subject (some-> b record/decode)))

(defn pull-async
  "A CompletableFuture of the outcome for `subject`, of which the store holds the record if it is
  named by its hash; or of an anomaly. `providers` as for `poz.mirror.holding`. `more` are options
  of the client's, as for a handle or a domain; a `:max-response` is for what is held too."
  ^CompletableFuture [{:keys [executor on-error] :as source} {:keys [hash] :as subject} providers more]
  (let [before (delay (held-bytes source hash))
        end (fn [pull] (let [[pull before] (settled source pull subject @before)]
                         (assoc (ended source pull before providers) :subject subject)))]
    (-> (CompletableFuture/supplyAsync (reify Supplier (get [_] (begun subject @before more))) ^Executor executor)
      (.thenCompose (reify Function (apply [_ pull] (continue source pull more))))
      (.thenApply (reify Function (apply [_ pull] (end pull))))
      (.exceptionally (reify Function (apply [_ t] (assoc (defect on-error t) :subject subject)))))))

;; ## Many

(def ^:private most-together
  "How many outcomes are handed over together at most, how many bytes of records, and how many
  milliseconds the first of them waits for others. It bounds what waits in memory, and what is lost
  where the process is killed."
  {:outcomes 256 :bytes 4000000 :ms 200})

(def ^:private no-group {:outcomes [] :bytes 0})

(defn- gathered [{:keys [outcomes bytes] :as group} {:keys [before] b :bytes :as outcome} now]
  (cond-> (assoc group :outcomes (conj outcomes outcome) :bytes (+ (long bytes) (count b) (count before)))
    (empty? outcomes) (assoc :since now)))

(defn- full? [{:keys [outcomes bytes since]} now]
  (and (seq outcomes)
    (or (<= (long (:outcomes most-together)) (count outcomes))
      (<= (long (:bytes most-together)) (long bytes))
      (<= (long (:ms most-together)) (- (long now) (long since))))))

(defn- away? [{:poz/keys [anomaly]}]
  (contains? #{:unreachable :busy} anomaly))

(def ^:private most-silent
  "After how many questions in a row without an answer nothing more is asked."
  3)

(defn- silence
  "`[n anomaly]` after an outcome: how many in a row went unanswered, and the last one."
  [[n _] outcome]
  (if (away? outcome) [(inc (long n)) outcome] [0 nil]))

;; A *run* through many is {:left :flying :group :silence :large :kept}: the hashes that are left, how many
;; are asked about, the outcomes to hand over next, how many in a row went unanswered and the last of
;; them, the hashes of those that are too long to be pulled beside others, and the future of what was
;; handed over last. It goes on wherever an outcome arrives: no thread wakes only to ask for the next.

(defn- new-run [hashes]
  {:left (seq hashes) :flying 0 :group no-group :silence [0 nil] :large [] :kept (CompletableFuture/completedFuture nil)})

(defn- more?
  "True if another of what is left may be asked about now."
  [{:keys [left flying] [silent] :silence} {:keys [at-once stop?]}]
  (and left (< (long flying) (long at-once)) (< (long silent) (long most-silent)) (not (stop?))))

(defn- next-step
  "What the run does next: `:hand-over`, `:start` or `:end`; nil where it has to wait."
  [{:keys [flying group ^CompletableFuture kept] :as run} {:keys [now] :as way}]
  (let [more (more? run way) idle (zero? (long flying))
        due (or (full? group (now)) (and idle (not more) (seq (:outcomes group))))]
    (cond
      (.isCompletedExceptionally kept) :end
      due (when (.isDone kept) :hand-over)
      more :start
      (and idle (.isDone kept)) :end)))

(defn- noted
  "The run after `outcome`. Where there may be others beside it, what is too long is left for later."
  [run {:keys [subject] :poz/keys [error] :as outcome} {:keys [at-once now]}]
  (let [run (-> run (update :flying dec) (update :silence silence outcome))]
    (if (and (< 1 (long at-once)) (= :wire/too-large error))
      (update run :large conj (:hash subject))
      (update run :group gathered outcome (now)))))

(declare go-on!)

(defn- step!
  "Does one step of what is `under-way`: true if there may be another."
  [{:keys [run way ^CompletableFuture end] :as under-way}]
  (let [{:keys [left group ^CompletableFuture kept] :as before} @run]
    (case (next-step before way)
      :start (do (vreset! run (-> before (update :left next) (update :flying inc)))
                 (.thenAccept ^CompletableFuture ((:start way) (first left)) #(go-on! under-way noted % way)))
      :hand-over (let [kept ((:keep way) (:outcomes group))]
                   (vreset! run (assoc before :group no-group :kept kept))
                   (.whenComplete ^CompletableFuture kept (fn [_ _] (go-on! under-way identity))))
      :end (do (.whenComplete kept (fn [_ thrown] (if thrown (.completeExceptionally end thrown) (.complete end before))))
               false)
      nil false)))

(defn- go-on!
  "Changes the run by `f` and does whatever can be done then. One at a time; who comes while its own thread
  is at it leaves the rest to that."
  [{:keys [run going ^CompletableFuture end] :as under-way} f & args]
  (locking run
    (vreset! run (apply f @run args))
    (when-not @going
      (vreset! going true)
      (try (while (step! under-way))
           (catch Throwable t (.completeExceptionally end t))
           (finally (vreset! going false))))))

(defn- through!
  "The run through the `hashes`, at its end. The `way`: `:at-once`, how many at a time; `:start` gives a
  future of the outcome of one, `:keep` one of the time when outcomes are kept; `:stop?` and `:now`."
  [hashes way]
  (let [end (CompletableFuture.)]
    (go-on! {:run (volatile! (new-run hashes)) :going (volatile! false) :end end :way way} identity)
    (try (.get end) (catch ExecutionException e (throw (.getCause e))))))

(def ^:private most-bytes
  "How many bytes of answers may be on their way at a time: as many as one may have."
  (:response-payload messages/limits))

(defn pull-all!
  "Pulls the records with the `hashes`, `at-once` at a time, and calls `taken` with groups of their
  outcomes, each with its `:subject`, while others are on their way. Ends early where the server does
  not answer several times in a row, or once `(stop?)` says so. Nil; or the anomaly of the server that
  no longer answers.

  Those that are asked about at a time share the room of one answer of the greatest length. What is longer
  than its share, as it is held or as the server announces it, is left before it is read, and pulled after
  all others, one by one: so no server can fill the memory with many long answers at a time."
  [{:keys [now executor] :as source} hashes at-once providers stop? taken]
  (let [taken (bound-fn* taken)
        run (fn [hashes at-once keep]
              (through! hashes
                {:at-once at-once :keep keep :stop? stop? :now now
                 :start #(pull-async source {:hash %} providers {:max-response (quot (long most-bytes) (long at-once))})}))
        {:keys [large] [_ gone] :silence} (run hashes at-once (fn [outcomes] (CompletableFuture/runAsync #(taken outcomes) executor)))]
    (or gone
      (get-in (run large 1 #(CompletableFuture/completedFuture (taken %))) [:silence 1]))))

(defn commit!
  "Keeps what `outcomes` found, all in one commit, as checked at `now`; decides anew where others
  commit meanwhile."
  [{:keys [store now]} outcomes]
  (let [good (remove error/anomaly? outcomes)]
    (when (seq good)
      (loop [left 16]
        (when-not (holding/commit! store good (now))
          (if (pos? left) (recur (dec left)) (error/fail! :wire/busy)))))))

(defn held
  "The record with the original hash `hash`, out of the source's store, or nil."
  [{:keys [store]} hash]
  (state/record (reader store) hash))
