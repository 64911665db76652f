(ns poz.view.svg.chain-test
  "The chain as a figure: one, a fork, a tail, a draft, hundreds."
  (:require
   [clojure.string :as str]
   [clojure.test :refer [deftest is testing]]
   [poz.bytes :as bytes]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.shown :as shown]
   [poz.view.html :as html]
   [poz.view.svg.chain :as figure]))

(set! *warn-on-reflection* true)

(defn- revisions [b] (chain/revisions (record/decode b)))
(defn- drawn [& chains] (figure/figure chains (constantly :valid)))
(defn- marks [figure] (count (re-seq #"class=\"mark " (html/text (:nodes figure)))))

(deftest a-chain-is-a-line
  (let [f (drawn (revisions (shown/golden "recovery-3")))]
    (is (= "Chain of 3 revisions" (:title f)))
    (is (= 3 (marks f)))
    (is (= 352 (:width f)))
    (is (str/includes? (:doc f) "Revision 2, 2026-01-01"))
    (is (= "Chain of 1 revision" (:title (drawn (revisions (shown/golden "genesis-minimal"))))))))

(deftest a-fork-has-two-branches
  (let [chains (map revisions @shown/fork) lanes (figure/lanes chains)]
    (is (= [[1 0 false] [2 0 false]] (map (juxt (comp :serial :revision) :lane :fork) (take 2 lanes))))
    (is (= #{[3 0 true] [3 1 true]} (set (map (juxt (comp :serial :revision) :lane :fork) (drop 2 lanes)))))
    (is (= "Chain of 3 revisions, with a fork" (:title (apply drawn chains))))
    (testing "a copy with less history, or the same, is none"
      (is (not-any? :fork (figure/lanes [(first chains) (first chains)])))
      (is (= 3 (marks (drawn (first chains) (butlast (first chains)))))))))

(deftest a-draft-and-a-tail
  (is (str/includes? (:doc (drawn (revisions (shown/golden "draft")))) "Draft of revision"))
  (is (str/includes? (html/text (:nodes (drawn (revisions (shown/golden "recovery-3-no-history"))))) "edge dotted")))

(deftest many-are-cut
  (let [hash (fn [i] (bytes/wrap (byte-array (map unchecked-byte (concat (repeat 30 1) [(quot i 256) (rem i 256)])))))
        chain (for [i (range 1 1001)] {:serial i :timestamp i :current-master-hash (hash i) :previous-master-hash (hash (dec i)) :signatures []})
        f (drawn chain)]
    (is (= 20 (marks f)))
    (is (str/includes? (html/text (:nodes f)) "980 revisions more"))
    (is (= "Chain of 1000 revisions" (:title f)))))
