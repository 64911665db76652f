(ns poz.view.verdict
  "A verdict in words (`poz.verify`): the outcome, then what was checked, part by part,
  then warnings. Pure: lines come out, nothing is printed, and no line says by its colour
  alone what it does not say in words."
  (:require
   [poz.address :as address]
   [poz.error :as error]
   [poz.master.chain :as chain]
   [poz.view.text :as text]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def option-rows
  "The options of `lines`."
  (assoc (select-keys text/option-rows [:color :width])
    :steps {:doc "show every step, not only those that do not hold" :default false
            :check boolean? :rule "true or false"}))

(def ^:private outcome-style
  {:valid :good :current :good
   :invalid :bad :malformed :bad :revoked :bad
   :unknown :doubt :superseded :doubt})

(defn- word [{:keys [color]} outcome]
  (text/paint color (outcome-style outcome) (name outcome)))

(defn- mark [{:keys [color]} holds]
  (case holds
    true (text/paint color :good "ok")
    false (text/paint color :bad "NO")
    (text/paint color :doubt "??")))

(defn- marked
  "`sentence` behind a mark, wrapped, `indent` columns in."
  [{:keys [width]} indent mark sentence]
  (let [gap (+ 2 (text/columns (text/strip mark)))
        [one & more] (text/hang (text/escape sentence) (- (long width) gap) indent indent)
        spaces (fn [n] (apply str (repeat n \space)))]
    (into [(str (spaces indent) mark "  " (subs one indent))]
      (map #(str (spaces gap) %) more))))

(defn- step-lines [{:keys [steps] :as options} judgement]
  (for [{:keys [holds because error rule]} (:steps judgement)
        :when (or steps (not (true? holds)))
        line (marked options 6 (mark options holds)
               (str because (when-not (true? holds) (str " [" (error/code (or error rule)) "]"))))]
    line))

(defn- titled [options indent title outcome & more]
  (apply str (apply str (repeat indent \space)) (text/pad title (- 20 (long indent))) (word options outcome) more))

(defn- part-lines [options title judgement]
  (cons (titled options 4 title (:outcome judgement)) (step-lines options judgement)))

(defn- chain-lines [options record {:keys [revisions complete outcome]}]
  (concat
    [(let [n (count (chain/revisions record))]
       (titled options 2 "master zone" outcome ", " n (if (= 1 n) " revision" " revisions")))]
    (when-not complete ["    the beginning is not at hand"])
    (mapcat (fn [r] (part-lines options (str "revision " (:serial r)) r)) revisions)))

(defn- entry-lines [{:keys [width] :as options} record judged]
  (mapcat (fn [entry {:keys [live status] :as j}]
            (concat (text/hang (text/escape (address/of-entry entry)) width 4 4)
              [(str "      " (word options status) (when-not live ", denied by its owner"))]
              (step-lines options j)))
    (zone/entries :identity (:identity-zone record)) (:entries judged)))

(defn- zone-lines [options record z {:keys [authority grant deny outcome] :as judged}]
  (concat
    [(titled options 2 (str (name z) " zone") outcome)]
    (part-lines options "authority" authority)
    (part-lines options (str "grant " (:serial grant)) grant)
    (when (pos? (long (:serial deny))) (part-lines options (str "deny " (:serial deny)) deny))
    (when (= :identity z) (entry-lines options record judged))))

(defn- warning-lines [{:keys [color] :as options} {:keys [warning message loud]}]
  (marked options 2 (text/paint color :doubt (if loud "WARNING" "warning"))
    (str message " [" (error/code warning) "]")))

(defn- body-lines [options record {:keys [chain zones warnings]}]
  (concat
    (chain-lines options record chain)
    (mapcat (fn [z] (when-let [judged (zones z)] (zone-lines options record z judged))) zone/names)
    (mapcat #(warning-lines options %) warnings)))

(defn- fault-lines
  "The error in a sentence, from `indent` columns in, then `hanging`, and the place of the fault
  where the bytes are at hand."
  [{:keys [width color]} indent hanging {:keys [message] :poz/keys [error] :as anomaly}]
  (concat
    (text/hang (text/escape (str message " [" (error/code error) "]")) width indent hanging)
    (when-let [b (:poz/bytes (meta anomaly))]
      ((requiring-resolve 'poz.view.dump/fault) b {:width width :color color}))))

(defn anomaly-lines
  "The lines that tell an `anomaly`: what is wrong, where, and what to do. Options: `:color`, `:width`."
  [anomaly given]
  (let [options (text/options (select-keys option-rows [:width :color]) given)]
    (concat (fault-lines options 0 2 anomaly)
      (some-> (error/fix anomaly) (text/hang (:width options) 0 2)))))

(defn lines
  "The lines that tell the `verdict` on `record` (or on the anomaly that decoding gave),
  which its reader knows as `title`. Options: see `option-rows`."
  ([title record verdict] (lines title record verdict {}))
  ([title record verdict given]
   (let [options (text/options option-rows given)]
     (cons (str (text/escape title) ": " (word options (:outcome verdict)))
       (if-let [anomaly (:error verdict)]
         (fault-lines options 2 2 anomaly)
         (body-lines options record verdict))))))
