(ns poz.cli.tour.network
  "The last stop of `poz tour`: a live server on loopback, a handle from request to revocation.

  The server is a whole one (`poz.system`), in memory, on ports that are free; its clock is the
  tour's. Alice asks it as anybody would (`poz.client`), with the keys of two devices, and
  believes nothing that she did not verify."
  (:require
   [poz.bytes :as bytes]
   [poz.cli.tour.authority :as authority]
   [poz.client :as client]
   [poz.error :as error]
   [poz.identity.issue :as issue]
   [poz.master :as master]
   [poz.record :as record]
   [poz.system :as system]
   [poz.view.text :as text]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

(def ^:private address {:handle "alice" :domain "social.example" :path []})

;; ## Alice

(defn- alice
  "A record by the pattern two-devices, with the secrets of phone and laptop."
  [random now]
  (let [{:keys [pairs draft]} (authority/begin "two-devices" random now)
        secrets (into {} (map-indexed (fn [i {:keys [secret]}] [i secret])) (take 2 pairs))]
    {:secrets secrets
     :record (master/finish (reduce-kv master/sign draft secrets))}))

(defn- signed-request [{:keys [record secrets]} provider-hash now]
  (reduce-kv #(issue/sign-request %1 record provider-hash %2 %3)
    (issue/request record address now bytes/empty) secrets))

(defn- accepting
  "Alice with `entry` in her Identity Zone, signed by both devices."
  [{:keys [record secrets] :as alice} entry now]
  (assoc alice :record
    (reduce-kv #(change/sign %1 :identity :grant %2 %3) (issue/accept record entry now) secrets)))

(defn- denying
  "Alice with the entry of her Identity Zone denied, signed by the phone alone."
  [{:keys [record secrets] :as alice} now]
  (let [[entry] (zone/entries :identity (:identity-zone record))
        drafted (change/deny record :identity
                  [{:target (zone/entry-hash :identity entry) :reason :compromised}] {:timestamp now})]
    (assoc alice :record (change/sign drafted :identity :deny 0 (secrets 0)))))

;; ## The server

(defn- server-at [{:keys [ports noise-key]} contract]
  (cond-> {:host "127.0.0.1" :port (ports contract) :encryption (if (= :plain contract) :none :noise-nk)}
    (not= :plain contract) (assoc :public-key noise-key)))

(defn- with-server
  "The lines that `f` gives of a running server of social.example, whose policy knows Alice."
  [{:keys [now]} f]
  (let [clock (atom now)
        s (system/start {:domains ["social.example"] :data nil :store :memory :now #(deref clock)
                         :policy {:approve ["alice@social.example"] :else :reject}
                         :plain-port 0 :query-port 0 :submit-port 0 :grace-ms 0})]
    (if (error/anomaly? s)
      [(str "  no server: " (:message s))]
      (try (doall (f s clock)) (finally (system/stop s))))))

;; ## What is asked, in lines

(defn- told
  "The lines that tell on which port what came of something: what `f` makes of an answer, or why
  there is none."
  [port x f]
  (text/hang (str port ": " (if (error/anomaly? x)
                              (str (:doc (error/table (:poz/error x))) " [" (error/code (:poz/error x)) "]")
                              (f x)))
    80 2 8))

(defn- lookup [server provider now]
  (client/query {:type :identity :subject {:handle address}}
    {:servers [(server-at server :query)] :now now :providers [provider]
     :provider-hash (record/original-hash provider)}))

(defn- found [{:keys [record verdict proven]}]
  (let [{:keys [status]} (first (get-in verdict [:zones :identity :entries]))]
    (str "alice@social.example is " (subs (bytes/->hex (record/original-hash record)) 0 16)
      "…, " (name status) (when proven ", proven"))))

(defn- submit [server now submission]
  (client/submit submission {:servers [(server-at server :submit)] :now now}))

(defn- public [{:keys [record]}]
  (record/public-view record))

(defn- a-handle [{:keys [random now]} {:keys [hash] :as server} clock]
  (let [at #(reset! clock (+ (long now) (* 1000 (long %))))
        alice (alice random now)
        {provider :record :as asked} (client/query {:type :record :subject {:hash hash}}
                                       {:servers [(server-at server :plain)] :now now})
        issued (submit server (at 1) {:type :submit-request :request (signed-request alice hash @clock)})
        holder (accepting alice (:entry issued) (at 2))
        accepted (submit server @clock {:type :submit-signed :record (public holder)})
        seen (lookup server provider (at 3))
        revoked (denying holder (at 4))
        taken (submit server @clock {:type :submit :record (public revoked)})]
    (concat
      (told 7074 asked (fn [{:keys [proven]}] (str "the provider's record" (when proven ", which verifies itself"))))
      (told 7076 issued (fn [_] "both devices ask for the handle; the provider signs an entry"))
      (told 7076 accepted (fn [{:keys [status]}] (str "both devices sign their zone with it: " (name status) ", the handle is live")))
      (told 7075 seen found)
      (told 7076 taken (fn [{:keys [status]}] (str "the phone alone denies it: " (name status))))
      (told 7075 (lookup server provider (at 5)) found))))

(def stops
  "Stops of the tour, as `poz.cli.tour/stops`."
  [{:title "A server, and a handle from request to revocation"
    :words "A whole server comes up on loopback: plain lookups, private ones, submissions. Nothing that it says is believed unverified."
    :lines (fn [facts] (with-server facts #(a-handle facts %1 %2)))}])
