(ns bench.foreign
  "The content of a record in general-purpose formats, to decode and encode beside ours:

    cbor      Jackson's CBOR, to Java's maps, lists and byte arrays
    protobuf  classes that protoc makes of `foreign/record.proto`, compiled on the spot

  each `{:decode thunk :encode thunk :size bytes}`. What turns a record into their values is not
  measured. They check of a value no more than its type.

  CBOR is what Jackson's mapper, driven by the data, makes of linked hash maps with strings as keys,
  array lists and byte arrays, the form a Java user has: names and all, but keywords are small numbers
  already. Ours walks the Clojure map and finds each code itself."
  (:require
   [bench.net.process :as process]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.bytes :as bytes])
  (:import
   (clojure.lang DynamicClassLoader)
   (com.fasterxml.jackson.databind ObjectMapper)
   (com.fasterxml.jackson.dataformat.cbor CBORFactory)
   (com.google.protobuf ByteString Descriptors$FieldDescriptor Message Message$Builder MessageLite Parser)
   (java.io File)
   (java.lang.reflect Method)
   (java.util ArrayList LinkedHashMap)
   (javax.tools JavaCompiler ToolProvider)))

(set! *warn-on-reflection* true)

(defn- code
  "A small number for a keyword: ours are codes of one byte."
  ^long [_]
  1)

;; ## CBOR

(defn- plain [v]
  (cond
    (map? v) (let [m (LinkedHashMap.)] (doseq [[k x] v] (.put m (name k) (plain x))) m)
    (vector? v) (ArrayList. ^java.util.Collection (mapv plain v))
    (bytes/bytes? v) (bytes/->array v)
    (keyword? v) (code v)
    :else v))

(defn cbor
  "The record in CBOR (RFC 8949)."
  [record]
  (let [mapper (ObjectMapper. (CBORFactory.))
        m (plain record)
        b (.writeValueAsBytes mapper m)]
    {:decode #(.readValue mapper b LinkedHashMap)
     :encode #(.writeValueAsBytes mapper m)
     :size (alength b)}))

;; ## Protocol Buffers

(def ^:private proto (io/file "dev" "bench" "foreign" "record.proto"))

(defn- compile-java! [^File folder]
  (let [^JavaCompiler compiler (or (ToolProvider/getSystemJavaCompiler)
                                 (throw (ex-info "This needs a JDK, with its compiler" {:missing "javac"})))
        sources (filter #(str/ends-with? (str %) ".java") (file-seq folder))
        class-path (->> ByteString .getProtectionDomain .getCodeSource .getLocation .toURI (File.) str)
        words (into ["-nowarn" "-cp" class-path "-d" (str folder)] (map str) sources)]
    (when-not (zero? (.run compiler nil nil nil ^String/1 (into-array String words)))
      (throw (ex-info "The classes of protoc do not compile" {})))))

(defn- record-class
  "The class of the message Record, made in `folder`."
  ^Class [^File folder]
  (process/run!! (process/program! "protoc" "protobuf-compiler")
    (str "--java_out=" folder) (str "--proto_path=" (.getParent ^File proto)) (str proto))
  (compile-java! folder)
  (let [loader (DynamicClassLoader. (.getClassLoader ByteString))]
    (.addURL loader (.toURL (.toURI folder)))
    (.loadClass loader "bench.foreign.Protobuf$Record")))

(defn- invoke [^Class class method]
  (.invoke ^Method (.getMethod class method (make-array Class 0)) nil (object-array 0)))

(declare fill)

(defn- message-value [^Message$Builder builder ^Descriptors$FieldDescriptor field v]
  (case (str (.getJavaType field))
    "MESSAGE" (fill (.newBuilderForField builder field) v)
    "BYTE_STRING" (ByteString/copyFrom (bytes/->array v))
    "INT" (int (if (keyword? v) (code v) v))
    "LONG" (long v)
    v))

(defn- fill
  "The message of `builder` with the values of the map `m`, its keys the names of fields."
  [^Message$Builder builder m]
  (doseq [^Descriptors$FieldDescriptor field (.getFields (.getDescriptorForType builder))
          :let [v (get m (keyword (str/replace (.getName field) "_" "-")))]
          :when (some? v)]
    (if (.isRepeated field)
      (doseq [x v] (.addRepeatedField builder field (message-value builder field x)))
      (.setField builder field (message-value builder field v))))
  (.build builder))

(defn protobuf
  "The record in Protocol Buffers. Encoding starts from messages that are built."
  [record]
  (let [folder (process/folder)]
    (try
      (let [class (record-class folder)
            ^MessageLite message (fill (invoke class "newBuilder") record)
            ^Parser parser (invoke class "parser")
            b (.toByteArray message)]
        (when-not (= message (.parseFrom parser b))
          (throw (IllegalStateException. "Protocol Buffers lose something.")))
        {:decode #(.parseFrom parser b)
         :encode #(.toByteArray ^MessageLite message)
         :size (alength b)})
      (finally (process/delete! folder)))))
