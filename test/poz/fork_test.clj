(ns poz.fork-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.fork :as fork]
   [poz.master :as master]
   [poz.record :as record]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(def ^:private labels ["f root" "f other" "f third"])

(def ^:private genesis
  (v/genesis labels [[1 0 100] [2 1 50] [2 2 50]] [[:service 1 100 100]] [0]))

(defn- next-of
  ([record] (next-of record [0] [[:service 2 100 100]]))
  ([record signers shares] (v/revise record labels {:delegations (v/shares shares)} signers)))

(def ^:private one (next-of genesis))
(def ^:private other (next-of genesis [0] [[:service 1 50 50]]))

(def ^:private now (v/now))

(defn- none [a b] (:rule (fork/judge a b now)))

(deftest a-fork
  (let [hash #(get-in % [:master-zone :current-master-hash])
        proven (fork/judge one other now)]
    (is (= {:record (hash genesis) :serial 2 :parent (hash genesis) :signed-both [0] :same-content false}
           (dissoc proven :revisions)))
    (is (= [(hash one) (hash other)] (map :current-master-hash (:revisions proven))))
    (testing "of chains that went on"
      (is (= proven (fork/judge (next-of one) (next-of (next-of other)) now))))
    (testing "signed by different people of the same record"
      (is (= [] (:signed-both (fork/judge one (next-of genesis [1 2] [[:service 1 1 1]]) now)))))))

(deftest no-fork
  (are [why a b] (= why (none a b))
    "one continues the other" genesis one
    "one continues the other" one (next-of one)
    "one continues the other" one one
    "they are two different records" one (v/genesis ["elsewhere"] [[1 0 100]] [] [0])
    "one of the chains does not verify from its beginning" one (dissoc other :zone-history)
    "one of the chains does not verify from its beginning" one (assoc-in other [:master-zone :signatures 0 :signature] (bytes/zeros 64)))
  (testing "drafts prove nothing"
    (let [draft (master/draft genesis {:timestamp (+ 1 (long v/start))})
          signed (master/sign draft 0 (v/secret "f root"))]
      (is (= "one of the chains does not verify from its beginning" (none one draft) (none signed other)))
      (is (= [:invalid :fork/none] ((juxt :poz/anomaly :poz/error) (fork/evidence one draft now))))))
  (testing "nothing is remembered of zones"
    (is (= "one continues the other"
           (none (v/grant one labels :service [(v/service "a")] [2]) (v/grant one labels :service [(v/service "b")] [2]))))))

(deftest the-same-content-signed-twice
  (let [labels [[:ml-dsa-65 "f pq"] "f key"]
        genesis (v/genesis labels [[1 0 100]] [] [0])
        draft (master/draft genesis {:timestamp (+ 1 (long v/start))})
        signed #(master/finish (master/sign draft 0 (v/secret "f pq") {:random (bytes/hex-> (apply str (repeat 32 %)))}))
        a (signed "01") b (signed "02")]
    (is (not= (get-in a [:master-zone :current-master-hash]) (get-in b [:master-zone :current-master-hash])))
    (is (= {:same-content true :signed-both [0] :serial 2} (select-keys (fork/judge a b now) [:same-content :signed-both :serial])))
    (is (= (fork/judge a b now) (fork/check (bytes/utf8 (fork/evidence a b now)) now)))
    (is (= "one continues the other" (none a (signed "01"))) "without other randomness there is nothing to see")))

(def ^:private evidence (fork/evidence one other now))

(deftest evidence-travels
  (is (str/starts-with? evidence "Evidence of a fork"))
  (is (str/includes? evidence "Both signed by key 0."))
  (is (= (fork/judge one other now)
         (fork/check (bytes/utf8 evidence) now)
         (fork/check (bytes/utf8 (str/replace evidence "\n" "\r\n")) now)
         (fork/check (bytes/utf8 (str "> Dear all,\n\n" evidence "\nyours\n")) now)))
  (testing "it is never taken for a record"
    (is (= :format/text-form (:poz/error (record/parse (bytes/utf8 evidence))))))
  (testing "nothing private and no zone travels"
    (let [holder (assoc (v/grant one labels :service [(v/service "a")] [2]) :key-names [{:key 0 :name "mine"}])]
      (is (= evidence (fork/evidence holder other now))))))

(deftest evidence-that-was-changed
  (let [lines (str/split-lines evidence)
        check #(fork/check (bytes/utf8 (str/join "\n" %)) now)
        body (keep-indexed (fn [i line] (when (re-matches #"[A-Za-z0-9+/=]{20,64}" line) i)) lines)]
    (testing "one character of base64"
      (doseq [i body at [0 7 19]
              :let [line (lines i)
                    changed (assoc lines i (str (subs line 0 at) (if (= \A (nth line at)) "B" "A") (subs line (inc (long at)))))]]
        (is (error/anomaly? (check changed)) [i at])))
    (testing "a block too few or too many"
      (let [from-second (drop (inc (long (.indexOf ^java.util.List lines "-----END POZ RECORD-----"))) lines)]
        (is (= [:malformed :fork/evidence] ((juxt :poz/anomaly :poz/error) (check from-second))))
        (is (= :fork/evidence (:poz/error (check (concat lines from-second)))))
        (is (= :fork/evidence (:poz/error (check ["nothing"]))))))
    (testing "the words around prove nothing: they are not read"
      (is (= (fork/judge one other now) (check (map #(str/replace % #"^Record: .*" "Record: none") lines)))))
    (testing "a block twice is no fork"
      (let [block (str (record/armor (record/encode (record/public-view one))))]
        (is (= "one continues the other" (:rule (fork/check (bytes/utf8 (str block "\n" block)) now))))))))
