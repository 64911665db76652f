(ns poz.tap
  "Events for whoever watches: `tap>` of plain maps, off until `on!`.

  | `:poz/event` | with |
  |---|---|
  | `:parse` | `:size` in bytes, `:outcome` `:well-formed` or `:malformed`, then `:error`, `:at`, `:path` |
  | `:verify` | `:record` the original hash, `:serial`, `:outcome`, `:problems` |
  | `:query` | `:type`, `:outcome` `:answered` or the category of the failure, then `:error`; `:proven`, `:host`, `:port` |
  | `:server` | of an event of `poz.system.events`, what is a keyword, a number or a boolean |

  `server-event` takes what a server tells, a map:

      (poz.system/start {… :on-event poz.tap/server-event :log-level :debug})

  tells of each request too, by its type and status. Nothing else passes than the keys named here:
  no private key, no section of a record, no passphrase, no name of a file."
  (:require
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(def ^:private watched (atom false))

(defn on!
  "Lets events out. Listeners are added with `add-tap`."
  []
  (reset! watched true))

(defn off!
  "Lets no more events out."
  []
  (reset! watched false))

(defn on?
  "True while events are let out."
  []
  @watched)

(defn- send! [kind facts]
  (tap> (into {:poz/event kind} (filter (comp some? val)) facts)))

(defn parsed!
  "Tells that `found`, a record or an anomaly, was read from the byte string `b`; gives `found`."
  [b {:poz/keys [anomaly error] :as found}]
  (when (on?)
    (send! :parse
      (merge {:size (count b) :outcome (if anomaly :malformed :well-formed)}
        (when anomaly (assoc (select-keys found [:at :path]) :error error)))))
  found)

(defn verified!
  "Tells of the `verdict` on `record`; gives the verdict."
  [record {:keys [outcome problems] :as verdict}]
  (when (on?)
    (send! :verify
      {:record (record/original-hash record) :serial (get-in record [:master-zone :serial])
       :outcome outcome :problems problems}))
  verdict)

(defn queried!
  "Tells of what `question` was answered with, an answer or an anomaly; gives the answer."
  [{:keys [type]} {:poz/keys [anomaly error] :keys [proven server] :as answer}]
  (when (on?)
    (send! :query
      (merge {:type type :outcome (or anomaly :answered) :error error :proven proven}
        (select-keys server [:host :port]))))
  answer)

(defn server-event
  "Tells of `event`, a map, what is a keyword, a number or a boolean: for the option `:on-event` of
  `poz.system`."
  [event]
  (when (on?)
    (send! :server
      (into {} (filter (fn [[_ v]] (or (keyword? v) (number? v) (boolean? v)))) event)))
  nil)
