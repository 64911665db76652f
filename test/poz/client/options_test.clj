(ns poz.client.options-test
  (:require
   [clojure.string :as str]
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.client.options :as options])
  (:import
   (java.util.concurrent Executor)))

(set! *warn-on-reflection* true)

(def ^:private given {:servers [] :now 0})

(deftest defaults
  (let [filled (options/fill options/query given)]
    (is (= [10000 24 #{:current} []] ((juxt :deadline-ms :max-difficulty :statuses :providers) filled)))
    (is (instance? Executor (:executor filled)))
    (is (fn? (:exchange filled)))
    (is (not (contains? filled :remembered))))
  (is (= 7 (:deadline-ms (options/fill options/submission (assoc given :deadline-ms 7))))))

(deftest wrong-ones
  (are [sentence rows changes] (thrown-with-msg? IllegalArgumentException sentence (options/fill rows (merge given changes)))
    #"Unknown option :deadline; known are \(:deadline-ms" options/query {:deadline 1}
    #"Unknown option :remembered" options/submission {:remembered {}}
    #"Unknown option :provider;" options/query {:provider {}}
    #":deadline-ms is a number above 0" options/query {:deadline-ms 0}
    #":max-difficulty is a number, 0 to 255" options/query {:max-difficulty 256}
    #":statuses is a set" options/query {:statuses #{}}
    #":statuses is a set" options/query {:statuses #{:unknown}}
    #":expected-hash is a byte string of 32" options/query {:expected-hash (bytes/zeros 31)}
    #":providers is" options/query {:providers {}}
    #":executor is" options/query {:executor inc}
    #":now is a number, and required" options/query {:now nil})
  (are [sentence given] (thrown-with-msg? IllegalArgumentException sentence (options/fill options/query given))
    #":servers is a list of servers, and required" {:now 0}
    #":now is a number, and required" {:servers []}))

(deftest every-option-says-what-it-is
  (doseq [rows [options/query options/submission], [k {:keys [doc check rule] :as row}] rows]
    (is (not (str/blank? doc)) k)
    (is (fn? check) k)
    (is (not (str/blank? rule)) k)
    (is (empty? (remove #{:doc :check :rule :default :required} (keys row))) k)))
