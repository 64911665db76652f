(ns poz.conformance-test
  "The conformance suite's own behaviour, over documents made here."
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.conformance :as conformance]
   [poz.crypto :as crypto]
   [poz.noise :as noise])
  (:import
   (java.nio.file Files)
   (java.nio.file.attribute FileAttribute)))

(set! *warn-on-reflection* true)

(def ^:private seed (bytes/secret (bytes/zeros 32)))
(def ^:private message (bytes/utf8 "m"))

(defn- signed [algorithm]
  {:tcId 1 :comment "ours" :result "valid"
   :msg (bytes/->hex message) :sig (bytes/->hex (crypto/sign algorithm seed message))})

(defn- key-hex [algorithm] (bytes/->hex (crypto/public-key algorithm seed)))

(def ^:private sealed
  (let [nonce (bytes/zeros 12) b (crypto/seal seed nonce bytes/empty message)]
    {:tcId 1 :comment "" :result "valid" :key (apply str (repeat 64 "0")) :iv (bytes/->hex nonce)
     :aad "" :msg (bytes/->hex message) :ct (subs (bytes/->hex b) 0 2) :tag (subs (bytes/->hex b) 2)}))

(def ^:private exchange
  "A Noise handshake of ours and a message of the client's, as a test."
  (let [zeros (bytes/zeros 32)
        static {:secret seed :public-key (crypto/public-key :x25519 seed)}
        [i one] (noise/write-message (noise/initiator {:prologue message :random zeros
                                                       :remote-static (:public-key static)}))
        [r] (noise/read-message (noise/responder {:prologue message :random zeros :static static}) one)
        [_ two] (noise/write-message r)
        [i] (noise/read-message i two)
        [_ three] (noise/encrypt i message)]
    {:init_prologue (bytes/->hex message) :resp_prologue (bytes/->hex message)
     :init_ephemeral (bytes/->hex zeros) :resp_ephemeral (bytes/->hex zeros)
     :init_remote_static (bytes/->hex (:public-key static)) :resp_static (bytes/->hex zeros)
     :handshake_hash (bytes/->hex (:handshake-hash i))
     :messages [{:payload "" :ciphertext (bytes/->hex one)} {:payload "" :ciphertext (bytes/->hex two)}
                {:payload (bytes/->hex message) :ciphertext (bytes/->hex three)}]}))

(def ^:private documents
  "File names and documents in which every case passes and three do not apply."
  {"wycheproof_ed25519.json"
   {:algorithm "EDDSA" :testGroups [{:publicKey {:pk (key-hex :ed25519)} :tests [(signed :ed25519)]}]}
   "wycheproof_chacha20_poly1305.json"
   {:algorithm "CHACHA20-POLY1305"
    :testGroups [{:tests [sealed (assoc sealed :iv "00") (assoc sealed :aad "00" :result "invalid")]}]}
   "wycheproof_mldsa_65_verify.json"
   {:algorithm "ML-DSA-65"
    :testGroups [{:publicKey (key-hex :ml-dsa-65)
                  :tests [(signed :ml-dsa-65) (assoc (signed :ml-dsa-65) :ctx "00")]}]}
   "ed25519_speccheck.json"
   (repeat 12 {:pub_key (apply str (repeat 64 "0")) :message "" :signature ""})
   "noise_nk_cacophony.json"
   {:vectors [(assoc exchange :protocol_name "Noise_NK_25519_AESGCM_SHA256")
              (assoc exchange :protocol_name "Noise_NK_25519_ChaChaPoly_SHA256")]}
   "noise_nk_public.json" [(dissoc exchange :handshake_hash)]})

(defn- folder
  "A new folder with the `documents`, JSON unless they are strings."
  [documents]
  (let [dir (.toFile (Files/createTempDirectory "conformance" (make-array FileAttribute 0)))]
    (doseq [[file document] documents]
      (spit (io/file dir file) (if (string? document) document (json/write-str document))))
    dir))

(defn- run
  "[exit code, printed lines] for `documents`."
  [documents]
  (let [code (volatile! nil)
        out (with-out-str (vreset! code (conformance/run-and-print (folder documents))))]
    [@code (str/split-lines out)]))

(deftest everything-passes
  (let [[code lines] (run documents)
        n (* 18 (count (crypto/providers)))]
    (is (= 0 code))
    (is (= (str n " passed, 0 failed") (last lines)))
    (is (some #(str/includes? % "1 not applicable: a nonce that is not of 12 bytes") lines))
    (is (some #(str/includes? % "1 not applicable: a context that is not empty") lines))
    (is (some #(str/includes? % "1 not applicable: a protocol that is not Noise_NK_25519_ChaChaPoly_SHA256")
              lines))))

(deftest a-failure-is-named
  (let [path ["wycheproof_ed25519.json" :testGroups 0 :tests 0 :result]
        [code lines] (run (assoc-in documents path "invalid"))]
    (is (= 1 code))
    (is (some #{(str "FAILED wycheproof_ed25519.json with bouncy-castle, test 1, ours: "
                     "expected :invalid, found :valid")}
              lines))
    (is (str/ends-with? (last lines) (str " passed, " (count (crypto/providers)) " failed")))))

(deftest a-noise-exchange-that-differs-fails
  (let [verdict #(-> (conformance/noise-cases [%]) first (get :verdict) (apply []))]
    (is (= :valid (verdict exchange)))
    (doseq [path [[:handshake_hash] [:messages 0 :ciphertext] [:messages 1 :ciphertext] [:messages 2 :ciphertext]
                  [:messages 2 :payload] [:init_prologue]]]
      (is (= :invalid (verdict (update-in exchange path str/replace #"..$" "00"))) path))
    (testing "a handshake that does not come to its end"
      (is (= :invalid (verdict (update exchange :messages subvec 0 1)))))))

(deftest nothing-ran
  (is (= 1 (conformance/exit-code [])))
  (is (= ["0 passed, 0 failed"] (conformance/report []))))

(deftest a-verdict-that-throws-fails
  (let [case {:id "x" :expected :valid :verdict #(throw (IllegalStateException. "no"))}]
    (is (= ["threw java.lang.IllegalStateException: no"]
           (map :found (:failed (conformance/run-cases [case] :bouncy-castle)))))))

(deftest wrong-folders
  (testing "a file is missing, is not JSON, or is another one"
    (doseq [[file document sentence]
            [["ed25519_speccheck.json" nil #"^There is no file .*ed25519_speccheck.json\.$"]
             ["wycheproof_ed25519.json" "{" #"wycheproof_ed25519.json is not JSON"]
             ["wycheproof_ed25519.json" {:algorithm "ECDSA"} #"does not hold the tests that its name says"]
             ["noise_nk_public.json" {:vectors []} #"does not hold the tests that its name says"]
             ["noise_nk_cacophony.json" {:vectors []} #"does not hold the tests that its name says"]]]
      (let [[code [line & more]]
            (run (if document (assoc documents file document) (dissoc documents file)))]
        (is (= 2 code))
        (is (re-find sentence line))
        (is (empty? more))))))

(deftest speccheck-table
  (is (= 12 (count conformance/speccheck)))
  (is (every? (every-pred :expected :because) conformance/speccheck)))
