(ns poz.nav-test
  "Walking through records and verdicts: what leads where, and that nothing is changed by it."
  (:require
   [clojure.datafy :refer [datafy nav]]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.nav :as nav]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verify :as verify]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- golden [n]
  (record/parse (vectors/file-bytes (str "records/" n ".poz"))))

(defn- go
  "What `nav` leads to along the keys `ks`."
  [x ks]
  (reduce (fn [x k] (nav x k (if (sequential? x) (nth x k) (get x k)))) x ks))

(def ^:private all-zones (golden "all-zones"))

(deftest what-is-marked-is-equal
  (doseq [file (vectors/record-files)
          :let [r (record/parse (vectors/file-bytes file))
                v (verify/verify r {:now 1793491200000})]]
    (is (= r (nav/record r) (datafy (nav/record r))) file)
    (is (= v (nav/verdict v r) (datafy (nav/verdict v r))) file)
    (is (= (pr-str r) (pr-str (datafy (nav/record r)))))))

(deftest from-an-index-to-its-key
  (doseq [r [(nav/record all-zones) (datafy (nav/record all-zones))]]
    (are [path i] (= (assoc (get-in all-zones [:public-key-map i]) :index i
                       :key-hash (signing/key-hash (get-in all-zones [:public-key-map i])))
                    (dissoc (go r path) :name))
      [:master-zone :master-keys 1 :key] 1
      [:identity-authority :keys 0 :key] 1
      [:auth-zone :grant :body :groups 0 :keys 0] (get-in all-zones [:auth-zone :grant :body :groups 0 :keys 0])))
  (testing "by the name that its holder gave it"
    (let [r (golden "holder-file") {:keys [key name]} (first (:key-names r))]
      (is (= name (:name (nav (go (nav/record r) [:key-names 0]) :key key))))))
  (testing "the index in another record's key map leads nowhere"
    (let [path [:identity-zone :grant :body 0 :authority-signatures 0]]
      (is (= (:key (get-in all-zones path)) (:key (go (nav/record all-zones) path)) (go (nav/record all-zones) (conj path :key)))))))

(deftest from-a-hash-to-what-it-names
  (let [r (nav/record all-zones)
        service (first (zone/entries :service (:service-zone all-zones)))]
    (testing "a revision"
      (is (= (:master-zone all-zones) (go r [:identity-authority :master-zone-hash]) (go r [:master-zone :original-master-hash]))))
    (testing "an entry, a key"
      (let [denied (nav/record (assoc-in all-zones [:service-zone :deny :denied]
                                 [{:target (zone/entry-hash :service service)}
                                  {:target (signing/key-hash (get-in all-zones [:public-key-map 3]))}]))]
        (is (= service (go denied [:service-zone :deny :denied 0 :target])))
        (is (= 3 (:index (go denied [:service-zone :deny :denied 1 :target]))))))
    (testing "a provider, where its record is at hand"
      (let [provider (golden "provider-1") path [:identity-zone :grant :body 0 :authority-hash]]
        (is (= (get-in all-zones path) (go r path)))
        (is (= provider (go (nav/record all-zones {:providers [provider]}) path)))))
    (testing "what is nobody's leads to itself"
      (is (= (bytes/zeros 32) (go r [:master-zone :previous-master-hash]))))))

(deftest from-a-step-to-its-bytes
  (let [v (nav/verdict (verify/verify all-zones {:now 1793491200000}) all-zones)
        b (record/encode all-zones)]
    (doseq [v [v (datafy v)] path [[:chain :revisions 0 :steps 0] [:zones :service :authority :steps 0] [:zones :identity :grant :steps 1]
                                   [:zones :identity :entries 2 :steps 0]]
            :let [{:keys [at size dump]} (go v path)]]
      (testing path
        (is (< 0 at (+ at size) (inc (count b))))
        (is (= (subs (str b) (* 2 at) (* 2 (+ at 1))) (subs (first (drop-while #(re-find #"^ " %) dump)) 6 8)))))
    (testing "of a former revision"
      (let [r (golden "recovery-3")
            v (nav/verdict (verify/verify r {:now 1793491200000}) r)
            ats (mapv #(:at (go v [:chain :revisions % :steps 0])) [0 1 2])]
        (is (apply distinct? ats))
        (is (every? int? ats))))))

(deftest what-is-no-record
  (let [a (record/parse (bytes/hex-> "504f"))]
    (is (= a (nav/record a) (datafy (nav/record a))))
    (is (= :malformed (:outcome (datafy (nav/verdict (verify/verify a {:now 0}) a)))))))

(deftest hints-for-portal
  (is (= :portal.viewer/tree (:portal.viewer/default (meta (nav/record all-zones))))))
