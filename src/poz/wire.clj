(ns poz.wire
  "Messages of the network ↔ bytes (protocol.md §1), as pure functions; which types, codes
  and limits there are is told in `poz.format.messages`.

  A *request* is `{:type :serial :id 7 :payload {:domain \"example.org\"}}`, with `:pow
  {:challenge :timestamp :nonce}` where work was done. A *response* is `{:status :ok :id 7
  :payload …}`; which payload an OK has is decided by the type of the request that it
  answers, so that type is an argument. A record's file stays a byte string, for
  `poz.record/decode`. The payload of SERIAL's answer is what `poz.memory/of` gives.

  - `encode-request` `decode-request`, `encode-response` `decode-response`
  - `request-size` `response-size`: how many bytes to wait for
  - `peek-type` `peek-status`: what a message is, without reading it
  - `allowed?`: which contract answers what
  - `failure` `problem`: what a server answers where it cannot do what was asked

  Decoders give the value or an anomaly, encoders throw the anomaly. Nothing here waits,
  connects or verifies; how the bytes travel in Noise messages is `poz.noise`'s."
  (:require
   [clojure.string :as str]
   [poz.bytes]
   [poz.codec :as codec]
   [poz.codec.input :as input]
   [poz.codec.node :as node]
   [poz.error :as error]
   [poz.format :as format]
   [poz.format.messages :as messages])
  (:import
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(def ^:private registry (:types format/format))

(defn- payload-codec [form]
  (codec/codec registry form 1))

(def ^:private requests
  "Type → its row of `poz.format.messages/requests`, types as codecs."
  (into {} (map (fn [{:keys [type] :as row}]
                  [type (-> row (update :payload payload-codec) (update :answers update-vals payload-codec))]))
    messages/requests))

(def ^:private status-payloads
  "Status → the codec of its payload, unless the request decides that."
  (into {} (for [{:keys [status payload]} messages/statuses :when payload]
             [status (payload-codec payload)])))

;; ## How many bytes

(defn- number-at ^long [^Bytes b ^long at ^long width]
  (let [^bytes array (.-array b) start (+ (.-offset b) at)]
    (loop [i 0 n 0]
      (if (< i width)
        (recur (inc i) (+ (* 256 n) (bit-and 0xff (aget array (+ start i)))))
        n))))

(defn- extent
  "A function of a byte string and of where a `node` starts in it: how many bytes that has at
  least, by what there is."
  [{:keys [kind props item] least :min}]
  (let [width (long (if-let [prefix (:prefix props)] (node/width prefix) 0))
        present (inc (long (:min item 0)))]
    (cond
      (= :optional kind) (fn [b at] (if (= 1 (nth b at nil)) present 1))
      (pos? width) (fn [b ^long at] (if (<= (+ at width) (count b)) (+ width (number-at b at width)) least))
      :else (constantly least))))

(defn- message-codecs
  "Of the type `form`: `:whole` and, of the fields `head` that stand before the payload, `:head`;
  the `:extents` of those fields, and of the payload its `:extent` and `:least`."
  [form head]
  (let [whole (codec/codec registry form)
        head (codec/codec registry [:select form head])
        payload (:node (peek (:fields (:node whole))))]
    {:whole whole
     :head head
     :extents (mapv (comp extent :node) (:fields (:node head)))
     :extent (extent payload)
     :least (:min payload)}))

(def ^:private request (message-codecs :request [:version :type :id :pow]))
(def ^:private response (message-codecs :response [:version :status :id]))

(defn- head-fault
  "What is wrong in as much of the head as there is of `b`, an anomaly, or nil."
  [{:keys [head]} b]
  (let [found (error/attempt #((:read head) (input/reader b)))]
    (when (and (error/anomaly? found) (not= :format/truncated (:poz/error found)))
      found)))

(defn- message-size [{:keys [extents extent least] :as codecs} limit b]
  (let [at (long (reduce (fn [at extent] (+ (long at) (long (extent b at)))) 0 extents))
        length (long (extent b at))
        size (+ at length)
        payload (- length (long least))]
    (or (head-fault codecs b)
      (when (< (long limit) payload)
        (error/anomaly :wire/too-large {:limit limit :path [:payload] :found payload}))
      (when (< size (count b))
        (error/anomaly :format/trailing {:at size :path [] :found (str (- (count b) size) " more bytes")}))
      size)))

(def ^:private request-head
  (codec/codec registry [:select :request [:version :type :id]]))

(defn- request-id
  "The id of the request that starts with `b`; 0 where that cannot be read."
  [b]
  (:id (error/attempt #((:read request-head) (input/reader b))) 0))

(defn- with-id [found b]
  (if (error/anomaly? found) (assoc found :id (request-id b)) found))

(defn request-size
  "How many bytes the request that starts with the byte string `b` has, as far as `b` tells:
  it is whole as soon as it has as many. Or the anomaly of what is wrong already, with the
  `:id` to answer to: bytes after a whole message are malformed, and a payload above the
  limit is `:wire/too-large`, before a byte of it is there.

  Option: `:max-payload` in bytes, by default all that its length can say."
  ([b] (request-size b {}))
  ([b {:keys [max-payload] :or {max-payload (:request-payload messages/limits)}}]
   (with-id (message-size request max-payload b) b)))

(defn response-size
  "As `request-size`, of a response. Option: `:max-payload`, by default 16 MiB."
  ([b] (response-size b {}))
  ([b {:keys [max-payload] :or {max-payload (:response-payload messages/limits)}}]
   (message-size response max-payload b)))

;; ## A look at what a message is, without reading it

(defn- offset
  "Where the `field` of the messages `codecs` is, before which nothing varies in length."
  [{:keys [whole]} field]
  (transduce (comp (take-while #(not= field (:key %))) (map (comp :min :node))) + 0 (:fields (:node whole))))

(def ^:private type-at (offset request :type))
(def ^:private status-at (offset response :status))
(def ^:private types-by-code (into {} (map (juxt :code :type)) messages/requests))
(def ^:private statuses-by-code (into {} (map (juxt :code :status)) messages/statuses))

(defn peek-type
  "The type that the request `b` names, whether or not it is well formed; nil where none."
  [b]
  (get types-by-code (nth b type-at nil)))

(defn peek-status
  "The status that the response `b` names; nil where none."
  [b]
  (get statuses-by-code (nth b status-at nil)))

;; ## Reading

(defn- check-size! [found]
  (when (error/anomaly? found)
    (throw (ex-info (:message found) found))))

(defn- read-payload!
  "The value of the payload at the end of the message that `r` has read."
  [r codec {:keys [payload]}]
  (let [end (input/position r)]
    (input/seek! r (- end (count payload)) end)
    (input/set-path! r 0 :payload)
    (let [v ((:read codec) r)]
      (input/finish! r 1)
      v)))

(defn- with-payload [message v]
  (if (nil? v) (dissoc message :payload) (assoc message :payload v)))

(defn- port-of [contract]
  (some #(when (= contract (:contract %)) (:port %)) messages/ports))

(defn allowed?
  "True if requests of `type` are answered on the port of `contract` (`:plain :query
  :submit`)."
  [contract type]
  (contains? (:on (requests type)) contract))

(defn- request-row!
  "The row of `type`; faults where there is none or `contract`, if any, does not answer it."
  [type contract]
  (let [{:keys [code on] :as row} (requests type)]
    (when-not (and row (or (nil? contract) (contains? on contract)))
      (error/fail! :wire/unsupported
        {:path [:type] :found (str "type " (or code (pr-str type)) (when contract (str " on port " (port-of contract))))}))
    row))

(defn- read-request [b {:keys [contract] :as options}]
  (check-size! (request-size b options))
  (let [r (input/reader b)
        message ((:read (:whole request)) r)
        row (request-row! (:type message) contract)]
    (with-payload message (read-payload! r (:payload row) message))))

(defn decode-request
  "The request in the byte string `b`, all of it, or an anomaly with the `:id` to answer to:
  `:wire/unsupported` for a type that there is not, the first broken rule for any other.

  Options: `:contract`, then a type that is not answered there is unsupported too, whatever
  its payload; `:max-payload` as for `request-size`."
  ([b] (decode-request b {}))
  ([b options]
   (with-id (error/attempt #(read-request b options)) b)))

(defn- answer-codec
  "The codec of the payload of a response of `status` to a request of `type`, or nil."
  [type status]
  (or (get-in requests [type :answers status])
    (status-payloads status)))

(defn- answer-codec! [type status]
  (or (answer-codec type status)
    (error/fail! :format/code {:path [:status] :expected (str "an answer to " (pr-str type)) :found (pr-str status)})))

(defn- read-response [b type options]
  (check-size! (response-size b options))
  (let [r (input/reader b)
        message ((:read (:whole response)) r)]
    (with-payload message (read-payload! r (answer-codec! type (:status message)) message))))

(defn decode-response
  "The response in the byte string `b` to a request of `type`, or an anomaly. Option:
  `:max-payload` as for `response-size`."
  ([b type] (decode-response b type {}))
  ([b type options]
   (error/attempt #(read-response b type options))))

;; ## Writing

(defn- encode-message [{:keys [whole]} codec limit message]
  (let [payload (codec/encode-at codec :payload (:payload message) nil)]
    (when (< (long limit) (count payload))
      (error/fail! :wire/too-large {:limit limit :path [:payload] :found (count payload)}))
    (codec/encode whole (assoc message :payload payload))))

(defn encode-request
  "The byte string of `request`. Throws the anomaly of a map that no bytes decode to."
  [{:keys [type] :as message}]
  (let [{:keys [payload]} (request-row! type nil)]
    (encode-message request payload (:request-payload messages/limits) message)))

(defn payload-bytes
  "The bytes of the payload of `request`: what proof of work is about."
  [{:keys [type payload]}]
  (codec/encode-at (:payload (request-row! type nil)) :payload payload nil))

(defn encode-response
  "The byte string of `response` to a request of `type`, which is nil where that could not
  be read. Throws the anomaly of a map that no bytes decode to."
  [{:keys [status] :as message} type]
  (encode-message response (answer-codec! type status) (node/int-max :u32) message))

;; ## Failures

(def failures
  "Which status answers an anomaly: by its error, else by its category, else `:failed`."
  {:wire/unsupported :unsupported
   :wire/too-large :too-large
   :format/too-large :too-large
   :wire/not-found :not-found
   :wire/work-required :pow-required
   :wire/busy :busy
   :request/not-reserved :rejected
   :malformed :malformed
   :invalid :rejected
   :unknown :rejected
   :refused :rejected
   :conflict :conflict})

(def ^:private told
  "The namespaces of the errors that a stranger is told of: what they say is about what he
  sent and what everybody may know."
  #{"format" "chain" "survivorship" "signature" "time" "authority" "zone" "identity" "update"
    "request" "policy" "wire"})

(defn- told? [{:poz/keys [error]}]
  (contains? told (namespace error)))

(defn status-of
  "The status of the response that tells of `anomaly`."
  [{:poz/keys [anomaly error] :as a}]
  (or (when (told? a) (or (failures error) (failures anomaly)))
    :failed))

(defn- legible
  "`s` as a string of the format may be: cut, and without control characters and halves of
  surrogate pairs."
  [s]
  (let [clean (str/replace (str s) #"[\x00-\x1f\x7f-\x9f\x{d800}-\x{dfff}]" " ")
        n (min (.codePointCount clean 0 (count clean)) (long (:problem-characters messages/limits)))]
    (subs clean 0 (.offsetByCodePoints clean 0 n))))

(defn problem
  "What a person at the other side may know of `anomaly`: `{:code \"format/truncated\" :message
  …}`. Of whatever concerns only this machine it tells nothing but `internal`."
  [{:poz/keys [error] :keys [message] :as a}]
  (if (told? a)
    {:code (error/code error) :message (legible message)}
    {:code "internal" :message ""}))

(defn- failure-payload [status {:keys [held challenge limit wait-ms] :as anomaly}]
  (case status
    :conflict held
    :pow-required challenge
    :too-large limit
    :busy (or wait-ms (:busy-ms messages/limits))
    :not-found {}
    (problem anomaly)))

(defn failure
  "The response that tells of `anomaly`, to the `:id` in it (0 unless there). It takes some
  payloads from the anomaly: of a conflict `:held` (what SERIAL answers), of proof of work
  that is required `:challenge` (what CHALLENGE answers), of what is too large `:limit`, of
  a busy server `:wait-ms`."
  [{:keys [id] :or {id 0} :as anomaly}]
  (let [status (status-of anomaly)]
    (with-payload {:status status :id id} (failure-payload status anomaly))))
