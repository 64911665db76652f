(ns poz.net.epoll-test
  (:require
   [clojure.test :refer [deftest is use-fixtures]]
   [poz.bytes :as bytes]
   [poz.net.leaks :as leaks]
   [poz.net.raw :refer [connect contracts decrypted end! framed good initiator noisy on-all read-frame rest-of send! shake]]
   [poz.noise :as noise]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(use-fixtures :once leaks/fixture)

(def ^:private long-answer
  "More than a socket takes at once."
  (wire/encode-response {:status :ok :id 7 :payload (bytes/zeros 15000000)} :record))

(defn- asked-and-ended
  "The answer to `good` for somebody who closes his own half with it."
  [server {:keys [port encryption]}]
  (with-open [socket (connect server)]
    (let [state (when-not (= :none encryption) (shake socket port))
          [state b] (if state (framed (noise/encrypt-all state good)) [nil good])]
      (send! socket b)
      (end! socket)
      (if state (decrypted socket state) (rest-of socket)))))

(deftest who-ends-early-gets-all-of-a-long-answer
  (on-all contracts {:handler (constantly long-answer)}
    (fn [contract server]
      (is (= (count long-answer) (count (asked-and-ended server contract)))))))

(deftest who-ends-while-the-handshake-is-computed-is-no-defect
  (on-all noisy {}
    (fn [{:keys [port]} server]
      (dotimes [_ 20]
        (with-open [socket (connect server)]
          (send! socket (noise/frame (second (noise/write-message (initiator port)))))
          (end! socket)
          (is (= 48 (count (read-frame socket))))
          (is (= bytes/empty (rest-of socket))))))))
