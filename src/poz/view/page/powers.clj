(ns poz.view.page.powers
  "Who can do what, as markup: what the master zone delegates as a table of keys and zones, and
  the simulator, whose toggles a script answers by `resources/poz/page/simulate.js` on what
  `data` gives: the same numbers by the same rules as `poz.simulate`."
  (:require
   [clojure.string :as str]
   [poz.master.survivorship :as survivorship]
   [poz.simulate :as simulate]
   [poz.view.text :as text]
   [poz.zone :as zone]))

(set! *warn-on-reflection* true)

(defn- algorithm-text [{:keys [public-key-map]} i]
  (let [{:keys [algorithm]} (get public-key-map i)]
    (if (keyword? algorithm) (name algorithm) (str "algorithm " algorithm))))

(defn- key-head [record i]
  [:th {:scope "row"} (str "key " i) [:small (algorithm-text record i)]])

;; ## Delegations

(defn- bar [kind y value]
  [:rect {:class kind :x 0 :y y :width (/ (long value) 2.0) :height 4}])

(defn- share-cell [{:keys [grant deny]}]
  (if grant
    [:td [:svg {:class "shares" :width 51 :height 14 :aria-hidden "true"}
          [:line {:class "goal" :x1 50.5 :x2 50.5 :y1 0 :y2 14}] (bar "grant" 2 grant) (bar "deny" 8 deny)]
     [:span {:class "numbers"} [:span (str "grant " grant)] [:span (str "deny " deny)]]]
    [:td {:class "none"} "–"]))

(defn- sum-cell [shares]
  [:td [:span {:class "numbers"}
        (for [kind [:grant :deny] :let [sum (transduce (map kind) + shares)]]
          [:span (str (name kind) " " sum (when (< sum (long survivorship/threshold)) " ✕"))])]])

(defn matrix
  "What the master zone delegates, a part of the page: keys by zones, grant and deny."
  [{:keys [master-zone] :as record}]
  (let [delegated (into {} (map (fn [z] [z (zone/delegation master-zone z)])) zone/names)
        zones (filterv #(seq (delegated %)) zone/names)
        keys (into (sorted-set) (mapcat #(map :key (delegated %))) zones)
        share (fn [z k] (first (filter #(= k (:key %)) (delegated z))))]
    [:section {:id "delegations"}
     [:h2 "Grant and deny"]
     (if (empty? zones)
       [:p "Nothing is delegated."]
       (list
         [:p {:class "lead"} "What each key counts in each zone. Its signers need 100 together: the solid bar to add, the hatched one to revoke."]
         [:div {:class "scroll" :tabindex 0 :role "region" :aria-label "Grant and deny"}
          [:table {:class "matrix"}
           [:thead [:tr [:th {:scope "col"} "key"] (for [z zones] [:th {:scope "col"} (name z)])]]
           [:tbody (for [k keys] [:tr (key-head record k) (for [z zones] (share-cell (share z k)))])]
           [:tfoot [:tr [:th {:scope "row"} "together"] (for [z zones] (sum-cell (delegated z)))]]]]))]))

;; ## The simulator

(defn- power-text [draft [part verb :as power]]
  (case power
    [:former :change] "make another revision instead of this draft"
    [:draft :apply] "apply this draft"
    [:master :change] (str "change the master zone" (when draft ", once applied"))
    (str (name verb) " in the " (name part) " zone")))

(defn- group-data [{:keys [members]}]
  {:keys (mapv first members) :values (mapv second members)})

(defn data
  "What the script of the simulator asks, for JSON: `{:powers [{:name :lists :all :locks}]}`;
  `:all` of what controls the record, `:locks` of what locks it when it is lost."
  [record {:keys [draft powers]}]
  (let [lists (into {} (map (juxt :power :lists)) (simulate/powers record))]
    {:powers (vec (for [{:keys [power controls-all]} powers]
                    {:name (power-text draft power) :all controls-all :locks (= [:master :change] power)
                     :lists (mapv (partial mapv group-data) (lists power))}))}))

(defn- toggle [kind i]
  [:td [:label [:input {:type "checkbox" :name kind :value i :disabled true :aria-label (str "key " i " is " kind)}]
        [:span {:aria-hidden "true"} kind]]])

(defn- players-table [record players]
  [:div {:class "scroll"}
   [:table {:class "players"}
    [:thead [:tr [:th {:scope "col"} "key"] [:th {:scope "col" :colspan 2} "what if it is"]]]
    [:tbody (for [i players] [:tr (key-head record i) (toggle "lost" i) (toggle "stolen" i)])]]])

(defn- yes-no [kind yes]
  [:td {:class (str kind (when yes " yes"))} (if yes "● yes" "○ no")])

(defn- powers-table [{:keys [draft powers]}]
  [:table {:class "powers"}
   [:thead [:tr [:th {:scope "col"} "who can"] [:th {:scope "col"} "you"] [:th {:scope "col"} "the thief"]]]
   [:tbody (map-indexed (fn [n {:keys [power possible]}]
                          [:tr {:id (str "power-" n)}
                           [:th {:scope "row"} (power-text draft power)] (yes-no "you" possible) (yes-no "thief" false)])
             powers)]])

(def ^:private severities {:danger ["✕" "bad"] :warning ["!" "doubt"] :note ["i" "faint"]})

(defn- finding-item [{:keys [severity message]}]
  (let [[sign kind] (severities severity)]
    [:li {:class kind} [:span {:class "sign" :aria-hidden "true"} sign]
     [:span (str (str/capitalize (name severity)) ": " (text/escape message))]]))

(defn simulator
  "The simulator on what `poz.simulate/simulate` found, a part of the page."
  [record {:keys [findings] {:keys [players]} :keys :as found}]
  [:section {:id "what-if"}
   [:h2 "What if"]
   [:p {:class "lead"} "Lose keys, let keys be stolen, and see who can still do what."]
   (when (seq findings) [:ul {:class "findings"} (map finding-item findings)])
   [:form {:id "simulator" :class "pair"}
    [:div (players-table record players) [:button {:type "reset" :disabled true} "Begin again"]]
    [:div
     [:p {:id "outcome" :role "status"} "Nothing is lost, nothing is stolen."]
     (powers-table found)
     [:noscript [:p {:class "faint"} "The toggles need JavaScript; poz simulate --without KEY --stolen KEY tells the same."]]]]])
