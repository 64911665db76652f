(ns poz.lint-test
  "Each warning: a record that shows it, and one like it that does not."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.lint :as lint]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private now (+ (long v/start) 1000000))

(def ^:private never-verifies
  "An Ed25519 key of small order."
  {:algorithm :ed25519 :key (bytes/hex-> (str "01" (apply str (repeat 62 "0"))))})

(def ^:private all-zones
  (for [z zone/names] [z 0 100 100]))

(defn- record
  "A record, signed by nobody, of keys 0 to 2 unless `:keys` says otherwise."
  [& {:keys [keys master shares] :or {master [[1 0 100] [2 1 50] [2 2 50]] shares all-zones}}]
  {:public-key-map (or keys (mapv v/key-of ["lint a" "lint b" "lint c"]))
   :master-zone {:original-master-hash (bytes/zeros 32) :original-timestamp v/start
                 :current-master-hash (bytes/zeros 32) :previous-master-hash (bytes/zeros 32)
                 :serial 1 :timestamp v/start :master-keys (v/values master) :delegations (v/shares shares)
                 :signatures []}})

(defn- with-zone [record z body & {:keys [revoked denied timestamp deny-timestamp]}]
  (assoc record
    (keyword (str (name z) "-authority")) {:master-zone-hash (bytes/zeros 32) :keys []}
    (keyword (str (name z) "-zone"))
    {:grant {:serial 1 :timestamp (or timestamp v/start) :previous-zone-hash (bytes/zeros 32) :body body
             :revoked (vec revoked) :signatures []}
     :deny (if denied
             {:serial 1 :timestamp (or deny-timestamp v/start) :denied (vec denied) :signatures []}
             v/no-deny)}))

(defn- warnings [record] (lint/warnings record {} now))

(defn- ids [record] (set (map :warning (warnings record))))

(defn- messages [warning record]
  (map :message (filter #(= warning (:warning %)) (warnings record))))

(defn- denial [timestamp] {:target (bytes/zeros 32) :timestamp timestamp :reason :retired})

(defn- inbox [service & [inbox-name]]
  [{:guid (bytes/zeros 16) :name (or inbox-name "in") :key 3 :service service}])

(defn- feed [service]
  [{:name "main" :service service :chains [{:chain 0 :posting-keys [] :checkpoints []}]}])

(def ^:private service-hash (zone/entry-hash :service (v/service "web")))

(defn- identity-entry [handle]
  {:identity-type :poz :authority-hash (bytes/zeros 32) :authority-domain "social.example" :path []
   :user-handle handle :user-poz-hash (bytes/zeros 32) :authority-signatures []})

(deftest nothing-to-say
  (is (= [] (warnings (record)))))

(def ^:private cases
  "Warning → records that show it, records that do not."
  {:master/single-key
   [[(record :master [[1 0 100]])
     (record :master [[1 0 100] [2 0 50]])]
    [(record :master [[1 0 100] [2 1 100]])
     (record :master [[1 0 50] [1 1 50]])]]

   :master/group-unreachable
   [[(record :master [[1 0 100] [2 1 99]])
     (record :keys [(v/key-of "a") never-verifies] :master [[1 0 100] [2 1 100]])
     (record :keys (vec (repeat 66 (v/key-of "a")))
       :master (cons [1 0 100] (for [k (range 1 66)] [2 k (if (<= k 35) 2 1)])))]
    [(record :master [[1 0 100] [2 1 1] [2 2 99]])
     (record :keys [(v/key-of "a") {:algorithm 127 :key (bytes/zeros 1)}] :master [[1 0 100] [2 1 100]])
     (record :keys (vec (repeat 66 (v/key-of "a")))
       :master (cons [1 0 100] (for [k (range 1 66)] [2 k (if (<= k 36) 2 1)])))]]

   :master/key-in-every-group
   [[(record :master [[1 0 100] [2 0 50] [2 1 50]])]
    [(record :master [[1 0 100]])
     (record :master [[1 0 100] [2 0 50] [2 1 50] [3 1 100]])]]

   :master/key-rules-every-group
   [[(record :master [[1 0 100]])
     (record :master [[1 0 100] [1 1 100] [2 0 100]])]
    [(record :master [[1 0 99] [1 1 1]])
     (record :master [[1 0 100] [2 0 99] [2 1 99]])
     (record :keys [never-verifies (v/key-of "a")] :master [[1 0 100] [2 1 100]])]]

   :delegation/none
   [[(record :shares [[:identity 0 100 100]])
     (record :shares [[:service 0 100 100]])
     (record :shares [])]
    [(record :shares [[:identity 0 100 100] [:service 0 100 100]])]]

   :delegation/deny-below-grant
   [[(record :shares [[:identity 0 100 99] [:service 0 100 100]])]
    [(record :shares [[:identity 0 50 50] [:identity 1 50 100] [:service 0 100 100]])]]

   :service/dangling
   [[(with-zone (record) :email (inbox service-hash))
     (with-zone (record) :feed (feed service-hash))
     (with-zone (record) :auth {:groups [] :revocation-service service-hash})
     (-> (record) (with-zone :feed (feed service-hash)) (with-zone :service [(v/service "other")]))]
    [(-> (record) (with-zone :feed (feed service-hash)) (with-zone :service [(v/service "web")]))
     (with-zone (record) :auth {:groups []})]]

   :time/future
   [[(assoc-in (record) [:master-zone :timestamp] (inc now))
     (assoc (record) :zone-history [(assoc (:master-zone (record)) :timestamp (inc now))])
     (with-zone (record) :service [] :timestamp (inc now))
     (with-zone (record) :service [] :denied [(denial v/start)] :deny-timestamp (inc now))
     (with-zone (record) :service [] :denied [(denial (inc now))])
     (with-zone (record) :service [] :revoked [(denial (inc now))])]
    [(assoc-in (record) [:master-zone :timestamp] now)
     (with-zone (record) :service [] :timestamp now :denied [(denial now)] :revoked [(denial now)])]]

   :identity/domain-unproven
   [[(with-zone (record) :identity [(identity-entry "alice")])]
    [(with-zone (record) :identity [])]]

   :text/not-nfc
   [[(with-zone (record) :identity [(identity-entry "Zoe\u0308")])
     (with-zone (record) :service [(v/service "\u2126")])
     (assoc (record) :key-names [{:key 0 :name "e\u0301"}])]
    [(with-zone (record) :identity [(identity-entry "Zo\u00eb")])]]

   :text/format-character
   [[(with-zone (record) :identity [(identity-entry "a\u200db")])
     (with-zone (record) :email (inbox service-hash "\u202eabc"))]
    [(with-zone (record) :identity [(identity-entry "a-b")])]]

   :key/never-verifies
   [[(record :keys [(v/key-of "a") (v/key-of "b") (v/key-of "c") never-verifies])]
    [(record :keys [(v/key-of "a") (v/key-of "b") (v/key-of "c") (v/key-of [:x25519 "d"]) (v/key-of [:ml-dsa-65 "e"])])]]

   :key/unknown-algorithm
   [[(record :keys [(v/key-of "a") (v/key-of "b") (v/key-of "c") {:algorithm 127 :key (bytes/zeros 1)}])]
    [(record)]]

   :section/unknown
   [[(assoc (record) :unknown-sections (sorted-map 0x60 (bytes/zeros 3)))]
    [(assoc (record) :unknown-sections (sorted-map))]]})

(deftest every-warning-shows-where-it-should-and-only-there
  (doseq [[warning [shown hidden]] cases]
    (testing warning
      (doseq [r shown]
        (is (contains? (ids r) warning))
        (is (every? #(and (string? %) (not (str/blank? %))) (messages warning r))))
      (doseq [r hidden]
        (is (not (contains? (ids r) warning)))))))

(deftest values-that-can-never-suffice
  (are [rows grant deny] (= [grant deny] (let [found (ids (record :shares (concat rows [[:service 0 100 100]])))]
                                           [(contains? found :delegation/grant-unreachable)
                                            (contains? found :delegation/deny-unreachable)]))
    [[:identity 0 100 100]] false false
    [[:identity 0 50 50] [:identity 1 50 50]] false false
    [[:identity 0 50 100] [:identity 1 49 0]] true false
    [[:identity 0 100 0]] false true
    [[:identity 0 99 99]] true true)
  (is (= ["the grant values delegated for identity can never reach 100: 99 at most"]
         (messages :delegation/grant-unreachable (record :shares [[:identity 0 99 100] [:service 0 100 100]])))))

(deftest a-superseded-entry
  (let [r (with-zone (record) :identity [(identity-entry "alice") (identity-entry "bob")])
        verdict (fn [& statuses] {:zones {:identity {:entries (mapv #(hash-map :status %) statuses)}}})
        found (fn [verdict] (map :entry (filter #(= :identity/superseded (:warning %)) (lint/warnings r verdict now))))]
    (is (= [1] (found (verdict :current :superseded))))
    (is (= [] (found (verdict :current :unknown)) (found {})))))

(deftest losing-the-only-key-is-loud
  (let [r (record :master [[1 0 100]])]
    (is (= [{:warning :master/single-key :loud true
             :message "key 0 is the only master key and there is no recovery group: losing it locks the record for ever"}]
           (filter :loud (warnings r))))
    (is (= [] (filter :loud (warnings (record)))))))

(deftest every-place-is-told
  (is (= [[:identity 0] [:identity 1]]
         (map (juxt :zone :key) (filter #(= :delegation/deny-below-grant (:warning %))
                                  (warnings (record :shares [[:identity 0 60 1] [:identity 1 60 2] [:service 0 100 100]]))))))
  (is (= [[:email-zone :grant :body 0 :service]]
         (map :path (filter #(= :service/dangling (:warning %)) (warnings (with-zone (record) :email (inbox service-hash)))))))
  (is (= ["section 0x0060 of 3 bytes is not known here"]
         (messages :section/unknown (assoc (record) :unknown-sections (sorted-map 0x60 (bytes/zeros 3)))))))

(deftest strings-of-the-vectors
  (doseq [{:keys [hex accept warnings]} (:strings (vectors/json "primitives.json")) :when accept
          :let [s (String. (bytes/->array (bytes/hex-> hex)) "UTF-8")]]
    (is (= (sort warnings) (v/codes (lint/text-warnings s))) hex)))

(defn- registered-warnings
  "The codes that test/vectors/README.md lists as warnings."
  []
  (let [[_ part] (re-find #"(?s)\*\*warnings\*\*[^\n]*\n(.*?)\| \*\*clients" (slurp (io/resource "vectors/README.md")))
        cells (map #(str/replace (second (re-find #"^\|([^|]*)\|" %)) #":.*" "") (str/split-lines part))]
    (rest (reductions (fn [before word] (if (str/includes? word "/") (keyword word) (keyword (namespace before) word)))
            :none/none
            (re-seq #"[a-z/-]+" (str/join " " (map #(str/replace % #"\(.*?\)" "") cells)))))))

(deftest the-table-is-the-registry-of-warnings
  (is (= (disj (set (registered-warnings)) :deny/regranted) ; a thing of updates
         (into #{} (map :id) lint/table))))

(deftest a-warning-changes-no-outcome
  (let [r (v/genesis ["lint a"] [[1 0 100]] [] [0])
        verdict (v/verdict r)]
    (is (= :valid (:outcome verdict)))
    (is (= (:warnings verdict) (sort-by :warning (:warnings verdict))))
    (is (= ["delegation/none" "master/key-rules-every-group" "master/single-key"] (v/codes (map :warning (:warnings verdict)))))))

(deftest the-64-highest-values-count
  (is (= 6400 (lint/reachable (repeat 70 100))))
  (is (= 163 (lint/reachable (concat (repeat 64 1) [100]))))
  (is (= 0 (lint/reachable []))))
