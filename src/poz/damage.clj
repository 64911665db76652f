(ns poz.damage
  "What may become of a good file: damage as data, so that it can be made again, made smaller
  and told of.

  A *damage* is a map:

  - `:blows` `[{:at n :how n :with n}]`, each falling on one field of the file, or on the item,
    list or section around it; which one, and what happens, the numbers decide together with
    the file (`edit-of` says it in the words of `poz.damage.tree`)
  - `:edits` edits that are told in those words already
  - `:seal` whether the file is signed anew afterwards, so that nothing but the damage is wrong
  - `:raw` edits of bytes without regard to fields (`poz.record.damage`)
  - `:text` whether it is the text form that is had in the end, and `:raw` hits

  `damages` generates them, `damaged` does it to a file. A field is given what it
  may not be or only just may: the ends of its range, a neighbour's value, too few bytes
  or too many; an item goes, comes twice, changes places; a count or a length lies."
  (:require
   [clojure.string :as str]
   [clojure.test.check.generators :as gen]
   [poz.bytes :as bytes]
   [poz.damage.seal :as seal]
   [poz.damage.tree :as tree]
   [poz.record :as record]
   [poz.record.damage :as raw]))

(set! *warn-on-reflection* true)

;; ## Fields

(def ^:private numbers
  "What a number becomes: itself plus one, less one, or one of those at the ends of ranges."
  [0 1 2 3 4 5 8 9 16 17 32 64 65 99 100 101 200 254 255 256 1024 1025 65534 65535 65536 4294967295
   1793577600000 1793577600001 253402300799999 253402300800000 18446744073709551615N])

(def ^:private texts
  ["" "a" "a@b" "a/b" "a:b" "a b" "a\u00a0b" "a\u3000b" "a\u0000" "a\u001f" "a\u007f" "a\u0085" "A" "-a" "a-" "a..b" "a."
   "e\u0301" "a\u200bb" "xn--a" "\ufeff" "\ud83d\ude00" (str/join (repeat 63 "a")) (str/join (repeat 64 "a"))
   (str/join (repeat 255 "a")) (str/join (repeat 256 "a")) (str/join (repeat 127 "é")) (str/join (repeat 128 "é"))])

(def ^:private broken-texts ["ff" "c080" "c1bf" "eda080" "edbfbf" "f4908080" "e282" "80" "f0808080"])

(defn- pick [choices n]
  (nth choices (mod n (count choices))))

(defn- number-edit [path how with]
  (case (long (mod how 4))
    0 [:add path 1]
    1 [:add path -1]
    [:int path (pick numbers with)]))

(defn- another-alike
  "The path of another leaf of as many bytes as that at `path`, or nil."
  [tree path with]
  (let [size #(count (:bytes (tree/at tree %)))
        alike (filterv #(and (not= path %) (= (size path) (size %))) (tree/leaf-paths tree))]
    (when (seq alike) (pick alike with))))

(defn- bytes-edit [tree path how with]
  (let [b (:bytes (tree/at tree path)) n (count b)]
    (case (long (mod how 6))
      (0 1) [:flip path with]
      2 [:put path (bytes/->hex (bytes/zeros n))]
      3 [:put path (bytes/->hex (bytes/slice b 0 (max 0 (dec n))))]
      4 [:put path (str (bytes/->hex b) "00")]
      5 (if-let [other (another-alike tree path with)] [:move path other] [:flip path with]))))

(defn- text-edit [path how with]
  (if (zero? (long (mod how 4)))
    [:put path (pick broken-texts with)]
    [:put path (bytes/->hex (bytes/utf8 (pick texts with)))]))

(defn- item-path
  "The path of the innermost item of a list that `path` leads into, or of its section."
  [path]
  (loop [path path]
    (cond
      (int? (peek path)) path
      (= 1 (count path)) path
      :else (recur (pop path)))))

(defn- item-edit [path how]
  (let [item (item-path path)]
    (case (long (mod how 4))
      0 [:drop item]
      1 [:twice item]
      2 [:swap item]
      3 (if (next item) [:reverse (pop item)] [:append item "00"]))))

(defn edit-of
  "The edit of `tree` that the blow stands for, or nil where the tree has nothing to hit."
  [tree {:keys [at how with]}]
  (let [paths (vec (tree/leaf-paths tree))]
    (when (seq paths)
      (let [path (pick paths at)
            {:keys [kind]} (tree/at tree path)]
        (cond
          (zero? (long (mod how 3))) (item-edit path (quot (long how) 3))
          (= :text kind) (text-edit path (quot (long how) 3) with)
          (#{:bytes :raw :literal} kind) (bytes-edit tree path (quot (long how) 3) with)
          :else (number-edit path (quot (long how) 3) with))))))

;; ## Damage

(defn- struck [tree blows]
  (reduce (fn [tree blow]
            (if-let [edit (edit-of tree blow)] (tree/edit tree edit) tree))
    tree blows))

(defn- raw-edits [b edits]
  (reduce #(raw/edit %1 b %2) b edits))

(defn damaged
  "The bytes of the well-formed file `b` after `damage`; `world`, as `poz.gen/world` gives it, has
  the secrets for signing anew."
  [b world {:keys [blows edits seal text] raw :raw}]
  (let [changed? (or (seq blows) (seq edits))
        file (if changed?
               (let [tree (-> (tree/tree b) (tree/edit-all edits) (struck blows))]
                 (tree/file (if seal (seal/seal tree world) tree)))
               b)]
    (raw-edits (if text (bytes/utf8 (record/armor file)) file) raw)))

;; ## Generators

(def ^:private number (gen/choose 0 100000))

(def ^:private blow
  (gen/hash-map :at number :how (gen/choose 0 71) :with number))

(def raws
  "Generates an edit of bytes, as `poz.record.damage/edit` takes it."
  (gen/tuple (gen/elements [:flip :set :step :delete :insert :cut :swap :count :toc :splice])
    number number (gen/choose 0 65535)))

(defn damages
  "Generates damages. `borrowed` are lists of edits, one of which is now and then the beginning."
  [borrowed]
  (let [borrowed (vec (remove empty? borrowed))
        sealed (fn [g] (gen/hash-map :blows g :seal (gen/frequency [[6 (gen/return true)] [1 (gen/return false)]])))]
    (gen/frequency
      (cond-> [[2 (gen/return {})]
               [5 (sealed (gen/vector blow 1 1))]
               [2 (sealed (gen/vector blow 2 3))]
               [1 (gen/hash-map :raw (gen/vector raws 1 3))]
               [1 (gen/hash-map :raw (gen/vector raws 0 2) :text (gen/return true))]]
        (seq borrowed)
        (conj [5 (gen/hash-map :edits (gen/elements borrowed) :blows (gen/frequency [[5 (gen/return [])] [1 (gen/vector blow 1 1)]])
                   :seal (gen/return true))])))))
