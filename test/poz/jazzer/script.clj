(ns poz.jazzer.script
  "A peer on a Noise port whose behaviour is bytes: since no fuzzer can guess a ciphertext, it
  writes a *script*, and that is acted out with the keys of a real handshake.

  A script is `how`, one byte, then *lines* `[what n bytes…]`: one byte, one byte, and n bytes (or
  those that are left). With an even `how` the handshake is done and the lines are acted out after
  it; with an odd one the bytes of all lines are the peer's first message, as they are."
  (:require
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.jazzer.invariants :refer [bounded held!]]
   [poz.net.link :as link]
   [poz.noise :as noise]
   [poz.noise.fixtures :as fixtures]
   [poz.noise.symmetric :as symmetric]
   [poz.vectors :as vectors]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(defn- lines
  "`[[what bytes] …]` of the script `b` after its first byte."
  [b]
  (loop [b b found []]
    (if (< (count b) 2)
      found
      (let [end (min (count b) (+ 2 (long (nth b 1))))]
        (recur (bytes/slice b end) (conj found [(mod (long (nth b 0)) 8) (bytes/slice b 2 end)]))))))

(defn- flipped [message at]
  (bytes/concat (bytes/slice message 0 at)
    (bytes/wrap (byte-array [(unchecked-byte (bit-xor 1 (long (nth message at))))]))
    (bytes/slice message (inc (long at)))))

(defn- seal
  "`[noise message]`; of nothing a message too, which `poz.noise` refuses to make."
  [noise plain]
  (if (pos? (count plain))
    (noise/encrypt noise plain)
    [noise (second (symmetric/seal (:send noise) bytes/empty bytes/empty))]))

(defn- act
  "The play after one line more, see `play`."
  [{:keys [noise good] :as play} [what data]]
  (let [[noise message] (if (= 1 what) [noise data] (seal noise data))
        nothing? (and (= 1 what) (zero? (count data)))
        opens? (and good (#{0 2 5 6} what) (pos? (count data)))
        at (mod (long (nth data 0 0)) (max 1 (count message)))
        wire (case (int what)
               (0 5 6) (noise/frame message)
               1 message
               2 (bytes/concat (noise/frame message) (noise/frame message))
               3 (noise/frame (flipped message at))
               4 (noise/frame (bytes/slice message 0 at))
               7 (bytes/slice (noise/frame message) 0 (max 1 at)))]
    (cond-> (-> play (assoc :noise noise :good (boolean (or (and good nothing?) (and opens? (not= 2 what))))) (update :out conj wire))
      opens? (update :plain bytes/concat data))))

(defn play
  "What a peer does whose side of a channel is `noise`, after the lines `script`, `[[what bytes] …]`:
  0, 5 and 6 seal bytes in a message, 1 sends them as they are, 2 sends such a message twice, 3
  flips a bit of it, 4 and 7 cut it. `{:noise :out :good :plain}`: its next state, the byte strings
  that go over the wire, whether all is right, and the plaintext of what comes before the first
  thing that is not."
  [noise script]
  (reduce act {:noise noise :out [] :plain bytes/empty :good true} script))

(defn- read-all
  "The last step of a link to which the byte strings `parts` come one after another, up to the
  first step that is not to wait."
  [noise parts]
  (reduce (fn [[_ link] part]
            (let [[event :as step] (link/step (link/arrived link part))]
              (if (= :wait event) step (reduced step))))
    [:wait (link/link {:size wire/request-size :noise noise})]
    parts))

(defn- pieces [b n]
  (map #(bytes/slice b % (min (count b) (+ (long %) (long n)))) (range 0 (count b) n)))

(defn- prefix? [a b]
  (and (<= (count a) (count b)) (= a (bytes/slice b 0 (count a)))))

(defn- outcome! [[event _ what] plain good]
  (held! (contains? #{:wait :whole :malformed :broken} event) "a stream is awaited, whole or refused" {:event event})
  (case event
    :whole (held! (prefix? what plain) "what is read was sealed" {:read what :sealed plain})
    :broken (do (held! (not good) "what is right does not break a connection" {:found what})
                (held! (= "noise" (namespace (:poz/error what))) "Noise says what broke" {:found what}))
    nil))

(defn- transport! [script how]
  (let [[initiator] (fixtures/connected)
        {:keys [out plain good]} (play initiator script)
        b (apply bytes/concat out)
        ;; a state is good for one call, so another handshake for another reading
        at-once (bounded "a link" [1000000 100] (count b) #(read-all (second (fixtures/connected)) [b]))
        in-pieces (read-all (second (fixtures/connected)) (pieces b (inc (long how))))]
    (outcome! at-once plain good)
    (outcome! in-pieces plain good)
    ;; a fault may be seen a few bytes later where the size of what is there is known already
    (when (and good (not= :malformed (first at-once)))
      (held! (or (= (first at-once) (first in-pieces)) (= :malformed (first in-pieces)))
        "it does not matter how a stream is cut" {:at-once at-once :in-pieces in-pieces}))))

(defn- handshake! [message]
  (doseq [found [(noise/read-message (fixtures/responder) message)
                 (noise/read-message (first (noise/write-message (fixtures/initiator))) message)
                 (link/respond (fixtures/responder) message)]]
    (held! (or (error/anomaly? found) (vector? found)) "a handshake goes on or is refused" {:found found})))

(defn check!
  "Acts out the script `b` and holds the reader of it to its promises."
  [b]
  (let [how (long (nth b 0 0)) b (bytes/slice b (min 1 (count b)))]
    (if (odd? how)
      (handshake! (bytes/slice b 0 (min (count b) (long noise/max-message))))
      (transport! (lines b) how))))

;; ## Seeds

(defn- line [what data]
  (bytes/concat (bytes/wrap (byte-array [(byte what) (unchecked-byte (count data))])) data))

(defn- script [how & lines]
  (apply bytes/concat (bytes/wrap (byte-array [(byte how)])) lines))

(defn seeds
  "Scripts of peers that do right, and of every one that does wrong in one line."
  []
  (let [request (bytes/hex-> (:request (first (:requests (vectors/json "wire.json")))))
        [a b] [(bytes/slice request 0 9) (bytes/slice request 9)]
        first-message (second (noise/write-message (fixtures/initiator)))
        second-message (second (link/respond (fixtures/responder) first-message))]
    (concat [(script 0) (script 0 (line 0 request)) (script 2 (line 0 a) (line 0 b)) (script 0 (line 0 bytes/empty))
             (script 1 first-message) (script 1 second-message)]
      (for [what (range 1 8)] (script 4 (line 0 a) (line what b))))))
