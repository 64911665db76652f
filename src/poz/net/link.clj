(ns poz.net.link
  "What has arrived on one connection, up to the one message that it is to carry: plain, or in
  Noise messages (protocol.md §1, §3). Values only, no socket.

  A *link* is a map, `link` the one before the first byte. `arrived` adds bytes, `step` says
  what to do with them:

    [:wait link]               nothing yet
    [:handshake link message]  take that handshake message: `respond`, `confirm`; then `shaken`
    [:whole link bytes]        that is the message, and nothing follows it
    [:malformed link anomaly]  never a message; the other side may be told
    [:broken link anomaly]     Noise failed: close, without a word

  `leftover` is for the end of the stream, `outgoing` for the answer's way back."
  (:require
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.noise :as noise])
  (:import
   (java.nio ByteBuffer)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

;; Bytes that arrive. The buffer doubles, so that single bytes cost no more than many at once,
;; and what was handed out of it is never written over.

(def ^:private nothing {:at 0})

(defn- unread [{:keys [^ByteBuffer buffer at]}]
  (if buffer
    (bytes/wrap (.array buffer) at (- (.position buffer) (long at)))
    bytes/empty))

(defn- room
  "A buffer with what is unread in `in` and room for `n` more bytes."
  [{:keys [^ByteBuffer buffer at] :as in} ^long n]
  (if (and buffer (zero? (long at)) (<= n (.remaining buffer)))
    buffer
    (let [^Bytes old (unread in)]
      (doto (ByteBuffer/allocate (+ n (* 2 (count old))))
        (.put ^bytes (.-array old) (.-offset old) (.-length old))))))

(defn- full
  "A buffer that is the byte string `b`, without room."
  [^Bytes b]
  (let [end (+ (.-offset b) (.-length b))]
    (-> (ByteBuffer/wrap ^bytes (.-array b)) (.limit end) (.position end))))

(defn- append [in ^Bytes b]
  (if (identical? nothing in)
    {:buffer (full b) :at (.-offset b)}
    (let [^ByteBuffer buffer (room in (count b))]
      (.put buffer ^bytes (.-array b) (.-offset b) (.-length b))
      {:buffer buffer :at 0})))

(defn- dropped [{:keys [^ByteBuffer buffer at]} n]
  (let [at (+ (long at) (long n))]
    (if (= at (.position buffer)) nothing {:buffer buffer :at at})))

;; Links

(defn link
  "The link before the first byte. `:size` gives of a byte string the size of the message that
  starts with it, or an anomaly, such as `poz.wire/request-size`; `:noise` is the state of
  the handshake where this side is to read next, or nil for a plain connection."
  [{:keys [size noise]}]
  {:size size :noise noise :raw nothing :plain nothing :need 1})

(defn arrived
  "The link with the byte string `b` at its end."
  [{:keys [noise] :as link} b]
  (update link (if noise :raw :plain) append b))

(defn unread-count
  "How many bytes of `link` wait for the rest of a Noise message."
  [link]
  (count (unread (:raw link))))

(defn- message-step
  "The step for the plaintext there is. The size is asked for only when there may be more to
  know."
  [{:keys [size need plain raw] :as link}]
  (let [b (unread plain)
        size (if (< (count b) (long need)) need (size b))]
    (cond
      (error/anomaly? size) [:malformed link size]
      (< (count b) (long size)) [:wait (assoc link :need size)]
      (pos? (long (unread-count link))) [:malformed link ((:size link) (bytes/concat b (unread raw)))]
      :else [:whole link b])))

(def ^:private handshake-size
  "The bytes of a handshake message of ours: a key, a tag, and no payload."
  (+ 32 (long (:noise-tag messages/limits))))

(defn- declared
  "The length of the Noise message that comes next, or nil while that is not known."
  [b]
  (when (<= 2 (count b))
    (+ (* 256 (long (nth b 0))) (long (nth b 1)))))

(defn- fits? [{:keys [noise]} length]
  (if (noise/transport? noise)
    (<= (long (:noise-tag messages/limits)) (long length))
    (= handshake-size length)))

(defn- frame-step
  "`[:frame link message]` for the next Noise message, else a step of `link`."
  [{:keys [raw] :as link}]
  (let [b (unread raw) length (declared b)]
    (if (and length (not (fits? link length)))
      [:broken link (error/anomaly :noise/size)]
      (if-let [[message] (noise/unframe b)]
        [:frame (update link :raw dropped (+ 2 (count message))) message]
        [:wait link]))))

(defn- opened [{:keys [noise] :as link} message]
  (let [found (noise/decrypt noise message)]
    (if (error/anomaly? found)
      [:broken link found]
      [:wait (-> link (assoc :noise (first found)) (update :plain append (second found)))])))

(defn- transport-step [link]
  (let [[event link message :as step] (frame-step link)]
    (case event
      :frame (let [[event link :as step] (opened link message)]
               (if (= :wait event) (recur link) step))
      :wait (message-step link)
      step)))

(defn step
  "What to do next, see above; the link in it is the next one."
  [{:keys [noise] :as link}]
  (cond
    (nil? noise) (message-step link)
    (noise/transport? noise) (transport-step link)
    :else (let [[event link message :as step] (frame-step link)]
            (if (= :frame event) [:handshake link message] step))))

(defn leftover
  "What there is of the message when the stream of `link` has ended in the middle of it, a byte
  string; nil where there is nobody to tell of it: nothing came, or Noise broke off."
  [{:keys [plain raw]}]
  (let [b (unread plain)]
    (when (and (pos? (count b)) (= nothing raw))
      b)))

;; Handshakes

(defn confirm
  "`[noise]` after the other side's last `message`, or an anomaly."
  [noise message]
  (let [found (noise/read-message noise message)]
    (cond
      (error/anomaly? found) found
      (pos? (count (second found))) (error/anomaly :noise/size)
      :else [(first found)])))

(defn respond
  "`[noise message]`: the state after the other side's `message` and our own to it, or an anomaly."
  [noise message]
  (let [found (confirm noise message)]
    (if (error/anomaly? found) found (noise/write-message (first found)))))

(defn shaken
  "The link that goes on with the state `noise`."
  [link noise]
  (assoc link :noise noise))

;; Out

(def ^:private piece-size (:noise-plaintext messages/limits))

(defn- pieces [b]
  (lazy-seq
    (when (pos? (count b))
      (let [n (min (count b) (long piece-size))]
        (cons (bytes/slice b 0 n) (pieces (bytes/slice b n)))))))

(defn- sealed [noise pieces]
  (lazy-seq
    (when-let [[piece & more] (seq pieces)]
      (let [[noise message] (noise/encrypt noise piece)]
        (cons (noise/frame message) (sealed noise more))))))

(defn outgoing
  "The byte string `b`, not an empty one, as it goes over the wire of `link`: a sequence of byte
  strings, each made only when it is asked for. Once for each link."
  [{:keys [noise]} b]
  (cond noise (sealed noise (pieces b))
        (<= (count b) (long piece-size)) (list b)
        :else (pieces b)))
