(ns poz.cli.holder-test
  (:require
   [clojure.test :refer [are deftest is testing]]
   [poz.cli-env :as cli]
   [poz.cli-world :as world]
   [poz.cli.holder :as holder]
   [poz.error :as error]
   [poz.record :as record]
   [poz.record.text :as text]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(def ^:private labels ["phone" "laptop" "3"])

(def ^:private genesis (v/genesis labels [[1 0 50] [1 1 50] [2 2 100]] [] [2]))

(def ^:private named
  (assoc genesis :key-names [{:key 0 :name "phone"} {:key 1 :name "laptop"} {:key 2 :name "1"}]))

(deftest keys-by-index-or-name
  (are [word index] (= index (holder/key-index named word))
    "0" 0
    "2" 2
    "phone" 0
    "laptop" 1
    "3" nil
    "99999" nil
    "nobody" nil
    "" nil
    "-1" nil)
  (testing "a number is an index, whatever is called so"
    (is (= 1 (holder/key-index named "1")))))

(deftest one-after-another
  (is (= 3 (holder/attempt-> 1 inc inc)))
  (let [bad (error/anomaly :zone/absent)]
    (is (= bad (holder/attempt-> 1 (constantly bad) inc)))
    (is (= bad (holder/attempt-> bad inc)))))

(deftest the-same-keys-elsewhere
  (let [ring {0 :phone 1 :laptop 2 :third}
        other (update genesis :public-key-map #(vec (reverse (take 2 %))))]
    (is (= {1 :phone 0 :laptop} (holder/translate ring genesis other)))
    (is (= ring (holder/translate ring genesis genesis)))))

(deftest signing-with-what-is-at-hand
  (let [sign (fn [x index _] (conj x index))]
    (is (= {:value [0 2] :signed [0 2]} (holder/sign-each [] {2 :c 0 :a 1 :b} #{0 2 5} (constantly true) sign)))
    (is (= {:value [0] :signed [0]} (holder/sign-each [] {2 :c 0 :a} #{0 2} (fn [x _] (empty? x)) sign)) "it stops when nothing is open")
    (is (= {:value [] :signed []} (holder/sign-each [] {} #{0} (constantly true) sign)))
    (is (error/anomaly? (holder/sign-each [] {0 :a 1 :b} #{0 1} (constantly true) (fn [_ _ _] (error/anomaly :signature/bad)))))))

(deftest the-words-of-a-status
  (is (= "20 still needed, from key 3" (holder/needed-line {:missing {:needed 20 :from [3]}})))
  (is (nil? (holder/needed-line {})))
  (is (= ["  mine: 80 of 100; 20 still needed, from keys 1, 2" "  yours: 100 of 100" "not complete"]
         (holder/list-lines {:complete false
                             :lists [{:list :a :line "80 of 100" :missing {:needed 20 :from [1 2]}} {:kind :b :line "100 of 100"}]}
           {:a "mine" :b "yours"})))
  (is (= ["complete: it can be applied"] (holder/list-lines {:complete true :lists []} {})))
  (is (= ["none" "a, b"] (map holder/words [[] ["a" "b"]]))))

(deftest the-keyring-of-a-file
  (world/with-people ["ann"]
    (fn [at]
      (let [path (world/holder! (at "ann" "a.poz") genesis ["phone" "laptop" "3"] [0 2])
            record (world/record path)
            env (fn [phrase] {:getenv {"POZ_PASSPHRASE" phrase}})]
        (is (= [0 2] (keys (holder/keyring record {} (env world/phrase)))))
        (is (= :keyring/wrong-passphrase (:poz/error (holder/keyring record {} (env "wrong")))))
        (is (= :cli/passphrase (:poz/error (holder/keyring record {} (env nil)))))
        (is (= :keyring/absent (:poz/error (holder/keyring genesis {} (env world/phrase)))))))))

(deftest blocks-have-labels
  (world/with-people ["ann"]
    (fn [at]
      (let [b (record/encode genesis)
            path (cli/write! (at "ann" "x.txt") (str "Dear Bob,\n" (text/armor b 64 "IDENTITY ENTRY") "Yours"))
            read #(holder/read-block path % {} (fn [b] b))]
        (is (= b (read "IDENTITY ENTRY")))
        (is (= :format/text-form (:poz/error (read "IDENTITY REQUEST")) (:poz/error (read "RECORD"))))
        (is (= :file/not-found (:poz/error (holder/read-block (at "ann" "none") "RECORD" {} identity))))))))
