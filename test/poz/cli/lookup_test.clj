(ns poz.cli.lookup-test
  "`poz lookup` and `poz discover`, with an authority on loopback and sources that are made up."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.bytes :as bytes]
   [poz.cli-env :as cli]
   [poz.cli-world :as world]
   [poz.client :as client]
   [poz.client-world :as w]
   [poz.discover :as discover]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(defn- poz [sources getenv & words]
  (cli/run (map str words) {:now w/now :seed (str/join " " words) :getenv getenv :sources (when sources (discover/fake sources))}))

(defn- says? [result & sentences]
  (every? #(or (str/includes? (world/said result) %) (println "not said:" %)) sentences))

(defn- web [hash port]
  {:well-known {:bytes (bytes/utf8 (str "{\"v\":\"poz1\",\"original_hash\":\"" (bytes/->hex hash) "\",\"servers\":[{\"host\":\"127.0.0.1\",\"port\":" port
                                     ",\"encryption\":\"noise-nk\",\"public_key\":\"" (bytes/->hex (:public-key w/static)) "\"}]}"))}})

(defn- txt [hash] {:txt {:rows [(str "v=poz1 h=" (bytes/->hex hash))] :dnssec :secure}})

(defn- with-alice [f]
  (w/with-authority {}
    (fn [{:keys [servers provider] :as authority}]
      (let [options {:servers (:submit servers) :now w/now :provider (:record provider)}
            {:keys [entry]} (client/submit {:type :submit-request :request (w/request-for w/alice provider)} options)
            alice (w/accepting w/alice entry)]
        (client/submit {:type :submit-signed :record (:record alice)} options)
        (f authority alice)))))

(deftest an-answer-explains-itself
  (with-alice
    (fn [{:keys [ports provider]} alice]
      (cli/with-folder
        (fn [at]
          (let [hash (w/hash-of provider) sources (merge (web hash (:query ports)) (txt hash)) home {"HOME" (at "home")}
                result (poz sources home "lookup" "alice@social.example")]
            (is (= 0 (:exit result)))
            (is (says? result "alice@social.example: valid" "handle: current, issued by" "proven: the sources name the provider"
                  "remembered from now on" "txt          present, agrees, DNSSEC secure" (str "names " (bytes/->hex hash))
                  "srv          absent" "2 of 2 sources name the one record"
                  (str "the provider      127.0.0.1:" (:query ports) ", privately") "the user"))
            (is (= ["lock" "pins.edn"] (remove #(str/ends-with? % ".poz") (cli/names (at "home/.local/share/poz/pins")))))
            (testing "JSON"
              (let [{:keys [status proven pinned report steps original-hash]} (first (:json (poz sources home "lookup" "alice@social.example" "--json")))]
                (is (= ["current" true "known" 2 ["discovery" "provider" "user"] (bytes/->hex (w/hash-of alice))]
                      [status proven pinned (:agreeing report) (map :step steps) original-hash]))))
            (testing "offline, in the folder of before"
              (let [offline (poz nil (assoc home "XDG_DATA_HOME" "") "lookup" "alice@social.example" "--offline" "--at" (+ (long w/now) 7200000))]
                (is (= 0 (:exit offline)))
                (is (says? offline "handle: current" "without a network: seen" "2 hours ago")))
              (is (= 4 (:exit (poz nil home "lookup" "bob@social.example" "--offline"))))
              (is (= 2 (:exit (poz nil {} "lookup" "alice@social.example" "--offline")))))
            (testing "into a file"
              (is (= 0 (:exit (poz sources {} "lookup" "alice@social.example" "--whole" "--out" (at "a.poz")))))
              (is (= (:record alice) (record/decode (cli/read-bytes (at "a.poz"))))))
            (testing "somebody else's hash, later"
              (let [other (poz (txt (bytes/zeros 32)) home "lookup" "social.example")]
                (is (= 7 (:exit other)))
                (is (says? other "the sources name different records" "pin          present, DISAGREES")))
              (is (= 7 (:exit (poz (txt (bytes/zeros 32)) home "lookup" "social.example" "--json")))))))))))

(deftest failures-say-who-said-what
  (let [a (bytes/zeros 32) b (bytes/hex-> (apply str (repeat 64 "b"))) both (merge (web b 1) (txt a))]
    (doseq [command ["lookup" "discover"]]
      (let [result (poz both {} command "social.example")]
        (is (= 7 (:exit result)))
        (is (says? result (str "txt names " (bytes/->hex a) "; well-known names " (bytes/->hex b)) "txt          present, DISAGREES" "A security event")))
      (let [{:keys [error category report]} (first (:json (poz both {} command "social.example" "--json")))]
        (is (= ["discover/conflict" "conflict"] [error category]))
        (is (= [["txt" false] ["well-known" false]] (map (juxt :source :agrees) (take 2 (:sources report)))))))
    (is (= 4 (:exit (poz {} {} "lookup" "social.example"))))
    (is (= 3 (:exit (poz {} {} "lookup" "a b"))))
    (is (= 5 (:exit (poz (web a 1) {} "lookup" "social.example"))))
    (is (= 5 (:exit (poz {:txt :silent} {} "discover" "social.example" "--timeout" "1"))))))

(deftest discover-alone
  (let [hash (bytes/zeros 32) result (poz (txt hash) {} "discover" "social.example")]
    (is (= 0 (:exit result)))
    (is (says? result "social.example:" "1 of 2 sources names the one record" "social.example:7075, since nobody names one"))
    (is (= "social.example" (:domain (first (:json (poz (txt hash) {} "discover" "social.example" "--json"))))))
    (are [exit words] (= exit (:exit (apply poz (txt hash) {} "discover" "social.example" words)))
      4 ["--policy" "both"], 4 ["--require" "well-known"], 0 ["--policy" "any" "--require" "txt"]
      2 ["--policy" "nope"], 2 ["--require" "nope"], 2 ["--well-known" "http://a/b"], 4 ["--ca" "none.pem"], 4 ["--trust-anchor" "none"])
    (testing "files that are something else"
      (are [words] (= 2 (:exit (apply poz nil {} "discover" "social.example" words)))
        ["--ca" "README.md"] ["--trust-anchor" "README.md"]))))
