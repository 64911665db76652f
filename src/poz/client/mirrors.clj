(ns poz.client.mirrors
  "The mirrors that a lookup remembers of a domain's record (protocol.md §7), in its pins. Pure.

  - `known` those to ask where the domain's own servers do not answer
  - `one-of?` tells whether it was one of them that answered
  - `due?` tells whether to ask again who they are, `kept` whom to remember of those that are told"
  (:require
   [poz.client.pins :as pins]))

(set! *warn-on-reflection* true)

(def ^:private learnt-ms "How long nobody asks again." 86400000)
(def ^:private most "The most that are remembered: each takes its share of the time." 8)

(defn- place [server]
  (select-keys server [:host :port :public-key]))

(defn known
  "The mirrors of the record `hash`, without those of `servers`, which the domain itself names."
  [pins hash servers]
  (let [named (into #{} (map place) servers)]
    (into [] (remove (comp named place)) (:servers (pins/mirrors-of pins hash)))))

(defn one-of?
  "True if `server` is one of `mirrors`."
  [mirrors server]
  (boolean (some #(= (place server) (place %)) mirrors)))

(defn due?
  "True if nobody has told the mirrors of the record `hash` within a day before `now`."
  [pins hash now]
  (let [{:keys [at]} (pins/mirrors-of pins hash)]
    (or (nil? at) (< (+ (long at) (long learnt-ms)) (long now)))))

(defn kept
  "Those of `servers` to remember: who can be asked privately."
  [servers]
  (into [] (comp (filter :public-key) (take most)) servers))
