(ns poz.past
  "A record as it was: at an earlier revision, or at an earlier time.

  `at-revision` and `at-time` give the record that a holder of only what had been stated by
  then would have had. A zone is the newest statement of its keys, so of a zone that was
  granted anew since then nothing is left; a deny that came later is taken off again.
  Verify the result with a clock of that time."
  (:require
   [poz.error :as error]
   [poz.master.chain :as chain]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- zone-then [record zone time]
  (when-let [{:keys [authority] {:keys [grant deny]} :zone} (zone/sections record zone)]
    (when (<= (long (:timestamp grant)) (long time))
      {(zone/authority-key zone) authority
       (zone/zone-key zone) {:grant grant
                             :deny (if (<= (long (:timestamp deny)) (long time)) deny zone/no-deny)}})))

(defn- cut [record chain time]
  (let [kept (select-keys record [:public-key-map])]
    (into (cond-> (assoc kept :master-zone (peek chain))
            (next chain) (assoc :zone-history (pop chain)))
      (map #(zone-then record % time)) zone/names)))

(defn at-time
  "`record` as it was at `time`, milliseconds; or the anomaly `:past/before` of a time before
  the first revision at hand."
  [record time]
  (let [chain (into [] (take-while #(<= (long (:timestamp %)) (long time))) (chain/revisions record))]
    (if (empty? chain)
      (error/anomaly :past/before {:path [:master-zone :timestamp]})
      (cut record chain time))))

(defn at-revision
  "`record` as it was at revision `serial`, until the next one was made; or the anomaly
  `:past/before` of a serial that is not at hand."
  [record serial]
  (let [[chain later] (split-with #(<= (long (:serial %)) (long serial)) (chain/revisions record))]
    (if (not= serial (:serial (last chain)))
      (error/anomaly :past/before {:path [:master-zone :serial] :found (str "serial " serial)})
      (cut record (vec chain)
        (if-let [after (first later)] (dec (long (:timestamp after))) Long/MAX_VALUE)))))
