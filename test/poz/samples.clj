(ns poz.samples
  "Values to test codecs with: of every type of the format, and such values with one
  thing changed, which may or may not be values still.

  - `types` type → its codec, generator and schema
  - `any-value` a generator of `[type value]`
  - `records` the generator of whole records
  - `sample` some values of a generator, the same ones every time
  - `mutate` a value and a seed → the value changed at one place
  - `accepted?` whether a thunk gives a value (an anomaly is a no, all else passes)"
  (:require
   [clojure.test.check.generators :as gen]
   [clojure.test.check.random :as random]
   [clojure.test.check.rose-tree :as rose]
   [poz.bytes :as bytes]
   [poz.codec :as codec]
   [poz.codec.gen :as codec-gen]
   [poz.codec.schema :as schema]
   [poz.error :as error]
   [poz.format :as format]
   [poz.record.gen :as record-gen])
  (:import
   (java.util SplittableRandom)))

(set! *warn-on-reflection* true)

(def registry
  "All types of the format, by name."
  (:types format/format))

(def types
  "Type → `{:codec :generator :schema}`."
  (into {} (map (fn [type]
                  (let [{:keys [node] :as c} (codec/codec registry type)]
                    [type {:codec c :generator (codec-gen/generator node) :schema (schema/schema node)}])))
    (keys registry)))

(def any-value
  "Generates `[type value]` over all types."
  (gen/bind (gen/elements (sort (keys types)))
    (fn [type] (gen/tuple (gen/return type) (:generator (types type))))))

(def records
  "Generates record maps."
  (record-gen/record-generator))

(defn sample
  "`n` values of the generator `g`, of all sizes: always the same ones, for tests that ask
  whether something comes up at all."
  [g n]
  (map (fn [random size] (rose/root (gen/call-gen g random size)))
    (gen/lazy-random-states (random/make-random 1))
    (take n (cycle (range 200)))))

(def seeds
  "Generates seeds for `mutate`."
  (gen/choose 0 Integer/MAX_VALUE))

(defn accepted?
  "True if the thunk `f` gives a value, false if it throws or gives an anomaly."
  [f]
  (not (error/anomaly? (error/attempt f))))

(defn- below ^long [^SplittableRandom r ^long n]
  (.nextLong r n))

(defn- pick [r choices]
  (nth choices (below r (count choices))))

(defn- paths [v path]
  (cons path
    (cond
      (map? v) (mapcat (fn [[k x]] (paths x (conj path k))) v)
      (vector? v) (mapcat (fn [i x] (paths x (conj path i))) (range) v))))

(defn- swap-two [r v]
  (let [i (below r (count v)) j (below r (count v))]
    (assoc v i (v j) j (v i))))

(defn- mutate-int [r v]
  (pick r [(inc' v) (dec' v) 0 1 -1 100 101 255 256 65535 65536 4294967295 4294967296 253402300799999
           253402300800000 Long/MAX_VALUE Long/MIN_VALUE (int 7) (bigint 1) 1.0]))

(defn- mutate-text [r ^String v]
  (pick r [(str v "\u0000") (str v "\u0085") (str v "@") (str "é" v) (str v " ") (str v "/")
           (str v ".") (str v "-") (str v "A") (str v "\ud800") (str "\udc00" v) "" "a" (str v v)
           (apply str (repeat 255 "x")) (apply str (repeat 127 "é")) (apply str (repeat 128 "é"))]))

(defn- mutate-bytes [r v]
  (pick r [bytes/empty (bytes/zeros (count v)) (bytes/concat v (bytes/zeros 1))
           (bytes/slice v 0 (quot (count v) 2)) (bytes/zeros 32) (bytes/secret v) (bytes/->hex v)]))

(defn- mutate-vector [r v]
  (if (empty? v)
    (pick r [[nil] [0] '() {}])
    (pick r [(swap-two r v) (swap-two r v) (pop v) (conj v (pick r v)) (conj v nil) (vec (rseq v))
             [] (apply list v) (subvec v 1) (into v v)])))

(defn- mutate-map [r m]
  (let [k (when (seq m) (pick r (vec (keys m))))]
    (pick r [(dissoc m k) (assoc m k nil) (assoc m :surplus 1) (vec m) {} (assoc m :magic bytes/empty)])))

(defn- mutate-keyword [r v]
  (pick r [:ed25519 :x25519 :ml-dsa-65 :poz :tcp :identity :feed (name v) 0 1 3 4 200 255 256 -1 nil]))

(defn- mutate-here [r v]
  (cond
    (zero? (below r 12)) (pick r [nil :nope "text" 1 [] {} bytes/empty false 'x #{}])
    (int? v) (mutate-int r v)
    (string? v) (mutate-text r v)
    (bytes/bytes? v) (mutate-bytes r v)
    (vector? v) (mutate-vector r v)
    (map? v) (mutate-map r v)
    (keyword? v) (mutate-keyword r v)
    :else v))

(defn mutate
  "The value `v` changed at one place, chosen and changed as `seed` says."
  [v seed]
  (let [r (SplittableRandom. seed)
        path (pick r (vec (paths v [])))]
    (if (empty? path)
      (mutate-here r v)
      (update-in v path #(mutate-here r %)))))
