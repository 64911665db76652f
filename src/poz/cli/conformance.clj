(ns poz.cli.conformance
  "`poz conformance run|export|answer`: the conformance vectors put to a program, written to a folder,
  and questions answered."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.files :as files]
   [poz.error :as error]
   [poz.kit.answer :as answer]
   [poz.kit.examine :as examine]
   [poz.kit.export :as export]
   [poz.kit.program :as program]
   [poz.kit.vectors :as vectors]
   [poz.view.text :as text]))

(set! *warn-on-reflection* true)

(defn- usage [command & words]
  (error/anomaly :cli/usage {:message (apply str "poz conformance " command ": " words)}))

;; ## run

(defn- given-vectors [folder env]
  (if folder
    (let [file (str folder "/vectors.json") b (files/read-file file (:in env))]
      (cond
        (error/anomaly? b) b
        :else (or (export/read-vectors (String. (bytes/->array b) "UTF-8"))
                (usage "run" file " holds no conformance vectors"))))
    (map vectors/built vectors/rows)))

(defn- table-lines [table]
  (for [[group & counts] (cons ["" "passed" "failed" "unsupported"] table)]
    (str (text/pad group 12) (str/join (map #(text/pad (str %) 8) counts)))))

(defn- result-json [{:keys [id outcome section expect got]}]
  {:id id :outcome outcome :section section :expected (:status expect) :got (or (:status got) (:kind got)) :problems (:problems got)})

(defn- told [results]
  (let [table (examine/table results)
        [_ passed failed _] (peek table)]
    {:exit (if (and (zero? (long failed)) (pos? (long passed))) 0 1)
     :out (concat (mapcat examine/failure-lines (filter #(= :failed (:outcome %)) results))
            (table-lines table)
            [(str passed " passed, " failed " failed")])
     :json (conj (mapv result-json results) {:passed passed :failed failed})}))

(defn run
  "What `poz conformance run` does: see its row in `poz.cli.kit`."
  [{[folder] :args {:keys [program protocol timeout codes]} :options :keys [env]}]
  (let [vectors (given-vectors folder env)]
    (if (error/anomaly? vectors)
      vectors
      (let [{:keys [ask stop]} (if program
                                 (program/start program {:protocol (keyword protocol) :timeout (* 1000 (long timeout))})
                                 {:ask answer/answer :stop (constantly nil)})]
        (try (told (vec (examine/results vectors ask codes)))
             (finally (stop)))))))

;; ## export

(defn- folder-of [path]
  (subs path 0 (max 0 (str/last-index-of path "/"))))

(defn export
  "What `poz conformance export` does: see its row in `poz.cli.kit`."
  [{[folder] :args {:keys [force]} :options :keys [env]}]
  (let [all (export/files) folders (distinct (map #(folder-of (str folder "/" %)) (keys all)))]
    (or (first (keep files/make-folder! folders))
      (first (keep (fn [[name b]] (files/write-file! (str folder "/" name) b (:stdout env) {:force force})) all))
      {:exit 0 :out [(str "wrote " (count vectors/rows) " vectors to " folder)]
       :json [{:folder folder :vectors (count vectors/rows) :files (count all)}]})))

;; ## answer

(defn- line-answer [line]
  (let [question (answer/line->question line)]
    (if (error/anomaly? question)
      (str "{\"status\":\"unsupported\",\"problems\":[\"" (error/code (:poz/error question)) "\"]}")
      (answer/answer->json (answer/answer question)))))

(defn answer
  "What `poz conformance answer` does: see its row in `poz.cli.kit`."
  [{:keys [env]}]
  (loop []
    (let [line (files/read-line! (:in env))]
      (cond
        (nil? line) {:exit 0}
        (error/anomaly? line) line
        :else (do (files/write-file! "-" (bytes/utf8 (str (line-answer line) "\n")) (:stdout env) {})
                  (recur))))))
