(ns poz.integration.hostile-streams-test
  "2,400 streams at all three ports of one authority, 24 at a time, most of them wrong in some way:
  every one ends, what is answered is what its own bytes deserve and nothing of its neighbours',
  and afterwards nothing is left of them.

  A *stream* is what one client does: `parts`, byte strings that it writes one after another, then
  how it goes on, `end`: `:half` closes its half, `:reset` breaks off, `:wait` does nothing more, as
  a client does that is right, or slow. `:deserves` has the byte strings of which one is the answer;
  nil there is none. Each asks about a record of its own under an id of its own. What is done is
  decided by a seed."
  (:require
   [clojure.test :refer [deftest is use-fixtures]]
   [poz.authorities :as authorities]
   [poz.authority :as authority]
   [poz.authority.answers :as answers]
   [poz.authority.server :as server]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.handles :as handles]
   [poz.jazzer.script :as script]
   [poz.net.leaks :as leaks]
   [poz.net.raw :as raw]
   [poz.noise :as noise]
   [poz.record.damage :as damage]
   [poz.wire :as wire])
  (:import
   (java.io IOException)
   (java.util Random)
   (java.util.concurrent Callable ExecutorService Executors Future)))

(set! *warn-on-reflection* true)

(use-fixtures :once leaks/fixture)

(def ^:private streams "How many." 2400)
(def ^:private clients "At a time." 24)
(def ^:private subjects "Records that are held." 40)

(def ^:private now (+ 1000 (long handles/t0)))

(def ^:private limits
  {:connections-per-address 1000 :exchange-ms 10000 :idle-ms 3000})

;; The authority

(def ^:private people (mapv #(:record (handles/person (str "person " %))) (range subjects)))

(defn- authority []
  (let [{:keys [store config]} (authorities/world (constantly :hold))]
    (run! #(authority/install! store % now) people)
    (server/server {:store store :config config :answers (answers/answers {:bytes 100000})
                    :secret (bytes/secret (bytes/zeros 32)) :load (constantly 0) :now (constantly now)
                    :random crypto/random-bytes :on-error #(is (nil? %))})))

(defn- deserved
  "What a stream deserves whose plaintext is `b`, to its end; nil: nothing."
  [server {:keys [contract]} b]
  (let [size (wire/request-size b)
        failed #(wire/encode-response (wire/failure %) nil)]
    (cond
      (zero? (count b)) nil
      (error/anomaly? size) (failed size)
      (< (count b) (long size)) (failed (wire/decode-request b))
      :else (server/handle server {:bytes b :contract contract :address "127.0.0.1"}))))

;; Streams in the clear

(defn- below ^long [^Random random n] (.nextInt random (int n)))
(defn- pick [random xs] (nth xs (below random (count xs))))

(defn- request [random {:keys [contract]} id]
  (let [hash (handles/hash-of (nth people (mod (long id) (long subjects))))]
    (wire/encode-request
      {:id id :type (if (= :submit contract) :serial (pick random [:serial :record :master])) :payload {:hash hash}})))

(defn- cut
  "`b` in up to `n` pieces, cut anywhere."
  [random b n]
  (let [places (sort (distinct (concat [0 (count b)] (repeatedly n #(below random (inc (count b)))))))]
    (mapv (fn [[from to]] (bytes/slice b from to)) (partition 2 1 places))))

(defn- prefix [random b] (bytes/slice b 0 (inc (below random (dec (count b))))))

(defn- damaged [random b other]
  (damage/edit b other [(pick random [:flip :set :step :delete :insert :cut :swap :count :splice])
                        (below random 1000000) (below random 1000000) (below random 65536)]))

(defn- claiming
  "`b` with a payload that is said to be as long as can be."
  [b]
  (bytes/concat (bytes/slice b 0 5) (bytes/hex-> "ffff") (bytes/slice b 7)))

(defn- one-byte-parts [b] (mapv #(bytes/slice b % (inc (long %))) (range (count b))))

(def ^:private kinds
  "What a stream does with its request `b` and another's, `other`: `[parts end]`."
  {:right (fn [_ b _] [[b] :wait])
   :right-and-closed (fn [_ b _] [[b] :half])
   :in-pieces (fn [random b _] [(cut random b 6) :wait])
   :in-bytes (fn [_ b _] [(one-byte-parts b) :half])
   :damaged (fn [random b other] [[(damaged random b other)] :half])
   :damaged-twice (fn [random b other] [(cut random (damaged random (damaged random b other) other) 3) :half])
   :too-short (fn [random b _] [[(prefix random b)] :half])
   :two-at-once (fn [_ b other] [[(bytes/concat b other)] :wait])
   :one-after-another (fn [_ b other] [[b other] :half])
   :long-claim (fn [_ b _] [[(claiming b)] :half])
   :broken-off (fn [random b _] [[(pick random [b (prefix random b)])] :reset])
   :nothing (fn [_ _ _] [[] :half])})

;; Streams in Noise

(defn- acted
  "A script for `poz.jazzer.script/play` in which `b` is sent in pieces and one of them goes wrong.
  That is not the last one sent twice: before the second the request is whole."
  [random b]
  (let [parts (cut random b 3) wrong (below random (count parts))
        ways (if (= wrong (dec (count parts))) [1 3 4 7] [1 2 3 4 7])]
    (map-indexed (fn [i part] [(if (= i wrong) (pick random ways) 0) part]) parts)))

(defn- hello [{:keys [port]}]
  (noise/frame (second (noise/write-message (raw/initiator port)))))

(def ^:private strangers
  "First messages that are none: byte strings made of a right one."
  {:shake-damaged #(damage/edit %2 %2 [:flip (+ 2 (below %1 48)) (below %1 8) 0])
   :shake-cut #(prefix %1 %2)
   :shake-again #(bytes/concat %2 %2)
   :shake-long #(bytes/concat (bytes/hex-> "ffff") (bytes/slice %2 2) (bytes/zeros (below %1 200)))})

;; What happens

(defn- write-all!
  "Writes as many of `parts` as the other side takes, then goes on as `end` says."
  [socket parts end]
  (try (run! #(raw/send! socket %) parts)
       (case end :half (raw/end! socket) :reset (raw/abort! socket) :wait nil)
       (catch IOException _)))

(defn- heard [socket state end]
  (cond
    (= :reset end) bytes/empty
    state (raw/decrypted socket state)
    :else (raw/rest-of socket)))

(defn- sealed [state parts]
  (reduce (fn [[state out] part]
            (let [[state b] (raw/framed (noise/encrypt-all state part))] [state (conj out b)]))
    [state []] (filter (comp pos? count) parts)))

(defn- speak!
  "Sends the plaintexts `parts`, in Noise where the port speaks it; what is answered."
  [server {:keys [port encryption]} parts end]
  (with-open [socket (raw/connect server)]
    (if (= :none encryption)
      (do (write-all! socket parts end) (heard socket nil end))
      (let [[state out] (sealed (raw/shake socket port) parts)]
        (write-all! socket out end)
        (heard socket state end)))))

(defn- act!
  "Acts the script out after a handshake; what is answered, as it comes over the wire."
  [server {:keys [port]} script]
  (with-open [socket (raw/connect server)]
    (write-all! socket (:out (script/play (raw/shake socket port) script)) :half)
    (raw/rest-of socket)))

(defn- knock! [server message end]
  (with-open [socket (raw/connect server)]
    (write-all! socket [message] end)
    (raw/rest-of socket)))

(defn- decided?
  "True if the server need not wait for what comes after the plaintext `b`."
  [b]
  (let [size (wire/request-size b)] (or (error/anomaly? size) (= size (count b)))))

(defn- deserving
  "The answers, a set, of which one is deserved for the plaintexts `parts`. Where some of them decide
  already, the rest may be noticed or not, and to go on writing may cost the answer, by TCP's rules."
  [authority contract parts]
  (let [sums (vec (reductions bytes/concat bytes/empty parts))
        early (filter decided? (rest (butlast sums)))]
    (into #{(or (deserved authority contract (peek sums)) bytes/empty)}
      (if (seq early) (cons bytes/empty (map #(deserved authority contract %) early)) nil))))

(defn- open-stream!
  "Does what the kind says; `[heard deserved]`, the second a set."
  [{:keys [authority server contract random b other]} kind]
  (let [[parts end] ((kinds kind) random b other)]
    [(speak! server contract parts end)
     (if (= :reset end) #{bytes/empty} (deserving authority contract parts))]))

(defn- noise-stream!
  "As `open-stream!`, for what only happens in Noise. Nobody is answered after what does not open."
  [{:keys [server contract random b]} kind]
  (if-let [make (strangers kind)]
    (let [end (pick random [:half :half :reset])]
      (if (= :shake-again kind)
        [(count (knock! server (make random (hello contract)) :half)) #{50}]
        [(if (= :reset end) bytes/empty (knock! server (make random (hello contract)) :half)) #{bytes/empty}]))
    [(act! server contract (acted random b)) #{bytes/empty}]))

(def ^:private noise-kinds
  (into [:acted :acted :acted] (keys strangers)))

(defn- stream!
  "The stream number `i`: nil, or what is wrong with what came of it."
  [authority servers seed i]
  (let [random (Random. (+ (* 1000003 (long seed)) (long i)))
        [contract server] (nth servers (mod (long i) (count servers)))
        facts {:authority authority :server server :contract contract :random random
               :b (request random contract i) :other (request random contract (+ 1 (mod (+ 7 (long i)) 60000)))}
        noisy? (and (not= :none (:encryption contract)) (zero? (below random 2)))
        kind (if noisy? (pick random noise-kinds) (pick random (vec (sort (keys kinds)))))
        [heard deserved] ((if noisy? noise-stream! open-stream!) facts kind)]
    (when-not (contains? deserved heard)
      {:stream i :contract (:contract contract) :kind kind :heard heard :deserved deserved})))

(defn- all-at-once
  "What is wrong with the streams, those of `f`, a function of a number."
  [f]
  (let [^ExecutorService pool (Executors/newFixedThreadPool clients)]
    (try (into [] (comp (map #(.get ^Future %)) (remove nil?))
           (.invokeAll pool (mapv (fn [i] ^Callable #(f i)) (range streams))))
         (finally (.shutdownNow pool)))))

;; Memory

(defn- used-bytes []
  (System/gc)
  (let [runtime (Runtime/getRuntime)] (- (.totalMemory runtime) (.freeMemory runtime))))

(defn- with-servers
  "Calls `f` with `[[contract server] …]`, all three."
  [options f]
  ((reduce (fn [inner contract]
             (fn [servers] (raw/with-server contract options #(inner (conj servers [contract %])))))
     f raw/contracts)
   []))

(defn- storm! [seed]
  (let [authority (authority)]
    (with-servers {:handler #(server/handle authority %) :ready #(server/ready authority %) :limits limits}
      (fn [servers]
        (let [before (do (all-at-once #(when (< (long %) 100) (stream! authority servers seed %))) (long (used-bytes)))]
          (is (= [] (take 3 (all-at-once #(stream! authority servers seed %)))) (str "seed " seed))
          (is (< (- (long (used-bytes)) before) 30000000) "bytes that are still held")
          (doseq [[contract server] servers]
            (is (raw/served? server contract))))))))

(deftest every-stream-gets-what-it-deserves-and-nothing-else
  (storm! 1))

(deftest those-who-dawdle-are-closed
  (let [authority (authority)]
    (with-servers {:handler #(server/handle authority %) :limits (assoc limits :idle-ms 300 :exchange-ms 600)}
      (fn [servers]
        (let [pool (Executors/newFixedThreadPool 60)
              slow (fn [i]
                     (let [[contract server] (nth servers (mod (long i) 3))
                           b (request (Random. (long i)) contract i)]
                       (speak! server contract [(bytes/slice b 0 (inc (mod (long i) (dec (count b)))))] :wait)))]
          (try (is (= [] (remove bytes/bytes? (map #(.get ^Future %) (.invokeAll pool (mapv (fn [i] ^Callable #(slow i)) (range 120)))))))
               (finally (.shutdownNow pool))))))))
