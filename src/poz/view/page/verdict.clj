(ns poz.view.page.verdict
  "A verdict as markup: the outcome, warnings, and every step of every part, those that do not
  hold unfolded. Each says by a sign and a word what it says by its colour."
  (:require
   [poz.address :as address]
   [poz.error :as error]
   [poz.lint :as lint]
   [poz.view.html :as html]
   [poz.view.text :as text]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(def ^:private most-parts "How many parts of a kind are told." 200)
(def ^:private most-messages "How many warnings of a kind are told." 200)
(def ^:private first-messages 3)

(def ^:private signs
  {:valid "✓" :current "✓" :invalid "✕" :malformed "✕" :revoked "✕" :unknown "?" :superseded "?"})

(def ^:private kinds
  {:valid "good" :current "good" :invalid "bad" :malformed "bad" :revoked "bad" :unknown "doubt" :superseded "doubt"})

(defn badge
  "The outcome or status as a sign and a word."
  [outcome]
  [:span {:class (str "badge " (kinds outcome))} [:span {:class "sign" :aria-hidden "true"} (signs outcome)] (name outcome)])

(def ^:private sentences
  {:valid "Everything in it that can be checked holds."
   :invalid "A rule is broken: do not rely on it."
   :malformed "These bytes are no record."
   :unknown "Something needed is not at hand, so nobody can tell."})

(defn banner
  "The outcome of the whole, in words."
  [{:keys [outcome error problems]}]
  [:div {:class (str "banner " (kinds outcome))}
   [:p {:class "outcome"} (badge outcome)]
   [:p (if (contains? problems :chain/draft) "A draft, not a record yet: it is to be signed and applied." (sentences outcome))]
   (when error
     [:p {:class "why"} (text/escape (:message error)) " " [:code (error/code (:poz/error error))]])])

;; ## Warnings

(def ^:private warning-docs (into {} (map (juxt :id :doc)) lint/table))

(defn- message-item [{:keys [message]}]
  [:li (text/escape message)])

(defn- kind-of-warning [[warning found]]
  (let [[shown more] (split-at first-messages found) n (count found)]
    [:li {:class (when (some :loud found) "loud")}
     [:p [:strong (warning-docs warning (error/code warning))] " " [:code (error/code warning)] (when (< 1 n) (str " × " n))]
     [:ul (map message-item shown)]
     (when (seq more)
       [:details [:summary (str (count more) " more")]
        [:ul (map message-item (take most-messages more))
         (when (< (long most-messages) (count more)) [:li (str "and " (- (count more) (long most-messages)) " more")])]])]))

(defn warnings
  "The warnings, a part of the page, or nil."
  [{:keys [warnings]}]
  (when (seq warnings)
    [:section {:id "warnings" :aria-label "Warnings"}
     [:h2 "Warnings"]
     [:ul {:class "warnings"} (map kind-of-warning (group-by :warning warnings))]]))

;; ## Steps

(def ^:private step-signs {true ["✓" "holds" "good"] false ["✕" "broken" "bad"]})

(defn- step-item [{:keys [holds because error rule]}]
  (let [[sign word kind] (step-signs holds ["?" "unknown" "doubt"])]
    [:li {:class kind}
     [:span {:class "sign" :role "img" :aria-label word} sign]
     [:span (text/escape (str because)) " " [:code (error/code (or (when-not (true? holds) error) rule))]]]))

(defn- part [title outcome {:keys [steps]} & more]
  [:details {:class "part" :open (not (contains? #{:valid :current} outcome))}
   [:summary title " " (badge outcome)]
   more
   [:ol {:class "steps"} (map step-item steps)]])

(defn- cut [f xs]
  (let [more (- (count xs) (long most-parts))]
    (concat (map f (take most-parts xs))
      (when (pos? more) [[:p {:class "faint"} (str "and " more " more; poz verify --steps tells of all")]]))))

(defn- chain-part [{:keys [outcome complete revisions]}]
  [:section {:class "judged"}
   [:h3 "Master zone " (badge outcome) (when-not complete [:span {:class "faint"} " the beginning is not at hand"])]
   (cut (fn [r] (part (str "Revision " (:serial r)) (:outcome r) r)) revisions)])

(defn- entry-part [[entry {:keys [status live] :as judged}]]
  (part (html/foreign (address/of-entry entry)) status judged
    (when-not live [:p {:class "faint"} "Denied by its owner."])))

(defn- zone-part [record z {:keys [outcome authority grant deny entries]}]
  [:section {:class "judged"}
   [:h3 (str (name z) " zone ") (badge outcome)]
   (part "Authority" (:outcome authority) authority)
   (part (str "Grant " (:serial grant)) (:outcome grant) grant)
   (when (pos? (long (:serial deny))) (part (str "Deny " (:serial deny)) (:outcome deny) deny))
   (when (= :identity z)
     (cut entry-part (map vector (zone/entries :identity (:identity-zone record)) entries)))])

(defn steps
  "Every step of the verdict on `record`, a part of the page; nil for what is no record."
  [record {:keys [chain zones]}]
  (when chain
    [:section {:id "steps"}
     [:h2 "What was checked"]
     [:div {:class "columns"}
      (chain-part chain)
      (for [z zone/names :let [judged (zones z)] :when judged] (zone-part record z judged))]]))
