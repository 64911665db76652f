(ns poz.integration.soak-test
  "10,000 mixed requests by 64 clients at a time on all three ports, each answer held against a
  model of what may be held at that time.

  A *subject* is a record that changes along a *line*: its `:states` in order, each a list of
  the records that may be its state then: one, two where rivals race, nil before there is
  one. Its model says between which two of them the server must be, `:low` (something was
  answered that proves it) and `:high` (nobody has sent a later one), and which of the rivals
  has `:won`. An answer must be of a state from `:low` when it was asked for to `:high` when
  it came; it then proves more to whoever asks after that."
  (:require
   [clojure.java.io :as io]
   [clojure.test :refer [deftest is]]
   [poz.authority :as authority]
   [poz.authority.answers :as answers]
   [poz.authority.operator :as operator]
   [poz.authority.server :as server]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format.messages :as messages]
   [poz.identity.issue :as issue]
   [poz.memory :as memory]
   [poz.net :as net]
   [poz.record :as record]
   [poz.served :as served]
   [poz.store :as store]
   [poz.store.sqlite :as sqlite]
   [poz.verdicts :as v]
   [poz.wire :as wire]
   [poz.zone :as zone]
   [poz.zone.change :as change])
  (:import
   (java.io File)
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)
   (java.util Collections List Random)
   (java.util.concurrent ExecutorService Executors Future)))

(set! *warn-on-reflection* true)

(def ^:private requests 10000)
(def ^:private clients 64)
(def ^:private lines 32)
(def ^:private length "of a line, in updates" 16)
(def ^:private flows "handles that are asked for, five requests each" 100)

(def ^:private now (+ v/start 100000000))

;; Records

(defn- labels [name] [name (str name "'")])

(defn- genesis [name]
  (v/genesis (labels name) [[1 0 100] [2 1 100]] [[:identity 0 100 100] [:auth 0 100 100] [:service 0 100 100]] [0]))

(defn- signed [record name zone part]
  (change/sign record zone part 0 (v/secret name)))

(defn- granted [record name zone entry timestamp]
  (signed (change/grant record zone {:timestamp timestamp :add [entry]}) name zone :grant))

(defn- denied [record name zone timestamp]
  (let [target (zone/entry-hash zone (last (zone/entries zone (:zone (zone/sections record zone)))))]
    (signed (change/deny record zone [{:target target :reason :retired}] {:timestamp timestamp}) name zone :deny)))

(defn- step
  "The record after its update `i`."
  [record name i]
  (let [t (+ v/start (* 1000 (long i)))]
    (case (int (mod i 4))
      0 (v/revise record (labels name) {:timestamp t} [0])
      1 (granted record name :service (v/service (str "service " i)) t)
      2 (denied record name :service t)
      3 (granted record name :auth {:id i :keys [0 1]} t))))

(defn- subject [states known]
  (merge {:model (atom {:low 0 :high 0 :states states})} known))

(defn- forge
  "`record` with a signature under its Service Zone that is none."
  [record]
  (update-in record [:service-zone :grant :signatures 0 :signature]
    #(bytes/concat (bytes/slice % 1) (bytes/slice % 0 1))))

(defn- line
  "The subject number `n`: a line that ends with two rivals, and beside them a forgery."
  [n]
  (let [name (str "line " n)
        records (vec (reductions #(step %1 name %2) (genesis name) (range 1 length)))
        end #(record/public-view (granted (peek records) name :service (v/service %) (+ v/start 1000000)))]
    (subject (conj (mapv (comp vector record/public-view) records) [(end "left") (end "right")])
      {:hash (record/original-hash (first records)) :forged (forge (end "forged"))})))

(def ^:private provider
  (signed (change/grant (genesis "provider") :identity {:timestamp (+ v/start 1000)}) "provider" :identity :grant))

(def ^:private provider-hash (record/original-hash provider))

(defn- newcomer
  "The subject number `n` of those who ask for a handle: it has no record here yet."
  [n]
  (let [name (str "newcomer " n)]
    (subject [[nil]] {:name name :record (genesis name) :hash (record/original-hash (genesis name))
                      :handle {:domain "social.example" :path (if (even? n) [] ["hold"]) :handle (str "n" n)}})))

;; The model

(defn- win [{:keys [won] :as model} record]
  (if won model (assoc model :won record)))

(defn- candidates
  "`[index record]` of what may be held, from the state `low` on."
  [{:keys [states high won]} low]
  (for [i (range low (inc (long high))), record (states i)
        :when (or (nil? won) (= 1 (count (states i))) (= won record))]
    [i record]))

(defn- proved!
  "Notes that the state of the subject was one of `found`, `[[index record] …]`, and gives nil; or
  what is wrong with that."
  [{:keys [model]} found]
  (let [[[i record] & others] found]
    (if (nil? i)
      "no state that the record had"
      (let [rival? (and (empty? others) (< 1 (count ((:states @model) i))))
            after (swap! model (fn [m] (cond-> (update m :low max i) rival? (win record))))]
        (when (and rival? (not= record (:won after)))
          "two rivals have won")))))

(defn- about-to-send! [{:keys [model]} i]
  (swap! model update :high max i))

;; Asking

(defn- ask!
  "The response to a request of `contract`."
  [{:keys [servers asked]} contract {:keys [type] :as request}]
  (let [id (bit-and 0xffff (long (swap! asked inc)))
        b (net/exchange (assoc (servers contract) :deadline-ms 60000) (wire/encode-request (assoc request :id id)))
        response (if (error/anomaly? b) b (wire/decode-response b type))]
    (if (= id (:id response)) response (assoc response :status [:unusable (:status response) (:poz/error response)]))))

(defn- wrong! [{:keys [wrong]} what & facts]
  (swap! wrong conj (into [what] facts)))

(defn- expect!
  "Notes a wrong answer unless its status is `status` and its payload passes `fits?`."
  ([world what response status] (expect! world what response status any?))
  ([world what {:keys [payload] :as response} status fits?]
   (when-not (and (= status (:status response)) (fits? payload))
     (wrong! world what (:status response) payload))))

;; Queries

(def ^:private base [:public-key-map :master-zone :zone-history])

(defn- chain-from [record from]
  (let [history (filterv #(<= (long from) (long (:serial %))) (:zone-history record))]
    (cond-> (dissoc (select-keys record base) :zone-history)
      (seq history) (assoc :zone-history history))))

(defn- zone-sections [zones] (mapcat (juxt zone/authority-key zone/zone-key) zones))

(defn- told
  "What the query is to be told of `record`, nil where that is NOT_FOUND."
  [record {:keys [type from zones]}]
  (when record
    (case type
      :master (select-keys record base)
      :chain (chain-from record from)
      :serial (memory/of record)
      :record record
      :zones (select-keys record (into base (zone-sections zones)))
      :identity (when (:identity-zone record) (select-keys record (into base (zone-sections [:identity])))))))

(defn- payload [{:keys [type from zones by]} {:keys [hash handle]}]
  (let [subject (if (and handle (= :handle by)) {:handle handle} {:hash hash})]
    (case type
      :chain {:subject subject :from from}
      :zones {:subject subject :zones zones}
      :identity {:handle handle}
      subject)))

(defn- heard [{:keys [status payload]} type]
  (case status
    :ok (if (= :serial type) payload (record/decode payload))
    :not-found nil
    [:unexpected status payload]))

(defn- query! [world {:keys [model] :as subject} {:keys [contract type] :as query}]
  (let [low (:low @model)
        response (ask! world contract {:type type :payload (payload query subject)})
        answer (heard response type)]
    (when-let [fault (proved! subject (filter (fn [[_ record]] (= answer (told record query))) (candidates @model low)))]
      (wrong! world query fault (:status response)))))

;; Submissions

(defn- update-request [type record] {:type type :payload (record/encode record)})

(defn- part-of?
  "True if all that the update `record` says is so in `held`."
  [record held]
  (let [[update held] (map memory/of [record held])]
    (and (= (dissoc update :zones) (dissoc held :zones))
         (every? (set (:zones held)) (:zones update)))))

(defn- judge-update!
  "Holds the answer to the update `record` against the model: it tells what is held, a state from
  `low` on, and is OK if the update is part of that, else CONFLICT."
  [world subject {:keys [status payload]} low record]
  (let [held (filter (fn [[_ record]] (= payload (memory/of record))) (candidates @(:model subject) low))
        ok? (some (fn [[_ held]] (part-of? record held)) held)
        fault (if (= status (if ok? :ok :conflict)) (proved! subject held) "the wrong status")]
    (when fault
      (wrong! world "an update" fault status payload))))

(defn- submit!
  "Submits what follows the oldest state that may be held: afterwards that is held, or a later one."
  [world {:keys [model] :as subject} rival]
  (let [{:keys [low states won]} @model
        i (min (inc (long low)) (dec (count states)))
        record (or (when (= i low) won) (nth (states i) (min (long rival) (dec (count (states i))))))]
    (about-to-send! subject i)
    (judge-update! world subject (ask! world :submit (update-request :submit record)) i record)))

(defn- submit-late!
  "Submits a state that was left behind, one of a quarter of them, or that may be held still."
  [world {:keys [model] :as subject} quarter]
  (let [{:keys [low states]} @model
        record (first (states (quot (* (long low) (long quarter)) 4)))]
    (judge-update! world subject (ask! world :submit (update-request :submit record)) low record)))

(defn- submit-forged! [world {:keys [forged]}]
  (let [{:keys [status payload]} (ask! world :submit (update-request :submit forged))]
    (when-not (contains? #{:rejected :conflict} status)
      (wrong! world "a forgery" status payload))))

;; Handles

(defn- request-by [{:keys [name record]} handle]
  {:type :submit-request
   :payload (-> (issue/request record handle now bytes/empty)
              (issue/sign-request record provider-hash 0 (v/secret name)))})

(defn- entry-for? [{:keys [hash handle]}]
  #(= [hash (:handle handle)] [(:user-poz-hash %) (:user-handle %)]))

(defn- asked-and-issued!
  "The entry that `subject` gets at once, and nobody else."
  [world {:keys [handle] :as subject} rival]
  (let [{entry :payload :as response} (ask! world :submit (request-by subject handle))]
    (expect! world "a request" response :ok (entry-for? subject))
    (expect! world "a rival's request" (ask! world :submit (request-by rival handle)) :conflict nil?)
    (expect! world "a request again" (ask! world :submit (request-by subject handle)) :ok #(= entry %))
    entry))

(defn- held-and-issued!
  "The entry that `subject` gets once the operator has approved."
  [{:keys [store config] :as world} {:keys [handle] :as subject}]
  (let [{ticket :payload :as response} (ask! world :submit (request-by subject handle))
        status #(ask! world :submit {:type :request-status :payload ticket})]
    (expect! world "a request to hold" response :pending)
    (expect! world "a request that is held" (status) :pending #(= ticket %))
    (when (error/anomaly? (operator/approve! store config ticket now))
      (wrong! world "the operator's decision"))
    (let [{entry :payload :as response} (status)]
      (expect! world "a request that was approved" response :ok (entry-for? subject))
      entry)))

(defn- flow! [world {:keys [name record handle model] :as subject} rival]
  (let [entry (if (= [] (:path handle)) (asked-and-issued! world subject rival) (held-and-issued! world subject))
        record (record/public-view (signed (issue/accept record entry now) name :identity :grant))]
    (swap! model update :states conj [record])
    (about-to-send! subject 1)
    (let [response (ask! world :submit (update-request :submit-signed record))]
      (expect! world "a signed update" response :accepted #(= (memory/of record) %))
      (proved! subject [[1 record]]))
    (query! world subject {:contract :query :type :identity})))

;; Everything else

(def ^:private mirrors [{:hostname "mirror.example" :port 7075 :encryption :noise-nk :public-key (bytes/zeros 32)}])

(def ^:private others
  "What is answered always in the same way: contract, request, status, payload."
  [[:plain {:type :mirrors :payload {:domain "social.example"}} :ok #(= mirrors %)]
   [:query {:type :challenge :payload {}} :ok #(= [0 16] [(:difficulty %) (count (:challenge %))])]
   [:submit {:type :status :payload {}} :ok #(= now (:time %))]
   [:plain {:type :master :payload {:domain "social.example"}} :ok #(= provider-hash (record/original-hash (record/decode %)))]
   [:query {:type :record :payload {:hash (bytes/zeros 32)}} :not-found any?]
   [:plain {:type :serial :payload {:domain "other.example"}} :not-found any?]
   [:plain {:type :submit :payload (record/encode provider)} :unsupported any?]
   [:submit {:type :record :payload {:hash provider-hash}} :unsupported any?]
   [:submit {:type :submit :payload (bytes/utf8 "no record")} :malformed any?]
   [:submit (update-request :submit (record/public-view (genesis "alien"))) :rejected any?]
   [:submit {:type :request-status :payload (bytes/zeros 16)} :not-found any?]
   [:submit (request-by {:name "alien" :record (genesis "alien")} {:domain "social.example" :path ["no"] :handle "x"}) :rejected
    #(= "policy/refused" (:code %))]])

(defn- policy [{[_ path _] :address}]
  (case (first path) "hold" :hold "no" {:reject "no"} :approve))

;; The plan

(defn- pick [^Random random xs]
  (nth xs (.nextInt random (count xs))))

(defn- a-query [random subjects]
  (let [{:keys [handle] :as subject} (pick random subjects)
        type (pick random (cond-> [:master :chain :serial :record :zones] handle (conj :identity)))
        query {:type type
               :contract (pick random (cond-> [:plain :query] (= :serial type) (conj :submit)))
               :by (pick random [:hash :handle])
               :from (pick random [1 2 4])
               :zones (pick random [[:service] [:auth :service] [:identity]])}]
    #(query! % subject query)))

(defn- a-request [^Random random subjects lines]
  (let [n (.nextInt random 100) subject (pick random lines) choice (.nextInt random 4)]
    (cond
      (< n 65) (a-query random subjects)
      (< n 83) #(submit! % subject (quot choice 2))
      (< n 88) #(submit-late! % subject choice)
      (< n 91) #(submit-forged! % subject)
      :else (let [[contract request status fits?] (pick random others)]
              #(expect! % request (ask! % contract request) status fits?)))))

(defn- plan
  "All that is done, in some order: functions of the world."
  [^Random random lines newcomers]
  (let [subjects (into lines newcomers)
        flowing (map (fn [subject] #(flow! % subject (first newcomers))) (rest newcomers))
        single (repeatedly (- (long requests) (* 5 (count flowing))) #(a-request random subjects lines))
        all (vec (concat flowing single))]
    (doto (java.util.ArrayList. ^List all)
      (Collections/shuffle random))))

;; The soak

(defn- run-all! [world jobs]
  (let [^ExecutorService pool (Executors/newFixedThreadPool clients)]
    (try (run! #(.get ^Future %) (.invokeAll pool (mapv (fn [job] ^Callable #(job world)) jobs)))
         (finally (.shutdownNow pool)))))

(defn- done? [{:keys [model]}]
  (let [{:keys [low states]} @model] (= low (dec (count states)))))

(def ^:private cache-bytes
  "Too little for all ready-made answers, so that some are thrown out."
  200000)

(defn- soak! [store seed]
  (let [all (mapv line (range lines))
        newcomers (mapv newcomer (range (inc (long flows))))
        config {:provider provider-hash :ring {0 (v/secret "provider")} :domains {"social.example" provider-hash}
                :mirrors mirrors :software "soak" :policy policy}
        server (server/server {:store store :config config :answers (answers/answers {:bytes cache-bytes})
                               :secret (bytes/secret (bytes/zeros 32)) :load (constantly 0) :now (constantly now)
                               :random crypto/random-bytes :on-error #(is (nil? %))})
        world {:store (:store server) :config config :asked (atom 0) :wrong (atom [])}]
    (is (= #{true} (into #{} (map #(authority/install! store % now))
                     (cons provider (map #(ffirst (:states @(:model %))) all)))))
    (served/with-servers (map :contract messages/ports)
      {:handler #(server/handle server %) :ready #(server/ready server %) :limits {:connections-per-address 1000 :exchange-ms 60000 :idle-ms 60000}}
      (fn [servers]
        (let [world (assoc world :servers servers)]
          (run-all! world (plan (Random. seed) all newcomers))
          (is (= requests @(:asked world)))
          (is (every? done? (concat all (rest newcomers))) "every line came to its end")
          (run! #(query! world % {:contract :query :type :record}) (concat all newcomers))
          (is (= [] @(:wrong world)) (str "seed " seed)))))))

(deftest nothing-is-answered-wrong-out-of-memory
  (soak! (store/memory) 1))

(deftest nothing-is-answered-wrong-out-of-sqlite
  (let [folder (.toFile (Files/createTempDirectory "poz-soak" (make-array FileAttribute 0)))]
    (try (with-open [store (sqlite/open (str (io/file folder "store")))]
           (soak! store 2))
         (finally (run! File/.delete (reverse (file-seq folder)))))))
