(ns poz.pow
  "Proof of work without memory (protocol.md §4), as pure functions: time, secret and load
  are arguments.

  A *window* is a stretch of time that starts at a multiple of its length. The challenge of
  a client in a window is the start of HMAC-SHA3-256(secret, address ‖ the window's start as
  a time), so whoever has the secret can tell whether it was given out. Work is `{:challenge
  :timestamp :nonce}`, the `:pow` of a request.

  - `challenge` what a server answers, `issued?` whether work is on one that it gave out
  - `difficulty` how much to ask for under a load
  - `solution?` whether work is enough, `solve` finds some
  - `spent` `spend` remember what was used
  - `check` all of that for a request"
  (:require
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.format.messages :as messages]))

(set! *warn-on-reflection* true)

(def ^:private content (codec/codec (:types format/format) :pow-content))
(def ^:private time-codec (codec/codec (:types format/format) :time))

(def ^:private window-ms (:window-ms messages/pow))

;; ## Challenges

(defn- window-start ^long [time]
  (- (long time) (mod (long time) (long window-ms))))

(defn- window-challenge [secret address start]
  (bytes/slice (crypto/hmac-sha3-256 secret (bytes/concat address (codec/encode time-codec start)))
    0 (:challenge-size messages/pow)))

(defn challenge
  "CHALLENGE's answer at the time `now` to the client with the byte string `address`:
  `{:challenge :difficulty :valid-until}`. `secret` is a secret of the server's."
  [secret address now difficulty]
  (let [start (window-start now)]
    {:challenge (window-challenge secret address start)
     :difficulty difficulty
     :valid-until (+ start (long window-ms))}))

(defn issued?
  "True if `work` is on the challenge that the client with `address` had in the window of its
  timestamp, and that window is the one of `now` or the one before."
  [secret address now {:keys [challenge timestamp]}]
  (let [start (window-start timestamp)]
    (and (contains? #{0 window-ms} (- (window-start now) start))
      (bytes/same? challenge (window-challenge secret address start)))))

;; ## Work

(defn leading-zero-bits
  "How many bits of the byte string `b` are zero before the first that is not."
  [b]
  (let [n (count b)]
    (loop [i 0]
      (cond
        (= i n) (* 8 n)
        (zero? (long (nth b i))) (recur (inc i))
        :else (+ (* 8 i) (- (Long/numberOfLeadingZeros (long (nth b i))) 56))))))

(defn- work-hash [type payload-hash work]
  (crypto/sha3-256 (codec/encode content (assoc work :type type :payload-hash payload-hash))))

(defn work-bits
  "How many zero bits the hash of `work` starts with, done for a request of `type` with the
  byte string `payload`."
  [type payload work]
  (leading-zero-bits (work-hash type (crypto/sha3-256 payload) work)))

(defn solution?
  "True if `work` for a request of `type` with the byte string `payload` has `difficulty`
  zero bits or more."
  [type payload difficulty work]
  (<= (long difficulty) (long (work-bits type payload work))))

(defn solve
  "Work of `difficulty` on `challenge`, with the lowest nonce that does and that is at least
  `from` and below `to`; nil where none of them does. Twice the work for each bit."
  [type payload challenge difficulty timestamp [from to]]
  (let [payload-hash (crypto/sha3-256 payload) difficulty (long difficulty) to (long to)
        work {:challenge challenge :timestamp timestamp}]
    (loop [nonce (long from)]
      (when (< nonce to)
        (let [found (assoc work :nonce nonce)]
          (if (<= difficulty (long (leading-zero-bits (work-hash type payload-hash found))))
            found
            (recur (inc nonce))))))))

;; ## How much to ask for

(defn difficulty
  "How many zero bits to ask for under `load`, the share of what a server can do that it is
  doing: 0 in quiet times, and it never falls as the load rises."
  [load]
  (->> (:difficulty messages/pow)
    (take-while (fn [[share]] (<= share load)))
    (transduce (map second) max 0)))

(def ^:private free
  (into #{} (comp (filter :free) (map :type)) messages/requests))

(defn free?
  "True if requests of `type` never cost work."
  [type]
  (contains? free type))

;; ## What was used

(defn spent
  "A memory of at most `limit` pairs of challenge and nonce, 2 or more; none yet."
  ([] (spent (:spent messages/pow)))
  ([limit] {:limit limit :young #{} :old #{}}))

(defn- pair [{:keys [challenge nonce]}]
  [challenge nonce])

(defn spent?
  "True if `spent` remembers `work`."
  [{:keys [young old]} work]
  (or (contains? young (pair work)) (contains? old (pair work))))

(defn spend
  "`spent` with `work`. Full, it forgets the older half: whoever makes it forget has paid for
  that with as much work."
  [{:keys [limit young] :as spent} work]
  (if (<= (* 2 (inc (count young))) (long limit))
    (update spent :young conj (pair work))
    (assoc spent :young #{(pair work)} :old young)))

;; ## A request

(defn check
  "Nil if a request of `type` with the byte string `payload` may pass with `work` (nil: none),
  else the anomaly `:wire/work-required` with the `:challenge` to answer. The server is
  `{:secret :address :now :difficulty}`, with `:spent` where it keeps that."
  [{:keys [secret address now difficulty spent]} type payload work]
  (when-not (or (free? type)
              (zero? (long difficulty))
              (and work
                (issued? secret address now work)
                (not (and spent (spent? spent work)))
                (solution? type payload difficulty work)))
    (error/anomaly :wire/work-required {:challenge (challenge secret address now difficulty)})))
