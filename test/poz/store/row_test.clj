(ns poz.store.row-test
  "What can become of one row."
  (:require
   [clojure.test :refer [are deftest is]]
   [poz.bytes :as bytes]
   [poz.store.row :as row]))

(set! *warn-on-reflection* true)

(def ^:private old (bytes/utf8 "old"))
(def ^:private new (bytes/utf8 "new"))
(def ^:private p [:a bytes/empty])
(def ^:private before (assoc row/absent :version 3 :value old))
(def ^:private locked (row/locked before "t" p new))

(deftest a-lock-hides-nothing
  (is (= {:version 3 :value old :lock {:id "t" :primary p} :next new :done nil} locked))
  (is (= ["t" nil] (map row/lock-id [locked before]))))

(deftest the-ends-of-a-lock
  (is (= {:version 4 :value new :lock nil :next nil :done nil} (row/ended locked :committed)))
  (is (= {:version 4 :value old :lock nil :next nil :done nil} (row/ended locked :aborted)))
  (is (= {:version 4 :value new :lock nil :next nil :done {:id "t" :others [p]}} (row/decided locked "t" new [p]))))

(deftest the-fate-of-a-transaction
  (are [fate row] (= fate (row/fate row "t"))
    :pending locked
    :committed (row/decided locked "t" new [])
    :committed (row/locked (row/decided locked "t" new []) "u" p old)
    :aborted (row/ended locked :aborted)
    :aborted (row/decided before "u" new [])
    :aborted row/absent))

(deftest what-became-of-it
  (let [decided (row/decided locked "t" new [])
        aborted (row/ended locked :aborted)
        theirs (row/locked before "u" p old)]
    (are [answer from to now] (= answer (row/outcome from to now))
      ;; a lock
      true before locked locked
      :not-yet before locked before
      false before locked theirs
      false before locked aborted
      ;; an end of a lock: that it ended is all that matters
      true locked aborted aborted
      true locked (row/ended locked :committed) theirs
      :not-yet locked aborted locked
      ;; a decision
      true locked decided decided
      true locked decided (row/locked decided "u" p old)
      :not-yet locked decided locked
      :unknown locked decided aborted
      :unknown before (row/decided before "t" new nil) (row/decided before "u" old nil))))
