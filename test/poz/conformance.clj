(ns poz.conformance
  "The conformance suite over published test vectors, which the project does not ship:
  `clojure -M:test -m poz.conformance FOLDER` runs every file of `suites`, all of
  which must be in FOLDER, with each provider, and prints

    one line per file and provider, with how many cases passed and failed
    why some cases of a file do not apply
    every case that failed
    N passed, N failed

  It exits with 0 if all passed, 1 if one failed or none ran, 2 if a file is missing or
  is not what its name says.

  A *case* is `{:id :expected :verdict}`: the verdict that POZ v0 requires, `:valid` or
  `:invalid`, and a thunk that gives the one we reach; or `{:id :not-applicable reason}`."
  (:require
   [clojure.data.json :as json]
   [clojure.java.io :as io]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.noise :as noise]))

(set! *warn-on-reflection* true)

(defn- ->verdict [holds?] (if holds? :valid :invalid))

(defn- wycheproof
  "The cases of a Wycheproof document. `(case-of group test)`, the fields of both as keywords
  and hex, gives the rest of a case."
  [document case-of]
  (for [group (:testGroups document)
        {:keys [tcId comment result] :as test} (:tests group)]
    (merge {:id (str "test " tcId (when (seq comment) (str ", " comment)))
            :expected (keyword result)}
           (case-of group test))))

(defn- verifying
  "A thunk that verifies a signature given in hex."
  [algorithm key message signature]
  (let [[key message signature] (map bytes/hex-> [key message signature])]
    #(->verdict (crypto/verify algorithm key message signature))))

;; Wycheproof

(defn ed25519-cases
  "Ed25519: every valid signature verifies, every invalid one is refused."
  [document]
  (wycheproof document
              (fn [group {:keys [msg sig]}]
                {:verdict (verifying :ed25519 (-> group :publicKey :pk) msg sig)})))

(defn ml-dsa-65-cases
  "ML-DSA-65, pure. The context of POZ's signatures is empty, so tests of others don't apply."
  [document]
  (wycheproof document
              (fn [group {:keys [msg sig ctx]}]
                (if (seq ctx)
                  {:not-applicable "a context that is not empty"}
                  {:verdict (verifying :ml-dsa-65 (:publicKey group) msg sig)}))))

(defn- aead-verdict [{:keys [key iv aad msg ct tag]}]
  (let [[key nonce aad plaintext ct tag] (map bytes/hex-> [key iv aad msg ct tag])
        key (bytes/secret key)
        sealed (bytes/concat ct tag)]
    (->verdict (and (= plaintext (crypto/open key nonce aad sealed))
                    (= sealed (crypto/seal key nonce aad plaintext))))))

(defn chacha20-poly1305-cases
  "ChaCha20-Poly1305: valid is what opens to the plaintext and is what sealing gives. POZ's
  nonces have 12 bytes, as in RFC 8439, so tests of other sizes don't apply."
  [document]
  (wycheproof document
              (fn [_ test]
                (if (= 24 (count (:iv test)))
                  {:verdict #(aead-verdict test)}
                  {:not-applicable "a nonce that is not of 12 bytes"}))))

;; ed25519-speccheck

(def speccheck
  "The verdict on each of the 12 cases by format §3, and its reason. `A` is the key."
  [{:expected :invalid :because "A is of small order (so are R, and S = 0)"}
   {:expected :invalid :because "A is of small order"}
   {:expected :invalid :because "A is not in the prime-order subgroup (and R is of small order)"}
   {:expected :invalid :because "A is not in the prime-order subgroup, though the equation holds"}
   {:expected :invalid :because "A is not in the prime-order subgroup; the equation needs the cofactor"}
   {:expected :invalid :because "A is not in the prime-order subgroup; the equation needs the cofactor"}
   {:expected :invalid :because "S is not below L"}
   {:expected :invalid :because "S is not below L, by far"}
   {:expected :invalid :because "A is not in the prime-order subgroup; R is of small order, not canonical"}
   {:expected :invalid :because "A is not in the prime-order subgroup; R is of small order, not canonical"}
   {:expected :invalid :because "A is not canonical (and of small order)"}
   {:expected :invalid :because "A is not canonical (and of small order)"}])

(defn speccheck-cases
  "The cases on which Ed25519 libraries disagree, decided by the table `speccheck`."
  [document]
  (map-indexed (fn [i [{:keys [expected because]} {:keys [pub_key message signature]}]]
                 {:id (str "case " i ", " because)
                  :expected expected
                  :verdict (verifying :ed25519 pub_key message signature)})
               (map vector speccheck document)))

;; Noise. One case is a whole exchange: the handshake, then messages in turn.

(defn- noise-states
  "The states [initiator responder] with the keys of a test, its ephemeral ones too."
  [{:keys [init_prologue init_ephemeral init_remote_static resp_prologue resp_static resp_ephemeral]}]
  (let [static (bytes/secret (bytes/hex-> resp_static))]
    [(noise/initiator {:prologue (bytes/hex-> init_prologue)
                       :remote-static (bytes/hex-> init_remote_static)
                       :random (bytes/hex-> init_ephemeral)})
     (noise/responder {:prologue (bytes/hex-> resp_prologue)
                       :static {:secret static :public-key (crypto/public-key :x25519 static)}
                       :random (bytes/hex-> resp_ephemeral)})]))

(defn- noise-exchange
  "Gives the states [receiver sender] after a message that was written and read as it should
  be; nil where it was not, or where one before it was not."
  [[sender receiver :as states] {:keys [payload ciphertext]}]
  (when states
    (let [[write read] (if (noise/transport? sender)
                         [noise/encrypt noise/decrypt]
                         [noise/write-message noise/read-message])
          [sender message] (write sender (bytes/hex-> payload))]
      (when (= ciphertext (bytes/->hex message))
        (let [[receiver arrived] (read receiver message)]
          (when (= payload (bytes/->hex arrived))
            [receiver sender]))))))

(defn- noise-verdict [{:keys [messages handshake_hash] :as test}]
  (let [states (reduce noise-exchange (noise-states test) messages)]
    (->verdict (and states
                    (every? noise/transport? states)
                    (or (nil? handshake_hash)
                        (every? #(= handshake_hash (bytes/->hex (:handshake-hash %))) states))))))

(defn- noise-case [id {:keys [protocol_name] :as test}]
  (merge {:id id :expected :valid}
         (if (contains? #{nil noise/protocol-name} protocol_name)
           {:verdict #(noise-verdict test)}
           {:not-applicable (str "a protocol that is not " noise/protocol-name)})))

(defn noise-cases
  "Noise NK: both sides write what is published, byte for byte, and read it. Tests of another
  protocol don't apply; a test that names none is of ours."
  [tests]
  (map-indexed (fn [i {:keys [source protocol_name] :as test}]
                 (noise-case (str "test " i ", " (or protocol_name source)) test))
               tests))

(defn- noise-tests? [tests]
  (and (sequential? tests) (seq tests)
       (every? #(and (map? %) (:init_ephemeral %) (seq (:messages %))) tests)))

;; Running

(def suites
  "The files, how to tell that one is what its name says, and what its cases are."
  [{:file "wycheproof_ed25519.json" :cases ed25519-cases
    :is? #(= "EDDSA" (:algorithm %))}
   {:file "wycheproof_chacha20_poly1305.json" :cases chacha20-poly1305-cases
    :is? #(= "CHACHA20-POLY1305" (:algorithm %))}
   {:file "wycheproof_mldsa_65_verify.json" :cases ml-dsa-65-cases
    :is? #(= "ML-DSA-65" (:algorithm %))}
   {:file "ed25519_speccheck.json" :cases speccheck-cases
    :is? #(and (sequential? %) (= (count speccheck) (count %)))}
   {:file "noise_nk_cacophony.json" :cases (comp noise-cases :vectors)
    :is? #(and (map? %) (noise-tests? (:vectors %)))}
   {:file "noise_nk_public.json" :cases noise-cases
    :is? noise-tests?}])

(defn- unreadable! [sentence]
  (throw (ex-info sentence {::unreadable true})))

(defn read-document
  "The JSON of a suite's file in `folder`. Throws, with a sentence, where it is missing or
  not what it should be."
  [folder {:keys [file is?]}]
  (let [path (io/file folder file)]
    (when-not (.isFile path)
      (unreadable! (str "There is no file " path ".")))
    (let [document (try (json/read-str (slurp path) :key-fn keyword)
                        (catch Exception e (unreadable! (str path " is not JSON: " (ex-message e)))))]
      (when-not (is? document)
        (unreadable! (str path " does not hold the tests that its name says.")))
      document)))

(defn- outcome
  "The case with `:found`: what its verdict is, or what it threw."
  [{:keys [verdict] :as case}]
  (assoc case :found (try (verdict) (catch Exception e (str "threw " e)))))

(defn run-cases
  "`{:passed n :failed [case …] :not-applicable {reason n}}` for `cases` with a provider."
  [cases provider]
  (let [{apply false skip true} (group-by #(contains? % :not-applicable) cases)
        done (crypto/with-provider provider #(mapv outcome apply))
        {passed true failed false} (group-by #(= (:expected %) (:found %)) done)]
    {:passed (count passed)
     :failed (vec failed)
     :not-applicable (frequencies (map :not-applicable skip))}))

(defn run
  "The results of every suite in `folder` with each of `providers`, with `:file` and
  `:provider`. Throws as `read-document` does, before anything runs."
  [folder providers]
  (let [documents (mapv #(read-document folder %) suites)]
    (for [[{:keys [file cases]} document] (map vector suites documents)
          provider providers]
      (assoc (run-cases (cases document) provider) :file file :provider provider))))

;; Reporting

(defn- total [results]
  {:passed (reduce + (map :passed results))
   :failed (reduce + (map (comp count :failed) results))})

(defn- result-lines [{:keys [file provider passed failed not-applicable]}]
  (cons (format "%-36s %-14s %4d passed, %d failed" file (name provider) passed (count failed))
        (for [[reason n] not-applicable]
          (format "%-36s %-14s %4d not applicable: %s" "" "" n reason))))

(defn- failure-lines [{:keys [file provider failed]}]
  (for [{:keys [id expected found]} failed]
    (str "FAILED " file " with " (name provider) ", " id ": expected " expected ", found " found)))

(defn report
  "The lines to print for `results`."
  [results]
  (let [{:keys [passed failed]} (total results)]
    (concat (mapcat result-lines results)
            (mapcat failure-lines results)
            [(str passed " passed, " failed " failed")])))

(defn exit-code
  "0 if all of `results` passed, 1 if a case failed or none ran."
  [results]
  (let [{:keys [passed failed]} (total results)]
    (if (and (pos? passed) (zero? failed)) 0 1)))

(defn- problem-lines
  "A line for each provider that does not load on this platform."
  []
  (for [provider [:accp :conscrypt :bouncy-castle]
        :let [problem (crypto/provider-problem provider)]
        :when problem]
    (str (name provider) " does not load here and is not counted: " problem)))

(defn run-and-print
  "Runs all suites in `folder`, prints the report, and gives the exit code."
  [folder]
  (try (let [results (vec (run folder (crypto/providers)))]
         (run! println (concat (problem-lines) (report results)))
         (exit-code results))
       (catch clojure.lang.ExceptionInfo e
         (when-not (::unreadable (ex-data e)) (throw e))
         (println (ex-message e))
         2)))

(defn -main
  "Runs the suites in the folder `path` and exits; see the namespace's docstring."
  ([]
   (println "Usage: poz.conformance FOLDER, a folder with" (apply str (interpose ", " (map :file suites))))
   (System/exit 2))
  ([path] (System/exit (run-and-print path))))
