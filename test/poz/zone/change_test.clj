(ns poz.zone.change-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.master :as master]
   [poz.master.chain :as chain]
   [poz.verdicts :as v]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def ^:private labels ["c root" "c phone" "c laptop" "c adder" "c remover"])

(def ^:private record
  "Two devices at the Service Zone; at the Auth Zone one adds and one removes; no others."
  (v/genesis labels [[1 0 100]] [[:service 1 50 100] [:service 2 50 100] [:auth 3 100 0] [:auth 4 0 100]] [0]))

(def ^:private start (long v/start))

(defn- sign [record zone part & signers]
  (reduce #(change/sign %1 zone part %2 (v/secret (labels %2))) record signers))

(defn- error-of [x] (:poz/error x))

(defn- names [record] (set (map :name (zone/entries :service (:service-zone record)))))

(defn- hash-of [name] (zone/entry-hash :service (v/service name)))

(def ^:private granted
  (-> (change/grant record :service {:timestamp (+ start 1) :add [(v/service "b") (v/service "a")]})
    (sign :service :grant 1 2)))

(defn- denied [& names]
  (-> (change/deny granted :service (map #(hash-map :target (hash-of %) :reason :abuse) names) {:timestamp (+ start 2)})
    (sign :service :deny 1)))

(deftest the-next-statement-is-later-than-all-before
  (let [record {:service-zone {:grant {:timestamp 10} :deny {:timestamp 20}}}]
    (is (= [21 21 30] (map #(change/next-time record :service %) [5 20 30])))
    (is (= 11 (change/next-time (assoc-in record [:service-zone :deny :timestamp] 0) :service 5)))
    (is (= 5 (change/next-time record :email 5)) "a zone that is not there yet")))

(deftest the-first-grant
  (let [{:keys [grant deny]} (:service-zone granted)]
    (is (= [1 (bytes/zeros 32) [] (+ start 1)] ((juxt :serial :previous-zone-hash :revoked :timestamp) grant)))
    (is (= (zone/sort-entries :service [(v/service "b") (v/service "a")]) (:body grant)))
    (is (= v/no-deny deny))
    (is (= {:master-zone-hash (get-in record [:master-zone :current-master-hash])
            :keys [{:key 1 :grant 50 :deny 100} {:key 2 :grant 50 :deny 100}]}
           (:service-authority granted)))
    (is (= :valid (:outcome (v/verdict granted))))))

(deftest grants-after-it
  (let [next #(change/grant granted :service (assoc % :timestamp (+ start 9)))]
    (testing "added, replaced by its id, removed"
      (is (= #{"a" "b" "c"} (names (next {:add [(v/service "c")]}))))
      (let [other (assoc-in (v/service "a") [:hosts 0 :port] 8443)
            changed (next {:add [other]})]
        (is (= #{"a" "b"} (names changed)))
        (is (some #{other} (zone/entries :service (:service-zone changed)))))
      (is (= #{"a"} (names (next {:remove [(hash-of "b")]})))))
    (testing "it names what it replaces"
      (let [hash (:zone-hash (get-in (v/verdict granted) [:zones :service]))]
        (is (= [2 hash []] ((juxt :serial :previous-zone-hash :signatures) (get-in (next {}) [:service-zone :grant]))))))
    (testing "what is denied goes, unless told"
      (let [held (denied "a" "c")
            after #(change/grant held :service (assoc % :timestamp (+ start 9)))]
        (is (= #{"b"} (names (after {}))))
        (is (= #{"a" "b"} (names (after {:drop-denied false}))))
        (is (= [(hash-of "c")] (map :target (get-in (after {}) [:service-zone :grant :revoked])))
          "what names no entry outlives the grant")))))

(deftest grants-that-cannot-be
  (let [grant (fn [r z options] (error-of (change/grant r z (assoc options :timestamp (+ start 9)))))]
    (is (= :zone/no-delegation (grant record :email {})))
    (is (= :chain/draft (grant (master/draft record {:timestamp (+ start 9)}) :service {})))
    (is (= :zone/no-such-entry (grant granted :service {:remove [(hash-of "nowhere")]})))
    (is (= :zone/no-such-entry (grant record :service {:remove [(hash-of "a")]})))
    (is (thrown-with-msg? IllegalArgumentException #"Unknown option :ad" (grant record :service {:ad []})))))

(deftest the-auth-zone-keeps-its-revocation-service
  (let [h (hash-of "a") other (hash-of "b")
        with #(change/grant %1 :auth (merge {:timestamp (+ start %2)} %3))
        service #(get-in % [:auth-zone :grant :body :revocation-service])
        first-grant (with record 1 {:add [{:id 1 :keys [1 2]}] :revocation-service h})
        second-grant (with first-grant 2 {:add [{:id 2 :keys [2 3]}]})]
    (is (= h (service first-grant) (service second-grant)))
    (is (= other (service (with second-grant 3 {:revocation-service other}))))
    (is (= [{:id 1 :keys [1 2]} {:id 2 :keys [2 3]}] (zone/entries :auth (:auth-zone second-grant))))
    (is (not (contains? (get-in (with record 1 {}) [:auth-zone :grant :body]) :revocation-service)))))

(deftest denies
  (let [one (denied "a")
        two (change/deny one :service [{:target (hash-of "b")} {:target (hash-of "a") :reason :retired}] {:timestamp (+ start 3)})]
    (is (= :valid (:outcome (v/verdict one))))
    (is (= {:serial 2 :timestamp (+ start 3) :signatures []}
           (dissoc (get-in two [:service-zone :deny]) :denied)))
    (is (= (sort-by :target [{:target (hash-of "a") :timestamp (+ start 2) :reason :abuse}
                             {:target (hash-of "b") :timestamp (+ start 3) :reason :unspecified}])
           (get-in two [:service-zone :deny :denied]))
      "items that are there stay as they are")
    (is (= :zone/absent (error-of (change/deny record :service [{:target (hash-of "a")}] {:timestamp start}))))
    (is (= :update/deny-not-superset (error-of (change/deny one :service [{:target (hash-of "a")}] {:timestamp start}))))
    (is (= :update/deny-not-superset (error-of (change/deny one :service [] {:timestamp start}))))))

(deftest collecting
  (let [draft (change/grant record :service {:timestamp (+ start 1) :add [(v/service "a")]})
        by-1 (sign draft :service :grant 1)
        by-2 (sign draft :service :grant 2)
        signature-of #(first (get-in % [:service-zone :grant :signatures]))]
    (is (= (get-in (sign draft :service :grant 1 2) [:service-zone :grant :signatures])
           (get-in (sign draft :service :grant 2 1) [:service-zone :grant :signatures])))
    (testing "keys that the delegation does not name"
      (is (= :signature/stray (error-of (change/sign draft :service :grant 0 (v/secret (labels 0))))))
      (is (= :signature/stray (error-of (change/add-signature draft :service :grant (assoc (signature-of by-1) :key 0))))))
    (testing "made elsewhere"
      (is (= by-1 (change/add-signature draft :service :grant (signature-of by-1))))
      (is (= :signature/bad (error-of (change/add-signature draft :service :grant (assoc (signature-of by-1) :key 2))))))
    (testing "merged"
      (is (= (sign draft :service :grant 1 2) (change/merge-parts by-1 by-2 :service :grant)
             (change/merge-parts by-2 by-1 :service :grant)))
      (is (= by-1 (change/merge-parts by-1 by-1 :service :grant)))
      (let [other (change/grant record :service {:timestamp (+ start 1) :add [(v/service "other")]})]
        (is (= [:conflict :draft/different] ((juxt :poz/anomaly :poz/error) (change/merge-parts by-1 other :service :grant)))))
      (is (= :signature/bad
             (error-of (change/merge-parts by-1 (assoc-in by-2 [:service-zone :grant :signatures 0 :signature] (bytes/zeros 64))
                         :service :grant)))))
    (testing "what an external signer gets"
      (is (= {:context "POZ0 service grant" :key 2 :algorithm :ed25519 :public-key (:key (v/key-of (labels 2)))
              :message (:message (change/statement draft :service :grant))}
             (select-keys (change/request draft :service :grant 2) [:context :key :algorithm :public-key :message]))))))

(deftest status-names-who-is-needed
  (let [draft (change/grant record :service {:timestamp (+ start 1)})]
    (is (= {:signers [] :complete false
            :lists [{:kind :grant :sum 0 :satisfied false :line "grant values: 0 of 100" :missing {:needed 100 :from [1 2]}}]}
           (change/status draft :service :grant false)))
    (is (= {:signers [2] :complete false
            :lists [{:kind :grant :sum 50 :satisfied false :line "grant values: 50 of 100" :missing {:needed 50 :from [1]}}]}
           (change/status (sign draft :service :grant 2) :service :grant false)))
    (is (:complete (change/status (sign draft :service :grant 1 2) :service :grant false))))
  (let [draft (change/grant record :auth {:timestamp (+ start 1)})]
    (testing "a grant that removes takes both quorums, named apart"
      (let [{:keys [complete lists]} (change/status (sign draft :auth :grant 3) :auth :grant true)]
        (is (false? complete))
        (is (= [[:grant true nil] [:deny false {:needed 100 :from [4]}]] (map (juxt :kind :satisfied :missing) lists))))
      (is (:complete (change/status (sign draft :auth :grant 3 4) :auth :grant true)))))
  (is (= [:deny] (map :kind (:lists (change/status (denied "a") :service :deny false))))))

(deftest signing-the-vectors-again
  (doseq [{:keys [file] :as case} (v/records)
          :let [record (v/file-record file) seeds (v/seeds case)]
          z (zone/zones record)
          part [:grant :deny]
          :let [{:keys [signatures serial]} (get-in record [(zone/zone-key z) part])]
          :when (and (pos? (long serial)) (seq signatures) (not (chain/draft? (:master-zone record)))
                  (every? #(and (seeds (:key %)) (= :ed25519 (get-in record [:public-key-map (:key %) :algorithm]))) signatures))]
    (let [unsigned (assoc-in record [(zone/zone-key z) part :signatures] [])
          signed (reduce #(change/sign %1 z part %2 (seeds %2)) unsigned (map :key signatures))]
      (is (or (error/anomaly? signed) (= record signed)) [file z part])))
  (let [record (v/record-named "all-zones") case (first (filter #(= "records/all-zones.poz" (:file %)) (v/records)))]
    (is (= record
           (reduce (fn [r z]
                     (reduce #(change/sign %1 z :grant %2 ((v/seeds case) %2))
                       (assoc-in r [(zone/zone-key z) :grant :signatures] []) [1 2]))
             record zone/names)))))
