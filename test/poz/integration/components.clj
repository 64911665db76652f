(ns poz.integration.components
  "A real DNS server and a real web server on loopback, for tests of discovery: Debian's nsd and nginx
  in a temporary folder, with a certificate authority made on the spot.

  - `(with-components zones locations f)` calls `f` with `{:dns port :web port :elsewhere port :ca file
    :folder folder}`; the certificate at `:web` is for localhost, that at `:elsewhere` for another name
  - `(zone name lines)` the text of a zone, `(sign! folder name text)` that text signed by a new key, and
    the text of the key"
  (:require
   [clojure.java.io :as io]
   [clojure.java.shell :as shell]
   [clojure.string :as str])
  (:import
   (java.io File)
   (java.lang ProcessBuilder$Redirect)
   (java.net ServerSocket Socket)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)
   (java.util List)
   (java.util.concurrent TimeUnit)))

(set! *warn-on-reflection* true)

(defn free-port
  "A port of loopback that was free a moment ago."
  []
  (with-open [socket (ServerSocket. 0)] (.getLocalPort socket)))

(defn- run!! [folder & words]
  (let [{:keys [exit out err]} (apply shell/sh (concat (map str words) [:dir folder]))]
    (when-not (zero? (long exit)) (throw (ex-info (str (first words) ": " out err) {})))
    (str/trim out)))

(defn- program [name]
  (or (first (filter #(.canExecute (io/file %)) (map #(str % "/" name) ["/usr/sbin" "/usr/bin" "/sbin" "/bin"])))
    (throw (ex-info (str "There is no " name) {}))))

(defn- start ^Process [^File log & words]
  (.start (doto (ProcessBuilder. ^List (mapv str words))
            (.redirectErrorStream true)
            (.redirectOutput (ProcessBuilder$Redirect/to log)))))

(defn- await-port! [^Process process port log]
  (loop [left 500]
    (when-not (try (.close (Socket. "127.0.0.1" (int port))) true (catch java.io.IOException _ false))
      (when (or (zero? left) (not (.isAlive process)))
        (throw (ex-info (str "Nothing listens on " port ": " (slurp log)) {})))
      (Thread/sleep 20)
      (recur (dec left)))))

(defn- stop! [^Process process]
  (.destroy process)
  (when-not (.waitFor process 5 TimeUnit/SECONDS) (.waitFor (.destroyForcibly process))))

;; DNS

(defn zone
  "The text of the zone `name` with more `lines`, whose names are relative to it."
  [name lines]
  (str "$ORIGIN " name ".\n$TTL 60\n@ IN SOA ns hostmaster 1 60 60 60 60\n@ IN NS ns\nns IN A 127.0.0.1\n" (str/join "\n" lines) "\n"))

(defn sign!
  "`[signed anchor]`: the text of the zone `name` signed by a new key, and the key as a trust anchor."
  [folder name text]
  (let [key (run!! folder (program "ldns-keygen") "-a" "ECDSAP256SHA256" "-k" name)]
    (spit (io/file folder name) text)
    (run!! folder (program "ldns-signzone") name key)
    [(slurp (io/file folder (str name ".signed"))) (slurp (io/file folder (str key ".key")))]))

(defn- nsd! [folder port zones]
  (doseq [[name text] zones] (spit (io/file folder (str name ".zone")) text))
  (let [config (io/file folder "nsd.conf") log (io/file folder "nsd.log")]
    (spit config
      (str "server:\n ip-address: 127.0.0.1@" port "\n server-count: 1\n do-ip6: no\n username: \"\"\n chroot: \"\"\n"
        " zonesdir: \"" folder "\"\n pidfile: \"" folder "/nsd.pid\"\n database: \"\"\n xfrdfile: \"" folder "/xfrd\"\n"
        " zonelistfile: \"" folder "/zones\"\n xfrdir: \"" folder "\"\nremote-control:\n control-enable: no\n"
        (str/join (for [name (keys zones)] (str "zone:\n name: " name "\n zonefile: " name ".zone\n")))))
    (doto (start log (program "nsd") "-d" "-c" config) (await-port! port log))))

;; The web

(def ^:private ec ["-newkey" "ec" "-pkeyopt" "ec_paramgen_curve:prime256v1" "-nodes"])

(defn- authority! [folder]
  (apply run!! folder "openssl" "req" "-x509" "-days" "2" "-subj" "/CN=test" "-keyout" "ca.key" "-out" "ca.pem" ec))

(defn- certificate! [folder name]
  (spit (io/file folder (str name ".ext")) (str "subjectAltName=DNS:" name))
  (apply run!! folder "openssl" "req" "-subj" (str "/CN=" name) "-keyout" (str name ".key") "-out" (str name ".csr") ec)
  (run!! folder "openssl" "x509" "-req" "-days" "2" "-in" (str name ".csr") "-CA" "ca.pem" "-CAkey" "ca.key" "-CAcreateserial"
    "-extfile" (str name ".ext") "-out" (str name ".pem")))

(defn- server-block [folder port name locations]
  (str "server { listen 127.0.0.1:" port " ssl; server_name " name ";\n ssl_certificate " folder "/" name ".pem; ssl_certificate_key " folder "/" name ".key;\n"
    (str/join (for [[path directives] locations] (str " location = " path " { " directives " }\n"))) "}\n"))

(defn- nginx! [folder web elsewhere locations]
  (let [config (io/file folder "nginx.conf") log (io/file folder "nginx.log")]
    (spit config
      (str (when (= "root" (System/getProperty "user.name")) "user root;") "daemon off; worker_processes 1; pid " folder "/nginx.pid; error_log " folder "/error.log;\n"
        "events { worker_connections 256; }\nhttp { access_log off; default_type application/json;\n"
        (str/join (for [k ["client_body" "proxy" "fastcgi" "uwsgi" "scgi"]] (str k "_temp_path " folder "/" k "; ")))
        (server-block folder web "localhost" locations) (server-block folder elsewhere "elsewhere.test" locations) "}\n"))
    (doto (start log (program "nginx") "-c" config "-e" (io/file folder "error.log")) (await-port! web log))))

(defn- delete! [^File folder]
  (run! #(io/delete-file % true) (reverse (file-seq folder))))

(defn folder
  "A new temporary folder that other users may read."
  ^File []
  (doto (.toFile (Files/createTempDirectory "poz-components" (make-array FileAttribute 0)))
    (.setReadable true false)
    (.setExecutable true false)))

(defn with-components
  "See above. `zones` is a function of the folder that gives name → text; `locations` one that gives
  path → directives of nginx."
  [zones locations f]
  (let [folder (folder) [dns web elsewhere] (repeatedly 3 free-port) started (volatile! [])]
    (try
      (vswap! started conj (nsd! folder dns (zones folder)))
      (authority! folder)
      (run! #(certificate! folder %) ["localhost" "elsewhere.test"])
      (vswap! started conj (nginx! folder web elsewhere (locations folder)))
      (f {:dns dns :web web :elsewhere elsewhere :ca (str (io/file folder "ca.pem")) :folder folder})
      (finally
        (run! stop! @started)
        (delete! folder)))))
