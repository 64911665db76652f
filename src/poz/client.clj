(ns poz.client
  "Asking servers and submitting to them (protocol.md §1–§6): several servers in their order, one
  deadline, proof of work where it is asked for, and no answer that was not verified.

    query, query-async    a question → an answer, tied to the question
    submit, submit-async  a submission → what became of it
    smallest-update       a record and what a server holds → what to submit
    servers-of            a verified record → its servers
    mirrors               a subject → who else serves its record

  A *question* is `{:type :subject}`: the type is MASTER and so on as a keyword of
  `poz.format.messages`, with `:from` for CHAIN, `:zones` for ZONES, and no subject for
  CHALLENGE and STATUS. What an answer says is in `poz.client.answer`, what a submission is in
  `poz.client.submission`, what a server is in `poz.client.servers`.

  Failures are anomalies. Where several servers were asked, the most telling one, with
  `:failures [{:server :poz/error :message}]`, each server's in their order. What one server
  answered definitively (NOT_FOUND, REJECTED, CONFLICT, MALFORMED, TOO_LARGE) is not asked of
  another; it has the `:status` that the server gave, and `:problem {:code :message}` or `:held`
  as the server said it.

  The async forms give a CompletableFuture; cancelling it closes connections and ends work."
  (:require
   [poz.bytes :as bytes]
   [poz.client.answer :as answer]
   [poz.client.attempt :as attempt]
   [poz.client.options :as options]
   [poz.client.servers :as servers]
   [poz.client.submission :as submission]
   [poz.error :as error]
   [poz.record :as record]
   [poz.wire :as wire]
   [poz.zone :as zone])
  (:import
   (java.util.concurrent CompletableFuture ExecutionException)))

(set! *warn-on-reflection* true)

(def query-options
  "Option of `query` → `{:doc :default :check :rule :required}`."
  options/query)

(def submit-options
  "Option of `submit` → `{:doc :default :check :rule :required}`."
  options/submission)

;; ## Requests

(defn- update-bytes [{:keys [record]}]
  (if (record/public? record)
    (record/encode (dissoc record :unknown-sections))
    (error/fail! :update/not-public {:path []})))

(defn- in-order [{:keys [zones]}]
  (filterv (set zones) zone/names))

(def ^:private payloads
  "Type of a question or submission → the payload of its request, of the map."
  (let [subject :subject nothing (constantly {})]
    {:master subject
     :identity #(select-keys (:subject %) [:handle])
     :chain #(select-keys % [:subject :from])
     :serial subject
     :record subject
     :zones #(assoc (select-keys % [:subject]) :zones (in-order %))
     :mirrors subject
     :challenge nothing
     :status nothing
     :submit update-bytes
     :submit-request :request
     :request-status :ticket
     :submit-signed update-bytes}))

(def ^:private submissions #{:submit :submit-request :request-status :submit-signed})

(defn- request [{:keys [type] :as asked} {:keys [random]}]
  (error/attempt
    #(let [request {:type type :id (bytes/uint (random 2)) :payload ((payloads type) asked)}]
       (wire/encode-request request)
       request)))

(defn- check-type! [{:keys [type]} known]
  (when-not (known type)
    (throw (IllegalArgumentException. (str "There is no " (pr-str type) " here; known are " (sort known))))))

(defn- to-try
  "`servers` in the order in which to try them for a request of `type`."
  [servers type {:keys [random]}]
  (servers/order (distinct (map #(servers/prepare % type) servers))
    #(/ (double (bytes/uint (random 4))) 4294967296.0)))

(defn- ask
  "The future of what `judge` makes of the answer to `asked`, with filled `options`."
  ^CompletableFuture [{:keys [type] :as asked} {:keys [mirrors] :as options} judge]
  (let [servers (distinct (mapcat #(to-try % type options) [(:servers options) mirrors]))
        request (request asked options)]
    (if (error/anomaly? request)
      (CompletableFuture/completedFuture request)
      (attempt/ask-async servers request options judge))))

(defn- wait
  "The value of `future`. What was thrown there is thrown here; whoever stops waiting cancels it."
  [^CompletableFuture future]
  (try (.get future)
       (catch ExecutionException e (throw (or (.getCause e) e)))
       (finally (.cancel future true))))

;; ## Questions

(def ^:private questions (into #{} (remove submissions) (keys payloads)))

(defn query-async
  "A CompletableFuture of what `query` gives."
  ^CompletableFuture [question given]
  (check-type! question questions)
  (let [options (options/fill options/query given)]
    (ask question options #(answer/check question options (:payload %)))))

(defn query
  "The answer to `question`, verified, with the `:server` that gave it; or an anomaly. Options:
  `query-options`, of which `:servers` and `:now` are required. Waits, so it must not be called
  on an event loop. A wrong argument throws IllegalArgumentException.

      (query {:type :record :subject {:domain \"social.example\"}}
        {:servers [{:host \"poz.social.example\" :encryption :none}] :now 1793491200000
         :expected-hash hash})
      ;=> {:type :record :record {…} :verdict {:outcome :valid …} :proven true :memory {…} …}"
  [question options]
  (wait (query-async question options)))

;; ## Submissions

(defn submit-async
  "A CompletableFuture of what `submit` gives."
  ^CompletableFuture [submission given]
  (check-type! submission submissions)
  (let [options (options/fill options/submission given)]
    (ask submission options
      (fn [{:keys [status payload]}] (submission/check submission options status payload)))))

(defn submit
  "What became of `submission`: `{:status :ok|:accepted|:pending :payload}`, with the `:entry` or the
  `:ticket`, and the `:server`; or an anomaly. Options: `submit-options`, of which `:servers`, all
  with `:noise-nk`, and `:now` are required. Waits, so it must not be called on an event loop.

  It may go to several servers, also where the first took it and did not say so in time: the
  same submission twice does what it does once."
  [submission options]
  (wait (submit-async submission options)))

(defn smallest-update
  "What to submit where the server answered `serials` to SERIAL: of `record` the revisions from the
  server's own on, and the zones that differ. Or the anomaly of a record that does not
  continue what the server holds: `:update/rollback`, `:update/fork`, `:chain/history-missing`."
  [record serials]
  (submission/smallest-update record serials))

;; ## Servers

(defn servers-of
  "The servers that `record`, which is verified, names in its Service Zone, for `type`
  `:poz-query` or `:poz-submit`: also the way to learn a server's key (protocol.md §3)."
  [record type]
  (servers/of-service record type))

(defn mirrors
  "The servers that MIRRORS names for the record of `subject`, to be given as the option `:mirrors`
  of later questions, which go to them where none of `:servers` answers; or an anomaly. Options as
  for `query`. Ask it over Noise of a server whose key a verified record gave, and remember it while
  that server is there: an answer of a mirror is verified like any other, and one that is older
  than what is `:remembered` or `:held` is refused, but a mirror learns who asks for what."
  [subject options]
  (let [found (query {:type :mirrors :subject subject} options)]
    (if (error/anomaly? found) found (servers/of-mirrors (:payload found)))))
