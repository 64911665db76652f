(ns poz.authority-test
  "An authoritative server without a network: two-phase activation, queries, conflicts."
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.authority :as authority]
   [poz.authority.operator :as operator]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.identity :as identity]
   [poz.identity.issue :as issue]
   [poz.master :as master]
   [poz.pattern :as pattern]
   [poz.record :as record]
   [poz.store :as store]
   [poz.vectors :as vectors]
   [poz.verify :as verify]
   [poz.wire :as wire]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def ^:private t0 1767225600000)

(defn- secret [label] (:secret (crypto/generate :ed25519 (crypto/sha3-256 (bytes/utf8 label)))))

(defn- person
  "A record with one key by the pattern `sole`, its secret made of `label`."
  [label]
  (let [p (pattern/pattern "sole") s (secret label)
        draft (pattern/draft p [(crypto/public-key :ed25519 s)] t0)]
    {:secret s :record (master/finish (master/sign draft 0 s))}))

(defn- signed [record zone part {:keys [secret]}]
  (change/sign record zone part 0 secret))

(defn- hash-of [record] (get-in record [:master-zone :original-master-hash]))

(def ^:private alice (person "alice"))
(def ^:private mallory (person "mallory"))

(def ^:private social
  (let [p (person "social")]
    (assoc p :record (signed (change/grant (:record p) :identity {:timestamp (+ t0 1)}) :identity :grant p))))

(defn- config [policy]
  {:provider (hash-of (:record social)) :ring {0 (:secret social)}
   :domains {"social.example" (hash-of (:record social))}
   :mirrors [] :software "poz test" :policy policy})

(defn- world [policy]
  (let [s (store/memory)]
    (is (true? (authority/install! s (:record social) (+ t0 10))))
    {:store s :config (config policy)}))

(defn- ask [{:keys [store config]} now request]
  (authority/answer! store config (assoc request :id 7)
    {:now now :random #(bytes/slice (crypto/sha3-256 (bytes/utf8 (str now))) 0 %)
     :challenge {:challenge (bytes/zeros 16) :difficulty 0 :valid-until (+ (long now) 1)}}))

(defn- request-for [{:keys [secret record]} now]
  (-> (issue/request record {:handle "alice" :domain "social.example" :path []} now bytes/empty)
    (issue/sign-request record (hash-of (:record social)) 0 secret)))

(defn- accepting [{:keys [record] :as person} entry now]
  (signed (issue/accept record entry now) :identity :grant person))

(def ^:private by-handle {:handle {:domain "social.example" :path [] :handle "alice"}})

(defn- submit [type record] {:type type :payload (record/encode (record/public-view record))})

(defn- activated
  "A world in which Alice has her handle, and her record."
  []
  (let [w (world (constantly :approve))
        {:keys [status payload]} (ask w (+ t0 100) {:type :submit-request :payload (request-for alice (+ t0 100))})
        record (accepting alice payload (+ t0 200))]
    (is (= :ok status))
    (is (= :not-found (:status (ask w (+ t0 150) {:type :identity :payload by-handle}))) "reserved is not live")
    (is (= :accepted (:status (ask w (+ t0 300) (submit :submit-signed record)))))
    [w (assoc alice :record record)]))

(deftest a-handle-is-requested-issued-accepted-and-live
  (let [[w {:keys [record]}] (activated)
        {:keys [status payload]} (ask w (+ t0 400) {:type :identity :payload by-handle})
        got (record/decode payload)
        verdict (verify/verify got {:now (+ t0 400) :providers [(:record social)]})]
    (is (= :ok status))
    (is (= [:valid :current] [(:outcome verdict) (:status (first (get-in verdict [:zones :identity :entries])))]))
    (is (= (record/encode (record/public-view record))
          (:payload (ask w (+ t0 400) {:type :record :payload {:hash (hash-of record)}}))))
    (is (= (hash-of (:record social))
          (hash-of (record/decode (:payload (ask w (+ t0 400) {:type :master :payload {:domain "social.example"}}))))))))

(deftest the-same-update-twice-is-ok-twice
  (let [[w {:keys [record]}] (activated)]
    (is (= :ok (:status (ask w (+ t0 500) (submit :submit record)))))
    (is (= :ok (:status (ask w (+ t0 500) (submit :submit record)))))))

(deftest a-handle-has-one-owner-at-a-time
  (let [w (world (constantly :approve))]
    (is (= :ok (:status (ask w (+ t0 100) {:type :submit-request :payload (request-for alice (+ t0 100))}))))
    (is (= :conflict (:status (ask w (+ t0 101) {:type :submit-request :payload (request-for mallory (+ t0 101))})))
      "reserved")
    (testing "a reservation lapses"
      (let [later (+ t0 (* 25 60 60 1000))]
        (is (= :ok (:status (ask w later {:type :submit-request :payload (request-for mallory later)}))))))
    (let [[w _] (activated)]
      (is (= :conflict (:status (ask w (+ t0 600) {:type :submit-request :payload (request-for mallory (+ t0 600))}))) "live"))))

(deftest a-released-handle-waits-for-the-providers-denial
  (let [[w alice] (activated)
        entry (first (zone/entries :identity (:identity-zone (:record alice))))
        gone (-> (change/deny (:record alice) :identity [{:target (zone/entry-hash :identity entry) :reason :retired}]
                   {:timestamp (+ t0 700)})
               (signed :identity :deny alice))]
    (is (= :ok (:status (ask w (+ t0 800) (submit :submit gone)))))
    (is (= :not-found (:status (ask w (+ t0 801) {:type :identity :payload by-handle}))))
    (let [{:keys [status payload]} (ask w (+ t0 900) {:type :submit-request :payload (request-for mallory (+ t0 900))})]
      (is (= [:rejected "policy/former-entry-not-denied"] [status (:code payload)])))
    (let [denied (-> (change/deny (:record social) :identity
                       [{:target (:hash (identity/statement entry)) :reason :retired}] {:timestamp (+ t0 1000)})
                   (signed :identity :deny social))]
      (is (true? (authority/install! (:store w) denied (+ t0 1000))))
      (is (= :ok (:status (ask w (+ t0 1100) {:type :submit-request :payload (request-for mallory (+ t0 1100))})))))))

(deftest policies-hold-and-reject
  (let [w (world (constantly :hold))
        {:keys [status payload]} (ask w (+ t0 100) {:type :submit-request :payload (request-for alice (+ t0 100))})]
    (is (= :pending status))
    (is (= :pending (:status (ask w (+ t0 110) {:type :request-status :payload payload}))))
    (is (= [payload] (map :ticket (operator/pending (:store w)))))
    (is (= (hash-of (:record alice)) (:user (operator/approve! (:store w) (:config w) payload (+ t0 115)))))
    (is (= :ok (:status (ask w (+ t0 120) {:type :request-status :payload payload}))))
    (is (= [] (vec (operator/pending (:store w)))))
    (is (= :not-found (:status (ask w (+ t0 120) {:type :request-status :payload (bytes/zeros 16)})))))
  (let [w (world (constantly {:reject "no such employee"}))
        {:keys [status payload]} (ask w (+ t0 100) {:type :submit-request :payload (request-for alice (+ t0 100))})]
    (is (= [:rejected "policy/refused"] [status (:code payload)]))
    (is (re-find #"no such employee" (:message payload)))))

(deftest what-is-refused-changes-nothing
  (let [w (world (constantly :approve))
        before @(:content (:store w))]
    (doseq [[what request code]
            [["a record that is not held" (submit :submit (:record alice)) "policy/refused"]
             ["no entry" (submit :submit-signed (:record alice)) "request/entry-missing"]
             ["not reserved" (submit :submit-signed
                               (accepting alice (-> (issue/entry (request-for alice t0) (hash-of (:record alice)) (hash-of (:record social)))
                                                  (issue/sign-entry (:record social) 0 (:secret social))) (+ t0 50)))
              "request/not-reserved"]
             ["an old request" {:type :submit-request :payload (request-for alice (- t0 1000000))} "request/timestamp"]]]
      (testing what
        (let [{:keys [status payload]} (ask w (+ t0 100) request)]
          (is (= [:rejected code] [status (:code payload)])))
        (is (= before @(:content (:store w))))))))

(deftest a-conflict-tells-what-is-held
  (let [[w alice] (activated)
        other (accepting alice (first (zone/entries :identity (:identity-zone (:record alice)))) (+ t0 900))
        stale (update-in other [:identity-zone :grant :serial] inc)]
    (is (= :malformed (:status (ask w (+ t0 950) {:type :submit :payload (bytes/hex-> "00")}))))
    (let [{:keys [status payload]} (ask w (+ t0 950) (submit :submit stale))]
      (is (= :conflict status))
      (is (= 1 (:serial payload))))))

(deftest a-zone-that-fell-is-kept-and-left-out
  (let [{:keys [record answers]} (:kept_zone (vectors/json "wire.json"))
        held (record/decode (vectors/file-bytes record))
        store (doto (store/memory)
                (store/commit! {} {[:record (hash-of held)] (record/encode held)}))]
    (is (seq answers))
    (doseq [{:keys [name request payload sha3_256 size]} answers]
      (testing (str name " " request)
        (let [{:keys [type] :as request} (wire/decode-request (bytes/hex-> request) {:contract :query})
              response (authority/answer! store (config nil) request {:now t0})
              found (bytes/slice (wire/encode-response response type) 8)]
          (is (= :ok (:status response)))
          (when payload (is (= payload (bytes/->hex found))))
          (when sha3_256
            (is (= [size sha3_256] [(count found) (bytes/->hex (crypto/sha3-256 found))]))))))))

;; Requests that are held

(defn- held-request [now handle {:keys [secret record]}]
  {:type :submit-request
   :payload (-> (issue/request record {:handle handle :domain "social.example" :path []} now bytes/empty)
              (issue/sign-request record (hash-of (:record social)) 0 secret))})

(defn- ticket [w now handle person]
  (let [{:keys [status payload]} (ask w now (held-request now handle person))]
    (if (= :pending status) payload status)))

(deftest who-asks-again-gets-the-same-ticket
  (let [w (world (constantly :hold))
        first-ticket (ticket w (+ t0 100) "alice" alice)]
    (is (= first-ticket (ticket w (+ t0 200) "alice" alice)))
    (is (not= first-ticket (ticket w (+ t0 300) "alice2" alice)))
    (is (not= first-ticket (ticket w (+ t0 400) "alice" mallory)))))

(deftest the-number-of-tickets-is-bounded-and-they-end
  (let [w (assoc-in (world (constantly :hold)) [:config :limits] {:tickets 2 :ticket-ms 1000})
        [one two] (map-indexed (fn [i h] (ticket w (+ t0 100 (long i)) h alice)) ["a" "b"])]
    (is (= :busy (ticket w (+ t0 200) "c" alice)))
    (is (= :pending (:status (ask w (+ t0 1099) {:type :request-status :payload one}))))
    (testing "one that has ended makes room"
      (is (= :not-found (:status (ask w (+ t0 1101) {:type :request-status :payload one}))))
      (is (bytes/bytes? (ticket w (+ t0 1200) "c" alice)))
      (is (= 1 (count (operator/pending (:store w)))) "they are gone"))
    (is (= :not-found (:status (ask w (+ t0 1200) {:type :request-status :payload two}))))))

(deftest a-taken-handle-is-not-put-on-hold
  (let [[w _] (activated)
        w (assoc-in w [:config :policy] (constantly :hold))]
    (is (= :conflict (:status (ask w (+ t0 600) {:type :submit-request :payload (request-for mallory (+ t0 600))}))))
    (is (= [] (operator/pending (:store w))))))

(deftest the-operator-sets-how-long-a-reservation-lasts
  (let [w (assoc-in (world (constantly :approve)) [:config :limits] {:reservation-ms 1000})]
    (is (= :ok (:status (ask w (+ t0 100) (held-request (+ t0 100) "alice" alice)))))
    (is (= :conflict (:status (ask w (+ t0 1100) (held-request (+ t0 1100) "alice" mallory)))))
    (is (= :ok (:status (ask w (+ t0 1101) (held-request (+ t0 1101) "alice" mallory)))))))

(deftest a-handle-is-issued-in-normal-form-only
  (let [w (world (constantly :approve))]
    (is (= :ok (:status (ask w (+ t0 100) (held-request (+ t0 100) "ren\u00e9" alice)))))
    (is (= :rejected (:status (ask w (+ t0 100) (held-request (+ t0 100) "rene\u0301" alice)))))))

(deftest mirrors-and-status
  (let [mirror {:hostname "mirror.example" :port 7075 :encryption :noise-nk :public-key (bytes/zeros 32)}
        w (assoc-in (world (constantly :approve)) [:config :mirrors] [mirror])]
    (is (= [mirror] (:payload (ask w (+ t0 100) {:type :mirrors :payload {:domain "social.example"}}))))
    (is (= :not-found (:status (ask w (+ t0 100) {:type :mirrors :payload {:domain "other.example"}}))))
    (is (= {:software "poz test" :role :authoritative :time (+ t0 100) :oldest 0 :newest 0}
          (:payload (ask w (+ t0 100) {:type :status :payload {}}))))))

(deftest the-same-signed-update-twice-is-accepted-twice
  (let [[w {:keys [record]}] (activated)
        before @(:content (:store w))]
    (is (= :accepted (:status (ask w (+ t0 500) (submit :submit-signed record)))))
    (is (= before @(:content (:store w))) "and changes nothing")))

(deftest a-request-with-private-sections-is-refused-and-not-kept
  (let [w (world (constantly :hold))
        before @(:content (:store w))
        {:keys [secret record]} alice
        file (record/encode (assoc record :key-names [{:key 0 :name "my secret name"}]))
        request (-> (issue/request record {:handle "alice" :domain "social.example" :path []} (+ t0 100) bytes/empty)
                  (assoc :record file)
                  (issue/sign-request record (hash-of (:record social)) 0 secret))
        {:keys [status payload]} (ask w (+ t0 100) {:type :submit-request :payload request})]
    (is (= [:rejected "update/not-public"] [status (:code payload)]))
    (is (= before @(:content (:store w))))))
