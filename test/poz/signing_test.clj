(ns poz.signing-test
  (:require
   [clojure.edn :as edn]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.format :as format]
   [poz.identity :as identity]
   [poz.master :as master]
   [poz.master.chain :as chain]
   [poz.signing :as signing]
   [poz.vectors :as vectors]
   [poz.verdicts :as v]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private primitives (delay (vectors/json "primitives.json")))
(def ^:private algorithm-of (into {} (map (juxt :code :key)) format/algorithms))

;; Golden vectors

(deftest key-hashes-of-the-vectors
  (doseq [{:keys [algorithm key key_hash]} (:keys @primitives)
          :let [entry {:algorithm (algorithm-of algorithm algorithm) :key (bytes/hex-> key)}]]
    (is (= key_hash (bytes/->hex (signing/key-hash entry))) algorithm)
    (is (= [key_hash] (map (comp bytes/->hex deref) (signing/key-hashes [entry]))))))

(defn- zone-statements
  "Title → statement, of the zones of `record`."
  [record hashes]
  (for [z (zone/zones record)
        :let [parts (zone/sections record z) grant (zone/grant-statement record z parts hashes)]
        [title statement] (concat
                            [[(str (name z) " grant") grant]]
                            (when (pos? (get-in parts [:zone :deny :serial]))
                              [[(str (name z) " deny") (zone/deny-statement record z parts (:hash grant) hashes)]])
                            (when (= :identity z)
                              (for [e (zone/entries z (:zone parts))]
                                [(str "entry " (:user-handle e)) (identity/statement e)])))]
    [title statement]))

(defn- statements
  "`[[title statement]]` of every statement of `record`, as records.json calls them."
  [record]
  (let [hashes (signing/key-hashes (:public-key-map record))]
    (concat
      (for [r (chain/revisions record)] [(str "master " (:serial r)) (chain/statement r hashes)])
      (zone-statements record hashes))))

(defn- shown [{:keys [context content cites hash message]} theirs]
  (cond-> {:context context :cites cites :content_hash (bytes/->hex hash) :message (bytes/->hex message)}
    (:content theirs) (assoc :content (if (str/ends-with? (:content theirs) " bytes")
                                        (str (count (bytes/join content)) " bytes")
                                        (bytes/->hex (bytes/join content))))))

(deftest every-statement-of-every-record
  (doseq [{:keys [file hashes]} (v/records)
          :let [ours (statements (v/file-record file)) theirs (:statements hashes)]]
    (testing file
      (is (= (map :statement theirs) (map first ours)))
      (doseq [[[title s] t] (map vector ours theirs)]
        (is (= (dissoc t :statement) (shown s t)) title)))))

(deftest key-hashes-of-every-record
  (doseq [{:keys [file hashes]} (v/records)]
    (is (= (:keys hashes) (map (comp bytes/->hex signing/key-hash) (:public-key-map (v/file-record file)))) file)))

(deftest messages-of-the-primitives
  (let [ours (into {} (map (juxt (juxt :context #(count (bytes/join (:content %)))) identity)) (map second (statements (v/record-named "all-zones"))))]
    (doseq [{:keys [context content_bytes content_hash cites bindings message]} (:all (:messages @primitives))
            :let [s (ours [context content_bytes])]]
      (testing context
        (is (= cites (:cites s)))
        (is (= [content_hash bindings message] (map bytes/->hex [(:hash s) (:bindings s) (:message s)])))))
    (testing "a message is short enough for a token or a QR code"
      (doseq [[_ {:keys [context]}] format/statements]
        (is (<= (count (signing/message context (bytes/zeros 32))) 64) context)))))

(deftest a-login-message
  (let [{:keys [record login content message]} (:login @primitives)
        s (signing/statement :login (vectors/->value :login-content login)
            (signing/key-hashes (:public-key-map (v/file-record record))))]
    (is (= [content message] (map bytes/->hex [(bytes/join (:content s)) (:message s)])))))

;; Contexts

(deftest contexts-differ
  (let [contexts (map :context (vals format/statements))]
    (is (apply distinct? contexts))
    (is (every? #(re-matches #"POZ0 [a-z ]+" %) contexts))))

;; Signature lists

(def ^:private labels ["signing a" "signing b" [:x25519 "signing c"] [:ml-dsa-65 "signing d"]])
(def ^:private key-map (conj (mapv v/key-of labels) {:algorithm 127 :key (bytes/zeros 3)}))
(def ^:private message (signing/message "POZ0 master" (bytes/zeros 32)))

(defn- key-secret [i] (v/secret (let [l (labels i)] (if (vector? l) (second l) l))))

(defn- sign [signatures i] (signing/sign signatures key-map message i (key-secret i)))

(deftest signatures-are-sorted-and-replaced
  (let [s (-> [] (sign 1) (sign 0) (sign 1))]
    (is (= [0 1] (map :key s)))
    (is (= s (sign s 0)) "signing twice is signing once")
    (is (every? (fn [{:keys [key signature]}] (signing/verifies? key-map message key signature)) s))))

(deftest hedged-signatures
  (let [random (bytes/zeros 32)
        plain (sign [] 3)
        hedged (signing/sign [] key-map message 3 (key-secret 3) {:random (crypto/sha3-256 random)})]
    (is (= plain (sign [] 3)) "deterministic without randomness")
    (is (not= plain hedged))
    (is (signing/verifies? key-map message 3 (:signature (first hedged))))
    (is (= (sign [] 0) (signing/sign [] key-map message 0 (key-secret 0) {:random random})) "Ed25519 takes none")))

(deftest what-does-not-verify
  (let [{:keys [signature]} (first (sign [] 0))]
    (is (signing/verifies? key-map message 0 signature))
    (is (not (signing/verifies? key-map message 1 signature)) "another key")
    (is (not (signing/verifies? key-map (bytes/concat message (bytes/zeros 1)) 0 signature)) "another message")
    (is (not (signing/verifies? key-map message 2 signature)) "a key that agrees")
    (is (not (signing/verifies? key-map message 4 signature)) "an unknown algorithm")
    (is (not (signing/verifies? key-map message 9 signature)) "no such key")))

(deftest signatures-made-elsewhere
  (let [{:keys [signature]} (first (sign [] 1))
        add #(signing/add-signature (sign [] 0) key-map message %)
        error #(:poz/error (add %))]
    (is (= (-> [] (sign 0) (sign 1)) (add {:key 1 :signature signature})))
    (is (= (sign [] 0) (signing/add-signature (sign [] 0) key-map message (first (sign [] 0)))) "twice is once")
    (is (= :signature/bad (error {:key 0 :signature signature})))
    (is (= :signature/bad (error {:key 1 :signature (bytes/slice signature 0 63)})))
    (is (= :signature/bad (error {:key 1 :signature bytes/empty})))
    (is (= :signature/bad (error {:key 2 :signature signature})) "an X25519 key cannot sign")
    (is (= :signature/unknown-algorithm (error {:key 4 :signature signature})))
    (is (= :format/index (error {:key 5 :signature signature})))))

(deftest an-external-signer
  (let [draft (master/genesis {:public-key-map [(v/key-of "signing a") (v/key-of "signing b")]
                               :master-keys (v/values [[1 0 50] [1 1 50]]) :delegations [] :timestamp v/start})
        sent (pr-str (master/request draft 1))
        {:keys [key message algorithm public-key context content-hash] :as request}
        (edn/read-string {:readers {'poz/hex bytes/hex->}} sent)]
    (is (= :sign (:poz/request request)))
    (is (= ["POZ0 master" 1 :ed25519] [context key algorithm]))
    (is (= public-key (crypto/public-key :ed25519 (v/secret "signing b"))))
    (is (= message (signing/message context content-hash)) "the signer can tell what it signs")
    (is (not (str/includes? sent "secret")))
    (let [answer (edn/read-string {:readers {'poz/hex bytes/hex->}}
                   (pr-str {:key key :signature (crypto/sign algorithm (v/secret "signing b") message)}))
          signed (master/add-signature (v/sign-draft draft ["signing a"] [0]) answer)]
      (is (= (v/sign-draft draft ["signing a" "signing b"] [0 1]) signed))
      (is (= :valid (:outcome (v/verdict (master/finish signed))))))
    (testing "a bad answer is refused"
      (is (= :signature/bad
             (:poz/error (master/add-signature draft {:key 1 :signature (crypto/sign :ed25519 (v/secret "signing a") message)})))))))

;; Findings

(defn- finding [f facts]
  (select-keys (f (merge {:key-map key-map :statement (delay {:message message})} facts)) [:holds :error]))

(deftest findings-about-signatures
  (let [good (-> [] (sign 0) (sign 1)) alien {:key 4 :signature (bytes/zeros 1)}]
    (is (= {:holds true} (finding signing/signature-finding {:signatures good})))
    (is (= {} (finding signing/signature-finding {:signatures []})) "none says nothing")
    (is (= {:holds false :error :signature/bad}
           (finding signing/signature-finding {:signatures (assoc-in good [1 :signature] (bytes/zeros 64))})))
    (is (= {:holds true} (finding signing/signature-finding {:signatures (conj good alien)})))
    (is (= {:holds :unknown :error :signature/unknown-algorithm}
           (finding signing/algorithm-finding {:signatures (conj good alien)})))
    (is (= {} (finding signing/algorithm-finding {:signatures good})))))

(deftest findings-about-signers
  (let [two (-> [] (sign 0) (sign 1))]
    (is (= {:holds true} (finding signing/stray-finding {:signatures two :named #{0 1 2}})))
    (is (= {:holds false :error :signature/stray} (finding signing/stray-finding {:signatures two :named #{0}})))
    (is (= {:holds true} (finding signing/stray-finding {:signatures two :named nil})) "the list is not at hand")
    (is (= {:holds false :error :signature/stray}
           (finding signing/stray-finding {:signatures [{:key 2 :signature bytes/empty}] :named nil}))
        "an X25519 key is stray whatever the list says")
    (is (= {} (finding signing/stray-finding {:signatures [] :named #{0}})))))

(deftest key-lists-in-words
  (is (= ["no key" "key 1" "keys 1, 2"] (map signing/key-list [[] [1] [1 2]]))))

(deftest known-algorithms
  (is (every? signing/known-algorithm? [:ed25519 :x25519 :ml-dsa-65]))
  (is (not-any? signing/known-algorithm? [4 127 :nope nil]))
  (is (not (error/anomaly? (signing/key-hash {:algorithm 127 :key (bytes/zeros 1)})))))
