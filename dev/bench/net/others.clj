(ns bench.net.others
  "The servers beside which ours is measured, each in a temporary folder, on loopback: nginx,
  which gives one file, plain and by TLS 1.3, and NSD, which gives one TXT record by TCP."
  (:require
   [bench.net.process :as process]
   [clojure.java.io :as io]
   [clojure.string :as str])
  (:import
   (java.io ByteArrayOutputStream DataOutputStream File)))

(set! *warn-on-reflection* true)

;; nginx

(defn- certificate! [folder]
  (process/run!! (process/program! "openssl" "openssl") "req" "-x509" "-newkey" "ed25519" "-nodes" "-days" "2" "-subj" "/CN=localhost"
    "-keyout" (io/file folder "key.pem") "-out" (io/file folder "certificate.pem")))

(defn- nginx-config
  "As Debian has it, but with a listening socket for each worker and what is open kept open. By
  TLS twice: with X25519 and else as it comes, and so lean that there are no session tickets."
  [folder plain tls lean]
  (str
    (when (= "root" (System/getProperty "user.name")) "user root;")
    "daemon off; worker_processes auto; pid " folder "/pid; error_log " folder "/error.log;
     events { worker_connections 4096; }
     http {
       sendfile on; tcp_nopush on; open_file_cache max=100; keepalive_timeout 0; access_log off;
       log_format tls '$status $body_bytes_sent $ssl_protocol $ssl_curve $ssl_session_reused';
       client_body_temp_path " folder "/body; proxy_temp_path " folder "/proxy; fastcgi_temp_path " folder "/fastcgi;
       uwsgi_temp_path " folder "/uwsgi; scgi_temp_path " folder "/scgi; default_type application/octet-stream;
       server { listen 127.0.0.1:" plain " reuseport backlog=1024; root " folder "/www; }
       ssl_certificate " folder "/certificate.pem; ssl_certificate_key " folder "/key.pem;
       ssl_protocols TLSv1.3; ssl_ecdh_curve X25519;
       server { listen 127.0.0.1:" tls " reuseport backlog=1024 ssl; root " folder "/www;
                access_log " folder "/tls.log tls buffer=64k flush=100ms; }
       server { listen 127.0.0.1:" lean " reuseport backlog=1024 ssl; root " folder "/www;
                access_log " folder "/tls.log tls buffer=64k flush=100ms;
                ssl_session_cache off; ssl_session_tickets off; ssl_conf_command NumTickets 0; } }"))

(defn nginx
  "nginx in `folder` with a file of `size` bytes: `{:process :plain port :tls port :lean port
  :log file :version}`, the log with a line for each request by TLS."
  [folder size]
  (let [nginx (process/program! "nginx" "nginx")
        [plain tls lean] (repeatedly process/free-port)
        config (io/file folder "nginx.conf") log (io/file folder "error.log")]
    (certificate! folder)
    (.mkdir (io/file folder "www"))
    (spit (io/file folder "www" "f") (str/join (repeat size "x")))
    (spit config (nginx-config folder plain tls lean))
    (let [process (process/start [nginx "-c" config "-e" log] log)]
      (process/await-port process tls log)
      {:process process :plain plain :tls tls :lean lean :log (io/file folder "tls.log")
       :version (str/trim (process/run!! "sh" "-c" (str nginx " -v 2>&1")))})))

(def http-request
  "What asks nginx for the file."
  (.getBytes "GET /f HTTP/1.0\r\n\r\n"))

;; NSD

(defn- nsd-config [folder port]
  (str "server:\n ip-address: 127.0.0.1@" port "\n server-count: 2\n reuseport: yes\n do-ip6: no\n username: \"\"\n chroot: \"\"\n"
    " zonesdir: \"" folder "\"\n pidfile: \"" folder "/nsd.pid\"\n database: \"\"\n xfrdfile: \"" folder "/xfrd\"\n"
    " zonelistfile: \"" folder "/zones\"\n xfrdir: \"" folder "\"\n tcp-count: 1000\n"
    "remote-control:\n control-enable: no\n"
    "zone:\n name: bench.example\n zonefile: nsd.zone\n"))

(defn- nsd-zone [size]
  (str "bench.example. 60 IN SOA ns.bench.example. a.bench.example. 1 60 60 60 60\n"
    "bench.example. 60 IN NS ns.bench.example.\nns.bench.example. 60 IN A 127.0.0.1\n"
    "bench.example. 60 IN TXT " (str/join " " (map #(str \" (str/join %) \") (partition-all 250 (repeat size \x)))) "\n"))

(defn nsd
  "NSD in `folder` with a TXT record of `size` characters: `{:process :plain :version}`, or nil
  where there is none."
  [folder size]
  (when-let [nsd (process/program "nsd")]
    (let [port (process/free-port) config (io/file folder "nsd.conf") log (io/file folder "nsd.log")]
      (spit config (nsd-config folder port))
      (spit (io/file folder "nsd.zone") (nsd-zone size))
      (let [process (process/start [nsd "-d" "-c" config] log)]
        (process/await-port process port log)
        {:process process :plain port :version (first (str/split-lines (process/run!! "sh" "-c" (str nsd " -v 2>&1"))))}))))

(def dns-request
  "What asks NSD for the record: RFC 1035 §4, behind its length."
  (let [out (ByteArrayOutputStream.)]
    (doto (DataOutputStream. out)
      (.writeShort 31)
      (.writeShort 0) (.writeShort 0) (.writeShort 1) (.writeShort 0) (.writeShort 0) (.writeShort 0)
      (.writeByte 5) (.writeBytes "bench") (.writeByte 7) (.writeBytes "example") (.writeByte 0)
      (.writeShort 16) (.writeShort 1))
    (.toByteArray out)))
