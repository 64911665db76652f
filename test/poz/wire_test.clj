(ns poz.wire-test
  "Messages against wire.json, then properties: what is written comes back, what is damaged
  is refused or comes back, and nobody waits for more bytes than the limit."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.gen :as codec-gen]
   [poz.codec.node :as node]
   [poz.codec.validate :as validate]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.format.messages :as messages]
   [poz.identity.issue :as issue]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.record.damage :as damage]
   [poz.samples :as samples]
   [poz.vectors :as vectors]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(def ^:private vector-file (delay (vectors/json "wire.json")))
(def ^:private type-named (into {} (map (juxt :name :type)) messages/requests))
(def ^:private status-named (into {} (map (juxt :name :status)) messages/statuses))
(def ^:private row-of (into {} (map (juxt :type identity)) messages/requests))

;; ## wire.json as our values

(defn- subject [{:keys [kind domain hash] :as x}]
  (case (long kind)
    1 {:domain domain}
    2 {:hash (bytes/hex-> hash)}
    3 {:handle (select-keys x [:domain :path :handle])}))

(def ^:private zone-of-authority (into {} (map (juxt :authority :zone)) format/zones))

(def ^:private request-file
  "The file of the SUBMIT_REQUEST of the vectors."
  (delay (record/encode (dissoc (record/decode (vectors/file-bytes "records/devices-grant.poz"))
                          :service-authority :service-zone))))

(defn- asked-handle [{:keys [domain path handle timestamp proof signatures]}]
  {:record @request-file :authority-domain domain :path path :user-handle handle :timestamp timestamp
   :proof (bytes/hex-> proof) :signatures (vectors/->value :foreign-signatures signatures)})

(defn- request-payload [type x]
  (case type
    :chain (update x :subject subject)
    :zones (-> x (update :subject subject) (update :zones (partial mapv zone-of-authority)))
    (:challenge :status) {}
    (:submit :request-status) (bytes/hex-> x)
    :submit-request (asked-handle x)
    :submit-signed (vectors/file-bytes "records/all-zones.poz")
    (subject x)))

(defn- work [{:keys [challenge timestamp nonce]}]
  (let [n (bigint nonce)]
    {:challenge (bytes/hex-> challenge) :timestamp timestamp :nonce (if (<= n Long/MAX_VALUE) (long n) n)}))

(defn- request-of [{:keys [type_name id pow payload]}]
  (let [type (type-named type_name)]
    (cond-> {:type type :id id :payload (request-payload type payload)}
      pow (assoc :pow (work pow)))))

(defn- answer-form [type status]
  (or (get-in row-of [type :answers status])
    (some #(when (= status (:status %)) (:payload %)) messages/statuses)))

(defn- response-payload [form x]
  (cond
    (nil? x) nil
    (keyword? form) (if (string? x)
                      (codec/decode (codec/codec samples/registry form) (bytes/hex-> x))
                      (vectors/->value form x))
    (= :optional (first form)) (response-payload (last form) x)
    (= :bytes (first form)) (bytes/hex-> x)
    :else {}))

(defn- response-of [{:keys [to status_name id payload]}]
  (let [status (status-named status_name)
        v (response-payload (answer-form (type-named to) status) payload)]
    (cond-> {:status status :id id} (some? v) (assoc :payload v))))

(deftest requests-of-the-vectors
  (doseq [{:keys [name request request_sha3_256 request_head] :as v} (:requests @vector-file)
          :let [value (request-of v) b (wire/encode-request value)]]
    (testing name
      (if request
        (is (= request (bytes/->hex b)))
        (do (is (= request_sha3_256 (bytes/->hex (crypto/sha3-256 b))))
          (is (str/starts-with? (bytes/->hex b) request_head))))
      (is (= value (wire/decode-request b)))
      (is (= (count b) (wire/request-size b))))))

(deftest responses-of-the-vectors
  (doseq [{:keys [name to response] :as v} (:responses @vector-file)
          :let [value (response-of v) b (bytes/hex-> response) type (type-named to)]]
    (testing name
      (is (= value (wire/decode-response b type)))
      (is (= b (wire/encode-response value type)))
      (is (= (count b) (wire/response-size b))))))

(deftest malformed-of-the-vectors
  (doseq [{:keys [name code request]} (:malformed @vector-file)
          :let [found (wire/decode-request (bytes/hex-> request))]]
    (testing name
      (is (= code (error/code (:poz/error found))))
      (is (= :malformed (:status (wire/failure found))))
      (is (= code (:code (:payload (wire/failure found))))))))

(deftest ports-of-the-vectors
  (doseq [[port {:keys [answered]}] (:ports @vector-file)
          :let [contract (some #(when (= (parse-long (name port)) (:port %)) (:contract %)) messages/ports)]
          {:keys [type] n :name} messages/requests]
    (is (= (boolean (some #{n} answered)) (wire/allowed? contract type)) [port n]))
  (is (not (wire/allowed? :plain :nope)))
  (is (not (wire/allowed? :nope :serial))))

(deftest the-signed-part-of-a-submit-request
  (let [{:keys [authority_hash original_master_hash content message signatures]} (:submit_request @vector-file)
        request (:payload (request-of (first (filter #(= "SUBMIT_REQUEST" (:type_name %)) (:requests @vector-file)))))
        [authority user] (map bytes/hex-> [authority_hash original_master_hash])
        statement (issue/request-statement request user authority)]
    (is (= content (bytes/->hex (bytes/join (:content statement)))))
    (is (= message (bytes/->hex (:message statement))))
    (is (= (vectors/->value :foreign-signatures signatures) (:signatures request)))
    (is (= :valid (:outcome (issue/check-request request authority (:timestamp request)))))))

(deftest serial-answers-what-a-memory-holds
  (let [{:keys [record answers]} (:kept_zone @vector-file)
        of-file (comp memory/of record/decode vectors/file-bytes)
        {:keys [request payload]} (first (filter #(= "SERIAL" (:name %)) answers))
        {:keys [id]} (wire/decode-request (bytes/hex-> request))
        b (wire/encode-response {:status :ok :id id :payload (of-file record)} :serial)]
    (is (= payload (subs (bytes/->hex b) 16)))
    (doseq [f (vectors/record-files)
            :let [m (of-file f)]]
      (is (= m (:payload (wire/decode-response (wire/encode-response {:status :ok :id 1 :payload m} :serial) :serial)))
        f))))

(deftest the-requests-for-a-kept-zone
  (doseq [{:keys [name request]} (:answers (:kept_zone @vector-file))
          :let [b (bytes/hex-> request) value (wire/decode-request b)]]
    (is (= (type-named name) (:type value)))
    (is (= b (wire/encode-request value)))))

;; ## What is answered where nothing can be

(deftest what-is-not-supported-keeps-its-id
  (are [hex options found] (= found (let [a (wire/decode-request (bytes/hex-> hex) options)]
                                      [(:poz/error a) (:id a)]))
    "00550007000000" {} [:wire/unsupported 7]
    "000000070000021234" {} [:wire/unsupported 7]
    "0020000700000100" {:contract :query} [:wire/unsupported 7]
    "00080007000000" {:contract :nope} [:wire/unsupported 7]
    "0055000702" {} [:format/optional 7]
    "005500070000" {} [:format/truncated 7]
    "01550007000000" {} [:format/code 0]
    "000800" {} [:format/truncated 0]
    "" {} [:format/truncated 0])
  (is (= {:status :unsupported :id 9} (dissoc (wire/failure (wire/decode-request (bytes/hex-> "00200009000000") {:contract :plain})) :payload)))
  (is (re-find #"type 32 on port 7074" (:message (wire/decode-request (bytes/hex-> "00200009000000") {:contract :plain})))))

(deftest a-fault-has-its-place-in-the-message
  (are [hex at path] (= [at path] ((juxt :at :path) (wire/decode-request (bytes/hex-> hex))))
    "0004000500000104" 7 [:payload]
    "0004000500000401000141" 10 [:payload :domain]
    "0006000500000a01000161000200200010" 15 [:payload :zones 1]
    "0004000702000e01000b6578616d706c652e6f7267" 4 [:pow]
    "0004000700000e01000b6578616d706c652e6f726700" 21 []))

(deftest each-type-has-its-own-answers
  (are [type status] (= :format/code (:poz/error (wire/decode-response (bytes/hex-> status) type)))
    :serial "0001000100000000" ; ACCEPTED
    :submit-signed "0000000100000000" ; OK
    :record "0002000100000010d31868f640c958e43c6f428300269668" ; PENDING
    nil "0000000100000000"
    :serial "0003000100000000" ; no such status
    :serial "0100000100000000") ; another version
  (is (= {:status :not-found :id 1 :payload {}} (wire/decode-response (bytes/hex-> "0012000100000000") nil))))

(deftest an-anomaly-becomes-a-response
  (let [held {:serial 1 :current-master-hash (bytes/zeros 32) :zones []}
        challenge {:challenge (bytes/zeros 16) :difficulty 3 :valid-until 5}]
    (are [a response] (= response (wire/failure a))
      (error/anomaly :format/range {:id 3 :message "m"}) {:status :malformed :id 3 :payload {:code "format/range" :message "m"}}
      (error/anomaly :survivorship/below-threshold {:message "m"}) {:status :rejected :id 0 :payload {:code "survivorship/below-threshold" :message "m"}}
      (error/anomaly :policy/refused {:message "m"}) {:status :rejected :id 0 :payload {:code "policy/refused" :message "m"}}
      (error/anomaly :time/far-future {:message "m"}) {:status :rejected :id 0 :payload {:code "time/far-future" :message "m"}}
      (error/anomaly :request/not-reserved {:message "m"}) {:status :rejected :id 0 :payload {:code "request/not-reserved" :message "m"}}
      (error/anomaly :update/fork {:held held}) {:status :conflict :id 0 :payload held}
      (error/anomaly :request/taken) {:status :conflict :id 0}
      (error/anomaly :wire/not-found {:id 4}) {:status :not-found :id 4 :payload {}}
      (error/anomaly :wire/work-required {:challenge challenge}) {:status :pow-required :id 0 :payload challenge}
      (error/anomaly :wire/too-large {:limit 65535}) {:status :too-large :id 0 :payload 65535}
      (record/decode (bytes/zeros 9) {:max-size 8}) {:status :too-large :id 0 :payload 8}
      (error/anomaly :wire/busy {:wait-ms 1500}) {:status :busy :id 0 :payload 1500}
      (error/anomaly :wire/busy) {:status :busy :id 0 :payload 1000}
      (error/anomaly :fault/internal {:found "secret"}) {:status :failed :id 0 :payload {:code "internal" :message ""}}
      (error/anomaly :file/not-found {:found "/etc/poz"}) {:status :failed :id 0 :payload {:code "internal" :message ""}}
      (error/anomaly :keyring/wrong-passphrase {:id 8}) {:status :failed :id 8 :payload {:code "internal" :message ""}})))

(deftest every-error-makes-a-response-that-can-be-sent
  (doseq [k (keys error/table)
          :let [a (error/anomaly k {:found "\u0007 \ud800 \u0085 😀" :at 3 :id 9 :limit 1
                                    :challenge {:challenge (bytes/zeros 16) :difficulty 3 :valid-until 5}})
                response (wire/failure a)]]
    (is (= response (wire/decode-response (wire/encode-response response nil) nil)) k)))

(deftest a-message-for-a-person-is-cut
  (let [long-text (apply str (repeat 600 "😀"))
        {:keys [message]} (wire/problem (error/anomaly :format/count {:message long-text}))]
    (is (= (apply str (repeat 500 "😀")) message))))

(deftest what-cannot-be-written-throws
  (are [error request] (= error (:poz/error (error/attempt #(wire/encode-request request))))
    :wire/unsupported {:type :nope :id 1 :payload {}}
    :wire/unsupported {:type 0x55 :id 1 :payload {}}
    :format/range {:type :status :id 65536 :payload {}}
    :format/type {:type :status :id 1 :payload {} :surplus 1}
    :format/type {:type :status :id 1}
    :format/type {:type :serial :id 1 :payload {:domain "a" :hash (bytes/zeros 32)}}
    :format/code {:type :zones :id 1 :payload {:subject {:domain "a"} :zones [:nope]}}
    :wire/too-large {:type :submit :id 1 :payload (bytes/zeros 65536)})
  (is (= 65535 (:limit (error/attempt #(wire/encode-request {:type :submit :id 1 :payload (bytes/zeros 65536)})))))
  (is (bytes/bytes? (wire/encode-request {:type :submit :id 1 :payload (bytes/zeros 65535)}))))

;; ## Properties

(defn- message [head payload]
  (cond-> (into {} (remove (comp nil? val)) head) (some? payload) (assoc :payload payload)))

(defn- of-form [form]
  (codec-gen/generator (node/parse samples/registry form)))

(def ^:private work-gen (of-form [:optional {} :pow]))

(def ^:private request-gen
  (gen/one-of
    (for [{:keys [type payload]} messages/requests]
      (gen/fmap (fn [[id pow v]] (message {:type type :id id :pow pow} v))
        (gen/tuple (of-form :u16) work-gen (of-form payload))))))

(def ^:private response-gen
  "Generates `[type response]`, of every type and every status that it may have."
  (gen/one-of
    (for [{:keys [type answers]} messages/requests
          [status form] (into answers (keep (fn [{:keys [status payload]}] (when payload [status payload]))) messages/statuses)]
      (gen/fmap (fn [[id v]] [type (message {:status status :id id} v)])
        (gen/tuple (of-form :u16) (of-form form))))))

(def ^:private edits
  (gen/vector (gen/tuple (gen/elements [:flip :set :step :delete :insert :cut :swap :count :splice])
                (gen/choose 0 1000000) (gen/choose 0 1000000) (gen/choose 0 65535))
    1 3))

(defn- edited [b edits]
  (reduce #(damage/edit %1 b %2) b edits))

(def ^:private damaged-request
  (gen/fmap (fn [[m edits]] (edited (wire/encode-request m) edits)) (gen/tuple request-gen edits)))

(def ^:private any-request-bytes
  (gen/one-of [damaged-request (gen/fmap wire/encode-request request-gen)]))

(defspec requests-come-back 2000
  (prop/for-all [m request-gen]
    (let [b (wire/encode-request m)]
      (and (= m (wire/decode-request b))
        (= b (wire/encode-request (wire/decode-request b)))
        (= (count b) (wire/request-size b))
        (str/includes? (bytes/->hex b) (bytes/->hex (wire/payload-bytes m)))))))

(defspec responses-come-back 2000
  (prop/for-all [[type m] response-gen]
    (let [b (wire/encode-response m type)]
      (and (= m (wire/decode-response b type))
        (= (count b) (wire/response-size b))))))

(defspec damaged-requests-are-refused-or-come-back 3000
  (prop/for-all [b damaged-request]
    (let [m (wire/decode-request b)]
      (if (error/anomaly? m)
        (and (or (= :malformed (:poz/anomaly m)) (= :wire/unsupported (:poz/error m)))
          (<= 0 (:id m) 65535)
          (bytes/bytes? (wire/encode-response (wire/failure m) nil)))
        (= b (wire/encode-request m))))))

(defspec damaged-responses-are-refused-or-come-back 2000
  (prop/for-all [[type m] response-gen, edits edits]
    (let [b (edited (wire/encode-response m type) edits)
          found (wire/decode-response b type)]
      (if (error/anomaly? found)
        (= :malformed (:poz/anomaly found))
        (= b (wire/encode-response found type))))))

(defspec noise-is-refused-or-comes-back 3000
  (prop/for-all [noise (gen/vector (gen/frequency [[6 (gen/choose 0 3)] [1 (gen/choose -128 127)]]) 0 60)]
    (let [b (bytes/wrap (byte-array noise)) m (wire/decode-request b)]
      (or (error/anomaly? m) (= b (wire/encode-request m))))))

;; ## Framing

(defn- feed
  "What a reader that takes at most `step` bytes at a time, and never more than it was asked
  for, makes of `b`: `{:read how many :most that it waited for :found the size or error}`."
  [size b step]
  (loop [{:keys [read most] :as state} {:read 0 :most 0}]
    (let [wanted (size (bytes/slice b 0 read))
          most (if (error/anomaly? wanted) most (max most wanted))]
      (cond
        (error/anomaly? wanted) (assoc state :found (:poz/error wanted))
        (= wanted read) (assoc state :most most :found read)
        (= read (count b)) (assoc state :most most :found :closed)
        :else (recur {:read (min (count b) (+ read step) wanted) :most most})))))

(defspec bytes-one-by-one-are-framed-as-all-at-once 1000
  (prop/for-all [b any-request-bytes]
    (let [slow (feed wire/request-size b 1)
          fast (feed wire/request-size b 100000)
          at-once (wire/request-size b)]
      (and (= (:found slow) (:found fast))
        (<= (:read slow) (:read fast))
        (<= (:most slow) (+ 39 65535))
        (or (= :format/trailing (:poz/error at-once))
          (= (:found fast) (cond (error/anomaly? at-once) (:poz/error at-once)
                             (= at-once (count b)) at-once
                             :else :closed)))))))

(defspec nobody-waits-for-more-than-the-limit 1000
  (prop/for-all [b any-request-bytes, limit (gen/choose 0 300)]
    (let [{:keys [most found read]} (feed #(wire/request-size % {:max-payload limit}) b 7)
          whole (feed wire/request-size b 7)]
      (and (<= read most (+ 39 limit))
        (or (= found (:found whole)) (= found :wire/too-large))))))

(defspec responses-are-framed-too 1000
  (prop/for-all [[type m] response-gen, limit (gen/choose 0 300), more (gen/elements ["" "00"])]
    (let [b (bytes/concat (wire/encode-response m type) (bytes/hex-> more))
          size #(wire/response-size % {:max-payload limit})
          {:keys [most found]} (feed size b 1)]
      (and (<= most (+ 8 limit))
        (= found (:found (feed size b 100000)))
        (= found (if (< (+ 8 limit) (- (count b) (/ (count more) 2))) :wire/too-large (- (count b) (/ (count more) 2))))
        (or (= "" more) (#{:format/trailing :wire/too-large} (:poz/error (size b))))))))

(deftest sizes-as-bytes-arrive
  (are [hex size] (= size (let [n (wire/request-size (bytes/hex-> hex))] (:poz/error n n)))
    "" 7
    "0004" 7
    "0004001000" 7
    "0004001001" 39
    "00040010000010" 23
    "0004001000ffff" 65542
    "01" :format/code
    "0004001002" :format/optional
    "0008000a00000000" :format/trailing)
  (are [hex size] (= size (let [n (wire/response-size (bytes/hex-> hex))] (:poz/error n n)))
    "" 8
    "0000000101000000" (+ 8 (* 16 1024 1024))
    "0000000101000001" :wire/too-large
    "00ff" :format/code
    "0012000100000000ff" :format/trailing)
  (let [found (wire/request-size (bytes/hex-> "0004001000ffff") {:max-payload 1000})]
    (is (= [:wire/too-large 1000 16] ((juxt :poz/error :limit :id) found)))
    (is (= {:status :too-large :id 16 :payload 1000} (wire/failure found)))))

(deftest schemas-know-messages
  (let [{:keys [schema]} (samples/types :subject)]
    (is (nil? (validate/explain schema {:domain "example.org"})))
    (is (= [[[] "one of the keys [:domain :hash :handle]"]]
           (map (juxt :path :message) (validate/explain schema {}))))
    (is (= [[:handle :handle]] (map :path (validate/explain schema {:handle {:domain "a" :path [] :handle "a b"}}))))))

(deftest a-look-without-reading
  (doseq [{:keys [type code]} messages/requests]
    (is (= type (wire/peek-type (bytes/hex-> (format "00%02x" code))))))
  (doseq [{:keys [status code]} messages/statuses]
    (is (= status (wire/peek-status (bytes/hex-> (format "00%02x" code))))))
  (is (= [nil nil nil] (map wire/peek-type [bytes/empty (bytes/hex-> "00") (bytes/hex-> "00ee")])))
  (is (= [nil nil] (map wire/peek-status [bytes/empty (bytes/hex-> "00ee")]))))
