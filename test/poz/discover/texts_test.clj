(ns poz.discover.texts-test
  "What the sources of discovery say, well and badly."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [clojure.test.check :as tc]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.bytes :as bytes]
   [poz.discover.texts :as texts]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

(def ^:private digits (apply str (repeat 32 "a1")))
(def ^:private others (apply str (repeat 32 "b2")))
(def ^:private hash-a (bytes/hex-> digits))
(def ^:private hash-b (bytes/hex-> others))

(defn- fault [{:keys [status error]}]
  (when (= :failed status) (:poz/error error)))

(deftest texts-of-the-txt-record
  (are [texts finding] (= finding (select-keys (texts/txt texts) [:status :hash :hashes]))
    [] {:status :absent}
    ["v=spf1 -all" "" "h=1"] {:status :absent}
    [(str "v=poz1 h=" digits)] {:status :present :hash hash-a}
    [(str "v=poz1  x=1 h=" (str/upper-case digits) "\ty=h=2")] {:status :present :hash hash-a}
    [(str "v=poz1 h=" digits) "other" (str "v=poz1 h=" digits)] {:status :present :hash hash-a}
    [(str "v=poz1 h=" digits) (str "v=poz1 h=" others)] {:status :present :hashes [hash-a hash-b]})
  (are [text] (= :discover/text (fault (texts/txt [text])))
    "v=poz1" "v=poz1 h=" "v=poz1 h=12" "v=poz2 h=1" "v=poz1 H=1" (str "v=poz1 h=" digits "0")
    (str "v=poz1 h=" digits " h=" digits))
  (testing "a bad one beside a good one"
    (is (= :discover/text (fault (texts/txt [(str "v=poz1 h=" digits) "v=poz1 h=12"]))))))

(deftest targets-of-srv
  (let [row {:priority 1 :weight 2 :port 7075 :host "poz.example."}]
    (is (= {:status :present :servers [(assoc row :host "poz.example")]} (texts/srv [row])))
    (is (= [:absent nil] ((juxt :status :servers) (texts/srv []))))
    (is (= [:present []] ((juxt :status :servers) (texts/srv [(assoc row :host ".")]))) "decidedly none")
    (is (= ["poz.example"] (map :host (:servers (texts/srv [(assoc row :host ".") row])))))))

(def ^:private good
  {:v "poz1" :original_hash digits :more [1 {"x" nil}]
   :servers [{:host "a.example" :port 7074 :encryption "none"}
             {:host "a.example" :port 7075 :encryption "noise-nk" :public_key others}]})

(defn- well-known [value]
  (texts/well-known (bytes/utf8 (if (string? value) value (json/write-str value)))))

(deftest the-well-known-file
  (is (= {:status :present :hash hash-a
          :servers [{:host "a.example" :port 7074 :encryption :none :priority 0 :weight 0}
                    {:host "a.example" :port 7075 :encryption :noise-nk :public-key hash-b :priority 0 :weight 0}]}
        (well-known good)))
  (is (= [hash-a []] ((juxt :hash :servers) (well-known (dissoc good :servers)))))
  (are [value] (= :discover/well-known (fault (well-known value)))
    "" "[" "[]" "null" "1 2" "{} {}" (str (json/write-str good) "x") (str (apply str (repeat 20000 "[")))
    {} (dissoc good :v) (assoc good :v "poz2") (assoc good :original_hash "12") (assoc good :original_hash 12)
    (assoc good :servers {}) (assoc good :servers [1]) (assoc-in good [:servers 0 :port] 0)
    (assoc-in good [:servers 0 :port] "7074") (assoc-in good [:servers 0 :port] 65536) (assoc-in good [:servers 0 :host] "a b")
    (assoc-in good [:servers 0 :encryption] "tls") (update-in good [:servers 1] dissoc :public_key)
    (assoc-in good [:servers 0 :public_key] "12"))
  (is (= :discover/well-known (fault (texts/well-known (bytes/hex-> "ff")))) "not UTF-8"))

(deftest a-key-that-is-repeated
  (let [text (fn [more] (str "{\"v\":\"poz1\",\"original_hash\":\"" digits "\"" more "}"))
        finding #(well-known (text %))]
    (is (= [:present hash-a] ((juxt :status :hash) (finding ""))))
    (is (= :present (:status (finding ",\"a\":{\"v\":1},\"b\":[{\"v\":1},{\"v\":1}],\"V\":{},\"\":[]"))) "the same in different objects")
    (doseq [more [(str ",\"original_hash\":\"" others "\"") (str ",\"original_hash\":\"" digits "\"") (str ",\"original\\u005fhash\":\"" others "\"")
                  ",\"v\":\"poz1\"" ",\"x\":1,\"x\":1" ",\"a\":{\"x\":1,\"x\":2}" ",\"a\":[[{\"x\":{},\"x\":{}}]]" ",\"a\":{\"x\":1,\"y\":2},\"a\":{}"
                  ",\"servers\":[{\"host\":\"a\",\"port\":1,\"port\":2,\"encryption\":\"none\"}]" ",\"\":1,\"\":2"]
            :let [{:keys [error] :as found} (finding more)]]
      (is (= [:discover/well-known "each key of an object once"] [(fault found) (:rule error)]) more))))

(deftest whatever-comes-a-finding
  (let [sane? #(and (#{:present :absent :failed} (:status %)) (= (= :failed (:status %)) (error/anomaly? (:error %))))]
    (is (:pass? (tc/quick-check 200 (prop/for-all [b gen/bytes] (sane? (texts/well-known (bytes/wrap b)))) :seed 1)))
    (is (:pass? (tc/quick-check 200 (prop/for-all [v (gen/recursive-gen #(gen/map gen/string %) (gen/one-of [gen/small-integer gen/string gen/boolean (gen/return nil)]))]
                                      (sane? (well-known (merge good (when (map? v) v)))))
                  :seed 2)))
    (is (:pass? (tc/quick-check 200 (prop/for-all [ss (gen/vector (gen/fmap #(str "v=poz1 " %) gen/string))] (sane? (texts/txt ss))) :seed 3)))))
