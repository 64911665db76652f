(ns poz.integration.cassandra-node
  "Nodes of Apache Cassandra of one's own, on 127.0.0.1 and up, each a process with a small heap in
  a folder that vanishes. Its jars are those of the alias `:cassandra-node`.

  `(with-nodes n f)` calls `f` of a vector of nodes while they run; `(url nodes keyspace replicas)` is
  where a store finds them, and `(kill! node)` takes one away at once. A node starts within 15
  seconds of an idle core."
  (:require
   [clojure.java.io :as io]
   [clojure.java.shell :as shell]
   [clojure.string :as str])
  (:import
   (java.io File)
   (java.net InetAddress InetSocketAddress ServerSocket Socket)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)
   (java.util List)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(def ^:private patience "Seconds that a node gets to start." 240)

(def ^:private class-path
  (delay (let [{:keys [exit out err]} (shell/sh "dev/clj" "-A:cassandra-node" "-Spath")]
           (when-not (zero? (long exit)) (throw (ex-info (str "No class path of Cassandra: " err) {})))
           (str/trim out))))

(def ^:private opened
  "What of the JDK's insides Cassandra 5 asks for on Java 17."
  (concat
    (for [p ["java.base/jdk.internal.misc" "java.base/jdk.internal.ref" "java.base/sun.nio.ch" "java.base/java.lang.ref"
             "java.management.rmi/com.sun.jmx.remote.internal.rmi" "java.rmi/sun.rmi.registry" "java.rmi/sun.rmi.server"
             "java.sql/java.sql" "jdk.unsupported/sun.misc" "jdk.attach/sun.tools.attach"]]
      (str "--add-exports=" p "=ALL-UNNAMED"))
    (for [p ["java.base/java.lang.module" "java.base/jdk.internal.loader" "java.base/jdk.internal.ref" "java.base/jdk.internal.reflect"
             "java.base/jdk.internal.math" "java.base/jdk.internal.module" "java.base/jdk.internal.util.jar" "java.base/sun.nio.ch"
             "java.base/java.io" "java.base/java.lang" "java.base/java.lang.reflect" "java.base/java.nio" "java.base/java.util"
             "java.base/java.util.concurrent" "java.base/java.util.concurrent.atomic" "java.rmi/sun.rmi.transport.tcp"
             "jdk.management/com.sun.management.internal"]]
      (str "--add-opens=" p "=ALL-UNNAMED"))))

(defn- yaml [{:keys [folder host port storage-port token]}]
  (str/join "\n"
    ["cluster_name: poz" "partitioner: org.apache.cassandra.dht.Murmur3Partitioner" "endpoint_snitch: SimpleSnitch"
     "num_tokens: 1" (str "initial_token: " token) "auto_bootstrap: false" "auto_snapshot: false"
     (str "listen_address: " host) (str "rpc_address: " host)
     (str "native_transport_port: " port) (str "storage_port: " storage-port)
     "seed_provider:" "  - class_name: org.apache.cassandra.locator.SimpleSeedProvider"
     (str "    parameters: [{seeds: \"127.0.0.1:" storage-port "\"}]")
     (str "data_file_directories: [" folder "/data]") (str "commitlog_directory: " folder "/commitlog")
     (str "saved_caches_directory: " folder "/caches") (str "hints_directory: " folder "/hints")
     (str "cdc_raw_directory: " folder "/cdc")
     "commitlog_sync: periodic" "commitlog_sync_period: 1000ms" "paxos_variant: v2" "disk_access_mode: standard"
     "memtable_heap_space: 64MiB" "memtable_offheap_space: 64MiB" "key_cache_size: 4MiB" "file_cache_size: 32MiB"
     "networking_cache_size: 16MiB" "concurrent_reads: 16" "concurrent_writes: 16" ""]))

(defn- logging [folder]
  (str "<configuration><appender name='F' class='ch.qos.logback.core.FileAppender'><file>" folder "/log</file>"
    "<encoder><pattern>%d %-5level %logger{20} %msg%n</pattern></encoder></appender>"
    "<root level='INFO'><appender-ref ref='F'/></root></configuration>"))

(defn- command [folder]
  (concat ["java" "-Xms384m" "-Xmx512m" "-XX:+UseSerialGC" "-XX:TieredStopAtLevel=1" "-Xshare:auto"]
    opened
    [(str "-Dcassandra.config=file://" folder "/cassandra.yaml") (str "-Dlogback.configurationFile=" folder "/logback.xml")
     (str "-Dcassandra.storagedir=" folder) (str "-Dcassandra.logdir=" folder) (str "-Djava.io.tmpdir=" folder)
     "-Dcassandra.skip_wait_for_gossip_to_settle=0" "-Dcassandra.ring_delay_ms=100" "-Dcassandra.superuser_setup_delay_ms=-1"
     "-Dcassandra-foreground=yes" "-cp" @class-path "org.apache.cassandra.service.CassandraDaemon"]))

(defn- start! [{:keys [folder] :as node}]
  (spit (io/file folder "cassandra.yaml") (yaml node))
  (spit (io/file folder "logback.xml") (logging folder))
  (let [builder (doto (ProcessBuilder. ^List (vec (command folder)))
                  (.redirectErrorStream true)
                  (.redirectOutput (io/file folder "out")))]
    (.remove (.environment builder) "JAVA_TOOL_OPTIONS")
    (assoc node :process (.start builder))))

(defn- reachable? [{:keys [host port]}]
  (with-open [s (Socket.)]
    (try (.connect s (InetSocketAddress. ^String host (int port)) 1000)
         true
         (catch java.io.IOException _ false))))

(defn- await-node [{:keys [^Process process folder] :as node}]
  (loop [left (* 5 (long patience))]
    (cond
      (reachable? node) node
      (or (zero? left) (.waitFor process 200 TimeUnit/MILLISECONDS))
      (throw (ex-info (str "A node of Cassandra did not start: " (slurp (io/file folder "out"))) {}))
      :else (recur (dec left)))))

(defn kill!
  "Ends the node at once, in the midst of what it does."
  [{:keys [^Process process]}]
  (.destroyForcibly (.toHandle process))
  (.waitFor process 60 TimeUnit/SECONDS))

(defn- free-port [host]
  (with-open [s (ServerSocket. 0 1 (InetAddress/getByName host))]
    (.getLocalPort s)))

(defn- plan
  "The nodes of a ring of `n`, which share its two ports and part its tokens evenly."
  [folder n]
  (let [port (free-port "127.0.0.1") storage-port (free-port "127.0.0.1")
        step (.divide (.shiftLeft BigInteger/ONE 64) (biginteger n))]
    (for [i (range n)]
      {:host (str "127.0.0." (inc (long i))) :port port :storage-port storage-port
       :folder (str (doto (io/file folder (str i)) .mkdir))
       :token (str (.subtract (.multiply step (biginteger i)) (.shiftLeft BigInteger/ONE 63)))})))

(defn with-nodes
  "Calls `f` of `n` nodes while they run; then they are gone. They start one after the other."
  [n f]
  (let [^File folder (.toFile (Files/createTempDirectory "poz-cassandra" (make-array FileAttribute 0)))
        running (atom [])]
    (try
      (doseq [node (plan folder n)]
        (let [node (start! node)]
          (swap! running conj node)
          (await-node node)))
      (f @running)
      (finally
        (run! kill! @running)
        (run! #(io/delete-file % true) (reverse (file-seq folder)))))))

(defn url
  "Where a store finds the keyspace in the nodes."
  [nodes keyspace replicas]
  (str "cassandra://" (str/join "," (map (fn [{:keys [host port]}] (str host ":" port)) nodes))
    "/" keyspace "?dc=datacenter1&replicas=" replicas))
