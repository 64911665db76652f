(ns poz.kit.answer
  "What an implementation of POZ is asked, and what ours answers: the questions of the
  conformance vectors and of differential fuzzing, one a line.

  A *question* is `{:target :record :now ms :file bytes :with [bytes]}`; `targets` tells of
  each target what it is given. An *answer* is `{:status :valid|:invalid|:unknown|:malformed
  :problems [\"chain/serial\"] …}`. `answer` answers a question, and a defect of ours is an
  answer too: `{:status :fault}`.

  `question->line`, `line->question`: the words of a question in the order of `targets`,
  bytes as hex, nothing as `-`. `answer->json`, and `json->answer` for what others say."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [poz.auth :as auth]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.error :as error]
   [poz.fork :as fork]
   [poz.format.messages :as messages]
   [poz.identity.issue :as issue]
   [poz.keyring :as keyring]
   [poz.memory :as memory]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.update :as update]
   [poz.verify :as verify]
   [poz.wire :as wire]))

(set! *warn-on-reflection* true)

(def targets
  "Target → what it asks (`:doc`) and its words after the target (`:words`, `[name kind]`)."
  {:record {:doc "Does this file hold? It is binary or text; the files after it are records of providers."
            :words [[:now :number] [:file :bytes] [:with :rest]]}
   :update {:doc "May a server that holds the first record (-: none) take the update?"
            :words [[:now :number] [:held :bytes] [:file :bytes]]}
   :request {:doc "Is this a request that the port of that contract (plain, query, submit) answers?"
             :words [[:contract :word] [:file :bytes]]}
   :response {:doc "Is this a response to a request of that type?"
              :words [[:type :word] [:file :bytes]]}
   :login {:doc "Does this login response hold, for that site, that challenge's nonce and that record?"
           :words [[:now :number] [:site :word] [:nonce :bytes] [:held :bytes] [:file :bytes]]}
   :handle {:doc "Does this request for a handle hold, to the provider with that original hash?"
            :words [[:now :number] [:provider :bytes] [:file :bytes]]}
   :memory {:doc "May the second record be what a server shows now, to a client that saw the first?"
            :words [[:held :bytes] [:file :bytes]]}
   :fork {:doc "Does this text prove a fork?" :words [[:now :number] [:file :bytes]]}
   :secrets {:doc "Does this passphrase (UTF-8) open the Private Key Map of the file?"
             :words [[:passphrase :bytes] [:file :bytes]]}})

;; ## Answers

(defn- code [x] (error/code x))

(def ^:private statuses
  "Category of an anomaly → status."
  {:malformed :malformed :unknown :unknown})

(defn- failed [{:poz/keys [anomaly error] :as a}]
  {:status (statuses anomaly :invalid) :problems [(code error)]
   :where (first (filter keyword? (:path a)))})

(defn- of [x holds]
  (if (error/anomaly? x) (failed x) (holds x)))

(def ^:private fine {:status :valid :problems []})

(defn- judged [{:keys [outcome error] :as judgement}]
  (if (error/anomaly? error)
    (failed error)
    (cond-> {:status outcome :problems (mapv code (rules/problems judgement))}
      (rules/first-break judgement) (assoc :rule (:rule (rules/first-break judgement))))))

(defn- entry-answers [verdict]
  (mapv (fn [{:keys [status error]}] {:status status :problem (code error)})
    (get-in verdict [:zones :identity :entries])))

(defn- verdict-answer [verdict]
  (let [broken (first (remove #(true? (:holds %)) (remove #(= :entry (second (:part %))) (verify/steps verdict))))
        entries (entry-answers verdict)
        warnings (into (sorted-set) (map (comp code :warning)) (:warnings verdict))]
    (cond-> {:status (:outcome verdict) :problems (mapv code (:problems verdict))}
      (seq entries) (assoc :entries entries)
      (seq warnings) (assoc :warnings (vec warnings))
      broken (assoc :rule (:rule broken)))))

(defn- record-answer [{:keys [now file with]}]
  (of (record/parse file)
    (fn [record]
      (verdict-answer (verify/verify record {:now now :providers (mapv record/parse with)})))))

(defn- held-record [held]
  (when-not (or (nil? held) (zero? (count held))) (record/decode held)))

(defn- update-answer [{:keys [now held file]}]
  (of (record/decode file)
    (fn [update]
      (of (update/apply-update (held-record held) update {:now now})
        (constantly fine)))))

(defn- login-answer [{:keys [now site nonce held file]}]
  (of (codec/decode auth/response-codec file)
    (fn [response]
      (of (record/decode held)
        #(judged (auth/check response % (cond-> {:now now :site site} (pos? (count nonce)) (assoc :nonce nonce))))))))

(defn- handle-answer [{:keys [now provider file]}]
  (of (codec/decode issue/request-codec file)
    #(judged (issue/check-request % provider now))))

(defn- memory-answer [{:keys [held file]}]
  (let [[before after] (map #(of (record/decode %) memory/of) [held file])]
    (cond
      (:status before) before
      (:status after) after
      :else (of (memory/remember before after) (constantly fine)))))

(def ^:private answerers
  {:record record-answer
   :update update-answer
   :request (fn [{:keys [contract file]}]
              (of (wire/decode-request file (if contract {:contract contract} {})) (constantly fine)))
   :response (fn [{:keys [type file]}] (of (wire/decode-response file type) (constantly fine)))
   :login login-answer
   :handle handle-answer
   :memory memory-answer
   :fork (fn [{:keys [now file]}] (of (fork/check file now) (constantly fine)))
   :secrets (fn [{:keys [passphrase file]}]
              (of (record/parse file)
                #(of (keyring/open % (bytes/secret passphrase)) (constantly fine))))})

(defn answer
  "Our answer to `question`. Whatever is thrown on the way is the answer `:fault`, with `:error`,
  what was thrown."
  [{:keys [target] :as question}]
  (try ((answerers target) question)
       (catch Throwable t
         {:status :fault :problems ["fault/internal"] :error t})))

;; ## Lines

(defn- word [kind v]
  (case kind
    :bytes (if (or (nil? v) (zero? (count v))) "-" (bytes/->hex v))
    :number (str v)
    :word (if (nil? v) "-" (name v))))

(defn question->line
  "`question` as one line, without its end."
  [{:keys [target] :as question}]
  (str/join " "
    (cons (name target)
      (mapcat (fn [[key kind]]
                (if (= :rest kind) (map bytes/->hex (get question key)) [(word kind (get question key))]))
        (:words (targets target))))))

(defn- hex [s]
  (if (= "-" s)
    bytes/empty
    (when (re-matches #"(?:[0-9a-f]{2})+" s) (bytes/hex-> s))))

(def ^:private word-values
  "Words that are no strings: contracts and types of requests."
  {:contract (into {} (map (juxt (comp name :contract) :contract)) messages/ports)
   :type (into {} (map (juxt (comp name :type) :type)) messages/requests)})

(defn- word-value [key s]
  (cond
    (= "-" s) nil
    (word-values key) (get-in word-values [key s] ::none)
    :else s))

(defn- read-word [[key kind] s]
  (case kind
    :bytes (if-let [b (hex s)] b ::none)
    :number (or (parse-long s) ::none)
    :word (word-value key s)))

(defn- unreadable [why]
  (error/anomaly :cli/usage {:message why}))

(defn line->question
  "The question in `line`, or the anomaly `:cli/usage` of a line that is none."
  [line]
  (let [[target & words] (str/split (str/trim line) #" +")
        {specs :words} (targets (keyword target))
        fixed (remove #(= :rest (second %)) specs)
        others (map hex (drop (count fixed) words))
        values (map read-word fixed words)]
    (cond
      (nil? specs) (unreadable (str "there is no target " target))
      (< (count words) (count fixed)) (unreadable (str target " takes " (str/join ", " (map (comp name first) specs))))
      (some #{::none} values) (unreadable (str "a word of the question cannot be read"))
      (some nil? others) (unreadable "a word of the question is not hex")
      (and (seq others) (= (count fixed) (count specs))) (unreadable "too many words")
      :else (cond-> (into {:target (keyword target)} (map vector (map first fixed) values))
              (seq others) (assoc :with (vec others))))))

(defn answer->json
  "`answer` as one line of JSON, without its end."
  [{:keys [status problems entries warnings]}]
  (json/write-str
    (cond-> (array-map :status (name status) :problems problems)
      entries (assoc :entries (mapv #(update % :status name) entries))
      warnings (assoc :warnings warnings))
    :escape-slash false))

(def ^:private spoken #{"valid" "invalid" "unknown" "malformed"})

(defn- strings? [x] (and (sequential? x) (every? string? x)))

(defn json->answer
  "What another implementation answered in `line`: JSON as `answer->json` writes it, of which
  only `status` must be there, or that word alone. nil where it is neither."
  [line]
  (let [line (str/trim line)
        found (if (spoken line) {"status" line} (try (json/read-str line) (catch Exception _ nil)))]
    (when (and (map? found) (spoken (get found "status"))
            (or (nil? (get found "problems")) (strings? (get found "problems"))))
      (cond-> {:status (keyword (get found "status"))}
        (get found "problems") (assoc :problems (vec (get found "problems")))
        (sequential? (get found "entries"))
        (assoc :entries (mapv #(if (map? %) {:status (keyword (str (get % "status")))} {:status (keyword (str %))}) (get found "entries")))))))
