(ns poz.client.response
  "What the bytes of a response mean: `{:status :payload}`, or an anomaly.

  A server's refusal is an anomaly with the `:status` that it gave, so that it is never taken for
  something found here, and what it says under `:problem {:code :message}`, `:held`, `:limit`,
  `:wait-ms` or `:challenge`."
  (:require
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(def ^:private refusals
  "Status → the error, and the key under which the payload is kept."
  {:malformed [:wire/unreadable :problem]
   :unsupported [:wire/unsupported :problem]
   :not-found [:wire/not-found nil]
   :rejected [:wire/rejected :problem]
   :conflict [:wire/conflict :held]
   :pow-required [:wire/work-required :challenge]
   :too-large [:wire/too-large :limit]
   :busy [:wire/busy :wait-ms]
   :failed [:wire/failed :problem]})

(defn- clipped [s]
  (let [n (.codePointCount ^String s 0 (count s))]
    (subs s 0 (.offsetByCodePoints ^String s 0 (min n (long (:problem-characters messages/limits)))))))

(defn- sentence [{:keys [code message]}]
  (clipped (str code (when (seq message) (str ": " message)))))

(defn- facts [status k payload]
  (cond-> {:status status}
    k (assoc k payload)
    (= :problem k) (assoc :rule (sentence payload))
    (= :limit k) (assoc :expected (str "at most " payload " bytes"))
    (= :wait-ms k) (assoc :rule (str "ask again in " payload " ms"))))

(defn- refusal [{:keys [status payload]}]
  (let [[error k] (refusals status)]
    (if (and (= :conflict status) (nil? payload))
      (error/anomaly :request/taken {:status status})
      (error/anomaly error (facts status k payload)))))

(defn- to-another?
  "True if the response is to another request. A refusal by one who could not read the
  request, or did not try to, has the id 0."
  [{:keys [status id]} request]
  (not (or (= id (:id request)) (and (refusals status) (zero? (long id))))))

(defn finding
  "What the byte string `b` answers to `request`: `{:status :payload}`, or an anomaly. Option:
  `:max-response`, bytes of payload."
  [b {:keys [type id] :as request} {:keys [max-response]}]
  (let [{:keys [status] :as response}
        (wire/decode-response b type (if max-response {:max-payload max-response} {}))]
    (cond
      (error/anomaly? response) response
      (to-another? response request) (error/anomaly :wire/other-id {:expected id :found (:id response)})
      (refusals status) (refusal response)
      :else (select-keys response [:status :payload]))))
