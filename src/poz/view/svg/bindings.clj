(ns poz.view.svg.bindings
  "The identity entries of a record as a figure: providers, the handles that they attest to
  this record, and whether each still counts."
  (:require
   [clojure.string :as str]
   [poz.address :as address]
   [poz.bytes :as bytes]
   [poz.view.svg :as svg]))

(set! *warn-on-reflection* true)

(def ^:private ^:const row-height 32)
(def ^:private most-handles 12)
(def ^:private most-providers 12)

(def ^:private line-kinds
  {:current "edge" :superseded "edge dashed" :unknown "edge dotted" :revoked "edge bad" :invalid "edge bad"})

(def ^:private mark-kinds
  {:current :valid :superseded :unknown :unknown :unknown :revoked :invalid :invalid :invalid})

(defn- row [depth kind entry]
  (assoc entry :depth depth :kind kind))

(defn- cut
  "The first `n` of `xs` as rows by `f`, and a row that says how many there are beside them."
  [n depth f xs]
  (let [more (- (count xs) (long n))]
    (concat (mapcat f (take n xs))
      (when (pos? more) [(row depth :more {:text (str "… " more " more")})]))))

(defn- provider-rows [[{:keys [authority-hash authority-domain]} bindings]]
  (cons (row 1 :provider {:text authority-domain :hash (subs (bytes/->hex authority-hash) 0 12)})
    (cut most-handles 2 (fn [{:keys [entry status live]}]
                          [(row 2 :handle {:text (address/of-entry entry) :status (if live status :denied)})])
      bindings)))

(defn- rows [bindings]
  (cons (row 0 :record {:text "this record"})
    (cut most-providers 1 provider-rows
      (sort-by (comp :authority-domain key)
        (group-by #(select-keys (:entry %) [:authority-hash :authority-domain]) bindings)))))

(defn- x-of ^long [{:keys [depth]}] (+ 12 (* 24 (long depth))))
(defn- y-of ^long [i] (+ 16 (* row-height (long i))))

(defn- parent [rows i]
  (let [depth (long (:depth (nth rows i)))]
    (first (filter #(< (long (:depth (nth rows %))) depth) (range (dec (long i)) -1 -1)))))

(defn- edge [rows i {:keys [status] :as row}]
  (when-let [j (parent rows i)]
    (let [x (x-of (nth rows j)) y (y-of i)]
      (svg/path (line-kinds status "edge") "M" x (+ (y-of j) 8) "L" x (- y 8) "Q" x y (+ x 8) y "L" (- (x-of row) 8) y))))

(defn- shape [kind status x y]
  (let [x (long x) y (long y)]
    (case kind
      :record (svg/box "node" (- x 7) (- y 7) 14 14)
      :provider (svg/path "node" "M" x (- y 8) "L" (+ x 8) y "L" x (+ y 8) "L" (- x 8) y "Z")
      :handle (svg/mark (mark-kinds status :invalid) x y)
      nil)))

(defn- row-nodes [i {:keys [kind text hash status] :as row}]
  (let [x (x-of row) y (y-of i) side (or hash (some-> status name)) left (+ x 16)
        room (quot (- (long svg/width) left (if side (+ 16 (* 7 (count side))) 0)) 7)]
    [(shape kind status x y)
     (svg/words (case kind (:record :provider) "strong" :more "faint" "") left (+ y 4) (svg/fit (max 8 room) text))
     (when side (svg/words (if hash "mono faint" "faint") svg/width (+ y 4) side "end"))]))

(defn figure
  "The figure of `bindings`, `[{:entry :status :live}]`: identity entries as judged."
  [bindings]
  (let [rows (vec (rows bindings)) n (count bindings)]
    {:title (str n (if (= 1 n) " handle" " handles") " of this record, by provider")
     :doc (str/join "; " (for [{:keys [kind text status]} rows :when (= :handle kind)] (str (svg/fit 80 text) " is " (name status))))
     :width svg/width
     :height (+ 16 (y-of (dec (count rows))))
     :nodes (concat (map-indexed #(edge rows %1 %2) rows) (map-indexed row-nodes rows))}))
