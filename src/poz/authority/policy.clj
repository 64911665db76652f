(ns poz.authority.policy
  "Who gets a handle: a provider's policy as data, and the function that it means.

  A *policy* is one of

    :approve             everybody gets what is free
    :manual              the operator decides about each request
    :reject              nobody gets anything
    {:approve [rule …]   who a rule names gets it,
     :else :manual}      and so about anybody else (:manual unless given, or :reject)
    a function           of `{:request :record :address}`, which gives an answer

  A *rule* is an address as people write it, where `*` stands for any characters of the
  handle or of a segment, or `{:address \"alice@example.com\" :record \"hex\"}`, which only the
  record with that original hash meets.

  An *answer* is `:approve`, `:hold` or `{:reject reason}`."
  (:require
   [clojure.string :as str]
   [poz.address :as address]
   [poz.bytes :as bytes]
   [poz.record :as record])
  (:import
   (java.util.regex Pattern)))

(set! *warn-on-reflection* true)

(def ^:private answers
  {:approve :approve
   :manual :hold
   :reject {:reject "no handles are given out here"}})

;; ## What is wrong

(defn- hash-text? [s]
  (and (string? s) (re-matches #"[0-9a-fA-F]{64}" s)))

(defn- pattern? [s]
  (and (string? s) (some? (address/parse s))))

(defn- rule-fault [rule]
  (when-not (or (pattern? rule)
              (and (map? rule) (pattern? (:address rule)) (hash-text? (:record rule))
                (= #{:address :record} (set (keys rule)))))
    (str "a rule is an address such as *@example.com, or {:address … :record HASH}, not " (pr-str rule))))

(defn fault
  "What is wrong with `policy`, a sentence, or nil."
  [policy]
  (cond
    (fn? policy) nil
    (keyword? policy) (when-not (answers policy) (str "no policy is called " policy))
    (not (map? policy)) (str "a policy is a keyword, a map or a function, not " (pr-str policy))
    (seq (dissoc policy :approve :else)) (str "a policy has :approve and :else, not " (pr-str (first (keys (dissoc policy :approve :else)))))
    (not (sequential? (:approve policy))) ":approve is a list of rules"
    (not (contains? #{:manual :reject} (:else policy :manual))) ":else is :manual or :reject"
    :else (some rule-fault (:approve policy))))

;; ## What it means

(defn- regex [s]
  (let [parts (str/split s #"\*" -1)]
    (re-pattern (str/join "[^@/]*" (map #(Pattern/quote %) parts)))))

(defn- rule-test
  "The function that tells if the rule is met by an address, as text, and an original hash."
  [rule]
  (let [{:keys [address record]} (if (string? rule) {:address rule} rule)
        pattern (regex (address/text (address/parse address)))
        hash (some-> record bytes/hex->)]
    (fn [text of]
      (and (or (nil? hash) (= hash of)) (some? (re-matches pattern text))))))

(defn- list-policy [{:keys [approve else] :or {else :manual}}]
  (let [tests (mapv rule-test approve)]
    (fn [{:keys [record] [domain path handle] :address}]
      (let [text (address/text {:domain domain :path path :handle handle})
            hash (record/original-hash record)]
        (if (some #(% text hash) tests)
          :approve
          (answers else))))))

(defn policy
  "The function of `{:request :record :address}` that `form` means. Throws
  IllegalArgumentException where that is no policy."
  [form]
  (when-let [why (fault form)]
    (throw (IllegalArgumentException. ^String why)))
  (cond
    (fn? form) form
    (keyword? form) (constantly (answers form))
    :else (list-policy form)))
