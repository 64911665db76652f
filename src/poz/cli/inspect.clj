(ns poz.cli.inspect
  "`poz show`, `dump`, `verify`, `keys`: what a file says and whether it holds."
  (:require
   [clojure.string :as str]
   [poz.bytes :as bytes]
   [poz.cli.support :as support]
   [poz.error :as error]
   [poz.keyring :as keyring]
   [poz.record :as record]
   [poz.rules :as rules]
   [poz.signing :as signing]
   [poz.verify :as verify]
   [poz.view.dump :as dump]
   [poz.view.text :as text]
   [poz.view.tree :as tree]
   [poz.view.verdict :as verdict]))

(set! *warn-on-reflection* true)

(defn- view-options [{:keys [color]} {:keys [width]}]
  (cond-> {:color (boolean color)} width (assoc :width width)))

(def ^:private width-option
  {:name "width" :arg "COLUMNS" :doc "columns of the terminal (80)"
   :parse #(let [n (parse-long %)] (when (and n (<= 60 n 1000)) n))})

;; ## show, dump

(defn- show [{[file] :args :keys [options env]}]
  (let [r (support/read-record file env)]
    (if (error/anomaly? r)
      r
      {:exit 0 :out (tree/show r (assoc (view-options env options) :key-hash signing/key-hash))
       :json [{:file file :record (dissoc r :private-key-map)}]})))

(defn- dump [{[file] :args {:keys [full] :as options} :options :keys [env]}]
  (let [b (support/read-bytes file env)]
    (if (error/anomaly? b)
      b
      (let [plain (record/dearmor b)
            r (if (error/anomaly? plain) plain (record/decode plain))]
        {:exit (if (error/anomaly? r) (support/exit-code r) 0)
         :out (dump/dump b (cond-> (view-options env options) full (assoc :full true)))
         :json [(cond-> {:file file :outcome (if (error/anomaly? r) :malformed :well-formed)}
                  (error/anomaly? r) (assoc :error (error/code (:poz/error r)) :at (:at r) :message (:message r)))]}))))

;; ## verify

(def ^:private outcome-exit {:valid 0 :invalid 1 :malformed 3 :unknown 4})

(defn- verdict-json [file {:keys [outcome error problems warnings chain zones]}]
  (cond-> {:file file
           :outcome outcome
           :error (cond error (error/code (:poz/error error))
                        (seq problems) (error/code (first problems)))
           :problems (map error/code problems)
           :warnings (map #(select-keys % [:warning :message]) warnings)}
    error (assoc :message (:message error) :at (:at error))
    chain (assoc :chain chain :zones zones)))

(defn- verify-file [file env options]
  (let [b (support/read-bytes file env)]
    (if (error/anomaly? b)
      (assoc b :file file)
      (let [r (record/parse b)]
        {:file file :record r :verdict (verify/verify r options)}))))

(defn- file-lines [{:keys [file verdict record message]} options]
  (if verdict
    (verdict/lines file record verdict options)
    [(str (text/escape file) ": " message)]))

(defn- file-json [{:keys [file verdict] :as result}]
  (if verdict
    (verdict-json file verdict)
    {:file file :outcome :unknown :error (error/code (:poz/error result)) :message (:message result)}))

(defn- worst-exit [results]
  (outcome-exit (rules/worst (map #(get-in % [:verdict :outcome] :unknown) results))))

(defn- verify [{:keys [args env] {:keys [with steps] :as options} :options}]
  (let [providers (mapv #(support/read-record % env) with)]
    (or (support/first-anomaly providers)
      (let [now (support/now options env)
            results (mapv #(verify-file % env {:now now :providers providers}) args)
            view (assoc (view-options env options) :steps (boolean steps))]
        {:exit (worst-exit results)
         :out (mapcat #(file-lines % view) results)
         :json (map file-json results)}))))

;; ## keys

(defn- key-rows [record ring]
  (let [names (into {} (map (juxt :key :name)) (:key-names record))
        used (record/used-keys record)]
    (vec (map-indexed
           (fn [i {:keys [algorithm] :as k}]
             (cond-> {:key i :algorithm algorithm :public-key (:key k)
                      :key-hash (signing/key-hash k) :used (contains? used i)}
               (names i) (assoc :name (names i))
               ring (assoc :secret (contains? ring i))))
           (:public-key-map record)))))

(defn- key-line [{:keys [key algorithm key-hash name used secret]}]
  (str (clojure.core/format "%4d  %-10s  %s" key (if (keyword? algorithm) (clojure.core/name algorithm) (str algorithm))
         (subs (bytes/->hex key-hash) 0 16))
    (when name (str "  " (text/escape name)))
    (when-not used "  (unused)")
    (when secret "  (secret here)")))

(defn- opened [record {:keys [open] :as options} env]
  (when open
    (let [phrase (support/passphrase options env)]
      (if (error/anomaly? phrase) phrase (keyring/open record phrase)))))

(defn- list-keys [file record ring]
  {:exit 0
   :out (cons " key  algorithm   hash" (map key-line (key-rows record ring)))
   :json [{:file file :keys (key-rows record ring)}]})

(defn- new-passphrase [record file {:keys [new-passphrase-file] :as options} {:keys [random] :as env}]
  (let [old (support/passphrase options env)
        new (support/passphrase {:passphrase-file new-passphrase-file} env)]
    (or (support/first-anomaly [old new])
      (let [changed (keyring/change-passphrase record old new {:random random})]
        (if (error/anomaly? changed)
          changed
          (support/write-result file (record/encode changed) env {:private true :force true}
            {:exit 0 :out [(str "changed the passphrase of " file)] :json [{:file file :changed true}]}))))))

(defn- keys-of [{[file] :args {:keys [new-passphrase-file] :as options} :options :keys [env]}]
  (let [record (support/read-record file env)]
    (cond
      (error/anomaly? record) record
      new-passphrase-file (new-passphrase record file options env)
      :else (let [ring (opened record options env)]
              (if (error/anomaly? ring) ring (list-keys file record ring))))))

(def commands
  "The commands of this namespace."
  [{:name "show" :args "FILE" :arity [1 1] :group "Records" :run show
    :summary "show a record as a tree"
    :doc "Shows what a record says, as a tree: keys, master zone, zones, entries. Checks nothing but the form."
    :options [width-option]
    :examples ["poz show alice.poz" "curl -s https://example.com/alice.poz | poz show -"]}
   {:name "dump" :args "FILE" :arity [1 1] :group "Records" :run dump
    :summary "show every byte with its meaning"
    :doc "Shows every byte of a file with the field it belongs to. A broken file is shown up to the fault, with the reason. Exit code 3 where it is malformed."
    :options [{:name "full" :doc "show long byte strings whole"} width-option]
    :examples ["poz dump alice.poz"]}
   {:name "verify" :args "FILE..." :arity [1 nil] :group "Records" :run verify
    :summary "say whether records hold, and why"
    :doc (str "Verifies each FILE, binary or text, and says which rule decided what. Exit code 0 when all are valid, "
           "3 when one is malformed, else 1 when one is invalid, else 4 when something needed is not at hand.")
    :options [support/time-option
              {:name "with" :arg "FILE" :many true :doc "a provider's record, to check identity entries against"}
              {:name "steps" :doc "show every step, not only those that do not hold"}
              width-option]
    :examples ["poz verify alice.poz --with social.poz"
               "poz verify --json --at 2026-11-01T00:00:00Z *.poz"]}
   {:name "keys" :args "FILE" :arity [1 1] :group "Records" :run keys-of
    :summary "list keys; check or change the passphrase"
    :doc "Lists the keys of a record with their hashes and names. With --open it opens the Private Key Map and marks the keys whose secrets are in it."
    :options [{:name "open" :doc "open the Private Key Map with the passphrase"}
              support/passphrase-option
              {:name "new-passphrase-file" :arg "FILE" :doc "seal the secrets anew under the first line of FILE"}]
    :examples ["poz keys alice.poz" "poz keys --open alice.poz"]}])
