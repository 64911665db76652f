(ns poz.policy
  "What to make of a verdict: policies as data.

  A policy says which `:outcomes` of the record and which statuses of live identity `:entries`
  it takes, and which `:warnings` it does not. `decide` holds a verdict against one. The
  verdict itself never depends on it."
  (:require
   [clojure.string :as str]
   [poz.error :as error]))

(set! *warn-on-reflection* true)

(def policies
  "The policies that have names."
  {:default {:doc "valid records, whatever their identity entries are"
             :outcomes #{:valid} :entries #{:current :superseded :unknown :invalid :revoked} :warnings #{}}
   :strict {:doc "valid records with current identity entries only, and no warning of danger"
            :outcomes #{:valid} :entries #{:current}
            :warnings #{:master/single-key :master/group-unreachable :delegation/grant-unreachable
                        :delegation/deny-unreachable :identity/superseded :text/format-character
                        :text/not-nfc :key/never-verifies :key/unknown-algorithm :section/unknown :time/future}}
   :lenient {:doc "records of which nothing is broken, even where something is not at hand"
             :outcomes #{:valid :unknown} :entries #{:current :superseded :unknown :invalid :revoked}
             :warnings #{}}})

(defn- objections [{:keys [outcomes entries] :as policy} {:keys [outcome zones warnings]}]
  (concat
    (when-not (outcomes outcome) [(str "the record is " (name outcome))])
    (for [[i {:keys [status live]}] (map-indexed vector (get-in zones [:identity :entries]))
          :when (and live (not (entries status)))]
      (str "identity entry " i " is " (name status)))
    (for [w (sort (distinct (map :warning warnings))) :when ((:warnings policy) w)]
      (str "warning " (error/code w)))))

(defn decide
  "Whether `policy`, a map or a key of `policies`, takes what `verdict` found: `{:accept bool
  :because sentence :objections [sentence …]}`."
  [verdict policy]
  (let [policy (if (keyword? policy)
                 (or (policies policy) (throw (IllegalArgumentException. (str "There is no policy " policy))))
                 policy)
        found (vec (objections policy verdict))]
    {:accept (empty? found)
     :objections found
     :because (if (seq found) (str/join "; " found) "the policy takes it")}))
