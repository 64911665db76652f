(ns bench
  "Measurements, each beside a baseline: `clojure -M:bench [NAME [N]...]...`, all without a name.

  `benchmarks` is the table of them. Figures of a noisy machine mean little on their own;
  the ratio of two that were measured in turn means something."
  (:require
   [bench.codec :as codec]
   [bench.crypto :as crypto]
   [bench.growth :as growth]
   [bench.lookup :as lookup]
   [bench.mirror :as mirror]
   [bench.net :as net]
   [bench.noise :as noise]
   [bench.room :as room]
   [bench.scale :as scale]
   [bench.servers :as servers]
   [bench.start :as start]
   [bench.store :as store]
   [bench.submit :as submit]
   [bench.verify :as verify]
   [clojure.string :as str]))

(set! *warn-on-reflection* true)

(def benchmarks
  "`[name {:doc :run}]`, in the order in which they run."
  [["codec" {:doc "decoding and encoding a record, beside code written by hand" :run codec/run}]
   ["verify" {:doc "verdicts, beside the bare signature checks in them" :run verify/run}]
   ["crypto" {:doc "the primitives, with each provider" :run crypto/run}]
   ["noise" {:doc "handshakes, beside the bare agreements in them" :run noise/run}]
   ["net" {:doc "lookups on 7074 and 7075, beside nginx and NSD" :run net/run}]
   ["mirror" {:doc "copying an authority, beside bare verdicts; a number after it says how many records" :run mirror/run}]
   ["lookup" {:doc "a cold lookup of a user, beside its bare round trips" :run lookup/run}]
   ["store" {:doc "reads and durable writes of each store" :run store/run}]
   ["start" {:doc "new JVMs: loading poz.api, a first verdict, target/poz verify; beside Clojure alone and minisign" :run start/run}]
   ["submit" {:doc "verified submissions, beside bare durable writes of the same rows" :run submit/run}]
   ["scale" {:doc "a store of many records, beside one of 10,000; a number after it says how many" :run scale/run}]
   ["servers" {:doc "two servers on one PostgreSQL, beside one" :run servers/run}]
   ["room" {:doc "bytes on the disk for a person, in each store" :run room/run}]
   ["growth" {:doc "time and memory against entries, revisions, bytes and connections, with pictures" :run growth/run}]])

(def ^:private help
  (str/join "\n"
    (concat ["Measures poz: clojure -M:bench [NAME [N]...]..., all without a name." ""]
      (for [[name {:keys [doc]}] benchmarks] (format "  %-8s %s" name doc)))))

(defn- called
  "Name → the numbers after it, of the words."
  [words]
  (second (reduce (fn [[name calls] word]
                    (if-let [n (parse-long word)] [name (update calls name conj n)] [word (assoc calls word [])]))
            [nil {}] words)))

(defn- run-named [calls]
  (doseq [[name {:keys [run]}] benchmarks :when (or (empty? calls) (contains? calls name))]
    (println (str "## " name))
    (apply run (calls name []))
    (println)))

(defn- say! [& words]
  (binding [*out* *err*] (println (str "bench: " (str/join words)))))

(defn- main
  "Does what the words `names` say; the exit code."
  [names]
  (let [calls (called names) unknown (remove (into #{} (map first) benchmarks) (keys calls))]
    (cond
      (some #{"--help" "-h"} names) (do (println help) 0)
      (seq unknown) (do (say! "there is no benchmark " (first unknown) ", only " (str/join ", " (map first benchmarks)))
                        2)
      :else (try (run-named calls)
                 0
                 (catch clojure.lang.ExceptionInfo e
                   (when-not (:missing (ex-data e)) (throw e))
                   (say! (ex-message e))
                   1)))))

(defn -main
  "Runs the benchmarks `names`, or all. Ends the process: 0, 1 where a program is missing that
  one needs, or 2 for an unknown name."
  [& names]
  (let [code (main names)]
    (shutdown-agents)
    (System/exit code)))
