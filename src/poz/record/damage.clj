(ns poz.record.damage
  "Damaged files: what a decoder must refuse, or give back byte for byte.

  `damage-generator` takes an encoded record and gives test.check generators of what
  may have become of it: flipped bits, changed, lost and added bytes, a cut, swapped
  and spliced ranges, numbers in the table of contents, counts and lengths that lie.
  Some edits are made to the file as it is; some have the header's size corrected, and
  some are made inside one section and packed anew, so that deep readers are reached.

  An edit is data, `[what x y v]`, and `edit` a pure function of it."
  (:require
   [clojure.test.check.generators :as gen]
   [poz.bytes :as bytes]
   [poz.codec.input :as input]
   [poz.error :as error]
   [poz.record :as record])
  (:import
   (java.nio ByteBuffer)))

(set! *warn-on-reflection* true)

(def ^:private ^:const header-size 8)
(def ^:private ^:const toc-entry-size 10)

(defn- replace-range [b start end middle]
  (bytes/concat (bytes/slice b 0 start) middle (bytes/slice b end)))

(defn- put [b at put-int!]
  (let [buffer (ByteBuffer/wrap (bytes/->array b))]
    (put-int! buffer (int at))
    (bytes/wrap (.array buffer))))

(defn- put-u8 [b at v]
  (put b at (fn [^ByteBuffer o at] (.put o (int at) (unchecked-byte v)))))

(defn- put-u16 [b at v]
  (put b at (fn [^ByteBuffer o at] (.putShort o (int at) (unchecked-short v)))))

(defn- put-u32 [b at v]
  (put b at (fn [^ByteBuffer o at] (.putInt o (int at) (unchecked-int v)))))

(defn- u16-at ^long [b at]
  (+ (* 256 (long (nth b at))) (long (nth b (inc (long at))))))

(defn- near
  "The first place from `at` on where a small u16 stands, as counts and lengths do."
  [b at]
  (let [at (long at) places (range at (min (dec (count b)) (+ at 64)))]
    (or (first (filter #(< 0 (u16-at b %) 512) places)) at)))

(defn- edit-count [b at y v]
  (let [at (near b at)
        lies [0 1 2 255 256 65535 (dec (u16-at b at)) (inc (u16-at b at)) v]]
    (put-u16 b at (nth lies (mod y (count lies))))))

(defn- edit-toc [b x y v]
  (let [entry (+ header-size 2 (* toc-entry-size (mod x (max 1 (nth b (inc header-size) 1)))))
        [offset put] (nth [[0 put-u16] [2 put-u32] [6 put-u32]] (mod y 3))
        at (+ entry (long offset))]
    (if (<= (+ at 4) (count b))
      (put b at (if (even? x) v (+ (long (nth b (+ at 1))) (long (mod v 3)) -1)))
      b)))

(defn- swap [b at y]
  (let [n (count b) end (min n (+ at 1 (mod y 40))) more (min n (+ end 1 (mod y 23)))]
    (replace-range b at more (bytes/concat (bytes/slice b end more) (bytes/slice b at end)))))

(defn- splice [b other at y]
  (let [there (mod y (inc (count other)))]
    (if (even? y)
      (bytes/concat (bytes/slice b 0 at) (bytes/slice other there))
      (replace-range b at (min (count b) (+ at 32)) (bytes/slice other there (min (count other) (+ there 32)))))))

(defn edit
  "The byte string `b` after the edit `[what x y v]`, three integers that each edit takes
  as it needs; `other` is what `:splice` takes its bytes from."
  [b other [what x y v]]
  (if (< (count b) 2)
    b
    (let [at (long (mod x (dec (count b)))) some-bytes (inc (long (mod y 4)))]
      (case what
        :flip (put-u8 b at (bit-xor (long (nth b at)) (bit-shift-left 1 (mod y 8))))
        :set (put-u8 b at v)
        :step (put-u8 b at (+ (long (nth b at)) (if (even? y) 1 -1)))
        :delete (replace-range b at (min (count b) (+ at some-bytes)) bytes/empty)
        :insert (replace-range b at at (bytes/wrap (byte-array some-bytes (unchecked-byte v))))
        :cut (bytes/slice b 0 at)
        :swap (swap b at y)
        :count (edit-count b at y v)
        :toc (edit-toc b x y v)
        :splice (splice b other at y)))))

(def ^:private edit-gen
  (gen/tuple (gen/elements [:flip :set :step :delete :insert :cut :swap :count :count :toc :splice])
    (gen/choose 0 1000000) (gen/choose 0 1000000) (gen/choose 0 65535)))

(defn- edit-all [b other edits]
  (reduce #(edit %1 other %2) b edits))

(defn- correct-size [b]
  (if (<= header-size (count b)) (put-u32 b 4 (count b)) b))

(defn- sections
  "The sections of the file `b` as code → bytes; none where it has no sound container."
  [b]
  (let [found (error/attempt #(record/read-container! (input/reader b) (count b)))]
    (when-not (error/anomaly? found)
      (into (sorted-map)
        (map (fn [{:keys [type offset length]}] [type (bytes/slice b offset (+ (long offset) (long length)))]))
        found))))

(defn- edit-section [all other n edits]
  (if-let [code (when (seq all) (nth (keys all) (mod n (count all))))]
    (record/pack (update all code edit-all other edits))
    other))

(defn damage-generator
  "A generator of byte strings: the encoded record `b` after one to three edits. `other`,
  another file, is where spliced bytes come from (`b` itself unless given)."
  ([b] (damage-generator b b))
  ([b other]
   (let [all (sections b)]
     (gen/fmap (fn [[how n edits]]
                 (case how
                   :file (edit-all b other edits)
                   :sized (correct-size (edit-all b other edits))
                   :section (edit-section all other n edits)))
       (gen/tuple (gen/elements [:section :section :sized :file])
         (gen/choose 0 100)
         (gen/vector edit-gen 1 3))))))
