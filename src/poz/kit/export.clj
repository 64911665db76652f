(ns poz.kit.export
  "The conformance vectors as files, and back: `files` gives all that `poz conformance export` writes,
  path → byte string, always the same; `read-vectors` reads a `vectors.json`.

  The README among them is for implementers who have never seen this code."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.gen :as gen]
   [poz.kit.answer :as answer]
   [poz.kit.scope :as scope]
   [poz.kit.vectors :as vectors]))

(set! *warn-on-reflection* true)

;; ## JSON

(defn- named-file [id] (str "files/" id ".poz"))

(defn- shared-file
  "The path of a file that several vectors use, by its content."
  [b]
  (str "files/shared/" (bytes/->hex (bytes/slice (crypto/sha3-256 b) 0 8)) ".poz"))

(defn- present? [b] (and b (pos? (count b))))

(defn- expect-json [{:keys [status problems problems-vary entries entry-problem warnings]}]
  (cond-> (array-map :status (name status) :problems problems)
    problems-vary (assoc :problems_vary true)
    entries (assoc :entries (mapv name entries))
    entry-problem (assoc :entry_problem (error/code entry-problem))
    warnings (assoc :warnings warnings)))

(defn- vector-json [{:keys [id what section chapter rule question expect]}]
  (let [{:keys [target now held with]} question]
    (cond-> (array-map :id id :what what :section section)
      rule (assoc :chapter chapter :rule (error/code rule))
      true (assoc :target (name target))
      now (assoc :now now)
      true (assoc :file (named-file id))
      (present? held) (assoc :held (shared-file held))
      (seq with) (assoc :with (mapv shared-file with))
      true (assoc :expect (expect-json expect) :question (answer/question->line question)))))

(defn- vector-files [{:keys [id question]}]
  (let [{:keys [file held with]} question]
    (into [[(named-file id) file]]
      (map (juxt shared-file identity))
      (cond-> (vec with) (present? held) (conj held)))))

;; ## README

(defn- target-lines []
  (for [[target {:keys [doc words]}] answer/targets]
    (str "| `" (name target) "` | "
      (str/join " " (map (fn [[word kind]] (str (str/upper-case (name word)) (when (= :rest kind) "…"))) words))
      " | " doc " |")))

(defn- group-lines [vectors]
  (for [[group all] (sort-by key (group-by #(first (str/split (:id %) #"/")) vectors))]
    (str "| `" group "` | " (count all) " | " (count (remove (comp #{:valid} :status :expect) all)) " |")))

(defn- out-of-scope-lines []
  (for [[why errors] (sort-by key (group-by scope/reason (filter scope/reason (keys error/table))))]
    (str "| " (str/join ", " (map #(str "`" (error/code %) "`") (sort errors))) " | " (scope/reasons why) " |")))

(defn- readme [vectors]
  (str/join "\n"
    (concat
      ["# Conformance vectors for POZ v0"
       ""
       "Questions that every implementation of POZ version 0 answers alike. `vectors.json` has them all, `files/` the files in them."
       "Nothing here is random: the same version of the exporter writes the same bytes. Every vector that does not hold breaks exactly"
       "one rule, and is correctly signed over the bad content otherwise, so that a reader that misses the rule finds that it holds."
       ""
       "| group | vectors | that do not hold |" "|---|---|---|"]
      (group-lines vectors)
      [""
       "## A vector"
       ""
       "| field | |" "|---|---|"
       "| `id`, `what` | its name, and what it is in a few words |"
       "| `section` | where the specification tells of it |"
       "| `chapter`, `rule` | the rule that it is about, as `poz rules` lists it |"
       "| `target`, `now`, `file`, `held`, `with` | what is asked, and the files: `held` is what a server or client has already, `with` are records of providers |"
       "| `expect` | `status` (`valid`, `invalid`, `unknown`, `malformed`), `problems` (error codes), for identity entries `entries` (the status of each, in body order, as far as told) and `entry_problem`, for warnings `warnings` (among those given) |"
       "| `question` | the same as one line of the line protocol |"
       ""
       "`status` is what must agree. `problems` must too where a program tells them, unless `problems_vary` (a length that lies, so that"
       "other bytes are read as something they are not). A conflict between what a server holds and what it is sent is `invalid`."
       (str "The clock of a file without one of its own is " gen/now " (2026-11-01).")
       ""
       "## The line protocol"
       ""
       "A program reads questions from standard input, one a line, and writes one line for each to standard output, in order, flushed."
       "A question is words with one space between: a target, then what it takes. Bytes are lower-case hex, times are milliseconds,"
       "and `-` is nothing."
       ""
       "| target | words | |" "|---|---|---|"]
      (target-lines)
      [""
       "An answer is a JSON object on one line, `{\"status\": \"invalid\", \"problems\": [\"chain/serial\"]}`, of which only `status` must be"
       "there, or that one word alone. `entries`, a list of `{\"status\": …}`, tells of identity entries. A target that a program does not"
       "know it answers with `{\"status\": \"unsupported\"}`; such a question counts neither way."
       ""
       "    $ echo 'record 1793491200000 504f' | poz conformance answer"
       "    {\"status\":\"malformed\",\"problems\":[\"format/truncated\"]}"
       ""
       "A program that does not speak it can be asked about files: with `--protocol stdin` or `--protocol file` it is started once for each, and"
       "says by its exit code whether the file holds: 0 valid, 1 invalid, 3 malformed, 4 unknown. The clock is in the environment as `POZ_NOW`."
       ""
       "    poz conformance run --program './mine'                            # line protocol"
       "    poz conformance run --program './mine check {}' --protocol file   # a process for each file"
       "    poz fuzz verify --program './mine'                                # then look for more"
       ""
       "## Errors without a vector"
       ""
       "| errors | why |" "|---|---|"]
      (out-of-scope-lines)
      [""])))

;; ## All

(defn- vectors-json [vectors]
  (str "[\n" (str/join ",\n" (map #(json/write-str (vector-json %) :escape-slash false) vectors)) "\n]\n"))

(defn files
  "All that is exported: path → byte string, sorted."
  []
  (let [vectors (mapv vectors/built vectors/rows)]
    (into (sorted-map "README.md" (bytes/utf8 (readme vectors))
            "vectors.json" (bytes/utf8 (vectors-json vectors)))
      (mapcat vector-files)
      vectors)))

(defn- read-expect [{:keys [status problems problems_vary entries warnings]}]
  (cond-> {:status (keyword status) :problems (vec problems)}
    problems_vary (assoc :problems-vary true)
    entries (assoc :entries (mapv keyword entries))
    warnings (assoc :warnings warnings)))

(defn- read-vector [{:keys [id what section rule question expect]}]
  (let [asked (answer/line->question question)]
    (when-not (error/anomaly? asked)
      {:id id :what what :section section :rule rule :question asked :expect (read-expect expect)})))

(defn read-vectors
  "The vectors in the text of a `vectors.json`; nil where it is none."
  [text]
  (let [found (try (json/read-str text :key-fn keyword) (catch Exception _ nil))
        vectors (when (and (sequential? found) (every? (every-pred map? (comp string? :question) (comp map? :expect)) found))
                  (mapv read-vector found))]
    (when (and (seq vectors) (every? some? vectors)) vectors)))
