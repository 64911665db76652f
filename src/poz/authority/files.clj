(ns poz.authority.files
  "The files that queries are answered with: parts of a record's public view (protocol.md §1).

  A zone *falls* when a revision changes its delegation: it is kept, and left out of RECORD
  and IDENTITY until it is signed again."
  (:require
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private base-keys [:public-key-map :master-zone :zone-history])

(defn fallen?
  "True if the authority of `record`'s zone does not stand any more."
  [record zone]
  (not= :valid (:outcome (zone/judge-authority (chain/revisions record) zone
                           (:authority (zone/sections record zone))))))

(defn- zone-keys [zones]
  (mapcat (juxt zone/authority-key zone/zone-key) zones))

(defn master
  "Key map, master zone and history."
  [record]
  (record/encode (select-keys record base-keys)))

(defn chain
  "Key map, master zone and the history from the serial `from` on."
  [record from]
  (let [history (filterv #(<= (long from) (long (:serial %))) (:zone-history record))]
    (record/encode (cond-> (select-keys record [:public-key-map :master-zone])
                     (seq history) (assoc :zone-history history)))))

(defn whole
  "The public view, without the zones that have fallen. `record` is one, and kept as the bytes `b`."
  [record b]
  (if-let [fallen (seq (filter #(fallen? record %) (zone/zones record)))]
    (record/encode (apply dissoc record (zone-keys fallen)))
    b))

(defn with-zones
  "Key map, master zone, history and those of `zones` that the record has; with `:fallen` false
  nil where one of them is not there or has fallen."
  [record zones {:keys [fallen]}]
  (let [there (filter #(zone/sections record %) zones)]
    (when (or fallen (and (= (count there) (count zones)) (not-any? #(fallen? record %) there)))
      (record/encode (select-keys record (into base-keys (zone-keys there)))))))
