(ns poz.served
  "An authority on real ports, for tests: the little that stands between `poz.net` and
  `poz.authority`.

  - `handler` answers as an authority out of a store
  - `with-servers` runs one server for each contract, on loopback, on ports that are free"
  (:require
   [poz.authority :as authority]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.net :as net]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(defn handler
  "A handler for `poz.net/start` that answers as `poz.authority` with `config` out of `store`;
  `(facts)` gives the facts of one request."
  [store config facts]
  (fn [{:keys [bytes contract]}]
    (let [{:keys [type] :as request} (wire/decode-request bytes {:contract contract})]
      (wire/encode-response
        (if (error/anomaly? request)
          (wire/failure request)
          (authority/answer! store config request (facts)))
        type))))

(defn with-servers
  "Starts a server for each of `contracts`, all with the same `options`, calls `f` with the map
  of contract → the options of a client for it, and stops them. `:static` is made up unless
  given."
  [contracts options f]
  (let [options (merge {:port 0 :static (crypto/generate :x25519 crypto/random-bytes) :grace-ms 0} options)
        servers (mapv #(net/start (assoc options :contract %)) contracts)]
    (try (f (zipmap contracts
              (map (fn [contract {:keys [port]}]
                     {:host "127.0.0.1" :port port :contract contract :server-key (:public-key (:static options))})
                contracts servers)))
         (finally (run! (fn [{:keys [stop]}] (stop)) servers)))))
