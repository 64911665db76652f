(ns poz.cli.tour
  "`poz tour`: what a record is, shown on one that is made on the spot. It asks nothing,
  writes no file and needs no network: the server at its end is on loopback.

  A stop of the tour is a function of the record made so far: a title, some words and the
  lines that the tools print. `stops` is the tour."
  (:require
   [poz.bytes :as bytes]
   [poz.cli.support :as support]
   [poz.cli.tour.authority :as authority]
   [poz.cli.tour.network :as network]
   [poz.error :as error]
   [poz.master :as master]
   [poz.record :as record]
   [poz.signing :as signing]
   [poz.verify :as verify]
   [poz.view.dump :as dump]
   [poz.view.text :as text]
   [poz.view.tree :as tree]
   [poz.view.verdict :as verdict]))

(set! *warn-on-reflection* true)

(defn- make
  "A record by the pattern two-devices, with its secrets."
  [{:keys [random]} now]
  (let [{:keys [pairs draft]} (authority/begin "two-devices" random now)
        sign (fn [d i] (master/sign d i (:secret (pairs i))))]
    {:draft draft
     :half (sign draft 0)
     :record (master/finish (sign (sign draft 0) 1))}))

(defn- flip
  "The bytes of `b` with the lowest bit of the byte at `offset` flipped."
  [b offset]
  (let [array (bytes/->array b)]
    (aset-byte array offset (unchecked-byte (bit-xor 1 (aget array offset))))
    (bytes/wrap array)))

(defn- judged [title b {:keys [now] :as facts} options]
  (let [r (record/parse b)]
    (verdict/lines title r (verify/verify r {:now now}) (merge (:view facts) options))))

(defn- clip [n lines]
  (let [more (- (count lines) (long n))]
    (concat (take n lines)
      (when (pos? more) [(str "          … " more " lines more")]))))

(defn- status-lines [draft]
  (for [{:keys [line missing]} (:lists (master/status draft))]
    (str "  " line (when missing (str "; " (:needed missing) " still needed, from " (signing/key-list (:from missing)))))))

(def ^:private record-stops
  [{:title "Three keys make a record"
    :words "Two devices of 50 each, and a recovery key kept offline. A first revision is drafted; one device has signed."
    :lines (fn [{:keys [half]}] (status-lines half))}
   {:title "Both have signed: the draft becomes a record"
    :words "Its permanent name is the hash of its first revision. This is all of it:"
    :lines (fn [{:keys [record view]}] (tree/show record (assoc view :key-hash signing/key-hash)))}
   {:title "It is a file, and every byte has a name"
    :words "Hand it to anyone: by mail, on a stick, through a server that nobody trusts."
    :lines (fn [{:keys [file view]}] (clip 24 (dump/dump file view)))}
   {:title "Whoever gets it verifies it"
    :words "No server is asked. Each rule says what it found."
    :lines (fn [{:keys [file] :as facts}] (judged "record.poz" file facts {:steps true}))}
   {:title "Somebody changes one bit of a key"
    :words "The form is still right, so it decodes. It does not verify, and the verdict says why:"
    :lines (fn [{:keys [file] :as facts}] (judged "tampered.poz" (flip file 60) facts {}))}
   {:title "Somebody changes one bit of a length"
    :words "Now it is no record at all. The dump shows how far it goes, and where it breaks:"
    :lines (fn [{:keys [file view]}]
             (take-last 16 (dump/dump (flip file 19) view)))}
   {:title "Only one device has signed"
    :words "A draft is never a record, and half the signatures do not make it one:"
    :lines (fn [{:keys [half]}]
             (let [a (master/finish half)]
               (text/hang (str (:message a) " [" (error/code (:poz/error a)) "]") 80 2 2)))}])

(def stops
  "The stops of the tour: `:title`, `:words`, and `:lines`, a function of the facts."
  (into record-stops (concat authority/stops network/stops)))

(defn- stop-lines [facts i {:keys [title words lines]}]
  (concat ["" (text/paint (:color (:view facts)) :title (str (inc (long i)) ". " title))]
    (text/wrap words 80)
    [""]
    (lines facts)))

(defn- run [{:keys [env options]}]
  (let [now (support/now options env)
        made (make env now)
        facts (assoc made :now now :random (:random env) :view {:color (boolean (:color env))}
                :file (record/encode (:record made)))]
    {:exit 0
     :out (concat (mapcat #(stop-lines facts %1 %2) (range) stops)
            ["" "Next: poz new --help, poz verify --help, poz --help"])
     :json [{:stops (map (fn [{:keys [title words lines]}]
                           {:title title :words words :lines (map text/strip (lines facts))})
                      stops)}]}))

(def commands
  "The commands of this namespace."
  [{:name "tour" :arity [0 0] :group "Start here" :run run
    :summary "see a record made, shown, verified, tampered with"
    :doc "Makes a record and shows it, byte by byte, verifies it, tampers with it and shows what is refused and why. Asks nothing, writes nothing, needs no network."
    :options [support/time-option]
    :examples ["poz tour"]}])
