(ns poz.view.page
  "A record on a page: one self-contained HTML file that asks no network. It shows the verdict
  with every step, every byte beside its meaning, the chain of revisions, who may change what,
  a simulator, and whom its handles are of. `page` makes it of the bytes of a file, whole or
  broken; `picture` makes one SVG of a record.

  All that is decoded and judged is decoded and judged here. Private sections, and what nobody
  here can tell from them, stay here too: a page says that they are there and no more. A strict
  Content-Security-Policy lets the page run its own script and nothing else.

  Pure: the style sheet and the scripts are arguments (`:assets`), and so is the clock."
  (:require
   [clojure.data.json :as json]
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.error :as error]
   [poz.format :as format]
   [poz.master.chain :as chain]
   [poz.record :as record]
   [poz.record.text :as record-text]
   [poz.signing :as signing]
   [poz.simulate :as simulate]
   [poz.time :as time]
   [poz.verify :as verify]
   [poz.view.dump :as dump]
   [poz.view.html :as html]
   [poz.view.page.powers :as powers]
   [poz.view.page.spans :as spans]
   [poz.view.page.verdict :as verdict]
   [poz.view.svg :as svg]
   [poz.view.svg.bindings :as bindings]
   [poz.view.svg.chain :as chain-figure]
   [poz.view.svg.survivorship :as survivorship]
   [poz.view.text :as text]
   [poz.view.tree :as tree]
   [poz.zone :as zone])
  (:import
   (java.security MessageDigest)
   (java.util Base64)))

(set! *warn-on-reflection* true)

(def asset-names
  "Keys of `:assets` and their files in `resources/poz/page`."
  {:style "page.css" :figure "figure.css" :simulate "simulate.js" :script "page.js"})

(def ^:private most-dumped "Up to this size the bytes are there without a script, too." 8192)
(def ^:private most-lines "How many lines tell a record in words." 600)

;; ## Facts

(defn- files
  "The files in the byte string `b`: the two of evidence of a fork, else itself."
  [b]
  (let [found (error/attempt #(record-text/dearmor-all b (:armor-line format/limits)))]
    (if (and (not (error/anomaly? found)) (= 2 (count found))) found [b])))

(defn- public [r]
  (if (error/anomaly? r) r (dissoc r :private-key-map :key-names :unknown-sections)))

(defn facts
  "All that a page or picture shows of the file with the bytes `b`, beside `others`, the bytes of
  more files: other copies of the record, whose chains are shown beside its own, and records of
  providers. Two records in one text (evidence of a fork) are a file and another."
  [b others now]
  (let [[own & more] (files b)
        {:keys [value] :as trace} (spans/traced own)
        record (public (or value (spans/shown-error trace)))
        beside (map (comp public record/parse) (concat more (mapcat files others)))
        same? #(= (record/original-hash record) (record/original-hash %))
        {copies true providers false} (group-by same? (remove error/anomaly? beside))
        judge #(verify/verify % {:now now :providers (vec providers)})]
    {:trace trace :record record :now now :copies copies :providers (count providers)
     :unread (filter error/anomaly? beside)
     :verdict (judge record) :judged (map judge copies)
     :powers (when value (simulate/simulate record))}))

(defn- outcomes
  "A function of a revision that tells its outcome in the verdicts on `record` and its copies."
  [{:keys [record copies verdict judged]}]
  (into {}
    (mapcat (fn [[r {:keys [chain]}]] (map vector (chain/revisions r) (map :outcome (:revisions chain)))))
    ;; of a revision that several have, the record's own verdict counts
    (reverse (map vector (cons record copies) (cons verdict judged)))))

;; ## Figures

(defn- chain-figure [{:keys [record copies] :as facts}]
  (chain-figure/figure (map chain/revisions (cons record copies)) (outcomes facts)))

(defn- bindings-figure [{:keys [record verdict]}]
  (when-let [entries (seq (some->> (:identity-zone record) (zone/entries :identity)))]
    (bindings/figure (map #(assoc (select-keys %2 [:status :live]) :entry %1)
                       entries (get-in verdict [:zones :identity :entries])))))

(defn- figures [{:keys [record] :as facts}]
  (keep (fn [[title words figure]] (when figure {:title title :words words :figure figure}))
    [["Revisions" "Each is signed by the keys of the one before." (chain-figure facts)]
     ["Survivorship" "100 in some one group changes the master zone." (survivorship/figure (:master-keys (:master-zone record)))]
     ["Handles" "Providers attest them; each says if it still counts." (bindings-figure facts)]]))

(defn picture
  "One SVG of the record in the `facts`, for a README; or the anomaly that decoding gave.
  `assets` has the style of `:figure`s."
  [{:keys [record] :as facts} {:keys [figure]}]
  (if (error/anomaly? record)
    record
    (let [titled (fn [{:keys [title] f :figure}]
                   (-> (update f :height + 32)
                     (assoc :nodes [(svg/words "title" 0 12 title) [:g {:transform "translate(0 32)"} (:nodes f)]])))]
      (svg/document (svg/below "A POZ record" 24 16 (map titled (figures facts))) figure))))

;; ## Parts

(defn- figures-part [facts]
  [:section {:id "ownership"}
   [:h2 "Ownership"]
   [:svg {:class "defs" :width 0 :height 0 :aria-hidden "true"} svg/patterns]
   [:div {:class "figures"}
    (for [{:keys [title words figure]} (figures facts)]
      [:figure [:figcaption [:h3 title] [:p words]] (svg/inline figure)])]])

(defn- private-note [{:keys [spans value]}]
  (when-let [names (seq (for [k (into (set (map :key spans)) (keys value))
                              :let [{:keys [name private]} (record/section-by-key k)] :when private]
                          name))]
    [:p {:class "note"} (str "The file has private sections (" (str/join ", " (sort names))
                          "). They are not in this page.")]))

(defn- bytes-note [{:keys [error trace]}]
  (when-let [{:keys [message]} (or error (spans/shown-error trace))]
    [:p {:class "broken" :role "alert"} [:span {:class "sign" :aria-hidden "true"} "✕"] " " (text/escape message)]))

(defn- size-note [{b :bytes}]
  (when (< (long spans/most-traced) (count b))
    [:p {:class "note"} (str "The file has more than " spans/most-traced " bytes, too many to be told one by one.")]))

(defn- dumped [{:keys [trace]}]
  (let [b (spans/shown-bytes trace)]
    (if (and (empty? (spans/withheld trace)) (<= (count b) (long most-dumped)))
      [:pre {:class "dump" :tabindex 0} (str/join "\n" (dump/dump b))]
      [:p "The bytes are shown by a script; poz dump shows them without one."])))

(defn- bytes-part [{:keys [trace] :as facts}]
  [:section {:id "every-byte"}
   [:h2 "Every byte"]
   [:p {:class "lead"} "What each is, and where. Point at one side, or walk it with the arrow keys, and the other follows."]
   (private-note trace)
   (size-note trace)
   (bytes-note facts)
   [:div {:id "bytes" :hidden true}
    [:div {:id "tree" :role "tree" :tabindex 0 :aria-label "Fields of the file"}]
    [:div {:id "hex" :role "group" :tabindex 0 :aria-label "Bytes of the file, in hex"}]
    [:p {:id "said" :role "status"} "Nothing chosen."]]
   [:noscript (dumped facts)]])

(defn- fact [term words]
  [:div [:dt term] [:dd words]])

(defn- record-part [{:keys [trace now providers copies unread] {:keys [public-key-map master-zone]} :record}]
  [:dl {:class "facts"}
   (when master-zone
     (list
       (fact "Identity" [:code {:class "hash"} (bytes/->hex (:original-master-hash master-zone))])
       (fact "Since" (time/iso (:original-timestamp master-zone)))
       (fact "Revision" (str (:serial master-zone) (when (chain/draft? master-zone) ", a draft")))
       (fact "Keys" (str (count public-key-map)))))
   (fact "Size" (str (count (:bytes trace)) " bytes"))
   (fact "Judged as of" (time/iso now))
   (when (pos? (long providers)) (fact "Providers at hand" (str providers)))
   (when (seq copies) (fact "Other copies at hand" (str (count copies))))
   (when (seq unread) (fact "Beside it, no record" (str/join "; " (map (comp text/escape :message) unread))))])

(defn- words-part [{:keys [record]}]
  (let [[shown more] (split-at most-lines (tree/show record {:key-hash signing/key-hash}))]
    [:section {:id "in-words"}
     [:h2 "In words"]
     [:details [:summary "What the record says, as text"]
      [:pre {:tabindex 0} (str/join "\n" shown)
       (when (seq more) "\n… and more; poz show tells all of it")]]]))

(defn- forked? [{:keys [record copies]}]
  (some :fork (chain-figure/lanes (map chain/revisions (cons record copies)))))

(defn- fork-note [facts]
  (when (forked? facts)
    [:p {:class "broken" :role "alert"} [:span {:class "sign" :aria-hidden "true"} "✕"]
     " A fork: two revisions with one parent. A security event, whatever else holds."]))

(defn- navigation
  "Links to those of the `parts` that are sections with a title."
  [parts]
  [:nav {:aria-label "On this page"}
   (for [[tag {:keys [id]} [_ title]] parts :when (and (= :section tag) id)]
     [:a {:href (str "#" id)} title])])

(defn- record-parts [{:keys [record verdict] :as facts}]
  (if (error/anomaly? record)
    [(bytes-part facts)]
    [(verdict/warnings verdict) (verdict/steps record verdict) (figures-part facts)
     (powers/matrix record) (powers/simulator record (:powers facts)) (bytes-part facts) (words-part facts)]))

;; ## The document

(defn- hash-source
  "What a Content-Security-Policy calls the inline text `s`."
  [^String s]
  (let [digest (.digest (MessageDigest/getInstance "SHA-256") (.getBytes s "UTF-8"))]
    (str "'sha256-" (.encodeToString (Base64/getEncoder) digest) "'")))

(defn- style-of [{:keys [style figure]}] (str style figure))
(defn- script-of [{:keys [simulate script]}] (str simulate script))

(defn policy
  "The Content-Security-Policy of a page with these `assets`. Nothing comes from anywhere; with
  `form` its form may send to where the page came from."
  [assets form]
  (str "default-src 'none'; style-src " (hash-source (style-of assets)) "; script-src " (hash-source (script-of assets))
    "; base-uri 'none'; form-action " (if form "'self'" "'none'")))

(defn- data-element [id data]
  [:script {:type "application/json" :id id}
   (html/raw (-> (json/write-str data :escape-slash false)
               (str/replace "<" "\\u003c") (str/replace ">" "\\u003e") (str/replace "&" "\\u0026")))])

(defn- open-form [action]
  [:form {:id "open" :action action :method "post" :enctype "multipart/form-data"}
   [:label [:span {:class "button"} "Choose records"] [:input {:type "file" :name "file" :multiple true}]]
   [:p "or drop them anywhere on this page. The first is shown; other copies of it and providers' records are judged beside it. Nothing leaves this machine."]
   [:noscript [:button "Open"]]])

(defn- document [title body {:keys [assets form]}]
  (str "<!DOCTYPE html>\n"
    (html/text
      [:html {:lang "en"}
       [:head
        [:meta {:charset "utf-8"}]
        [:meta {:http-equiv "Content-Security-Policy" :content (policy assets form)}]
        [:meta {:name "viewport" :content "width=device-width, initial-scale=1"}]
        [:meta {:name "color-scheme" :content "light dark"}]
        [:meta {:name "referrer" :content "no-referrer"}]
        [:title title]
        [:style (html/raw (style-of assets))]]
       [:body body [:script (html/raw (script-of assets))]]])
    "\n"))

(defn page
  "The HTML of the `facts` of a file that its reader knows as `title`. Options: `:assets`, the
  texts of `asset-names`; `:form`, where a form to open other files sends them, if anywhere."
  [title {:keys [trace record verdict] :as facts} {:keys [form] :as options}]
  (let [parts (record-parts facts)]
    (document (str (text/escape title) " – POZ record")
      (list
        [:header
         (when form (open-form form))
         [:h1 (html/foreign title)]
         (verdict/banner verdict)
         (when-not (error/anomaly? record) (fork-note facts))
         (record-part facts)
         (navigation parts)]
        [:main parts]
        (data-element "spans" (spans/pack trace))
        (when-not (error/anomaly? record) (data-element "powers" (powers/data record (:powers facts)))))
      options)))

(defn empty-page
  "The HTML of a page that shows no file yet, and after a failure `why`. Options as for `page`."
  [why {:keys [form] :as options}]
  (document "POZ records"
    [:header {:class "welcome"}
     [:h1 "A POZ record, on a page"]
     (when why [:p {:class "broken" :role "alert"} (text/escape why)])
     (open-form form)]
    options))
