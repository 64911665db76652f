(ns poz.mirror.plan-test
  "What is asked about a record, and what is made of the answers."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.client.answer :as answer]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.master :as master]
   [poz.memory :as memory]
   [poz.mirror.plan :as plan]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def ^:private t0 (long h/t0))
(def ^:private options {:now (+ t0 1000000)})

(def ^:private alice (h/person "alice"))
(def ^:private served (h/serving alice 443 (+ t0 1000)))
(def ^:private served-again (h/serving served 444 (+ t0 2000)))

(defn- public [{:keys [record]}] (record/public-view record))
(defn- hash-of [{:keys [record]}] (h/hash-of record))

(defn- revised
  "`person` after a revision with these `changes`."
  [{:keys [record secret] :as person} changes]
  (assoc person :record
    (merge record (master/finish (master/sign (master/draft record changes) 0 secret)))))

(defn- file
  "What a server with the person's record answers to `question`."
  [{:keys [type from zones]} person]
  (let [record (public person) base [:public-key-map :master-zone :zone-history]]
    (record/encode
      (case type
        :record record
        :zones (select-keys record (into base (mapcat (juxt zone/authority-key zone/zone-key)) zones))
        :chain (let [history (filterv #(<= (long from) (long (:serial %))) (:zone-history record))]
                 (cond-> (dissoc (select-keys record base) :zone-history)
                   (seq history) (assoc :zone-history history)))))))

(defn- reply [question person]
  (if (= :serial (:type question)) (memory/of (public person)) (file question person)))

(defn- pull
  "`[types outcome]` of the pull of the person's record, which is held as `held`, from a server
  that answers `(answers question)`."
  [held answers]
  (loop [pull (plan/begin {:hash (hash-of alice)} (some-> held public)) types []]
    (if-let [{:keys [type] :as question} (plan/next-question pull)]
      (let [found (answers question)
            answer (if (error/anomaly? found) found
                       (answer/check question (cond-> options (:record pull) (assoc :held (:record pull))) found))]
        (recur (plan/answered pull question answer) (conj types type)))
      [types (plan/outcome pull)])))

(defn- from [person] #(reply % person))

(deftest what-is-asked
  (let [next-revision (revised alice {:timestamp (+ t0 500)})
        both (h/serving next-revision 443 (+ t0 1000))]
    (are [held there types outcome] (let [[asked found] (pull held (from there))]
                                      (and (= [types outcome] [asked (:outcome found)])
                                        (= (public there) (:record found))))
      nil alice [:record] :new
      nil both [:record] :new
      alice alice [:serial] :unchanged
      both both [:serial] :unchanged
      alice next-revision [:serial :chain] :updated
      alice served [:serial :record] :updated
      served served-again [:serial :record] :updated
      alice served-again [:serial :record] :updated
      alice both [:serial :record] :updated)))

(deftest what-came-whole-has-its-bytes
  (let [of (fn [held answers] (:bytes (second (pull held answers))))
        b (record/encode (public served))
        more (record/encode (assoc (public served) :unknown-sections (sorted-map 96 (bytes/hex-> "01"))))]
    (is (= b (of nil (constantly b))))
    (is (= b (of alice (from served))) "nothing that was held is missing there")
    (is (nil? (of nil (constantly more))) "not what is left out of it")
    (is (nil? (of alice (from (revised alice {:timestamp (+ t0 500)})))) "nor what was put together")))

(deftest a-fallen-zone-is-kept-and-got
  (let [held served
        changed (revised served {:timestamp (+ t0 5000)
                                 :delegations (mapv #(assoc % :grant 99) (get-in served [:record :master-zone :delegations]))})
        without (fn [{:keys [type] :as q}]
                  (if (= :record type)
                    (record/encode (dissoc (public changed) :service-zone :service-authority))
                    (reply q changed)))]
    (testing "CHAIN is enough where it is held"
      (let [[asked {:keys [record]}] (pull held without)]
        (is (= [:serial :chain] asked))
        (is (= (public changed) record))))
    (testing "where it is not, ZONES"
      (let [[asked {:keys [record]}] (pull alice without)]
        (is (= [:serial :record :zones] asked))
        (is (= (public changed) record))))
    (testing "and a record that is new comes without, until it is checked"
      (is (= [:record] (first (pull nil without))))
      (let [[_ {:keys [record]}] (pull nil without)]
        (is (= [:serial :record :zones] (first (pull {:record record} without))))))))

(deftest what-contradicts-is-refused
  (let [one (revised alice {:timestamp (+ t0 500)}) other (revised alice {:timestamp (+ t0 501)})
        longer (revised other {:timestamp (+ t0 600)})
        deep (revised one {:timestamp (+ t0 550)}) deep-other (revised longer {:timestamp (+ t0 700)})]
    (are [held there asked error] (let [[types found] (pull held (from there))] (= [asked error] [types (:poz/error found)]))
      one alice [:serial] :memory/rollback
      served-again served [:serial] :memory/rollback
      one other [:serial :chain] :memory/fork
      one longer [:serial :chain] :memory/fork
      deep deep-other [:serial :chain :record] :memory/fork
      served (h/serving alice 444 (+ t0 1000)) [:serial :record] :memory/fork)
    (testing "the other record is there, as evidence"
      (is (= (public longer) (record/public-view (:record (second (pull one (from longer))))))))
    (testing "what is only said is not believed"
      (let [lying (fn [held said] (pull held #(if (= :serial (:type %)) said (reply % held))))]
        (is (= :mirror/incomplete (:poz/error (second (lying one (update (memory/of (public one)) :serial inc))))))
        (is (= :mirror/incomplete (:poz/error (second (lying one (assoc (memory/of (public one)) :current-master-hash (bytes/zeros 32)))))))
        (is (= [:serial :record :zones]
              (first (lying served (update-in (memory/of (public served)) [:zones 0 :grant] inc)))))))
    (testing "a server that fails"
      (is (= :net/timeout (:poz/error (second (pull one (constantly (error/anomaly :net/timeout))))))))))

(deftest a-direct-successor-keeps-the-rules
  (let [two (-> (:record served)
              (change/grant :service {:timestamp (+ t0 2000)
                                      :add [{:name "more" :type :https
                                             :hosts [{:hostname "example.org" :port 1 :transport :tcp :encryption :tls :priority 0 :weight 0}]}]})
              (change/sign :service :grant 0 (:secret served)))
        denied (-> two
                 (change/deny :service [{:target (zone/entry-hash :service (first (zone/entries :service (:service-zone two)))) :reason :retired}]
                   {:timestamp (+ t0 3000)})
                 (change/sign :service :deny 0 (:secret served)))
        deny-of (fn [times] (reduce (fn [p t] (assoc p :record t)) served times))]
    (testing "a deny, then a grant that replaces what was denied: held in between or not"
      (is (= :updated (:outcome (second (pull {:record two} (from (deny-of [denied])))))))
      (is (= :updated (:outcome (second (pull served (from (deny-of [denied]))))))))
    (testing "a grant dated before what it replaces verifies by itself, and follows nothing"
      (let [early (assoc-in (:record served-again) [:service-zone :grant :timestamp] (+ t0 900))
            hashes (signing/key-hashes (:public-key-map early))
            {:keys [message]} (zone/grant-statement early :service (zone/sections early :service) hashes)
            signed (assoc-in early [:service-zone :grant :signatures]
                     (signing/sign [] (:public-key-map early) message 0 (:secret served)))]
        (is (= :new (:outcome (second (pull nil (from {:record signed}))))))
        (is (= :update/grant-timestamp (:poz/error (second (pull served (from {:record signed}))))))))))

(deftest backing-off
  (let [none (constantly (bytes/zeros 1)) most (constantly (bytes/wrap (byte-array [-1])))]
    (is (= [250 500 1000 30000 30000] (map #(plan/back-off % nil none) [0 1 2 10 1000])))
    (is (= [499 998 59882] (map #(plan/back-off % nil most) [0 1 1000])))
    (is (= 7000 (plan/back-off 0 7000 none)) "what a busy server asks for is the least")))

(deftest a-record-by-another-name
  (let [onto (fn [there held] (plan/onto {:subject {:domain "social.example"} :record (public there)} (public held)))
        outcome #(plan/outcome (onto %1 %2))]
    (is (= [:updated (public served)] ((juxt :outcome :record) (outcome served alice))))
    (is (= [:updated (public alice)] ((juxt :outcome :record) (outcome alice alice))) "for its handles")
    (is (= :memory/rollback (:poz/error (outcome served served-again))))
    (is (= :memory/fork (:poz/error (outcome (revised alice {:timestamp (+ t0 500)}) (revised alice {:timestamp (+ t0 501)})))))
    (is (= (hash-of alice) (get-in (onto served alice) [:subject :hash])))))
