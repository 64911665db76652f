(ns poz.integration.dissononce-test
  "poz.net against dissononce, a Noise library for Python."
  (:require
   [clojure.test :refer [deftest use-fixtures]]
   [poz.integration.noise-peer :as peer]))

(set! *warn-on-reflection* true)

(def ^:private python "/usr/bin/python3")
(def ^:private dissononce [python "test/poz/integration/dissononce_peer.py"])

(defn- check-installed []
  (when-not (zero? (long (peer/ended (peer/start [python "-c" "import dissononce"]))))
    (throw (ex-info "These tests need Debian's package python3-dissononce." {}))))

(use-fixtures :once (fn [run] (check-installed) (run)))

(deftest their-client-our-server (peer/check-client dissononce))

(deftest our-client-their-server (peer/check-server dissononce))

(deftest a-master-lookup-either-way (peer/check-lookup dissononce))
