(ns poz.noise.golden-test
  "Everything in test/vectors/noise.json, with every provider that loads here."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.noise :as noise]
   [poz.noise.fixtures :refer [bytes-of code connected decrypt-all each-provider frames handshake unframe-all]]
   [poz.noise.symmetric :as symmetric]
   [poz.vectors :as vectors]))

(set! *warn-on-reflection* true)

(def ^:private document (delay (vectors/json "noise.json")))

(defn- handshake-of [{:keys [contract server_static_secret server_static_public
                             client_ephemeral_secret server_ephemeral_secret]}]
  (let [prologue (noise/prologue contract)
        public (bytes/hex-> server_static_public)]
    (handshake (noise/initiator {:prologue prologue :remote-static public
                                 :random (bytes/hex-> client_ephemeral_secret)})
               (noise/responder {:prologue prologue :random (bytes/hex-> server_ephemeral_secret)
                                 :static {:secret (bytes/secret (bytes/hex-> server_static_secret))
                                          :public-key public}}))))

(deftest the-protocol
  (is (= noise/protocol-name (:protocol @document))))

(deftest handshakes
  (is (= [7075 7076] (map :contract (:own @document))))
  (each-provider
    #(doseq [{:keys [contract prologue message_1 message_2 handshake_hash keys] :as own} (:own @document)
             :let [{:keys [initiator responder messages payloads]} (handshake-of own)
                   key-of (fn [state way] (bytes/->hex (bytes/reveal (:key (way state)))))]]
       (is (= prologue (bytes/->hex (noise/prologue contract))))
       (is (= [message_1 message_2] (map bytes/->hex messages)))
       (is (= [bytes/empty bytes/empty] payloads))
       (is (= handshake_hash (bytes/->hex (:handshake-hash initiator)) (bytes/->hex (:handshake-hash responder))))
       (is (= (:client_to_server keys) (key-of initiator :send) (key-of responder :receive)))
       (is (= (:server_to_client keys) (key-of initiator :receive) (key-of responder :send))))))

(deftest request-and-response
  (each-provider
    #(doseq [{:keys [request request_frames response response_frames] :as own} (:own @document)
             :let [{:keys [initiator responder]} (handshake-of own)
                   [initiator sent] (noise/encrypt-all initiator (bytes/hex-> request))
                   [responder asked] (decrypt-all responder (unframe-all (bytes/hex-> request_frames)))
                   [_ answer] (noise/encrypt-all responder (bytes/hex-> response))
                   [_ answered] (decrypt-all initiator (unframe-all (bytes/hex-> response_frames)))]]
       (is (= request_frames (bytes/->hex (frames sent))))
       (is (= [request] (map bytes/->hex asked)))
       (is (= response_frames (bytes/->hex (frames answer))))
       (is (= [response] (map bytes/->hex answered))))))

(deftest three-messages-then-an-empty-one
  (each-provider
    #(doseq [{:keys [response large empty] :as own} (:own @document) :when large
             :let [{:keys [initiator responder]} (handshake-of own)
                   plaintext (bytes-of 131039 (partial * 7))
                   [responder first-answer] (noise/encrypt-all responder (bytes/hex-> response))
                   [responder messages] (noise/encrypt-all responder plaintext)
                   [initiator plaintexts] (decrypt-all initiator (concat first-answer messages))
                   empty-message (first (unframe-all (bytes/hex-> (:frame empty))))]]
       (is (= (:frame_lengths large) (map (comp count noise/frame) messages)))
       (is (= (:frames_sha3_256 large) (bytes/->hex (crypto/sha3-256 (frames messages)))))
       (is (= (:last_frame large) (bytes/->hex (noise/frame (last messages)))))
       (is (= (:plaintext_lengths large) (map count (rest plaintexts))))
       (is (= plaintext (apply bytes/concat (rest plaintexts))))
       (is (= empty-message (second (symmetric/seal (:send responder) bytes/empty bytes/empty))))
       (is (= [:noise/empty :malformed] ((juxt code :poz/anomaly) (noise/decrypt initiator empty-message)))))))

(deftest framing
  (doseq [{:keys [plaintext messages bytes_on_the_wire]} (:framing @document)
          :let [[i] (connected)
                [_ sent] (noise/encrypt-all i (bytes/zeros plaintext))]]
    (is (= messages (count sent)))
    (is (= bytes_on_the_wire (count (frames sent)))))
  (testing "nothing is taken before it is whole"
    (let [b (noise/frame (bytes/utf8 "abc"))]
      (is (= "0003616263" (bytes/->hex b)))
      (is (every? nil? (map #(noise/unframe (bytes/slice b 0 %)) (range 5))))
      (is (= [(bytes/utf8 "abc") (bytes/utf8 "d")] (noise/unframe (bytes/concat b (bytes/utf8 "d")))))
      (is (= [bytes/empty bytes/empty] (noise/unframe (bytes/zeros 2)))))))
