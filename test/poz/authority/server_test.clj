(ns poz.authority.server-test
  "Bytes in, bytes out: contracts, proof of work, failures of the store, counters."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.authorities :as a]
   [poz.authority.answers :as answers]
   [poz.authority.server :as server]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.pow :as pow]
   [poz.store :as store]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(def ^:private now (+ (long h/t0) 1000))
(def ^:private address "192.0.2.1")

(defn- server
  ([] (server {}))
  ([options]
   (let [{:keys [store config]} (a/world (constantly :approve))]
     (server/server (merge {:store store :config config :answers (answers/answers {:bytes 1000000})
                            :secret (bytes/secret (bytes/zeros 32)) :load (constantly 0)
                            :now (constantly now) :random bytes/zeros
                            :on-error (fn [t] (throw (AssertionError. "a defect" t)))}
                      options)))))

(defn- ask
  ([s contract request] (ask s contract request address))
  ([s contract {:keys [type] :as request} from]
   (wire/decode-response (server/handle s {:bytes (wire/encode-request (merge {:id 9} request)) :contract contract :address from}) type)))

(def ^:private master {:type :master :payload {:domain "social.example"}})
(def ^:private serial (assoc master :type :serial))

(deftest each-port-has-its-contract
  (let [s (server)]
    (are [contract request status] (= [status 9] ((juxt :status :id) (ask s contract request)))
      :plain master :ok
      :query master :ok
      :submit master :unsupported
      :submit serial :ok
      :query (a/asking (h/person "alice") "alice" now) :unsupported
      :submit (a/asking (h/person "alice") "alice" now) :ok
      :plain {:type :status :payload {}} :ok
      :submit {:type :challenge :payload {}} :ok
      :query {:type :master :payload {:hash (bytes/zeros 32)}} :not-found)
    (is (= {:software "poz test" :role :authoritative :time now :oldest 0 :newest 0}
          (:payload (ask s :query {:type :status :payload {}}))))))

(deftest bytes-that-are-no-request
  (let [s (server)]
    (are [b status id] (= [status id] ((juxt :status :id) (wire/decode-response (server/handle s {:bytes b :contract :query :address address}) :master)))
      bytes/empty :malformed 0
      (bytes/hex-> "00") :malformed 0
      (bytes/hex-> "0001000700000401") :malformed 7
      (bytes/hex-> "00ff0007000000") :unsupported 7
      (bytes/hex-> "01010007000000") :malformed 0)))

(defspec any-bytes-are-answered 200
  (let [s (server)]
    (prop/for-all [b (gen/fmap #(bytes/wrap (byte-array %)) (gen/vector (gen/choose -128 127) 0 60))
                   contract (gen/elements [:plain :query :submit])]
      (not (error/anomaly? (wire/decode-response (server/handle s {:bytes b :contract contract :address address}) :status))))))

;; Work

(defn- with-work [request {:keys [challenge difficulty]}]
  (assoc request :pow (pow/solve (:type request) (wire/payload-bytes request) challenge difficulty now [0 Long/MAX_VALUE])))

(deftest work-is-asked-for-under-load
  (let [s (server {:load (constantly 1/2) :answers nil})
        {:keys [status payload]} (ask s :query master)]
    (is (= [:pow-required 12] [status (:difficulty payload)]))
    (is (= payload (:payload (ask s :query {:type :challenge :payload {}}))))
    (let [worked (with-work master payload)]
      (is (= :ok (:status (ask s :query worked))))
      (testing "once"
        (is (= :pow-required (:status (ask s :query worked)))))
      (testing "for that request and that client"
        (is (= :pow-required (:status (ask s :query (assoc (with-work serial payload) :type :record)))))
        (is (= :pow-required (:status (ask s :query (with-work serial payload) "192.0.2.2"))))))
    (testing "STATUS and CHALLENGE are free"
      (is (= [:ok :ok] (map #(:status (ask s :query {:type % :payload {}})) [:status :challenge]))))))

(deftest what-is-ready-costs-no-work
  (let [load (atom 0) s (server {:load #(deref load)})]
    (is (= :ok (:status (ask s :query master))))
    (reset! load 1)
    (is (= :ok (:status (ask s :query master))))
    (is (= :pow-required (:status (ask s :query serial))))))

;; Failures

(defn- failing
  "A server whose store does as `state`, an atom, says: an error keyword, a Throwable or nil."
  [state options]
  (let [{:keys [store] :as s} (server (merge {:answers nil} options))
        check! #(let [x @state] (cond (keyword? x) (error/fail! x) x (throw x)))]
    (assoc s :store (reify store/Store
                      (fetch [_ ks] (check!) (store/fetch store ks))
                      (scan [_ kind after limit] (check!) (store/scan store kind after limit))
                      (commit! [_ expected changes] (check!) (store/commit! store expected changes))
                      (close! [_])))))

(deftest a-store-that-goes-and-comes-back
  (let [state (atom nil) s (failing state {})
        alice (a/asking (h/person "alice") "alice" now)]
    (are [x status code] (do (reset! state x)
                             (= [status code] ((juxt :status #(get-in % [:payload :code])) (ask s :query master))))
      nil :ok nil
      :store/lost :failed "internal"
      nil :ok nil)
    (reset! state :store/busy)
    (is (= [:busy 1000] ((juxt :status :payload) (ask s :query master))))
    (is (= :busy (:status (ask s :submit alice))))
    (reset! state :store/lost)
    (is (= :failed (:status (ask s :submit alice))))
    (reset! state nil)
    (is (= :ok (:status (ask s :submit alice))))))

(deftest a-defect-is-reported-and-tells-nothing
  (let [state (atom (RuntimeException. "secret path /etc")) reported (atom [])
        s (failing state {:on-error #(swap! reported conj (ex-message %))})
        {:keys [status payload id]} (ask s :query master)]
    (is (= [:failed {:code "internal" :message ""} 9] [status payload id]))
    (is (= ["secret path /etc"] @reported))
    (is (= :failed (:status (ask s :submit serial))) "of any kind")
    (reset! state (StackOverflowError.))
    (is (= :failed (:status (ask s :query master))))))

(deftest a-policy-that-throws-gives-nothing-away
  (let [s (server {:on-error (fn [_])})
        s (assoc-in s [:config :policy] (fn [_] (throw (RuntimeException. "no"))))]
    (is (= :failed (:status (ask s :submit (a/asking (h/person "alice") "alice" now)))))
    (is (= :not-found (:status (ask s :query {:type :identity :payload {:handle (a/address "alice")}}))))))

;; Counters

(deftest what-was-answered-is-counted
  (let [s (server)]
    (is (= {} (server/counters s)))
    (dotimes [_ 3] (ask s :query master))
    (ask s :query {:type :master :payload {:hash (bytes/zeros 32)}})
    (ask s :submit master)
    (is (= {[:master :ok] 1 [:ready :ok] 2 [:master :not-found] 1 [nil :unsupported] 1} (server/counters s)))))

(deftest ready-never-decides
  (let [s (server) asked {:bytes (wire/encode-request (assoc master :id 3)) :contract :query :address address}]
    (is (nil? (server/ready s asked)))
    (let [out (server/handle s asked)]
      (is (= out (server/ready s asked)))
      (is (nil? (server/ready s (assoc asked :contract :submit)))))))
