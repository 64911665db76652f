(ns poz.client.response-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.client.response :as response]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(def ^:private serials {:serial 3 :current-master-hash (bytes/zeros 32) :zones []})
(def ^:private challenge {:challenge (bytes/zeros 16) :difficulty 9 :valid-until 1000})
(def ^:private problem {:code "policy/refused" :message "no such employee"})

(defn- finding
  ([type response] (finding type response {}))
  ([type response options]
   (response/finding (if (map? response) (wire/encode-response (merge {:id 7} response) type) response)
     {:type type :id 7} options)))

(defn- error-of [x] (if (error/anomaly? x) (:poz/error x) x))

(deftest answers
  (is (= {:status :ok :payload serials} (finding :serial {:status :ok :payload serials})))
  (is (= {:status :accepted :payload serials} (finding :submit-signed {:status :accepted :payload serials})))
  (is (= {:status :pending :payload (bytes/zeros 16)} (finding :request-status {:status :pending :payload (bytes/zeros 16)}))))

(deftest refusals-as-the-server-said-them
  (are [error facts response] (= (assoc facts :poz/error error)
                                (select-keys (finding :submit response) (conj (keys facts) :poz/error)))
    :wire/unreadable {:status :malformed :problem problem} {:status :malformed :payload problem}
    :wire/unsupported {:status :unsupported :problem problem} {:status :unsupported :payload problem}
    :wire/not-found {:status :not-found} {:status :not-found :payload {}}
    :wire/rejected {:status :rejected :problem problem :poz/anomaly :refused} {:status :rejected :payload problem}
    :wire/conflict {:status :conflict :held serials :poz/anomaly :conflict} {:status :conflict :payload serials}
    :request/taken {:status :conflict :poz/anomaly :conflict} {:status :conflict}
    :wire/work-required {:status :pow-required :challenge challenge} {:status :pow-required :payload challenge}
    :wire/too-large {:status :too-large :limit 1000} {:status :too-large :payload 1000}
    :wire/busy {:status :busy :wait-ms 250} {:status :busy :payload 250}
    :wire/failed {:status :failed :problem problem} {:status :failed :payload problem})
  (testing "in words"
    (is (= "the server says no: policy/refused: no such employee" (:message (finding :submit {:status :rejected :payload problem}))))
    (is (= "the server has a defect: internal" (:message (finding :submit {:status :failed :payload {:code "internal" :message ""}})))))
  (testing "its code is never an error of ours, and its words are cut"
    (let [a (finding :submit {:status :rejected :payload {:code "signature/bad" :message (apply str (repeat 9000 "é"))}})]
      (is (= :wire/rejected (:poz/error a)))
      (is (> 700 (count (:message a)))))))

(deftest every-status-has-a-meaning
  (doseq [{:keys [status]} messages/statuses :when (not (#{:ok :accepted :pending} status))]
    (is (contains? @#'response/refusals status) status)))

(deftest to-whom
  (are [error response] (= error (error-of (finding :serial response)))
    :wire/other-id {:status :ok :id 8 :payload serials}
    :wire/other-id {:status :ok :id 0 :payload serials}
    :wire/other-id {:status :busy :id 8 :payload 1}
    :wire/busy {:status :busy :id 0 :payload 1}
    :wire/unreadable {:status :malformed :id 0 :payload problem}))

(deftest what-is-no-response
  (let [good (wire/encode-response {:status :ok :id 7 :payload serials} :serial)]
    (are [error b] (= error (error-of (finding :serial b)))
      :format/truncated (bytes/slice good 0 (dec (count good)))
      :format/trailing (bytes/concat good (bytes/zeros 1))
      :format/code (bytes/utf8 "HTTP/1.1 200 OK")
      :format/truncated bytes/empty
      :format/code (wire/encode-response {:status :pending :id 7 :payload (bytes/zeros 16)} :request-status)
      :format/code (wire/encode-response {:status :accepted :id 7 :payload serials} :submit-signed))
    (is (= :wire/too-large (error-of (finding :serial good {:max-response 10}))))))
