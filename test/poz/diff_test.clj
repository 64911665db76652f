(ns poz.diff-test
  "What differs: golden pairs that follow each other, forks and rollbacks, and that equal
  records, and only those, are called the same."
  (:require
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.diff :as diff]
   [poz.error :as error]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.samples :as samples]
   [poz.vectors :as vectors]))

(set! *warn-on-reflection* true)

(defn- file [s]
  (record/decode (if (re-find #"\.poz$" s) (vectors/file-bytes s) (bytes/hex-> s))))

(defn- golden [name]
  (file (str "records/" name ".poz")))

(defn- kinds [a b]
  (frequencies (map :change (:changes (diff/diff a b)))))

(defn- security [a b]
  (set (map :change (filter :security (:changes (diff/diff a b))))))

(deftest a-record-and-itself
  (doseq [path (vectors/record-files)]
    (is (= {:same true :changes []} (diff/diff (file path) (file path))) path)))

(deftest golden-updates
  (doseq [{:keys [held update what]} (:updates (vectors/json "records.json")) :when held
          :let [a (file held) b (file update) {:keys [same changes]} (diff/diff a b)]]
    (testing what
      (is (= same (= a b) (empty? changes)))
      (is (every? #(and (seq (:message %)) (vector? (:path %)) (not= (:before %) (:after %))) changes))
      (is (empty? (security a b))))))

(deftest golden-changes
  (doseq [[a b expected]
          [["recovery-1" "recovery-2" {:revision/added 1 :key/added 1 :master-key/removed 1 :master-key/added 1
                                       :delegation/removed 1 :delegation/added 1}]
           ["recovery-3" "recovery-3-tail" {:history/removed 1}]
           ["recovery-3-no-history" "recovery-3" {:history/added 2}]
           ["devices-grant" "devices-deny" {:deny/serial 1 :entry/denied 1 :denial/added 1}]
           ["devices-deny" "devices-grant" {:deny/rollback 1 :entry/restored 1 :denial/removed 1}]
           ["devices-deny-2" "devices-grant-2" {:grant/serial 1 :deny/serial 1 :entry/modified 1 :entry/restored 1
                                                :entry/removed 1 :denial/removed 2}]
           ["provider-denies" "provider-carries" {:grant/serial 1 :deny/serial 1}]
           ["devices-auth-revoked" "devices-auth-carried" {:grant/serial 1 :deny/serial 1 :entry/added 1}]
           ["delegation-changed" "delegation-resigned" {:grant/serial 1 :authority/changed 1
                                                        :authority-key/removed 1 :authority-key/added 1}]
           ["provider-1" "provider-1-no-zone" {:zone/gone 1}]
           ["recovery-1" "provider-1" {:record/other 1}]
           ["draft" "draft-complete" {:draft/changed 1}]
           ["draft-overfull" "overfull-applied" {:draft/applied 1}]
           ["group-of-65" "group-of-65-enough" {:record/other 1}]]]
    (is (= expected (kinds (golden a) (golden b))) [a b])))

(deftest going-back-and-forking
  (let [one (golden "recovery-1") two (golden "recovery-2") three (golden "recovery-3")
        other (assoc-in two [:master-zone :current-master-hash] (bytes/wrap (byte-array 32 (byte 1))))]
    (is (= #{:chain/rollback} (security two one)))
    (is (= #{:chain/fork} (security two other)))
    (is (= #{:chain/fork} (security other three)) "one later revision tells, too")
    (is (= #{:chain/fork} (security other (golden "recovery-3-no-history"))) "by the parent that it names")
    (is (= [2] (map (comp second :path) (filter :security (:changes (diff/diff two other))))))
    (is (not (:chain/unconnected (kinds one (golden "recovery-3-no-history")))) "the first is the identity")
    (is (= 1 (:chain/unconnected (kinds two (assoc-in (golden "recovery-3-no-history") [:master-zone :serial] 5)))))
    (is (= #{:grant/fork} (security (golden "devices-grant")
                            (update-in (golden "devices-grant") [:service-zone :grant :timestamp] inc))))))

(deftest keys-that-change-their-meaning
  (let [a (golden "recovery-1") spare {:algorithm 200 :key (bytes/zeros 2)}
        spared (update a :public-key-map conj spare)]
    (is (= #{:key/changed} (security a (assoc-in a [:public-key-map 1] spare))))
    (is (= #{:key/removed} (security a (update a :public-key-map pop))))
    (testing "keys that nothing uses come and go"
      (is (= {:key/added 1} (kinds a spared)))
      (is (= {:key/removed 1} (kinds spared a)))
      (is (= {:key/replaced 1} (kinds spared (assoc-in spared [:public-key-map 4 :algorithm] 201))))
      (is (empty? (security spared a))))))

(deftest sections-beside
  (let [holder (golden "holder-file") public (record/public-view holder) things (golden "unknown-things")]
    (is (= {:section/gone 2} (kinds holder public)))
    (is (= {:section/appeared 2} (kinds public holder)))
    (is (= :present (:before (first (:changes (diff/diff holder public))))))
    (is (:same (diff/diff holder (assoc-in holder [:key-names 0 :name] "another"))))
    (is (= {:section/gone (count (:unknown-sections things))} (kinds things (dissoc things :unknown-sections))))))

(deftest drafts
  (let [a (golden "recovery-1") genesis (-> a (assoc-in [:master-zone :current-master-hash] chain/zero)
                                          (assoc-in [:master-zone :original-master-hash] chain/zero))]
    (is (= {:draft/applied 1} (kinds genesis a)))
    (is (= {:draft/begun 1} (kinds a genesis)))
    (is (= {:record/other 1} (kinds genesis (golden "provider-1"))))
    (is (= {:draft/superseded 1}
          (kinds (golden "draft") (assoc-in (golden "overfull-applied") [:master-zone :timestamp] 1))))))

(deftest revisions-alone
  (let [r (fn [keys delegations] {:master-keys keys :delegations delegations})
        changes (diff/revision-changes
                  (r [{:group 1 :key 0 :value 50} {:group 1 :key 1 :value 50}] [{:authority :feed :key 0 :grant 1 :deny 2}])
                  (r [{:group 1 :key 0 :value 60} {:group 2 :key 1 :value 50}] [{:authority :feed :key 0 :grant 1 :deny 3}]))]
    (is (= [[:master-key/changed 50 60] [:master-key/removed 50 nil] [:master-key/added nil 50]]
          (map (juxt :change :before :after) (take 3 changes))))
    (is (= "master key 0 in group 1 changed: 50 → 60" (:message (first changes))))
    (is (= "feed delegation of key 0 changed: grant 1 deny 2 → grant 1 deny 3" (:message (last changes))))))

(deftest anomalies-come-back
  (let [a (error/anomaly :format/magic) r (golden "recovery-1")]
    (is (= a (diff/diff a r) (diff/diff r a)))))

(defspec a-record-is-the-same-as-itself 1000
  (prop/for-all [r samples/records]
    (= {:same true :changes []} (diff/diff r r))))

(defn- stated [r]
  (reduce (fn [r k] (cond-> r (contains? r k) (assoc k :present))) r [:private-key-map :key-names]))

(defspec others-are-never-called-the-same 1000
  (prop/for-all [a samples/records, seed samples/seeds]
    (let [b (samples/mutate (cond-> a (:unknown-sections a) (update :unknown-sections #(into {} %))) seed)]
      (or (not (and (map? b) (samples/accepted? #(record/encode b))))
        (let [{:keys [same changes]} (diff/diff a b)]
          (and (= same (= (stated a) (stated b)))
            (= same (empty? changes))
            (every? (comp string? :message) changes)))))))

(defspec any-two-records-compare 300
  (prop/for-all [a samples/records, b samples/records, same-origin gen/boolean]
    (let [b (cond-> b same-origin (assoc-in [:master-zone :original-master-hash]
                                    (get-in a [:master-zone :original-master-hash])))]
      (= (= (stated a) (stated b)) (:same (diff/diff a b))))))
