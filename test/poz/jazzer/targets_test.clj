(ns poz.jazzer.targets-test
  "The short form of fuzzing: every target is held against its seeds, damaged seeds, and whatever
  fuzzing has found, which is under test/vectors/found/TARGET."
  (:require
   [clojure.java.io :as io]
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [clojure.test.check.generators :as gen]
   [poz.bytes :as bytes]
   [poz.jazzer.targets :as targets]
   [poz.record.damage :as damage]
   [poz.samples :as samples])
  (:import
   (java.io File)
   (java.nio.file Files)))

(set! *warn-on-reflection* true)

(def ^:private deadline-ms "No input takes as long, on any machine." 10000)

(defn- fault
  "What is wrong with the target for the input `b`, a string, or nil."
  [{:keys [check]} b]
  (let [start (System/nanoTime)]
    (try (check b)
         (when (< (long deadline-ms) (quot (- (System/nanoTime) start) 1000000))
           "it takes too long")
         (catch Throwable e
           (str e)))))

(defn- faults [target inputs]
  (into [] (comp (keep #(when-let [f (fault target %)] [f (bytes/->hex %)])) (take 2)) inputs))

(deftest every-target-holds-for-its-seeds
  (doseq [{:keys [name seeds most] :as target} targets/targets :let [inputs (seeds)]]
    (testing name
      (is (seq inputs))
      (is (every? #(<= (count %) (long most)) inputs))
      (is (= [] (faults target inputs))))))

(deftest every-target-holds-for-nearly-nothing
  (doseq [{:keys [name] :as target} targets/targets]
    (testing name
      (is (= [] (faults target (cons bytes/empty (for [x [0 1 255] n [1 2 40]] (bytes/wrap (byte-array n (unchecked-byte x)))))))))))

(defn- damaged
  "Some inputs that seeds of the target may have become."
  [{:keys [seeds]} n]
  (let [seeds (vec (seeds))]
    (samples/sample (gen/bind (gen/tuple (gen/elements seeds) (gen/elements seeds))
                      (fn [[a b]] (damage/damage-generator a b)))
      n)))

(deftest every-target-holds-for-damaged-seeds
  (doseq [{:keys [name] :as target} targets/targets]
    (testing name
      (is (= [] (faults target (damaged target (if (= "keys" name) 60 250))))))))

(defn- found []
  (for [^File f (file-seq (io/file "test/vectors/found")) :when (.isFile f)]
    [(.getName (.getParentFile f)) f]))

(deftest what-was-found-once-holds
  (doseq [[name ^File file] (found)]
    (testing file
      (is (= [] (faults (targets/target name) [(bytes/wrap (Files/readAllBytes (.toPath file)))]))))))

(deftest a-broken-invariant-is-seen
  (is (str/includes? (fault {:check (fn [_] (assoc nil 1 (/ 1 0)))} bytes/empty) "Divide by zero"))
  (is (nil? (fault {:check identity} bytes/empty)))
  (is (nil? (targets/target "no such target"))))
