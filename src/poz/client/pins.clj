(ns poz.client.pins
  "What a client remembers from one lookup to the next (protocol.md §6), so that nobody can take it
  back: under each name the hash of its record, of each record the newest serials that it saw, and
  the record as it was verified last, for answers without a network.

  *Pins* are `{:names {\"alice@social.example\" {:hash :at}} :records {hash {:memory :at :mirrors}}}`; a
  memory is one of `poz.memory`, the mirrors are `{:servers :at}`. A *store* of them has a row of functions:

      :pins      (fn [])            what is remembered, or an anomaly
      :record    (fn [hash])        the bytes of the record, or nil
      :update!   (fn [f records])   the pins that `f` makes of those that are there, kept with the
                                    `records`, hash → bytes; or the anomaly that `f` gives
      :evidence! (fn [name bytes])  keeps it: where, or an anomaly

  `in-memory` makes one that is forgotten, `folder` one of files: `pins.edn`, `HASH.poz`, each replaced
  whole, by one writer at a time on the machine.

  - `noted` joins something seen into pins, `mirrored` who else serves; `forgotten` takes a name out
  - `hash-of`, `memory-of`, `mirrors-of` tell what is there"
  (:require
   [clojure.edn :as edn]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.memory :as memory])
  (:import
   (java.io IOException)
   (java.nio.channels FileChannel)
   (java.nio.file CopyOption Files LinkOption NoSuchFileException OpenOption Path StandardCopyOption StandardOpenOption)
   (java.nio.file.attribute FileAttribute PosixFilePermissions)))

(set! *warn-on-reflection* true)

(def none
  "The pins of somebody who has seen nothing."
  {:names {} :records {}})

(defn hash-of
  "The hash that is remembered under `name`, or nil."
  [pins name]
  (get-in pins [:names name :hash]))

(defn memory-of
  "The memory of the record with the original hash `hash`, or nil."
  [pins hash]
  (get-in pins [:records hash :memory]))

(defn mirrors-of
  "Who else serves the record with the original hash `hash`: `{:servers :at}`, or nil."
  [pins hash]
  (get-in pins [:records hash :mirrors]))

(defn- name-fault [pins name hash]
  (let [before (hash-of pins name)]
    (when (and before (not= before hash))
      (error/anomaly :pins/other-record {:path [name] :expected (bytes/->hex before) :found (bytes/->hex hash)}))))

(defn noted
  "`pins` with what was seen at the time `at`: `{:name :hash :memory}`. Or an anomaly: another record
  under that name, a rollback or a fork."
  [pins {:keys [name hash] seen :memory} at]
  (or (name-fault pins name hash)
    (let [joined (memory/remember (memory-of pins hash) seen)]
      (if (error/anomaly? joined)
        joined
        (-> pins
          (assoc-in [:names name] {:hash hash :at at})
          (update-in [:records hash] assoc :memory joined :at at))))))

(defn mirrored
  "`pins` in which `servers` serve the record `hash` too, as one said at the time `at`."
  [pins hash servers at]
  (assoc-in pins [:records hash :mirrors] {:servers servers :at at}))

(defn forgotten
  "`pins` without `name`, and without the record under it where no other name has that."
  [pins name]
  (let [hash (hash-of pins name) left (update pins :names dissoc name)]
    (cond-> left
      (not-any? #(= hash (:hash %)) (vals (:names left))) (update :records dissoc hash))))

(defn in-memory
  "A store of pins that is forgotten with the process."
  []
  (let [state (atom {:pins none :bytes {} :evidence {}})]
    {:pins #(:pins @state)
     :record #(get-in @state [:bytes %])
     :update! (fn [f records]
                (locking state
                  (let [pins (f (:pins @state))]
                    (when-not (error/anomaly? pins) (swap! state #(-> % (assoc :pins pins) (update :bytes merge records))))
                    pins)))
     :evidence! (fn [name b] (swap! state assoc-in [:evidence name] b) name)}))

;; ## Files

(defn- path ^Path [folder name]
  (Path/of ^String folder (into-array String [name])))

(defn- unreadable [folder ^Exception e]
  (error/anomaly :pins/unreadable {:found (str folder ": " (or (ex-message e) (.getSimpleName (class e))))}))

(defn- read-bytes [folder name]
  (try (bytes/wrap (Files/readAllBytes (path folder name)))
       (catch NoSuchFileException _ nil)))

(defn- edn [b]
  (let [{:keys [version] :as found} (edn/read-string {:readers {'poz/hex bytes/hex->}} (String. (bytes/->array b) "UTF-8"))]
    (if (and (= 1 version) (map? (:names found)) (map? (:records found)))
      (select-keys found [:names :records])
      (throw (IllegalArgumentException. "pins.edn is not one of this version")))))

(defn- read-pins [folder]
  (try (if-let [b (read-bytes folder "pins.edn")] (edn b) none)
       (catch IOException e (unreadable folder e))
       (catch RuntimeException e (unreadable folder e))))

(defn- posix? [^Path p] (contains? (.supportedFileAttributeViews (.getFileSystem p)) "posix"))

(defn- make-folder! [folder]
  (let [p (Path/of ^String folder (make-array String 0))]
    (when-not (Files/isDirectory p (make-array LinkOption 0))
      (Files/createDirectories p
        (if (posix? p)
          (into-array FileAttribute [(PosixFilePermissions/asFileAttribute (PosixFilePermissions/fromString "rwx------"))])
          (make-array FileAttribute 0))))))

(defn- write!
  "Writes the file whole, or not at all."
  [folder name b]
  (let [target (path folder name) tmp (Files/createTempFile (.getParent target) ".pins" ".tmp" (make-array FileAttribute 0))]
    (try
      (with-open [c (FileChannel/open tmp (into-array OpenOption [StandardOpenOption/WRITE]))]
        (let [buffer (bytes/buffer b)]
          (while (.hasRemaining buffer) (.write c buffer)))
        (.force c true))
      (Files/move tmp target (into-array CopyOption [StandardCopyOption/ATOMIC_MOVE]))
      (finally (Files/deleteIfExists tmp)))))

(def ^:private monitor
  "Keeps the writers of this process apart; a lock of a file does so for processes."
  (Object.))

(defn- locked [folder f]
  (try
    (locking monitor
      (make-folder! folder)
      (with-open [c (FileChannel/open (path folder "lock") (into-array OpenOption [StandardOpenOption/CREATE StandardOpenOption/WRITE]))]
        (.lock c)
        (f)))
    (catch IOException e (unreadable folder e))))

(defn- text
  "The text of the file `pins.edn`, whole whatever the caller's REPL cuts short."
  [pins]
  (binding [*print-length* nil *print-level* nil *print-meta* false *print-readably* true *print-dup* false]
    (pr-str (assoc pins :version 1))))

(defn- update! [folder f records]
  (locked folder
    (fn []
      (let [before (read-pins folder) pins (if (error/anomaly? before) before (f before))]
        (when-not (error/anomaly? pins)
          (doseq [[hash b] records] (write! folder (str (bytes/->hex hash) ".poz") b))
          (write! folder "pins.edn" (bytes/utf8 (text pins))))
        pins))))

(defn folder
  "A store of pins in the folder `folder`, which is made when something is first kept."
  [folder]
  {:pins #(read-pins folder)
   :record #(try (read-bytes folder (str (bytes/->hex %) ".poz")) (catch IOException e (unreadable folder e)))
   :update! #(update! folder %1 %2)
   :evidence! (fn [name b] (locked folder #(do (write! folder name b) (str (path folder name)))))})
