(ns poz.record.gen
  "A test.check generator of whole records: well-formed ones, signed by nobody.

  `record-generator` gives maps that `poz.record/encode` takes: one to eight keys of
  mixed, also unknown, algorithms, a master zone, some pairs of authority and zone,
  and now and then a history, private sections, sections of unknown type."
  (:require
   [clojure.test.check.generators :as gen]
   [poz.codec.gen :as codec-gen]
   [poz.codec.gen.scalar :as scalar]
   [poz.codec.node :as node]
   [poz.format :as format]
   [poz.record :as record]))

(set! *warn-on-reflection* true)

(defn- section-node [key]
  (get-in record/section-by-key [key :codec :node]))

(defn- section-gen [key algorithms]
  (codec-gen/generator (section-node key) {:algorithms algorithms}))

(def ^:private most-keys 8)

(def ^:private key-map-gen
  (gen/such-that #(some (comp not #{:x25519} :algorithm) %)
    (codec-gen/generator (assoc (section-node :public-key-map) :most most-keys))
    100))

(defn- now-and-then [chance g]
  (gen/frequency [[(- 12 (long chance)) (gen/return nil)] [chance g]]))

(defn- pair-gen [{:keys [key pair]} algorithms]
  (gen/fmap (fn [[authority zone]] {key authority pair zone})
    (gen/tuple (section-gen key algorithms) (section-gen pair algorithms))))

(defn- alone-gen [{:keys [key]} algorithms]
  (gen/fmap (fn [v] {key v}) (section-gen key algorithms)))

(def ^:private unknown-gen
  (gen/fmap (fn [sections] {:unknown-sections (into (sorted-map) sections)})
    (gen/vector (gen/tuple (gen/such-that (complement record/section-by-code)
                             (gen/choose 0 (node/int-max :u16)))
                  (scalar/byte-strings 0 40))
      1 3)))

(defn- rest-gen
  "Everything beside the key map, in a record whose keys have these `algorithms`."
  [algorithms]
  (let [authorities (filter #(and (:pair %) (= :authority (:type %))) format/sections)
        others (remove #(or (:pair %) (= :public-key-map (:key %))) format/sections)]
    (gen/fmap #(into {} %)
      (apply gen/tuple
        (concat
          (for [row authorities] (now-and-then 3 (pair-gen row algorithms)))
          (for [row others]
            (if (:required row) (alone-gen row algorithms) (now-and-then 2 (alone-gen row algorithms))))
          [(now-and-then 2 unknown-gen)])))))

(defn- profile
  "The `algorithms` as far as it matters to an index which is which."
  [algorithms]
  (mapv #(if (= :x25519 %) % :ed25519) algorithms))

(defn record-generator
  "A generator of record maps. Keep it: it remembers what it made for each key map."
  []
  (let [rest-gen (memoize rest-gen)]
    (gen/bind key-map-gen
      (fn [key-map]
        (gen/fmap #(assoc % :public-key-map key-map)
          (rest-gen (profile (record/algorithms key-map))))))))
