(ns poz.net.hostile-test
  "Every way of being wrong, on every port: the right status or a close, and afterwards nothing is
  left of it, while others are served."
  (:require
   [clojure.test :refer [deftest is testing use-fixtures]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.net.leaks :as leaks]
   [poz.net.link :as link]
   [poz.net.raw :refer [answering connect contracts decrypted empty-message end! framed good good-said initiator noisy on-all read-frame responder rest-of said send! served? shake static with-server]]
   [poz.noise :as noise]
   [poz.wire :as wire])
  (:import
   (java.io IOException)))

(set! *warn-on-reflection* true)

(use-fixtures :once leaks/fixture)

;; Messages

(defn- cut [b from to] (bytes/slice b from to))

(defn- singles [b]
  (map #(cut b % (inc (long %))) (range (count b))))

(defn- put
  "The byte string `b` with the byte `x` at `i`."
  [b i x]
  (bytes/concat (cut b 0 i) (bytes/wrap (byte-array [(unchecked-byte x)])) (cut b (inc (long i)) (count b))))

(defn- send-all!
  "Sends as many of `parts` as the server takes."
  [socket parts]
  (try (run! #(send! socket %) parts) (catch IOException _)))

(defn- half-close! [socket]
  (try (end! socket) (catch IOException _)))

(defn- sealed
  "`[state parts]`: each of `plaintexts` as a transport message."
  [state plaintexts]
  (reduce (fn [[state parts] plaintext]
            (let [[state b] (framed (noise/encrypt-all state plaintext))] [state (conj parts b)]))
    [state []] plaintexts))

(defn- ask
  "What the server says to a request in `parts`, one write each, on Noise ports one message each
  too. `:joined` makes them one write, `:ended` closes our half afterwards."
  [server {:keys [port encryption]} parts & how]
  (with-open [socket (connect server)]
    (let [[state parts] (if (= :none encryption) [nil parts] (sealed (shake socket port) parts))]
      (send-all! socket (if (some #{:joined} how) [(apply bytes/concat parts)] parts))
      (when (some #{:ended} how) (half-close! socket))
      (said (if state (decrypted socket state) (rest-of socket))))))

;; Requests that are wrong

(defn- of-type [code] (bytes/concat (put (cut good 0 5) 1 code) (bytes/zeros 2)))

(def ^:private wrong
  "What, its bytes, what is answered."
  (concat
    [["version 1" (put good 0 1) [:malformed 0 "format/code"]]
     ["pow flag 2" (put good 4 2) [:malformed 7 "format/optional"]]
     ["work of no time" (bytes/concat (put (cut good 0 5) 4 1) (bytes/zeros 16) (bytes/hex-> "ffffffffffffffff") (bytes/zeros 10))
      [:malformed 7 "format/range"]]
     ["a payload above the limit" (bytes/hex-> "0004000700012d") [:too-large 7 300]]
     ["no payload" (of-type 4) [:malformed 7 "format/truncated"]]
     ["a payload of no kind" (bytes/hex-> "00040007000001ff") [:malformed 7 "format/code"]]
     ["a payload with more in it" (bytes/concat (put (cut good 0 7) 6 34) (cut good 7 40) (bytes/zeros 1)) [:malformed 7 "format/trailing"]]
     ["a payload that breaks a rule" (bytes/concat (bytes/hex-> "00040007000006010003") (bytes/utf8 "A.B")) [:malformed 7 "format/domain"]]]
    (for [code [0x00 0x0a 0x1f 0x24 0xff]]
      [(str "no such type " code) (of-type code) [:unsupported 7 "wire/unsupported"]])))

(defn- elsewhere [{:keys [contract]}]
  (for [{:keys [code name on]} messages/requests :when (not (on contract))]
    [(str name " on the wrong port") (of-type code) [:unsupported 7 "wire/unsupported"]]))

(deftest requests-that-are-wrong
  (on-all contracts {:limits {:request-payload 300}}
    (fn [port server]
      (doseq [[what b expected] (concat wrong (elsewhere port))]
        (is (= expected (ask server port [b])) what)
        (is (= expected (ask server port (singles b) :ended)) what))
      (is (served? server port)))))

(deftest bytes-after-a-whole-message
  (on-all contracts {}
    (fn [port server]
      (doseq [more [(bytes/zeros 1) good (bytes/zeros 60000)] how [[] [:ended]]]
        (is (= [:malformed 7 "format/trailing"] (apply ask server port [(bytes/concat good more)] how)))
        (is (= [:malformed 7 "format/trailing"] (apply ask server port [good more] :joined how))))
      (testing "a response, which begins like an empty request"
        (is (= [:malformed 7 "format/trailing"] (ask server port [(wire/encode-response {:status :ok :id 7 :payload (bytes/zeros 9)} :record)]))))
      (is (served? server port)))))

(deftest streams-that-end-early
  (on-all contracts {}
    (fn [port server]
      (is (nil? (ask server port [] :ended)))
      (doseq [n (range 1 (count good))]
        (is (= [:malformed (if (< (long n) 4) 0 7) "format/truncated"] (ask server port [(cut good 0 n)] :ended)) n))
      (testing "the length lies"
        (is (= [:malformed 7 "format/truncated"] (ask server port [(put good 5 255)] :ended)))
        (is (= [:malformed 7 "format/trailing"] (ask server port [(put good 6 32)]))))
      (is (served? server port)))))

(deftest slow-but-right
  (on-all contracts {}
    (fn [port server]
      (is (= good-said (ask server port (singles good))))
      (is (= good-said (ask server port (singles good) :ended)))
      (is (= good-said (ask server port (singles good) :joined))))))

(def ^:private gen-bytes (gen/fmap (comp bytes/wrap byte-array) (gen/vector gen/byte 1 60)))

(def ^:private gen-damaged
  (gen/let [i (gen/choose 0 (dec (count good))) x (gen/choose 0 255) n (gen/choose 1 (count good)) more gen-bytes kind (gen/choose 0 2)]
    (case (long kind) 0 (put good i x) 1 (cut (put good i x) 0 n) 2 (bytes/concat (cut good 0 n) more))))

(defn- expected
  "What a stream of exactly the bytes `b` deserves."
  [{:keys [contract]} b]
  (let [size (wire/request-size b)
        failed #(wire/encode-response (wire/failure %) nil)]
    (said (cond
            (error/anomaly? size) (failed size)
            (< (count b) (long size)) (failed (wire/decode-request b))
            :else (answering {:bytes b :contract contract})))))

(defspec any-bytes-get-what-they-deserve 60
  (prop/for-all [port (gen/elements contracts) b (gen/one-of [gen-bytes gen-damaged])]
    (let [found (promise)]
      (with-server port {} #(deliver found (ask % port [b] :ended)))
      (= (expected port b) @found))))

;; Strangers of other protocols

(def ^:private fixed-handshake
  (noise/frame (second (noise/write-message
                         (noise/initiator {:prologue (noise/prologue 7075) :remote-static (:public-key static) :random (bytes/zeros 32)})))))

(deftest other-protocols
  (on-all contracts {}
    (fn [{:keys [encryption] :as port} server]
      (doseq [b [(bytes/utf8 "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") (bytes/utf8 "SSH-2.0-OpenSSH_9.2\r\n")
                 (bytes/hex-> "160301020001") fixed-handshake good]
              :when (not (and (= :none encryption) (= good b)))]
        (with-open [socket (connect server)]
          (send! socket b)
          (let [[status :as answered] (if (and (= 7075 (:port port)) (= fixed-handshake b))
                                        (do (read-frame socket) (half-close! socket) (said (rest-of socket)))
                                        (said (rest-of socket)))]
            (is (= (when (= :none encryption) :malformed) status) (pr-str b answered)))))
      (is (served? server port)))))

;; Noise that fails

(defn- raw
  "All that the server sends to the byte strings `parts`, one write each."
  [server & parts]
  (with-open [socket (connect server)]
    (send-all! socket parts)
    (rest-of socket)))

(defn- first-message [contract & payload]
  (second (apply noise/write-message (initiator contract) payload)))

(defn- flipped [b i]
  (put b i (bit-xor 0x80 (long (nth b i)))))

(def ^:private low-order
  "Points of small order, as they are and with the bit that X25519 ignores."
  (mapv bytes/hex->
    ["0000000000000000000000000000000000000000000000000000000000000000"
     "0100000000000000000000000000000000000000000000000000000000000000"
     "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
     "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"
     "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
     "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
     "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
     "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"]))

(defn- bad-handshakes [{:keys [port]}]
  (let [m (first-message port)]
    (concat
      [(bytes/hex-> "0000") (bytes/hex-> "0001") (bytes/hex-> "002f") (bytes/hex-> "0031") (bytes/hex-> "ffff")
       (noise/frame (bytes/zeros 48)) (noise/frame (first-message port (bytes/zeros 1)))]
      (for [other [7074 7075 7076 1] :when (not= port other)] (noise/frame (first-message other)))
      (for [key low-order] (noise/frame (bytes/concat key (bytes/zeros 16))))
      (for [i (range (count m))] (noise/frame (flipped m i))))))

(deftest handshakes-that-fail
  (on-all noisy {}
    (fn [port server]
      (doseq [b (bad-handshakes port)]
        (is (= bytes/empty (raw server b)) b))
      (testing "the stream ends in it"
        (doseq [n [0 1 2 25 49]]
          (with-open [socket (connect server)]
            (send! socket (cut (noise/frame (first-message (:port port))) 0 n))
            (half-close! socket)
            (is (= bytes/empty (rest-of socket)) n))))
      (is (served? server port)))))

(defn- messages-of [state & plaintexts]
  (second (sealed state plaintexts)))

(defn- elsewhere-sealed
  "`b` as a message of another channel of the same two."
  [port b]
  (let [[client m] (noise/write-message (initiator port))
        [_ reply] (link/respond (responder port) m)]
    (first (messages-of (first (noise/read-message client reply)) b))))

(defn- bad-transports
  "What, and a function of the state to the bytes that follow the handshake."
  [{:keys [port]}]
  (let [halves [(cut good 0 20) (cut good 20 40)]
        sealed-good #(first (messages-of % good))]
    {"nothing in a message" (comp second empty-message)
     "a frame without bytes" (fn [_] (bytes/hex-> "0000"))
     "a frame shorter than a tag" (fn [_] (noise/frame (bytes/zeros 15)))
     "no ciphertext" (fn [_] (noise/frame (bytes/zeros 60)))
     "plaintext" (fn [_] good)
     "a ciphertext tampered with" #(flipped (sealed-good %) 10)
     "a tag tampered with" #(let [b (sealed-good %)] (flipped b (dec (count b))))
     "a ciphertext cut short" #(let [b (sealed-good %)] (noise/frame (cut b 2 (dec (count b)))))
     "messages in the wrong order" #(apply bytes/concat (reverse (apply messages-of % halves)))
     "a message twice" #(let [[b] (apply messages-of % halves)] (bytes/concat b b))
     "the handshake again" (fn [_] (noise/frame (first-message port)))
     "another channel's message" (fn [_] (elsewhere-sealed port good))}))

(defn- after-handshake
  "All that the server sends after a handshake to the bytes that `f` makes of the state."
  [server {:keys [port]} f & how]
  (with-open [socket (connect server)]
    (let [state (shake socket port)]
      (send-all! socket [(f state)])
      (when (some #{:ended} how) (half-close! socket))
      (rest-of socket))))

(deftest transport-messages-that-fail
  (on-all noisy {}
    (fn [port server]
      (doseq [[what f] (bad-transports port)]
        (is (= bytes/empty (after-handshake server port f)) what))
      (testing "the stream ends in a message"
        (doseq [n [0 1 2 17 57]]
          (is (= bytes/empty (after-handshake server port #(cut (first (messages-of % good)) 0 n) :ended)) n)))
      (is (served? server port)))))

(deftest what-was-recorded-is-worth-nothing
  (on-all noisy {}
    (fn [{:keys [port] :as contract} server]
      (let [[state m] (noise/write-message (initiator port))
            recorded (promise)]
        (with-open [socket (connect server)]
          (send! socket (noise/frame m))
          (let [[state] (noise/read-message state (read-frame socket))
                [state [b]] (sealed state [good])]
            (deliver recorded [(noise/frame m) b])
            (send! socket b)
            (is (= good-said (said (decrypted socket state))))))
        (let [[reply more] (noise/unframe (apply raw server @recorded))]
          (is (= [48 0] [(count reply) (count more)]) "a handshake, and no answer"))
        (is (served? server contract))))))
