(ns poz.cli.ceremony-test
  (:require
   [clojure.data.json :as data-json]
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.cli-world :as world :refer [mail! poz]]
   [poz.cli.ceremony :as ceremony]
   [poz.crypto :as crypto]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.verdicts :as v]))

(set! *warn-on-reflection* true)

(defn- exit [result] (:exit result))

(defn- says? [result & sentences]
  (every? #(str/includes? (world/said result) %) sentences))

(defn- verdict-of [path] (v/verdict (dissoc (world/record path) :private-key-map :key-names)))

(def ^:private web
  "{\"name\":\"web\",\"type\":\"https\",\"hosts\":[{\"hostname\":\"www.example\",\"port\":443,\"transport\":\"tcp\",\"encryption\":\"tls\",\"priority\":0,\"weight\":0}]}")

;; Three keys of 34, 33 and 33

(def ^:private three ["ann" "bob" "cid"])

(def ^:private of-three
  (v/genesis three [[1 0 34] [1 1 33] [1 2 33]] (for [i [0 1 2]] [:service i ([34 33 33] i) 100]) [0 1 2]))

(defn- with-three
  "Calls `(f at file)` in a world where each of the three has a file of their own."
  [f]
  (world/with-people three
    (fn [at]
      (doseq [[i p] (map-indexed vector three)] (world/holder! (at p "my.poz") of-three three [i]))
      (f at #(at % "my.poz")))))

(deftest three-who-must-all-sign
  (with-three
    (fn [at file]
      (let [drafts (map #(at % "draft.txt") three) [d1 d2 d3] drafts joined (at "ann" "joined.txt")]
        (is (= 0 (exit (poz 1 "draft" (file "ann") "--group" "2:ann=100" "--out" d1))))
        (is (> 4096 (long (world/size d1))))
        (doseq [d (rest drafts)] (mail! d1 d))
        (testing "each signs at home"
          (doseq [p three]
            (let [result (poz 2 "sign" (at p "draft.txt") (file p))]
              (is (= 0 (exit result)))
              (is (says? result (str "signed with key " (.indexOf ^java.util.List three p)) "not complete")))))
        (doseq [p ["bob" "cid"]] (mail! (at p "draft.txt") (at "ann" (str p ".txt"))))
        (testing "one of them, or two, do not suffice"
          (let [result (poz 3 "apply" d1 "--holder" (file "ann") "--out" (at "ann" "new.poz"))]
            (is (= 1 (exit result)))
            (is (says? result "former master keys: group 1: 34 of 100; 66 still needed, from keys 1, 2"
                  "its own master keys: group 1: 34 of 100; group 2: 100 of 100"))
            (is (not (says? result "invalid signature"))))
          (is (= 0 (exit (poz 3 "merge" d1 (at "ann" "bob.txt") "--out" joined))))
          (is (= 1 (exit (poz 3 "status" joined)) (exit (poz 3 "apply" joined "--holder" (file "ann") "--out" (at "ann" "new.poz"))))))
        (is (= ["bob.txt" "cid.txt" "draft.txt" "joined.txt" "my.poz"] (cli/names (at "ann" ""))) "nothing was written")
        (testing "all three do"
          (is (= 0 (exit (poz 3 "merge" joined (at "ann" "cid.txt") "--out" joined "--force"))))
          (is (= 0 (exit (poz 3 "status" joined))))
          (let [result (poz 3 "apply" joined "--holder" (file "ann") "--out" (file "ann") "--force")]
            (is (= 0 (exit result)))
            (is (says? result "applied: master revision 2"))))
        (is (= :valid (:outcome (verdict-of (file "ann")))))
        (testing "the others apply the same draft to their own files, and hold the same record"
          (mail! joined d2)
          (is (= 0 (exit (poz 3 "apply" d2 "--holder" (file "bob") "--out" (file "bob") "--force"))))
          (is (= (:master-zone (world/record (file "ann"))) (:master-zone (world/record (file "bob")))))
          (is (= [1] (keys (keyring/open (world/record (file "bob")) (keyring/passphrase world/phrase)))) "with their own secrets"))))))

(deftest drafts-in-any-order
  (with-three
    (fn [at file]
      (let [d (at "ann" "d.txt") results (atom #{})]
        (poz 1 "draft" (file "ann") "--out" d)
        (doseq [p three] (mail! d (at p "d.txt")) (poz 2 "sign" (at p "d.txt") (file p)))
        (doseq [order [[0 1 2] [2 1 0] [1 2 0]]]
          (let [out (at "ann" "m.txt")]
            (is (= 0 (exit (apply poz 3 "merge" (concat (map #(at (three %) "d.txt") order) ["--out" out "--force"])))))
            (swap! results conj (slurp out))))
        (is (= 1 (count @results)))))))

;; Recovery by the family

(def ^:private family ["me" "mum" "dad" "sis" "new"])

(def ^:private my-record
  (v/genesis (subvec family 0 4) [[1 0 100] [2 1 40] [2 2 40] [2 3 40]] [[:service 0 100 100]] [0]))

(deftest the-family-recovers
  (world/with-people ["me" "mum" "dad" "sis"]
    (fn [at]
      (doseq [[i p] (map-indexed vector (take 4 family))]
        (world/holder! (at p "my.poz") my-record (subvec family 0 4) [i]))
      (testing "a zone, before the key is lost"
        (cli/write! (at "me" "web.json") web)
        (is (= 0 (exit (poz 1 "zone" "add" (at "me" "my.poz") "service" (at "me" "web.json") "--out" (at "me" "z.txt")))))
        (is (= 0 (exit (poz 1 "sign" (at "me" "z.txt") (at "me" "my.poz")))))
        (is (= 0 (exit (poz 1 "apply" (at "me" "z.txt") "--holder" (at "me" "my.poz") "--out" (at "me" "my.poz") "--force"))))
        (doseq [p ["mum" "dad" "sis"]]
          (is (= 0 (exit (poz 1 "apply" (mail! (at "me" "z.txt") (at p "z.txt")) "--holder" (at p "my.poz") "--out" (at p "my.poz") "--force"))))))
      (let [new-key (bytes/->hex (:key (v/key-of "new"))) d #(at % "d.txt")]
        (testing "the new key comes from the new phone as hex; mum drafts"
          (is (= 0 (exit (poz 5 "draft" (at "mum" "my.poz") "--add-key" (str "ed25519:" new-key) "--group" "1:4=100"
                           "--delegate" "service:4=100/100" "--out" (d "mum")))))
          (is (> 4096 (long (world/size (d "mum"))))))
        (testing "two of the family are not enough, and it is said who else"
          (poz 5 "sign" (d "mum") (at "mum" "my.poz"))
          (poz 5 "sign" (mail! (d "mum") (d "dad")) (at "dad" "my.poz"))
          (let [result (poz 5 "status" (d "dad"))]
            (is (= 1 (exit result)))
            (is (says? result "former master keys: group 1: 0 of 100; group 2: 40 + 40 = 80 of 100; 20 still needed, from key 3"
                  "its own master keys: group 1: 0 of 100; group 2: 40 + 40 = 80 of 100; 20 still needed, from key 3"))))
        (testing "the third completes it"
          (is (says? (poz 5 "sign" (mail! (d "dad") (d "sis")) (at "sis" "my.poz")) "complete: it can be applied")))
        (let [result (poz 6 "apply" (d "sis") "--holder" (at "sis" "my.poz") "--out" (at "sis" "my.poz") "--force")]
          (is (= 0 (exit result)))
          (is (says? result "the service zone does not hold any more" "poz zone sign-again")))
        (testing "whoever lost the key, or stole it, can do nothing any more"
          (is (= 0 (exit (poz 7 "draft" (at "sis" "my.poz") "--group" "1:me=100" "--out" (at "me" "steal.txt")))))
          (let [result (poz 7 "sign" (at "me" "steal.txt") (at "me" "my.poz"))]
            (is (= 0 (exit result)) "its own list names the thief's key")
            (is (says? result "former master keys: group 1: 0 of 100; group 2: 0 of 100")))
          (is (= 1 (exit (poz 7 "apply" (at "me" "steal.txt") "--out" (at "me" "stolen.poz"))))))
        (testing "the new key signs the zone again"
          (world/holder! (at "me" "phone.poz") (dissoc (world/record (at "sis" "my.poz")) :private-key-map :key-names) family [4])
          (is (= 0 (exit (poz 8 "zone" "sign-again" (at "me" "phone.poz") "service" "--out" (at "me" "again.txt")))))
          (is (= 0 (exit (poz 8 "sign" (at "me" "again.txt") (at "me" "phone.poz")))))
          (is (= 0 (exit (poz 8 "apply" (at "me" "again.txt") "--holder" (at "me" "phone.poz") "--out" (at "me" "phone.poz") "--force"))))
          (is (= :valid (:outcome (verdict-of (at "me" "phone.poz"))))))))))

(deftest a-spare-signature-is-never-made
  (world/with-people ["me" "all"]
    (fn [at]
      (let [all (world/holder! (at "all" "all.poz") my-record (subvec family 0 4) [0 1 2 3]) d (at "all" "d.txt")]
        (poz 1 "draft" all "--out" d)
        (let [{:keys [json] :as result} (poz 1 "sign" d all "--json")]
          (is (= 0 (exit result)))
          (is (= [[1 [0] [0] true]] (map (juxt :version :signed :signers :complete) json)) "it stops at the threshold"))
        (let [result (poz 1 "sign" d all)]
          (is (= 1 (exit result)))
          (is (says? result "none of the keys in that file is still wanted")))
        (is (= 0 (exit (poz 1 "apply" d "--out" (at "all" "r.poz")))))))))

;; Two phones: both must add, either revokes

(def ^:private phones ["phone" "tablet" "vault"])

(def ^:private of-phones
  (v/genesis phones [[1 2 100]] (for [z [:service :auth] i [0 1]] [z i 50 100]) [2]))

(defn- with-phones [f]
  (world/with-people ["phone" "tablet"]
    (fn [at]
      (doseq [[i p] [[0 "phone"] [1 "tablet"]]] (world/holder! (at p "my.poz") of-phones phones [i]))
      (cli/write! (at "phone" "web.json") web)
      (f at #(at % "my.poz")))))

(defn- applied! [day draft file]
  (is (= 0 (exit (poz day "apply" draft "--holder" file "--out" file "--force")))))

(defn- add-web! [at file]
  (let [d #(at % "d.txt")]
    (poz 1 "zone" "add" (file "phone") "service" (at "phone" "web.json") "--out" (d "phone") "--force")
    (mail! (d "phone") (d "tablet"))
    (poz 1 "sign" (d "phone") (file "phone"))
    (poz 1 "sign" (d "tablet") (file "tablet"))
    (poz 1 "merge" (d "phone") (d "tablet") "--out" (at "phone" "m.txt") "--force")
    (mail! (at "phone" "m.txt") (at "tablet" "m.txt"))
    (doseq [p ["phone" "tablet"]] (applied! 1 (at p "m.txt") (file p)))))

(defn- web-hash [file]
  (:hash (first (:entries (first (:json (poz 9 "zone" "list" file "service" "--json")))))))

(deftest both-must-add
  (with-phones
    (fn [at file]
      (let [d (at "phone" "d.txt")]
        (is (= 0 (exit (poz 1 "zone" "add" (file "phone") "service" (at "phone" "web.json") "--out" d))))
        (is (> 4096 (long (world/size d))))
        (poz 1 "sign" d (file "phone"))
        (let [result (poz 1 "apply" d "--holder" (file "phone") "--out" (file "phone") "--force")]
          (is (= 1 (exit result)))
          (is (says? result "grant values: 50 of 100; 50 still needed, from key 1"))
          (is (nil? (:service-zone (world/record (file "phone")))) "a partly signed zone is never stored"))
        (add-web! at file)
        (is (= :valid (:outcome (verdict-of (file "phone"))) (:outcome (verdict-of (file "tablet")))))))))

(deftest either-revokes-alone
  (doseq [p ["phone" "tablet"]]
    (with-phones
      (fn [at file]
        (add-web! at file)
        (let [d (at p "deny.txt")]
          (is (= 0 (exit (poz 2 "zone" "deny" (file p) "service" (web-hash (file p)) "--reason" "compromised" "--out" d))))
          (is (says? (poz 2 "sign" d (file p)) "complete: it can be applied"))
          (applied! 2 d (file p))
          (is (= [false] (map :live (get-in (verdict-of (file p)) [:zones :service :entries])))))))))

;; External signers

(deftest a-token-signs
  (with-three
    (fn [at file]
      (let [d (at "ann" "d.txt")]
        (poz 1 "draft" (file "ann") "--out" d)
        (doseq [[i p] (map-indexed vector three)]
          (let [{:keys [json out] :as result} (poz 2 "sign" d "--export-request" (str i))
                request (data-json/read-str (first out) :key-fn keyword)
                signature (bytes/->hex (crypto/sign :ed25519 (v/secret p) (bytes/hex-> (:message request))))]
            (is (= 0 (exit result)))
            (is (= ["sign" "POZ0 master" i "ed25519" (bytes/->hex (:key (v/key-of p)))]
                   ((juxt :poz/request :context :key :algorithm :public-key) request)))
            (is (= [(assoc request :version 1)] (:json (poz 2 "sign" d "--export-request" (str i) "--json"))) (pr-str json))
            (testing "what it made is verified"
              (let [before (slurp d)]
                (are [word code] (let [result (poz 2 "sign" d "--import" word)] (and (= code (exit result)) (= before (slurp d))))
                  (str i "=" (apply str (repeat 128 "0"))) 1
                  (str i "=" (subs signature 0 126)) 1
                  (str (mod (inc i) 3) "=" signature) 1
                  (str "7=" signature) 1
                  "nonsense" 2)))
            (is (= 0 (exit (poz 2 "sign" d "--import" (str i "=" signature)))))))
        (applied! 3 d (file "ann"))))))

(deftest a-token-signs-a-zone
  (with-phones
    (fn [at file]
      (let [d (at "phone" "d.txt")]
        (poz 1 "zone" "add" (file "phone") "service" (at "phone" "web.json") "--out" d)
        (doseq [[i p] [[0 "phone"] [1 "tablet"]]]
          (is (= 2 (exit (poz 1 "sign" d "--export-request" p))) "names do not travel with a draft")
          (let [request (data-json/read-str (first (:out (poz 1 "sign" d "--export-request" (str i)))) :key-fn keyword)
                signature (crypto/sign :ed25519 (v/secret p) (bytes/hex-> (:message request)))]
            (is (= "POZ0 service grant" (:context request)))
            (is (= 1 (exit (poz 1 "sign" d "--import" (str (- 1 (long i)) "=" (bytes/->hex signature))))))
            (is (= 0 (exit (poz 1 "sign" d "--import" (str i "=" (bytes/->hex signature))))))))
        (applied! 1 d (file "phone"))))))

;; What goes wrong

(deftest drafts-that-differ
  (with-three
    (fn [at file]
      (let [a (at "ann" "a.txt") b (at "ann" "b.txt") out (at "ann" "m.txt")]
        (poz 1 "draft" (file "ann") "--out" a)
        (poz 2 "draft" (file "bob") "--delegate" "service:" "--out" b)
        (let [result (poz 3 "merge" a b "--out" out)]
          (is (= 7 (exit result)))
          (is (says? result "they differ in master-zone timestamp, master-zone delegations")))
        (let [{:keys [json]} (poz 3 "merge" a b "--out" out "--json")]
          (is (= [[1 "draft/different" "conflict" ["master-zone" "timestamp"]]] (map (juxt :version :error :category :path) json))))
        (is (not (.exists (java.io.File. ^String out))))
        (testing "a draft of a zone is another thing"
          (cli/write! (at "ann" "web.json") web)
          (poz 1 "zone" "add" (file "ann") "service" (at "ann" "web.json") "--out" (at "ann" "z.txt"))
          (is (= 7 (exit (poz 3 "merge" a (at "ann" "z.txt") "--out" out)) (exit (poz 3 "merge" (at "ann" "z.txt") a "--out" out)))))))))

(deftest a-forged-signature-does-not-merge
  (with-three
    (fn [at file]
      (let [d (at "ann" "d.txt") forged (at "bob" "d.txt")]
        (poz 1 "draft" (file "ann") "--out" d)
        (poz 1 "sign" (mail! d forged) (file "bob"))
        (cli/write! forged (record/armor (record/encode (assoc-in (world/record forged) [:master-zone :signatures 0 :signature] (bytes/zeros 64)))))
        (let [result (poz 2 "merge" d forged "--out" (at "ann" "m.txt"))]
          (is (= 1 (exit result)))
          (is (says? result "a signature does not verify" "key 1")))))))

(deftest applied-twice
  (with-phones
    (fn [at file]
      (testing "a zone: nothing new, and nothing changes"
        (add-web! at file)
        (let [before (dissoc (world/record (file "phone")) :private-key-map)]
          (applied! 1 (at "phone" "m.txt") (file "phone"))
          (is (= before (dissoc (world/record (file "phone")) :private-key-map)))))))
  (world/with-people ["me"]
    (fn [at]
      (let [file (world/holder! (at "me" "my.poz") my-record (subvec family 0 4) [0]) d (at "me" "d.txt")]
        (poz 1 "draft" file "--out" d)
        (poz 1 "sign" d file)
        (applied! 1 d file)
        (testing "a revision: it is not the parent any more"
          (let [before (slurp file) result (poz 1 "apply" d "--holder" file "--out" file "--force")]
            (is (= 1 (exit result)))
            (is (says? result "wrong parent"))
            (is (not (re-find #"(?i)invalid signature|does not verify" (world/said result))))
            (is (= before (slurp file)))))
        (testing "what is applied is no draft"
          (are [words] (let [result (apply poz 1 words)] (and (= 2 (exit result)) (says? result "it is no draft")))
            ["status" file]
            ["sign" file file]
            ["apply" file "--out" "-"]
            ["merge" file file "--out" "-"]))))))

(deftest begun-from-an-old-copy
  (world/with-people ["me"]
    (fn [at]
      (let [file (world/holder! (at "me" "my.poz") my-record (subvec family 0 4) [0]) [d1 d2] [(at "me" "d1.txt") (at "me" "d2.txt")]]
        (poz 1 "draft" file "--out" d1)
        (poz 2 "draft" file "--out" d2)
        (doseq [d [d1 d2]] (poz 2 "sign" d file))
        (applied! 3 d1 file)
        (let [result (poz 3 "apply" d2 "--holder" file "--out" file "--force")]
          (is (= 1 (exit result)))
          (is (says? result "wrong parent"))))))
  (with-phones
    (fn [at file]
      (testing "a zone likewise, and exit code 7 says that it conflicts"
        (cli/write! (at "phone" "other.json") (str/replace web "\"web\"" "\"other\""))
        (poz 1 "zone" "add" (file "phone") "service" (at "phone" "other.json") "--out" (at "phone" "old.txt"))
        (doseq [p ["phone" "tablet"]] (poz 1 "sign" (at "phone" "old.txt") (file p)))
        (add-web! at file)
        (let [result (poz 2 "apply" (at "phone" "old.txt") "--holder" (file "phone") "--out" (file "phone") "--force")]
          (is (= 7 (exit result)))
          (is (not (re-find #"(?i)signature" (world/said result)))))))))

(deftest signing-what-is-not-ones-own
  (with-three
    (fn [at file]
      (let [d (at "ann" "d.txt") stranger (world/holder! (at "bob" "s.poz") (v/genesis ["eve"] [[1 0 100]] [] [0]) ["eve"] [0])]
        (poz 1 "draft" (file "ann") "--out" d)
        (are [code words] (= code (exit (apply poz 1 "sign" d words)))
          1 [stranger]
          2 [(file "ann") "--key" "nobody"]
          2 [(file "ann") "--key" "9"]
          1 [(file "ann") "--key" "bob"]
          2 []
          2 ["--export-request" "9"]
          4 ["/nowhere.poz"])
        (is (= 1 (:exit (cli/run ["sign" d (file "ann")] {:getenv {"POZ_PASSPHRASE" "wrong"}}))))
        (is (= 4 (:exit (cli/run ["sign" d (file "ann")]))) "no passphrase at all")
        (is (= 4 (:exit (poz 1 "sign" d (cli/write! (at "ann" "public.poz") (record/encode of-three))))) "no secrets in that file")
        (is (= [] (get-in (world/record d) [:master-zone :signatures])))))))

(deftest files-that-stay
  (with-three
    (fn [at file]
      (let [d (at "ann" "d.txt") other (cli/write! (at "ann" "other.txt") "mine")]
        (poz 1 "draft" (file "ann") "--out" d)
        (doseq [words [["sign" d (file "ann") "--out" other] ["merge" d d "--out" other]]]
          (is (= 2 (exit (apply poz 1 words)))))
        (is (= "mine" (slurp other)))
        (is (= 0 (exit (poz 1 "sign" d (file "ann")))) "a draft is signed in place")
        (is (= 1 (count (get-in (world/record d) [:master-zone :signatures]))))
        (doseq [p ["bob" "cid"]] (poz 1 "sign" d (file p)))
        (is (= 2 (exit (poz 1 "apply" d "--holder" (file "ann") "--out" (file "ann")))) "never without --force")
        (is (= 1 (get-in (world/record (file "ann")) [:master-zone :serial])))))))

(deftest a-key-that-a-zone-cites-comes-with-it
  (world/with-people ["me"]
    (fn [at]
      (let [labels ["me"] file (world/holder! (at "me" "my.poz") (v/genesis labels [[1 0 100]] [[:email 0 100 100]] [0]) labels [0])
            inbox (cli/write! (at "me" "in.json") (str "{\"guid\":\"" (apply str (repeat 16 "0a")) "\",\"name\":\"in\",\"key\":1,\"service\":\""
                                                    (apply str (repeat 64 "0")) "\"}"))
            d (at "me" "d.txt")]
        (is (= 0 (exit (poz 1 "zone" "add" file "email" inbox "--out" d
                         "--add-key" (str "x25519:" (bytes/->hex (crypto/public-key :x25519 (v/secret "mail"))))))))
        (poz 1 "sign" d file)
        (applied! 1 d file)
        (is (= [:ed25519 :x25519] (map :algorithm (:public-key-map (world/record file)))))
        (is (= :valid (:outcome (verdict-of file))))
        (is (= [0] (keys (keyring/open (world/record file) (keyring/passphrase world/phrase)))))))))

(deftest a-key-that-nothing-cites-yet-stays
  (world/with-people ["me"]
    (fn [at]
      (let [labels ["me" "later"]
            record (v/genesis ["me"] [[1 0 100]] [] [0])
            file (world/holder! (at "me" "my.poz") (update record :public-key-map conj (v/key-of "later")) labels [0 1])
            d (at "me" "d.txt")]
        (poz 1 "draft" (cli/write! (at "me" "public.poz") (record/encode record)) "--out" d)
        (poz 1 "sign" d file)
        (applied! 1 d file)
        (is (= [0 1] (keys (keyring/open (world/record file) (keyring/passphrase world/phrase))))
            "a draft that was begun from a public copy knows nothing of it")))))

(deftest what-a-draft-is-about
  (is (= :master (ceremony/subject (v/record-named "draft"))))
  (is (= [:service :deny] (ceremony/subject (v/record-named "devices-deny"))) "a file of one zone is about its newest part")
  (is (= [:service :grant] (ceremony/subject (v/record-named "devices-grant-2"))))
  (is (nil? (ceremony/subject (v/record-named "all-zones"))))
  (is (= [:email :grant] (ceremony/subject (assoc-in (v/record-named "all-zones") [:email-zone :grant :signatures] [])))))
