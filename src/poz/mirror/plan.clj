(ns poz.mirror.plan
  "What to ask a server about one record, and what to make of the answers: pure functions.

  A *pull* is `{:subject :held :record :bytes :memory :serials :asked :fault}`: what is asked about,
  the record as it was held when the pull began (nil: none), as it is by now, its bytes if it came
  whole, its memory (`poz.memory`), what SERIAL said, the types that were asked so far, and the
  anomaly that ended it. `begin` makes one, `next-question` gives a question of `poz.client` or nil,
  `answered` takes what came, `outcome` says how it ended.

  Of a record that is not held the whole is asked. One that is held costs a SERIAL, and CHAIN,
  RECORD or ZONES only where that differs: ZONES for what RECORD leaves out, zones that have
  fallen. What the server says of serials proves nothing: an older one is refused, and for
  another hash under the same serial the record itself is asked, which is evidence or is not.

  An answer has been verified by the client. That it may follow what is held is checked here too:
  nothing goes back, and a zone that directly replaces the one held does so by the rules of
  `poz.update`. One that skips some may, since nobody can tell what was in between."
  (:require
   [poz.client.answer :as answer]
   [poz.error :as error]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.update :as update]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn begin
  "The pull of the record that `subject` names, which is held as `held` (nil: not)."
  [subject held]
  {:subject (if held {:hash (record/original-hash held)} subject)
   :held held :record held :memory (some-> held memory/of) :asked #{}})

;; ## What is asked

(defn- master-facts [memory] (select-keys memory [:serial :current-master-hash]))

(defn lacking
  "What a server that answered `serials` has and who remembers `ours` has not: a set of zones and
  `:master`."
  [ours serials]
  (let [same (set (:zones ours))
        newer? (fn [{:keys [zone grant deny] :as theirs}]
                 (let [mine (first (filter #(= zone (:zone %)) (:zones ours)))]
                   (and (not (same theirs))
                     (or (nil? mine) (<= 0 (compare [grant deny] [(:grant mine) (:deny mine)]))))))]
    (cond-> (into #{} (comp (filter newer?) (map :zone)) (:zones serials))
      (and (not= (master-facts ours) (master-facts serials))
        (<= (long (:serial ours)) (long (:serial serials))))
      (conj :master))))

(defn next-question
  "The next question of the pull, or nil: it has ended."
  [{:keys [subject record memory held serials asked fault]}]
  (let [lacks (when serials (lacking memory serials))
        ask (fn [type & {:as more}] (when-not (asked type) (merge {:type type :subject subject} more)))]
    (cond
      fault nil
      (nil? record) (ask :record)
      (nil? serials) (when held (ask :serial))
      (empty? lacks) nil
      (asked :record) (when-let [zones (seq (disj lacks :master))]
                        (ask :zones :zones (vec zones)))
      (= #{:master} lacks) (or (ask :chain :from (get-in record [:master-zone :serial])) (ask :record))
      :else (ask :record))))

;; ## What came

(defn- with-held-zones
  "The record of an answer with those zones of `held` that are not in it: the answer may be a part,
  and a zone that has fallen is kept."
  [held record]
  (let [kept (remove #(zone/sections record %) (zone/zones held))]
    (merge record
      (select-keys held (mapcat (juxt zone/authority-key zone/zone-key) kept))
      {:public-key-map (answer/longer-key-map held record)})))

(def ^:private no-deny {:serial 0 :timestamp 0 :denied [] :signatures []})

(defn- direct
  "`next` as it was when its `zone` directly replaced the one of which `{:grant :deny :zone-hash}` is
  remembered, or nil: a grant may have been denied from since."
  [next {:keys [zone zone-hash] :as before}]
  (let [{:keys [grant deny]} (:zone (zone/sections next zone))]
    (cond
      (nil? grant) nil
      (= zone-hash (:previous-zone-hash grant)) (assoc-in next [(zone/zone-key zone) :deny] no-deny)
      (= [(:grant before) (inc (long (:deny before)))] [(:serial grant) (:serial deny)]) next)))

(defn- successor-fault [{:keys [record memory]} next]
  (some (fn [{z :zone :as before}]
          (when-let [next (direct next before)]
            (let [judged (update/judge-successor record next z)]
              (when (not= :valid (:outcome judged))
                (let [step (rules/first-break judged)]
                  (error/anomaly (rules/problem step) {:path [(zone/zone-key z)] :rule (:because step)}))))))
    (:zones memory)))

(defn- followed
  "The pull with the record `next` for its own, or an anomaly. `file` is the whole file that it came
  as, if it did."
  [{:keys [record] :as pull} next file]
  (or (when record (successor-fault pull next))
    (let [whole (record/public-view (if record (with-held-zones record next) next))]
      (cond-> (assoc pull :record whole :bytes (when (identical? whole next) file))
        record (assoc :memory (memory/of whole))))))

(defn- told
  "The pull with the `serials` that SERIAL told; or the anomaly where they are older than what it has."
  [{:keys [memory] :as pull} serials]
  (let [found (memory/remember memory serials)]
    (if (= :memory/rollback (:poz/error found)) found (assoc pull :serials serials))))

(defn- another-way?
  "True if the failure of CHAIN may be a fork before what was asked for: the whole record tells."
  [type {:poz/keys [anomaly]}]
  (and (= :chain type) (= :invalid anomaly)))

(defn answered
  "The pull after `answer`, what `poz.client/query` gave to its `question`."
  [pull {:keys [type]} answer]
  (let [pull (clojure.core/update pull :asked conj type)
        failed? (error/anomaly? answer)
        found (cond
                (and failed? (another-way? type answer)) pull
                failed? answer
                (= :serial type) (told pull (:payload answer))
                :else (error/attempt #(followed pull (:record answer) (when (= :record type) (:payload answer)))))]
    (if (error/anomaly? found) (assoc pull :fault found) found)))

(defn onto
  "The ended pull of a record that was asked for by another name than its hash, now that it is seen to
  be `held`."
  [{:keys [record]} held]
  (let [{:keys [memory] :as pull} (begin {:hash (record/original-hash held)} held)
        found (memory/remember memory (memory/of record))]
    (if (error/anomaly? found)
      (assoc pull :fault (assoc found :record record))
      (answered pull {:type :record} {:record record}))))

(defn outcome
  "How a pull ended that has no next question: `{:outcome :new|:updated|:unchanged :record :bytes
  :held}`; or the anomaly that ended it, `:mirror/incomplete` where the server never gave what it
  says it has."
  [{:keys [held record memory serials fault asked] b :bytes}]
  (let [lacks (when (and serials (not fault)) (seq (lacking memory serials)))]
    (cond
      fault fault
      lacks (error/anomaly :mirror/incomplete {:path (vec (sort lacks))})
      (nil? held) {:outcome :new :record record :bytes b}
      (= #{:serial} asked) {:outcome :unchanged :record held}
      :else {:outcome :updated :record record :bytes b :held held})))

;; ## When to try again

(def ^:private first-wait-ms 500)
(def ^:private most-wait-ms 60000)

(defn back-off
  "How many milliseconds to wait after `failures` rounds in a row in which the server did not
  answer: twice as long each time, up to a minute, of which the half is left to chance so that
  not all mirrors come back at once. `random` gives n random bytes; `wait-ms` is what a BUSY
  server asked for, the least."
  [failures wait-ms random]
  (let [whole (min (long most-wait-ms) (bit-shift-left (long first-wait-ms) (min (long failures) 16)))
        chance (nth (random 1) 0)]
    (max (long (or wait-ms 0)) (+ (quot whole 2) (quot (* whole (long chance)) 512)))))
