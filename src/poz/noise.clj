(ns poz.noise
  "Noise_NK_25519_ChaChaPoly_SHA256 (Noise rev. 34; POZ v0 protocol §3): a channel to a
  server whose static key the client, the *initiator*, knows.

    prologue             what both sides must agree on: the contract of the port
    initiator, responder the state of either side at the start
    write-message        `[state' message]`   the next message of the handshake
    read-message         `[state' payload]`   the other side's
    transport?           is the handshake done: it takes one message each way
    encrypt, decrypt     `[state' message]`, `[state' plaintext]`
    encrypt-all          `[state' messages]`  of a plaintext of any size
    frame, unframe       a message as it goes over the wire

  A *state* is a map that is good for one call of `write-message`, `read-message`,
  `encrypt` or `decrypt`: the call spends it and gives the next one, so that no nonce and no
  ephemeral key is ever used twice. Using a spent state throws IllegalStateException, and
  so does a call that is not its turn, which spends nothing.

  What the other side sent is judged: `read-message` and `decrypt` give an anomaly where it
  does not hold. Then there is no next state and the connection is over. The categories are
  for ourselves: a peer is told nothing. What is wrong with a caller's own argument throws
  IllegalArgumentException and spends nothing.

  After the handshake `:handshake-hash` of a state is 32 bytes that name this channel, the
  same on both sides. Secrets in a state never print. No socket and no request is known here;
  that POZ's own handshake payloads are empty is for the caller to check."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.noise.symmetric :as symmetric])
  (:import
   (java.nio ByteBuffer)
   (java.util.concurrent.atomic AtomicBoolean)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(def protocol-name
  "The one Noise protocol of POZ v0."
  (:protocol messages/noise))

(def ^:private messages
  "The pattern NK (§7.4): the tokens of each message, the initiator's first. Before them the
  responder's static key is known to both."
  [[:e :es] [:e :ee]])

(def ^:private own-and-other
  "Whose keys a token's agreement takes: the own secret, the other side's public key."
  {:initiator {:es [:ephemeral :remote-static] :ee [:ephemeral :remote-ephemeral]}
   :responder {:es [:static :remote-ephemeral] :ee [:ephemeral :remote-ephemeral]}})

(def ^:private named
  "The symmetric state of every handshake at its very start."
  (symmetric/initialize protocol-name))

(def ^:private key-size 32)
(def ^:private tag-size 16)

(def max-message
  "The bytes of the longest message (§3)."
  (:noise-message messages/limits))

(def max-plaintext
  "The bytes of the longest plaintext that a transport message holds."
  (:noise-plaintext messages/limits))

(def ^:private handshake-overhead
  "The bytes of a handshake message beside its payload: one ephemeral key, one tag."
  (+ key-size tag-size))

;; Arguments

(defn- require! [condition sentence]
  (when-not condition (throw (IllegalArgumentException. ^String sentence))))

(defn- sized? [size b]
  (and (bytes/bytes? b) (= size (count b))))

(defn- at-most! [what limit b]
  (require! (and (bytes/bytes? b) (<= (count b) (long limit)))
            (str what " is a byte string of at most " limit " bytes.")))

(defn prologue
  "The prologue for the contract of a port, `7075` say, a number from 1 to 65535: `POZ0`,
  then the number as u16. It is the contract's, wherever the server listens. Both sides
  must have the same: a query handshake does not pass for a submission."
  [contract]
  (require! (and (int? contract) (<= 1 contract 65535)) "A port's contract is a number from 1 to 65535.")
  (bytes/wrap (-> (ByteBuffer/allocate 6)
                  (.put (bytes/->array (bytes/utf8 (:text (:prologue messages/noise)))))
                  (.putShort (unchecked-short contract))
                  (.array))))

;; States. :once is shared by all copies of a state, so that each is good for one call.

(defn- fresh [state]
  (assoc state :once (AtomicBoolean.)))

(defn- spend! [state]
  (when-not (.compareAndSet ^AtomicBoolean (:once state) false true)
    (throw (IllegalStateException. "This state is spent: go on with the one that the call gave."))))

(defn- turn! [state call condition]
  (when-not condition
    (throw (IllegalStateException.
             (str "It is not time to " call ": "
                  (if (:send state) "the handshake is done." "the handshake goes on."))))))

(defn- start
  "The state of `role` before the first message, `server-key` being the responder's static."
  [role prologue random server-key]
  (require! (bytes/bytes? prologue) ":prologue is a byte string.")
  (require! (or (fn? random) (sized? key-size random))
            ":random is a function that gives n random bytes, or 32 of them.")
  (fresh {:role role
          :writer :initiator
          :messages messages
          :random (if (fn? random) random (constantly random))
          :symmetric (-> named
                         (symmetric/mix-hash prologue)
                         (symmetric/mix-hash server-key))}))

(defn initiator
  "The state of a client that knows `:remote-static`, the server's public key of 32 bytes.
  `:prologue` is a byte string. `:random` makes the ephemeral key: a function that gives
  `n` random bytes, such as `poz.crypto/random-bytes`, or, for tests, 32 bytes. Never give
  the same bytes to two handshakes."
  [{:keys [prologue remote-static random]}]
  (require! (sized? key-size remote-static) ":remote-static is a byte string of 32 bytes.")
  (assoc (start :initiator prologue random remote-static) :remote-static remote-static))

(defn responder
  "The state of a server. `:static` is its key pair `{:secret :public-key}`, as
  `(poz.crypto/generate :x25519 …)` gives it; `:prologue` and `:random` are as for `initiator`."
  [{:keys [prologue static random]}]
  (require! (and (bytes/secret? (:secret static)) (sized? key-size (:public-key static)))
            ":static is a key pair, {:secret :public-key}.")
  (assoc (start :responder prologue random (:public-key static)) :static static))

(defn transport?
  "Whether the handshake of `state` is done, so that it can `encrypt` and `decrypt`."
  [state]
  (contains? state :send))

(defn turn
  "What a state of the handshake takes next, `:write` or `:read`; nil after the handshake."
  [{:keys [role writer] :as state}]
  (when-not (transport? state)
    (if (= role writer) :write :read)))

;; The handshake

(defn- agreed
  "The state with the agreement of `token` mixed in. Fails with `:crypto/low-order`."
  [{:keys [role symmetric] :as state} token]
  (let [[own other] (-> own-and-other role token)
        shared (crypto/agree (:secret (own state)) (other state))]
    (assoc state :symmetric (symmetric/mix-key symmetric shared))))

(defn- write-ephemeral [{:keys [random] :as state}]
  (let [pair (crypto/generate :x25519 random)]
    (-> (dissoc state :random)
        (assoc :ephemeral pair)
        (assoc :symmetric (symmetric/mix-hash (:symmetric state) (:public-key pair))))))

(defn- read-ephemeral [state key]
  (-> state
      (assoc :remote-ephemeral key)
      (assoc :symmetric (symmetric/mix-hash (:symmetric state) key))))

(defn- tokens
  "The state after the tokens of the next message; `(ephemeral state)` does what :e says."
  [{:keys [messages] :as state} ephemeral]
  (reduce (fn [state token]
            (if (= :e token) (ephemeral state) (agreed state token)))
          state (first messages)))

(defn- transport
  "The state after the last message. Of the handshake's keys it keeps none."
  [{:keys [role symmetric]}]
  (let [[to-responder to-initiator] (symmetric/split symmetric)]
    (assoc (if (= :initiator role)
             {:send to-responder :receive to-initiator}
             {:send to-initiator :receive to-responder})
           :role role
           :handshake-hash (:hash symmetric))))

(defn- next-state [{:keys [writer] :as state}]
  (let [state (update state :messages next)]
    (fresh (if (:messages state)
             (assoc state :writer (if (= :initiator writer) :responder :initiator))
             (transport state)))))

(defn- next-message [state payload]
  (let [state (tokens state write-ephemeral)
        [symmetric sealed] (symmetric/seal-and-hash (:symmetric state) payload)]
    [(next-state (assoc state :symmetric symmetric))
     (bytes/concat (-> state :ephemeral :public-key) sealed)]))

(defn write-message
  "`[state' message]`: the next message of the handshake, with the byte string `payload` in
  it, by default none. The anomaly `:crypto/low-order` where the other side's key is a
  trap, which for the initiator's first message is its `:remote-static`."
  ([state] (write-message state bytes/empty))
  ([state payload]
   (turn! state "write a message" (= :write (turn state)))
   (at-most! "A payload" (- (long max-message) (long handshake-overhead)) payload)
   (spend! state)
   (error/attempt #(next-message state payload))))

(defn- of-size! [least message]
  (let [n (count message)]
    (when-not (and (<= (long least) n) (<= n (long max-message)))
      (error/fail! :noise/size))))

(defn- opened! [state-and-plaintext]
  (or state-and-plaintext (error/fail! :noise/decrypt)))

(defn- next-payload [state message]
  (of-size! handshake-overhead message)
  (let [state (tokens state #(read-ephemeral % (bytes/slice message 0 key-size)))
        [symmetric payload] (opened! (symmetric/open-and-hash (:symmetric state)
                                                              (bytes/slice message key-size)))]
    [(next-state (assoc state :symmetric symmetric)) payload]))

(defn read-message
  "`[state' payload]` of the other side's next message of the handshake, a byte string.
  The anomaly `:noise/size`, `:noise/decrypt` or `:crypto/low-order` where it is not one:
  made for another key or prologue, changed, out of turn."
  [state message]
  (turn! state "read a message" (= :read (turn state)))
  (require! (bytes/bytes? message) "A message is a byte string.")
  (spend! state)
  (error/attempt #(next-payload state message)))

;; Transport

(defn encrypt
  "`[state' message]`: the byte string `plaintext`, of 1 to 65519 bytes, for the other side."
  [state plaintext]
  (turn! state "encrypt" (transport? state))
  (at-most! "A plaintext" max-plaintext plaintext)
  (require! (pos? (count plaintext)) "An empty transport message is malformed.")
  (spend! state)
  (let [[cipher message] (symmetric/seal (:send state) bytes/empty plaintext)]
    [(fresh (assoc state :send cipher)) message]))

(defn- pieces
  "`b` cut into as few slices as fit into a transport message each."
  [b]
  (map #(bytes/slice b % (min (count b) (+ (long %) (long max-plaintext))))
       (range 0 (count b) max-plaintext)))

(defn encrypt-all
  "`[state' messages]`: the byte string `plaintext`, of any size but 0, in as few messages
  as it takes, in order."
  [state plaintext]
  (require! (and (bytes/bytes? plaintext) (pos? (count plaintext)))
            "A plaintext is a byte string, not an empty one.")
  (reduce (fn [[state messages] piece]
            (let [[state message] (encrypt state piece)]
              [state (conj messages message)]))
          [state []] (pieces plaintext)))

(defn- open-transport [state message]
  (of-size! tag-size message)
  (let [[cipher plaintext] (opened! (symmetric/open (:receive state) bytes/empty message))]
    (when (zero? (count plaintext))
      (error/fail! :noise/empty))
    [(fresh (assoc state :receive cipher)) plaintext]))

(defn decrypt
  "`[state' plaintext]` of the other side's next transport `message`, a byte string. The
  anomaly `:noise/size`, `:noise/decrypt` or `:noise/empty` where it is not that: changed,
  repeated, out of order."
  [state message]
  (turn! state "decrypt" (transport? state))
  (require! (bytes/bytes? message) "A message is a byte string.")
  (spend! state)
  (error/attempt #(open-transport state message)))

;; Framing

(def ^:private length-size 2)

(defn frame
  "`message` as it goes over the wire: its length as u16, then its bytes."
  [message]
  (at-most! "A message" max-message message)
  (let [^Bytes m message]
    (bytes/wrap (-> (ByteBuffer/allocate (+ (long length-size) (.-length m)))
                    (.putShort (unchecked-short (.-length m)))
                    (.put ^bytes (.-array m) (.-offset m) (.-length m))
                    (.array)))))

(defn unframe
  "`[message rest]`: the first message in the byte string `b` of what has arrived, and what
  follows it, neither of them a copy; nil while it is not whole."
  [b]
  (when (<= (long length-size) (count b))
    (let [end (+ (long length-size) (bit-shift-left (long (nth b 0)) 8) (long (nth b 1)))]
      (when (<= end (count b))
        [(bytes/slice b length-size end) (bytes/slice b end)]))))
