(ns poz.cli-world
  "People with folders of their own, for tests of the ceremonies at the command line. Their files
  are sealed at the least cost that is allowed, so that opening one takes no time.

  - `(with-people [\"ann\" \"bob\"] (fn [at] …))`: `(at \"ann\" \"a.poz\")` is a path in Ann's folder
  - `(holder! path record labels indexes)` writes a holder's file with the secrets of `indexes`
  - `(poz day word …)` runs a command on the morning of that day after `poz.verdicts/start`
  - `(mail! from to)` copies a file, `(size path)` its bytes, `(record path)` what is in it"
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [poz.cli-env :as cli]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.verdicts :as v])
  (:import
   (java.io File)))

(set! *warn-on-reflection* true)

(def phrase
  "The passphrase of everybody."
  "correct horse")

(defn at-day
  "The time on the morning of `day`."
  [day]
  (+ (long v/start) (* 86400000 (long day))))

(defn poz
  "Runs the words on that day; see `poz.cli-env/run`."
  [day & words]
  (cli/run words {:now (at-day day) :getenv {"POZ_PASSPHRASE" phrase} :seed (str/join " " words)}))

(defn holder!
  "Writes `record` to `path` with the secrets of the keys `indexes` of `labels`, whose names are
  kept too; gives the path."
  [path record labels indexes]
  (let [label #(let [l (labels %)] (if (vector? l) (second l) l))
        named (assoc record :key-names (mapv (fn [i] {:key i :name (label i)}) (range (count labels))))]
    (cli/write! path
      (record/encode
        (keyring/seal named (into {} (map (fn [i] [i (v/secret (label i))])) indexes) (keyring/passphrase phrase)
          {:random (cli/random path) :memory-kib 8192 :passes 1 :lanes 1})))))

(defn record
  "The record in the file."
  [path]
  (record/parse (cli/read-bytes path)))

(defn mail!
  "Copies the file `from` to `to`, which it gives."
  [from to]
  (cli/write! to (cli/read-bytes from)))

(defn size
  "The bytes of the file."
  [path]
  (count (cli/read-bytes path)))

(defn said
  "All that a command printed, as one string."
  [{:keys [out err]}]
  (str/join "\n" (concat out err)))

(defn with-people
  "Calls `f` with a function of a person and a file's name that gives its path."
  [people f]
  (cli/with-folder
    (fn [at]
      (doseq [p people] (.mkdirs (io/file (at p))))
      (f (fn [person file] (str (io/file ^File (io/file (at person)) ^String file)))))))
