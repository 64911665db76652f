(ns tour
  "POZ at a REPL, to be evaluated form by form from top to bottom: `dev/clj -M:dev`, then
  `(in-ns 'tour)` after `(require 'tour)`, or with your editor. Needs no network but loopback.
  What each form gives stands below it, and a test holds it to that."
  (:require
   [clojure.datafy :refer [datafy nav]]
   [poz.api :as poz]
   [poz.bytes :as bytes]
   [poz.crypto :as crypto]
   [poz.master :as master]
   [poz.pattern :as pattern]
   [poz.system :as system]
   [poz.zone :as zone]
   [poz.zone.change :as change]))

(set! *warn-on-reflection* true)

;; ## A record is a map

(def alice (poz/parse (poz/file "test/vectors/records/all-zones.poz")))

(sort (keys alice))
; => (:auth-authority :auth-zone :email-authority :email-zone :feed-authority :feed-zone :identity-authority :identity-zone :master-zone :public-key-map :service-authority :service-zone)

(-> alice :master-zone :master-keys)
; => [{:group 1, :key 0, :value 100} {:group 2, :key 1, :value 50} {:group 2, :key 2, :value 50}]

;; What gives lines prints as lines at a REPL: try (poz/tree alice) whole.

(take 3 (poz/tree alice))
; => ("Keys: 10" "  0  ed25519       hash 5d16381a34a143f9…" "  1  ed25519       hash 31c936eaa0a4a53a…")

;; It is the bytes of a file, and nothing else: exactly one way to write it.

(= (poz/encode alice) (poz/file "test/vectors/records/all-zones.poz"))
; => true

(nth (poz/dump alice) 1)
; => "0000  50 4f 5a                 magic — \"POZ\""

(take 3 (poz/doc :key-names))
; => ("Key Names, section 0x8004, private" "What the holder calls the keys. Never leaves its holder." "")

;; ## A verdict says why

(def now 1793491200000)

(def verdict (poz/verify alice {:now now}))

(:outcome verdict)
; => :valid

(take 3 (poz/why verdict))
; => ("record: valid" "  master zone       valid, 1 revision" "    revision 1      valid")

(map :because (-> verdict :zones :service :grant :steps))
; => ("signed by keys 1, 2" "grant values: 100 of 100" "the signatures of keys 1, 2 verify")

;; ## Walk through it
;;
;; `nav` follows an index to its key, a hash to what it names, a step to its bytes. Portal,
;; REBL and Morse do so with a click.

(defn walk [x ks]
  (reduce (fn [x k] (nav x k (if (sequential? x) (nth x k) (get x k)))) (datafy x) ks))

(:algorithm (walk alice [:master-zone :master-keys 1 :key]))
; => :ed25519

(:serial (walk alice [:service-authority :master-zone-hash]))
; => 1

(select-keys (walk verdict [:zones :service :grant :steps 0]) [:rule :at :size])
; => {:rule :signature/stray, :at 2670, :size 438}

;; ## What is broken says where

(def broken (poz/parse (poz/hex "504f5a0000000009")))

(poz/anomaly? broken)
; => true

(select-keys broken [:poz/error :at :path :expected :found])
; => {:poz/error :format/size, :at 4, :path [:header :size], :expected 8, :found 9}

(take-last 2 (poz/why broken))
; => ("      ^^^^^^^^^^^              format/size" "Fetch the file again: it was cut short or added to.")

;; ## Make one: two devices of 50 each, a recovery key of 100

(defn pair [label]
  (crypto/generate :ed25519 (crypto/sha3-256 (bytes/utf8 label))))

(def phone (pair "phone"))
(def laptop (pair "laptop"))

(:secret phone)
; => #poz/secret "redacted"

(def draft
  (pattern/draft (pattern/pattern "two-devices")
    [(:public-key phone) (:public-key laptop) (:public-key (pair "recovery"))] now))

(def half (master/sign draft 0 (:secret phone)))

(map (juxt :list :line :missing) (:lists (master/status half)))
; => ([:own "group 1: 50 of 100; group 2: 0 of 100" {:group 1, :needed 50, :from [1]}])

(:poz/error (master/finish half))
; => :survivorship/below-threshold

(def bob (master/finish (master/sign half 1 (:secret laptop))))

(:outcome (poz/verify bob {:now now}))
; => :valid

;; ## What would it mean to lose a key, or to have one stolen

(take 4 (drop 1 (poz/show (poz/simulate bob {:stolen #{0}}))))
; => ("  a thief has key 0" "  the thief can: deny in every zone" "  findings" "    DANGER: the thief cannot change the master zone: replace the stolen keys")

;; ## Change it, and see what changed

(def served
  (-> bob
    (change/grant :service
      {:timestamp (inc now)
       :add [{:name "" :type :https
              :hosts [{:hostname "bob.example" :port 443 :transport :tcp :encryption :tls :priority 0 :weight 0}]}]})
    (change/sign :service :grant 0 (:secret phone))
    (change/sign :service :grant 1 (:secret laptop))))

(map :message (:changes (poz/diff bob served)))
; => ("there is a zone service now" "service entry https \"\" is new")

(:outcome (poz/update bob served {:now (+ now 2)}))
; => :accepted

;; It took both devices to add that. The phone alone can take it back.

(def denied
  (-> served
    (change/deny :service
      [{:target (zone/entry-hash :service (first (zone/entries :service (:service-zone served)))) :reason :retired}]
      {:timestamp (+ now 2)})
    (change/sign :service :deny 0 (:secret phone))))

(-> (poz/verify denied {:now (+ now 3)}) :zones :service :deny (select-keys [:outcome :serial :sum]))
; => {:outcome :valid, :serial 1, :sum 100}

;; ## A server, and a question

(def server
  (system/start {:domains ["social.example"] :data nil :store :memory :policy :manual
                 :plain-port 0 :query-port 0 :submit-port 0}))

(def answer
  (poz/query {:type :record :subject {:domain "social.example"}}
    {:now (System/currentTimeMillis) :expected-hash (:hash server)
     :servers [{:host "127.0.0.1" :port (-> server :ports :query) :encryption :noise-nk
                :public-key (:noise-key server)}]}))

(:proven answer)
; => true

(first (poz/why (:verdict answer)))
; => "record: valid"

(system/stop server)
; => nil
