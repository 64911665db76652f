(ns poz.discover.report-test
  "What the findings of the sources amount to, by each policy."
  (:require
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check :as tc]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.discover.report :as report]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

(defn- hash-of [n] (bytes/hex-> (apply str (repeat 32 (str n "0")))))
(def ^:private a (hash-of 1))
(def ^:private b (hash-of 2))

(def ^:private absent {:status :absent :because "nothing"})
(def ^:private failed {:status :failed :error (error/anomaly :discover/dns)})
(defn- names [h & servers] (cond-> {:status :present :hash h} servers (assoc :servers (vec servers))))
(def ^:private server {:host "poz.example" :port 7075 :priority 0 :weight 0})

(defn- reported
  "The report of findings by source, those left out absent."
  ([findings] (reported findings :default []))
  ([findings policy required]
   (report/report "social.example"
     (for [s (concat [:txt :well-known :srv :submit-srv] (when (:pin findings) [:pin]))]
       (merge {:source s :at 1 :took-ms 0} (get findings s absent)))
     {:at 1 :took-ms 2 :policy (report/policy policy required)})))

(defn- outcome [& args]
  (let [{:poz/keys [error] :keys [hash]} (report/verdict (apply reported args))]
    (or error hash)))

(deftest who-names-what
  (are [expected findings] (= expected (outcome findings))
    a {:txt (names a)}
    a {:well-known (names a)}
    a {:txt (names a) :well-known (names a)}
    a {:txt (names a) :well-known failed :srv failed}
    a {:txt (names a) :pin (names a)}
    :discover/conflict {:txt (names a) :well-known (names b)}
    :discover/conflict {:txt {:status :present :hashes [a b]}}
    :discover/conflict {:txt {:status :present :hashes [a b]} :well-known (names a)}
    :discover/conflict {:txt (names a) :pin (names b)}
    :discover/policy {}
    :discover/policy {:pin (names a)}
    :discover/policy {:srv {:status :present :servers [server]}}
    :discover/dns {:txt failed}
    :discover/bogus {:txt (assoc failed :dnssec :bogus) :well-known (names a)}
    :discover/bogus {:srv (assoc failed :dnssec :bogus) :well-known (names a)}))

(deftest policies
  (are [expected findings policy required] (= expected (outcome findings policy required))
    a {:txt (names a) :well-known (names a)} :both []
    :discover/policy {:txt (names a)} :both []
    :discover/dns {:txt failed :well-known (names a)} :both []
    nil {} :any []
    :discover/conflict {:txt (names a) :well-known (names b)} :any []
    :discover/policy {:txt (names a)} :default [:well-known]
    :discover/dns {:txt (names a) :srv failed} :default [:srv]
    a {:txt (names a) :srv {:status :present :servers [server]}} :default [:srv :txt]
    a {:txt (names a)} {:agree 1 :may-be-absent #{:well-known :srv :submit-srv} :may-fail #{}} []
    :discover/dns {:txt (names a) :srv failed} {:agree 1 :may-be-absent #{:well-known :submit-srv} :may-fail #{}} [])
  (are [policy required] (thrown? IllegalArgumentException (report/policy policy required))
    :nope [], :default [:nope], {:agree 3 :may-be-absent #{} :may-fail #{}} [], {} [], {:agree 1} []
    {:agree 1 :may-be-absent #{:x} :may-fail #{}} [])
  (doseq [[k {:keys [doc]}] report/policies]
    (is (string? doc))
    (is (= #{:agree :may-be-absent :may-fail} (set (keys (report/policy k [])))))))

(deftest a-conflict-says-who-said-what
  (let [{:keys [message report] :poz/keys [anomaly]} (report/verdict (reported {:txt (names a) :well-known (names b)}))]
    (is (= :conflict anomaly))
    (is (= (str "the sources name different records: txt names " (bytes/->hex a) "; well-known names " (bytes/->hex b)) message))
    (is (= [[:txt false] [:well-known false] [:srv nil] [:submit-srv nil]] (map (juxt :source :agrees) (:sources report))))
    (is (= [nil 0] ((juxt :hash :agreeing) report)))))

(deftest the-record-has-a-say
  (let [r (reported {:txt (names a)})]
    (is (= a (:hash (report/verdict (report/saying r (assoc (names a) :source :record))))))
    (is (= 1 (:agreeing (report/saying r (assoc (names a) :source :record)))) "but does not count")
    (is (= :discover/conflict (:poz/error (report/verdict (report/saying r (assoc (names b) :source :record))))))))

(deftest servers
  (testing "nobody names one"
    (is (= [["social.example" 7075 :noise-nk 0 :fallback] ["social.example" 7074 :none 1 :fallback]]
          (map (juxt :host :port :encryption :priority :source) (:servers (reported {:txt (names a)})))))
    (is (= [:fallback :fallback] (map :source (:servers (reported {:srv failed}))))))
  (testing "DNS and the web name some"
    (is (= [[:well-known "w"] [:srv "poz.example"]]
          (map (juxt :source :host) (:servers (reported {:well-known (names a (assoc server :host "w")) :srv {:status :present :servers [server]}}))))))
  (testing "decidedly none"
    (is (= [] (:servers (reported {:well-known (names a server) :srv {:status :present :servers []}})))))
  (is (= [:submit-srv] (map :source (:submit-servers (reported {:submit-srv {:status :present :servers [server]}}))))))

(def ^:private a-finding
  (gen/one-of [(gen/return absent) (gen/return failed)
               (gen/fmap #(names (hash-of %)) (gen/choose 1 2))
               (gen/return {:status :present :hashes [a b]})]))

(deftest nothing-but-agreement-passes
  (is (= {:pass? true}
        (select-keys
          (tc/quick-check 500
            (prop/for-all [txt a-finding web a-finding pin (gen/elements [absent (names a) (names b)]) policy (gen/elements (keys report/policies))]
              (let [{:keys [hash agreeing policy] :as found} (report/verdict (reported {:txt txt :well-known web :pin pin} policy []))
                    named (distinct (mapcat #(or (:hashes %) (some-> (:hash %) list)) [txt web pin]))]
                (if (error/anomaly? found)
                  (and (:report found) (= (= :conflict (:poz/anomaly found)) (boolean (next named))))
                  (and (<= (count named) 1) (= hash (first named)) (<= (:agree policy) agreeing)))))
            :seed 5)
          [:pass?]))))
