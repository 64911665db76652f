(ns bench.by-hand
  "A decoder and an encoder of records as one writes them by hand for one purpose, the
  baseline of `bench.codec`: straight code over a `ByteBuffer`, of header, table of
  contents, Public Key Map, Master Zone, Identity and Service with their authorities.

  They give and take the same maps as `poz.record`, and hold the layout and all lengths
  and codes against the bytes. They know no other section, and no rule that is about
  the values: ranges, orders, duplicates, characters. A fault is a plain exception."
  (:refer-clojure :exclude [read-string])
  (:require
   [poz.bytes :as bytes])
  (:import
   (java.nio BufferOverflowException ByteBuffer)
   (java.nio.charset StandardCharsets)
   (java.util Arrays)
   (poz.bytes Bytes)))

(set! *warn-on-reflection* true)

(defn- check! [ok sentence]
  (when-not ok (throw (IllegalArgumentException. ^String sentence))))

;; ## Reading
;;
;; The cursor's limit is the end of the section, so that nothing reads past it.

(defn- read-u8 ^long [^ByteBuffer b] (bit-and 0xff (.get b)))
(defn- read-u16 ^long [^ByteBuffer b] (bit-and 0xffff (.getShort b)))
(defn- read-u32 ^long [^ByteBuffer b] (bit-and 0xffffffff (.getInt b)))
(defn- read-u64 ^long [^ByteBuffer b] (.getLong b))

(defn- read-fixed ^Bytes [^ByteBuffer b ^long n]
  (let [at (.position b)]
    (check! (<= n (.remaining b)) "truncated")
    (.position b (int (+ at n)))
    (bytes/wrap (.array b) at n)))

(defn- read-hash ^Bytes [b] (read-fixed b 32))
(defn- read-bytes ^Bytes [b] (read-fixed b (read-u16 b)))

(defn- read-string ^String [^ByteBuffer b]
  (let [n (read-u16 b) at (.position b)]
    (check! (<= n (.remaining b)) "truncated")
    (.position b (int (+ at n)))
    (String. (.array b) at (int n) StandardCharsets/UTF_8)))

(defn- read-list [b read-item]
  (let [n (read-u16 b)]
    (loop [i 0 items (transient [])]
      (if (< i n)
        (recur (inc i) (conj! items (read-item b)))
        (persistent! items)))))

(defn- read-optional [b read-item]
  (case (read-u8 b)
    0 nil
    1 (read-item b)
    (check! false "not an optional")))

(defn- read-algorithm [b]
  (let [code (read-u8 b)]
    (case code 1 :ed25519 2 :x25519 3 :ml-dsa-65 code)))

(defn- read-authority-code [b]
  (case (read-u16 b)
    0x0010 :identity 0x0020 :feed 0x0030 :email 0x0040 :auth 0x0050 :service
    (check! false "no such authority")))

(defn- read-reason [b]
  (case (read-u8 b)
    0 :unspecified 1 :compromised 2 :superseded 3 :retired 4 :abuse
    (check! false "no such reason")))

(defn- read-service-type [b]
  (case (read-u8 b)
    1 :poz-query 2 :poz-submit 3 :https 4 :mail 5 :feed 6 :revocation 255 :custom
    (check! false "no such service")))

(defn- read-transport [b]
  (case (read-u8 b) 1 :tcp 2 :udp (check! false "no such transport")))

(defn- read-encryption [b]
  (case (read-u8 b) 0 :none 1 :tls 2 :noise-nk (check! false "no such encryption")))

(defn- read-identity-type [b]
  (case (read-u8 b) 1 :poz (check! false "no such identity type")))

(defn- known-size [algorithm]
  (case algorithm (:ed25519 :x25519) 32 :ml-dsa-65 1952 nil))

(defn- read-key [b]
  (let [algorithm (read-algorithm b) key (read-bytes b) size (known-size algorithm)]
    (check! (or (nil? size) (= (long size) (count key))) "a key of another size")
    {:algorithm algorithm :key key}))

(defn- read-signature [b]
  (let [key (read-u16 b)]
    {:key key :signature (read-bytes b)}))

(defn- read-master-key [b]
  (let [group (read-u8 b) key (read-u16 b) value (read-u8 b)]
    {:group group :key key :value value}))

(defn- read-delegation [b]
  (let [authority (read-authority-code b) key (read-u16 b) grant (read-u8 b) deny (read-u8 b)]
    {:authority authority :key key :grant grant :deny deny}))

(defn- read-master-zone [b]
  (let [original-hash (read-hash b) original-timestamp (read-u64 b)
        current-hash (read-hash b) previous-hash (read-hash b)
        serial (read-u32 b) timestamp (read-u64 b)
        master-keys (read-list b read-master-key)
        delegations (read-list b read-delegation)
        signatures (read-list b read-signature)]
    (array-map :original-master-hash original-hash :original-timestamp original-timestamp
      :current-master-hash current-hash :previous-master-hash previous-hash
      :serial serial :timestamp timestamp
      :master-keys master-keys :delegations delegations :signatures signatures)))

(defn- read-share [b]
  (let [key (read-u16 b) grant (read-u8 b) deny (read-u8 b)]
    {:key key :grant grant :deny deny}))

(defn- read-authority [b]
  (let [hash (read-hash b)]
    {:master-zone-hash hash :keys (read-list b read-share)}))

(defn- read-denial [b]
  (let [target (read-hash b) timestamp (read-u64 b) reason (read-reason b)]
    {:target target :timestamp timestamp :reason reason}))

(defn- read-identity [b]
  (let [type (read-identity-type b) authority-hash (read-hash b) domain (read-string b)
        path (read-list b read-string) handle (read-string b) user-hash (read-hash b)
        signatures (read-list b read-signature)]
    {:identity-type type :authority-hash authority-hash :authority-domain domain
     :path path :user-handle handle :user-poz-hash user-hash :authority-signatures signatures}))

(defn- read-host [b]
  (let [hostname (read-string b) port (read-u16 b)
        transport (read-transport b) encryption (read-encryption b)
        public-key (read-optional b read-hash) ca-key (read-optional b read-u16)
        priority (read-u16 b) weight (read-u16 b)]
    (cond-> {:hostname hostname :port port :transport transport :encryption encryption
             :priority priority :weight weight}
      public-key (assoc :public-key public-key)
      ca-key (assoc :ca-key ca-key))))

(defn- read-service [b]
  (let [name (read-string b) type (read-service-type b)]
    {:name name :type type :hosts (read-list b read-host)}))

(defn- read-zone [b read-entry]
  (let [serial (read-u32 b) timestamp (read-u64 b) previous (read-hash b)
        body (read-list b read-entry) revoked (read-list b read-denial)
        signatures (read-list b read-signature)
        grant {:serial serial :timestamp timestamp :previous-zone-hash previous
               :body body :revoked revoked :signatures signatures}
        serial (read-u32 b) timestamp (read-u64 b) denied (read-list b read-denial)]
    {:grant grant
     :deny {:serial serial :timestamp timestamp :denied denied
            :signatures (read-list b read-signature)}}))

(defn- read-section [record b ^long type]
  (case type
    0x0000 (assoc record :public-key-map (read-list b read-key))
    0x0001 (assoc record :master-zone (read-master-zone b))
    0x0010 (assoc record :identity-authority (read-authority b))
    0x0011 (assoc record :identity-zone (read-zone b read-identity))
    0x0050 (assoc record :service-authority (read-authority b))
    0x0051 (assoc record :service-zone (read-zone b read-service))
    (check! false "no such section here")))

(defn- read-sections
  "The record in the sections of a table of contents of `n` entries, at which `b` is."
  [^ByteBuffer b ^long n]
  (let [size (.limit b) toc (.position b)]
    (loop [i 0 at (+ toc (* 10 n)) before -1 record {}]
      (.limit b size)
      (if (< i n)
        (let [_ (.position b (int (+ toc (* 10 i))))
              type (read-u16 b) offset (read-u32 b) end (+ offset (read-u32 b))]
          (check! (< before type) "sections out of order")
          (check! (= at offset) "a gap or an overlap")
          (check! (<= end size) "truncated")
          (.limit b (int end))
          (.position b (int offset))
          (let [record (read-section record b type)]
            (check! (not (.hasRemaining b)) "bytes after a section")
            (recur (inc i) end type record)))
        (do (check! (= at size) "bytes after the last section")
          record)))))

(defn decode
  "The record in the byte string `file`."
  [file]
  (let [b (ByteBuffer/wrap (bytes/->array file))]
    (check! (and (= 0x504f5a00 (read-u32 b)) (= (count file) (read-u32 b))) "not a POZ file")
    (let [n (read-u16 b)]
      (check! (and (<= 1 n 64) (<= (* 10 n) (.remaining b))) "no table of contents")
      (let [record (read-sections b n)]
        (check! (and (:public-key-map record) (:master-zone record)) "a section is missing")
        record))))

;; ## Writing

(defn- write-u8 [^ByteBuffer b ^long v] (.put b (unchecked-byte v)))
(defn- write-u16 [^ByteBuffer b ^long v] (.putShort b (unchecked-short v)))
(defn- write-u32 [^ByteBuffer b ^long v] (.putInt b (unchecked-int v)))
(defn- write-u64 [^ByteBuffer b ^long v] (.putLong b v))

(defn- write-fixed [^ByteBuffer b ^Bytes v]
  (.put b ^bytes (.-array v) (.-offset v) (.-length v)))

(defn- write-hash [b v]
  (check! (= 32 (count v)) "a hash of another size")
  (write-fixed b v))

(defn- write-length [b ^long n]
  (check! (<= n 0xffff) "too long")
  (write-u16 b n))

(defn- write-bytes [b v]
  (write-length b (count v))
  (write-fixed b v))

(defn- write-string [^ByteBuffer b ^String s]
  (let [utf8 (.getBytes s StandardCharsets/UTF_8)]
    (write-length b (alength utf8))
    (.put b utf8)))

(defn- write-list [b items write-item]
  (write-length b (count items))
  (reduce (fn [_ item] (write-item b item) nil) nil items))

(defn- write-optional [b v write-value]
  (if (nil? v)
    (write-u8 b 0)
    (do (write-u8 b 1) (write-value b v))))

(defn- authority-code ^long [zone]
  (case zone :identity 0x0010 :feed 0x0020 :email 0x0030 :auth 0x0040 :service 0x0050))

(defn- reason-code ^long [reason]
  (case reason :unspecified 0 :compromised 1 :superseded 2 :retired 3 :abuse 4))

(defn- service-code ^long [type]
  (case type :poz-query 1 :poz-submit 2 :https 3 :mail 4 :feed 5 :revocation 6 :custom 255))

(defn- write-key [b {:keys [algorithm key]}]
  (let [size (known-size algorithm)]
    (check! (or (nil? size) (= (long size) (count key))) "a key of another size")
    (write-u8 b (case algorithm :ed25519 1 :x25519 2 :ml-dsa-65 3 (long algorithm)))
    (write-bytes b key)))

(defn- write-signature [b {:keys [key signature]}]
  (write-u16 b key)
  (write-bytes b signature))

(defn- write-master-key [b {:keys [group key value]}]
  (write-u8 b group)
  (write-u16 b key)
  (write-u8 b value))

(defn- write-share [b {:keys [key grant deny]}]
  (write-u16 b key)
  (write-u8 b grant)
  (write-u8 b deny))

(defn- write-delegation [b {:keys [authority] :as delegation}]
  (write-u16 b (authority-code authority))
  (write-share b delegation))

(defn- write-master-zone [b zone]
  (write-hash b (:original-master-hash zone))
  (write-u64 b (:original-timestamp zone))
  (write-hash b (:current-master-hash zone))
  (write-hash b (:previous-master-hash zone))
  (write-u32 b (:serial zone))
  (write-u64 b (:timestamp zone))
  (write-list b (:master-keys zone) write-master-key)
  (write-list b (:delegations zone) write-delegation)
  (write-list b (:signatures zone) write-signature))

(defn- write-authority [b {:keys [master-zone-hash keys]}]
  (write-hash b master-zone-hash)
  (write-list b keys write-share))

(defn- write-denial [b {:keys [target timestamp reason]}]
  (write-hash b target)
  (write-u64 b timestamp)
  (write-u8 b (reason-code reason)))

(defn- write-identity [b entry]
  (write-u8 b (case (:identity-type entry) :poz 1))
  (write-hash b (:authority-hash entry))
  (write-string b (:authority-domain entry))
  (write-list b (:path entry) write-string)
  (write-string b (:user-handle entry))
  (write-hash b (:user-poz-hash entry))
  (write-list b (:authority-signatures entry) write-signature))

(defn- write-host [b host]
  (write-string b (:hostname host))
  (write-u16 b (:port host))
  (write-u8 b (case (:transport host) :tcp 1 :udp 2))
  (write-u8 b (case (:encryption host) :none 0 :tls 1 :noise-nk 2))
  (write-optional b (:public-key host) write-hash)
  (write-optional b (:ca-key host) write-u16)
  (write-u16 b (:priority host))
  (write-u16 b (:weight host)))

(defn- write-service [b {:keys [name type hosts]}]
  (write-string b name)
  (write-u8 b (service-code type))
  (write-list b hosts write-host))

(defn- write-zone [b {:keys [grant deny]} write-entry]
  (write-u32 b (:serial grant))
  (write-u64 b (:timestamp grant))
  (write-hash b (:previous-zone-hash grant))
  (write-list b (:body grant) write-entry)
  (write-list b (:revoked grant) write-denial)
  (write-list b (:signatures grant) write-signature)
  (write-u32 b (:serial deny))
  (write-u64 b (:timestamp deny))
  (write-list b (:denied deny) write-denial)
  (write-list b (:signatures deny) write-signature))

(def ^:private sections
  "Section type, key in a record, writer; in the order of the file."
  [[0x0000 :public-key-map (fn [b v] (write-list b v write-key))]
   [0x0001 :master-zone write-master-zone]
   [0x0010 :identity-authority write-authority]
   [0x0011 :identity-zone (fn [b v] (write-zone b v write-identity))]
   [0x0050 :service-authority write-authority]
   [0x0051 :service-zone (fn [b v] (write-zone b v write-service))]])

(defn- write-section
  "Writes a section at the end of `b`, and where it lies into the table's entry `i`."
  [^ByteBuffer b i [type _ write] v]
  (let [offset (.position b)]
    (write b v)
    (let [end (.position b)]
      (.position b (int (+ 10 (* 10 (long i)))))
      (write-u16 b type)
      (write-u32 b offset)
      (write-u32 b (- end offset))
      (.position b end))))

(defn- write-sections
  "Writes the sections of `record`; how many."
  ^long [b record]
  (reduce (fn [i [_ key :as section]]
            (if-some [v (get record key)]
              (do (write-section b i section v)
                (inc (long i)))
              i))
    0 sections))

(defn- encode-within
  "The byte string of `record`, or nil where it has more than `limit` bytes."
  [record limit]
  (let [b (ByteBuffer/allocate (int limit)) n (count record)]
    (try
      (.position b (int (+ 10 (* 10 n))))
      (check! (= n (write-sections b record)) "a section that is not known here")
      (let [size (.position b)]
        (.putInt b 0 0x504f5a00)
        (.putInt b 4 size)
        (.putShort b 8 (unchecked-short n))
        (bytes/wrap (Arrays/copyOf (.array b) size)))
      (catch BufferOverflowException _ nil))))

(defn encode
  "The byte string of `record`."
  [record]
  (loop [limit 4096]
    (or (encode-within record limit)
      (recur (* 2 limit)))))
