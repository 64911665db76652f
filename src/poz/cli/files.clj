(ns poz.cli.files
  "Files and streams for the command line. `-` is standard input or output. `resource` is what
  the program brings along.

  What is read is bounded. What is written is written whole or not at all: a temporary
  file beside the target, synced, then moved; it never replaces another file unless
  told to, and a file with private keys is readable by its owner only."
  (:require
   [clojure.java.io :as io]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format :as format])
  (:import
   (java.io ByteArrayOutputStream InputStream OutputStream)
   (java.nio ByteBuffer)
   (java.nio.channels FileChannel)
   (java.nio.file CopyOption FileAlreadyExistsException Files InvalidPathException LinkOption NoSuchFileException OpenOption Path StandardCopyOption StandardOpenOption)
   (java.nio.file.attribute FileAttribute PosixFilePermissions)))

(set! *warn-on-reflection* true)

(def ^:private read-limit
  "Twice the greatest file: its text form is a third longer, and text may be around it."
  (* 2 (long (:max-file-size format/limits))))

(defn- read-stream [^InputStream in]
  (let [b (.readNBytes in (int (inc (long read-limit))))]
    (if (< (long read-limit) (alength b))
      (error/anomaly :format/too-large {:at 0 :path [] :rule (str "at most " read-limit " bytes")})
      (bytes/wrap b))))

(defn path
  "The string `s` as a path."
  ^Path [^String s]
  (Path/of s (make-array String 0)))

(defn- problem [error file ^Exception e]
  (error/anomaly error {:message (str file ": " (:doc (error/table error))
                                   (when e (str " (" (.getSimpleName (class e)) ")")))
                        :file file}))

(defn read-file
  "The byte string in `file`, `-` being the stream `in`; or an anomaly."
  [file in]
  (try
    (if (= "-" file)
      (read-stream in)
      (with-open [s (Files/newInputStream (path file) (make-array OpenOption 0))]
        (read-stream s)))
    (catch NoSuchFileException _ (problem :file/not-found file nil))
    (catch InvalidPathException e (problem :file/unreadable file e))
    (catch java.io.IOException e (problem :file/unreadable file e))))

(defn read-line!
  "The next line of the stream `in` as text, without its end; nil where it has ended, or the
  anomaly of a line longer than a file may be in hex."
  [^InputStream in]
  (let [line (ByteArrayOutputStream.)]
    (loop []
      (let [b (.read in)]
        (cond
          (= 10 b) (.toString line "UTF-8")
          (neg? b) (when (pos? (.size line)) (.toString line "UTF-8"))
          (< (* 2 (long read-limit)) (.size line)) (error/anomaly :format/too-large {:at 0 :path [] :rule "a line"})
          :else (do (.write line b) (recur)))))))

(def ^:private no-attributes (make-array FileAttribute 0))

(defn- posix? [^Path p]
  (contains? (.supportedFileAttributeViews (.getFileSystem p)) "posix"))

(defn- temporary ^Path [^Path target private]
  (let [folder (or (.getParent (.toAbsolutePath target)) target)
        tmp (Files/createTempFile folder ".poz" ".tmp" no-attributes)]
    (when (and (posix? tmp) (not private))
      (Files/setPosixFilePermissions tmp (PosixFilePermissions/fromString "rw-r--r--")))
    tmp))

(defn- write-synced! [^Path p b]
  (with-open [c (FileChannel/open p (into-array OpenOption [StandardOpenOption/WRITE]))]
    (let [^ByteBuffer buffer (bytes/buffer b)]
      (while (.hasRemaining buffer) (.write c buffer)))
    (.force c true)))

(defn- sync-folder! [^Path target]
  (try
    (with-open [c (FileChannel/open (.getParent (.toAbsolutePath target)) (make-array OpenOption 0))]
      (.force c true))
    (catch java.io.IOException _ nil)))

(defn- place!
  "Moves `tmp` to `target`: atomically, and without `force` only where nothing is."
  [^Path tmp ^Path target force]
  (if force
    (Files/move tmp target (into-array CopyOption [StandardCopyOption/ATOMIC_MOVE]))
    (try
      (Files/createLink target tmp)
      (Files/delete tmp)
      (catch UnsupportedOperationException _
        (Files/move tmp target (make-array CopyOption 0))))))

(defn resource
  "The text of the file `path` that the program brings along."
  [path]
  (slurp (or (io/resource path) (throw (IllegalStateException. (str "There is no " path " beside the program."))))
    :encoding "UTF-8"))

(defn exists?
  "True if there is something at the path `file`."
  [file]
  (and (not= "-" file)
    (try (Files/exists (path file) (make-array LinkOption 0))
         (catch InvalidPathException _ false))))

(defn make-folder!
  "Makes the folder `file`, for its owner only, and those it is in, unless they are there; nil, or
  an anomaly."
  [file]
  (try
    (let [target (path file)]
      (Files/createDirectories target
        (if (posix? (.toAbsolutePath target))
          (into-array FileAttribute [(PosixFilePermissions/asFileAttribute (PosixFilePermissions/fromString "rwx------"))])
          no-attributes))
      nil)
    (catch InvalidPathException e (problem :file/unreadable file e))
    (catch java.io.IOException e (problem :file/unreadable file e))))

(defn write-file!
  "Writes the byte string `b` to `file`, `-` being the stream `out`; nil, or an anomaly.
  Options: `:private` (owner only), `:force` (replace)."
  [file b ^OutputStream out {:keys [private force]}]
  (if (= "-" file)
    (do (.write out (bytes/->array b)) (.flush out))
    (try
      (let [target (path file) tmp (temporary target private)]
        (try
          (write-synced! tmp b)
          (place! tmp target force)
          (sync-folder! target)
          nil
          (finally (Files/deleteIfExists tmp))))
      (catch FileAlreadyExistsException _ (problem :file/exists file nil))
      (catch InvalidPathException e (problem :file/unreadable file e))
      (catch java.io.IOException e (problem :file/unreadable file e)))))
