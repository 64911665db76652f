(ns poz.format.messages-test
  "The table of the network against itself and against the names and codes of wire.json."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is testing]]
   [poz.codec :as codec]
   [poz.codec.node :as node]
   [poz.codec.rows :as rows]
   [poz.format :as format]
   [poz.format.messages :as messages]
   [poz.vectors :as vectors]))

(set! *warn-on-reflection* true)

(def ^:private registry (:types format/format))

(defn- by [key rows]
  (into {} (map (juxt key identity)) rows))

(deftest it-is-part-of-the-format
  (is (= messages/messages (:messages format/format)))
  (is (every? registry (keys messages/types)))
  (is (= messages/messages (read-string (pr-str messages/messages))) "it is data"))

(deftest no-code-or-name-stands-twice
  (doseq [rows [messages/requests messages/statuses messages/ports]
          key [:code :name :type :status :contract :port]
          :let [found (keep key rows)]
          :when (seq found)]
    (is (apply distinct? found) key)))

(deftest every-row-says-what-it-is
  (doseq [{:keys [doc] n :name} (concat messages/requests messages/statuses messages/ports)]
    (is (and (string? doc) (not (str/blank? doc)) (not (str/ends-with? doc "."))) n)
    (is (re-matches #"[A-Z_]+" n))))

(deftest codes-and-names-are-those-of-the-vectors
  (let [{:keys [requests responses]} (vectors/json "wire.json")
        types (by :name messages/requests)
        statuses (by :name messages/statuses)]
    (doseq [{:keys [type type_name]} requests]
      (is (= type (:code (types type_name))) type_name))
    (doseq [{:keys [status status_name]} responses]
      (is (= status (:code (statuses status_name))) status_name))
    (testing "and there are no others"
      (is (= (set (keys types)) (set (map :type_name requests))))
      (is (= (set (keys statuses)) (set (map :status_name responses)))))))

(deftest ports-answer-what-they-should
  (let [contracts (by #(str (:port %)) messages/ports)]
    (doseq [[port {:keys [name answered]}] (:ports (vectors/json "wire.json"))
            :let [{:keys [contract] n :name} (contracts (clojure.core/name port))]]
      (is (= name n))
      (is (= answered (for [{:keys [on] n :name} messages/requests :when (on contract)] n))))
    (is (every? #(every? (set (map :contract messages/ports)) (:on %)) messages/requests))))

(deftest every-payload-has-a-type-with-bounds
  (doseq [{:keys [payload answers] n :name} (concat messages/requests messages/statuses)
          form (remove nil? (cons payload (vals answers)))
          :let [{lo :min hi :max} (node/parse registry form)]]
    (is (<= 0 lo hi) n)))

(deftest a-status-has-its-payload-from-one-place
  (let [general (into #{} (keep #(when (:payload %) (:status %))) messages/statuses)
        special (into #{} (mapcat (comp keys :answers)) messages/requests)]
    (is (not-any? general special))
    (is (= (set (map :status messages/statuses)) (into general special)))))

(deftest a-tagged-type-is-told-in-its-table
  (is (= [["domain" "domain" "3–255"] ["hash" "hash" "32"] ["handle" "struct" "8–1034"]
          ["domain" "domain" "3–255"] ["path" "list of segment" "2–522"] ["handle" "handle" "3–257"]]
         (map (juxt :field :type :bytes) (rows/rows format/format :subject))))
  (is (= "U8 code, then one of; 1 domain, 2 hash, 3 handle." (rows/own-text format/format :subject)))
  (is (= [4 1035] (codec/bounds (codec/codec registry :subject))))
  (are [form message] (thrown-with-msg? Exception message (node/parse registry form))
    [:tagged {:as :u8} [1 :a :u8]] #"a case is \[code key \{…\} type\]"
    [:tagged {:as :u8} [:a 1 {} :u8]] #"a case is"
    [:bytes {:rest true}] #":rest and :max"))

(deftest limits-fit-the-lengths
  (let [{:keys [request-payload response-payload noise-message noise-plaintext noise-tag]} messages/limits]
    (is (= request-payload (node/int-max :u16)))
    (is (< response-payload (node/int-max :u32)))
    (is (= (:max-file-size format/limits) response-payload))
    (is (= noise-message (node/int-max :u16) (+ noise-plaintext noise-tag)))
    (are [type bytes] (= bytes (codec/bounds (codec/codec registry type)))
      :request [7 (+ 39 request-payload)]
      :pow [32 32])))

(deftest difficulty-rises-with-the-load
  (let [rows (:difficulty messages/pow)]
    (is (= [0 0] (first rows)))
    (is (apply < (map first rows)))
    (is (apply < (map second rows)))
    (is (every? #(<= 0 (first %) 1) rows))))
