(ns poz.cli.tour.authority
  "The second half of `poz tour`: who may change what. Each stop makes its own records."
  (:require
   [poz.crypto :as crypto]
   [poz.error :as error]
   [poz.identity :as identity]
   [poz.identity.issue :as issue]
   [poz.master :as master]
   [poz.pattern :as pattern]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.update :as update]
   [poz.verify :as verify]
   [poz.view.text :as text]
   [poz.view.verdict :as verdict]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(defn begin
  "The keys and the genesis draft of a pattern: `{:pairs :draft}`."
  [pattern-name random now]
  (let [{:keys [keys] :as p} (pattern/pattern pattern-name)
        pairs (mapv #(crypto/generate (:algorithm %) random) keys)]
    {:pairs pairs :draft (pattern/draft p (map :public-key pairs) now)}))

(defn- sign [draft pairs indexes]
  (reduce (fn [d i] (master/sign d i (:secret (pairs i)))) draft indexes))

(defn- sign-zone [record z part pairs indexes]
  (reduce (fn [r i] (change/sign r z part i (:secret (pairs i)))) record indexes))

(defn- sums [draft]
  (for [{:keys [line missing] l :list} (:lists (master/status draft))
        wrapped (text/hang (str (case l :former "former master keys: " :own "its own: ") line
                             (when missing
                               (str "; " (:needed missing) " still needed, from " (signing/key-list (:from missing)))))
                  80 2 6)]
    wrapped))

(defn- failure [anomaly]
  (text/hang (str "refused: " (:message anomaly) " [" (error/code (:poz/error anomaly)) "]") 80 2 6))

(defn- result-line [x]
  (if (error/anomaly? x) (failure x) ["  accepted"]))

;; ## 34/33/33

(defn- three-keys [{:keys [random now]}]
  (let [{:keys [pairs draft]} (begin "multi-sig" random now)
        two (sign draft pairs [0 1]) three (sign two pairs [2])]
    (concat ["  two have signed:"] (sums two) (failure (master/finish two))
      ["" "  all three have signed:"] (sums three)
      [(str "  " (if (error/anomaly? (master/finish three)) "refused" "a record"))])))

;; ## Recovery

(defn- recovery [{:keys [random now]}]
  (let [{:keys [pairs draft]} (begin "solo-family" random now)
        record (master/finish (sign draft pairs [0]))
        new (crypto/generate :ed25519 random)
        next (master/draft record {:timestamp (+ (long now) 1000)
                                   :add-keys [{:algorithm :ed25519 :key (:public-key new)}]
                                   :master-keys (into [{:group 1 :key 4 :value 100}]
                                                  (remove #(= 1 (:group %)) (get-in record [:master-zone :master-keys])))})
        two (sign next pairs [1 2]) recovered (master/finish (sign two pairs [3]))]
    (concat ["  two of the family have signed for a new key 4:"] (sums two)
      ["" "  the third signs too:"]
      (verdict/lines "alice.poz" recovered (verify/verify recovered {:now (+ (long now) 1000)}) {:steps true}))))

;; ## Two phones

(def ^:private web
  {:name "" :type :https
   :hosts [{:hostname "alice.example" :port 443 :transport :tcp :encryption :tls :priority 1 :weight 1}]})

(defn- two-phones [{:keys [random now]}]
  (let [{:keys [pairs draft]} (begin "two-devices" random now)
        record (master/finish (sign draft pairs [0 1]))
        later #(+ (long now) (* 1000 (long %)))
        try-update (fn [held r t] (update/apply-update held r {:now (later t)}))
        drafted (change/grant record :service {:timestamp (later 1) :add [web]})
        granted (sign-zone drafted :service :grant pairs [0 1])
        denied (-> (change/deny granted :service [{:target (zone/entry-hash :service web) :reason :compromised}]
                     {:timestamp (later 2)})
                 (sign-zone :service :deny pairs [1]))]
    (concat ["  the phone alone adds a web site:"]
      (result-line (try-update record (sign-zone drafted :service :grant pairs [0]) 1))
      ["" "  phone and laptop together:"] (result-line (try-update record granted 1))
      ["" "  the laptop alone takes it back:"] (result-line (try-update granted denied 2)))))

;; ## Attestation

(defn- provider [random now]
  (let [{:keys [pairs draft]} (begin "sole" random now)
        record (master/finish (sign draft pairs [0]))]
    {:pairs pairs
     :record (sign-zone (change/grant record :identity {:timestamp (inc (long now))}) :identity :grant pairs [0])}))

(defn- status-line [what record provider now]
  (let [{:keys [zones]} (verify/verify record {:now now :providers [provider]})
        {:keys [status error]} (first (get-in zones [:identity :entries]))]
    (str "  " what ": alice@social.example is " (name status) " [" (error/code error) "]")))

(defn- attestation [{:keys [random now]}]
  (let [{:keys [pairs draft]} (begin "sole" random now)
        alice (master/finish (sign draft pairs [0]))
        social (provider random now)
        request (-> (issue/request alice {:handle "alice" :domain "social.example" :path []} now (random 0))
                  (issue/sign-request alice (record/original-hash (:record social)) 0 (:secret (pairs 0))))
        entry (-> (issue/entry request (record/original-hash alice) (record/original-hash (:record social)))
                (issue/sign-entry (:record social) 0 (:secret ((:pairs social) 0))))
        later (+ (long now) 2000)
        accepted (sign-zone (issue/accept alice entry later) :identity :grant pairs [0])
        revoked (-> (change/deny (:record social) :identity
                      [{:target (:hash (identity/statement entry)) :reason :abuse}] {:timestamp later})
                  (sign-zone :identity :deny (:pairs social) [0]))]
    [(status-line "signed by both" accepted (:record social) later)
     (status-line "the provider denies it" accepted revoked later)
     (str "  and Alice's record is " (name (:outcome (verify/verify accepted {:now later :providers [revoked]})))
       " all the same: no provider can spoil it")]))

(def stops
  "Stops of the tour, as `poz.cli.tour/stops`."
  [{:title "Three keys of 34, 33 and 33" :words "All must sign. Sums are said as they stand."
    :lines three-keys}
   {:title "The key is lost, the family brings it back"
    :words "One key of 100, and three of the family of 40 each. The former keys and the new ones must both be satisfied."
    :lines recovery}
   {:title "Two devices, grant 50 and deny 100 each" :words "Both must agree to add. Either takes away."
    :lines two-phones}
   {:title "A provider attests a handle"
    :words "The user asks, the provider signs the entry for this one record, the user accepts by signing the zone."
    :lines attestation}])
