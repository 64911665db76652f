(ns poz.view.tree-test
  "The readable tree of a record."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.clojure-test :refer [defspec]]
   [clojure.test.check.generators :as gen]
   [clojure.test.check.properties :as prop]
   [poz.address :as address]
   [poz.bytes :as bytes]
   [poz.record :as record]
   [poz.samples :as samples]
   [poz.vectors :as vectors]
   [poz.view.text :as text]
   [poz.view.tree :as tree]))

(set! *warn-on-reflection* true)

(defn- golden [n]
  (record/decode (vectors/file-bytes (str "records/" n ".poz"))))

(defn- shown [n & [options]]
  (set (tree/show (golden n) (or options {}))))

(defn- sound? [lines width]
  (every? #(and (<= (text/columns (text/strip %)) width)
             (not-any? text/unsafe? (iterator-seq (.iterator (.codePoints ^String (text/strip %))))))
    lines))

(defn- joined
  "The lines put together without what wrapping added."
  [lines]
  (str/replace (str/join lines) " " ""))

(deftest golden-records
  (doseq [file (vectors/record-files)
          :let [record (record/decode (vectors/file-bytes file))]]
    (testing file
      (let [lines (tree/show record)]
        (is (sound? lines 80))
        (is (sound? (tree/show record {:width 60 :full true}) 60))
        (is (= lines (map text/strip (tree/show record {:color true}))))
        (doseq [entry (get-in record [:identity-zone :grant :body])]
          (is (str/includes? (joined lines) (text/escape (address/of-entry entry)))))))))

(deftest a-whole-record
  (is (= ["Keys: 10"
          "  0  ed25519       key b92ff08f8a0ec6d6…"
          "  1  ed25519       key 9c0f302654498ccf…"
          "  2  ed25519       key ce38c45598499b8d…"
          "  3  x25519        key e493a9fcccf0fc4b…"]
        (take 5 (tree/show (golden "all-zones")))))
  (doseq [line ["    group 1: key 0 = 100"
                "    group 2: key 1 = 50, key 2 = 50"
                "    identity: key 1 grant 50 deny 100, key 2 grant 50 deny 100"
                "  Alice.B@social.example/staff"
                "  Zoë@social.example/a/b/c-d"
                "    chain 7: posting keys key 2"
                "      genesis at post 1, 2026-01-01T00:10:00Z, hash a431b3eb293d0359…"
                "  ff3f843dadefb3ea697fb1de26150ac8 \"Büro ✉\""
                "  group 1: key 5, key 6"
                "    live.example.org:443 tcp, encryption tls, priority 10, weight 50"
                "  deny 0: nothing denied since this grant"]]
    (is (contains? (shown "all-zones") line) line)))

(deftest names-denials-history-and-the-unknown
  (is (contains? (shown "holder-file") "    group 1: key 0 \"laptop\" = 100"))
  (is (contains? (shown "holder-file") "Private, for the holder only"))
  (is (contains? (shown "devices-deny-2") "  denied ae07336dd311bfbf…, compromised, 2026-01-01T00:23:00Z"))
  (is (contains? (shown "unknown-things") "  0x0060: 3 bytes"))
  (is (contains? (shown "draft") "  serial 2, 2026-01-01T00:50:00Z, a draft"))
  (is (str/includes? (joined (tree/show (golden "recovery-3-tail"))) "atail:itdoesnotstartatserial1"))
  (is (contains? (shown "text-warnings") "  a\\u{200D}b@social.example")))

(deftest the-sealed-part-is-never-shown
  (let [record (golden "holder-file")
        sealed (bytes/->hex (get-in record [:private-key-map :sealed]))]
    (is (not (str/includes? (joined (tree/show record {:full true})) sealed)))
    (is (not (str/includes? (joined (tree/show record {:full true})) (subs sealed 0 16))))))

(deftest key-hashes-come-from-the-caller
  (is (contains? (shown "genesis-minimal" {:key-hash (fn [{:keys [key]}] (bytes/slice key 0 4))})
        "  0  ed25519       hash a6a0769d")))

(deftest options-are-checked
  (is (thrown? IllegalArgumentException (tree/show (golden "draft") {:hash identity})))
  (is (thrown? IllegalArgumentException (tree/show (golden "draft") {:key-hash "no"}))))

(defspec any-record-fits 1000
  (prop/for-all [record samples/records, color gen/boolean]
    (sound? (tree/show record {:color color}) 80)))
