(ns poz.noise-test
  "What a Noise channel refuses, that its states are good for one call, and generated
  exchanges. The golden vectors are in poz.noise.golden-test."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.noise :as noise]
   [poz.noise.fixtures :refer [bytes-of code connected decrypt-all each-provider handshake initiator responder seed server]])
  (:import
   (java.util.concurrent CyclicBarrier)))

(set! *warn-on-reflection* true)

;; What is refused

(deftest another-prologue-or-server
  (each-provider
    (fn []
      (are [options] (let [[_ message] (noise/write-message (initiator options))]
                       (= [:noise/decrypt :refused]
                          ((juxt code :poz/anomaly) (noise/read-message (responder) message))))
        {:prologue (noise/prologue 7076)}
        {:prologue bytes/empty}
        {:prologue (bytes/utf8 "POZ0")}
        {:remote-static (:public-key (crypto/generate :x25519 (seed 4)))}))))

(defn- flipped [b i]
  (let [array (bytes/->array b)]
    (aset-byte array i (unchecked-byte (bit-xor 1 (aget array i))))
    (bytes/wrap array)))

(deftest tampered-handshakes
  (each-provider
    (fn []
      (let [[i message-1] (noise/write-message (initiator))
            [r] (noise/read-message (responder) message-1)
            [_ message-2] (noise/write-message r)]
        (testing "any byte changed"
          (doseq [n (range 48)]
            (is (= :noise/decrypt (code (noise/read-message (responder) (flipped message-1 n)))) n)
            (is (= :noise/decrypt (code (noise/read-message (first (noise/write-message (initiator)))
                                                            (flipped message-2 n)))) n)))
        (testing "cut, extended, reflected, empty"
          (are [error message] (= error (code (noise/read-message (responder) message)))
            :noise/size bytes/empty
            :noise/size (bytes/slice message-1 0 47)
            :noise/size (bytes/zeros 65536)
            :noise/decrypt (bytes/concat message-1 (bytes/zeros 1))
            :noise/decrypt message-2)
          (is (= :noise/decrypt (code (noise/read-message i message-1)))))))))

(def ^:private low-order
  "The points of order 1, 2, 4 and 8 of Curve25519, and encodings of them that are not canonical."
  ["0000000000000000000000000000000000000000000000000000000000000000"
   "0100000000000000000000000000000000000000000000000000000000000000"
   "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
   "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"
   "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
   "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
   "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
   "0000000000000000000000000000000000000000000000000000000000000080"])

(deftest keys-of-low-order
  (each-provider
    #(doseq [key (map bytes/hex-> low-order)]
       (testing "the client's ephemeral, the server's ephemeral, the server's static"
         (let [message (bytes/concat key (bytes/zeros 16))
               [i] (noise/write-message (initiator))]
           (is (= :crypto/low-order
                  (code (noise/read-message (responder) message))
                  (code (noise/read-message i message))
                  (code (noise/write-message (initiator {:remote-static key}))))
               key))))))

(deftest transport-messages-out-of-order
  (each-provider
    (fn []
      (let [[i r] (connected)
            [i one] (noise/encrypt i (bytes/utf8 "one"))
            [_ two] (noise/encrypt i (bytes/utf8 "two"))
            after-one #(first (noise/decrypt (second (connected)) one))]
        (is (= (bytes/utf8 "two") (second (noise/decrypt (after-one) two))))
        (testing "repeated, skipped, sent back"
          (is (= :noise/decrypt (code (noise/decrypt (after-one) one))))
          (is (= :noise/decrypt (code (noise/decrypt r two))))
          (is (= :noise/decrypt (code (noise/decrypt (first (connected)) one)))))
        (testing "changed, cut, extended, too short, too long"
          (are [error message] (= [error] (distinct [(code (noise/decrypt (second (connected)) message))]))
            :noise/decrypt (flipped one 0)
            :noise/decrypt (flipped one (dec (count one)))
            :noise/decrypt (bytes/slice one 1)
            :noise/decrypt (bytes/concat one (bytes/zeros 1))
            :noise/size (bytes/slice one 0 15)
            :noise/size bytes/empty
            :noise/size (bytes/zeros 65536)))))))

;; States

(defn- spent? [f]
  (try (f) false
       (catch IllegalStateException e (str/starts-with? (ex-message e) "This state is spent"))))

(deftest a-state-is-good-for-one-call
  (let [i (initiator) r (responder)
        [i2 message-1] (noise/write-message i)
        [r2] (noise/read-message r message-1)
        [r3 message-2] (noise/write-message r2)
        [i3] (noise/read-message i2 message-2)
        [_ hello] (noise/encrypt i3 (bytes/utf8 "hello"))
        _ (noise/decrypt r3 hello)]
    (are [call] (spent? (fn [] call))
      (noise/write-message i)
      (noise/write-message (assoc i :note "a copy"))
      (noise/read-message r message-1)
      (noise/write-message r2)
      (noise/read-message i2 message-2)
      (noise/encrypt i3 (bytes/utf8 "other"))
      (noise/encrypt-all i3 (bytes/utf8 "other"))
      (noise/decrypt i3 hello)
      (noise/decrypt r3 hello)
      (noise/encrypt r3 (bytes/utf8 "reply")))))

(deftest a-failed-call-spends-the-state
  (let [junk (bytes/zeros 48) r (responder) [i r4] (connected)]
    (is (= :crypto/low-order (code (noise/read-message r junk))))
    (is (spent? #(noise/read-message r junk)))
    (is (= :noise/decrypt (code (noise/decrypt i junk))))
    (is (spent? #(noise/encrypt i junk)))
    (is (= :noise/size (code (noise/decrypt r4 bytes/empty))))
    (is (spent? #(noise/encrypt r4 junk)))))

(deftest one-of-many-threads-gets-the-state
  (dotimes [_ 20]
    (let [[i] (connected)
          barrier (CyclicBarrier. 4)
          calls (mapv (fn [n] (future (.await barrier)
                                      (try (noise/encrypt i (seed n)) (catch IllegalStateException _ nil))))
                      (range 4))]
      (is (= 1 (count (keep deref calls)))))))

(deftest a-call-out-of-turn-spends-nothing
  (let [i (initiator) r (responder) b (bytes/zeros 48)]
    (are [call] (thrown-with-msg? IllegalStateException #"not time to" call)
      (noise/read-message i b)
      (noise/write-message r)
      (noise/encrypt i b)
      (noise/decrypt r b))
    (is (= [:write :read] (map noise/turn [i r])))
    (let [{:keys [initiator responder]} (handshake i r)]
      (is (every? noise/transport? [initiator responder]))
      (is (not-any? noise/transport? [i r]))
      (is (= [nil nil] (map noise/turn [initiator responder])))
      (is (thrown-with-msg? IllegalStateException #"handshake is done" (noise/write-message initiator)))
      (is (thrown-with-msg? IllegalStateException #"handshake is done" (noise/read-message responder b)))
      (is (some? (noise/encrypt initiator b))))))

(deftest wrong-arguments-throw-and-spend-nothing
  (let [i (initiator) r (responder) [ti tr] (connected)]
    (are [call] (thrown? IllegalArgumentException call)
      (noise/prologue 0)
      (noise/prologue 65536)
      (noise/prologue nil)
      (initiator {:prologue nil})
      (initiator {:prologue "POZ0"})
      (initiator {:remote-static (bytes/zeros 31)})
      (initiator {:remote-static nil})
      (initiator {:random (bytes/zeros 31)})
      (initiator {:random nil})
      (responder {:static nil})
      (responder {:static (:secret server)})
      (responder {:static (assoc server :secret (bytes/zeros 32))})
      (noise/write-message i (bytes/zeros 65488))
      (noise/write-message i "hello")
      (noise/read-message r nil)
      (noise/encrypt ti bytes/empty)
      (noise/encrypt ti (bytes/zeros 65520))
      (noise/encrypt ti nil)
      (noise/encrypt-all ti bytes/empty)
      (noise/decrypt tr (byte-array 20))
      (noise/frame (bytes/zeros 65536)))
    (is (= 65535 (count (second (noise/write-message i (bytes/zeros 65487))))))
    (is (= 65535 (count (second (noise/encrypt ti (bytes/zeros 65519))))))))

(deftest randomness-is-an-argument
  (let [asked (atom [])
        random (fn [n] (swap! asked conj n) (seed 1))
        [_ message] (noise/write-message (initiator {:random random}))]
    (is (= message (second (noise/write-message (initiator)))))
    (is (= [32] @asked))
    (testing "none is used for a handshake that is refused"
      (noise/read-message (responder {:random random}) (bytes/zeros 48))
      (is (= [32] @asked)))))

(deftest secrets-never-print
  (let [i (initiator) r (responder)
        [i2 message-1] (noise/write-message i)
        [r2] (noise/read-message r message-1)
        [r3 message-2] (noise/write-message r2)
        [i3] (noise/read-message i2 message-2)
        ciphers (for [state [i3 r3], way [:send :receive]] (bytes/->hex (bytes/reveal (:key (way state)))))
        chains (for [state [i2 r2]] (bytes/->hex (bytes/reveal (-> state :symmetric :chain))))
        seeds (map (comp bytes/->hex seed) [1 2 3])]
    (doseq [state [(initiator) (responder) i2 r2 i3 r3]
            hidden (concat ciphers chains seeds)]
      (is (not (str/includes? (pr-str state) hidden))))
    (testing "a finished handshake keeps only its own keys and name"
      (is (= #{:role :send :receive :handshake-hash :once} (set (keys i3)) (set (keys r3)))))
    (is (not (str/includes? (pr-str (noise/decrypt i3 (bytes/zeros 20))) "#poz/hex")))))

;; Generated exchanges

(def ^:private gen-bytes (gen/fmap (comp bytes/wrap byte-array) (gen/vector gen/byte)))
(def ^:private gen-seed (gen/fmap (comp bytes/wrap byte-array) (gen/vector gen/byte 32)))

(defn- exchange
  "The plaintexts that arrive when `turns`, `[from plaintext]`, go over a connection."
  [{:keys [initiator responder]} turns]
  (loop [states {:initiator initiator :responder responder} turns turns arrived []]
    (if-let [[[from plaintext] & turns] (seq turns)]
      (let [to ({:initiator :responder :responder :initiator} from)
            [sender messages] (noise/encrypt-all (states from) plaintext)
            [receiver plaintexts] (decrypt-all (states to) messages)]
        (recur {from sender to receiver} turns (conj arrived (apply bytes/concat plaintexts))))
      arrived)))

(defspec what-is-sent-arrives 300
  (prop/for-all [seeds (gen/vector gen-seed 3)
                 prologue gen-bytes
                 payloads (gen/vector gen-bytes 2)
                 turns (gen/vector (gen/tuple (gen/elements [:initiator :responder])
                                              (gen/such-that #(pos? (count %)) gen-bytes)))
                 provider (gen/elements (crypto/providers))]
    (crypto/with-provider provider
      (fn []
        (let [static (crypto/generate :x25519 (seeds 0))
              i (noise/initiator {:prologue prologue :remote-static (:public-key static) :random (seeds 1)})
              r (noise/responder {:prologue prologue :static static :random (seeds 2)})
              result (handshake i r (payloads 0) (payloads 1))]
          (and (= payloads (:payloads result))
               (= (-> result :initiator :handshake-hash) (-> result :responder :handshake-hash))
               (= (map second turns) (exchange result turns))))))))

(defspec damage-is-refused-and-never-throws 200
  (prop/for-all [junk gen-bytes
                 position gen/nat
                 way (gen/elements [:handshake :transport])]
    (let [[i r] (connected)
          [_ message] (if (= :handshake way)
                        (noise/write-message (initiator))
                        (noise/encrypt i (bytes/utf8 "a message")))
          read #(if (= :handshake way) (noise/read-message (responder) %) (noise/decrypt r %))]
      (if (even? position)
        (error/anomaly? (read junk))
        (error/anomaly? (read (flipped message (mod position (count message)))))))))

(deftest a-big-plaintext
  (each-provider
    #(let [[i r] (connected)
           plaintext (bytes-of 1000000 (fn [n] (bit-xor n (quot n 251))))
           [_ messages] (noise/encrypt-all r plaintext)
           [_ plaintexts] (decrypt-all i messages)]
       (is (= 16 (count messages)))
       (is (= plaintext (apply bytes/concat plaintexts))))))

(deftest providers-speak-to-each-other
  (doseq [one (crypto/providers), other (crypto/providers)
          :let [as crypto/with-provider
                [i message-1] (as one #(noise/write-message (initiator)))
                [r] (as other #(noise/read-message (responder) message-1))
                [r message-2] (as other #(noise/write-message r))
                [i] (as one #(noise/read-message i message-2))
                [_ message] (as one #(noise/encrypt i (seed 9)))]]
    (is (= (seed 9) (second (as other #(noise/decrypt r message)))))))
