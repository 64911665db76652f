(ns poz.memory
  "What a verifier remembers of a record, so that nobody can take it back (protocol.md §6): of
  the master and of each zone the newest serials that it saw, with their hashes.

  A *memory* is `{:serial :current-master-hash :zones [{:zone :grant :deny :zone-hash}]}`, the
  same facts that SERIAL answers. `of` makes one, `events` compares one with a newer one,
  `remember` joins them where nothing speaks against it."
  (:require
   [poz.error :as error]
   [poz.signing :as signing]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- facts [{:keys [master-zone] :as record} zone-hash]
  {:serial (:serial master-zone)
   :current-master-hash (:current-master-hash master-zone)
   :zones (mapv (fn [z]
                  (let [{{:keys [grant deny]} :zone :as parts} (zone/sections record z)]
                    {:zone z :grant (:serial grant) :deny (:serial deny) :zone-hash (zone-hash z parts)}))
            (zone/zones record))})

(defn of
  "The memory of `record`; with its `verdict`, nothing is hashed anew."
  ([{:keys [public-key-map] :as record}]
   (let [hashes (signing/key-hashes public-key-map)]
     (facts record (fn [z parts] (:whole-hash (zone/grant-statement record z parts hashes))))))
  ([record {:keys [zones]}]
   (facts record (fn [z _] (:zone-hash (zones z))))))

(defn- event [where before after before-hash after-hash]
  (let [c (compare after before)]
    (cond
      (neg? c) {:error :memory/rollback :where where :remembered before :found after}
      (and (zero? c) (not= before-hash after-hash))
      {:error :memory/fork :where where :remembered before-hash :found after-hash})))

(defn events
  "The security events in `answer` for somebody who remembers `remembered`: a vector of
  `{:error :memory/rollback|:memory/fork :where :master or a zone :remembered :found}`. A zone
  that is not there is none: it may have stopped holding."
  [remembered answer]
  (let [found (into {} (map (juxt :zone identity)) (:zones answer))]
    (into []
      (remove nil?)
      (cons (event :master (:serial remembered) (:serial answer)
              (:current-master-hash remembered) (:current-master-hash answer))
        (for [{:keys [zone grant deny zone-hash]} (:zones remembered)
              :let [f (found zone)] :when f]
          (event zone [grant deny] [(:grant f) (:deny f)] zone-hash (:zone-hash f)))))))

(defn remember
  "The memory after seeing `answer`: `remembered` (nil: nothing yet) with whatever is newer in
  it; or the anomaly of the first security event, with all of them under `:events`."
  [remembered answer]
  (let [found (when remembered (events remembered answer))]
    (if (seq found)
      (let [{:keys [error where] :as event} (first found)]
        (error/anomaly error {:path [where] :expected (pr-str (:remembered event)) :found (pr-str (:found event))
                              :events found}))
      (let [gone (remove (set (map :zone (:zones answer))) (map :zone (:zones remembered)))]
        (update answer :zones into (filter (comp (set gone) :zone)) (:zones remembered))))))
