(ns poz.system.events-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.system.events :as events]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(defn- telling
  "The events that `f` tells a teller of the level."
  [level f]
  (let [seen (atom [])]
    (f (events/teller {:on-event #(swap! seen conj %) :level level :now (constantly 5) :failed #(throw %)}))
    @seen))

(def ^:private hash-0 (bytes/zeros 32))
(def ^:private alice (h/person "alice"))
(def ^:private signed (wire/encode-request {:type :submit-signed :id 9 :payload (h/update-of alice)}))
(def ^:private asking
  (wire/encode-request {:type :submit-request :id 9
                        :payload (h/request alice (bytes/zeros 32) {:domain "social.example" :path [] :handle "alice"} h/t0)}))
(def ^:private lookup
  (wire/encode-request {:type :identity :id 9 :payload {:handle {:domain "social.example" :path [] :handle "alice"}}}))

(defn- asked [b contract] {:bytes b :contract contract :address "192.0.2.1"})
(defn- failure [error] (wire/encode-response (wire/failure (error/anomaly error)) nil))
(def ^:private pending (wire/encode-response {:status :pending :id 9 :payload (bytes/zeros 16)} :submit-request))
(def ^:private accepted
  (wire/encode-response {:status :accepted :id 9 :payload {:serial 1 :current-master-hash (bytes/zeros 32) :zones []}} :submit-signed))

(defn- told [level b contract response]
  (telling level #(events/answered! % (asked b contract) response 1234567)))

(deftest submissions
  (is (= [{:event :submission/accepted :level :info :time 5 :request 1 :type :submit-signed :status :accepted}
          {:event :handle/activated :level :info :time 5 :request 1}]
        (told :info signed :submit accepted)))
  (is (= [{:event :submission/held :level :info :time 5 :request 1 :type :submit-request :status :pending}]
        (told :info asking :submit pending)))
  (is (= [{:event :submission/rejected :level :info :time 5 :request 1 :type :submit-signed :status :rejected :code "survivorship/below-threshold"}]
        (told :info signed :submit (failure :survivorship/below-threshold))))
  (testing "what came to the wrong port is none"
    (is (= [] (told :info signed :plain (failure :wire/unsupported))))))

(deftest lookups-are-told-at-debug-only
  (doseq [level [:info :warn :error :off]]
    (is (= [] (told level lookup :query (failure :wire/not-found)))))
  (is (= [{:event :request/answered :level :debug :time 5 :request 1 :port :query :type :identity :status :not-found :ms 1.234
           :details {:address "192.0.2.1" :id 9 :subject {:handle {:domain "social.example" :path [] :handle "alice"}}}}]
        (told :debug lookup :query (failure :wire/not-found)))))

(deftest names-are-details
  (doseq [[b response] [[signed accepted] [asking pending] [signed (failure :survivorship/below-threshold)] [lookup (failure :store/lost)]]
          level [:info :warn :error]]
    (is (not (re-find #"alice|192\.0\.2\.1" (pr-str (told level b :submit response))))))
  (is (= {:address "192.0.2.1" :id 9 :handles ["alice@social.example"]} (:details (second (told :debug asking :submit pending)))))
  (is (= (h/hash-of (:record alice)) (get-in (told :debug signed :submit accepted) [2 :details :record]))))

(deftest failures
  (is (= [{:event :store/failed :level :warn :time 5 :code :store/lost}]
        (telling :warn #(events/failure! % (error/anomaly :store/lost {:message "alice"})))))
  (is (= [{:message "alice"}] (map :details (telling :debug #(events/failure! % (error/anomaly :store/lost {:message "alice"}))))))
  (testing "of who contradicts what a mirror holds"
    (let [handle {:domain "social.example" :path [] :handle "alice"}
          told #(telling % (fn [teller] (events/conflict! teller (error/anomaly :memory/rollback {:record (:record alice) :subject {:handle handle} :message "alice"}))))]
      (is (= [{:event :mirror/conflict :level :warn :time 5 :error :memory/rollback :hash (h/hash-of (:record alice))}] (told :info) (told :warn)))
      (is (= [] (told :error)))
      (is (= [{:subject {:handle handle} :message "alice"}] (map :details (told :debug))))
      (is (= [hash-0] (map :hash (telling :warn #(events/conflict! % (error/anomaly :memory/fork {:subject {:hash hash-0}}))))))))
  (testing "of what was no request"
    (is (= [:request/answered] (map :event (telling :debug #(events/answered! % {:contract :plain :address "x"} (failure :format/trailing) 0)))))
    (is (= [] (telling :info #(events/answered! % {:contract :plain :address "x"} (failure :format/trailing) 0))))
    (is (= [{:address "192.0.2.1"}] (map :details (telling :debug #(events/answered! % (asked (bytes/hex-> "00ee01") :plain) (failure :format/trailing) 0)))))))

(deftest requests-are-numbered
  (is (= [1 2] (map :request (telling :info #(dotimes [_ 2] (events/answered! % (asked asking :submit) pending 0)))))))

(deftest defects
  (let [t (IllegalStateException. "alice" (ex-info "bob" {:secret "carol"}))
        [{:keys [exception trace] :as e}] (telling :info #(events/defect! % t))]
    (is (= ["java.lang.IllegalStateException" :error] [exception (:level e)]))
    (is (= "java.lang.IllegalStateException" (first trace)))
    (is (some #{"clojure.lang.ExceptionInfo"} trace))
    (is (some #(str/includes? % "events_test.clj") trace))
    (is (not (re-find #"alice|bob|carol" (pr-str e))))
    (is (= [{:message "alice"}] (map :details (telling :debug #(events/defect! % t)))))))

(deftest nobody-is-stopped-by-who-listens
  (let [seen (atom nil)]
    (events/tell! (events/teller {:on-event (fn [_] (throw (ex-info "full" {}))) :level :info :now (constantly 1) :failed #(reset! seen (ex-message %))})
      :server/stopped {})
    (is (= "full" @seen)))
  (is (nil? (events/tell! (events/teller {:level :info :now (constantly 1)}) :server/stopped {}))))

(deftest the-table
  (doseq [[k {:keys [level fields doc]}] events/table]
    (is (and (contains? (set (butlast events/levels)) level) (vector? fields) (string? doc)) k))
  (is (= [true true false false] (map #(events/told? :info %) [:info :error :debug :debug]))))
