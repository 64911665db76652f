(ns poz.discover.https
  "The well-known file of a domain, by java.net.http: over HTTPS, within a limit of bytes and of
  time, never from another host.

  `client` makes what asks, `ask-async` asks it: `{:bytes b}`, or `{:absent \"404\"}` where the web server
  has no such file, or an anomaly. A host with an address that is none of the public network's is
  not asked, unless that is allowed. The addresses are looked at right before the
  connection, which takes them from the JVM's cache of names for as long as that keeps them; whoever
  changes them in between still needs a certificate for the host."
  (:require
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format.messages :as messages])
  (:import
   (java.io ByteArrayInputStream ByteArrayOutputStream)
   (java.net Inet4Address Inet6Address InetAddress URI UnknownHostException)
   (java.net.http HttpClient HttpClient$Redirect HttpClient$Version HttpRequest HttpResponse HttpResponse$BodyHandler HttpResponse$BodySubscriber HttpTimeoutException)
   (java.nio ByteBuffer)
   (java.security KeyStore)
   (java.security.cert CertificateException CertificateFactory)
   (java.time Duration)
   (java.util.concurrent CompletableFuture CompletionException Executor Flow$Subscription)
   (javax.net.ssl SSLContext SSLException TrustManagerFactory)))

(set! *warn-on-reflection* true)

;; ## Addresses

(defn- starts? [^bytes b & octets]
  (= octets (map #(bit-and 0xff (long %)) (take (count octets) b))))

(defn- private-4? [^bytes b]
  (let [[x y z] (map #(bit-and 0xff (long %)) b)]
    (or (#{0 10 127} x) (<= 224 (long x))
      (and (= 100 x) (<= 64 (long y) 127))
      (and (= 172 x) (<= 16 (long y) 31))
      (#{[169 254] [192 168] [198 18] [198 19]} [x y])
      (#{[192 0 0] [192 0 2] [192 88 99] [198 51 100] [203 0 113]} [x y z]))))

(defn- embedded-4
  "The IPv4 address in an IPv6 one that is translated or tunnelled, or nil."
  [^bytes b]
  (cond
    (or (apply starts? b (concat (repeat 10 0) [0xff 0xff])) (apply starts? b (repeat 12 0))
      (apply starts? b 0 0x64 0xff 0x9b (repeat 8 0))) (drop 12 b)
    (starts? b 0x20 0x02) (take 4 (drop 2 b))))

(defn- private-6? [^bytes b]
  (if-let [inner (embedded-4 b)]
    (private-4? (byte-array inner))
    (or (not= 0x20 (bit-and 0xe0 (aget b 0))) ; all that is global so far
      (starts? b 0x20 0x01 0x0d 0xb8) (starts? b 0x20 0x01 0 0))))

(defn private?
  "True if the address is none of the public network's: loopback, link-local, private, for documentation,
  multicast or reserved, also inside of an IPv6 address."
  [^InetAddress address]
  (let [b (.getAddress address)]
    (boolean (if (instance? Inet4Address address) (private-4? b) (private-6? b)))))

;; ## The client

(defn- trust-store ^KeyStore [pem]
  (let [store (doto (KeyStore/getInstance (KeyStore/getDefaultType)) (.load nil nil))
        certificates (.generateCertificates (CertificateFactory/getInstance "X.509") (ByteArrayInputStream. (bytes/->array pem)))]
    (doseq [[i c] (map-indexed vector certificates)] (.setCertificateEntry store (str i) c))
    store))

(defn- ssl-context ^SSLContext [pem]
  (let [factory (doto (TrustManagerFactory/getInstance (TrustManagerFactory/getDefaultAlgorithm)) (.init (trust-store pem)))]
    (doto (SSLContext/getInstance "TLS") (.init nil (.getTrustManagers factory) nil))))

(defn client
  "What asks: with `trust`, a byte string of certificates in PEM, it trusts those only, else those
  that the JVM does. Throws IllegalArgumentException where they are none."
  ^HttpClient [trust ^Executor executor]
  (let [builder (doto (HttpClient/newBuilder)
                  (.followRedirects HttpClient$Redirect/NEVER)
                  (.version HttpClient$Version/HTTP_1_1)
                  (.executor executor))]
    (when trust
      (try (.sslContext builder (ssl-context trust))
           (catch CertificateException e (throw (IllegalArgumentException. "The certificates are not PEM." e)))))
    (.build builder)))

;; ## The body

(defn- subscriber
  "Collects at most `most` bytes; where there are more it cancels, and gives nil."
  ^HttpResponse$BodySubscriber [most]
  (let [out (ByteArrayOutputStream.) done (CompletableFuture.) subscription (volatile! nil)]
    (reify HttpResponse$BodySubscriber
      (getBody [_] done)
      (onSubscribe [_ s] (vreset! subscription s) (.request ^Flow$Subscription s Long/MAX_VALUE))
      (onNext [_ buffers]
        (when-not (.isDone done)
          (doseq [^ByteBuffer b buffers]
            (let [part (byte-array (min (.remaining b) (inc (- (long most) (.size out)))))]
              (.get b part)
              (.writeBytes out part)))
          (when (< (long most) (.size out))
            (.cancel ^Flow$Subscription @subscription)
            (.complete done nil))))
      (onError [_ t] (.completeExceptionally done t))
      (onComplete [_] (.complete done (bytes/wrap (.toByteArray out)))))))

(def ^:private ^HttpResponse$BodyHandler bounded
  (reify HttpResponse$BodyHandler
    (apply [_ info]
      (subscriber (if (= 200 (.statusCode info)) (:well-known messages/limits) 0)))))

;; ## Asking

(defn- causes [^Throwable t]
  (take 16 (take-while some? (iterate #(some-> ^Throwable % .getCause) t))))

(defn- reason [^Throwable t]
  (or (some #(when-let [m (.getMessage ^Throwable %)] m) (reverse (causes t))) (.getSimpleName (class t))))

(defn- thrown [^Throwable t]
  (let [t (if (and (instance? CompletionException t) (.getCause t)) (.getCause t) t)]
    (cond
      (instance? HttpTimeoutException t) (error/anomaly :net/timeout)
      (some #(or (instance? CertificateException %) (instance? SSLException %)) (causes t)) (error/anomaly :discover/certificate {:rule (reason t)})
      :else (error/anomaly :discover/https {:rule (reason t)}))))

(defn- address-fault [^URI uri {:keys [allow-private]}]
  (try
    (let [found (InetAddress/getAllByName (.getHost uri))]
      (when-let [^InetAddress a (and (not allow-private) (first (filter private? found)))]
        (error/anomaly :discover/address {:found (.getHostAddress a)})))
    (catch UnknownHostException _ {:absent (str "no address for " (.getHost uri))})))

(defn- same-host? [^URI a ^URI b]
  (and (= "https" (.getScheme b)) (.getHost b)
    (.equalsIgnoreCase (.getHost a) (.getHost b)) (= (.getPort a) (.getPort b)) (nil? (.getUserInfo b))))

(defn- redirected
  "Where the response sends to, a URI; or the anomaly of a place where nobody goes."
  [^URI uri ^HttpResponse response left]
  (let [^String location (.orElse (.firstValue (.headers response) "location") "")
        to (try (.resolve uri location) (catch IllegalArgumentException _ nil))]
    (cond
      (or (nil? to) (not (same-host? uri to))) (error/anomaly :discover/redirect {:found location})
      (zero? (long left)) (error/anomaly :discover/redirect {:rule (str "at most " (:redirects messages/limits) " times")})
      :else to)))

(declare get!)

(defn- answered! [{:keys [^CompletableFuture result] :as call} ^URI uri ^HttpResponse response]
  (let [status (.statusCode response)]
    (cond
      (= 200 status) (.complete result (if-let [b (.body response)] {:bytes b}
                                         (error/anomaly :discover/too-large {:rule (str "at most " (:well-known messages/limits) " bytes")})))
      (#{301 302 303 307 308} status) (let [to (redirected uri response (:left call))]
                                        (if (error/anomaly? to) (.complete result to) (get! (update call :left dec) to)))
      (#{404 410} status) (.complete result {:absent (str status)})
      :else (.complete result (error/anomaly :discover/https {:found (str "status " status)})))))

(defn- request ^HttpRequest [^URI uri ms]
  (-> (HttpRequest/newBuilder uri) (.timeout (Duration/ofMillis (long ms))) (.header "accept" "application/json") .build))

(defn- get! [{:keys [^HttpClient client ^CompletableFuture result current ms] :as call} uri]
  (let [sent (.sendAsync client (request uri ms) bounded)]
    (reset! current sent)
    (when (.isDone result) (.cancel sent true))
    (.whenComplete sent
      (fn [response t]
        (try (if t (.complete result (thrown t)) (answered! call uri response))
             (catch Throwable t (.completeExceptionally result t)))))))

(defn ask-async
  "A CompletableFuture of what is at `uri`, for at most `ms` milliseconds. Option: `:allow-private`.
  Cancelling it closes the connection."
  ^CompletableFuture [client ^String uri ms options ^Executor executor]
  (let [uri (URI/create uri) result (CompletableFuture.) current (atom nil)
        call {:client client :result result :current current :ms ms :left (:redirects messages/limits)}]
    (.whenComplete result (fn [_ _] (some-> ^CompletableFuture @current (.cancel true))))
    (.execute executor
      (fn []
        (try (if-let [fault (address-fault uri options)] (.complete result fault) (get! call uri))
             (catch Throwable t (.completeExceptionally result t)))))
    result))
