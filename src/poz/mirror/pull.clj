(ns poz.mirror.pull
  "Pulling records from a server: the asynchronous part of a cache or mirror, one record or many.

  A *source* says from where and into what: `:servers` (as `poz.client` takes them), `:store`,
  `:executor` on which answers are verified, `:now` and `:random` (functions), `:deadline-ms` for
  a record's question, and `:exchange`, what carries it, if not `poz.net`'s.

  `pull-async` gives the outcome of `poz.mirror.plan` for one subject, with what `commit!` needs of
  it; `pull-all!` pulls many, so many at a time, and hands over what came in groups, such that
  the store takes a group in one commit, while the next ones are on their way. An anomaly that contradicts what is held has
  `:evidence`, a text to keep: of a fork one that proves it (`poz.fork`), else the other record."
  (:require
   [poz.authority.state :as state]
   [poz.client :as client]
   [poz.error :as error]
   [poz.fork :as fork]
   [poz.mirror.holding :as holding]
   [poz.mirror.plan :as plan]
   [poz.record :as record]
   [poz.store :as store]
   [poz.verify :as verify])
  (:import
   (java.util.concurrent CompletableFuture Executor LinkedBlockingQueue)
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

(defn- held-bytes [{:keys [store]} hash]
  (when hash ((reader store) (state/record-key hash))))

(defn- settled
  "`[pull before]`: the ended `pull` and the bytes of what was held when it began. Where the subject
  was no hash, only now is it seen what was."
  [source {:keys [record held] :as pull} {:keys [hash]} before]
  (if (or hash held (nil? record))
    [pull before]
    (let [b (held-bytes source (record/original-hash record))]
      [(if b (plan/onto pull (record/decode b)) pull) b])))

(defn- pull-onto
  "As `pull-async`, where `before` gives the bytes that are held of the record, if it is named by its
  hash."
  ^CompletableFuture [{:keys [executor on-error] :as source} subject before providers more]
  (let [before (delay (before))
        begun #(plan/begin subject (some-> @before record/decode))
        end (fn [pull] (let [[pull before] (settled source pull subject @before)]
                         (assoc (ended source pull before providers) :subject subject)))]
    (-> (CompletableFuture/supplyAsync (reify Supplier (get [_] (begun))) ^Executor executor)
      (.thenCompose (reify Function (apply [_ pull] (continue source pull more))))
      (.thenApply (reify Function (apply [_ pull] (end pull))))
      (.exceptionally (reify Function (apply [_ t] (assoc (defect on-error t) :subject subject)))))))

(defn pull-async
  "A CompletableFuture of the outcome for `subject`, of which the store holds the record if it is
  named by its hash; or of an anomaly. `providers` as for `poz.mirror.holding`. `more` are options
  of the client's, as for a handle or a domain."
  ^CompletableFuture [source {:keys [hash] :as subject} providers more]
  (pull-onto source subject #(held-bytes source hash) providers more))

;; ## Many

(def ^:private read-at-once
  "Of how many records what is held is read together."
  32)

(defn- with-held
  "`[hash bytes]` for each of the `hashes`: what is held of it, or nil."
  [{:keys [store]} hashes]
  (let [found (store/fetch store (map state/record-key hashes))]
    (map (juxt identity #(get found (state/record-key %))) hashes)))

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

(defn pull-all!
  "Pulls the records with the `hashes`, `at-once` at a time, and calls `taken` with groups of their
  outcomes, each with its `:subject`, while others are on their way. Ends early where the server does
  not answer several times in a row, or once `(stop?)` says so. Nil; or the anomaly of the server that
  no longer answers."
  [{:keys [now] :as source} hashes at-once providers stop? taken]
  (let [arrived (LinkedBlockingQueue.)
        start! (fn [[hash before]]
                 (.thenAccept (pull-onto source {:hash hash} (constantly before) providers {}) (fn [o] (.put arrived o))))]
    (loop [left (sequence (comp (partition-all read-at-once) (mapcat #(with-held source %))) hashes)
           flying 0 group no-group [silent gone :as so-far] [0 nil]]
      (cond
        (and (< flying (long at-once)) (seq left) (< (long silent) (long most-silent)) (not (stop?)))
        (do (start! (first left))
            (recur (rest left) (inc flying) group so-far))
        (or (full? group (now)) (and (zero? flying) (seq (:outcomes group))))
        (do (taken (:outcomes group))
            (recur left flying no-group so-far))
        (zero? flying) gone
        :else
        (let [outcome (.take arrived)]
          (recur left (dec flying) (gathered group outcome (now)) (silence so-far outcome)))))))

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
