(ns poz.system.keys-test
  (:require
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.handles :as h]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.system.keys :as keys]))

(set! *warn-on-reflection* true)

(def ^:private phrase (keyring/passphrase "correct horse"))
(def ^:private sealing {:memory-kib 8192 :passes 1 :lanes 1})

(defn- options [seed] (assoc sealing :random (cli/random seed)))

(defn- written [folder]
  (let [made (keys/fresh (cli/random "keys") h/t0)]
    (is (nil? (keys/write! folder made phrase (options "seal"))))
    made))

(deftest written-and-read
  (cli/with-folder
    (fn [at]
      (let [folder (at "data")]
        (is (not (keys/exist? folder)))
        (let [{made :keys} (written folder)]
          (is (keys/exist? folder))
          (is (= ["owner.poz" "recovery.poz" "server.poz"] (cli/names folder)))
          (when (cli/posix?)
            (is (= ["rw-------"] (distinct (map #(cli/mode (str folder "/" %)) (cli/names folder)))))
            (is (= "rwx------" (cli/mode folder))))
          (let [found (keys/read-keys folder phrase)]
            (is (= (:record made) (:record found)))
            (is (= (update-vals (:ring made) bytes/reveal) (update-vals (:ring found) bytes/reveal)))
            (is (= (map bytes/reveal [(:work made) (:secret (:noise made))]) (map bytes/reveal [(:work found) (:secret (:noise found))])))
            (is (= (:public-key (:noise found)) (crypto/public-key :x25519 (:secret (:noise found)))))
            (is (not= (bytes/reveal (:work found)) (bytes/reveal (:secret (:noise found)))))))))))

(deftest each-file-holds-its-own-keys
  (cli/with-folder
    (fn [at]
      (written (at "data"))
      (doseq [[file indexes] {"owner.poz" [0] "recovery.poz" [1] "server.poz" [2 3 4]}
              :let [r (record/decode (cli/read-bytes (str (at "data") "/" file)))]]
        (is (= indexes (map key (keyring/open r phrase))) file)))))

(deftest no-secret-is-printed
  (let [made (keys/fresh (cli/random "keys") h/t0)]
    (doseq [secret (cons (bytes/reveal (:work (:keys made))) (map bytes/reveal (vals (:ring made))))]
      (is (not (re-find (re-pattern (bytes/->hex secret)) (pr-str made)))))))

(deftest what-is-there-is-not-touched
  (cli/with-folder
    (fn [at]
      (written (at "data"))
      (let [before (cli/read-bytes (keys/server-file (at "data")))]
        (is (= :file/exists (:poz/error (keys/write! (at "data") (keys/fresh (cli/random "other") h/t0) phrase (options "seal")))))
        (is (= before (cli/read-bytes (keys/server-file (at "data")))))))))

(deftest what-cannot-be-read
  (cli/with-folder
    (fn [at]
      (is (= :file/not-found (:poz/error (keys/read-keys (at "data") phrase))))
      (written (at "data"))
      (is (= :keyring/wrong-passphrase (:poz/error (keys/read-keys (at "data") (keyring/passphrase "wrong")))))
      (testing "another holder's file"
        (let [alice (h/person "alice")]
          (cli/write! (keys/server-file (at "data"))
            (record/encode (keyring/seal (:record alice) {0 (:secret alice)} phrase (options "alice"))))
          (is (= :system/keys (:poz/error (keys/read-keys (at "data") phrase))))))
      (testing "no record"
        (cli/write! (keys/server-file (at "data")) "junk")
        (is (error/anomaly? (keys/read-keys (at "data") phrase)))))))
