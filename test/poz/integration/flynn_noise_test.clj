(ns poz.integration.flynn-noise-test
  "poz.net against flynn/noise, a Noise library for Go."
  (:require
   [clojure.java.io :as io]
   [clojure.test :refer [deftest use-fixtures]]
   [poz.integration.noise-peer :as peer])
  (:import
   (java.io File)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)))

(set! *warn-on-reflection* true)

(def ^:private ^:dynamic *flynn-noise* nil)

(defn- build!
  "Compiles the peer into `folder`, out of what Debian installed and nothing else: its words."
  [folder]
  (let [program (str (io/file folder "peer"))
        process (peer/start ["/usr/bin/go" "build" "-o" program "test/poz/integration/flynn_noise_peer.go"]
                            {"GO111MODULE" "off" "GOPATH" "/usr/share/gocode" "GOFLAGS" "" "CGO_ENABLED" "0"
                             "GOCACHE" (str (io/file folder "cache"))})
        said (slurp (.getInputStream process))]
    (when-not (zero? (long (peer/ended process)))
      (throw (ex-info (str "The peer in Go does not compile: " said) {})))
    [program]))

(defn- check-installed []
  (when-not (and (.canExecute (io/file "/usr/bin/go"))
                 (.isDirectory (io/file "/usr/share/gocode/src/github.com/flynn/noise")))
    (throw (ex-info "These tests need Debian's packages golang-go and golang-github-flynn-noise-dev." {}))))

(defn- with-program [run]
  (check-installed)
  (let [folder (.toFile (Files/createTempDirectory "poz-go" (make-array FileAttribute 0)))]
    (try (binding [*flynn-noise* (build! folder)] (run))
         (finally (run! File/.delete (reverse (file-seq folder)))))))

(use-fixtures :once with-program)

(deftest their-client-our-server (peer/check-client *flynn-noise*))

(deftest our-client-their-server (peer/check-server *flynn-noise*))

(deftest a-master-lookup-either-way (peer/check-lookup *flynn-noise*))
