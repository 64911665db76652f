(ns poz.discover.dns
  "DNS for discovery, by dnsjava: the SRV and TXT records of a domain, and what DNSSEC says of them.

  `resolver` makes what asks, of data; `ask-async` asks it. An *answer* is `{:rows […]}`, for TXT
  strings, for SRV `{:priority :weight :port :host}`, empty where there is none; with DNSSEC `:dnssec
  :secure|:insecure|:bogus` and, where it is not secure, `:because`. Or an anomaly."
  (:require
   [clojure.string :as str]
   [poz.error :as error])
  (:import
   (java.io ByteArrayInputStream IOException)
   (java.net InetAddress InetSocketAddress)
   (java.time Duration)
   (java.util List)
   (java.util.concurrent CompletableFuture CompletionException CompletionStage Executor)
   (java.util.function BiFunction Function)
   (org.xbill.DNS CNAMERecord DClass ExtendedResolver Flags Message Name Rcode Record Resolver ResolverConfig SRVRecord Section SimpleResolver TXTRecord TextParseException Type)
   (org.xbill.DNS.dnssec ValidatingResolver)))

(set! *warn-on-reflection* true)

;; ## Who is asked

(def root-anchors
  "The keys of the root of DNS that IANA has published, KSK-2017 and KSK-2024, as DS records."
  (str ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n"))

(def ^:private tries "How often a server is asked before it counts as silent." 2)

(defn- usable
  "`message`, unless a server says by it that it cannot answer. A validator would take that for an answer
  without its signatures, that is for a forgery, and no other server would be asked."
  ^Message [^Message message]
  (let [rcode (.getRcode message)]
    (when-not (or (= Rcode/NOERROR rcode) (= Rcode/NXDOMAIN rcode))
      (throw (CompletionException. (IOException. (Rcode/string rcode)))))
    message))

(defn- server-at
  "A resolver that asks the server at `address`, and fails where the server does."
  ^Resolver [^InetSocketAddress address]
  (let [r (SimpleResolver. address)]
    (reify Resolver
      (setPort [_ port] (.setPort r port))
      (setTCP [_ on] (.setTCP r on))
      (setIgnoreTruncation [_ on] (.setIgnoreTruncation r on))
      (^void setEDNS [_ ^int version ^int size ^int flags ^List options] (.setEDNS r version size flags options))
      (setTSIGKey [_ k] (.setTSIGKey r k))
      (^void setTimeout [_ ^Duration timeout] (.setTimeout r timeout))
      (getTimeout [_] (.getTimeout r))
      (^CompletionStage sendAsync [_ ^Message message ^Executor executor]
        (.thenApply (.sendAsync r message executor) (reify Function (apply [_ answer] (usable answer))))))))

(defn- addresses
  "Where `server` is, or those of the system."
  [{:keys [^String host port] :as server}]
  (if server
    [(InetSocketAddress. (InetAddress/getByName host) (int (or port 53)))]
    (.servers (ResolverConfig/getCurrentConfig))))

(defn- asking ^Resolver [server ms]
  (let [each (map server-at (addresses server))]
    (doseq [^Resolver r each]
      (.setTimeout r (Duration/ofMillis (max 1 (quot (long ms) (long tries))))))
    (doto (ExtendedResolver. ^Iterable each)
      (.setRetries (int tries))
      (.setTimeout (Duration/ofMillis (max 1 (long ms)))))))

(defn- validating ^Resolver [^Resolver r anchors]
  (try (doto (ValidatingResolver. r)
         (.loadTrustAnchors (ByteArrayInputStream. (.getBytes ^String anchors "UTF-8"))))
       (catch IOException e (throw (IllegalArgumentException. "The trust anchors are not DS or DNSKEY records in zone-file lines." e)))))

(defn resolver
  "What asks `server`, `{:host :port}`, or the servers of the system, each question for at most `ms`
  milliseconds. With `anchors`, the text of DS or DNSKEY records of a zone file, it validates. Throws
  IllegalArgumentException where they are none."
  ^Resolver [server anchors ms]
  (cond-> (asking server ms) anchors (validating anchors)))

;; ## What they say

(defn- answers
  "The records of `type` that `message` has for its question, by way of aliases."
  [^Message message type]
  (let [records (vec (.getSection message Section/ANSWER))
        alias (fn [^Name name] (some (fn [^Record r] (when (and (instance? CNAMERecord r) (= name (.getName r))) (.getTarget ^CNAMERecord r))) records))
        names (set (take 9 (take-while some? (iterate #(some-> % alias) (.getName (.getQuestion message))))))]
    (filter (fn [^Record r] (and (= type (.getType r)) (names (.getName r)))) records)))

(defn- text [^TXTRecord r]
  (str/join (map #(String. ^bytes % "ISO-8859-1") (.getStringsAsByteArrays r))))

(defn- target [^SRVRecord r]
  {:priority (.getPriority r) :weight (.getWeight r) :port (.getPort r)
   :host (str/lower-case (str (.getTarget r)))})

(def ^:private types
  {:txt [Type/TXT text] :srv [Type/SRV target]})

;; ## DNSSEC

(defn- reason
  "Why the validator judged as it did, or nil."
  [^Message message]
  (first (for [^Record r (.getSection message Section/ADDITIONAL)
               :when (and (= ValidatingResolver/VALIDATION_REASON_QCLASS (.getDClass r)) (instance? TXTRecord r))]
           (text r))))

(defn- security
  "What DNSSEC says of `message`, which a validator gave: secure where it says so, bogus where it made
  a failure of an answer, else insecure."
  [^Message message]
  (let [because (reason message)]
    (if (.getFlag (.getHeader message) Flags/AD)
      {:dnssec :secure}
      (cond-> {:dnssec (if (= Rcode/SERVFAIL (.getRcode message)) :bogus :insecure)} because (assoc :because because)))))

;; ## Asking

(defn- failure [because]
  (error/anomaly :discover/dns {:rule because}))

(defn- answer [message type read validated]
  (let [facts (when validated (security message))]
    (if (= :bogus (:dnssec facts))
      (merge (error/anomaly :discover/bogus {:rule (:because facts)}) facts)
      (merge {:rows (mapv read (answers (usable message) type))} facts))))

(defn- thrown [^Throwable t]
  (let [t (if (and (instance? CompletionException t) (.getCause t)) (.getCause t) t)]
    (failure (or (.getMessage t) (.getSimpleName (class t))))))

(defn- question ^Message [name type]
  (Message/newQuery (Record/newRecord (Name/fromString (str name ".")) (int type) DClass/IN)))

(defn ask-async
  "A CompletableFuture of what `resolver` answers for `kind`, `:txt` or `:srv`, of `name`."
  ^CompletableFuture [^Resolver resolver kind name ^Executor executor]
  (let [[type read] (types kind)
        validated (instance? ValidatingResolver resolver)]
    (try
      (.toCompletableFuture
        (.handle (.sendAsync resolver (question name type) executor)
          (reify BiFunction
            (apply [_ message t]
              (if t (thrown t) (try (answer message type read validated) (catch Exception e (thrown e))))))))
      (catch TextParseException e (CompletableFuture/completedFuture (thrown e))))))
