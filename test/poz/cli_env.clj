(ns poz.cli-env
  "The command line in a made-up world, for tests: streams of bytes, a clock that stands, a
  generator of the same bytes each time, folders that vanish.

  - `(run args)` runs a command: `{:exit :out :err :bytes :json}`
  - `(with-folder (fn [at] …))` a folder; `(at \"a.poz\")` is a path in it
  - `(write! path text-or-bytes)`, `(read-bytes path)`, `(names folder)`, `(mode path)`"
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.main :as main]
   [poz.net :as net])
  (:import
   (java.io ByteArrayInputStream ByteArrayOutputStream File PrintStream)
   (java.nio.file Files LinkOption)
   (java.nio.file.attribute FileAttribute PosixFilePermissions)))

(set! *warn-on-reflection* true)

(def now
  "The clock: 2026-11-01, that of the golden vectors."
  1793491200000)

(defn random
  "A function of n that gives n bytes, other ones each time, the same ones in every run of
  the same `seed`."
  [seed]
  (let [calls (atom 0)]
    (fn [n]
      (let [block #(crypto/sha3-256 (bytes/utf8 (str "cli " seed " " % " " %2)))
            call (swap! calls inc)]
        (bytes/slice (apply bytes/concat (map #(block call %) (range (inc (quot n 32))))) 0 n)))))

(defn- stream [^ByteArrayOutputStream out]
  (PrintStream. out true "UTF-8"))

(defn run
  "Runs the words `args`: `:exit`, `:out` and `:err` (lines), `:bytes` (of standard output),
  `:json` (its lines parsed, where they are JSON). Options: `:in` standard input, a string
  or bytes; `:getenv` a map; `:ask` what a person answers, in turn; `:seed`; `:now`;
  `:color`; `:sources`, see `poz.discover/fake`; `:until-told`, called where a server would wait, with the lines so far."
  ([args] (run args {}))
  ([args {:keys [in getenv ask seed color until-told sources] at :now}]
   (let [out (ByteArrayOutputStream.) err (ByteArrayOutputStream.)
         answers (atom ask)
         input (cond (nil? in) bytes/empty (string? in) (bytes/utf8 in) :else in)
         exit (main/run args
                {:in (ByteArrayInputStream. (bytes/->array input))
                 :stdout (stream out) :stderr (stream err)
                 :now (constantly (or at now))
                 :random (random (or seed "seed"))
                 :exchange net/exchange-async
                 :sources sources
                 :address net/address
                 :sealing {:memory-kib 8192 :passes 1 :lanes 1}
                 :getenv (or getenv {})
                 :until-told (constantly #(until-told (str/split-lines (.toString out "UTF-8"))))
                 :ask (when ask (fn [_] (let [[a] @answers] (swap! answers rest) a)))
                 :color (boolean color)})
         text (.toString out "UTF-8")
         lines (str/split-lines text)]
     {:exit exit
      :out (if (= "" text) [] lines)
      :err (let [e (.toString err "UTF-8")] (if (= "" e) [] (str/split-lines e)))
      :bytes (bytes/wrap (.toByteArray out))
      :json (when (and (seq text) (every? #(str/starts-with? % "{") lines))
              (mapv #(json/read-str % :key-fn keyword) lines))})))

(defn text
  "The lines `:out` or `:err` of a result as one string."
  [lines]
  (str/join "\n" lines))

(defn write!
  "Writes a string or a byte string to `path`, and gives the path."
  [path content]
  (with-open [out (io/output-stream path)]
    (.write out (bytes/->array (if (string? content) (bytes/utf8 content) content))))
  path)

(defn read-bytes
  "The byte string in the file `path`."
  [path]
  (bytes/wrap (Files/readAllBytes (.toPath (io/file path)))))

(defn names
  "The names of all that is in the folder `path`, sorted."
  [path]
  (sort (seq (.list (io/file path)))))

(defn mode
  "The permissions of the file `path`, \"rw-------\"."
  [path]
  (PosixFilePermissions/toString (Files/getPosixFilePermissions (.toPath (io/file path)) (make-array LinkOption 0))))

(defn posix?
  "True where files have such permissions."
  []
  (contains? (.supportedFileAttributeViews (java.nio.file.FileSystems/getDefault)) "posix"))

(defn root?
  "True where permissions stop nobody, as in a container."
  []
  (= "root" (System/getProperty "user.name")))

(defn with-folder
  "Calls `f` with a function that makes names into paths in a new folder, which vanishes."
  [f]
  (let [^File folder (.toFile (Files/createTempDirectory "poz cli" (make-array FileAttribute 0)))]
    (try (f (fn at ([] (str folder)) ([name] (str (io/file folder name)))))
         (finally
           (doseq [^File x (reverse (file-seq folder))]
             (.setWritable x true)
             (io/delete-file x true))))))
