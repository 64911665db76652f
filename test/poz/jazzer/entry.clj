(ns poz.jazzer.entry
  "The class that Jazzer calls, compiled ahead of time by `dev/clj -M:jazzer`: the target is
  the one that the system property `poz.target` names. Nothing else requires this."
  (:require
   [poz.bytes :as bytes]
   [poz.jazzer.targets :as targets])
  (:gen-class
   :name poz.jazzer.Entry
   :methods [^:static [fuzzerInitialize [] void]
             ^:static [fuzzerTestOneInput ["[B"] void]]
   :main false
   :prefix "entry-"))

(set! *warn-on-reflection* true)

(def ^:private check
  (delay (:check (targets/target (System/getProperty "poz.target")))))

(defn entry-fuzzerInitialize
  "Finds the target, and runs its first seeds, so that what is done once is done."
  []
  (let [{:keys [seeds check]} (targets/target (System/getProperty "poz.target"))]
    (run! #(try (check %) (catch clojure.lang.ExceptionInfo _)) (take 3 (seeds)))))

(defn entry-fuzzerTestOneInput
  "Holds the target against one input."
  [^bytes input]
  (@check (bytes/wrap input)))
