(ns poz.asking
  "Asking a server on loopback, for tests. A *server* is a map with `:ports` by contract and
  `:noise-key`, as `poz.system/start` gives it and as `poz serve --json` prints it.

  - `(ask server contract request)` the response, or an anomaly
  - `(request-handle server person handle now)` the response to SUBMIT_REQUEST
  - `(activate! server person handle now)` the person with the live handle
  - `(submit server person)`, `(record-of server person)`, `(by-handle server handle)`"
  (:require
   [poz.error :as error]
   [poz.handles :as h]
   [poz.net :as net]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(defn ask
  "The response of the server to `request` on the port of `contract`, or the anomaly of why there
  is none."
  [{:keys [ports noise-key]} contract {:keys [type] :as request}]
  (let [found (net/exchange {:host "127.0.0.1" :port (ports contract) :contract contract :server-key noise-key :deadline-ms 30000}
                (wire/encode-request (assoc request :id 1)))]
    (if (error/anomaly? found) found (wire/decode-response found type))))

(defn address
  "The address of `handle` at the server's first domain."
  [{:keys [domains]} handle]
  {:handle handle :domain (first domains) :path []})

(defn request-handle
  "The response to the request of `person` for `handle`."
  [{:keys [hash] :as server} person handle now]
  (ask server :submit {:type :submit-request :payload (h/request person hash (address server handle) now)}))

(defn submit-signed
  "The response to the person's record with a new entry."
  [server person]
  (ask server :submit {:type :submit-signed :payload (h/update-of person)}))

(defn submit
  "The response to the person's record."
  [server person]
  (ask server :submit {:type :submit :payload (h/update-of person)}))

(defn activate!
  "`person` with `handle` live at the server; throws what went otherwise."
  [server person handle now]
  (let [{:keys [status payload] :as asked} (request-handle server person handle now)
        accepted (if (= :ok status) (h/accepting person payload now) (throw (ex-info "not issued" {:asked asked})))
        done (submit-signed server accepted)]
    (if (= :accepted (:status done)) accepted (throw (ex-info "not accepted" {:done done})))))

(defn record-of
  "The response to RECORD of the person."
  [server {:keys [record]}]
  (ask server :query {:type :record :payload {:hash (h/hash-of record)}}))

(defn by-handle
  "The response to IDENTITY of `handle`."
  [server handle]
  (ask server :query {:type :identity :payload {:handle (address server handle)}}))
