(ns poz.client.options
  "The options of the client, as data."
  (:require
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.format.messages :as messages]
   [poz.net :as net])
  (:import
   (java.util.concurrent Executor ForkJoinPool)))

(set! *warn-on-reflection* true)

(defn- positive? [x] (and (int? x) (pos? (long x))))
(defn- hash? [x] (and (bytes/bytes? x) (= 32 (count x))))

(def ^:private common
  {:servers {:doc "whom to ask, see poz.client.servers" :required true :check sequential?
             :rule "a list of servers"}
   :now {:doc "the clock in milliseconds, by which records are verified" :required true :check int?
         :rule "a number"}
   :deadline-ms {:doc "for everything, all servers and work included" :default (:exchange-ms messages/limits)
                 :check positive? :rule "a number above 0"}
   :max-difficulty {:doc "the most zero bits to work for; 0, work for nobody" :default 24
                    :check #(and (int? %) (<= 0 (long %) 255)) :rule "a number, 0 to 255"}
   :max-response {:doc "the most bytes of payload to take" :default (:response-payload messages/limits)
                  :check positive? :rule "a number above 0"}
   :random {:doc "a function that gives n random bytes: for ids, keys, nonces and the order of servers"
            :default crypto/random-bytes :check ifn? :rule "a function"}
   :executor {:doc "where answers are verified and work is done; by default the JVM's common pool"
              :check #(instance? Executor %) :rule "a java.util.concurrent.Executor"}
   :transport {:doc ":nio or :epoll, see poz.net" :check keyword? :rule "a keyword"}
   :exchange {:doc "what carries requests, as poz.net/exchange-async does" :default net/exchange-async
              :check ifn? :rule "a function of options and bytes that gives a CompletableFuture"}
   :statuses {:doc "which statuses of an identity entry to accept; :revoked is for who only passes it on" :default #{:current}
              :check #(and (set? %) (seq %) (every? #{:current :superseded :revoked} %))
              :rule "a set of :current, :superseded, :revoked"}})

(def query
  "Option of a query → `{:doc :default :check :rule :required}`."
  (assoc common
    :mirrors {:doc "whom to ask where none of the servers answers, see poz.client/mirrors" :default []
              :check sequential? :rule "a list of servers"}
    :expected-hash {:doc "the original hash that the record must have, as discovery gave it for a domain, or as it is remembered"
                    :check hash? :rule "a byte string of 32"}
    :providers {:doc "providers' records, or a function of an original hash that gives one, to check a handle against"
                :default [] :check #(or (sequential? %) (fn? %)) :rule "a list of records or a function"}
    :provider-hash {:doc "the original hash that the provider of a handle must have, as discovery gave it for the domain"
                    :check hash? :rule "a byte string of 32"}
    :held {:doc "the record as it is at hand: what is older, or another, is refused; CHAIN continues it"
           :check map? :rule "a record"}
    :remembered {:doc "the memory of the record, see poz.memory" :check map? :rule "a memory"}))

(def submission
  "Option of a submission → `{:doc :default :check :rule :required}`."
  (assoc common
    :provider {:doc "the provider's record, verified, to check an entry against" :check map? :rule "a record"}))

(defn- wrong [& words] (throw (IllegalArgumentException. ^String (apply str words))))

(defn- refuse! [{:keys [rule required]} k]
  (wrong "The option " k " is " rule (when required ", and required") "."))

(def ^:private prepared
  "What is to be known of rows of options beside them: the `:defaults` that there are, and which are `:required`."
  (memoize
    (fn [rows]
      {:defaults (into {} (keep (fn [[k {:keys [default]}]] (when (some? default) [k default]))) rows)
       :required (into [] (keep (fn [[k {:keys [required]}]] (when required k))) rows)})))

(defn- check! [rows given]
  (doseq [k (:required (prepared rows)) :when (not (contains? given k))]
    (refuse! (rows k) k))
  (doseq [[k v] given :let [{:keys [check] :as row} (rows k)]]
    (cond
      (nil? row) (wrong "Unknown option " k "; known are " (sort (keys rows)))
      (not (check v)) (refuse! row k))))

(defn fill
  "`given` with the defaults of `rows`. Throws IllegalArgumentException where one is unknown or
  wrong, or a required one is missing."
  [rows given]
  (check! rows given)
  (merge {:executor (ForkJoinPool/commonPool)} (:defaults (prepared rows)) given))
