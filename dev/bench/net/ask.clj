(ns bench.net.ask
  "How long askers wait: `program` compiles `foreign/ask.c`, `latencies` runs it.

  The program is in C and does little else than the calls of the kernel that a question takes,
  without a collector or a compiler that would show as the server's tail. Two of it run, as there
  are two processors: one alone is busy before a server is, and questions then wait in it."
  (:require
   [bench.net.process :as process]
   [clojure.java.io :as io]
   [clojure.string :as str])
  (:import
   (java.io File)
   (java.util HexFormat)))

(set! *warn-on-reflection* true)

(def ^:private clients 2)

(defn program
  "The path of the program, compiled into `folder`."
  [folder]
  (let [out (io/file folder "ask")]
    (process/run!! (process/program! "gcc" "gcc") "-O2" "-o" out "dev/bench/foreign/ask.c")
    (str out)))

(defn questions!
  "A file in `folder` named `name` with the `pairs` of arrays, a question and how its answer ends."
  ^File [folder name pairs]
  (let [hex #(.formatHex (HexFormat/of) ^bytes %)
        file (io/file folder (str name ".questions"))]
    (spit file (str/join (for [[question end] pairs] (str (hex question) " " (hex end) "\n"))))
    file))

(defn latencies
  "Sorted, in µs, how long each of `n` questions took, `at-a-time` of them open, of the server at `port`;
  its answers are `framed` or end with the stream. Throws where one is wrong."
  [program {:keys [port questions framed]} n at-a-time]
  (let [words (cond-> [program port questions (quot n clients) (quot at-a-time clients)] framed (conj "framed"))
        outs (mapv (fn [_] (future (apply process/run!! words))) (range clients))]
    (vec (sort (for [out outs, line (str/split-lines @out)] (/ (parse-long line) 1e3))))))

(defn quantile
  "The value below which the share `q` of the sorted `xs` is."
  [q xs]
  (nth xs (min (dec (count xs)) (long (* (double q) (count xs))))))
