(ns poz.cli.identities-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.cli-world :as world :refer [mail! poz]]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.verdicts :as v]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- exit [result] (:exit result))

(defn- says? [result & sentences]
  (every? #(str/includes? (world/said result) %) sentences))

;; A handle

(def ^:private user-labels ["root" "phone" "laptop"])
(def ^:private provider-labels ["office" "clerk" "chief"])

(def ^:private user (v/genesis user-labels [[1 0 100]] [[:identity 1 50 100] [:identity 2 50 100]] [0]))

(defn- provider [shares & signers]
  (v/grant (v/genesis provider-labels [[1 0 100]] shares [0]) provider-labels :identity [] signers))

(defn- with-provider
  "Calls `(f at)` where Ann has a phone and a laptop, and the provider a clerk and a chief, each
  with a file of their own, and everyone the provider's public record."
  [shares signers f]
  (world/with-people ["phone" "laptop" "clerk" "chief"]
    (fn [at]
      (let [p (apply provider shares signers)]
        (doseq [[i who] [[1 "phone"] [2 "laptop"]]] (world/holder! (at who "my.poz") user user-labels [i]))
        (doseq [[i who] [[1 "clerk"] [2 "chief"]]] (world/holder! (at who "my.poz") p provider-labels [i]))
        (doseq [who ["phone" "laptop"]] (cli/write! (at who "social.poz") (record/encode (record/public-view p))))
        (f at)))))

(defn- request!
  "The request of both devices, in the clerk's folder."
  [at day]
  (is (= 0 (exit (poz day "request" (at "phone" "my.poz") "alice@social.example/staff" "--provider" (at "phone" "social.poz")
                   "--proof" "oauth:42" "--out" (at "phone" "request.txt") "--force"))))
  (mail! (at "phone" "request.txt") (at "laptop" "request.txt"))
  (is (= 0 (exit (poz day "request" (at "laptop" "my.poz") "alice@social.example/staff" "--provider" (at "laptop" "social.poz")
                   "--continue" (at "laptop" "request.txt") "--out" (at "laptop" "request.txt") "--force"))))
  (mail! (at "laptop" "request.txt") (at "clerk" "request.txt")))

(defn- accept! [at day]
  (is (= 0 (exit (poz day "accept" (at "phone" "my.poz") (at "phone" "entry.txt") "--out" (at "phone" "draft.txt") "--force"))))
  (is (= 0 (exit (poz day "sign" (at "phone" "draft.txt") (at "phone" "my.poz")))))
  (mail! (at "phone" "draft.txt") (at "laptop" "draft.txt"))
  (is (= 0 (exit (poz day "sign" (at "laptop" "draft.txt") (at "laptop" "my.poz")))))
  (is (= 0 (exit (poz day "apply" (at "laptop" "draft.txt") "--holder" (at "laptop" "my.poz") "--out" (at "laptop" "my.poz") "--force")))))

(defn- status [at provider]
  (let [record (dissoc (world/record (at "laptop" "my.poz")) :private-key-map :key-names)]
    (map :status (get-in (v/verdict record [(world/record provider)]) [:zones :identity :entries]))))

(deftest a-handle-by-files
  (with-provider [[:identity 1 100 100]] [1]
    (fn [at]
      (request! at 1)
      (let [result (poz 1 "attest" (at "clerk" "request.txt") (at "clerk" "my.poz") "--out" (at "clerk" "entry.txt"))]
        (is (= 0 (exit result)))
        (is (says? result "entry alice@social.example/staff" "signed with key 1" "grant values: 100 of 100" "issue hash ")))
      (doseq [file ["request.txt" "entry.txt"]] (is (> 4096 (long (world/size (at "clerk" file))))))
      (is (= 0 (exit (poz 1 "attest" (at "clerk" "request.txt") (at "clerk" "my.poz") "--out" (at "clerk" "again.txt")))))
      (is (= (slurp (at "clerk" "entry.txt")) (slurp (at "clerk" "again.txt"))) "the same entry each time")
      (mail! (at "clerk" "entry.txt") (at "phone" "entry.txt"))
      (accept! at 1)
      (is (= [:current] (status at (at "laptop" "social.poz"))))
      (testing "the provider takes it back by its issue hash"
        (let [{:keys [json]} (poz 1 "attest" (at "clerk" "request.txt") (at "clerk" "my.poz") "--out" (at "clerk" "j.txt") "--json")
              {:keys [version complete sum issue-hash]} (first json) d (at "clerk" "deny.txt") my (at "clerk" "my.poz")]
          (is (= [1 true 100] [version complete sum]))
          (is (= 0 (exit (poz 2 "zone" "deny" my "identity" issue-hash "--reason" "abuse" "--out" d))))
          (is (= 0 (exit (poz 2 "sign" d my))))
          (is (= 0 (exit (poz 2 "apply" d "--holder" my "--out" my "--force"))))
          (is (= [:revoked] (status at my)))
          (testing "and does not issue it again"
            (let [result (poz 1 "attest" (at "clerk" "request.txt") my "--out" (at "clerk" "no.txt"))]
              (is (= 6 (exit result)))
              (is (says? result "the provider denies this very entry")))))))))

(deftest a-provider-of-two-keys
  (with-provider [[:identity 1 50 100] [:identity 2 50 100]] [1 2]
    (fn [at]
      (request! at 1)
      (let [result (poz 1 "attest" (at "clerk" "request.txt") (at "clerk" "my.poz") "--out" (at "clerk" "entry.txt"))]
        (is (= 1 (exit result)))
        (is (says? result "grant values: 50 of 100; another key of the provider must sign too")))
      (mail! (at "clerk" "entry.txt") (at "chief" "entry.txt"))
      (is (= 0 (exit (poz 1 "attest" (at "chief" "entry.txt") (at "chief" "my.poz") "--out" (at "chief" "entry.txt") "--force"))))
      (mail! (at "chief" "entry.txt") (at "phone" "entry.txt"))
      (accept! at 1)
      (is (= [:current] (status at (at "laptop" "social.poz")))))))

(deftest requests-that-are-refused
  (with-provider [[:identity 1 100 100]] [1]
    (fn [at]
      (let [alone (at "phone" "alone.txt") attest #(apply poz 1 "attest" %1 (at "clerk" "my.poz") %&)]
        (poz 1 "request" (at "phone" "my.poz") "alice@social.example" "--provider" (at "phone" "social.poz") "--out" alone)
        (are [code sentence result] (and (= code (exit result)) (says? result sentence))
          1 "grant values: 50 of 100" (attest alone)
          1 "more than 5 minutes" (attest alone "--at" "2026-01-09T00:00:00Z")
          2 "is not an address" (poz 1 "request" (at "phone" "my.poz") "alice" "--provider" (at "phone" "social.poz"))
          2 "--provider is required" (poz 1 "request" (at "phone" "my.poz") "alice@social.example")
          3 "exactly one whole block" (poz 1 "accept" (at "phone" "my.poz") alone)
          4 "no Private Key Map" (poz 1 "attest" alone (at "phone" "social.poz")))
        (testing "a request to another provider"
          (request! at 1)
          (let [other (world/holder! (at "chief" "other.poz")
                        (v/grant (v/genesis ["other"] [[1 0 100]] [[:identity 0 100 100]] [0]) ["other"] :identity [] [0]) ["other"] [0])]
            (is (says? (poz 1 "attest" (at "clerk" "request.txt") other) "does not verify"))))
        (testing "JSON, with its version"
          (is (= [[1 "request/below-threshold" "invalid"]] (map (juxt :version :error :category) (:json (attest alone "--json"))))))))))

(deftest an-entry-for-somebody-else
  (with-provider [[:identity 1 100 100]] [1]
    (fn [at]
      (request! at 1)
      (poz 1 "attest" (at "clerk" "request.txt") (at "clerk" "my.poz") "--out" (at "clerk" "entry.txt"))
      (let [result (poz 1 "accept" (at "clerk" "my.poz") (at "clerk" "entry.txt"))]
        (is (= 1 (exit result)))
        (is (says? result "issued to another record"))))))

;; Login

(def ^:private auth-labels ["vault" "phone" "laptop"])

(def ^:private login-record
  (v/grant (v/genesis auth-labels [[1 0 100]] [[:auth 0 100 100]] [0]) auth-labels :auth {:groups [{:id 1 :keys [1 2]}]} [0]))

(defn- with-login
  "Calls `(f at respond)`; `(respond who file more…)` answers with that device's file, in its folder."
  [f]
  (world/with-people ["phone" "laptop" "shop"]
    (fn [at]
      (doseq [[i who] [[1 "phone"] [2 "laptop"]]] (world/holder! (at who "my.poz") login-record auth-labels [i]))
      (cli/write! (at "shop" "user.poz") (record/encode login-record))
      (is (= 0 (exit (poz 1 "login" "challenge" "shop.example" "--out" (at "shop" "challenge.txt")))))
      (doseq [who ["phone" "laptop"]] (mail! (at "shop" "challenge.txt") (at who "challenge.txt")))
      (f at (fn [who file & more]
              (apply poz 1 "login" "respond" (at who file) (at who "my.poz") "--out" (at who "response.txt") "--force" more))))))

(deftest a-login-with-two-devices
  (with-login
    (fn [at respond]
      (let [half (respond "phone" "challenge.txt" "--group" "1")]
        (is (= 1 (exit half)))
        (is (says? half "signed with key 1" "still needed: key 2")))
      (mail! (at "phone" "response.txt") (at "laptop" "response.txt"))
      (mail! (at "phone" "response.txt") (at "shop" "half.txt"))
      (let [whole (respond "laptop" "response.txt" "--json")]
        (is (= 0 (exit whole)))
        (is (= [[1 [2] []]] (map (juxt :version :signed :missing) (:json whole)))))
      (mail! (at "laptop" "response.txt") (at "shop" "response.txt"))
      (let [check (fn [day file & more] (apply poz day "login" "check" (at "shop" file) (at "shop" "user.poz") more))
            challenge ["--challenge" (at "shop" "challenge.txt")]
            good (apply check 1 "response.txt" challenge)]
        (is (= 0 (exit good)))
        (is (= "login: valid" (first (:out good))))
        (is (every? #(str/starts-with? % "  ok  ") (rest (:out good))))
        (is (= 0 (exit (check 1 "response.txt" "--site" "shop.example"))))
        (are [code problem result] (and (= code (exit result)) (says? result problem))
          1 "[login/not-all-keys]" (apply check 1 "half.txt" challenge)
          1 "[login/other-site]" (check 1 "response.txt" "--site" "bank.example")
          1 "[login/time]" (apply check 2 "response.txt" challenge)
          2 "--site or --challenge is required" (check 1 "response.txt")
          3 "exactly one whole block" (check 1 "challenge.txt" "--site" "shop.example")
          3 "exactly one whole block" (check 1 "response.txt" "--challenge" (at "shop" "response.txt")))
        (testing "another challenge of the same site"
          (is (= 0 (exit (poz 1 "login" "challenge" "shop.example" "--out" (at "shop" "other-challenge.txt")))))
          (is (says? (check 1 "response.txt" "--challenge" (at "shop" "other-challenge.txt")) "[login/other-challenge]")))
        (testing "JSON"
          (let [{:keys [version outcome error group]} (first (:json (check 1 "half.txt" "--site" "shop.example" "--json")))]
            (is (= [1 "invalid" "login/not-all-keys" 1] [version outcome error group]))))
        (testing "a key is revoked meanwhile"
          (cli/write! (at "shop" "user.poz")
            (record/encode (v/deny login-record auth-labels :auth [(signing/key-hash (v/key-of "phone"))] [0])))
          (is (says? (apply check 1 "response.txt" challenge) "key 1 of the group is revoked" "[login/key-revoked]")))))))

(deftest logins-that-make-no-sense
  (with-login
    (fn [at respond]
      (are [code sentence result] (and (= code (exit result)) (says? result sentence))
        2 "--group is required" (respond "phone" "challenge.txt")
        2 "--group" (respond "phone" "challenge.txt" "--group" "300")
        1 "no such live group" (respond "phone" "challenge.txt" "--group" "7")
        3 "exactly one whole block" (respond "phone" "my.poz" "--group" "1"))
      (is (not (.exists (java.io.File. ^String (at "phone" "response.txt")))) "nothing was written")
      (is (= 3 (exit (poz 1 "login" "challenge" "Not A Site" "--out" (at "shop" "c.txt")))))
      (testing "nothing to sign with twice"
        (respond "phone" "challenge.txt" "--group" "1")
        (let [again (respond "phone" "response.txt")]
          (is (= 1 (exit again)))
          (is (says? again "signed with none" "still needed: key 2")))))))

(deftest files-are-not-replaced
  (with-login
    (fn [at _]
      (is (= 2 (exit (poz 1 "login" "challenge" "shop.example" "--out" (at "shop" "challenge.txt"))))))))

(deftest challenges-differ
  (let [nonce #(:nonce (first (:json (cli/run ["login" "challenge" "shop.example" "--json" "--out" %1] {:seed %2}))))]
    (world/with-people ["shop"]
      (fn [at] (is (not= (nonce (at "shop" "a") "1") (nonce (at "shop" "b") "2")))))))

(deftest the-entry-of-a-zone
  (with-provider [[:identity 1 100 100]] [1]
    (fn [at]
      (request! at 1)
      (poz 1 "attest" (at "clerk" "request.txt") (at "clerk" "my.poz") "--out" (at "clerk" "entry.txt"))
      (mail! (at "clerk" "entry.txt") (at "phone" "entry.txt"))
      (accept! at 1)
      (let [{:keys [entries]} (first (:json (poz 1 "zone" "list" (at "laptop" "my.poz") "identity" "--json")))
            entry (first (zone/entries :identity (:identity-zone (world/record (at "laptop" "my.poz")))))]
        (is (= [[(bytes/->hex (zone/entry-hash :identity entry)) true]] (map (juxt :hash :live) entries)))))))
